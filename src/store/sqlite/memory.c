/* Preferences, signals, agents. */
#include "store/sqlite/sqlite.h"

#include "base/error.h"
#include "base/str.h"

/* ---- Preferences ---- */

enum mc_status mc_sqlite_preferences(struct mc_store *store, mc_str user_id, struct mc_buf *json,
                                     struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum mc_status status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status =
            mc_conn_start(reading.conn, "SELECT preferences FROM preferences WHERE user_id = ?1",
                          MC_BINDS(mc_bind_str(user_id)), &stmt, err);
    if (status == MC_OK)
        status = mc_conn_step(reading.conn, stmt, &row, err);
    if (status != MC_OK || !row)
        return status;
    mc_buf_append(json, mc_column_str(stmt, 0));
    return json->failed ? mc_fail_memory(err) : MC_OK;
}

struct preferences {
    mc_str user_id, old, json;
    bool learned;
};

/* *same: what the caller read is what is stored. */
static enum mc_status compare(struct mc_conn *conn, const struct preferences *p, bool *same,
                              struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool row = false;
    int64_t has_signals = 1;
    enum mc_status status =
        mc_conn_start(conn, "SELECT preferences FROM preferences WHERE user_id = ?1",
                      MC_BINDS(mc_bind_str(p->user_id)), &stmt, err);
    if (status == MC_OK)
        status = mc_conn_step(conn, stmt, &row, err);
    if (status == MC_OK)
        *same = mc_str_equal(row ? mc_column_str(stmt, 0) : MC_STR(""), p->old);
    if (status == MC_OK && p->learned)
        status = mc_conn_integer(conn, "SELECT EXISTS(SELECT 1 FROM signals WHERE user_id = ?1)",
                                 MC_BINDS(mc_bind_str(p->user_id)), NULL, &has_signals, err);
    *same = *same && has_signals;
    return status;
}

static enum mc_status apply_preferences(struct mc_writer *writer, void *context,
                                        struct mc_error *err)
{
    const struct preferences *p = context;
    bool same = false;
    enum mc_status status = compare(writer->conn, p, &same, err);
    if (status == MC_OK && !same)
        status = mc_fail(err, MC_CONFLICT, "the preferences of '%.*s' were changed meanwhile",
                         MC_STR_ARG(p->user_id));
    if (status != MC_OK)
        return status;
    return mc_conn_exec(writer->conn,
                        "INSERT INTO preferences(user_id, preferences) VALUES(?1, ?2)"
                        " ON CONFLICT(user_id) DO UPDATE SET preferences = excluded.preferences",
                        MC_BINDS(mc_bind_str(p->user_id), mc_bind_text(p->json)), err);
}

enum mc_status mc_sqlite_set_preferences(struct mc_store *store, mc_str user_id, mc_str old,
                                         mc_str json, bool learned, struct mc_error *err)
{
    struct preferences p = {user_id, old, json, learned};
    return mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, 1, apply_preferences, &p, err);
}

/* ---- Signals ---- */

struct signals {
    mc_str user_id;
    const struct mc_signal *items;
    size_t count;
};

enum mc_status mc_sqlite_count_signals(struct mc_conn *conn, mc_str user_id,
                                       const struct mc_signal *items, size_t count,
                                       struct mc_error *err)
{
    enum mc_status status = MC_OK;
    for (size_t i = 0; status == MC_OK && i < count; i++) {
        const struct mc_signal *s = &items[i];
        status = mc_conn_exec(
            conn,
            "INSERT INTO signals(user_id, field, value, count, weight, last_seen)"
            " VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(user_id, field, value) DO UPDATE SET"
            " count = count + excluded.count, weight = weight + excluded.weight,"
            " last_seen = max(last_seen, excluded.last_seen)",
            MC_BINDS(mc_bind_str(user_id), mc_bind_text(s->field), mc_bind_text(s->value),
                     mc_bind_int(s->count), mc_bind_double(s->weight),
                     mc_bind_int(s->last_seen_us)),
            err);
    }
    return status;
}

static enum mc_status apply_signals(struct mc_writer *writer, void *context, struct mc_error *err)
{
    const struct signals *signals = context;
    return mc_sqlite_count_signals(writer->conn, signals->user_id, signals->items, signals->count,
                                   err);
}

enum mc_status mc_sqlite_add_signals(struct mc_store *store, mc_str user_id,
                                     const struct mc_signal *items, size_t count,
                                     struct mc_error *err)
{
    if (count == 0)
        return MC_OK;
    struct signals signals = {user_id, items, count};
    return mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, count, apply_signals, &signals,
                           err);
}

enum mc_status mc_sqlite_signals(struct mc_store *store, mc_str user_id, mc_signal_fn each,
                                 void *context, struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_conn_start(reading.conn,
                               "SELECT field, value, count, last_seen, weight FROM signals"
                               " WHERE user_id = ?1 ORDER BY field, value",
                               MC_BINDS(mc_bind_str(user_id)), &stmt, err);
    bool more = true;
    while (more && mc_conn_next(reading.conn, stmt, &status, err)) {
        struct mc_signal signal = {
            .field = mc_column_str(stmt, 0),
            .value = mc_column_str(stmt, 1),
            .count = mc_column_int(stmt, 2),
            .last_seen_us = mc_column_int(stmt, 3),
            .weight = sqlite3_column_double(stmt, 4),
        };
        more = each(context, &signal);
    }
    return status;
}

/* ---- Agents ---- */

static enum mc_status apply_agent(struct mc_writer *writer, void *context, struct mc_error *err)
{
    const struct mc_agent_row *a = context;
    return mc_conn_exec(
        writer->conn,
        "INSERT OR REPLACE INTO agents(agent_id, name, description, sharing_groups, metadata,"
        " default_visibility, can_read_public, can_write_public, created_at)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        MC_BINDS(mc_bind_str(a->agent_id), mc_bind_text(a->name), mc_bind_text(a->description),
                 mc_bind_str(a->sharing_groups.len > 0 ? a->sharing_groups : MC_STR("[]")),
                 mc_bind_str(a->metadata.len > 0 ? a->metadata : MC_STR("{}")),
                 mc_bind_int(a->default_visibility), mc_bind_int(a->can_read_public),
                 mc_bind_int(a->can_write_public), mc_bind_int(a->created_at_us)),
        err);
}

enum mc_status mc_sqlite_put_agent(struct mc_store *store, const struct mc_agent_row *agent,
                                   struct mc_error *err)
{
    struct mc_agent_row row = *agent;
    return mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, 1, apply_agent, &row, err);
}

static enum mc_status apply_remove_agent(struct mc_writer *writer, void *context,
                                         struct mc_error *err)
{
    const mc_str *agent_id = context;
    enum mc_status status = mc_conn_exec(writer->conn, "DELETE FROM agents WHERE agent_id = ?1",
                                         MC_BINDS(mc_bind_str(*agent_id)), err);
    if (status == MC_OK && mc_conn_changes(writer->conn) == 0)
        return mc_fail_field(err, MC_NOT_FOUND, "agent_id", "there is no agent '%.*s'",
                             MC_STR_ARG(*agent_id));
    return status;
}

enum mc_status mc_sqlite_remove_agent(struct mc_store *store, mc_str agent_id, struct mc_error *err)
{
    return mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, 1, apply_remove_agent, &agent_id,
                           err);
}

enum mc_status mc_sqlite_agents(struct mc_store *store, mc_agent_fn each, void *context,
                                struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_conn_start(reading.conn,
                               "SELECT agent_id, name, description, sharing_groups, metadata,"
                               " default_visibility, can_read_public, can_write_public, created_at"
                               " FROM agents ORDER BY agent_id",
                               MC_NO_BINDS, &stmt, err);
    bool more = true;
    while (more && mc_conn_next(reading.conn, stmt, &status, err)) {
        int64_t visibility = mc_column_int(stmt, 5);
        struct mc_agent_row agent = {
            .agent_id = mc_column_str(stmt, 0),
            .name = mc_column_str(stmt, 1),
            .description = mc_column_str(stmt, 2),
            .sharing_groups = mc_column_str(stmt, 3),
            .metadata = mc_column_str(stmt, 4),
            .default_visibility = visibility >= 0 && visibility < MC_VISIBILITY_COUNT
                                      ? (enum mc_visibility)visibility
                                      : MC_VISIBILITY_PRIVATE,
            .can_read_public = mc_column_int(stmt, 6) != 0,
            .can_write_public = mc_column_int(stmt, 7) != 0,
            .created_at_us = mc_column_int(stmt, 8),
        };
        more = each(context, &agent);
    }
    return status;
}

enum mc_status mc_sqlite_agent_counts(struct mc_store *store, mc_count_fn by_agent,
                                      mc_count_fn by_visibility, void *context,
                                      struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    /* One pass over the table; visibilities are added up here. */
    int64_t visible[MC_VISIBILITY_COUNT] = {0};
    enum mc_status status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status =
            mc_conn_start(reading.conn,
                          "SELECT agent_id, count(*), sum(visibility = 0), sum(visibility = 1),"
                          " sum(visibility = 2) FROM messages GROUP BY agent_id",
                          MC_NO_BINDS, &stmt, err);
    bool more = true;
    while (mc_conn_next(reading.conn, stmt, &status, err)) {
        for (int i = 0; i < MC_VISIBILITY_COUNT; i++)
            visible[i] += mc_column_int(stmt, 2 + i);
        if (more)
            more = by_agent(context, mc_column_str(stmt, 0), mc_column_int(stmt, 1));
    }
    for (int i = 0; status == MC_OK && i < MC_VISIBILITY_COUNT; i++)
        if (!by_visibility(context, mc_str_of(mc_visibility_name((enum mc_visibility)i)),
                           visible[i]))
            break;
    return status;
}
