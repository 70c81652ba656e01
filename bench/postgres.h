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

/* Sorts the values. */
double quantile(double *values, size_t count, double q);
/* Says whether a figure reached its target; one that did not makes the program fail. */
void goal(const char *what, double value, double bound, bool at_least);

/* What this process, and the server's that work for a database now, have used. */
struct processor_time {
    double client_s, server_s;
};
struct processor_time processor_time(const char *database);

PGconn *plain_connection(const char *database);
PGresult *plain_run(PGconn *conn, const char *sql, int count, const char *const *values);

/* The store's own check of a database: must find nothing. */
void check_store(const char *database);

/* Context at a tenth of the messages and at all of them (postgres_context.c). */
void measure_context(int64_t messages);

#endif
