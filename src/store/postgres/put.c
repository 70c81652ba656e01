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

/* ---- Ids ---- */

void mc_pg_put_sort(struct mc_pg_put_batch *batch,
                    int (*compare)(const void *, const void *, void *))
{
    for (size_t i = 0; i < batch->count; i++)
        batch->order[i] = i;
    qsort_r(batch->order, batch->count, sizeof(*batch->order), compare, batch);
}

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
    mc_pg_put_sort(batch, by_message_id);
    for (size_t i = 0; i < batch->count; i++)
        mc_pg_put_at(batch, i)->inserts =
            i == 0 || !mc_str_equal(mc_pg_put_at(batch, i)->m->message_id,
                                    mc_pg_put_at(batch, i - 1)->m->message_id);
}

static enum mc_status add_ids(struct mc_pg_conn *conn, struct mc_pg_put_batch *batch,
                              const char *sql, struct mc_error *err)
{
    mc_str *ids = mc_arena_array(&batch->arena, batch->count, sizeof(*ids));
    int64_t *shards = mc_arena_array(&batch->arena, batch->count, sizeof(*shards));
    int64_t *user_shards = mc_arena_array(&batch->arena, batch->count, sizeof(*user_shards));
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
        struct mc_pg_placed *placed = mc_pg_put_at(batch, i);
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
        const struct mc_pg_placed *placed = mc_pg_put_at(batch, i);
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
        struct mc_pg_placed *placed = mc_pg_put_at(batch, i);
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
        struct mc_pg_placed *placed = mc_pg_put_at(batch, i);
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

/* ---- The transaction ---- */

/* Everything is new, so nothing waits for what became of the ids. */
static enum mc_status put_new(struct mc_pg_conn *conn, struct mc_pg_put_batch *batch,
                              struct mc_error *err)
{
    int64_t now_us = mc_pg_now_us(conn);
    for (size_t i = 0; i < batch->count; i++)
        batch->items[i]->created = batch->items[i]->inserts;
    enum mc_status status = add_ids(conn, batch, new_ids_sql, err);
    if (status == MC_OK)
        status = mc_pg_put_add_counts(conn, batch, now_us, err);
    if (status == MC_OK)
        status = mc_pg_run(conn, err);
    batch->doubts = mc_pg_not_new(conn, status);
    if (status != MC_OK)
        return status;
    batch->order = batch->by_id;
    take_ids(conn->results[0], batch);
    settle_repeats(batch);
    batch->order = batch->by_thread;
    return mc_pg_put_finish(conn, batch, 1, now_us, err);
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
    status = mc_pg_put_add_counts(conn, batch, now_us, err);
    if (status == MC_OK)
        status = mc_pg_run(conn, err);
    return status == MC_OK ? mc_pg_put_finish(conn, batch, 0, now_us, err) : status;
}

enum mc_status mc_pg_put_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct mc_pg_put_batch *batch = context;
    mc_arena_reset(&batch->arena);
    batch->by_id = mc_arena_array(&batch->arena, batch->count, sizeof(*batch->by_id));
    batch->by_thread = mc_arena_array(&batch->arena, batch->count, sizeof(*batch->by_thread));
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
