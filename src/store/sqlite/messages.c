/* Reads of messages and threads. */
#include "store/sqlite/sqlite.h"

#include "base/arena.h"
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

/*
 * The names of users and threads by the thread's number, so that rows of one thread need one
 * look-up together.
 */
#define NAMES 32
#define NAMES_BYTES ((size_t)16 << 20)
struct names {
    struct mc_conn *conn;
    struct mc_arena arena;
    struct name {
        int64_t thread_no;
        mc_str user_id, thread_id;
    } items[NAMES]; /* by number modulo NAMES */
};

static void names_fini(struct names *names)
{
    mc_arena_fini(&names->arena);
}

static const char names_sql[] = "SELECT u.user_id, t.thread_id FROM threads t"
                                " JOIN users u ON u.user_no = t.user_no WHERE t.thread_no = ?1";

/* *found is NULL when there is no such thread: a message without one is shown to nobody. */
static enum mc_status find_name(struct names *names, int64_t thread_no, const struct name **found,
                                struct mc_error *err)
{
    struct name *name = &names->items[(uint64_t)thread_no % NAMES];
    *found = name;
    if (name->thread_no == thread_no && name->thread_id.data)
        return MC_OK;
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum mc_status status =
        mc_conn_start(names->conn, names_sql, MC_BINDS(mc_bind_int(thread_no)), &stmt, err);
    if (status == MC_OK)
        status = mc_conn_step(names->conn, stmt, &row, err);
    if (status != MC_OK)
        return status;
    *found = row ? name : NULL;
    if (!row)
        return MC_OK;
    *name = (struct name){thread_no, mc_arena_copy(&names->arena, mc_column_str(stmt, 0)),
                          mc_arena_copy(&names->arena, mc_column_str(stmt, 1))};
    return name->user_id.data && name->thread_id.data ? MC_OK : mc_fail_memory(err);
}

/* The message of the present row, whose user and thread are numbers. *fits: it is loaded. */
static enum mc_status add_row(struct names *names, sqlite3_stmt *stmt, struct mc_load *load,
                              struct mc_records *out, bool *fits, struct mc_error *err)
{
    const struct name *name;
    struct mc_record *record;
    enum mc_status status = find_name(names, mc_column_int(stmt, 3), &name, err);
    if (status == MC_OK)
        status =
            mc_sqlite_record_in(names->conn, stmt, name->user_id, name->thread_id, &record, err);
    if (status != MC_OK)
        return status;
    *fits = mc_load_take(load, record);
    if (!*fits) {
        mc_record_unref(record);
        return MC_OK;
    }
    return mc_records_push(out, record) ? MC_OK : mc_fail_memory(err);
}

/* One statement for all: to start it again for each row would cost as much as reading the row. */
static const char rows_sql[] = "SELECT " MC_SQL_RECORD_IN(
    "m.user_no", "m.thread_no", "m.terms") " FROM json_each(?1) r CROSS JOIN messages m"
                                           " ON m.id = r.value WHERE " MC_SQL_ALLOWED;

static enum mc_status read_rows(struct mc_conn *conn, const int64_t *rows, size_t count,
                                const struct mc_allowed *allowed, struct mc_records *out,
                                struct mc_error *err)
{
    mc_auto(names_fini) struct names names = {.conn = conn};
    mc_arena_init(&names.arena, NAMES_BYTES);
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    mc_str list = MC_STR("");
    enum mc_status status = mc_rows_to_json(conn, rows, count, &list, err);
    if (status == MC_OK)
        status = mc_conn_start(conn, rows_sql, MC_BINDS(mc_bind_str(list)), &stmt, err);
    if (status == MC_OK)
        mc_allowed_bind(allowed, stmt);
    bool fits = true;
    while (fits && mc_conn_next(conn, stmt, &status, err))
        status = add_row(&names, stmt, allowed->reader->load, out, &fits, err);
    return status;
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

/* A place in a thread's order. The names are borrowed. */
struct position {
    int64_t user_no, thread_no, created_at, row;
    mc_str user_id, thread_id;
};

#define POSITION_COLUMNS "m.user_no, m.thread_no, m.created_at, m.id, u.user_id, t.thread_id"

/* Messages of a thread at ?1, ?2, named ?6, ?7. */
#define SELECT_OF_THREAD(terms)                                                                    \
    "SELECT " MC_SQL_RECORD_IN(                                                                    \
        "?6", "?7", terms) " FROM messages m"                                                      \
                           " WHERE m.user_no = ?1 AND m.thread_no = ?2 AND " MC_SQL_ALLOWED

static const char newest_sql[] =
    SELECT_OF_THREAD("NULL") " ORDER BY m.created_at DESC, m.id DESC LIMIT ?3";
static const char older_sql[] =
    SELECT_OF_THREAD("m.terms") " AND (m.created_at, m.id) < (?4, ?5)"
                                " ORDER BY m.created_at DESC, m.id DESC LIMIT ?3";

static enum mc_status read_thread(struct mc_conn *conn, const char *sql, const struct position *at,
                                  size_t limit, const struct mc_allowed *allowed,
                                  struct mc_records *out, struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    int64_t most = limit > INT64_MAX ? INT64_MAX : (int64_t)limit;
    enum mc_status status =
        mc_conn_start(conn, sql,
                      MC_BINDS(mc_bind_int(at->user_no), mc_bind_int(at->thread_no),
                               mc_bind_int(most), mc_bind_int(at->created_at), mc_bind_int(at->row),
                               mc_bind_str(at->user_id), mc_bind_str(at->thread_id)),
                      &stmt, err);
    if (status != MC_OK)
        return status;
    mc_allowed_bind(allowed, stmt);
    return mc_sqlite_records(conn, stmt, allowed->reader->load, out, err);
}

/* One row: the numbers of user and thread, time, row, the names. These last as long as *stmt. */
static enum mc_status read_position(struct mc_conn *conn, const char *sql,
                                    const struct mc_bind *binds, const struct mc_allowed *allowed,
                                    struct position *at, bool *found, sqlite3_stmt **stmt,
                                    struct mc_error *err)
{
    enum mc_status status = mc_conn_start(conn, sql, binds, stmt, err);
    *found = false;
    if (status == MC_OK && allowed)
        mc_allowed_bind(allowed, *stmt);
    if (status == MC_OK)
        status = mc_conn_step(conn, *stmt, found, err);
    if (status == MC_OK && *found)
        *at = (struct position){mc_column_int(*stmt, 0), mc_column_int(*stmt, 1),
                                mc_column_int(*stmt, 2), mc_column_int(*stmt, 3),
                                mc_column_str(*stmt, 4), mc_column_str(*stmt, 5)};
    return status;
}

static enum mc_status read_recent(struct mc_conn *conn, const struct mc_recent_read *read,
                                  const struct mc_allowed *allowed, struct mc_records *out,
                                  struct mc_error *err)
{
    struct position at = {0};
    bool found;
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    if (!mc_str_given(read->before)) {
        enum mc_status status =
            read_position(conn,
                          "SELECT t.user_no, t.thread_no, 0, 0, u.user_id, t.thread_id"
                          " FROM threads t JOIN users u ON u.user_no = t.user_no"
                          " WHERE u.user_id = ?1 AND t.thread_id = ?2",
                          MC_BINDS(mc_bind_str(read->user_id), mc_bind_str(read->thread_id)), NULL,
                          &at, &found, &stmt, err);
        if (status != MC_OK || !found)
            return status;
        return read_thread(conn, newest_sql, &at, read->limit, allowed, out, err);
    }
    enum mc_status status = read_position(
        conn,
        "SELECT " POSITION_COLUMNS MC_SQL_RECORD_FROM
        " WHERE m.message_id = ?1 AND u.user_id = ?2 AND t.thread_id = ?3 AND " MC_SQL_ALLOWED,
        MC_BINDS(mc_bind_str(read->before), mc_bind_str(read->user_id),
                 mc_bind_str(read->thread_id)),
        allowed, &at, &found, &stmt, err);
    if (status != MC_OK)
        return status;
    if (!found)
        return mc_fail_field(err, MC_NOT_FOUND, "before",
                             "there is no message '%.*s' in this thread", MC_STR_ARG(read->before));
    return read_thread(conn, older_sql, &at, read->limit, allowed, out, err);
}

static enum mc_status read_state(struct mc_conn *conn, mc_str user_id, mc_str thread_id,
                                 struct mc_thread_state *state, struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum mc_status status =
        mc_conn_start(conn,
                      "SELECT t.version, t.messages FROM threads t"
                      " JOIN users u ON u.user_no = t.user_no"
                      " WHERE u.user_id = ?1 AND t.thread_id = ?2",
                      MC_BINDS(mc_bind_str(user_id), mc_bind_str(thread_id)), &stmt, err);
    if (status == MC_OK)
        status = mc_conn_step(conn, stmt, &row, err);
    if (status != MC_OK)
        return status;
    *state = (struct mc_thread_state){0};
    if (row)
        *state = (struct mc_thread_state){true, mc_column_int(stmt, 0), mc_column_int(stmt, 1)};
    return MC_OK;
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
    struct mc_thread_state state = {0};
    if (status == MC_OK && read->state)
        status = read_state(reading.conn, read->user_id, read->thread_id, &state, err);
    if (status == MC_OK)
        status = append_all(&found, out, err);
    if (status == MC_OK && read->state)
        *read->state = state;
    return status;
}

enum mc_status mc_sqlite_thread(struct mc_store *store, mc_str user_id, mc_str thread_id,
                                struct mc_thread_state *state, struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    enum mc_status status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    return status == MC_OK ? read_state(reading.conn, user_id, thread_id, state, err) : status;
}
