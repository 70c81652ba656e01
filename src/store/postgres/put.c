/*
 * Storing messages. Three rounds: numbers for the rows; the messages' ids, which shows repeats; then users,
 * threads, messages and jobs together. Locks are taken in one order by all, ids before users before
 * threads, each sorted, so that puts do not deadlock.
 */
#include "store/postgres/put.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/time.h"
#include "store/rules.h"

/* ---- Repeats ---- */

/* What a transaction that was rolled back left. */
static void reset(struct mc_pg_placed *placed)
{
    mc_record_unref(placed->stored);
    *placed = (struct mc_pg_placed){.m = placed->m, .record = placed->record};
}

/* ---- Order ---- */

static int by_message_id(const void *a, const void *b, void *context)
{
    const struct mc_pg_put_batch *batch = context;
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    int order = mc_pg_compare(batch->items[x]->m->message_id, batch->items[y]->m->message_id);
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

static enum mc_status number_rows(struct mc_pg_conn *conn, struct mc_pg_put_batch *batch,
                                  struct mc_error *err)
{
    enum mc_status status =
        mc_pg_query(conn, "SELECT nextval('message_rows') FROM generate_series(1, $1)",
                    MC_PG_ARGS(mc_pg_int((int64_t)batch->count)), err);
    if (status == MC_OK && mc_pg_rows(conn, 0) != batch->count)
        return mc_fail(err, MC_INTERNAL, "the database gave too few numbers for rows");
    for (size_t i = 0; status == MC_OK && i < batch->count; i++) {
        struct mc_pg_placed *placed = batch->items[i];
        placed->row =
            mc_pg_cell_int(conn->results[0], i, 0) * 256 + mc_pg_shard(placed->m->user_id);
    }
    return status;
}

static enum mc_status claim_ids(struct mc_pg_conn *conn, struct mc_pg_put_batch *batch,
                                struct mc_error *err)
{
    sort(batch, by_message_id);
    for (size_t i = 0; i < batch->count; i++) {
        struct mc_pg_placed *placed = at(batch, i);
        mc_str id = placed->m->message_id;
        placed->inserts = i == 0 || !mc_str_equal(id, at(batch, i - 1)->m->message_id);
        if (placed->inserts)
            mc_pg_add(
                conn,
                "INSERT INTO message_ids(shard, message_id, id) VALUES($1, $2, $3)"
                " ON CONFLICT (shard, message_id) DO NOTHING",
                MC_PG_ARGS(mc_pg_int(mc_pg_shard(id)), mc_pg_str(id), mc_pg_int(placed->row)));
    }
    enum mc_status status = mc_pg_run(conn, err);
    for (size_t i = 0, nth = 0; status == MC_OK && i < batch->count; i++)
        if (at(batch, i)->inserts)
            at(batch, i)->created = mc_pg_changes(conn, nth++) == 1;
    return status;
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
                  MC_PG_ARGS(mc_pg_int(mc_pg_shard(id)), mc_pg_str(id)));
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

static void add_users(struct mc_pg_conn *conn, const struct mc_pg_put_batch *batch)
{
    int64_t last_us;
    for (size_t i = 0, end = 0; i < batch->count; i = end) {
        size_t created = count_run(batch, i, false, &end, &last_us);
        mc_str user = at(batch, i)->m->user_id;
        if (created > 0)
            mc_pg_add_quiet(conn,
                            "INSERT INTO users AS u(shard, user_id, user_no, messages)"
                            " VALUES($1, $2, nextval('user_numbers'), $3)"
                            " ON CONFLICT (shard, user_id) DO UPDATE"
                            " SET messages = u.messages + excluded.messages",
                            MC_PG_ARGS(mc_pg_int(mc_pg_shard(user)), mc_pg_str(user),
                                       mc_pg_int((int64_t)created)));
    }
}

/*
 * Starting from the clock, a thread that was erased and made again repeats no version that a cache has
 * seen.
 */
static void add_threads(struct mc_pg_conn *conn, const struct mc_pg_put_batch *batch,
                        int64_t now_us)
{
    int64_t last_us;
    for (size_t i = 0, end = 0; i < batch->count; i = end) {
        size_t created = count_run(batch, i, true, &end, &last_us);
        const struct mc_message *m = at(batch, i)->m;
        if (created == 0)
            continue;
        mc_pg_add(conn,
                  "INSERT INTO threads AS t(shard, user_id, thread_id, version, messages, last_at,"
                  " summarised, summarised_until, withdrawn)"
                  " VALUES($1, $2, $3, $4::bigint + $5, $5, $6, 0, '-infinity', $4)"
                  " ON CONFLICT (shard, user_id, thread_id) DO UPDATE SET"
                  " version = t.version + excluded.messages,"
                  " messages = t.messages + excluded.messages,"
                  " last_at = greatest(t.last_at, excluded.last_at)"
                  " RETURNING t.version, t.messages",
                  MC_PG_ARGS(mc_pg_int(mc_pg_shard(m->user_id)), mc_pg_str(m->user_id),
                             mc_pg_str(m->thread_id), mc_pg_int(now_us),
                             mc_pg_int((int64_t)created), mc_pg_time(last_us)));
    }
}

static void add_message(struct mc_pg_conn *conn, const struct mc_pg_placed *placed, int64_t now_us)
{
    const struct mc_message *m = placed->m;
    mc_pg_add_quiet(
        conn,
        "INSERT INTO messages(shard, id, message_id, user_id, thread_id, user_no, created_at,"
        " stored_at, role, visibility, tier, state, trivial, importance, session_id, agent_id,"
        " sharing_groups, metadata, attached, text)"
        " VALUES($1, $2, $3, $4, $5, (SELECT user_no FROM users WHERE shard = $1 AND user_id = $4),"
        " $6, $7, $8, $9, $10, $11, false, $12, $13, $14, $15, $16::text::jsonb, $16, $17)",
        MC_PG_ARGS(mc_pg_int(mc_pg_row_shard(placed->row)), mc_pg_int(placed->row),
                   mc_pg_str(m->message_id), mc_pg_str(m->user_id), mc_pg_str(m->thread_id),
                   mc_pg_time(m->created_at_us), mc_pg_time(now_us), mc_pg_int(m->role),
                   mc_pg_int(m->visibility), mc_pg_int(m->tier), mc_pg_int(m->enrichment_state),
                   mc_pg_double(m->importance), mc_pg_text(m->session_id), mc_pg_text(m->agent_id),
                   mc_pg_strs(m->sharing_groups, m->sharing_group_count),
                   mc_pg_str(m->metadata.len > 0 ? m->metadata : MC_STR("{}")),
                   mc_pg_text(m->text)));
}

/* The version and count that each message made, from those of its thread after all. */
static void share_versions(struct mc_pg_conn *conn, const struct mc_pg_put_batch *batch)
{
    int64_t last_us;
    size_t nth = 0;
    for (size_t i = 0, end = 0; i < batch->count; i = end) {
        int64_t left = (int64_t)count_run(batch, i, true, &end, &last_us);
        if (left == 0)
            continue;
        int64_t version = mc_pg_cell_int(conn->results[nth], 0, 0);
        int64_t messages = mc_pg_cell_int(conn->results[nth++], 0, 1);
        for (size_t j = i; j < end; j++) {
            if (!at(batch, j)->created)
                continue;
            left--;
            at(batch, j)->version = version - left;
            at(batch, j)->messages = messages - left;
        }
    }
}

static enum mc_status insert(struct mc_pg_conn *conn, struct mc_pg_put_batch *batch,
                             struct mc_error *err)
{
    int64_t now_us = mc_pg_now_us(conn);
    size_t created = 0;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->items[i]->created)
            batch->rows[created++] = batch->items[i]->row;
    if (created == 0)
        return MC_OK;
    sort(batch, by_thread);
    add_users(conn, batch);
    add_threads(conn, batch, now_us);
    for (size_t i = 0; i < batch->count; i++)
        if (batch->items[i]->created)
            add_message(conn, batch->items[i], now_us);
    mc_pg_add_quiet(conn,
                    "INSERT INTO jobs(shard, id, stage, due_at, enqueued_at, attempts)"
                    " SELECT " MC_PG_QUEUE ", id, 1, $2, $2, 0 FROM unnest($1::bigint[]) id",
                    MC_PG_ARGS(mc_pg_ints(batch->rows, created), mc_pg_time(now_us)));
    enum mc_status status = mc_pg_run(conn, err);
    if (status == MC_OK)
        share_versions(conn, batch);
    return status;
}

enum mc_status mc_pg_put_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct mc_pg_put_batch *batch = context;
    for (size_t i = 0; i < batch->count; i++)
        reset(batch->items[i]);
    enum mc_status status = number_rows(conn, batch, err);
    if (status == MC_OK)
        status = claim_ids(conn, batch, err);
    if (status == MC_OK)
        status = read_taken(conn, batch, err);
    if (status != MC_OK)
        return status;
    settle_repeats(batch);
    return insert(conn, batch, err);
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
        placed[prepared] = (struct mc_pg_placed){.m = m};
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
