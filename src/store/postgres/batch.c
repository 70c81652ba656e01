#include "store/postgres/batch.h"

#include <stdlib.h>

#include "base/error.h"

/* What a batch's messages were, and arguments of statements. */
#define TEXTS_BYTES ((size_t)512 << 20)

void mc_pg_batch_fini(struct mc_pg_batch *b)
{
    mc_arena_fini(&b->texts);
    free(b->held);
    free(b->order);
    free(b->rows);
}

enum mc_status mc_pg_batch_init(struct mc_pg_batch *b, mc_str lease, size_t count,
                                struct mc_error *err)
{
    *b = (struct mc_pg_batch){.lease = lease, .count = count};
    mc_arena_init(&b->texts, TEXTS_BYTES);
    b->held = calloc(count, sizeof(*b->held));
    b->order = calloc(count, sizeof(*b->order));
    b->rows = calloc(count, sizeof(*b->rows));
    return b->held && b->order && b->rows ? MC_OK : mc_fail_memory(err);
}

void mc_pg_batch_begin(struct mc_pg_batch *b)
{
    mc_arena_reset(&b->texts);
    b->held_count = 0;
}

/* ---- Reading what is held ---- */

static int by_row(const void *a, const void *b)
{
    const struct mc_pg_held *x = a, *y = b;
    return (x->row > y->row) - (x->row < y->row);
}

static struct mc_pg_held *find_held(struct mc_pg_batch *b, int64_t row)
{
    const struct mc_pg_held key = {.row = row};
    return bsearch(&key, b->held, b->held_count, sizeof(key), by_row);
}

static mc_str keep(struct mc_pg_batch *b, mc_str text, bool *failed)
{
    if (!mc_str_given(text))
        return MC_STR_NONE;
    mc_str copy = mc_arena_copy(&b->texts, text);
    *failed = *failed || !copy.data;
    return copy;
}

static const char read_sql[] =
    "SELECT m.id, m.user_no, m.user_id, m.thread_id, m.terms, m.twin FROM unnest($1, $2)"
    " r(shard, id), LATERAL (SELECT x.id, x.user_no, x.user_id, x.thread_id, x.terms, x.twin"
    " FROM messages x WHERE x.shard = r.shard AND x.id = r.id FOR UPDATE) m";

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

enum mc_status mc_pg_batch_add_read(struct mc_pg_conn *conn, struct mc_pg_batch *b, int64_t *rows,
                                    size_t count, struct mc_error *err)
{
    int64_t *shards = mc_arena_array(&b->texts, count, sizeof(*shards));
    if (!shards)
        return mc_fail_memory(err);
    qsort(rows, count, sizeof(*rows), by_number);
    for (size_t i = 0; i < count; i++)
        shards[i] = mc_pg_row_shard(rows[i]);
    mc_pg_add(conn, read_sql, MC_PG_ARGS(mc_pg_ints(shards, count), mc_pg_ints(rows, count)));
    return MC_OK;
}

enum mc_status mc_pg_batch_take_read(const PGresult *result, struct mc_pg_batch *b,
                                     struct mc_error *err)
{
    bool failed = false;
    qsort(b->held, b->held_count, sizeof(*b->held), by_row);
    for (size_t j = 0; j < (size_t)PQntuples(result); j++) {
        struct mc_pg_held *held = find_held(b, mc_pg_cell_int(result, j, 0));
        if (!held)
            continue;
        held->found = true;
        held->user_no = mc_pg_cell_int(result, j, 1);
        held->user_id = keep(b, mc_pg_cell(result, j, 2), &failed);
        held->thread_id = keep(b, mc_pg_cell(result, j, 3), &failed);
        held->terms = keep(b, mc_pg_cell(result, j, 4), &failed);
        held->twin = keep(b, mc_pg_cell(result, j, 5), &failed);
    }
    return failed ? mc_fail_memory(err) : MC_OK;
}

/* ---- Threads ---- */

static int by_thread(const void *a, const void *b, void *context)
{
    const struct mc_pg_batch *batch = context;
    const struct mc_pg_held *x = &batch->held[*(const size_t *)a],
                            *y = &batch->held[*(const size_t *)b];
    if (x->found != y->found)
        return x->found ? -1 : 1;
    int order = mc_pg_compare(x->user_id, y->user_id);
    if (order == 0)
        order = mc_pg_compare(x->thread_id, y->thread_id);
    return order != 0 ? order : (x->item > y->item) - (x->item < y->item);
}

/* One behind the last message of the thread that begins at i. */
static size_t thread_end(const struct mc_pg_batch *b, size_t i)
{
    const struct mc_pg_held *first = &b->held[b->order[i]];
    size_t end = i;
    for (; end < b->held_count; end++) {
        const struct mc_pg_held *held = &b->held[b->order[end]];
        if (!held->found || !mc_str_equal(held->user_id, first->user_id) ||
            !mc_str_equal(held->thread_id, first->thread_id))
            break;
    }
    return end;
}

static const char bump_sql[] =
    "UPDATE threads t SET version = t.version + n.messages"
    " FROM unnest($1, $2, $3, $4) WITH ORDINALITY n(shard, user_id, thread_id, messages, nth)"
    " WHERE t.shard = n.shard AND t.user_id = n.user_id AND t.thread_id = n.thread_id"
    " RETURNING n.nth - 1, t.version";

enum mc_status mc_pg_batch_add_bumps(struct mc_pg_conn *conn, struct mc_pg_batch *b,
                                     struct mc_error *err)
{
    int64_t *shards = mc_arena_array(&b->texts, b->held_count, sizeof(*shards));
    int64_t *messages = mc_arena_array(&b->texts, b->held_count, sizeof(*messages));
    mc_str *users = mc_arena_array(&b->texts, b->held_count, sizeof(*users));
    mc_str *threads = mc_arena_array(&b->texts, b->held_count, sizeof(*threads));
    size_t count = 0;
    if (!shards || !messages || !users || !threads)
        return mc_fail_memory(err);
    for (size_t i = 0; i < b->held_count; i++)
        b->order[i] = i;
    qsort_r(b->order, b->held_count, sizeof(*b->order), by_thread, b);
    for (size_t i = 0, end; i < b->held_count && b->held[b->order[i]].found; i = end) {
        const struct mc_pg_held *held = &b->held[b->order[i]];
        end = thread_end(b, i);
        shards[count] = mc_pg_shard(held->user_id);
        users[count] = held->user_id;
        threads[count] = held->thread_id;
        messages[count++] = (int64_t)(end - i);
    }
    mc_pg_add(conn, bump_sql,
              MC_PG_ARGS(mc_pg_ints(shards, count), mc_pg_strs(users, count),
                         mc_pg_strs(threads, count), mc_pg_ints(messages, count)));
    return MC_OK;
}

void mc_pg_batch_share_versions(const PGresult *result, struct mc_pg_batch *b)
{
    size_t nth = 0;
    memset(b->rows, 0, b->held_count * sizeof(*b->rows));
    for (size_t i = 0; i < (size_t)PQntuples(result); i++)
        b->rows[mc_pg_cell_int(result, i, 0)] = mc_pg_cell_int(result, i, 1);
    for (size_t i = 0, end; i < b->held_count && b->held[b->order[i]].found; i = end) {
        end = thread_end(b, i);
        int64_t version = b->rows[nth++];
        for (size_t j = i; j < end; j++)
            b->held[b->order[j]].version = version - (int64_t)(end - 1 - j);
    }
}
