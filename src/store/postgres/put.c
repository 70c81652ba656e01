/*
 * Storing messages. Three rounds: the messages' ids, which shows repeats and numbers the rows; then users and
 * threads; then jobs, messages and the commit. The first two are one when all ids are new. One statement for each
 * table. Locks are taken in one order by all, ids before users before threads, each sorted, so that puts do not deadlock.
 */
#include "store/postgres/put.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/time.h"
#include "store/rules.h"

/* Arguments of a statement: the server works on the first while the others are made. */
#define STATEMENT_BYTES ((size_t)64 << 10)

/* Of a message without its texts. */
#define ROW_BYTES 256

/* ---- Repeats ---- */

/* What a transaction that was rolled back left. */
static void reset(struct mc_pg_placed *placed)
{
    mc_record_unref(placed->stored);
    *placed = (struct mc_pg_placed){.m = placed->m,
                                    .record = placed->record,
                                    .id_shard = placed->id_shard,
                                    .new_id = placed->new_id};
}

/* ---- Order ---- */

/* As the table's index has them: neighbours go into the same page. */
static int by_message_id(const void *a, const void *b, void *context)
{
    const struct mc_pg_put_batch *batch = context;
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    const struct mc_pg_placed *p = batch->items[x], *q = batch->items[y];
    if (p->id_shard != q->id_shard)
        return p->id_shard > q->id_shard ? 1 : -1;
    int order = mc_pg_compare(p->m->message_id, q->m->message_id);
    return order != 0 ? order : (x > y) - (x < y);
}

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

static void sort(struct mc_pg_put_batch *batch, int (*compare)(const void *, const void *, void *))
{
    for (size_t i = 0; i < batch->count; i++)
        batch->order[i] = i;
    qsort_r(batch->order, batch->count, sizeof(*batch->order), compare, batch);
}

static struct mc_pg_placed *at(const struct mc_pg_put_batch *batch, size_t i)
{
    return batch->items[batch->order[i]];
}

/* ---- Ids ---- */

/* Rows are numbered in the order of arrival, ids are locked in theirs. */
#define INSERT_IDS                                                                                 \
    "INSERT INTO message_ids(shard, message_id, id)"                                               \
    " SELECT i.shard, i.message_id, i.number * 256 + i.user_shard FROM"                            \
    " (SELECT a.shard, a.message_id, a.user_shard, nextval('message_rows') AS number FROM"         \
    " (SELECT unnest($1) AS shard, unnest($2) AS message_id, unnest($3) AS user_shard) a"          \
    " OFFSET 0) i"                                                                                 \
    " ORDER BY i.shard, i.message_id COLLATE \"C\""
#define RETURNING_IDS " RETURNING message_id, id"

static const char ids_sql[] =
    INSERT_IDS " ON CONFLICT (shard, message_id) DO NOTHING" RETURNING_IDS;
/* ON CONFLICT costs as much again as the row: it looks first, and marks the row as not certain yet. */
static const char new_ids_sql[] = INSERT_IDS RETURNING_IDS;

/* Not some of them: one statement numbers all rows in their order. */
static bool all_new(const struct mc_pg_put_batch *batch)
{
    if (batch->doubts)
        return false;
    for (size_t i = 0; i < batch->count; i++)
        if (!batch->items[i]->new_id)
            return false;
    return true;
}

/* The ids in order; of those that are the same, the first one is to be inserted. */
static void sort_ids(struct mc_pg_put_batch *batch)
{
    sort(batch, by_message_id);
    for (size_t i = 0; i < batch->count; i++)
        at(batch, i)->inserts =
            i == 0 || !mc_str_equal(at(batch, i)->m->message_id, at(batch, i - 1)->m->message_id);
}

static enum mc_status add_ids(struct mc_pg_conn *conn, struct mc_pg_put_batch *batch,
                              const char *sql, struct mc_error *err)
{
    mc_str *ids = mc_arena_array(&batch->columns, batch->count, sizeof(*ids));
    int64_t *shards = mc_arena_array(&batch->columns, batch->count, sizeof(*shards));
    int64_t *user_shards = mc_arena_array(&batch->columns, batch->count, sizeof(*user_shards));
    size_t count = 0;
    if (!ids || !shards || !user_shards)
        return mc_fail_memory(err);
    for (size_t i = 0; i < batch->count; i++) {
        const struct mc_message *m = batch->items[i]->m;
        mc_pg_touch(conn, mc_pg_shard(m->user_id));
        if (!batch->items[i]->inserts)
            continue;
        ids[count] = m->message_id;
        shards[count] = batch->items[i]->id_shard;
        user_shards[count++] = mc_pg_shard(m->user_id);
    }
    mc_pg_add(conn, sql,
              MC_PG_ARGS(mc_pg_ints(shards, count), mc_pg_strs(ids, count),
                         mc_pg_ints(user_shards, count)));
    return MC_OK;
}

/* From the result of add_ids: what was created. Both are in the order of ids. */
static void take_ids(const PGresult *result, struct mc_pg_put_batch *batch)
{
    for (size_t i = 0, nth = 0; i < batch->count; i++) {
        struct mc_pg_placed *placed = at(batch, i);
        if (!placed->inserts || nth == (size_t)PQntuples(result) ||
            !mc_str_equal(mc_pg_cell(result, nth, 0), placed->m->message_id))
            continue;
        placed->created = true;
        placed->row = mc_pg_cell_int(result, nth++, 1);
    }
}

/* The id was there and its message is not: it was removed this moment. */
static enum mc_status gone(struct mc_pg_conn *conn, struct mc_error *err)
{
    conn->trouble = MC_PG_CONFLICT;
    return mc_fail(err, MC_BUSY, "a message was removed while it was stored again; try again");
}

/* Reads the messages whose ids were taken before this transaction. */
static enum mc_status read_taken(struct mc_pg_conn *conn, struct mc_pg_put_batch *batch,
                                 struct mc_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct mc_pg_placed *placed = at(batch, i);
        mc_str id = placed->m->message_id;
        if (!placed->inserts || placed->created)
            continue;
        mc_pg_add(conn, "SELECT id FROM message_ids WHERE shard = $1 AND message_id = $2",
                  MC_PG_ARGS(mc_pg_int(placed->id_shard), mc_pg_str(id)));
        count++;
    }
    enum mc_status status = mc_pg_run(conn, err);
    for (size_t i = 0; status == MC_OK && i < count; i++) {
        batch->rows[i] = mc_pg_first_int(conn, i);
        if (mc_pg_rows(conn, i) == 0)
            return gone(conn, err);
    }
    for (size_t i = 0; status == MC_OK && i < count; i++)
        mc_pg_add(
            conn, "SELECT " MC_PG_RECORD " FROM messages m WHERE m.shard = $1 AND m.id = $2",
            MC_PG_ARGS(mc_pg_int(mc_pg_row_shard(batch->rows[i])), mc_pg_int(batch->rows[i])));
    if (status == MC_OK)
        status = mc_pg_run(conn, err);
    for (size_t i = 0, nth = 0; status == MC_OK && i < batch->count; i++) {
        struct mc_pg_placed *placed = at(batch, i);
        if (!placed->inserts || placed->created)
            continue;
        if (mc_pg_rows(conn, nth) == 0)
            return gone(conn, err);
        status = mc_pg_record(conn, conn->results[nth++], 0, &placed->stored, err);
        if (status == MC_OK)
            placed->differs = mc_rules_difference(&placed->stored->m, placed->m);
    }
    return status;
}

/* What is there under an id is compared with what else the batch has for it. */
static void settle_repeats(struct mc_pg_put_batch *batch)
{
    const struct mc_pg_placed *first = NULL;
    for (size_t i = 0; i < batch->count; i++) {
        struct mc_pg_placed *placed = at(batch, i);
        if (placed->inserts) {
            first = placed;
            if (placed->created)
                placed->record->row = placed->row;
            continue;
        }
        if (!first)
            continue;
        struct mc_record *there = first->created ? first->record : first->stored;
        placed->stored = mc_record_ref(there);
        placed->differs = mc_rules_difference(&there->m, placed->m);
    }
}

/* ---- Inserting ---- */

/* *end: one behind the last created message of the user, or thread, that begins at i; how many there are. */
static size_t count_run(const struct mc_pg_put_batch *batch, size_t i, bool of_thread, size_t *end,
                        int64_t *last_us)
{
    const struct mc_message *m = at(batch, i)->m;
    size_t created = 0;
    *last_us = INT64_MIN;
    for (*end = i; *end < batch->count; ++*end) {
        const struct mc_pg_placed *placed = at(batch, *end);
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
struct columns {
    size_t count, bytes;
    int64_t *shards, *rows, *counts, *times, *roles, *visibilities, *tiers, *states, *user_nos;
    double *importances;
    mc_str *message_ids, *users, *threads, *sessions, *agents, *groups, *metadata, *texts;
};

static bool make_columns(struct mc_arena *arena, size_t count, struct columns *c)
{
    int64_t **integers[] = {&c->shards,       &c->rows,  &c->counts, &c->times,   &c->roles,
                            &c->visibilities, &c->tiers, &c->states, &c->user_nos};
    mc_str **texts[] = {&c->message_ids, &c->users,  &c->threads,  &c->sessions,
                        &c->agents,      &c->groups, &c->metadata, &c->texts};
    bool made = true;
    *c = (struct columns){.count = 0};
    for (size_t i = 0; i < mc_countof(integers); i++)
        made = (*integers[i] = mc_arena_array(arena, count, sizeof(int64_t))) && made;
    for (size_t i = 0; i < mc_countof(texts); i++)
        made = (*texts[i] = mc_arena_array(arena, count, sizeof(mc_str))) && made;
    c->importances = mc_arena_array(arena, count, sizeof(*c->importances));
    return made && c->importances;
}

static void add_users(struct mc_pg_conn *conn, const struct mc_pg_put_batch *batch,
                      struct columns *c)
{
    int64_t last_us;
    c->count = 0;
    for (size_t i = 0, end = 0; i < batch->count; i = end) {
        size_t created = count_run(batch, i, false, &end, &last_us);
        if (created == 0)
            continue;
        c->users[c->count] = at(batch, i)->m->user_id;
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
                        int64_t now_us, struct columns *c)
{
    c->count = 0;
    for (size_t i = 0, end = 0; i < batch->count; i = end) {
        size_t created = count_run(batch, i, true, &end, &c->times[c->count]);
        if (created == 0)
            continue;
        c->users[c->count] = at(batch, i)->m->user_id;
        c->threads[c->count] = at(batch, i)->m->thread_id;
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

static bool add_row(struct columns *c, struct mc_arena *arena, const struct mc_pg_placed *placed)
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

static void add_rows(struct mc_pg_conn *conn, struct columns *c, int64_t now_us)
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
                                   int64_t now_us, struct columns *c, struct mc_error *err)
{
    c->count = c->bytes = 0;
    for (size_t i = 0; i < batch->count; i++) {
        if (!at(batch, i)->created)
            continue;
        if (!add_row(c, &batch->columns, at(batch, i)))
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
            if (!at(batch, j)->created)
                continue;
            left--;
            at(batch, j)->version = version - left;
            at(batch, j)->messages = messages - left;
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
            at(batch, j)->user_no = mc_pg_cell_int(users, nth, 0);
        nth++;
    }
}

/* ---- The transaction ---- */

/* Adds what counts messages, in the order of threads from now on. Its two results are for finish. */
static enum mc_status add_counts(struct mc_pg_conn *conn, struct mc_pg_put_batch *batch,
                                 int64_t now_us, struct columns *columns, struct mc_error *err)
{
    if (!make_columns(&batch->columns, batch->count, columns))
        return mc_fail_memory(err);
    batch->order = batch->by_thread;
    sort(batch, by_thread);
    add_users(conn, batch, columns);
    add_threads(conn, batch, now_us, columns);
    return MC_OK;
}

/* The last round. What the caller is told is known before it. */
static enum mc_status finish(struct mc_pg_conn *conn, struct mc_pg_put_batch *batch, size_t counts,
                             int64_t now_us, struct columns *columns, struct mc_error *err)
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
    enum mc_status status = add_messages(conn, batch, now_us, columns, err);
    return status == MC_OK ? mc_pg_run_last(conn, err) : status;
}

/* Everything is new, so nothing waits for what became of the ids. */
static enum mc_status put_new(struct mc_pg_conn *conn, struct mc_pg_put_batch *batch,
                              struct mc_error *err)
{
    int64_t now_us = mc_pg_now_us(conn);
    struct columns columns;
    for (size_t i = 0; i < batch->count; i++)
        batch->items[i]->created = batch->items[i]->inserts;
    enum mc_status status = add_ids(conn, batch, new_ids_sql, err);
    if (status == MC_OK)
        status = add_counts(conn, batch, now_us, &columns, err);
    if (status == MC_OK)
        status = mc_pg_run(conn, err);
    batch->doubts = mc_pg_not_new(conn, status);
    if (status != MC_OK)
        return status;
    batch->order = batch->by_id;
    take_ids(conn->results[0], batch);
    settle_repeats(batch);
    batch->order = batch->by_thread;
    return finish(conn, batch, 1, now_us, &columns, err);
}

static bool any_created(const struct mc_pg_put_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        if (batch->items[i]->created)
            return true;
    return false;
}

/* Something may be there already. */
static enum mc_status put_looking(struct mc_pg_conn *conn, struct mc_pg_put_batch *batch,
                                  struct mc_error *err)
{
    struct columns columns;
    enum mc_status status = add_ids(conn, batch, ids_sql, err);
    if (status == MC_OK)
        status = mc_pg_run(conn, err);
    if (status != MC_OK)
        return status;
    take_ids(conn->results[0], batch);
    status = read_taken(conn, batch, err);
    if (status != MC_OK)
        return status;
    settle_repeats(batch);
    if (!any_created(batch))
        return MC_OK;
    int64_t now_us = mc_pg_now_us(conn);
    status = add_counts(conn, batch, now_us, &columns, err);
    if (status == MC_OK)
        status = mc_pg_run(conn, err);
    return status == MC_OK ? finish(conn, batch, 0, now_us, &columns, err) : status;
}

enum mc_status mc_pg_put_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct mc_pg_put_batch *batch = context;
    mc_arena_reset(&batch->columns);
    batch->by_id = mc_arena_array(&batch->columns, batch->count, sizeof(*batch->by_id));
    batch->by_thread = mc_arena_array(&batch->columns, batch->count, sizeof(*batch->by_thread));
    if (!batch->by_id || !batch->by_thread)
        return mc_fail_memory(err);
    for (size_t i = 0; i < batch->count; i++)
        reset(batch->items[i]);
    batch->order = batch->by_id;
    sort_ids(batch);
    return all_new(batch) ? put_new(conn, batch, err) : put_looking(conn, batch, err);
}

/* ---- The call ---- */

static void deliver(struct mc_put *item, struct mc_pg_placed *placed)
{
    item->status = placed->differs ? MC_CONFLICT : MC_OK;
    item->differs = placed->differs;
    item->created = placed->created;
    if (placed->differs)
        item->record = NULL;
    else
        item->record = placed->stored ? mc_steal(placed->stored) : mc_steal(placed->record);
    item->thread_version = placed->version;
    item->thread_messages = placed->messages;
}

enum mc_status mc_pg_put(struct mc_store *store, struct mc_put *items, size_t count,
                         struct mc_error *err)
{
    if (count == 0)
        return MC_OK;
    struct mc_pg_placed single;
    struct mc_pg_placed *placed = count == 1 ? &single : calloc(count, sizeof(*placed));
    if (!placed)
        return mc_fail_memory(err);
    enum mc_status status = MC_OK;
    size_t prepared = 0, bytes = 0;
    while (status == MC_OK && prepared < count) {
        const struct mc_message *m = &items[prepared].message;
        placed[prepared] = (struct mc_pg_placed){
            .m = m, .id_shard = mc_pg_shard(m->message_id), .new_id = items[prepared].new_id};
        bytes += m->text.len + m->metadata.len;
        status = mc_record_new(m, 0, MC_STR_NONE, &placed[prepared].record, err);
        prepared++;
    }
    struct mc_pg_put_request request;
    request.placed = placed;
    request.count = count;
    request.weight = count + bytes / 4096;
    request.status = MC_OK;
    if (status == MC_OK)
        status = mc_pg_group_run(mc_pg_of(store), &request, err);
    for (size_t i = 0; i < prepared; i++) {
        if (status == MC_OK)
            deliver(&items[i], &placed[i]);
        mc_record_unref(placed[i].record);
        mc_record_unref(placed[i].stored);
    }
    if (placed != &single)
        free(placed);
    return status;
}
