/* One caller's put while it waits for its transaction, and what became of each message. */
#ifndef MC_STORE_POSTGRES_PUT_H
#define MC_STORE_POSTGRES_PUT_H

#include "base/arena.h"
#include "store/postgres/pg.h"

/* One message of a put: prepared before, filled in by the transaction. */
struct mc_pg_placed {
    const struct mc_message *m;
    struct mc_record *record; /* to become the result */
    struct mc_record *stored; /* for a repeat: the result instead */
    int64_t row, user_no, version, messages;
    const char *differs;
    int64_t id_shard; /* of the message's id */
    bool new_id;      /* nothing should be stored under it */
    bool created;
    bool inserts; /* the first of its id in the transaction */
};

struct mc_pg_put_request {
    struct mc_pg_placed *placed;
    size_t count, weight;
    /* Of the group: */
    struct mc_list node;
    struct mc_error error;
    enum mc_status status;
    bool woken, leads; /* guarded by lock */
    mc_mutex lock;
    mc_cond wake;
};

/* Columns of a statement's rows (put_rows.c). */
struct mc_pg_put_columns;

/* The messages of several requests in one transaction. */
struct mc_pg_put_batch {
    struct mc_pg_placed **items;
    size_t count;
    int64_t *rows;         /* room for count */
    struct mc_arena arena; /* of one try, what follows and arguments of statements: */
    size_t *by_id, *by_thread;
    size_t *order; /* one of these two: that in use */
    struct mc_pg_put_columns *columns;
    bool doubts; /* an id that was said to be new was not */
};
MC_MUST_CHECK enum mc_status mc_pg_put_work(struct mc_pg_conn *conn, void *context,
                                            struct mc_error *err);

static inline struct mc_pg_placed *mc_pg_put_at(const struct mc_pg_put_batch *batch, size_t i)
{
    return batch->items[batch->order[i]];
}
/* Sorts the order in use; what is compared are places among the items. */
void mc_pg_put_sort(struct mc_pg_put_batch *batch,
                    int (*compare)(const void *, const void *, void *));

/*
 * Adds the statements for users and threads of the messages that are created, two with results; from now on the order
 * in use is by_thread. MC_NO_MEMORY.
 */
MC_MUST_CHECK enum mc_status mc_pg_put_add_counts(struct mc_pg_conn *conn,
                                                  struct mc_pg_put_batch *batch, int64_t now_us,
                                                  struct mc_error *err);
/*
 * The last round. What callers are told is known before it, from the results of mc_pg_put_add_counts, of which the
 * first is number `counts`.
 */
MC_MUST_CHECK enum mc_status mc_pg_put_finish(struct mc_pg_conn *conn,
                                              struct mc_pg_put_batch *batch, size_t counts,
                                              int64_t now_us, struct mc_error *err);

/* Carries the request out, alone or together with others; returns when it is durable. */
MC_MUST_CHECK enum mc_status mc_pg_group_run(struct mc_pg *s, struct mc_pg_put_request *request,
                                             struct mc_error *err);

#endif
