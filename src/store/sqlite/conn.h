/*
 * One connection to the file with its prepared statements, and what every statement needs: binding,
 * stepping, turning SQLite's codes into statuses. A connection is used by one thread at a time.
 *
 * Statements are cached for the life of the connection by the address of their text, so pass string
 * literals or static text.
 */
#ifndef MC_STORE_SQLITE_CONN_H
#define MC_STORE_SQLITE_CONN_H

#include <sqlite3.h>

#include "base/buf.h"
#include "base/compiler.h"

/* Slots of the statement cache; the program has fewer statements than half of it. */
#define MC_CONN_STATEMENTS 256

struct mc_conn {
    sqlite3 *db;
    const char *path;           /* borrowed, for error texts */
    int64_t busy_timeout_us;    /* how long a lock of another process is waited for */
    int64_t busy_since_us;      /* when the present wait began */
    bool broken;                /* a statement failed: the transaction must be rolled back */
    struct mc_conn *next;       /* in the pool */
    struct mc_buf scratch;      /* for building texts */
    struct mc_archive *archive; /* borrowed: to unpack messages with */
    struct {
        const char *sql;
        sqlite3_stmt *stmt;
    } cache[MC_CONN_STATEMENTS];
};

/* Opens the file, which must exist unless create. Free with mc_conn_close, which accepts NULL. */
MC_MUST_CHECK enum mc_status mc_conn_open(const char *path, int64_t busy_timeout_us, bool create,
                                          struct mc_conn **conn, struct mc_error *err);
void mc_conn_close(struct mc_conn *conn);
static inline void mc_conn_close_ptr(struct mc_conn **conn)
{
    mc_conn_close(*conn);
}

/* Whether the name leads to another file by now, or to none. It costs one stat. */
bool mc_conn_moved(struct mc_conn *conn);
/* MC_IO when it has moved: what is written then is lost, and its log has the name of the new file's. */
MC_MUST_CHECK enum mc_status mc_conn_check_place(struct mc_conn *conn, struct mc_error *err);

/* The status of SQLite's result code; err says what the connection could not do, why, and what
 * helps. Sets broken. */
enum mc_status mc_conn_fail(struct mc_conn *conn, int code, struct mc_error *err);

/* ---- Values ---- */

struct mc_bind {
    char type; /* 'i', 'd', 's', 'b', 0 at the end */
    union {
        int64_t integer;
        double number;
        mc_str text;
    } value;
};
static inline struct mc_bind mc_bind_int(int64_t integer)
{
    return (struct mc_bind){.type = 'i', .value = {.integer = integer}};
}
static inline struct mc_bind mc_bind_double(double number)
{
    return (struct mc_bind){.type = 'd', .value = {.number = number}};
}
/* An absent string is NULL. The bytes must stay until the statement is done. */
static inline struct mc_bind mc_bind_str(mc_str text)
{
    return (struct mc_bind){.type = 's', .value = {.text = text}};
}
/* An absent string is the empty one. */
static inline struct mc_bind mc_bind_text(mc_str text)
{
    return mc_bind_str(text.data ? text : (mc_str){"", 0});
}
static inline struct mc_bind mc_bind_blob(mc_str bytes)
{
    return (struct mc_bind){.type = 'b', .value = {.text = bytes}};
}
/* The values of a statement's parameters, from the first on. */
#define MC_BINDS(...) ((const struct mc_bind[]){__VA_ARGS__, {.type = 0}})
#define MC_NO_BINDS NULL

/* ---- Statements ---- */

/* The statement, reset and bound, ready for mc_conn_step; give it back with mc_stmt_done (mc_auto).
 */
MC_MUST_CHECK enum mc_status mc_conn_start(struct mc_conn *conn, const char *sql,
                                           const struct mc_bind *binds, sqlite3_stmt **stmt,
                                           struct mc_error *err);
/* Accepts NULL. */
static inline void mc_stmt_done(sqlite3_stmt **stmt)
{
    if (*stmt)
        sqlite3_reset(*stmt);
}
/* *row: there is a row to read; false at the end. */
MC_MUST_CHECK enum mc_status mc_conn_step(struct mc_conn *conn, sqlite3_stmt *stmt, bool *row,
                                          struct mc_error *err);
/* The same in a loop: true while there is a row to read. *status is what became of the statement so far. */
static inline bool mc_conn_next(struct mc_conn *conn, sqlite3_stmt *stmt, enum mc_status *status,
                                struct mc_error *err)
{
    bool row = false;
    if (*status == MC_OK)
        *status = mc_conn_step(conn, stmt, &row, err);
    return *status == MC_OK && row;
}
/* Start and run to the end. */
MC_MUST_CHECK enum mc_status mc_conn_exec(struct mc_conn *conn, const char *sql,
                                          const struct mc_bind *binds, struct mc_error *err);
/* The first column of the first row as an integer; *found (may be NULL) false and *value 0 when
 * there is no row. */
MC_MUST_CHECK enum mc_status mc_conn_integer(struct mc_conn *conn, const char *sql,
                                             const struct mc_bind *binds, bool *found,
                                             int64_t *value, struct mc_error *err);
/* Not cached, several statements allowed: schema and pragmas. */
MC_MUST_CHECK enum mc_status mc_conn_script(struct mc_conn *conn, const char *sql,
                                            struct mc_error *err);
/* Rows that the last statement changed. */
static inline int64_t mc_conn_changes(const struct mc_conn *conn)
{
    return sqlite3_changes64(conn->db);
}
/* A text column, valid until the next step; absent for NULL. */
static inline mc_str mc_column_str(sqlite3_stmt *stmt, int column)
{
    const char *data = (const char *)sqlite3_column_text(stmt, column);
    return (mc_str){data, data ? (size_t)sqlite3_column_bytes(stmt, column) : 0};
}
static inline int64_t mc_column_int(sqlite3_stmt *stmt, int column)
{
    return sqlite3_column_int64(stmt, column);
}

/*
 * A read transaction: the statements until mc_snapshot_end see one state. Declare with
 * mc_auto(mc_snapshot_end) struct mc_snapshot, zero-initialised.
 */
struct mc_snapshot {
    struct mc_conn *conn;
};
MC_MUST_CHECK enum mc_status mc_snapshot_begin(struct mc_snapshot *snapshot, struct mc_conn *conn,
                                               struct mc_error *err);
void mc_snapshot_end(struct mc_snapshot *snapshot);

#endif
