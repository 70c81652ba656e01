/*
 * A PostgreSQL server of the test's own, in a temporary folder and on a Unix socket, and a PgBouncer in front of
 * it. Both end with the test, whatever becomes of it. A test that finds no binaries skips.
 */
#ifndef MC_TESTS_POSTGRES_H
#define MC_TESTS_POSTGRES_H

#include "support/scratch.h"

#include "store/postgres/postgres_store.h"

#define PG_PORT 5432 /* part of the socket's name only: the folder is the test's own */
#define PG_BOUNCER_PORT 6432

struct pg_server {
    struct scratch scratch;
    char bin[256]; /* where initdb and postgres are */
    pid_t postgres, bouncer;
    bool durable, pgvector;
};

/* Makes and starts a server. NULL, or else what is missing: then the test skips. Failures end the test. */
const char *pg_server_start(struct pg_server *server);
/* The same with the settings that a server has by default: a commit is on the disk. For measuring. */
const char *pg_server_start_durable(struct pg_server *server);
/* The same with a server that has the extension pgvector: what tools/get-pgvector fetches. */
const char *pg_server_start_pgvector(struct pg_server *server);
/* Starts it again after pg_server_kill; returns when it answers. */
void pg_server_run(struct pg_server *server);
/* As `pg_ctl stop -m immediate` does: without a word to anybody. */
void pg_server_kill(struct pg_server *server);
/* Stops everything and removes the folder. */
void pg_server_stop(struct pg_server *server);

/* A PgBouncer in transaction mode with room for `pool` connections. NULL, or what is missing. */
const char *pg_bouncer_start(struct pg_server *server, int pool);

/* Carries out statements in a database as the superuser; a failure ends the test. */
void pg_sql(const struct pg_server *server, const char *database, const char *sql);
/* The first value of an answer, "" for none, in static memory. */
const char *pg_value(const struct pg_server *server, const char *database, const char *sql);

/* A session of its own that stays open. */
struct pg_session;
struct pg_session *pg_session(const struct pg_server *server, const char *database);
void pg_session_run(struct pg_session *session, const char *sql);
void pg_session_end(struct pg_session *session);

/* An empty database, UTF8. */
void pg_create(const struct pg_server *server, const char *database);
/* Makes it empty again; nobody may be using it. */
void pg_empty(const struct pg_server *server, const char *database);
/* Makes Mindcore's tables in it, in partitions. */
void pg_partition(const struct pg_server *server, const char *database, int partitions);
/* Deletes every row, and keeps the tables. */
void pg_clear(const struct pg_server *server, const char *database);
/* Options of a store in it, directly or through the PgBouncer. */
struct mc_postgres_options pg_options(const struct pg_server *server, const char *database,
                                      bool bouncer);
struct mc_store *pg_open(const struct mc_postgres_options *options);

#endif
