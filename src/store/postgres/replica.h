/*
 * Copies of the database that are kept up by streaming replication, for the reads that assemble a context. Each has
 * a pool of its own and a thread that looks after it. A read goes to a copy that has replayed what it must show
 * (freshness.h), and to the primary when there is none, it fails or has no connection free: the caller never notices.
 */
#ifndef MC_STORE_POSTGRES_REPLICA_H
#define MC_STORE_POSTGRES_REPLICA_H

#include <stdatomic.h>

#include "base/metrics.h"
#include "store/postgres/freshness.h"
#include "store/postgres/pool.h"

#define MC_PG_REPLICA_TEXT 256

/* Which database it is: the same on the primary and on its copies, and on nothing else. */
struct mc_pg_identity {
    bool with_system; /* this user may ask for the cluster's own number */
    int64_t system;   /* that number, or 0 */
    int64_t oid;      /* of the database */
    int64_t made_us;  /* when Mindcore made its tables there */
};

struct mc_pg_replica {
    struct mc_pg_replicas *all;
    struct mc_pg_pool pool;
    bool running;
    pthread_t thread;
    mc_mutex lock; /* guards what follows */
    mc_cond wake;  /* to stop, to open a connection, or: the first look is over */
    bool stop, looked, reachable;
    unsigned wanted;     /* connections that reads have missed since some were opened */
    int64_t replayed;    /* what it has reached at least; never goes back while it is reachable */
    int64_t observed_us; /* when that was asked for */
    int64_t lag_us;
    struct mc_pg_goal goal;
    uint64_t reads;
    unsigned failures;                /* of reads, until there is none for a time */
    int64_t again_us;                 /* it is not read before, whatever its thread finds */
    char trouble[MC_PG_REPLICA_TEXT]; /* why it is not reachable */
};

struct mc_pg_replicas {
    struct mc_pg_replica *items;
    size_t count;
    atomic_uint turn;
    int64_t max_lag_us, timeout_us;
    int stop;                       /* eventfd: ends what the threads wait for */
    struct mc_pg_identity identity; /* of the primary: a copy of another database is refused */
    struct mc_metrics *metrics;
    struct mc_archive *archive;       /* the primary's */
    struct mc_pg_freshness freshness; /* initialised when there are any */
};

/*
 * Makes the pools and starts the threads; opens nothing yet. primary: connected, to tell which database it is. Does
 * nothing without replicas. MC_CONFIG: an entry of the options cannot be understood.
 */
MC_MUST_CHECK enum mc_status mc_pg_replicas_start(struct mc_pg_replicas *replicas,
                                                  const struct mc_pg_pool *primary,
                                                  struct mc_pg_conn *conn, struct mc_error *err);
/* Accepts those that were not started, all zero. No reads may be under way. */
void mc_pg_replicas_stop(struct mc_pg_replicas *replicas);

/* ---- Entries of the option (replica_place.c) ---- */

/* Options of a replica's pool: those of the primary, but for what the entry says. Texts: freed with free(). */
struct mc_pg_replica_place {
    char *host, *name, *user, *password, *sslmode;
    int port;
};
/* An entry: postgresql://USER:PASSWORD@HOST:PORT/NAME?sslmode=..., HOST or HOST:PORT. number: for errors, from 1. */
MC_MUST_CHECK enum mc_status mc_pg_replica_parse(const char *entry, size_t number,
                                                 struct mc_pg_replica_place *place,
                                                 struct mc_error *err);
void mc_pg_replica_place_fini(struct mc_pg_replica_place *place);

#endif
