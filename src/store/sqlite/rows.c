/* Reading messages, and the access rule. */
#include "store/sqlite/sqlite.h"

#include <assert.h>

#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

static_assert(MC_VISIBILITY_SHARED == 1 && MC_VISIBILITY_PUBLIC == 2,
              "the numbers are written in MC_SQL_ALLOWED");

/* Columns of MC_SQL_RECORD. */
enum {
    COL_ROW,
    COL_MESSAGE,
    COL_USER,
    COL_THREAD,
    COL_SESSION,
    COL_AGENT,
    COL_ROLE,
    COL_VISIBILITY,
    COL_TIER,
    COL_STATE,
    COL_IMPORTANCE,
    COL_CREATED,
    COL_GROUPS,
    COL_METADATA,
    COL_TEXT,
    COL_PACKED,
    COL_TERMS
};
static_assert(COL_TERMS + 1 == MC_SQL_RECORD_COLUMNS, "the columns of MC_SQL_RECORD");

enum mc_status mc_sqlite_groups(struct mc_conn *conn, mc_str json, struct mc_json **root,
                                mc_str groups[MC_SQLITE_GROUPS_MAX], size_t *count,
                                struct mc_error *err)
{
    *count = 0;
    if (json.len == 0)
        return MC_OK;
    if (mc_json_parse(json, root, err) != MC_OK || mc_json_type(*root) != MC_JSON_ARRAY ||
        mc_json_count(*root) > MC_SQLITE_GROUPS_MAX)
        return mc_fail(err, MC_CORRUPT,
                       "database '%s': bad sharing groups in a message; run doctor", conn->path);
    *count = mc_json_count(*root);
    for (size_t i = 0; i < *count; i++)
        groups[i] = mc_json_string(mc_json_at(*root, i));
    return MC_OK;
}

static bool in_range(sqlite3_stmt *stmt, int column, int64_t limit)
{
    int64_t value = mc_column_int(stmt, column);
    return value >= 0 && value < limit;
}

/* A text column that is copied at once: without the NUL behind it, for which SQLite would copy it
 * first. Empty for NULL. */
static mc_str borrowed(sqlite3_stmt *stmt, int column)
{
    const char *data = sqlite3_column_blob(stmt, column);
    return data ? (mc_str){data, (size_t)sqlite3_column_bytes(stmt, column)} : MC_STR("");
}

enum mc_status mc_sqlite_record(struct mc_conn *conn, sqlite3_stmt *stmt, struct mc_record **record,
                                struct mc_error *err)
{
    return mc_sqlite_record_in(conn, stmt, borrowed(stmt, COL_USER), borrowed(stmt, COL_THREAD),
                               record, err);
}

enum mc_status mc_sqlite_record_in(struct mc_conn *conn, sqlite3_stmt *stmt, mc_str user_id,
                                   mc_str thread_id, struct mc_record **record,
                                   struct mc_error *err)
{
    if (!in_range(stmt, COL_ROLE, MC_ROLE_COUNT) ||
        !in_range(stmt, COL_VISIBILITY, MC_VISIBILITY_COUNT) ||
        !in_range(stmt, COL_TIER, MC_TIER_COUNT) || !in_range(stmt, COL_STATE, MC_ENRICHMENT_COUNT))
        return mc_fail(err, MC_CORRUPT,
                       "database '%s': message row %" PRId64
                       " has a value out of range; restore a backup",
                       conn->path, mc_column_int(stmt, COL_ROW));
    struct mc_message m = {
        .message_id = borrowed(stmt, COL_MESSAGE),
        .user_id = user_id,
        .thread_id = thread_id,
        .session_id = borrowed(stmt, COL_SESSION),
        .agent_id = borrowed(stmt, COL_AGENT),
        .text = borrowed(stmt, COL_TEXT),
        .metadata = borrowed(stmt, COL_METADATA),
        .created_at_us = mc_column_int(stmt, COL_CREATED),
        .importance = sqlite3_column_double(stmt, COL_IMPORTANCE),
        .role = (enum mc_role)mc_column_int(stmt, COL_ROLE),
        .visibility = (enum mc_visibility)mc_column_int(stmt, COL_VISIBILITY),
        .tier = (enum mc_tier)mc_column_int(stmt, COL_TIER),
        .enrichment_state = (enum mc_enrichment)mc_column_int(stmt, COL_STATE),
    };
    mc_auto(mc_unpacked_fini) struct mc_unpacked unpacked = {.memory = NULL};
    mc_str frame = borrowed(stmt, COL_PACKED);
    if (frame.len > 0) {
        enum mc_status status = mc_sqlite_unpack(conn, frame, &unpacked, err);
        if (status != MC_OK)
            return status;
        m.metadata = unpacked.metadata;
        m.text = unpacked.text;
    }
    /* Nothing where the schema has something means that a conversion ran out of memory. */
    if (m.message_id.len == 0 || m.user_id.len == 0 || m.thread_id.len == 0 || m.text.len == 0 ||
        m.metadata.len == 0)
        return mc_fail_memory(err);
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    mc_str groups[MC_SQLITE_GROUPS_MAX];
    enum mc_status status = mc_sqlite_groups(conn, borrowed(stmt, COL_GROUPS), &root, groups,
                                             &m.sharing_group_count, err);
    if (status != MC_OK)
        return status;
    m.sharing_groups = groups;
    return mc_record_new(&m, mc_column_int(stmt, COL_ROW), borrowed(stmt, COL_TERMS), record, err);
}

enum mc_status mc_sqlite_records(struct mc_conn *conn, sqlite3_stmt *stmt, struct mc_load *load,
                                 struct mc_records *out, struct mc_error *err)
{
    for (;;) {
        bool row;
        enum mc_status status = mc_conn_step(conn, stmt, &row, err);
        if (status != MC_OK || !row)
            return status;
        struct mc_record *record;
        status = mc_sqlite_record(conn, stmt, &record, err);
        if (status != MC_OK)
            return status;
        if (!mc_load_take(load, record)) {
            mc_record_unref(record);
            return MC_OK;
        }
        if (!mc_records_push(out, record))
            return mc_fail_memory(err);
    }
}

enum mc_status mc_rows_to_json(struct mc_conn *conn, const int64_t *rows, size_t count,
                               mc_str *list, struct mc_error *err)
{
    mc_buf_reset(&conn->scratch);
    struct mc_json_writer w = mc_json_writer(&conn->scratch);
    mc_json_begin(&w, '[');
    for (size_t i = 0; i < count; i++)
        mc_json_put_integer(&w, rows[i]);
    mc_json_end(&w, ']');
    if (conn->scratch.failed)
        return mc_fail_memory(err);
    *list = mc_buf_str(&conn->scratch);
    return MC_OK;
}

/* ---- Access ---- */

void mc_names_to_json(const mc_str *names, size_t count, struct mc_buf *out)
{
    struct mc_json_writer w = mc_json_writer(out);
    mc_json_begin(&w, '[');
    for (size_t i = 0; i < count; i++)
        mc_json_put_string(&w, names[i]);
    mc_json_end(&w, ']');
}

enum mc_status mc_allowed_init(struct mc_allowed *allowed, const struct mc_reader *reader,
                               struct mc_error *err)
{
    allowed->reader = reader;
    mc_buf_init(&allowed->groups, 1U << 20);
    mc_buf_init(&allowed->agents, 1U << 20);
    if (reader->read_shared && !reader->everything)
        mc_names_to_json(reader->groups, reader->group_count, &allowed->groups);
    if (reader->only_agent_count > 0)
        mc_names_to_json(reader->only_agents, reader->only_agent_count, &allowed->agents);
    if (allowed->groups.failed || allowed->agents.failed)
        return mc_fail(err, MC_TOO_LARGE, "too many sharing groups or agents in one request");
    return MC_OK;
}

void mc_allowed_fini(struct mc_allowed *allowed)
{
    if (!allowed->reader)
        return;
    mc_buf_fini(&allowed->groups);
    mc_buf_fini(&allowed->agents);
}

void mc_allowed_bind(const struct mc_allowed *allowed, sqlite3_stmt *stmt)
{
    const struct mc_reader *reader = allowed->reader;
    sqlite3_bind_int(stmt, 11, reader->everything);
    mc_str agent = reader->agent_id;
    sqlite3_bind_text64(stmt, 12, agent.data ? agent.data : "", agent.len, SQLITE_STATIC,
                        SQLITE_UTF8);
    sqlite3_bind_int(stmt, 13, reader->read_public);
    sqlite3_bind_int(stmt, 14, reader->read_any_shared);
    sqlite3_bind_int(stmt, 15, allowed->groups.len > 0);
    const char *groups = allowed->groups.len > 0 ? allowed->groups.data : "[]";
    sqlite3_bind_text(stmt, 16, groups, -1, SQLITE_STATIC);
    const char *agents = allowed->agents.len > 0 ? allowed->agents.data : NULL;
    sqlite3_bind_text(stmt, 17, agents, -1, SQLITE_STATIC);
}
