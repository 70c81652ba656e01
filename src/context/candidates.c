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

#define AROUND_TURNS 2

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
    b->capacity = b->query->read + 2 * AROUND_TURNS * b->query->around;
    for (b->slot_count = 64; b->slot_count < 2 * b->capacity;)
        b->slot_count *= 2;
    b->slots = mc_arena_array(b->arena, b->slot_count, sizeof(*b->slots));
    b->out->items = mc_arena_array(b->arena, b->capacity, sizeof(*b->out->items));
    return b->slots && b->out->items;
}

/* The item of a record, made when it is new. */
static enum mc_status add_item(struct builder *b, struct mc_record *record, bool matched,
                               size_t *index, struct mc_error *err)
{
    size_t *slot = slot_of(b, record->row);
    if (*slot) {
        *index = *slot - 1;
        return MC_OK;
    }
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
    *index = b->out->count++;
    *slot = *index + 1;
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
    for (size_t i = 0; !status && i < records.count; i++) {
        size_t index;
        status = add_item(b, records.items[i], true, &index, err);
    }
    return status;
}

static bool comes_before(const struct mc_record *a, const struct mc_record *b)
{
    if (a->m.created_at_us != b->m.created_at_us)
        return a->m.created_at_us < b->m.created_at_us;
    return a->row < b->row;
}

/* Adds the turns around an item and links all of them in the order of the thread. */
static enum mc_status add_around(struct builder *b, size_t centre, struct mc_error *err)
{
    mc_auto(mc_records_fini) struct mc_records turns = {0};
    const struct mc_record *record = b->out->items[centre].record;
    enum mc_status status = b->r->store->ops->around(b->r->store, record->row, AROUND_TURNS,
                                                     AROUND_TURNS, b->query->reader, &turns, err);
    if (status)
        return status;
    size_t chain[2 * AROUND_TURNS + 1], length = 0;
    bool placed = false;
    for (size_t i = 0; i < turns.count && i < 2 * AROUND_TURNS; i++) {
        if (!placed && comes_before(record, turns.items[i])) {
            chain[length++] = centre;
            placed = true;
        }
        status = add_item(b, turns.items[i], false, &chain[length++], err);
        if (status)
            return status;
    }
    if (!placed)
        chain[length++] = centre;
    for (size_t i = 1; i < length; i++) {
        b->out->items[chain[i - 1]].after = chain[i];
        b->out->items[chain[i]].before = chain[i - 1];
    }
    return MC_OK;
}

static int compare_own(const void *a, const void *b, void *context)
{
    const struct mc_rank_item *items = context;
    const struct mc_rank_item *x = &items[*(const size_t *)a], *y = &items[*(const size_t *)b];
    if (x->own > y->own || x->own < y->own)
        return x->own > y->own ? -1 : 1;
    return x->record->row > y->record->row ? -1 : x->record->row < y->record->row;
}

static enum mc_status add_neighbours(struct builder *b, struct mc_error *err)
{
    size_t count = b->out->count;
    size_t *order = mc_arena_array(b->arena, count, sizeof(*order));
    if (!order)
        return mc_fail_memory(err);
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    qsort_r(order, count, sizeof(*order), compare_own, b->out->items);
    for (size_t i = 0; i < count && i < b->query->around; i++) {
        const struct mc_rank_item *item = &b->out->items[order[i]];
        if (item->before != MC_RANK_NONE && item->after != MC_RANK_NONE)
            continue; /* known from its neighbours' turns */
        enum mc_status status = add_around(b, order[i], err);
        if (status)
            return status;
    }
    return MC_OK;
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
    enum mc_status status = mc_query_read(query->text, r->vocabulary, query->now_us, arena, &made.query, err);
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
