/*
 * One connection to PostgreSQL, always in pipeline mode, and what every statement needs: parameters,
 * rounds, results, turning the server's answers into statuses. Used by one thread at a time.
 *
 * Statements are added, then sent together by mc_pg_run: one journey to the server for all of them. Outside a
 * transaction the statements of one run succeed or fail together. Parameters and results are in
 * binary form, so nothing depends on the session's settings.
 *
 * On a direct connection statements are prepared and kept by the address of their text, so pass string
 * literals or static text.
 */
#ifndef MC_STORE_POSTGRES_CONN_H
#define MC_STORE_POSTGRES_CONN_H

#include <libpq-fe.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"
#include "store/postgres/freshness.h"

/* Slots of the table of prepared statements; the program has fewer than half of it. */
#define MC_PG_STATEMENTS 512
#define MC_PG_ARGS_MAX 24

/* What became of the last failure, for those who may try again. */
enum mc_pg_trouble {
    MC_PG_NO_TROUBLE,
    MC_PG_REFUSED,   /* it would fail again */
    MC_PG_CONFLICT,  /* rolled back by the server because of another transaction: try again */
    MC_PG_LOST,      /* the connection is gone; a statement may have been carried out or not */
    MC_PG_DICTIONARY /* conn->dictionary is not known yet: make it known and try again */
};

struct mc_pg_pending {
    const char *sql;
    bool quiet;    /* its result is nobody's business */
    bool prepares; /* it is the preparation of sql */
    bool numbers;  /* its one cell is the transaction's number */
};

struct mc_pg_where {
    char *conninfo_host; /* "host:port" or the folder of the socket, for error texts */
    char *database;
};

struct mc_pg_conn {
    PGconn *pg;
    const struct mc_pg_where *where; /* borrowed, for error texts */
    bool direct;                     /* prepared statements are allowed */
    bool in_transaction, writes, commit_sent;
    int64_t
        transaction; /* number of the write transaction, to ask for its outcome; 0: not known yet */
    struct mc_pg_shard_set touched; /* by the write transaction; none: it may be any */
    enum mc_pg_trouble trouble;
    char sqlstate[6]; /* of the last failure */
    int64_t answer_timeout_us;
    int stop; /* descriptor: once it can be read, no answer is waited for; -1: none */
    int64_t opened_us, returned_us; /* monotonic */
    int64_t clock_offset_us;        /* the database's clock minus this machine's */
    int slot;                       /* number in the pool: no two open connections share one */
    struct mc_pg_conn *next;        /* in the pool */
    struct mc_archive *archive;     /* borrowed: to unpack messages with */
    int64_t dictionary;             /* of the archive, that was missing */
    struct mc_buf scratch;          /* memory for the arguments of one statement */
    /* What is added and not yet run, and the results of the last run, in the order of the statements. */
    struct mc_pg_pending *pending;
    size_t pending_count, pending_capacity;
    PGresult **results;
    size_t result_count, result_capacity;
    bool add_failed; /* out of memory */
    struct {
        const char *sql;
        bool ready;
    } prepared[MC_PG_STATEMENTS];
};

/* ---- Arguments ---- */

struct mc_pg_list {
    const void *items;
    size_t count;
};
struct mc_pg_arg {
    char type; /* 'i' bigint, 'd' double, 'b' boolean, 's' text, 'x' bytea, 't' time,
                  'I' bigint[], 'D' double[], 'S' text[], 'X' bytea[], 'T' timestamptz[];
                  0 at the end */
    bool null;
    union {
        int64_t integer;
        double number;
        mc_str text;
        struct mc_pg_list list;
    } value;
};
static inline struct mc_pg_arg mc_pg_int(int64_t integer)
{
    return (struct mc_pg_arg){.type = 'i', .value = {.integer = integer}};
}
static inline struct mc_pg_arg mc_pg_double(double number)
{
    return (struct mc_pg_arg){.type = 'd', .value = {.number = number}};
}
static inline struct mc_pg_arg mc_pg_bool(bool value)
{
    return (struct mc_pg_arg){.type = 'b', .value = {.integer = value}};
}
/* Microseconds since the epoch as timestamptz; what it cannot hold becomes plus or minus infinity. */
static inline struct mc_pg_arg mc_pg_time(int64_t time_us)
{
    return (struct mc_pg_arg){.type = 't', .value = {.integer = time_us}};
}
/* An absent string is NULL. */
static inline struct mc_pg_arg mc_pg_str(mc_str text)
{
    return (struct mc_pg_arg){.type = 's', .null = text.data == NULL, .value = {.text = text}};
}
/* An absent string is the empty one. */
static inline struct mc_pg_arg mc_pg_text(mc_str text)
{
    return mc_pg_str(text.data ? text : (mc_str){"", 0});
}
static inline struct mc_pg_arg mc_pg_bytes(mc_str bytes)
{
    return (struct mc_pg_arg){.type = 'x', .null = bytes.data == NULL, .value = {.text = bytes}};
}
static inline struct mc_pg_arg mc_pg_ints(const int64_t *items, size_t count)
{
    return (struct mc_pg_arg){.type = 'I', .value = {.list = {items, count}}};
}
static inline struct mc_pg_arg mc_pg_times(const int64_t *items, size_t count)
{
    return (struct mc_pg_arg){.type = 'T', .value = {.list = {items, count}}};
}
static inline struct mc_pg_arg mc_pg_strs(const mc_str *items, size_t count)
{
    return (struct mc_pg_arg){.type = 'S', .value = {.list = {items, count}}};
}
static inline struct mc_pg_arg mc_pg_doubles(const double *items, size_t count)
{
    return (struct mc_pg_arg){.type = 'D', .value = {.list = {items, count}}};
}
/* Absent strings are empty ones. */
static inline struct mc_pg_arg mc_pg_byteses(const mc_str *items, size_t count)
{
    return (struct mc_pg_arg){.type = 'X', .value = {.list = {items, count}}};
}
#define MC_PG_ARGS(...) ((const struct mc_pg_arg[]){__VA_ARGS__, {.type = 0}})
#define MC_PG_NO_ARGS NULL

/* ---- Opening ---- */

/* Takes over a connection that is established. The where is borrowed. */
MC_MUST_CHECK enum mc_status mc_pg_conn_new(PGconn *pg, const struct mc_pg_where *where,
                                            bool direct, int64_t answer_timeout_us,
                                            struct mc_pg_conn **conn, struct mc_error *err);
void mc_pg_conn_close(struct mc_pg_conn *conn); /* accepts NULL */
/* Whether it can be used again: alive, idle, nothing pending. Asks the socket, not the server. */
bool mc_pg_conn_usable(struct mc_pg_conn *conn);

/* ---- Statements ---- */

/* Arguments are copied. The first statement added after a run forgets that run's results. */
void mc_pg_add(struct mc_pg_conn *conn, const char *sql, const struct mc_pg_arg *args);
/* The same for a statement whose result is of no interest. */
void mc_pg_add_quiet(struct mc_pg_conn *conn, const char *sql, const struct mc_pg_arg *args);
/* A quiet one whose text is made for this once: it is not prepared, and need not outlive the call. */
void mc_pg_add_once(struct mc_pg_conn *conn, const struct mc_buf *sql);
/* A statement whose one cell, a bigint, goes to conn->transaction. */
void mc_pg_add_numbering(struct mc_pg_conn *conn, const char *sql, const struct mc_pg_arg *args);
/* Sends what was added and waits for all answers. On failure there are no results. */
MC_MUST_CHECK enum mc_status mc_pg_run(struct mc_pg_conn *conn, struct mc_error *err);
/* Add and run. */
MC_MUST_CHECK enum mc_status mc_pg_query(struct mc_pg_conn *conn, const char *sql,
                                         const struct mc_pg_arg *args, struct mc_error *err);
/*
 * COPY ... FROM STDIN (FORMAT binary) inside a transaction, with all its data (copy_in.h). What was added before is
 * run first.
 */
MC_MUST_CHECK enum mc_status mc_pg_copy_in(struct mc_pg_conn *conn, const char *sql, mc_str data,
                                           struct mc_error *err);
/* Remembers a failure and its kind; the status and text of the server's or the connection's error. */
enum mc_status mc_pg_conn_fail(struct mc_pg_conn *conn, const PGresult *result,
                               struct mc_error *err);
/* The status of an SQLSTATE and whether trying again helps. */
enum mc_status mc_pg_status_of(const char *sqlstate, enum mc_pg_trouble *trouble);

/* ---- Results: of the nth statement of the last run ---- */

static inline size_t mc_pg_rows(const struct mc_pg_conn *conn, size_t nth)
{
    return (size_t)PQntuples(conn->results[nth]);
}
/* Rows that the statement changed. */
int64_t mc_pg_changes(const struct mc_pg_conn *conn, size_t nth);

/* A cell: its bytes; absent for NULL. Valid until the next mc_pg_add. */
mc_str mc_pg_cell(const PGresult *result, size_t row, int column);
/* Of smallint, integer, bigint and boolean; 0 for NULL. */
int64_t mc_pg_cell_int(const PGresult *result, size_t row, int column);
double mc_pg_cell_double(const PGresult *result, size_t row, int column);
/* Of timestamptz; infinities are INT64_MIN and INT64_MAX; 0 for NULL. */
int64_t mc_pg_cell_time(const PGresult *result, size_t row, int column);
/* Of text[]: up to max strings, which point into the result; false when there are more, or it is odd. */
bool mc_pg_cell_strs(const PGresult *result, size_t row, int column, mc_str *items, size_t max,
                     size_t *count);
/* The first cell of a statement's first row as an integer, 0 when there is none. */
static inline int64_t mc_pg_first_int(const struct mc_pg_conn *conn, size_t nth)
{
    return mc_pg_rows(conn, nth) > 0 ? mc_pg_cell_int(conn->results[nth], 0, 0) : 0;
}

#endif
