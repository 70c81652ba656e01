/* Preferences, signals, agents. */
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "store/postgres/pg.h"

/* ---- Preferences ---- */

static enum mc_status take_preferences(const PGresult *result, void *context, struct mc_error *err)
{
    struct mc_buf *json = context;
    if (PQntuples(result) == 0)
        return MC_OK;
    mc_buf_append(json, mc_pg_cell(result, 0, 0));
    return json->failed ? mc_fail_memory(err) : MC_OK;
}

enum mc_status mc_pg_preferences(struct mc_store *store, mc_str user_id, struct mc_buf *json,
                                 struct mc_error *err)
{
    return mc_pg_read_one(mc_pg_of(store),
                          "SELECT preferences FROM preferences WHERE shard = $1 AND user_id = $2",
                          MC_PG_ARGS(mc_pg_int(mc_pg_shard(user_id)), mc_pg_str(user_id)),
                          take_preferences, json, err);
}

struct preferences {
    mc_str user_id, old, json;
    bool learned;
};

static enum mc_status preferences_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    const struct preferences *p = context;
    struct mc_pg_arg shard = mc_pg_int(mc_pg_shard(p->user_id)), user = mc_pg_str(p->user_id);
    /* Two that set a user's first preferences at once have no row to wait for: the number is the lock. */
    mc_pg_add_quiet(conn, "SELECT pg_advisory_xact_lock($1)",
                    MC_PG_ARGS(mc_pg_int((int64_t)mc_str_hash(p->user_id))));
    enum mc_status status = mc_pg_run(conn, err);
    if (status != MC_OK)
        return status;
    mc_pg_add(conn, "SELECT preferences FROM preferences WHERE shard = $1 AND user_id = $2",
              MC_PG_ARGS(shard, user));
    mc_pg_add(conn, "SELECT EXISTS(SELECT 1 FROM signals WHERE shard = $1 AND user_id = $2)",
              MC_PG_ARGS(shard, user));
    status = mc_pg_run(conn, err);
    if (status != MC_OK)
        return status;
    mc_str stored = mc_pg_rows(conn, 0) > 0 ? mc_pg_cell(conn->results[0], 0, 0) : MC_STR("");
    if (!mc_str_equal(stored, p->old) || (p->learned && !mc_pg_first_int(conn, 1)))
        return mc_fail(err, MC_CONFLICT, "the preferences of '%.*s' were changed meanwhile",
                       MC_STR_ARG(p->user_id));
    return mc_pg_query(conn,
                       "INSERT INTO preferences(shard, user_id, preferences) VALUES($1, $2, $3)"
                       " ON CONFLICT (shard, user_id) DO UPDATE"
                       " SET preferences = excluded.preferences",
                       MC_PG_ARGS(shard, user, mc_pg_text(p->json)), err);
}

enum mc_status mc_pg_set_preferences(struct mc_store *store, mc_str user_id, mc_str old,
                                     mc_str json, bool learned, struct mc_error *err)
{
    struct preferences p = {user_id, old, json, learned};
    return mc_pg_write(mc_pg_of(store), 0, preferences_work, &p, err);
}

/* ---- Signals ---- */

static const char learn_sql[] =
    "INSERT INTO signals AS s(shard, user_id, field, value, count, weight, last_seen)"
    " SELECT n.shard, n.user_id, n.field, n.value, sum(n.times)::bigint, sum(n.weight),"
    " max(n.last_seen) FROM unnest($1, $2, $3, $4, $5, $6, $7)"
    " n(shard, user_id, field, value, times, weight, last_seen)"
    " GROUP BY n.shard, n.user_id, n.field, n.value ORDER BY n.shard, n.user_id COLLATE \"C\","
    " n.field COLLATE \"C\", n.value COLLATE \"C\""
    " ON CONFLICT (shard, user_id, field, value)"
    " DO UPDATE SET count = s.count + excluded.count, weight = s.weight + excluded.weight,"
    " last_seen = greatest(s.last_seen, excluded.last_seen)";

enum mc_status mc_pg_add_learned(struct mc_pg_conn *conn, const struct mc_pg_learned *items,
                                 size_t count, struct mc_error *err)
{
    if (count == 0)
        return MC_OK;
    struct mc_arena arena;
    mc_arena_init(&arena, SIZE_MAX / 2);
    int64_t *shards = mc_arena_array(&arena, count, sizeof(*shards));
    int64_t *counts = mc_arena_array(&arena, count, sizeof(*counts));
    int64_t *times = mc_arena_array(&arena, count, sizeof(*times));
    double *weights = mc_arena_array(&arena, count, sizeof(*weights));
    mc_str *users = mc_arena_array(&arena, count, sizeof(*users));
    mc_str *fields = mc_arena_array(&arena, count, sizeof(*fields));
    mc_str *values = mc_arena_array(&arena, count, sizeof(*values));
    bool made = shards && counts && times && weights && users && fields && values;
    for (size_t i = 0; made && i < count; i++) {
        const struct mc_signal *signal = items[i].signal;
        users[i] = items[i].user_id;
        shards[i] = mc_pg_shard(users[i]);
        fields[i] = signal->field;
        values[i] = signal->value;
        counts[i] = signal->count;
        weights[i] = signal->weight;
        times[i] = signal->last_seen_us;
    }
    if (made)
        mc_pg_add_quiet(conn, learn_sql,
                        MC_PG_ARGS(mc_pg_ints(shards, count), mc_pg_strs(users, count),
                                   mc_pg_strs(fields, count), mc_pg_strs(values, count),
                                   mc_pg_ints(counts, count), mc_pg_doubles(weights, count),
                                   mc_pg_times(times, count)));
    mc_arena_fini(&arena);
    return made ? MC_OK : mc_fail_memory(err);
}

struct learned {
    const struct mc_pg_learned *items;
    size_t count;
};

static enum mc_status learn_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    const struct learned *learned = context;
    enum mc_status status = mc_pg_add_learned(conn, learned->items, learned->count, err);
    return status == MC_OK ? mc_pg_run(conn, err) : status;
}

enum mc_status mc_pg_add_signals(struct mc_store *store, mc_str user_id,
                                 const struct mc_signal *items, size_t count, struct mc_error *err)
{
    if (count == 0)
        return MC_OK;
    struct mc_pg_learned *own = calloc(count, sizeof(*own));
    struct learned learned = {own, count};
    if (!own)
        return mc_fail_memory(err);
    for (size_t i = 0; i < count; i++)
        own[i] = (struct mc_pg_learned){user_id, &items[i]};
    enum mc_status status = mc_pg_write(mc_pg_of(store), 0, learn_work, &learned, err);
    free(own);
    return status;
}

struct signal_reader {
    mc_signal_fn each;
    void *context;
};

static enum mc_status take_signals(const PGresult *result, void *context, struct mc_error *err)
{
    (void)err;
    const struct signal_reader *reader = context;
    bool more = true;
    for (size_t i = 0; more && i < (size_t)PQntuples(result); i++) {
        struct mc_signal signal = {
            .field = mc_pg_cell(result, i, 0),
            .value = mc_pg_cell(result, i, 1),
            .count = mc_pg_cell_int(result, i, 2),
            .last_seen_us = mc_pg_cell_time(result, i, 3),
            .weight = mc_pg_cell_double(result, i, 4),
        };
        more = reader->each(reader->context, &signal);
    }
    return MC_OK;
}

enum mc_status mc_pg_signals(struct mc_store *store, mc_str user_id, mc_signal_fn each,
                             void *context, struct mc_error *err)
{
    struct signal_reader reader = {each, context};
    return mc_pg_read_one(mc_pg_of(store),
                          "SELECT field, value, count, last_seen, weight FROM signals"
                          " WHERE shard = $1 AND user_id = $2 ORDER BY field, value",
                          MC_PG_ARGS(mc_pg_int(mc_pg_shard(user_id)), mc_pg_str(user_id)),
                          take_signals, &reader, err);
}

/* ---- Agents ---- */

static enum mc_status agent_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    const struct mc_agent_row *a = context;
    return mc_pg_query(
        conn,
        "INSERT INTO agents(shard, agent_id, name, description, sharing_groups, metadata,"
        " default_visibility, can_read_public, can_write_public, created_at)"
        " VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (shard, agent_id) DO UPDATE"
        " SET name = excluded.name, description = excluded.description,"
        " sharing_groups = excluded.sharing_groups, metadata = excluded.metadata,"
        " default_visibility = excluded.default_visibility,"
        " can_read_public = excluded.can_read_public,"
        " can_write_public = excluded.can_write_public, created_at = excluded.created_at",
        MC_PG_ARGS(mc_pg_int(mc_pg_shard(a->agent_id)), mc_pg_str(a->agent_id), mc_pg_text(a->name),
                   mc_pg_text(a->description),
                   mc_pg_str(a->sharing_groups.len > 0 ? a->sharing_groups : MC_STR("[]")),
                   mc_pg_str(a->metadata.len > 0 ? a->metadata : MC_STR("{}")),
                   mc_pg_int(a->default_visibility), mc_pg_bool(a->can_read_public),
                   mc_pg_bool(a->can_write_public), mc_pg_time(a->created_at_us)),
        err);
}

enum mc_status mc_pg_put_agent(struct mc_store *store, const struct mc_agent_row *agent,
                               struct mc_error *err)
{
    struct mc_agent_row row = *agent;
    return mc_pg_write(mc_pg_of(store), 0, agent_work, &row, err);
}

static enum mc_status remove_agent_work(struct mc_pg_conn *conn, void *context,
                                        struct mc_error *err)
{
    const mc_str *agent_id = context;
    enum mc_status status =
        mc_pg_query(conn, "DELETE FROM agents WHERE shard = $1 AND agent_id = $2",
                    MC_PG_ARGS(mc_pg_int(mc_pg_shard(*agent_id)), mc_pg_str(*agent_id)), err);
    if (status == MC_OK && mc_pg_changes(conn, 0) == 0)
        return mc_fail_field(err, MC_NOT_FOUND, "agent_id", "there is no agent '%.*s'",
                             MC_STR_ARG(*agent_id));
    return status;
}

enum mc_status mc_pg_remove_agent(struct mc_store *store, mc_str agent_id, struct mc_error *err)
{
    return mc_pg_write(mc_pg_of(store), 0, remove_agent_work, &agent_id, err);
}

struct agent_reader {
    mc_agent_fn each;
    void *context;
};

static enum mc_status take_agents(const PGresult *result, void *context, struct mc_error *err)
{
    (void)err;
    const struct agent_reader *reader = context;
    bool more = true;
    for (size_t i = 0; more && i < (size_t)PQntuples(result); i++) {
        int64_t visibility = mc_pg_cell_int(result, i, 5);
        struct mc_agent_row agent = {
            .agent_id = mc_pg_cell(result, i, 0),
            .name = mc_pg_cell(result, i, 1),
            .description = mc_pg_cell(result, i, 2),
            .sharing_groups = mc_pg_cell(result, i, 3),
            .metadata = mc_pg_cell(result, i, 4),
            .default_visibility = visibility >= 0 && visibility < MC_VISIBILITY_COUNT
                                      ? (enum mc_visibility)visibility
                                      : MC_VISIBILITY_PRIVATE,
            .can_read_public = mc_pg_cell_int(result, i, 6) != 0,
            .can_write_public = mc_pg_cell_int(result, i, 7) != 0,
            .created_at_us = mc_pg_cell_time(result, i, 8),
        };
        more = reader->each(reader->context, &agent);
    }
    return MC_OK;
}

enum mc_status mc_pg_agents(struct mc_store *store, mc_agent_fn each, void *context,
                            struct mc_error *err)
{
    struct agent_reader reader = {each, context};
    return mc_pg_read_one(mc_pg_of(store),
                          "SELECT agent_id, name, description, sharing_groups, metadata,"
                          " default_visibility, can_read_public, can_write_public, created_at"
                          " FROM agents ORDER BY agent_id",
                          MC_PG_NO_ARGS, take_agents, &reader, err);
}

struct agent_counter {
    mc_count_fn by_agent, by_visibility;
    void *context;
};

static enum mc_status take_counts(const PGresult *result, void *context, struct mc_error *err)
{
    (void)err;
    const struct agent_counter *counter = context;
    int64_t visible[MC_VISIBILITY_COUNT] = {0};
    bool more = true;
    for (size_t i = 0; i < (size_t)PQntuples(result); i++) {
        for (int j = 0; j < MC_VISIBILITY_COUNT; j++)
            visible[j] += mc_pg_cell_int(result, i, 2 + j);
        if (more)
            more = counter->by_agent(counter->context, mc_pg_cell(result, i, 0),
                                     mc_pg_cell_int(result, i, 1));
    }
    for (int i = 0; i < MC_VISIBILITY_COUNT; i++)
        if (!counter->by_visibility(
                counter->context, mc_str_of(mc_visibility_name((enum mc_visibility)i)), visible[i]))
            break;
    return MC_OK;
}

enum mc_status mc_pg_agent_counts(struct mc_store *store, mc_count_fn by_agent,
                                  mc_count_fn by_visibility, void *context, struct mc_error *err)
{
    struct agent_counter counter = {by_agent, by_visibility, context};
    return mc_pg_read_one(
        mc_pg_of(store),
        "SELECT agent_id, count(*), count(*) FILTER (WHERE visibility = 0),"
        " count(*) FILTER (WHERE visibility = 1), count(*) FILTER (WHERE visibility = 2)"
        " FROM messages GROUP BY agent_id ORDER BY agent_id",
        MC_PG_NO_ARGS, take_counts, &counter, err);
}
