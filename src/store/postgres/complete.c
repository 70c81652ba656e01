/*
 * Jobs that were completed. First they leave the queue, which shows what the lease still holds, and their messages
 * are read and locked; then come twins and threads; then all other changes and the commit. One statement for each
 * table.
 */
#include <stdlib.h>

#include "base/error.h"
#include "store/postgres/batch.h"
#include "store/postgres/entries.h"

/* Texts of one statement. */
#define STATEMENT_BYTES ((size_t)4 << 20)

/* ---- Twins ---- */

struct twin {
    mc_str hash;
    int64_t row;
    size_t item;
};

static int by_hash(const void *a, const void *b)
{
    const struct twin *x = a, *y = b;
    int order = mc_pg_compare(x->hash, y->hash);
    return order != 0 ? order : (x->item > y->item) - (x->item < y->item);
}

static const char untwin_sql[] = "DELETE FROM twins t USING unnest($1, $2, $3) n(shard, hash, id)"
                                 " WHERE t.shard = n.shard AND t.hash = n.hash AND t.id = n.id";
static const char twin_sql[] = "INSERT INTO twins(shard, hash, id) SELECT n.shard, n.hash, n.id"
                               " FROM unnest($1, $2, $3) n(shard, hash, id)"
                               " ON CONFLICT (shard, hash) DO UPDATE SET id = excluded.id";

/* Adds one of the statements for these twins; of those of one hash the last one counts. */
static enum mc_status add_twins(struct mc_pg_conn *conn, struct mc_pg_batch *b, const char *sql,
                                struct twin *twins, size_t count, struct mc_error *err)
{
    int64_t *shards = mc_arena_array(&b->texts, count, sizeof(*shards));
    int64_t *rows = mc_arena_array(&b->texts, count, sizeof(*rows));
    mc_str *hashes = mc_arena_array(&b->texts, count, sizeof(*hashes));
    size_t n = 0;
    if (count == 0)
        return MC_OK;
    if (!shards || !rows || !hashes)
        return mc_fail_memory(err);
    qsort(twins, count, sizeof(*twins), by_hash);
    for (size_t i = 0; i < count; i++) {
        bool last = i + 1 == count || !mc_str_equal(twins[i].hash, twins[i + 1].hash);
        if (sql == twin_sql && !last)
            continue;
        shards[n] = mc_pg_shard(twins[i].hash);
        hashes[n] = twins[i].hash;
        rows[n++] = twins[i].row;
    }
    mc_pg_add_quiet(
        conn, sql,
        MC_PG_ARGS(mc_pg_ints(shards, n), mc_pg_byteses(hashes, n), mc_pg_ints(rows, n)));
    return MC_OK;
}

/* ---- Completing ---- */

struct complete {
    struct mc_pg_batch batch; /* first */
    struct mc_completion *items;
    struct outcome {
        bool applied;
        int64_t version;
    } * outcomes;
    bool doubts; /* an entry of the index that was taken for new was there */
};

/* The jobs leave the queue or go on to their next stage: those that are done, then those of each stage. */
static size_t add_settling(struct mc_pg_conn *conn, struct complete *c)
{
    struct mc_pg_batch *b = &c->batch;
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
    return statements;
}

/* What the lease held, from the results of add_settling. */
static void take_settled(const struct mc_pg_conn *conn, size_t statements, struct complete *c)
{
    struct mc_pg_batch *b = &c->batch;
    for (size_t i = 0; i < statements; i++) {
        for (size_t j = 0; j < mc_pg_rows(conn, i); j++) {
            int64_t row = mc_pg_cell_int(conn->results[i], j, 0);
            size_t item = 0;
            while (item < b->count && c->items[item].row != row)
                item++;
            if (item < b->count && b->held_count < b->count)
                b->held[b->held_count++] = (struct mc_pg_held){.item = item, .row = row};
        }
    }
}

/* The first round: what is held, and its messages. */
static enum mc_status settle_jobs(struct mc_pg_conn *conn, struct complete *c, struct mc_error *err)
{
    struct mc_pg_batch *b = &c->batch;
    mc_pg_add_by_key(conn);
    size_t statements = add_settling(conn, c);
    for (size_t i = 0; i < b->count; i++)
        b->rows[i] = c->items[i].row;
    enum mc_status status = mc_pg_batch_add_read(conn, b, b->rows, b->count, err);
    if (status == MC_OK)
        status = mc_pg_run(conn, err);
    if (status != MC_OK)
        return status;
    take_settled(conn, statements, c);
    return mc_pg_batch_take_read(conn->results[statements], b, err);
}

/* ---- The index ---- */

/* Brings the search index from the terms that the messages had to those of the completions. */
static enum mc_status add_index(struct mc_pg_conn *conn, struct complete *c, struct mc_error *err)
{
    struct mc_pg_batch *b = &c->batch;
    mc_auto(mc_pg_entries_free) struct mc_pg_entries *entries = NULL;
    enum mc_status status = mc_pg_entries_new(conn, c->doubts, &entries, err);
    for (size_t i = 0; status == MC_OK && i < b->held_count; i++) {
        const struct mc_pg_held *held = &b->held[i];
        struct mc_pg_indexed message = {held->row, held->user_no, held->thread_id, held->terms};
        if (held->found)
            status = mc_pg_entries_add(entries, &message, c->items[held->item].terms, err);
    }
    if (status == MC_OK)
        mc_pg_entries_flush(entries);
    return status;
}

/* ---- Messages ---- */

struct columns {
    size_t count, bytes;
    int64_t *shards, *rows, *states;
    double *importances;
    mc_str *metadata, *terms, *twins;
};

static bool make_columns(struct mc_arena *arena, size_t count, struct columns *c)
{
    *c = (struct columns){
        .shards = mc_arena_array(arena, count, sizeof(*c->shards)),
        .rows = mc_arena_array(arena, count, sizeof(*c->rows)),
        .states = mc_arena_array(arena, count, sizeof(*c->states)),
        .importances = mc_arena_array(arena, count, sizeof(*c->importances)),
        .metadata = mc_arena_array(arena, count, sizeof(*c->metadata)),
        .terms = mc_arena_array(arena, count, sizeof(*c->terms)),
        .twins = mc_arena_array(arena, count, sizeof(*c->twins)),
    };
    return c->shards && c->rows && c->states && c->importances && c->metadata && c->terms &&
           c->twins;
}

static const char complete_sql[] =
    "UPDATE messages m SET metadata = n.object, attached = n.metadata, terms = n.terms,"
    " importance = n.importance, state = n.state, twin = nullif(n.twin, ''),"
    " trivial = coalesce(n.object->>'method' = 'trivial', false)"
    " FROM (SELECT a.*, a.metadata::jsonb AS object FROM unnest($1, $2, $3, $4, $5, $6, $7)"
    " a(shard, id, metadata, terms, importance, state, twin) OFFSET 0) n"
    " WHERE m.shard = n.shard AND m.id = n.id";

static void flush_messages(struct mc_pg_conn *conn, struct columns *c)
{
    size_t n = c->count;
    if (n > 0)
        mc_pg_add_quiet(conn, complete_sql,
                        MC_PG_ARGS(mc_pg_ints(c->shards, n), mc_pg_ints(c->rows, n),
                                   mc_pg_strs(c->metadata, n), mc_pg_strs(c->terms, n),
                                   mc_pg_doubles(c->importances, n), mc_pg_ints(c->states, n),
                                   mc_pg_byteses(c->twins, n)));
    c->count = c->bytes = 0;
}

static enum mc_status add_messages(struct mc_pg_conn *conn, struct complete *c,
                                   struct mc_error *err)
{
    struct mc_pg_batch *b = &c->batch;
    struct columns columns;
    if (!make_columns(&b->texts, b->held_count, &columns))
        return mc_fail_memory(err);
    for (size_t i = 0; i < b->held_count; i++) {
        const struct mc_completion *item = &c->items[b->held[i].item];
        size_t n = columns.count;
        if (!b->held[i].found)
            continue;
        columns.shards[n] = mc_pg_row_shard(b->held[i].row);
        columns.rows[n] = b->held[i].row;
        columns.metadata[n] = item->metadata.len > 0 ? item->metadata : MC_STR("{}");
        columns.terms[n] = item->terms;
        columns.importances[n] = item->importance;
        columns.states[n] = item->state;
        columns.twins[n] = item->content_hash;
        columns.bytes += item->metadata.len + item->terms.len;
        columns.count++;
        if (columns.bytes > STATEMENT_BYTES)
            flush_messages(conn, &columns);
    }
    flush_messages(conn, &columns);
    return MC_OK;
}

/* The hashes that found the messages find them no more, but those of the completions do. */
static enum mc_status add_all_twins(struct mc_pg_conn *conn, struct complete *c,
                                    struct mc_error *err)
{
    struct mc_pg_batch *b = &c->batch;
    struct twin *old = mc_arena_array(&b->texts, b->held_count, sizeof(*old));
    struct twin *new = mc_arena_array(&b->texts, b->held_count, sizeof(*new));
    size_t old_count = 0, new_count = 0;
    if (!old || !new)
        return mc_fail_memory(err);
    for (size_t i = 0; i < b->held_count; i++) {
        const struct mc_pg_held *held = &b->held[i];
        mc_str hash = c->items[held->item].content_hash;
        if (held->found && mc_str_given(held->twin))
            old[old_count++] = (struct twin){held->twin, held->row, held->item};
        if (held->found && mc_str_given(hash))
            new[new_count++] = (struct twin){hash, held->row, held->item};
    }
    enum mc_status status = add_twins(conn, b, untwin_sql, old, old_count, err);
    return status == MC_OK ? add_twins(conn, b, twin_sql, new, new_count, err) : status;
}

static enum mc_status add_learned(struct mc_pg_conn *conn, struct complete *c, struct mc_error *err)
{
    struct mc_pg_batch *b = &c->batch;
    size_t count = 0, n = 0;
    for (size_t i = 0; i < b->held_count; i++)
        count += c->items[b->held[i].item].signal_count;
    struct mc_pg_learned *learned = mc_arena_array(&b->texts, count, sizeof(*learned));
    if (!learned)
        return mc_fail_memory(err);
    for (size_t i = 0; i < b->held_count; i++) {
        const struct mc_completion *item = &c->items[b->held[i].item];
        for (size_t j = 0; b->held[i].found && j < item->signal_count; j++)
            learned[n++] = (struct mc_pg_learned){item->user_id, &item->signals[j]};
    }
    return mc_pg_add_learned(conn, learned, n, err);
}

/* What was completed for the first time waits for its vector. */
static enum mc_status add_vector_waits(struct mc_pg_conn *conn, struct mc_pg_batch *b,
                                       struct mc_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < b->held_count; i++) {
        if (b->held[i].found && !mc_str_given(b->held[i].terms))
            b->rows[count++] = b->held[i].row;
    }
    return mc_pg_add_vector_waits(conn, b->rows, count, err);
}

static enum mc_status complete_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct complete *c = context;
    struct mc_pg_batch *b = &c->batch;
    mc_pg_batch_begin(b);
    memset(c->outcomes, 0, b->count * sizeof(*c->outcomes));
    enum mc_status status = settle_jobs(conn, c, err);
    if (status == MC_OK)
        status = add_all_twins(conn, c, err);
    if (status == MC_OK)
        status = mc_pg_batch_add_bumps(conn, b, err);
    if (status == MC_OK)
        status = mc_pg_run(conn, err);
    if (status != MC_OK)
        return status;
    /* What the caller is told is known before the round that commits. */
    mc_pg_batch_share_versions(conn->results[0], b);
    for (size_t i = 0; i < b->held_count; i++) {
        c->outcomes[b->held[i].item] = (struct outcome){b->held[i].found, b->held[i].version};
        if (b->held[i].found)
            mc_pg_touch(conn, mc_pg_shard(b->held[i].user_id));
    }
    status = add_messages(conn, c, err);
    if (status == MC_OK)
        status = add_index(conn, c, err);
    if (status == MC_OK)
        status = add_learned(conn, c, err);
    if (status == MC_OK)
        status = add_vector_waits(conn, b, err);
    if (status == MC_OK)
        status = mc_pg_run_last(conn, err);
    c->doubts = c->doubts || mc_pg_not_new(conn, status);
    return status;
}

enum mc_status mc_pg_complete(struct mc_store *store, mc_str lease, struct mc_completion *items,
                              size_t count, struct mc_error *err)
{
    if (count == 0)
        return MC_OK;
    struct complete complete = {.items = items};
    enum mc_status status = mc_pg_batch_init(&complete.batch, lease, count, err);
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
    mc_pg_batch_fini(&complete.batch);
    return status;
}
