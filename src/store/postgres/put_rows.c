/*
 * What a put writes once its ids are known or certain: users and threads, which count messages; then the messages and
 * their jobs.
 */
#include "base/error.h"
#include "store/postgres/put.h"

/* Arguments of a statement: the server works on the first while the others are made. */
#define STATEMENT_BYTES ((size_t)64 << 10)

/* Of a message without its texts. */
#define ROW_BYTES 256

/* ---- Order ---- */

static int compare_threads(const struct mc_message *a, const struct mc_message *b)
{
    int order = mc_pg_compare(a->user_id, b->user_id);
    return order != 0 ? order : mc_pg_compare(a->thread_id, b->thread_id);
}

static int by_thread(const void *a, const void *b, void *context)
{
    const struct mc_pg_put_batch *batch = context;
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    int order = compare_threads(batch->items[x]->m, batch->items[y]->m);
    return order != 0 ? order : (x > y) - (x < y);
}

/* ---- Users and threads ---- */

/* *end: one behind the last created message of the user, or thread, that begins at i; how many there are. */
static size_t count_run(const struct mc_pg_put_batch *batch, size_t i, bool of_thread, size_t *end,
                        int64_t *last_us)
{
    const struct mc_message *m = mc_pg_put_at(batch, i)->m;
    size_t created = 0;
    *last_us = INT64_MIN;
    for (*end = i; *end < batch->count; ++*end) {
        const struct mc_pg_placed *placed = mc_pg_put_at(batch, *end);
        if (of_thread ? compare_threads(m, placed->m) != 0
                      : !mc_str_equal(m->user_id, placed->m->user_id))
            break;
        if (!placed->created)
            continue;
        created++;
        if (placed->m->created_at_us > *last_us)
            *last_us = placed->m->created_at_us;
    }
    return created;
}

/* In a statement's arrays there is one element for each row that it writes. */
struct mc_pg_put_columns {
    size_t count, bytes;
    int64_t *shards, *rows, *counts, *times, *roles, *visibilities, *tiers, *states, *user_nos;
    double *importances;
    mc_str *message_ids, *users, *threads, *sessions, *agents, *groups, *metadata, *texts;
};

static bool make_columns(struct mc_arena *arena, size_t count, struct mc_pg_put_columns *c)
{
    int64_t **integers[] = {&c->shards,       &c->rows,  &c->counts, &c->times,   &c->roles,
                            &c->visibilities, &c->tiers, &c->states, &c->user_nos};
    mc_str **texts[] = {&c->message_ids, &c->users,  &c->threads,  &c->sessions,
                        &c->agents,      &c->groups, &c->metadata, &c->texts};
    bool made = true;
    *c = (struct mc_pg_put_columns){.count = 0};
    for (size_t i = 0; i < mc_countof(integers); i++)
        made = (*integers[i] = mc_arena_array(arena, count, sizeof(int64_t))) && made;
    for (size_t i = 0; i < mc_countof(texts); i++)
        made = (*texts[i] = mc_arena_array(arena, count, sizeof(mc_str))) && made;
    c->importances = mc_arena_array(arena, count, sizeof(*c->importances));
    return made && c->importances;
}

static void add_users(struct mc_pg_conn *conn, const struct mc_pg_put_batch *batch,
                      struct mc_pg_put_columns *c)
{
    int64_t last_us;
    c->count = 0;
    for (size_t i = 0, end = 0; i < batch->count; i = end) {
        size_t created = count_run(batch, i, false, &end, &last_us);
        if (created == 0)
            continue;
        c->users[c->count] = mc_pg_put_at(batch, i)->m->user_id;
        c->shards[c->count] = mc_pg_shard(c->users[c->count]);
        c->counts[c->count++] = (int64_t)created;
    }
    mc_pg_add(conn,
              "INSERT INTO users AS u(shard, user_id, user_no, messages)"
              " SELECT n.shard, n.user_id, nextval('user_numbers'), n.messages"
              " FROM unnest($1, $2, $3) n(shard, user_id, messages)"
              " ON CONFLICT (shard, user_id) DO UPDATE"
              " SET messages = u.messages + excluded.messages RETURNING user_no",
              MC_PG_ARGS(mc_pg_ints(c->shards, c->count), mc_pg_strs(c->users, c->count),
                         mc_pg_ints(c->counts, c->count)));
}

/*
 * Starting from the clock, a thread that was erased and made again repeats no version that a cache has
 * seen.
 */
static void add_threads(struct mc_pg_conn *conn, const struct mc_pg_put_batch *batch,
                        int64_t now_us, struct mc_pg_put_columns *c)
{
    c->count = 0;
    for (size_t i = 0, end = 0; i < batch->count; i = end) {
        size_t created = count_run(batch, i, true, &end, &c->times[c->count]);
        if (created == 0)
            continue;
        c->users[c->count] = mc_pg_put_at(batch, i)->m->user_id;
        c->threads[c->count] = mc_pg_put_at(batch, i)->m->thread_id;
        c->shards[c->count] = mc_pg_shard(c->users[c->count]);
        c->counts[c->count++] = (int64_t)created;
    }
    mc_pg_add(conn,
              "INSERT INTO threads AS t(shard, user_id, thread_id, version, messages, last_at,"
              " summarised, summarised_until, withdrawn)"
              " SELECT n.shard, n.user_id, n.thread_id, $6 + n.messages, n.messages, n.last_at, 0,"
              " '-infinity', $6"
              " FROM unnest($1, $2, $3, $4, $5) n(shard, user_id, thread_id, messages, last_at)"
              " ON CONFLICT (shard, user_id, thread_id) DO UPDATE SET"
              " version = t.version + excluded.messages,"
              " messages = t.messages + excluded.messages,"
              " last_at = greatest(t.last_at, excluded.last_at)"
              " RETURNING t.version, t.messages",
              MC_PG_ARGS(mc_pg_ints(c->shards, c->count), mc_pg_strs(c->users, c->count),
                         mc_pg_strs(c->threads, c->count), mc_pg_ints(c->counts, c->count),
                         mc_pg_times(c->times, c->count), mc_pg_int(now_us)));
}

/* An array's text, since an array of arrays has one length for all. Absent when out of memory. */
static mc_str write_groups(struct mc_arena *arena, const struct mc_message *m)
{
    size_t size = 2;
    for (size_t i = 0; i < m->sharing_group_count; i++)
        size += 2 * m->sharing_groups[i].len + 3;
    if (m->sharing_group_count == 0)
        return MC_STR("{}");
    char *text = mc_arena_alloc(arena, size);
    size_t len = 0;
    if (!text)
        return MC_STR_NONE;
    for (size_t i = 0; i < m->sharing_group_count; i++) {
        mc_str group = m->sharing_groups[i];
        text[len++] = i == 0 ? '{' : ',';
        text[len++] = '"';
        for (size_t j = 0; j < group.len; j++) {
            if (group.data[j] == '"' || group.data[j] == '\\')
                text[len++] = '\\';
            text[len++] = group.data[j];
        }
        text[len++] = '"';
    }
    text[len++] = '}';
    return (mc_str){text, len};
}

static mc_str text_or(mc_str text, mc_str other)
{
    return text.len > 0 ? text : other;
}

static bool add_row(struct mc_pg_put_columns *c, struct mc_arena *arena,
                    const struct mc_pg_placed *placed)
{
    const struct mc_message *m = placed->m;
    size_t n = c->count++;
    c->shards[n] = mc_pg_row_shard(placed->row);
    c->rows[n] = placed->row;
    c->message_ids[n] = m->message_id;
    c->users[n] = m->user_id;
    c->threads[n] = m->thread_id;
    c->times[n] = m->created_at_us;
    c->roles[n] = m->role;
    c->visibilities[n] = m->visibility;
    c->tiers[n] = m->tier;
    c->states[n] = m->enrichment_state;
    c->user_nos[n] = placed->user_no;
    c->importances[n] = m->importance;
    c->sessions[n] = text_or(m->session_id, MC_STR(""));
    c->agents[n] = text_or(m->agent_id, MC_STR(""));
    c->groups[n] = write_groups(arena, m);
    c->metadata[n] = text_or(m->metadata, MC_STR("{}"));
    c->texts[n] = text_or(m->text, MC_STR(""));
    c->bytes += ROW_BYTES + c->metadata[n].len + c->texts[n].len;
    return c->groups[n].data != NULL;
}

/* Arrays in a SELECT's list become rows one by one; behind FROM all rows are written down first. */
static const char messages_sql[] =
    "INSERT INTO messages(shard, id, message_id, user_id, thread_id, user_no, created_at,"
    " stored_at, role, visibility, tier, state, trivial, importance, session_id, agent_id,"
    " sharing_groups, metadata, attached, text)"
    " SELECT n.shard, n.id, n.message_id, n.user_id, n.thread_id, n.user_no, n.created_at, $18,"
    " n.role, n.visibility, n.tier, n.state, false, n.importance, n.session_id, n.agent_id,"
    " n.sharing_groups::text[], n.metadata::jsonb, n.metadata, n.text"
    " FROM (SELECT unnest($1) AS shard, unnest($2) AS id, unnest($3) AS message_id,"
    " unnest($4) AS user_id, unnest($5) AS thread_id, unnest($6) AS user_no,"
    " unnest($7) AS created_at, unnest($8) AS role, unnest($9) AS visibility,"
    " unnest($10) AS tier, unnest($11) AS state, unnest($12) AS importance,"
    " unnest($13) AS session_id, unnest($14) AS agent_id, unnest($15) AS sharing_groups,"
    " unnest($16) AS metadata, unnest($17) AS text) n";

static void add_rows(struct mc_pg_conn *conn, struct mc_pg_put_columns *c, int64_t now_us)
{
    size_t n = c->count;
    mc_pg_add_quiet(
        conn, messages_sql,
        MC_PG_ARGS(mc_pg_ints(c->shards, n), mc_pg_ints(c->rows, n), mc_pg_strs(c->message_ids, n),
                   mc_pg_strs(c->users, n), mc_pg_strs(c->threads, n), mc_pg_ints(c->user_nos, n),
                   mc_pg_times(c->times, n), mc_pg_ints(c->roles, n),
                   mc_pg_ints(c->visibilities, n), mc_pg_ints(c->tiers, n),
                   mc_pg_ints(c->states, n), mc_pg_doubles(c->importances, n),
                   mc_pg_strs(c->sessions, n), mc_pg_strs(c->agents, n), mc_pg_strs(c->groups, n),
                   mc_pg_strs(c->metadata, n), mc_pg_strs(c->texts, n), mc_pg_time(now_us)));
    c->count = c->bytes = 0;
}

static enum mc_status add_messages(struct mc_pg_conn *conn, struct mc_pg_put_batch *batch,
                                   int64_t now_us, struct mc_pg_put_columns *c,
                                   struct mc_error *err)
{
    c->count = c->bytes = 0;
    for (size_t i = 0; i < batch->count; i++) {
        if (!mc_pg_put_at(batch, i)->created)
            continue;
        if (!add_row(c, &batch->arena, mc_pg_put_at(batch, i)))
            return mc_fail_memory(err);
        if (c->bytes > STATEMENT_BYTES)
            add_rows(conn, c, now_us);
    }
    if (c->count > 0)
        add_rows(conn, c, now_us);
    return MC_OK;
}

/* The version and count that each message made, from those of its thread after all. */
static void share_versions(const PGresult *threads, const struct mc_pg_put_batch *batch)
{
    int64_t last_us;
    size_t nth = 0;
    for (size_t i = 0, end = 0; i < batch->count; i = end) {
        int64_t left = (int64_t)count_run(batch, i, true, &end, &last_us);
        if (left == 0)
            continue;
        int64_t version = mc_pg_cell_int(threads, nth, 0);
        int64_t messages = mc_pg_cell_int(threads, nth++, 1);
        for (size_t j = i; j < end; j++) {
            if (!mc_pg_put_at(batch, j)->created)
                continue;
            left--;
            mc_pg_put_at(batch, j)->version = version - left;
            mc_pg_put_at(batch, j)->messages = messages - left;
        }
    }
}

/* So that not each message looks for its user. */
static void share_users(const PGresult *users, const struct mc_pg_put_batch *batch)
{
    int64_t last_us;
    size_t nth = 0;
    for (size_t i = 0, end = 0; i < batch->count; i = end) {
        if (count_run(batch, i, false, &end, &last_us) == 0)
            continue;
        for (size_t j = i; j < end; j++)
            mc_pg_put_at(batch, j)->user_no = mc_pg_cell_int(users, nth, 0);
        nth++;
    }
}

/* ---- The two rounds ---- */

enum mc_status mc_pg_put_add_counts(struct mc_pg_conn *conn, struct mc_pg_put_batch *batch,
                                    int64_t now_us, struct mc_error *err)
{
    struct mc_pg_put_columns *columns = mc_arena_alloc(&batch->arena, sizeof(*columns));
    if (!columns || !make_columns(&batch->arena, batch->count, columns))
        return mc_fail_memory(err);
    batch->columns = columns;
    batch->order = batch->by_thread;
    mc_pg_put_sort(batch, by_thread);
    add_users(conn, batch, columns);
    add_threads(conn, batch, now_us, columns);
    return MC_OK;
}

enum mc_status mc_pg_put_finish(struct mc_pg_conn *conn, struct mc_pg_put_batch *batch,
                                size_t counts, int64_t now_us, struct mc_error *err)
{
    size_t created = 0;
    share_users(conn->results[counts], batch);
    share_versions(conn->results[counts + 1], batch);
    for (size_t i = 0; i < batch->count; i++)
        if (batch->items[i]->created)
            batch->rows[created++] = batch->items[i]->row;
    mc_pg_add_quiet(conn,
                    "INSERT INTO jobs(shard, id, stage, due_at, enqueued_at, attempts)"
                    " SELECT " MC_PG_QUEUE ", unnest($1), 1, $2, $2, 0",
                    MC_PG_ARGS(mc_pg_ints(batch->rows, created), mc_pg_time(now_us)));
    enum mc_status status = add_messages(conn, batch, now_us, batch->columns, err);
    return status == MC_OK ? mc_pg_run_last(conn, err) : status;
}
