/* Reading messages, the access rule, shards. */
#include <stdlib.h>

#include <assert.h>

#include "base/error.h"
#include "store/postgres/pg.h"

static_assert(MC_VISIBILITY_SHARED == 1 && MC_VISIBILITY_PUBLIC == 2,
              "the numbers are written in MC_PG_ALLOWED");

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
    COL_ATTACHED,
    COL_TEXT,
    COL_PACKED,
    COL_TERMS
};
static_assert(COL_TERMS + 1 == MC_PG_RECORD_COLUMNS, "the columns of MC_PG_RECORD");

/* A validated message has at most 32 groups; a table that somebody wrote to may say anything. */
#define GROUPS_MAX 64

static bool in_range(const PGresult *result, size_t row, int column, int64_t limit)
{
    int64_t value = mc_pg_cell_int(result, row, column);
    return value >= 0 && value < limit;
}

enum mc_status mc_pg_record(struct mc_pg_conn *conn, const PGresult *result, size_t row,
                            struct mc_record **record, struct mc_error *err)
{
    mc_str groups[GROUPS_MAX];
    size_t group_count = 0;
    if (!in_range(result, row, COL_ROLE, MC_ROLE_COUNT) ||
        !in_range(result, row, COL_VISIBILITY, MC_VISIBILITY_COUNT) ||
        !in_range(result, row, COL_TIER, MC_TIER_COUNT) ||
        !in_range(result, row, COL_STATE, MC_ENRICHMENT_COUNT) ||
        !mc_pg_cell_strs(result, row, COL_GROUPS, groups, GROUPS_MAX, &group_count))
        return mc_fail(err, MC_CORRUPT,
                       "message row %" PRId64 " has a value out of range; restore a backup",
                       mc_pg_cell_int(result, row, COL_ROW));
    struct mc_message m = {
        .message_id = mc_pg_cell(result, row, COL_MESSAGE),
        .user_id = mc_pg_cell(result, row, COL_USER),
        .thread_id = mc_pg_cell(result, row, COL_THREAD),
        .session_id = mc_pg_cell(result, row, COL_SESSION),
        .agent_id = mc_pg_cell(result, row, COL_AGENT),
        .text = mc_pg_cell(result, row, COL_TEXT),
        .metadata = mc_pg_cell(result, row, COL_ATTACHED),
        .sharing_groups = group_count > 0 ? groups : NULL,
        .sharing_group_count = group_count,
        .created_at_us = mc_pg_cell_time(result, row, COL_CREATED),
        .importance = mc_pg_cell_double(result, row, COL_IMPORTANCE),
        .role = (enum mc_role)mc_pg_cell_int(result, row, COL_ROLE),
        .visibility = (enum mc_visibility)mc_pg_cell_int(result, row, COL_VISIBILITY),
        .tier = (enum mc_tier)mc_pg_cell_int(result, row, COL_TIER),
        .enrichment_state = (enum mc_enrichment)mc_pg_cell_int(result, row, COL_STATE),
    };
    mc_auto(mc_unpacked_fini) struct mc_unpacked unpacked = {.memory = NULL};
    mc_str frame = mc_pg_cell(result, row, COL_PACKED);
    if (mc_str_given(frame)) {
        enum mc_status status = mc_pg_unpack(conn, frame, &unpacked, err);
        if (status != MC_OK)
            return status;
        m.metadata = unpacked.metadata;
        m.text = unpacked.text;
    }
    mc_str terms = mc_pg_cell(result, row, COL_TERMS);
    return mc_record_new(&m, mc_pg_cell_int(result, row, COL_ROW), terms.data ? terms : MC_STR(""),
                         record, err);
}

enum mc_status mc_pg_records(struct mc_pg_conn *conn, const PGresult *result,
                             struct mc_records *out, struct mc_error *err)
{
    size_t start = out->count;
    enum mc_status status = MC_OK;
    for (size_t i = 0; status == MC_OK && i < (size_t)PQntuples(result); i++) {
        struct mc_record *record;
        status = mc_pg_record(conn, result, i, &record, err);
        if (status == MC_OK && !mc_records_push(out, record))
            status = mc_fail_memory(err);
    }
    while (status != MC_OK && out->count > start)
        mc_record_unref(out->items[--out->count]);
    return status;
}

bool mc_pg_copy_cells(const PGresult *result, size_t row, int column, struct mc_arena *arena,
                      mc_str *const *to, size_t count)
{
    bool copied = true;
    for (size_t i = 0; i < count; i++) {
        mc_str cell = mc_pg_cell(result, row, column + (int)i);
        if (!mc_str_given(cell))
            continue;
        *to[i] = mc_arena_copy(arena, cell);
        copied = copied && to[i]->data;
    }
    return copied;
}

/* ---- By shard ---- */

#define MORE_MAX (MC_PG_ALLOWED_AT + 6)

int64_t mc_pg_shard_of_rows(const int64_t *rows, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (mc_pg_row_shard(rows[i]) != mc_pg_row_shard(rows[0]))
            return -1;
    return count > 0 ? mc_pg_row_shard(rows[0]) : -1;
}

enum mc_status mc_pg_add_by_shard(struct mc_pg_conn *conn, const char *sql, const int64_t *rows,
                                  size_t count, const struct mc_pg_arg *more, size_t *statements,
                                  struct mc_error *err)
{
    int64_t *of_shard = malloc((count + 1) * sizeof(*of_shard));
    bool done[256] = {false};
    *statements = 0;
    if (!of_shard)
        return mc_fail_memory(err);
    struct mc_pg_arg args[MORE_MAX + 3] = {{.type = 0}};
    for (size_t i = 0; more && more[i].type && i < MORE_MAX; i++)
        args[i + 2] = more[i];
    for (size_t i = 0; i < count; i++) {
        int64_t shard = mc_pg_row_shard(rows[i]);
        size_t n = 0;
        if (done[shard])
            continue;
        done[shard] = true;
        for (size_t j = i; j < count; j++)
            if (mc_pg_row_shard(rows[j]) == shard)
                of_shard[n++] = rows[j];
        args[0] = mc_pg_int(shard);
        args[1] = mc_pg_ints(of_shard, n);
        mc_pg_add(conn, sql, args);
        ++*statements;
    }
    free(of_shard);
    return MC_OK;
}

/* ---- Access ---- */

void mc_pg_allowed(struct mc_pg_allowed_args *args, const struct mc_pg_arg *own,
                   const struct mc_reader *reader)
{
    size_t count = 0;
    for (; own && own[count].type && count < MC_PG_ALLOWED_AT; count++)
        args->items[count] = own[count];
    for (; count < MC_PG_ALLOWED_AT; count++)
        args->items[count] = (struct mc_pg_arg){.type = 'i', .null = true};
    bool groups = reader->read_shared && !reader->everything;
    struct mc_pg_arg agents = mc_pg_strs(reader->only_agents, reader->only_agent_count);
    agents.null = reader->only_agent_count == 0;
    struct mc_pg_arg *rule = args->items + MC_PG_ALLOWED_AT;
    rule[0] = mc_pg_bool(reader->everything);
    rule[1] = mc_pg_text(reader->agent_id);
    rule[2] = mc_pg_bool(reader->read_public);
    rule[3] = mc_pg_bool(reader->read_any_shared);
    rule[4] = mc_pg_strs(reader->groups, groups ? reader->group_count : 0);
    rule[5] = agents;
    rule[6] = (struct mc_pg_arg){.type = 0};
}

/* ---- Threads ---- */

void mc_pg_add_bump(struct mc_pg_conn *conn, mc_str user_id, mc_str thread_id, int64_t by)
{
    mc_pg_add(conn,
              "UPDATE threads SET version = version + $4"
              " WHERE shard = $1 AND user_id = $2 AND thread_id = $3 RETURNING version",
              MC_PG_ARGS(mc_pg_int(mc_pg_shard(user_id)), mc_pg_str(user_id), mc_pg_str(thread_id),
                         mc_pg_int(by)));
}

int mc_pg_compare(mc_str a, mc_str b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.data, b.data, len) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}
