/*
 * Jobs that ended: completed, or failed. First the jobs leave the queue, which shows what the lease still
 * holds, and their messages are read and locked; then come twins and threads; then all other changes and the
 * commit. One statement for each table. Locks are taken in the order jobs, messages, twins, threads, signals, each sorted.
 */
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/time.h"
#include "store/postgres/entries.h"
#include "store/postgres/pg.h"

/* What a batch's messages were, and arguments of statements. */
#define TEXTS_BYTES ((size_t)512 << 20)
/* Texts of one statement. */
#define STATEMENT_BYTES ((size_t)4 << 20)

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

static const char read_sql[] =
    "SELECT m.id, m.user_no, m.user_id, m.thread_id, m.terms, m.twin FROM unnest($1, $2)"
    " r(shard, id), LATERAL (SELECT x.id, x.user_no, x.user_id, x.thread_id, x.terms, x.twin"
    " FROM messages x WHERE x.shard = r.shard AND x.id = r.id FOR UPDATE) m";

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Adds a statement that locks and reads the messages of rows in order. */
static enum mc_status add_read(struct mc_pg_conn *conn, struct batch *b, int64_t *rows,
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

/* Messages of what is held, from a result of add_read; those that are gone are not found. */
static enum mc_status take_read(const PGresult *result, struct batch *b, struct mc_error *err)
{
    bool failed = false;
    qsort(b->held, b->held_count, sizeof(*b->held), by_row);
    for (size_t j = 0; j < (size_t)PQntuples(result); j++) {
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
    return failed ? mc_fail_memory(err) : MC_OK;
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

static const char bump_sql[] =
    "UPDATE threads t SET version = t.version + n.messages"
    " FROM unnest($1, $2, $3, $4) WITH ORDINALITY n(shard, user_id, thread_id, messages, nth)"
    " WHERE t.shard = n.shard AND t.user_id = n.user_id AND t.thread_id = n.thread_id"
    " RETURNING n.nth - 1, t.version";

/* Each message adds 1 to its thread's version. */
static enum mc_status add_bumps(struct mc_pg_conn *conn, struct batch *b, struct mc_error *err)
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
        const struct held *held = &b->held[b->order[i]];
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

/* From the result of add_bumps: what each message made of its thread's version. */
static void share_versions(const PGresult *result, struct batch *b)
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
static enum mc_status add_twins(struct mc_pg_conn *conn, struct batch *b, const char *sql,
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
    struct batch batch; /* first */
    struct mc_completion *items;
    struct outcome {
        bool applied;
        int64_t version;
    } * outcomes;
};

/* The jobs leave the queue or go on to their next stage: those that are done, then those of each stage. */
static size_t add_settling(struct mc_pg_conn *conn, struct complete *c)
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
    return statements;
}

/* What the lease held, from the results of add_settling. */
static void take_settled(const struct mc_pg_conn *conn, size_t statements, struct complete *c)
{
    struct batch *b = &c->batch;
    for (size_t i = 0; i < statements; i++) {
        for (size_t j = 0; j < mc_pg_rows(conn, i); j++) {
            int64_t row = mc_pg_cell_int(conn->results[i], j, 0);
            size_t item = 0;
            while (item < b->count && c->items[item].row != row)
                item++;
            if (item < b->count && b->held_count < b->count)
                b->held[b->held_count++] = (struct held){.item = item, .row = row};
        }
    }
}

/* The first round: what is held, and its messages. */
static enum mc_status settle_jobs(struct mc_pg_conn *conn, struct complete *c, struct mc_error *err)
{
    struct batch *b = &c->batch;
    mc_pg_add_by_key(conn);
    size_t statements = add_settling(conn, c);
    for (size_t i = 0; i < b->count; i++)
        b->rows[i] = c->items[i].row;
    enum mc_status status = add_read(conn, b, b->rows, b->count, err);
    if (status == MC_OK)
        status = mc_pg_run(conn, err);
    if (status != MC_OK)
        return status;
    take_settled(conn, statements, c);
    return take_read(conn->results[statements], b, err);
}

/* ---- The index ---- */

/* Brings the search index from the terms that the messages had to those of the completions. */
static enum mc_status add_index(struct mc_pg_conn *conn, struct complete *c, struct mc_error *err)
{
    struct batch *b = &c->batch;
    mc_auto(mc_pg_entries_free) struct mc_pg_entries *entries = NULL;
    enum mc_status status = mc_pg_entries_new(conn, &entries, err);
    for (size_t i = 0; status == MC_OK && i < b->held_count; i++) {
        const struct held *held = &b->held[i];
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
    struct batch *b = &c->batch;
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
    struct batch *b = &c->batch;
    struct twin *old = mc_arena_array(&b->texts, b->held_count, sizeof(*old));
    struct twin *new = mc_arena_array(&b->texts, b->held_count, sizeof(*new));
    size_t old_count = 0, new_count = 0;
    if (!old || !new)
        return mc_fail_memory(err);
    for (size_t i = 0; i < b->held_count; i++) {
        const struct held *held = &b->held[i];
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
    struct batch *b = &c->batch;
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
static enum mc_status add_vector_waits(struct mc_pg_conn *conn, struct batch *b,
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
    struct batch *b = &c->batch;
    begin_batch(b);
    memset(c->outcomes, 0, b->count * sizeof(*c->outcomes));
    enum mc_status status = settle_jobs(conn, c, err);
    if (status == MC_OK)
        status = add_all_twins(conn, c, err);
    if (status == MC_OK)
        status = add_bumps(conn, b, err);
    if (status == MC_OK)
        status = mc_pg_run(conn, err);
    if (status != MC_OK)
        return status;
    /* What the caller is told is known before the round that commits. */
    share_versions(conn->results[0], b);
    for (size_t i = 0; i < b->held_count; i++)
        c->outcomes[b->held[i].item] = (struct outcome){b->held[i].found, b->held[i].version};
    status = add_messages(conn, c, err);
    if (status == MC_OK)
        status = add_index(conn, c, err);
    if (status == MC_OK)
        status = add_learned(conn, c, err);
    if (status == MC_OK)
        status = add_vector_waits(conn, b, err);
    return status == MC_OK ? mc_pg_run_last(conn, err) : status;
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
    mc_pg_add_quiet(
        conn,
        "UPDATE messages SET state = $3, metadata = coalesce($4::text::jsonb, metadata),"
        " attached = coalesce($4, attached),"
        " twin = CASE WHEN $4::text IS NULL THEN twin END"
        " WHERE shard = $1 AND id = $2",
        MC_PG_ARGS(mc_pg_int(mc_pg_row_shard(held->row)), mc_pg_int(held->row),
                   mc_pg_int(MC_ENRICHMENT_FAILED), mc_pg_str(f->metadata)));
    if (mc_str_given(f->metadata) && mc_str_given(held->twin))
        mc_pg_add_quiet(conn, "DELETE FROM twins WHERE shard = $1 AND hash = $2 AND id = $3",
                        MC_PG_ARGS(mc_pg_int(mc_pg_shard(held->twin)), mc_pg_bytes(held->twin),
                                   mc_pg_int(held->row)));
}

static enum mc_status failed_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct failed *f = context;
    struct batch *b = &f->batch;
    begin_batch(b);
    mc_pg_add_by_key(conn);
    for (size_t i = 0; i < b->count; i++)
        add_failure(conn, b->lease, &f->items[i], mc_pg_now_us(conn));
    enum mc_status status = mc_pg_run(conn, err);
    for (size_t i = 0; status == MC_OK && i < b->count; i++) {
        if (f->items[i].retry_at_us != 0 || mc_pg_changes(conn, i) == 0)
            continue;
        b->rows[b->held_count] = f->items[i].row;
        b->held[b->held_count++] = (struct held){.item = i, .row = f->items[i].row};
    }
    if (status != MC_OK || b->held_count == 0)
        return status;
    status = add_read(conn, b, b->rows, b->held_count, err);
    if (status == MC_OK)
        status = mc_pg_run(conn, err);
    if (status == MC_OK)
        status = take_read(conn->results[0], b, err);
    for (size_t i = 0; status == MC_OK && i < b->held_count; i++)
        if (b->held[i].found)
            add_buried(conn, &b->held[i], &f->items[b->held[i].item]);
    if (status == MC_OK)
        status = add_bumps(conn, b, err);
    return status == MC_OK ? mc_pg_run_last(conn, err) : status;
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
