/*
 * The connections to one database: up to `size` stay open, up to `overflow` more are opened when those
 * are not enough and closed when they come back. Thread-safe.
 */
#ifndef MC_STORE_POSTGRES_POOL_H
#define MC_STORE_POSTGRES_POOL_H

#include "base/thread.h"
#include "store/postgres/conn.h"
#include "store/postgres/postgres_store.h"

struct mc_pg_pool {
    struct mc_postgres_options options; /* texts are owned */
    struct mc_pg_where where;
    int max;
    struct mc_archive *archive; /* borrowed, for the connections */
    int stop; /* descriptor: once it can be read, nobody waits for a server any more; -1: none */
    mc_mutex lock; /* guards what follows */
    mc_cond returned;
    struct mc_pg_conn *idle; /* last returned first */
    int open, idle_count;
    int last_slot;
    bool *slots; /* taken ones, of max */
};

/* Copies the options, with defaults for what is not given; opens nothing. */
MC_MUST_CHECK enum mc_status mc_pg_pool_init(struct mc_pg_pool *pool,
                                             const struct mc_postgres_options *options,
                                             struct mc_error *err);
/* Every connection must be back. Accepts one that was not initialised, all zero. */
void mc_pg_pool_fini(struct mc_pg_pool *pool);

/*
 * A connection that was alive a moment ago. MC_BUSY after pool_timeout, naming the options; otherwise the
 * failure of connecting, trouble MC_PG_LOST when trying again may help. trouble may be NULL.
 */
MC_MUST_CHECK enum mc_status mc_pg_pool_acquire(struct mc_pg_pool *pool, struct mc_pg_conn **conn,
                                                enum mc_pg_trouble *trouble, struct mc_error *err);
/* Accepts NULL. One that cannot be used again, or is old, is closed. */
void mc_pg_pool_release(struct mc_pg_pool *pool, struct mc_pg_conn *conn);
/*
 * For pools whose callers must not wait. take: an idle connection that was alive a moment ago, else NULL; *more:
 * another one could be opened. grow: opens it, unless all are open, and makes it idle.
 */
struct mc_pg_conn *mc_pg_pool_take(struct mc_pg_pool *pool, bool *more);
MC_MUST_CHECK enum mc_status mc_pg_pool_grow(struct mc_pg_pool *pool, struct mc_error *err);
/* How many are open. */
int mc_pg_pool_open(struct mc_pg_pool *pool);
/* Closes the idle ones. */
void mc_pg_pool_drain(struct mc_pg_pool *pool);

/* connect.c: opens a connection with the pool's options, outside of the pool. */
MC_MUST_CHECK enum mc_status mc_pg_connect(const struct mc_pg_pool *pool, struct mc_pg_conn **conn,
                                           enum mc_pg_trouble *trouble, struct mc_error *err);

#endif
