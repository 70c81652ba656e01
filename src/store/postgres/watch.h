/*
 * Notices what other servers commit, and tells them of this one's commits: one thread with a connection of
 * its own. On a direct connection by LISTEN and NOTIFY, behind PgBouncer by asking every 50 ms.
 */
#ifndef MC_STORE_POSTGRES_WATCH_H
#define MC_STORE_POSTGRES_WATCH_H

#include <stdatomic.h>

#include "store/postgres/freshness.h"
#include "store/postgres/pool.h"

struct mc_pg_watch {
    bool running;
    pthread_t thread;
    int signal; /* eventfd: stop, or something was committed here */
    atomic_bool stop, changed;
    const struct mc_pg_pool *pool;
    struct mc_pg_freshness *freshness; /* NULL: nobody wants to know the primary's position */
    int64_t server;
    mc_foreign_change_fn notify;
    void *context;
};

/* Uses the pool's options, not its connections. freshness, notify: may be NULL. */
MC_MUST_CHECK enum mc_status mc_pg_watch_start(struct mc_pg_watch *watch,
                                               const struct mc_pg_pool *pool,
                                               struct mc_pg_freshness *freshness, int64_t server,
                                               mc_foreign_change_fn notify, void *context,
                                               struct mc_error *err);
/* This server has committed. Does nothing when it is not running. */
void mc_pg_watch_changed(struct mc_pg_watch *watch);
/* Does nothing when it is not running. */
void mc_pg_watch_stop(struct mc_pg_watch *watch);

#endif
