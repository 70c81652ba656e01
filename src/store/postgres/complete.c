/*
 * Jobs that ended: completed, or failed. First the jobs leave the queue, which shows what the lease still
 * holds; then their messages are read and locked; then all changes go in one journey. Locks are taken in the
 * order jobs, messages, twins, threads, signals, each sorted.
 */
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/time.h"
#include "store/postgres/pg.h"

/* Texts of a batch's messages that outlive their result: names, terms, hashes. */
#define TEXTS_BYTES ((size_t)256 << 20)

/* One message whose job this lease held. */
struct held {
    size_t item; /* of the call */
    int64_t row, user_no, version;
    bool found;
    mc_str user_id, thread_id, terms, twin; /* of the arena; absent: NULL */
};

struct batch {
    mc_str lease;
    size_t count;
    struct mc_arena texts;
    struct held *held; /* room for count */
    size_t held_count;
    size_t *order; /* room for count */
    int64_t *rows; /* room for count */
};

static void batch_fini(struct batch *b)
{
    mc_arena_fini(&b->texts);
    free(b->held);
    free(b->order);
    free(b->rows);
}

static enum mc_status batch_init(struct batch *b, mc_str lease, size_t count, struct mc_error *err)
{
    *b = (struct batch){.lease = lease, .count = count};
    mc_arena_init(&b->texts, TEXTS_BYTES);
    b->held = calloc(count, sizeof(*b->held));
    b->order = calloc(count, sizeof(*b->order));
    b->rows = calloc(count, sizeof(*b->rows));
    return b->held && b->order && b->rows ? MC_OK : mc_fail_memory(err);
}

static void begin_batch(struct batch *b)
{
    mc_arena_reset(&b->texts);
    b->held_count = 0;
}

/* ---- Reading what is held ---- */

static int by_row(const void *a, const void *b)
{
    const struct held *x = a, *y = b;
    return (x->row > y->row) - (x->row < y->row);
}

static struct held *find_held(struct batch *b, int64_t row)
{
    const struct held key = {.row = row};
    return bsearch(&key, b->held, b->held_count, sizeof(key), by_row);
}

static mc_str keep(struct batch *b, mc_str text, bool *failed)
{
    if (!mc_str_given(text))
        return MC_STR_NONE;
    mc_str copy = mc_arena_copy(&b->texts, text);
    *failed = *failed || !copy.data;
    return copy;
}

/* Locks and reads the messages of what is held; those that are gone are not found. */
static enum mc_status read_held(struct mc_pg_conn *conn, struct batch *b, struct mc_error *err)
{
    size_t statements;
    qsort(b->held, b->held_count, sizeof(*b->held), by_row);
    for (size_t i = 0; i < b->held_count; i++)
        b->rows[i] = b->held[i].row;
    enum mc_status status =
        mc_pg_add_by_shard(conn,
                           "SELECT id, user_no, user_id, thread_id, terms, twin FROM messages"
                           " WHERE shard = $1 AND id = ANY($2) ORDER BY id FOR UPDATE",
                           b->rows, b->held_count, NULL, &statements, err);
    if (status == MC_OK)
        status = mc_pg_run(conn, err);
    bool failed = false;
    for (size_t i = 0; status == MC_OK && i < statements; i++) {
        const PGresult *result = conn->results[i];
        for (size_t j = 0; j < mc_pg_rows(conn, i); j++) {
            struct held *held = find_held(b, mc_pg_cell_int(result, j, 0));
            if (!held)
                continue;
            held->found = true;
            held->user_no = mc_pg_cell_int(result, j, 1);
            held->user_id = keep(b, mc_pg_cell(result, j, 2), &failed);
            held->thread_id = keep(b, mc_pg_cell(result, j, 3), &failed);
            held->terms = keep(b, mc_pg_cell(result, j, 4), &failed);
            held->twin = keep(b, mc_pg_cell(result, j, 5), &failed);
        }
    }
    return failed ? mc_fail_memory(err) : status;
}

/* ---- Threads ---- */

static int by_thread(const void *a, const void *b, void *context)
{
    const struct batch *batch = context;
    const struct held *x = &batch->held[*(const size_t *)a], *y = &batch->held[*(const size_t *)b];
    if (x->found != y->found)
        return x->found ? -1 : 1;
    int order = mc_pg_compare(x->user_id, y->user_id);
    if (order == 0)
        order = mc_pg_compare(x->thread_id, y->thread_id);
    return order != 0 ? order : (x->item > y->item) - (x->item < y->item);
}

/* One behind the last message of the thread that begins at i. */
static size_t thread_end(const struct batch *b, size_t i)
{
    const struct held *first = &b->held[b->order[i]];
    size_t end = i;
    for (; end < b->held_count; end++) {
        const struct held *held = &b->held[b->order[end]];
        if (!held->found || !mc_str_equal(held->user_id, first->user_id) ||
            !mc_str_equal(held->thread_id, first->thread_id))
            break;
    }
    return end;
}

/* Each message adds 1 to its thread's version: one statement for each thread. */
static void add_bumps(struct mc_pg_conn *conn, struct batch *b)
{
    for (size_t i = 0; i < b->held_count; i++)
        b->order[i] = i;
    qsort_r(b->order, b->held_count, sizeof(*b->order), by_thread, b);
    for (size_t i = 0, end; i < b->held_count && b->held[b->order[i]].found; i = end) {
        const struct held *held = &b->held[b->order[i]];
        end = thread_end(b, i);
        mc_pg_add_bump(conn, held->user_id, held->thread_id, (int64_t)(end - i));
    }
}

/* After the run: results from `nth` on are those of add_bumps. */
static void share_versions(const struct mc_pg_conn *conn, struct batch *b, size_t nth)
{
    for (size_t i = 0, end; i < b->held_count && b->held[b->order[i]].found; i = end) {
        end = thread_end(b, i);
        int64_t version = mc_pg_first_int(conn, nth++);
        for (size_t j = i; j < end; j++)
            b->held[b->order[j]].version = version - (int64_t)(end - 1 - j);
    }
}

/* ---- Twins ---- */

/* The hash that found the message finds it no more. */
static void add_untwin(struct mc_pg_conn *conn, const struct held *held)
{
    if (mc_str_given(held->twin))
        mc_pg_add_quiet(conn, "DELETE FROM twins WHERE shard = $1 AND hash = $2 AND id = $3",
                        MC_PG_ARGS(mc_pg_int(mc_pg_shard(held->twin)), mc_pg_bytes(held->twin),
                                   mc_pg_int(held->row)));
}

static void add_twin(struct mc_pg_conn *conn, mc_str hash, int64_t row)
{
    mc_pg_add_quiet(conn,
                    "INSERT INTO twins(shard, hash, id) VALUES($1, $2, $3)"
                    " ON CONFLICT (shard, hash) DO UPDATE SET id = excluded.id",
                    MC_PG_ARGS(mc_pg_int(mc_pg_shard(hash)), mc_pg_bytes(hash), mc_pg_int(row)));
}

/* ---- Completing ---- */

struct complete {
    struct batch batch; /* first */
    struct mc_completion *items;
    struct outcome {
        bool applied;
        int64_t version;
    } * outcomes;
};

/* The jobs leave the queue or go on to their next stage: those that are done, then those of each stage. */
static enum mc_status settle_jobs(struct mc_pg_conn *conn, struct complete *c, struct mc_error *err)
{
    struct batch *b = &c->batch;
    size_t statements = 0;
    for (int stage = 0; stage <= MC_STAGE_MODEL; stage++) {
        size_t n = 0;
        for (size_t i = 0; i < b->count; i++)
            if ((int)c->items[i].next_stage == stage)
                b->rows[n++] = c->items[i].row;
        if (n == 0)
            continue;
        if (stage == 0)
            mc_pg_add(conn,
                      "DELETE FROM jobs WHERE shard = " MC_PG_QUEUE
                      " AND id = ANY($1) AND lease = $2 RETURNING id",
                      MC_PG_ARGS(mc_pg_ints(b->rows, n), mc_pg_str(b->lease)));
        else
            mc_pg_add(conn,
                      "UPDATE jobs SET stage = $3, due_at = enqueued_at, attempts = 0,"
                      " lease = NULL, error = NULL WHERE shard = " MC_PG_QUEUE
                      " AND id = ANY($1) AND lease = $2 RETURNING id",
                      MC_PG_ARGS(mc_pg_ints(b->rows, n), mc_pg_str(b->lease), mc_pg_int(stage)));
        statements++;
    }
    enum mc_status status = mc_pg_run(conn, err);
    for (size_t i = 0; status == MC_OK && i < statements; i++) {
        for (size_t j = 0; j < mc_pg_rows(conn, i); j++) {
            int64_t row = mc_pg_cell_int(conn->results[i], j, 0);
            size_t item = 0;
            while (item < b->count && c->items[item].row != row)
                item++;
            if (item < b->count && b->held_count < b->count)
                b->held[b->held_count++] = (struct held){.item = item, .row = row};
        }
    }
    return status;
}

/* Brings the search index from the terms that a message had to those of the completion. */
static enum mc_status add_reindex(struct mc_pg_conn *conn, const struct held *held, mc_str terms,
                                  struct mc_error *err)
{
    int64_t *numbers, shard = mc_pg_row_shard(held->row);
    size_t count;
    if (mc_str_given(held->terms) && mc_str_equal(held->terms, terms))
        return MC_OK;
    if (mc_str_given(held->terms)) {
        if (!mc_pg_terms(held->terms, held->thread_id, &numbers, &count))
            return mc_fail_memory(err);
        mc_pg_add_quiet(conn,
                        "DELETE FROM index_terms WHERE shard = $1 AND user_no = $2"
                        " AND term = ANY($3) AND id = $4",
                        MC_PG_ARGS(mc_pg_int(shard), mc_pg_int(held->user_no),
                                   mc_pg_ints(numbers, count), mc_pg_int(held->row)));
        free(numbers);
    }
    if (!mc_pg_terms(terms, held->thread_id, &numbers, &count))
        return mc_fail_memory(err);
    mc_pg_add_quiet(conn,
                    "INSERT INTO index_terms(shard, user_no, term, id)"
                    " SELECT $1, $2, term, $4 FROM unnest($3::bigint[]) term"
                    " ON CONFLICT DO NOTHING",
                    MC_PG_ARGS(mc_pg_int(shard), mc_pg_int(held->user_no),
                               mc_pg_ints(numbers, count), mc_pg_int(held->row)));
    free(numbers);
    return MC_OK;
}

static enum mc_status add_completion(struct mc_pg_conn *conn, const struct held *held,
                                     const struct mc_completion *c, struct mc_error *err)
{
    mc_str metadata = c->metadata.len > 0 ? c->metadata : MC_STR("{}");
    mc_pg_add_quiet(conn,
                    "UPDATE messages SET metadata = $3::text::jsonb, attached = $3, terms = $4,"
                    " importance = $5, state = $6, twin = $7,"
                    " trivial = coalesce($3::text::jsonb->>'method' = 'trivial', false)"
                    " WHERE shard = $1 AND id = $2",
                    MC_PG_ARGS(mc_pg_int(mc_pg_row_shard(held->row)), mc_pg_int(held->row),
                               mc_pg_str(metadata), mc_pg_text(c->terms),
                               mc_pg_double(c->importance), mc_pg_int(c->state),
                               mc_pg_bytes(c->content_hash)));
    return add_reindex(conn, held, c->terms.data ? c->terms : MC_STR(""), err);
}

/* Of messages of one batch that are made of the same the later one is found. */
static void add_twins(struct mc_pg_conn *conn, struct complete *c)
{
    struct batch *b = &c->batch;
    for (size_t i = 0; i < b->held_count; i++)
        if (b->held[i].found)
            add_untwin(conn, &b->held[i]);
    for (size_t i = 0; i < b->count; i++) {
        const struct held *held = find_held(b, c->items[i].row);
        if (held && held->found && held->item == i && mc_str_given(c->items[i].content_hash))
            add_twin(conn, c->items[i].content_hash, held->row);
    }
}

static enum mc_status complete_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct complete *c = context;
    struct batch *b = &c->batch;
    begin_batch(b);
    memset(c->outcomes, 0, b->count * sizeof(*c->outcomes));
    enum mc_status status = settle_jobs(conn, c, err);
    if (status == MC_OK)
        status = read_held(conn, b, err);
    for (size_t i = 0; status == MC_OK && i < b->held_count; i++)
        if (b->held[i].found)
            status = add_completion(conn, &b->held[i], &c->items[b->held[i].item], err);
    if (status != MC_OK)
        return status;
    add_twins(conn, c);
    add_bumps(conn, b);
    for (size_t i = 0; i < b->held_count; i++) {
        const struct mc_completion *item = &c->items[b->held[i].item];
        mc_pg_touch(conn, mc_pg_shard(item->user_id));
        if (b->held[i].found)
            mc_pg_add_signals_to(conn, item->user_id, item->signals, item->signal_count);
    }
    status = mc_pg_run(conn, err);
    if (status != MC_OK)
        return status;
    share_versions(conn, b, 0);
    for (size_t i = 0; i < b->held_count; i++)
        c->outcomes[b->held[i].item] = (struct outcome){b->held[i].found, b->held[i].version};
    return MC_OK;
}

enum mc_status mc_pg_complete(struct mc_store *store, mc_str lease, struct mc_completion *items,
                              size_t count, struct mc_error *err)
{
    if (count == 0)
        return MC_OK;
    struct complete complete = {.items = items};
    enum mc_status status = batch_init(&complete.batch, lease, count, err);
    complete.outcomes = calloc(count, sizeof(*complete.outcomes));
    if (status == MC_OK && !complete.outcomes)
        status = mc_fail_memory(err);
    if (status == MC_OK)
        status = mc_pg_write(mc_pg_of(store), 0, complete_work, &complete, err);
    for (size_t i = 0; status == MC_OK && i < count; i++) {
        items[i].applied = complete.outcomes[i].applied;
        items[i].thread_version = complete.outcomes[i].version;
    }
    free(complete.outcomes);
    batch_fini(&complete.batch);
    return status;
}

/* ---- Failing ---- */

struct failed {
    struct batch batch; /* first */
    const struct mc_failure *items;
};

static void add_failure(struct mc_pg_conn *conn, mc_str lease, const struct mc_failure *f,
                        int64_t now_us)
{
    if (f->retry_at_us != 0)
        mc_pg_add(conn,
                  "UPDATE jobs SET lease = NULL, due_at = $3, error = $4,"
                  " attempts = greatest(attempts - $5, 0)"
                  " WHERE shard = " MC_PG_QUEUE " AND id = $1 AND lease = $2",
                  MC_PG_ARGS(mc_pg_int(f->row), mc_pg_str(lease),
                             mc_pg_time(f->retry_at_us + conn->clock_offset_us),
                             mc_pg_text(f->error), mc_pg_int(f->no_attempt)));
    else
        mc_pg_add(conn,
                  "UPDATE jobs SET lease = NULL, due_at = NULL, died_at = $3, error = $4,"
                  " attempts = greatest(attempts - $5, 0)"
                  " WHERE shard = " MC_PG_QUEUE " AND id = $1 AND lease = $2",
                  MC_PG_ARGS(mc_pg_int(f->row), mc_pg_str(lease), mc_pg_time(now_us),
                             mc_pg_text(f->error), mc_pg_int(f->no_attempt)));
}

static void add_buried(struct mc_pg_conn *conn, const struct held *held, const struct mc_failure *f)
{
    bool given = mc_str_given(f->metadata);
    mc_pg_add_quiet(
        conn,
        "UPDATE messages SET state = $3, metadata = coalesce($4::text::jsonb, metadata),"
        " attached = coalesce($4, attached),"
        " twin = CASE WHEN $4::text IS NULL THEN twin END"
        " WHERE shard = $1 AND id = $2",
        MC_PG_ARGS(mc_pg_int(mc_pg_row_shard(held->row)), mc_pg_int(held->row),
                   mc_pg_int(MC_ENRICHMENT_FAILED), mc_pg_str(f->metadata)));
    if (given)
        add_untwin(conn, held);
}

static enum mc_status failed_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct failed *f = context;
    struct batch *b = &f->batch;
    begin_batch(b);
    for (size_t i = 0; i < b->count; i++)
        add_failure(conn, b->lease, &f->items[i], mc_pg_now_us(conn));
    enum mc_status status = mc_pg_run(conn, err);
    for (size_t i = 0; status == MC_OK && i < b->count; i++)
        if (f->items[i].retry_at_us == 0 && mc_pg_changes(conn, i) > 0)
            b->held[b->held_count++] = (struct held){.item = i, .row = f->items[i].row};
    if (status != MC_OK || b->held_count == 0)
        return status;
    status = read_held(conn, b, err);
    for (size_t i = 0; status == MC_OK && i < b->held_count; i++)
        if (b->held[i].found)
            add_buried(conn, &b->held[i], &f->items[b->held[i].item]);
    if (status != MC_OK)
        return status;
    add_bumps(conn, b);
    return mc_pg_run(conn, err);
}

enum mc_status mc_pg_failed(struct mc_store *store, mc_str lease, const struct mc_failure *items,
                            size_t count, struct mc_error *err)
{
    if (count == 0)
        return MC_OK;
    struct failed failed = {.items = items};
    enum mc_status status = batch_init(&failed.batch, lease, count, err);
    if (status == MC_OK)
        status = mc_pg_write(mc_pg_of(store), 0, failed_work, &failed, err);
    batch_fini(&failed.batch);
    return status;
}
