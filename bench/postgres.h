/* What the parts of bench_postgres share: its server, plain connections, goals. Everything fails loudly. */
#ifndef MC_BENCH_POSTGRES_H
#define MC_BENCH_POSTGRES_H

#include <inttypes.h>

#include "support/postgres.h"

#include <libpq-fe.h>

extern struct pg_server server;
extern struct mc_error error;

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: failed: %s %s\n", __FILE__, __LINE__, #what, error.message);   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* ---- Measuring (postgres_measure.c) ---- */

#define BLOCKS 3

/* What this process, and the server's that work for a database now, have used. */
struct processor_time {
    double client_s, server_s;
};
struct processor_time processor_time(const char *database);

/* One measurement: items a second, and the processor time of each where it is known. */
struct block {
    double rate, client_us, server_us;
};
/* Of what began at start_us and used what has been used since `before`. */
struct block block_of(int64_t items, int64_t start_us, const char *database,
                      const struct processor_time *before);
/* Of BLOCKS of them, each figure for itself. */
struct block median(const struct block *blocks);
/* Tells the medians, and whether the ratio of rates is at least the bound; 0: there is none. */
void compare(const char *what, const struct block *ours, const struct block *plain,
             const char *unit, double bound);

double since_s(int64_t start_us);
/* Sorts the values. */
double quantile(double *values, size_t count, double q);
/* Says whether a figure reached its target. */
void goal(const char *what, double value, double bound, bool at_least);
bool goals_missed(void);

/* ---- Parts ---- */

PGconn *plain_connection(const char *database);
PGresult *plain_run(PGconn *conn, const char *sql, int count, const char *const *values);

/* The store's own check of a database: must find nothing. */
void check_store(const char *database);

/* Claiming and completing (postgres_jobs.c): 36,000 jobs at most of each of the databases "store" and "plain". */
void compare_jobs(struct mc_store *store);

/* Context at a tenth of the messages and at all of them (postgres_context.c). */
void measure_context(int64_t messages);

#endif
