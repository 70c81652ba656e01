#include "context/spots.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "context/rank.h"

/*
 * DESIGN. The index tells of a match which terms it has, not how often and in how long a text. For a choice that
 * is enough: the best `matches` by the sum of their terms' gains get the turns next to them, by which
 * they and these are estimated as ranking will score them. Only what is chosen is read, as reading costs
 * most: a row of a large table is a page of its own.
 */

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
    for (size_t i = 0; i < matches->count && limit > 0; i++) {
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

static int compare_rows(const void *a, const void *b)
{
    const struct pick *x = a, *y = b;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* ---- Spots ---- */

struct finder {
    const struct mc_query *query;
    const struct mc_match_result *matches;
    const struct mc_meant *meant; /* in the order of their rows */
    size_t meant_count;
    struct mc_spots *spots;
    size_t *slots; /* index + 1 by row */
    size_t slot_count;
};

static bool prepare(struct finder *f, size_t centres, struct mc_arena *arena)
{
    size_t capacity = centres * (1 + 2 * MC_TURNS);
    for (f->slot_count = 64; f->slot_count < 2 * capacity;)
        f->slot_count *= 2;
    f->slots = mc_arena_array(arena, f->slot_count, sizeof(*f->slots));
    f->spots->items = mc_arena_array(arena, capacity, sizeof(*f->spots->items));
    return f->slots && f->spots->items;
}

/* The match of a row; NULL when the index did not give it. */
static const struct mc_match *match_of(const struct mc_match_result *matches, int64_t row)
{
    size_t low = 0, high = matches->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (matches->items[middle].row == row)
            return &matches->items[middle];
        if (matches->items[middle].row > row)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* How near a row is by meaning, 0 when it is not. */
static double meaning_of(const struct finder *f, int64_t row)
{
    size_t low = 0, high = f->meant_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (f->meant[middle].row == row)
            return f->meant[middle].share;
        if (f->meant[middle].row < row)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

/* The spot of a row, made when there is none yet; MC_SPOT_NONE for row 0. */
static size_t spot_of(struct finder *f, int64_t row)
{
    if (row == 0)
        return MC_SPOT_NONE;
    size_t slot =
        (size_t)((uint64_t)row * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (f->slot_count - 1);
    for (; f->slots[slot]; slot = (slot + 1) & (f->slot_count - 1)) {
        if (f->spots->items[f->slots[slot] - 1].row == row)
            return f->slots[slot] - 1;
    }
    const struct mc_match *match = match_of(f->matches, row);
    struct mc_spot *spot = &f->spots->items[f->spots->count++];
    *spot = (struct mc_spot){.row = row, .meaning = meaning_of(f, row)};
    spot->matched = match != NULL || spot->meaning > 0;
    if (match) {
        spot->mask = match->mask;
        spot->own = mc_rank_covered(f->query, match->mask);
    }
    spot->own += MC_RANK_MEANING_WEIGHT * spot->meaning;
    for (size_t i = 0; i < MC_TURNS; i++)
        spot->before[i] = spot->after[i] = MC_SPOT_NONE;
    f->slots[slot] = f->spots->count;
    return f->spots->count - 1;
}

/* Links the turns of a sequence with those one and two places on. */
static void link_turns(struct finder *f, int64_t row, const struct mc_turns *turns)
{
    size_t line[2 * MC_TURNS + 1];
    for (size_t i = 0; i < MC_TURNS; i++) {
        line[MC_TURNS - 1 - i] = spot_of(f, turns->before[i]);
        line[MC_TURNS + 1 + i] = spot_of(f, turns->after[i]);
    }
    line[MC_TURNS] = spot_of(f, row);
    for (size_t i = 0; i < mc_countof(line); i++) {
        for (size_t k = 0; k < MC_TURNS && i + k + 1 < mc_countof(line); k++) {
            size_t first = line[i], second = line[i + k + 1];
            if (first == MC_SPOT_NONE || second == MC_SPOT_NONE)
                continue;
            f->spots->items[first].after[k] = second;
            f->spots->items[second].before[k] = first;
        }
    }
}

static void estimate(struct mc_spots *spots)
{
    for (size_t i = 0; i < spots->count; i++) {
        struct mc_spot *spot = &spots->items[i];
        spot->estimate = spot->own;
        for (size_t k = 0; k < MC_TURNS; k++) {
            double share = k == 0 ? MC_RANK_NEXT_SHARE : MC_RANK_SECOND_SHARE;
            if (spot->before[k] != MC_SPOT_NONE)
                spot->estimate += share * spots->items[spot->before[k]].own;
            if (spot->after[k] != MC_SPOT_NONE)
                spot->estimate += share * spots->items[spot->after[k]].own;
        }
    }
}

static int compare_spots(const void *a, const void *b, void *context)
{
    const struct mc_spot *spots = context;
    const struct mc_spot *x = &spots[*(const size_t *)a], *y = &spots[*(const size_t *)b];
    if (x->estimate > y->estimate || x->estimate < y->estimate)
        return x->estimate > y->estimate ? -1 : 1;
    return x->row > y->row ? -1 : x->row < y->row;
}

static bool choose(struct mc_spots *spots, struct mc_spot_limits limits, struct mc_arena *arena)
{
    size_t *order = mc_arena_array(arena, spots->count, sizeof(*order));
    if (!order)
        return false;
    for (size_t i = 0; i < spots->count; i++)
        order[i] = i;
    qsort_r(order, spots->count, sizeof(*order), compare_spots, spots->items);
    for (size_t i = 0; i < spots->count; i++) {
        struct mc_spot *spot = &spots->items[order[i]];
        size_t *left = spot->matched ? &limits.read : &limits.turns;
        spot->chosen = *left > 0;
        *left -= spot->chosen;
    }
    return true;
}

bool mc_spots_keep(struct mc_spots *spots, size_t most, struct mc_arena *arena)
{
    size_t *order = mc_arena_array(arena, spots->count, sizeof(*order));
    size_t count = 0;
    if (!order)
        return false;
    for (size_t i = 0; i < spots->count; i++) {
        if (spots->items[i].chosen)
            order[count++] = i;
    }
    qsort_r(order, count, sizeof(*order), compare_spots, spots->items);
    for (size_t i = most; i < count; i++)
        spots->items[order[i]].chosen = false;
    return true;
}

/* Adds what is near by meaning and was not picked by its words. */
static size_t add_meant(const struct finder *f, struct pick *picks, size_t count)
{
    size_t picked = count;
    qsort(picks, picked, sizeof(*picks), compare_rows);
    for (size_t i = 0; i < f->meant_count; i++) {
        struct pick pick = {.row = f->meant[i].row};
        if (!bsearch(&pick, picks, picked, sizeof(pick), compare_rows))
            picks[count++] = pick;
    }
    return count;
}

enum mc_status mc_spots_find(struct mc_store *store, const struct mc_query *query,
                             const struct mc_match_result *matches, const struct mc_meant *meant,
                             size_t meant_count, const struct mc_reader *reader,
                             const struct mc_spot_limits *limits, struct mc_arena *arena,
                             struct mc_spots *spots, struct mc_error *err)
{
    size_t most = matches->count < limits->matches ? matches->count : limits->matches;
    struct mc_spots made = {.count = 0};
    struct finder f = {.query = query,
                       .matches = matches,
                       .meant = meant,
                       .meant_count = meant_count,
                       .spots = &made};
    size_t all = most + meant_count;
    struct pick *picks = mc_arena_array(arena, all, sizeof(*picks));
    int64_t *rows = mc_arena_array(arena, all, sizeof(*rows));
    struct mc_turns *turns = mc_arena_array(arena, all, sizeof(*turns));
    if (!picks || !rows || !turns || !prepare(&f, all, arena))
        return mc_fail_memory(err);
    size_t count = add_meant(&f, picks, pick_best(query, matches, picks, most));
    /* In the order of the file: rows that lie together are read together. */
    qsort(picks, count, sizeof(*picks), compare_rows);
    for (size_t i = 0; i < count; i++)
        rows[i] = picks[i].row;
    enum mc_status status = store->ops->turns(store, rows, count, reader, turns, err);
    if (status)
        return status;
    for (size_t i = 0; i < count; i++)
        link_turns(&f, rows[i], &turns[i]);
    estimate(&made);
    if (!choose(&made, *limits, arena))
        return mc_fail_memory(err);
    *spots = made;
    return MC_OK;
}
