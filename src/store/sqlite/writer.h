/*
 * The one connection that writes, and group commit.
 *
 * A write is a function that runs inside a transaction. A caller that finds the writer free carries
 * its write out itself, without a thread switch. Otherwise it queues; whoever is writing hands the
 * lead to a waiting caller when done, and that one carries out all that has queued meanwhile in one
 * transaction.
 *
 * A write's function runs on some caller's thread. One that fails before it has changed anything
 * does not hinder the others. When one fails half-way, or the database does, the transaction is
 * rolled back and each of its writes is carried out again in one of its own, so that only those at
 * fault fail: a write's function may run twice and begins anew.
 */
#ifndef MC_STORE_SQLITE_WRITER_H
#define MC_STORE_SQLITE_WRITER_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "store/sqlite/conn.h"

/* Ingest goes first when both wait, but not more than four times in a row. */
enum mc_write_class { MC_WRITE_INGEST, MC_WRITE_OTHER, MC_WRITE_CLASSES };

struct mc_writer;
struct mc_write {
    enum mc_status (*apply)(struct mc_writer *writer, void *context, struct mc_error *err);
    void *context;
    enum mc_write_class class;
    size_t weight; /* about how many rows it changes: bounds a transaction */
    bool alone;    /* runs outside a transaction and shares nothing */
    /* Of the writer: */
    struct mc_list node;
    struct mc_error error;
    enum mc_status status;
    bool woken; /* guarded by lock */
    bool leads; /* guarded by lock */
    mc_mutex lock;
    mc_cond wake;
};

struct mc_writer {
    struct mc_conn *conn; /* of whoever leads */
    int64_t next_row;     /* of whoever leads: the next message's row, 0: not known */
    int64_t data_version; /* of whoever leads: changes when another process commits */
    atomic_bool foreign;  /* another process has committed since the flag was last taken */
    void (*on_foreign)(void *context);
    void *on_foreign_context;
    struct mc_metrics *metrics; /* may be NULL */

    mc_mutex lock; /* guards what follows */
    bool busy;
    struct mc_list waiting[MC_WRITE_CLASSES];
    unsigned ingest_streak;
};

/* Takes over the connection. */
MC_MUST_CHECK enum mc_status mc_writer_init(struct mc_writer *writer, struct mc_conn *conn,
                                            struct mc_metrics *metrics, struct mc_error *err);
void mc_writer_fini(struct mc_writer *writer);

/* Carries the write out, alone or together with others; returns when it is durable. */
MC_MUST_CHECK enum mc_status mc_writer_run(struct mc_writer *writer, struct mc_write *write,
                                           struct mc_error *err);

/* Looks whether another process has committed; sets foreign. */
MC_MUST_CHECK enum mc_status mc_writer_look(struct mc_writer *writer, struct mc_error *err);

/* The row of a new message. */
MC_MUST_CHECK enum mc_status mc_writer_new_row(struct mc_writer *writer, int64_t *row,
                                               struct mc_error *err);

#endif
