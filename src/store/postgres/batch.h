/*
 * The messages of jobs that end together, in the transaction that ends them: what a lease held of them, what they
 * were, and the versions that their threads get. Locks are taken in the order jobs, messages, twins, threads, signals,
 * each sorted.
 */
#ifndef MC_STORE_POSTGRES_BATCH_H
#define MC_STORE_POSTGRES_BATCH_H

#include "base/arena.h"
#include "store/postgres/pg.h"

/* One message whose job this lease held. */
struct mc_pg_held {
    size_t item; /* of the call */
    int64_t row, user_no, version;
    bool found;
    mc_str user_id, thread_id, terms, twin; /* of the batch; absent: NULL */
};

struct mc_pg_batch {
    mc_str lease;
    size_t count;
    struct mc_arena texts;
    struct mc_pg_held *held; /* room for count */
    size_t held_count;
    size_t *order; /* room for count */
    int64_t *rows; /* room for count */
};

MC_MUST_CHECK enum mc_status mc_pg_batch_init(struct mc_pg_batch *b, mc_str lease, size_t count,
                                              struct mc_error *err);
void mc_pg_batch_fini(struct mc_pg_batch *b); /* also of one whose init failed */
/* Forgets what an earlier try left. */
void mc_pg_batch_begin(struct mc_pg_batch *b);

/* Adds a statement that locks and reads the messages of rows, which it sorts. MC_NO_MEMORY. */
MC_MUST_CHECK enum mc_status mc_pg_batch_add_read(struct mc_pg_conn *conn, struct mc_pg_batch *b,
                                                  int64_t *rows, size_t count,
                                                  struct mc_error *err);
/* From its result: messages of what is held, which it sorts by row; those that are gone are not found. MC_NO_MEMORY. */
MC_MUST_CHECK enum mc_status mc_pg_batch_take_read(const PGresult *result, struct mc_pg_batch *b,
                                                   struct mc_error *err);

/* Adds a statement by which each message found adds 1 to its thread's version. MC_NO_MEMORY. */
MC_MUST_CHECK enum mc_status mc_pg_batch_add_bumps(struct mc_pg_conn *conn, struct mc_pg_batch *b,
                                                   struct mc_error *err);
/* From its result: what each message made of its thread's version. */
void mc_pg_batch_share_versions(const PGresult *result, struct mc_pg_batch *b);

#endif
