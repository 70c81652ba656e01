#include "context/candidates.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "context/speaker.h"

/*
 * DESIGN. Three steps, each on fewer messages and with more work for each:
 *   1. the index gives row and term mask of every match (at most `matches` for a term); the sum of
 *      the terms' gains orders them;
 *   2. the best `read` are read and scored by BM25;
 *   3. the best `around` of these get the turns before and after them, and everything is ranked.
 */

void mc_candidates_fini(struct mc_candidates *candidates)
{
    mc_records_fini(&candidates->held);
}

/* ---- The best matches ---- */

/* Sums of gains for each byte of a mask, so that a mask costs eight look-ups. */
struct gain_table {
    double sums[8][256];
    size_t bytes;
};

static void fill_gains(const struct mc_query *query, struct gain_table *table)
{
    table->bytes = (query->term_count + 7) / 8;
    for (size_t byte = 0; byte < table->bytes; byte++) {
        table->sums[byte][0] = 0;
        for (unsigned bits = 1; bits < 256; bits++) {
            size_t term = byte * 8 + (size_t)__builtin_ctz(bits);
            double gain = term < query->term_count ? query->gains[term] : 0;
            table->sums[byte][bits] = table->sums[byte][bits & (bits - 1)] + gain;
        }
    }
}

static double mask_gain(const struct gain_table *table, uint64_t mask)
{
    double sum = 0;
    for (size_t byte = 0; byte < table->bytes; byte++)
        sum += table->sums[byte][(mask >> (8 * byte)) & 0xFF];
    return sum;
}

struct pick {
    double gain;
    int64_t row;
};

/* A comes after b: a smaller gain, or the older one. */
static bool worse(struct pick a, struct pick b)
{
    if (a.gain < b.gain || a.gain > b.gain)
        return a.gain < b.gain;
    return a.row < b.row;
}

/* Restores the heap, whose root is the worst pick, below place i. */
static void sift_down(struct pick *heap, size_t count, size_t i)
{
    struct pick moving = heap[i];
    for (size_t child; (child = 2 * i + 1) < count; i = child) {
        if (child + 1 < count && worse(heap[child + 1], heap[child]))
            child++;
        if (!worse(heap[child], moving))
            break;
        heap[i] = heap[child];
    }
    heap[i] = moving;
}

/* The best `limit` matches into heap, in no order. */
static size_t pick_best(const struct mc_query *query, const struct mc_match_result *matches,
                        struct pick *heap, size_t limit)
{
    struct gain_table table;
    fill_gains(query, &table);
    size_t count = 0;
    for (size_t i = 0; i < matches->count; i++) {
        struct pick pick = {mask_gain(&table, matches->items[i].mask), matches->items[i].row};
        if (count < limit) {
            heap[count++] = pick;
            for (size_t k = count == limit ? count / 2 : 0; k > 0; k--)
                sift_down(heap, count, k - 1);
        } else if (worse(heap[0], pick)) {
            heap[0] = pick;
            sift_down(heap, count, 0);
        }
    }
    return count;
}

static int compare_picks(const void *a, const void *b)
{
    const struct pick *x = a, *y = b;
    return worse(*y, *x) ? -1 : worse(*x, *y) ? 1 : 0;
}

/* ---- Items and their neighbours ---- */

struct builder {
    const struct mc_retrieval *r;
    const struct mc_candidate_query *query;
    struct mc_candidates *out;
    struct mc_arena *arena;
    size_t capacity;
    size_t *slots; /* index + 1 by row */
    size_t slot_count;
};

static size_t *slot_of(struct builder *b, int64_t row)
{
    size_t slot =
        (size_t)((uint64_t)row * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (b->slot_count - 1);
    while (b->slots[slot] && b->out->items[b->slots[slot] - 1].record->row != row)
        slot = (slot + 1) & (b->slot_count - 1);
    return &b->slots[slot];
}

static bool prepare(struct builder *b)
{
    b->capacity = b->query->read + 2 * MC_TURNS * b->query->around;
    for (b->slot_count = 64; b->slot_count < 2 * b->capacity;)
        b->slot_count *= 2;
    b->slots = mc_arena_array(b->arena, b->slot_count, sizeof(*b->slots));
    b->out->items = mc_arena_array(b->arena, b->capacity, sizeof(*b->out->items));
    return b->slots && b->out->items;
}

/* Makes an item of a record, if it is none yet. */
static enum mc_status add_item(struct builder *b, struct mc_record *record, bool matched,
                               struct mc_error *err)
{
    size_t *slot = slot_of(b, record->row);
    if (*slot)
        return MC_OK;
    if (!mc_records_push(&b->out->held, mc_record_ref(record)))
        return mc_fail_memory(err);
    struct mc_rank_item *item = &b->out->items[b->out->count];
    *item = (struct mc_rank_item){
        .record = record,
        .before = MC_RANK_NONE,
        .after = MC_RANK_NONE,
        .matched = matched,
        .trivial = mc_rank_is_trivial(&record->m),
    };
    enum mc_status status = mc_rank_own(&b->out->query, item, b->arena, err);
    if (status)
        return status;
    *slot = ++b->out->count;
    return MC_OK;
}

static enum mc_status read_matches(struct builder *b, const struct mc_match_result *matches,
                                   struct mc_error *err)
{
    struct pick *picks = mc_arena_array(b->arena, b->query->read, sizeof(*picks));
    int64_t *rows = mc_arena_array(b->arena, b->query->read, sizeof(*rows));
    if (!picks || !rows)
        return mc_fail_memory(err);
    size_t count = pick_best(&b->out->query, matches, picks, b->query->read);
    qsort(picks, count, sizeof(*picks), compare_picks);
    for (size_t i = 0; i < count; i++)
        rows[i] = picks[i].row;
    mc_auto(mc_records_fini) struct mc_records records = {0};
    enum mc_status status =
        b->r->store->ops->rows(b->r->store, rows, count, b->query->reader, &records, err);
    mc_speakers_find(&b->out->query, &records);
    for (size_t i = 0; !status && i < records.count; i++)
        status = add_item(b, records.items[i], true, err);
    return status;
}

static int compare_rows(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static int compare_own(const void *a, const void *b, void *context)
{
    const struct mc_rank_item *items = context;
    const struct mc_rank_item *x = &items[*(const size_t *)a], *y = &items[*(const size_t *)b];
    if (x->own > y->own || x->own < y->own)
        return x->own > y->own ? -1 : 1;
    return x->record->row > y->record->row ? -1 : x->record->row < y->record->row;
}

/* The rows of the items that get their turns: the best by their own words. */
static int64_t *centres(struct builder *b, size_t *count)
{
    size_t *order = mc_arena_array(b->arena, b->out->count, sizeof(*order));
    int64_t *rows = mc_arena_array(b->arena, b->out->count, sizeof(*rows));
    if (!order || !rows)
        return NULL;
    for (size_t i = 0; i < b->out->count; i++)
        order[i] = i;
    qsort_r(order, b->out->count, sizeof(*order), compare_own, b->out->items);
    *count = b->out->count < b->query->around ? b->out->count : b->query->around;
    for (size_t i = 0; i < *count; i++)
        rows[i] = b->out->items[order[i]].record->row;
    return rows;
}

/* What of the turns is no item yet, each once. */
static size_t missing(struct builder *b, const struct mc_turns *turns, size_t count, int64_t *rows)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < 2 * MC_TURNS; k++) {
            int64_t row = k < MC_TURNS ? turns[i].before[k] : turns[i].after[k - MC_TURNS];
            if (row && !*slot_of(b, row))
                rows[found++] = row;
        }
    }
    qsort(rows, found, sizeof(*rows), compare_rows);
    size_t distinct = 0;
    for (size_t i = 0; i < found; i++) {
        if (i == 0 || rows[i] != rows[i - 1])
            rows[distinct++] = rows[i];
    }
    return distinct;
}

static void link_pair(struct builder *b, int64_t before, int64_t after)
{
    size_t first = before ? *slot_of(b, before) : 0, second = after ? *slot_of(b, after) : 0;
    if (first == 0 || second == 0)
        return;
    b->out->items[first - 1].after = second - 1;
    b->out->items[second - 1].before = first - 1;
}

static void link_turns(struct builder *b, const int64_t *rows, const struct mc_turns *turns,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct mc_turns *t = &turns[i];
        link_pair(b, t->before[0], rows[i]);
        link_pair(b, rows[i], t->after[0]);
        for (size_t k = 1; k < MC_TURNS; k++) {
            link_pair(b, t->before[k], t->before[k - 1]);
            link_pair(b, t->after[k - 1], t->after[k]);
        }
    }
}

static enum mc_status add_neighbours(struct builder *b, struct mc_error *err)
{
    struct mc_store *store = b->r->store;
    size_t count = 0;
    int64_t *rows = centres(b, &count);
    struct mc_turns *turns = rows ? mc_arena_array(b->arena, count, sizeof(*turns)) : NULL;
    int64_t *others = mc_arena_array(b->arena, 2 * MC_TURNS * count, sizeof(*others));
    if (!turns || !others)
        return mc_fail_memory(err);
    enum mc_status status = store->ops->turns(store, rows, count, b->query->reader, turns, err);
    if (status)
        return status;
    mc_auto(mc_records_fini) struct mc_records records = {0};
    size_t more = missing(b, turns, count, others);
    status = store->ops->rows(store, others, more, b->query->reader, &records, err);
    for (size_t i = 0; !status && i < records.count; i++)
        status = add_item(b, records.items[i], false, err);
    if (!status)
        link_turns(b, rows, turns, count);
    return status;
}

static int compare_items(const void *a, const void *b, void *context)
{
    const struct mc_rank_item *items = context;
    return mc_rank_compare(&items[*(const size_t *)a], &items[*(const size_t *)b]);
}

/* Puts the items into the order of their rank and the links with them. */
static enum mc_status sort_items(struct builder *b, struct mc_error *err)
{
    struct mc_candidates *out = b->out;
    size_t *order = mc_arena_array(b->arena, out->count, sizeof(*order));
    size_t *places = mc_arena_array(b->arena, out->count, sizeof(*places));
    struct mc_rank_item *sorted = mc_arena_array(b->arena, out->count, sizeof(*sorted));
    if (!order || !places || !sorted)
        return mc_fail_memory(err);
    for (size_t i = 0; i < out->count; i++)
        order[i] = i;
    qsort_r(order, out->count, sizeof(*order), compare_items, out->items);
    for (size_t i = 0; i < out->count; i++)
        places[order[i]] = i;
    for (size_t i = 0; i < out->count; i++) {
        sorted[i] = out->items[order[i]];
        if (sorted[i].before != MC_RANK_NONE)
            sorted[i].before = places[sorted[i].before];
        if (sorted[i].after != MC_RANK_NONE)
            sorted[i].after = places[sorted[i].after];
    }
    out->items = sorted;
    return MC_OK;
}

static enum mc_status match(const struct mc_retrieval *r, const struct mc_candidate_query *query,
                            struct mc_candidates *out, struct mc_match_result *matches,
                            struct mc_error *err)
{
    struct mc_match_query asked = {
        .user_id = query->user_id,
        .reader = query->reader,
        .terms = out->query.terms,
        .term_count = out->query.term_count,
        .required = query->required,
        .required_count = query->required_count,
        .thread_id = query->thread_id,
        .since_us = query->since_us,
        .until_us = query->until_us,
        .limit = query->matches,
    };
    enum mc_status status = r->store->ops->match(r->store, &asked, matches, err);
    if (status)
        return status;
    mc_query_weigh(&out->query, matches->df, matches->user_messages);
    out->matched = matches->count;
    return MC_OK;
}

enum mc_status mc_candidates_find(const struct mc_retrieval *r,
                                  const struct mc_candidate_query *query, struct mc_arena *arena,
                                  struct mc_candidates *out, struct mc_error *err)
{
    mc_auto(mc_candidates_fini) struct mc_candidates made = {.count = 0};
    enum mc_status status =
        mc_query_read(query->text, r->vocabulary, query->now_us, arena, &made.query, err);
    if (status)
        return status;
    struct builder b = {.r = r, .query = query, .out = &made, .arena = arena};
    if (made.query.term_count > 0) {
        mc_auto(mc_match_result_fini) struct mc_match_result matches = {.count = 0};
        status = match(r, query, &made, &matches, err);
        if (!status && !prepare(&b))
            status = mc_fail_memory(err);
        if (!status)
            status = read_matches(&b, &matches, err);
        if (!status)
            status = add_neighbours(&b, err);
        if (!status)
            status = mc_rank_all(&made.query, made.items, made.count, r->half_life_us,
                                 query->now_us, arena, err);
        if (!status)
            status = sort_items(&b, err);
        if (status)
            return status;
    }
    *out = made;
    made = (struct mc_candidates){.count = 0};
    return MC_OK;
}
