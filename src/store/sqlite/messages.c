/* Reads of messages and threads. */
#include "store/sqlite/sqlite.h"

#include "base/error.h"
#include "base/str.h"

/* Takes over the rows that were read, all or none. */
static enum mc_status append_all(struct mc_records *from, struct mc_records *out,
                                 struct mc_error *err)
{
    size_t start = out->count;
    while (out->count - start < from->count) {
        if (!mc_records_push(out, mc_record_ref(from->items[out->count - start]))) {
            while (out->count > start)
                mc_record_unref(out->items[--out->count]);
            return mc_fail_memory(err);
        }
    }
    return MC_OK;
}

static enum mc_status none_found(mc_str message_id, struct mc_error *err)
{
    return mc_fail_field(err, MC_NOT_FOUND, "message_id", "there is no message '%.*s'",
                         MC_STR_ARG(message_id));
}

enum mc_status mc_sqlite_get(struct mc_store *store, mc_str message_id,
                             const struct mc_reader *reader, struct mc_record **record,
                             struct mc_error *err)
{
    mc_auto(mc_allowed_fini) struct mc_allowed allowed = {0};
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum mc_status status = mc_allowed_init(&allowed, reader, err);
    if (status == MC_OK)
        status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_conn_start(reading.conn,
                               "SELECT " MC_SQL_RECORD("m.terms") MC_SQL_RECORD_FROM
                               " WHERE m.message_id = ?1 AND " MC_SQL_ALLOWED,
                               MC_BINDS(mc_bind_str(message_id)), &stmt, err);
    if (status == MC_OK) {
        mc_allowed_bind(&allowed, stmt);
        status = mc_conn_step(reading.conn, stmt, &row, err);
    }
    if (status != MC_OK)
        return status;
    return row ? mc_sqlite_record(reading.conn, stmt, record, err) : none_found(message_id, err);
}

static enum mc_status read_rows(struct mc_conn *conn, const int64_t *rows, size_t count,
                                const struct mc_allowed *allowed, struct mc_records *out,
                                struct mc_error *err)
{
    for (size_t i = 0; i < count; i++) {
        mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
        enum mc_status status = mc_conn_start(conn,
                                              "SELECT " MC_SQL_RECORD("m.terms") MC_SQL_RECORD_FROM
                                              " WHERE m.id = ?1 AND " MC_SQL_ALLOWED,
                                              MC_BINDS(mc_bind_int(rows[i])), &stmt, err);
        if (status != MC_OK)
            return status;
        mc_allowed_bind(allowed, stmt);
        status = mc_sqlite_records(conn, stmt, out, err);
        if (status != MC_OK)
            return status;
    }
    return MC_OK;
}

enum mc_status mc_sqlite_rows(struct mc_store *store, const int64_t *rows, size_t count,
                              const struct mc_reader *reader, struct mc_records *out,
                              struct mc_error *err)
{
    mc_auto(mc_allowed_fini) struct mc_allowed allowed = {0};
    mc_auto(mc_records_fini) struct mc_records found = {0};
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_snapshot_end) struct mc_snapshot snapshot = {0};
    enum mc_status status = mc_allowed_init(&allowed, reader, err);
    if (status == MC_OK)
        status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_snapshot_begin(&snapshot, reading.conn, err);
    if (status == MC_OK)
        status = read_rows(reading.conn, rows, count, &allowed, &found, err);
    return status == MC_OK ? append_all(&found, out, err) : status;
}

/* ---- In a thread ---- */

/* A place in a thread's order. */
struct position {
    int64_t user_no, thread_no, created_at, row;
};

static const char newest_sql[] = "SELECT " MC_SQL_RECORD("NULL") MC_SQL_RECORD_FROM
    " WHERE m.user_no = ?1 AND m.thread_no = ?2 AND " MC_SQL_ALLOWED
    " ORDER BY m.created_at DESC, m.id DESC LIMIT ?3";
static const char older_sql[] = "SELECT " MC_SQL_RECORD("m.terms") MC_SQL_RECORD_FROM
    " WHERE m.user_no = ?1 AND m.thread_no = ?2 AND (m.created_at, m.id) < (?4, ?5)"
    " AND " MC_SQL_ALLOWED " ORDER BY m.created_at DESC, m.id DESC LIMIT ?3";
static const char newer_sql[] = "SELECT " MC_SQL_RECORD("m.terms") MC_SQL_RECORD_FROM
    " WHERE m.user_no = ?1 AND m.thread_no = ?2 AND (m.created_at, m.id) > (?4, ?5)"
    " AND " MC_SQL_ALLOWED " ORDER BY m.created_at, m.id LIMIT ?3";

static enum mc_status read_thread(struct mc_conn *conn, const char *sql, const struct position *at,
                                  size_t limit, const struct mc_allowed *allowed,
                                  struct mc_records *out, struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    int64_t most = limit > INT64_MAX ? INT64_MAX : (int64_t)limit;
    enum mc_status status = mc_conn_start(
        conn, sql,
        MC_BINDS(mc_bind_int(at->user_no), mc_bind_int(at->thread_no), mc_bind_int(most),
                 mc_bind_int(at->created_at), mc_bind_int(at->row)),
        &stmt, err);
    if (status != MC_OK)
        return status;
    mc_allowed_bind(allowed, stmt);
    return mc_sqlite_records(conn, stmt, out, err);
}

/* One row of four numbers: user, thread, time, row. */
static enum mc_status read_position(struct mc_conn *conn, const char *sql,
                                    const struct mc_bind *binds, const struct mc_allowed *allowed,
                                    struct position *at, bool *found, struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_conn_start(conn, sql, binds, &stmt, err);
    *found = false;
    if (status == MC_OK && allowed)
        mc_allowed_bind(allowed, stmt);
    if (status == MC_OK)
        status = mc_conn_step(conn, stmt, found, err);
    if (status == MC_OK && *found)
        *at = (struct position){mc_column_int(stmt, 0), mc_column_int(stmt, 1),
                                mc_column_int(stmt, 2), mc_column_int(stmt, 3)};
    return status;
}

static enum mc_status read_recent(struct mc_conn *conn, const struct mc_recent_read *read,
                                  const struct mc_allowed *allowed, struct mc_records *out,
                                  struct mc_error *err)
{
    struct position at = {0};
    bool found;
    if (!mc_str_given(read->before)) {
        enum mc_status status =
            read_position(conn,
                          "SELECT t.user_no, t.thread_no, 0, 0 FROM threads t JOIN users u ON "
                          "u.user_no = t.user_no"
                          " WHERE u.user_id = ?1 AND t.thread_id = ?2",
                          MC_BINDS(mc_bind_str(read->user_id), mc_bind_str(read->thread_id)), NULL,
                          &at, &found, err);
        if (status != MC_OK || !found)
            return status;
        return read_thread(conn, newest_sql, &at, read->limit, allowed, out, err);
    }
    enum mc_status status = read_position(
        conn,
        "SELECT m.user_no, m.thread_no, m.created_at, m.id" MC_SQL_RECORD_FROM
        " WHERE m.message_id = ?1 AND u.user_id = ?2 AND t.thread_id = ?3 AND " MC_SQL_ALLOWED,
        MC_BINDS(mc_bind_str(read->before), mc_bind_str(read->user_id),
                 mc_bind_str(read->thread_id)),
        allowed, &at, &found, err);
    if (status != MC_OK)
        return status;
    if (!found)
        return mc_fail_field(err, MC_NOT_FOUND, "before",
                             "there is no message '%.*s' in this thread", MC_STR_ARG(read->before));
    return read_thread(conn, older_sql, &at, read->limit, allowed, out, err);
}

enum mc_status mc_sqlite_recent(struct mc_store *store, const struct mc_recent_read *read,
                                struct mc_records *out, struct mc_error *err)
{
    mc_auto(mc_allowed_fini) struct mc_allowed allowed = {0};
    mc_auto(mc_records_fini) struct mc_records found = {0};
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_snapshot_end) struct mc_snapshot snapshot = {0};
    enum mc_status status = mc_allowed_init(&allowed, read->reader, err);
    if (status == MC_OK)
        status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_snapshot_begin(&snapshot, reading.conn, err);
    if (status == MC_OK)
        status = read_recent(reading.conn, read, &allowed, &found, err);
    return status == MC_OK ? append_all(&found, out, err) : status;
}

static enum mc_status read_around(struct mc_conn *conn, int64_t row, size_t before, size_t after,
                                  const struct mc_allowed *allowed, struct mc_records *out,
                                  struct mc_error *err)
{
    struct position at;
    bool found;
    enum mc_status status = read_position(conn,
                                          "SELECT m.user_no, m.thread_no, m.created_at, m.id"
                                          " FROM messages m WHERE m.id = ?1 AND " MC_SQL_ALLOWED,
                                          MC_BINDS(mc_bind_int(row)), allowed, &at, &found, err);
    if (status != MC_OK || !found)
        return status;
    status = read_thread(conn, older_sql, &at, before, allowed, out, err);
    if (status != MC_OK)
        return status;
    mc_records_reverse(out);
    return read_thread(conn, newer_sql, &at, after, allowed, out, err);
}

enum mc_status mc_sqlite_around(struct mc_store *store, int64_t row, size_t before, size_t after,
                                const struct mc_reader *reader, struct mc_records *out,
                                struct mc_error *err)
{
    mc_auto(mc_allowed_fini) struct mc_allowed allowed = {0};
    mc_auto(mc_records_fini) struct mc_records found = {0};
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_snapshot_end) struct mc_snapshot snapshot = {0};
    enum mc_status status = mc_allowed_init(&allowed, reader, err);
    if (status == MC_OK)
        status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_snapshot_begin(&snapshot, reading.conn, err);
    if (status == MC_OK)
        status = read_around(reading.conn, row, before, after, &allowed, &found, err);
    return status == MC_OK ? append_all(&found, out, err) : status;
}

enum mc_status mc_sqlite_thread(struct mc_store *store, mc_str user_id, mc_str thread_id,
                                struct mc_thread_state *state, struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum mc_status status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_conn_start(reading.conn,
                               "SELECT t.version, t.messages FROM threads t"
                               " JOIN users u ON u.user_no = t.user_no"
                               " WHERE u.user_id = ?1 AND t.thread_id = ?2",
                               MC_BINDS(mc_bind_str(user_id), mc_bind_str(thread_id)), &stmt, err);
    if (status == MC_OK)
        status = mc_conn_step(reading.conn, stmt, &row, err);
    if (status != MC_OK)
        return status;
    *state = (struct mc_thread_state){0};
    if (row)
        *state = (struct mc_thread_state){true, mc_column_int(stmt, 0), mc_column_int(stmt, 1)};
    return MC_OK;
}
