/*
 * The turns next to messages. Where the reader sees everything the index of a thread alone answers; no
 * text is read.
 */
#include "store/sqlite/sqlite.h"

#include "base/error.h"

#define POSITION_SQL "SELECT m.user_no, m.thread_no, m.created_at FROM messages m WHERE m.id = ?1"
#define SIDE_SQL(compare)                                                                          \
    "SELECT m.id FROM messages m WHERE m.user_no = ?2 AND m.thread_no = ?3"                        \
    " AND (m.created_at, m.id) " compare " (?4, ?1)"
#define OLDER_ORDER " ORDER BY m.created_at DESC, m.id DESC LIMIT ?5"
#define NEWER_ORDER " ORDER BY m.created_at, m.id LIMIT ?5"

/* A place, what is older, what is newer: for one who sees everything, and for another reader. */
static const char *const questions[2][3] = {
    {POSITION_SQL, SIDE_SQL("<") OLDER_ORDER, SIDE_SQL(">") NEWER_ORDER},
    {POSITION_SQL " AND " MC_SQL_ALLOWED, SIDE_SQL("<") " AND " MC_SQL_ALLOWED OLDER_ORDER,
     SIDE_SQL(">") " AND " MC_SQL_ALLOWED NEWER_ORDER},
};

struct turns {
    struct mc_conn *conn;
    sqlite3_stmt *stmts[3];
};

static void turns_fini(struct turns *t)
{
    for (size_t i = 0; i < mc_countof(t->stmts); i++)
        mc_stmt_done(&t->stmts[i]);
}

static enum mc_status prepare(struct turns *t, const struct mc_reader *reader,
                              const struct mc_allowed *allowed, struct mc_error *err)
{
    bool filtered = !mc_reader_unfiltered(reader);
    enum mc_status status = MC_OK;
    for (size_t i = 0; !status && i < mc_countof(t->stmts); i++) {
        status = mc_conn_start(t->conn, questions[filtered][i], MC_NO_BINDS, &t->stmts[i], err);
        if (!status && filtered)
            mc_allowed_bind(allowed, t->stmts[i]);
    }
    return status;
}

static enum mc_status read_side(struct turns *t, sqlite3_stmt *stmt, const int64_t place[3],
                                int64_t row, int64_t rows[MC_TURNS], struct mc_error *err)
{
    sqlite3_reset(stmt);
    sqlite3_bind_int64(stmt, 1, row);
    for (int i = 0; i < 3; i++)
        sqlite3_bind_int64(stmt, i + 2, place[i]);
    sqlite3_bind_int64(stmt, 5, MC_TURNS);
    bool found = true;
    for (size_t i = 0; i < MC_TURNS && found; i++) {
        enum mc_status status = mc_conn_step(t->conn, stmt, &found, err);
        if (status)
            return status;
        if (found)
            rows[i] = mc_column_int(stmt, 0);
    }
    return MC_OK;
}

static enum mc_status read_turns(struct turns *t, int64_t row, struct mc_turns *out,
                                 struct mc_error *err)
{
    sqlite3_stmt *stmt = t->stmts[0];
    int64_t place[3];
    bool found;
    sqlite3_reset(stmt);
    sqlite3_bind_int64(stmt, 1, row);
    *out = (struct mc_turns){.before = {0}};
    enum mc_status status = mc_conn_step(t->conn, stmt, &found, err);
    if (status || !found)
        return status;
    for (int i = 0; i < 3; i++)
        place[i] = mc_column_int(stmt, i);
    status = read_side(t, t->stmts[1], place, row, out->before, err);
    return status ? status : read_side(t, t->stmts[2], place, row, out->after, err);
}

enum mc_status mc_sqlite_turns(struct mc_store *store, const int64_t *rows, size_t count,
                               const struct mc_reader *reader, struct mc_turns *out,
                               struct mc_error *err)
{
    mc_auto(mc_allowed_fini) struct mc_allowed allowed = {0};
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_snapshot_end) struct mc_snapshot snapshot = {0};
    enum mc_status status = mc_allowed_init(&allowed, reader, err);
    if (!status)
        status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (!status)
        status = mc_snapshot_begin(&snapshot, reading.conn, err);
    mc_auto(turns_fini) struct turns t = {.conn = reading.conn};
    if (!status)
        status = prepare(&t, reader, &allowed, err);
    for (size_t i = 0; !status && i < count; i++)
        status = read_turns(&t, rows[i], &out[i], err);
    return status;
}
