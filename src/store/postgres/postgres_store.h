/*
 * The store on PostgreSQL 12 or later: a pool of connections, group commit over several of them, any
 * number of servers on one database. docs/postgresql.md tells of the schema and of PgBouncer.
 */
#ifndef MC_STORE_POSTGRES_STORE_H
#define MC_STORE_POSTGRES_STORE_H

#include "store/store.h"

struct mc_postgres_options {
    /* Copied; absent parts are libpq's own defaults. */
    const char *host, *name, *user, *password, *sslmode;
    int port;                     /* 0: 5432 */
    int pool_size;                /* 0: 10 */
    int max_overflow;             /* connections above pool_size, closed when they come back */
    int64_t pool_timeout_us;      /* 0: 30 s */
    bool pgbouncer;               /* no session state: see docs/postgresql.md */
    bool existing;                /* an empty database is MC_NOT_FOUND and stays as it is */
    int64_t statement_timeout_us; /* 0: 60 s */
    int64_t lock_timeout_us;      /* 0: 15 s */
    int64_t answer_timeout_us;    /* 0: statement_timeout and 10 s for the journey */
    int64_t connect_timeout_us;   /* whole seconds, 0: 10 s */
    int64_t max_age_us;           /* of a connection, 0: 30 min */
    const char *const *replicas;  /* as in database.replicas; used while opening */
    size_t replica_count;
    int64_t replica_max_lag_us;          /* one that is further behind is not read; 0: 1 s */
    int64_t replica_timeout_us;          /* of its answers; 0: 1 s */
    bool pgvector;                       /* to be used where the server has it */
    struct mc_metrics *metrics;          /* may be NULL */
    mc_foreign_change_fn foreign_change; /* may be NULL */
    void *context;
};

/* False when the program was built without libpq. */
bool mc_postgres_built(void);

/*
 * Creates or migrates the tables. The message names the host and says what to do, and never holds the
 * password. MC_UNAVAILABLE: nobody answers. MC_CONFIG: password, database, rights, TLS or encoding.
 * MC_CORRUPT: another program's database. MC_VERSION: a newer version's.
 */
MC_MUST_CHECK enum mc_status mc_postgres_store_open(const struct mc_postgres_options *options,
                                                    struct mc_store **store, struct mc_error *err);

#define MC_POSTGRES_PARTITIONS_MIN 2
#define MC_POSTGRES_PARTITIONS_MAX 256

/*
 * Makes the tables of an empty database, partitioned by hash of their shard. Any store opens it afterwards.
 * MC_CONFLICT: it is not empty any more. Else as for opening.
 */
MC_MUST_CHECK enum mc_status mc_postgres_partition(const struct mc_postgres_options *options,
                                                   int partitions, struct mc_error *err);

#endif
