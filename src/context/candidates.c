#include "context/candidates.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "context/speaker.h"
#include "context/spots.h"

/*
 * DESIGN. Three steps, each on fewer messages and with more work for each:
 *   1. the index gives row and term mask of every match (at most `matches` for a term);
 *   2. the best `centres` of these get the turns next to them, and all are estimated (spots.h);
 *   3. what the estimate chooses is read, scored by BM25 and ranked.
 */

void mc_candidates_fini(struct mc_candidates *candidates)
{
    mc_records_fini(&candidates->held);
}

/* ---- Items ---- */

struct builder {
    const struct mc_retrieval *r;
    const struct mc_candidate_query *query;
    struct mc_candidates *out;
    struct mc_arena *arena;
    struct mc_spots spots;
    size_t *item_of; /* index of a spot's item, MC_RANK_NONE when it was not read */
};

static int compare_rows(const void *a, const void *b, void *context)
{
    const struct mc_spot *spots = context;
    int64_t x = spots[*(const size_t *)a].row, y = spots[*(const size_t *)b].row;
    return x < y ? -1 : x > y;
}

/* The chosen spots, in the order of their rows. */
static size_t *chosen(const struct builder *b, size_t *count)
{
    size_t *order = mc_arena_array(b->arena, b->spots.count, sizeof(*order));
    *count = 0;
    for (size_t i = 0; order && i < b->spots.count; i++) {
        if (b->spots.items[i].chosen)
            order[(*count)++] = i;
    }
    if (order)
        qsort_r(order, *count, sizeof(*order), compare_rows, b->spots.items);
    return order;
}

/* Makes items of the records, which have the order of the spots, some of them gone. */
static enum mc_status add_items(struct builder *b, const size_t *order, size_t count,
                                struct mc_error *err)
{
    struct mc_candidates *out = b->out;
    out->items = mc_arena_array(b->arena, out->held.count, sizeof(*out->items));
    if (!out->items)
        return mc_fail_memory(err);
    for (size_t i = 0; i < count && out->count < out->held.count; i++) {
        const struct mc_spot *spot = &b->spots.items[order[i]];
        struct mc_record *record = out->held.items[out->count];
        if (record->row != spot->row)
            continue;
        struct mc_rank_item *item = &out->items[out->count];
        *item = (struct mc_rank_item){
            .record = record,
            .matched = spot->matched,
            .trivial = mc_rank_is_trivial(&record->m),
            .meaning = spot->meaning,
        };
        enum mc_status status = mc_rank_own(&out->query, item, b->arena, err);
        if (status)
            return status;
        b->item_of[order[i]] = out->count++;
    }
    return MC_OK;
}

/* The item of a turn; what the index tells of one that was not read counts from here on. */
static size_t turn_at(const struct builder *b, size_t spot, double share, double *unread)
{
    size_t item = spot == MC_SPOT_NONE ? MC_RANK_NONE : b->item_of[spot];
    if (spot != MC_SPOT_NONE && item == MC_RANK_NONE)
        *unread += share * b->spots.items[spot].own;
    return item;
}

static void link_items(struct builder *b, const size_t *order, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct mc_spot *spot = &b->spots.items[order[i]];
        if (b->item_of[order[i]] == MC_RANK_NONE)
            continue;
        struct mc_rank_item *item = &b->out->items[b->item_of[order[i]]];
        item->before = turn_at(b, spot->before[0], MC_RANK_NEXT_SHARE, &item->unread);
        item->after = turn_at(b, spot->after[0], MC_RANK_NEXT_SHARE, &item->unread);
        item->second_before = turn_at(b, spot->before[1], MC_RANK_SECOND_SHARE, &item->unread);
        item->second_after = turn_at(b, spot->after[1], MC_RANK_SECOND_SHARE, &item->unread);
    }
}

/* Reads the chosen spots, in the order of their rows; fewer of them when they are too long. */
static enum mc_status read_order(struct builder *b, size_t **order, size_t *count,
                                 struct mc_error *err)
{
    struct mc_load *load = b->query->reader->load;
    size_t mark = mc_load_mark(load);
    for (;;) {
        *order = chosen(b, count);
        int64_t *rows = mc_arena_array(b->arena, *count, sizeof(*rows));
        if (!*order || !rows)
            return mc_fail_memory(err);
        for (size_t i = 0; i < *count; i++)
            rows[i] = b->spots.items[(*order)[i]].row;
        mc_load_begin(load, b->query->max_bytes);
        enum mc_status status =
            b->r->store->ops->rows(b->r->store, rows, *count, b->query->reader, &b->out->held, err);
        if (status || !mc_load_is_full(load) || load->refused)
            return status;
        b->out->cut = true;
        if (!mc_spots_keep(&b->spots, b->out->held.count / 4 * 3, b->arena))
            return mc_fail_memory(err);
        mc_records_fini(&b->out->held);
        mc_load_rewind(load, mark);
    }
}

static enum mc_status read_chosen(struct builder *b, struct mc_error *err)
{
    size_t count;
    size_t *order = NULL;
    b->item_of = mc_arena_array(b->arena, b->spots.count, sizeof(*b->item_of));
    if (!b->item_of)
        return mc_fail_memory(err);
    for (size_t i = 0; i < b->spots.count; i++)
        b->item_of[i] = MC_RANK_NONE;
    enum mc_status status = read_order(b, &order, &count, err);
    if (status)
        return status;
    mc_speakers_find(&b->out->query, &b->out->held);
    status = add_items(b, order, count, err);
    link_items(b, order, count);
    return status;
}

static int compare_items(const void *a, const void *b, void *context)
{
    const struct mc_rank_item *items = context;
    return mc_rank_compare(&items[*(const size_t *)a], &items[*(const size_t *)b]);
}

static void move(size_t *item, const size_t *places)
{
    if (*item != MC_RANK_NONE)
        *item = places[*item];
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
        move(&sorted[i].before, places);
        move(&sorted[i].after, places);
        move(&sorted[i].second_before, places);
        move(&sorted[i].second_after, places);
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

/* Where labels are asked for, the index alone knows who has them. */
static void find_meaning(const struct mc_retrieval *r, const struct mc_candidate_query *query,
                         struct mc_arena *arena, struct mc_meaning_result *meaning)
{
    const struct mc_meaning_query asked = {
        .user_id = query->user_id,
        .text = query->text,
        .reader = query->reader,
        .thread_id = query->thread_id,
        .since_us = query->since_us,
        .until_us = query->until_us,
        .limit = query->read,
    };
    if (r->meaning && query->required_count == 0)
        mc_meaning_find(r->meaning, &asked, arena, meaning);
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
    struct mc_spot_limits limits = {query->centres, query->read, query->turns};
    find_meaning(r, query, arena, &made.meaning);
    if (made.query.term_count > 0 || made.meaning.count > 0) {
        mc_auto(mc_match_result_fini) struct mc_match_result matches = {.count = 0};
        if (made.query.term_count > 0)
            status = match(r, query, &made, &matches, err);
        if (!status)
            status =
                mc_spots_find(r->store, &made.query, &matches, made.meaning.items,
                              made.meaning.count, query->reader, &limits, arena, &b.spots, err);
        if (!status)
            status = read_chosen(&b, err);
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
