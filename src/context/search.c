#include "context/context.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "context/candidates.h"
#include "context/hits.h"
#include "message/decay.h"
#include "message/input.h"
#include "message/label.h"
#include "text/names.h"

#define LIMIT_DEFAULT 20
#define LIMIT_MAX 1000
#define NAMES_MAX 64 /* topics or categories of one query */
#define ARENA_MAX ((size_t)64 << 20)

/* What is looked at (candidates.h). */
#define MATCHES_PER_TERM 5000
#define CENTRES_PER_HIT 2
#define CENTRES_MIN 150
#define READ_PER_HIT 4
#define READ_MIN 150
#define TURNS_MIN 20

#define TURNS_SHARE 3 /* one hit in so many may be one that only its neighbours match */
#define STRONG 0.3    /* of the best word score: a match whose turns may be hits */

struct search {
    const struct mc_retrieval *r;
    const struct mc_search_query *query;
    const struct mc_reader *reader;
    int64_t now_us;
    size_t limit;
    struct mc_match_group required[3];
    size_t required_count;
    struct mc_arena arena;
};

static void search_fini(struct search *s)
{
    mc_arena_fini(&s->arena);
}

/* ---- Checks ---- */

static enum mc_status check(const struct mc_search_query *query, struct mc_error *err)
{
    enum mc_status status = mc_input_check_id("user_id", query->user_id, err);
    if (!status && query->thread_id.len > 0)
        status = mc_input_check_id("thread_id", query->thread_id, err);
    if (!status && query->text.len > 0)
        status = mc_input_check_text("query", query->text, err);
    if (status)
        return status;
    if (query->text.len == 0 && query->topic_count == 0 && query->category_count == 0 &&
        query->intent.len == 0)
        return mc_fail_field(err, MC_INVALID, "query",
                             "give at least one of query, topics, categories and intent");
    if (query->limit > LIMIT_MAX)
        return mc_fail_field(err, MC_INVALID, "limit", "limit must be 1 to %d", LIMIT_MAX);
    if (query->since_us && query->until_us && query->since_us >= query->until_us)
        return mc_fail_field(err, MC_INVALID, "until", "until must be later than since");
    return MC_OK;
}

typedef mc_str (*name_fn)(const struct mc_vocabulary *vocabulary, mc_str word);

/* Adds a group of labels of which one must match; nothing when there are no names. */
static enum mc_status require_names(struct search *s, const char *field, char kind,
                                    const mc_str *names, size_t count, name_fn name_of,
                                    struct mc_error *err)
{
    if (count == 0)
        return MC_OK;
    if (count > NAMES_MAX)
        return mc_fail_field(err, MC_INVALID, field, "%zu %s are too many, at most %d are allowed",
                             count, field, NAMES_MAX);
    mc_str *tokens = mc_arena_array(&s->arena, count, sizeof(*tokens));
    if (!tokens)
        return mc_fail_memory(err);
    for (size_t i = 0; i < count; i++) {
        mc_str name = name_of(s->r->vocabulary, names[i]);
        if (!mc_str_given(name))
            return mc_fail_field(
                err, MC_INVALID, field,
                "'%.*s' in %s is not in the vocabulary (docs/metadata.md lists it)",
                MC_STR_ARG(names[i]), field);
        tokens[i] = mc_query_label(kind, name, &s->arena);
        if (!tokens[i].data)
            return mc_fail_memory(err);
    }
    s->required[s->required_count++] = (struct mc_match_group){tokens, count};
    return MC_OK;
}

static mc_str intent_name(const struct mc_vocabulary *vocabulary, mc_str word)
{
    (void)vocabulary; /* intents are fixed */
    enum mc_intent intent = mc_intent_of_name(word);
    return intent == MC_INTENT_NONE ? MC_STR_NONE : mc_intent_name(intent);
}

static enum mc_status require_all(struct search *s, struct mc_error *err)
{
    const struct mc_search_query *q = s->query;
    enum mc_status status = require_names(s, "topics", MC_LABEL_TOPIC, q->topics, q->topic_count,
                                          mc_vocabulary_topic, err);
    if (!status)
        status = require_names(s, "categories", MC_LABEL_CATEGORY, q->categories, q->category_count,
                               mc_vocabulary_category, err);
    if (!status)
        status = require_names(s, "intent", MC_LABEL_INTENT, &q->intent, q->intent.len > 0,
                               intent_name, err);
    return status;
}

/* ---- The two kinds of search ---- */

/* Whether the turn at this index is next to a strong match that ranks before item number i. */
static bool is_strong(const struct mc_candidates *found, size_t turn, size_t i)
{
    return turn < i &&
           mc_rank_strength(&found->items[turn]) >= STRONG * mc_rank_strength(&found->items[0]);
}

/*
 * Whether item number i may be a hit: a match, or a turn next to a strong match, ranked behind it,
 * that says something and meets the query's other conditions, which the index was not asked for.
 */
static bool may_be_hit(const struct search *s, const struct mc_candidates *found, size_t i)
{
    const struct mc_rank_item *item = &found->items[i];
    if (item->matched)
        return !item->trivial || mc_rank_strength(item) > 0;
    if (item->trivial || !(is_strong(found, item->before, i) || is_strong(found, item->after, i)))
        return false;
    int64_t at_us = item->record->m.created_at_us;
    return s->required_count == 0 && (!s->query->since_us || at_us >= s->query->since_us) &&
           (!s->query->until_us || at_us < s->query->until_us);
}

static size_t at_least(size_t value, size_t least)
{
    return value > least ? value : least;
}

static struct mc_candidate_query candidate_query(const struct search *s)
{
    return (struct mc_candidate_query){
        .user_id = s->query->user_id,
        .reader = s->reader,
        .text = s->query->text,
        .required = s->required,
        .required_count = s->required_count,
        .thread_id = s->query->thread_id.len > 0 ? s->query->thread_id : MC_STR_NONE,
        .since_us = s->query->since_us,
        .until_us = s->query->until_us,
        .matches = MATCHES_PER_TERM,
        .centres = at_least(s->limit * CENTRES_PER_HIT, CENTRES_MIN),
        .read = at_least(s->limit * READ_PER_HIT, READ_MIN),
        .turns = at_least(s->limit, TURNS_MIN),
        .max_bytes = MC_READ_BYTES_MAX,
        .now_us = s->now_us,
    };
}

static enum mc_status too_many(const struct search *s, struct mc_error *err)
{
    return mc_fail_field(
        err, MC_TOO_LARGE, "limit",
        "%zu of these messages have more than %zu bytes together, which is what one "
        "search may load: ask for fewer",
        s->limit, MC_READ_BYTES_MAX);
}

static enum mc_status by_words(struct search *s, bool *no_words, struct mc_hit_list **hits,
                               struct mc_error *err)
{
    mc_auto(mc_candidates_fini) struct mc_candidates found = {.count = 0};
    struct mc_candidate_query query = candidate_query(s);
    enum mc_status status = mc_candidates_find(s->r, &query, &s->arena, &found, err);
    if (status)
        return status;
    *no_words = found.query.term_count == 0 && found.meaning.count == 0;
    if (*no_words)
        return MC_OK;
    if (found.cut && found.count < s->limit)
        return too_many(s, err);
    struct mc_hit_list *made =
        mc_hits_new(found.count < s->limit ? found.count : s->limit, s->query->explain);
    if (!made)
        return mc_fail_memory(err);
    size_t turns = 0, most = s->limit / TURNS_SHARE;
    for (size_t i = 0; i < found.count && made->count < s->limit; i++) {
        bool turn = !found.items[i].matched;
        if ((turn && turns == most) || !may_be_hit(s, &found, i))
            continue;
        mc_hits_add(made, found.items[i].record, found.items[i].score, found.items[i].features);
        turns += turn;
    }
    made->meaning = mc_meaning_name(found.meaning.state);
    *hits = made;
    return MC_OK;
}

/* Without words all matches are equal: the newest come first, their importance is the score. */
static enum mc_status by_labels(struct search *s, struct mc_hit_list **hits, struct mc_error *err)
{
    struct mc_match_query query = {
        .user_id = s->query->user_id,
        .reader = s->reader,
        .required = s->required,
        .required_count = s->required_count,
        .thread_id = s->query->thread_id.len > 0 ? s->query->thread_id : MC_STR_NONE,
        .since_us = s->query->since_us,
        .until_us = s->query->until_us,
        .limit = s->limit,
    };
    mc_auto(mc_match_result_fini) struct mc_match_result matches = {.count = 0};
    mc_auto(mc_records_fini) struct mc_records records = {0};
    enum mc_status status = s->r->store->ops->match(s->r->store, &query, &matches, err);
    if (status)
        return status;
    size_t count = matches.count < s->limit ? matches.count : s->limit;
    int64_t *rows = mc_arena_array(&s->arena, count, sizeof(*rows));
    if (!rows)
        return mc_fail_memory(err);
    for (size_t i = 0; i < count; i++)
        rows[i] = matches.items[i].row;
    mc_load_begin(s->reader->load, MC_READ_BYTES_MAX);
    status = s->r->store->ops->rows(s->r->store, rows, count, s->reader, &records, err);
    if (!status && mc_load_is_full(s->reader->load))
        status = too_many(s, err);
    if (status)
        return status;
    struct mc_hit_list *made = mc_hits_new(records.count, s->query->explain);
    if (!made)
        return mc_fail_memory(err);
    for (size_t i = 0; i < records.count; i++) {
        const struct mc_message *m = &records.items[i]->m;
        double score =
            mc_importance_at(m->importance, m->created_at_us, s->r->half_life_us, s->now_us);
        const double features[MC_FEATURE_COUNT] = {[MC_FEATURE_IMPORTANCE] = score};
        mc_hits_add(made, records.items[i], score, features);
    }
    *hits = made;
    return MC_OK;
}

enum mc_status mc_retrieve_search(const struct mc_retrieval *r, const struct mc_search_query *query,
                                  const struct mc_reader *reader, int64_t now_us,
                                  struct mc_hit_list **hits, struct mc_error *err)
{
    enum mc_status status = check(query, err);
    if (status)
        return status;
    mc_auto(search_fini) struct search s = {
        .r = r,
        .query = query,
        .reader = reader,
        .now_us = now_us,
        .limit = query->limit ? query->limit : LIMIT_DEFAULT,
    };
    mc_arena_init(&s.arena, ARENA_MAX);
    status = require_all(&s, err);
    if (status)
        return status;
    bool no_words = true;
    if (query->text.len > 0)
        status = by_words(&s, &no_words, hits, err);
    if (status || !no_words)
        return status;
    if (s.required_count > 0)
        return by_labels(&s, hits, err);
    /* Stop words alone are in no index: nothing is found by them. */
    struct mc_hit_list *none = mc_hits_new(0, false);
    if (!none)
        return mc_fail_memory(err);
    *hits = none;
    return MC_OK;
}
