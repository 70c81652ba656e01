/*
 * What fills a budget when the query finds little: what the user said of himself or asked to
 * remember, in any thread, what was said at the time that the query names, and the end of his last
 * conversation elsewhere.
 *
 * DESIGN. The index finds them by labels: one for what lasts, and the categories, of which every
 * enriched message has one. Each is one question and a bounded number of rows.
 */
#include "context/assemble.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "context/tokens.h"
#include "message/label.h"

#define IMPORTANT_READ 24 /* the newest facts, of which the most important are shown */
#define IMPORTANT_SHARE 5 /* of the messages, one in so many */
#define TIME_READ 64      /* the newest of the time that the query names */
#define TIME_SHARE 5      /* of the messages, one in so many */
#define SESSION_SHARE 5   /* of the messages, one in so many */
#define SESSION_READ 16   /* messages of the last session, those that say nothing included */
#define UNDER_WAY 4       /* messages that say something make a thread one that is under way */
#define ELSEWHERE_READ 32 /* the newest messages, among which another thread is looked for */
#define ENTRY_UNITS ((size_t)200 * MC_TOKEN_UNITS)
#define READ_BYTES MC_READ_PAGE_BYTES

static size_t share_of(const struct mc_assembly *a, size_t share)
{
    return a->max_messages > share ? a->max_messages / share : 1;
}

/* The newest messages with one of the labels, of a time or (0) of any. */
static enum mc_status newest_with(struct mc_assembly *a, struct mc_match_group labels,
                                  int64_t since_us, int64_t until_us, size_t limit,
                                  struct mc_records *out, struct mc_error *err)
{
    struct mc_match_query query = {
        .user_id = a->query->user_id,
        .reader = &a->reader,
        .required = &labels,
        .required_count = 1,
        .since_us = since_us,
        .until_us = until_us,
        .limit = limit,
    };
    mc_auto(mc_match_result_fini) struct mc_match_result found = {.count = 0};
    const struct mc_store_ops *ops = a->r->store->ops;
    enum mc_status status = ops->match(a->r->store, &query, &found, err);
    if (status)
        return status;
    size_t count = found.count < limit ? found.count : limit;
    int64_t *rows = mc_arena_array(a->arena, count, sizeof(*rows));
    if (!rows)
        return mc_fail_memory(err);
    for (size_t i = 0; i < count; i++)
        rows[i] = found.items[i].row;
    mc_load_begin(a->reader.load, READ_BYTES);
    return ops->rows(a->r->store, rows, count, &a->reader, out, err);
}

/* ---- Important facts ---- */

static int compare_importance(const void *a, const void *b)
{
    const struct mc_record *x = *(struct mc_record *const *)a, *y = *(struct mc_record *const *)b;
    if (x->m.importance > y->m.importance || x->m.importance < y->m.importance)
        return x->m.importance > y->m.importance ? -1 : 1;
    return x->row > y->row ? -1 : x->row < y->row;
}

enum mc_status mc_assembly_important(struct mc_assembly *a, struct mc_error *err)
{
    const mc_str label = MC_STR(MC_LABEL_LASTING);
    struct mc_match_group group = {&label, 1};
    enum mc_status status = newest_with(a, group, 0, 0, IMPORTANT_READ, &a->important, err);
    if (status || a->important.count == 0)
        return status;
    qsort(a->important.items, a->important.count, sizeof(struct mc_record *), compare_importance);
    size_t most = share_of(a, IMPORTANT_SHARE);
    for (size_t i = 0; i < a->important.count && a->kinds[MC_SHOWN_IMPORTANT] < most; i++) {
        struct mc_shown shown = {.record = a->important.items[i], .as = MC_SHOWN_IMPORTANT};
        bool added;
        if (shown.record->m.role != MC_ROLE_USER || mc_assembly_is_shown(a, shown.record))
            continue;
        status =
            mc_assembly_show(a, shown, shown.record->m.text, (int64_t)i, ENTRY_UNITS, &added, err);
        if (status || !added)
            return status;
    }
    return MC_OK;
}

/* ---- Any message ---- */

static enum mc_status all_categories(struct mc_assembly *a, struct mc_match_group *group,
                                     struct mc_error *err)
{
    const struct mc_vocabulary *vocabulary = a->r->vocabulary;
    size_t count = mc_vocabulary_category_count(vocabulary);
    mc_str *labels = mc_arena_array(a->arena, count + 1, sizeof(*labels));
    if (!labels)
        return mc_fail_memory(err);
    for (size_t i = 0; i <= count; i++) {
        mc_str name = i < count ? mc_vocabulary_category_at(vocabulary, i) : MC_STR("general");
        labels[i] = mc_query_label(MC_LABEL_CATEGORY, name, a->arena);
        if (!labels[i].data)
            return mc_fail_memory(err);
    }
    *group = (struct mc_match_group){labels, count + 1};
    return MC_OK;
}

/* ---- What was said at the time that the query names ---- */

enum mc_status mc_assembly_time_named(struct mc_assembly *a, struct mc_error *err)
{
    int64_t since_us = 0, until_us = 0;
    if (!mc_when_span(&a->found.query.when, a->now_us, &since_us, &until_us) ||
        since_us >= a->now_us || until_us <= 0)
        return MC_OK; /* no message is of a time to come, or from before 1970 */
    struct mc_match_group group;
    size_t most = share_of(a, TIME_SHARE);
    enum mc_status status = all_categories(a, &group, err);
    if (!status)
        status = newest_with(a, group, since_us, until_us, TIME_READ, &a->of_time, err);
    for (size_t i = 0; !status && i < a->of_time.count && a->kinds[MC_SHOWN_TIME_NAMED] < most;
         i++) {
        struct mc_shown shown = {.record = a->of_time.items[i], .as = MC_SHOWN_TIME_NAMED};
        const struct mc_message *m = &shown.record->m;
        bool added;
        if (mc_rank_is_trivial(m) || mc_assembly_is_shown(a, shown.record))
            continue;
        /* Behind the facts, oldest first. */
        int64_t place = (int64_t)(IMPORTANT_READ + a->of_time.count - i);
        status = mc_assembly_show(a, shown, m->text, place, ENTRY_UNITS, &added, err);
        if (!status && !added)
            break;
    }
    return status;
}

/* ---- The last conversation elsewhere ---- */

/* By the time of its creation: messages of long ago may have come last. */
static bool is_newer(const struct mc_record *a, const struct mc_record *b)
{
    if (a->m.created_at_us != b->m.created_at_us)
        return a->m.created_at_us > b->m.created_at_us;
    return a->row > b->row;
}

/* The newest message of another thread that says something; NULL when there is none. */
static const struct mc_record *newest_elsewhere(const struct mc_assembly *a,
                                                const struct mc_records *records)
{
    const struct mc_record *newest = NULL;
    for (size_t i = 0; i < records->count; i++) {
        const struct mc_record *record = records->items[i];
        if (mc_str_equal(record->m.thread_id, a->query->thread_id) ||
            mc_rank_is_trivial(&record->m))
            continue;
        if (!newest || is_newer(record, newest))
            newest = record;
    }
    return newest;
}

/* The session of the newest message of the thread that says something. */
static enum mc_status show_session(struct mc_assembly *a, mc_str thread_id, struct mc_error *err)
{
    size_t most = share_of(a, SESSION_SHARE);
    struct mc_recent_read read = {
        .user_id = a->query->user_id,
        .thread_id = thread_id,
        .limit = SESSION_READ,
        .reader = &a->reader,
    };
    const struct mc_message *last = NULL;
    mc_load_begin(a->reader.load, READ_BYTES);
    enum mc_status status = mc_retrieve_recent(a->r, &read, a->now_us, &a->elsewhere, err);
    for (size_t i = 0; !status && i < a->elsewhere.count; i++) {
        struct mc_shown shown = {.record = a->elsewhere.items[i], .as = MC_SHOWN_LAST_SESSION};
        const struct mc_message *m = &shown.record->m;
        bool added;
        if (mc_rank_is_trivial(m))
            continue;
        last = last ? last : m;
        if (!mc_str_equal(m->session_id, last->session_id) ||
            a->kinds[MC_SHOWN_LAST_SESSION] == most)
            break;
        if (mc_assembly_is_shown(a, shown.record))
            continue;
        /* Behind the facts and what is of the time named, oldest first. */
        int64_t place = (int64_t)(IMPORTANT_READ + TIME_READ + a->elsewhere.count - i);
        status = mc_assembly_show(a, shown, m->text, place, ENTRY_UNITS, &added, err);
        if (!status && !added)
            break;
    }
    return status;
}

/* Whether the thread has turns enough to speak for itself; another conversation would only distract. */
static bool is_under_way(const struct mc_assembly *a)
{
    size_t turns = 0;
    for (size_t i = 0; i < a->shown_count && turns < UNDER_WAY; i++) {
        const struct mc_shown *shown = &a->shown[i];
        turns += shown->as == MC_SHOWN_RECENT && !mc_rank_is_trivial(&shown->record->m);
    }
    return turns == UNDER_WAY;
}

enum mc_status mc_assembly_last_session(struct mc_assembly *a, struct mc_error *err)
{
    struct mc_match_group group;
    mc_auto(mc_records_fini) struct mc_records newest = {0};
    if (is_under_way(a))
        return MC_OK;
    enum mc_status status = all_categories(a, &group, err);
    if (!status)
        status = newest_with(a, group, 0, 0, ELSEWHERE_READ, &newest, err);
    if (status)
        return status;
    const struct mc_record *last = newest_elsewhere(a, &newest);
    return last ? show_session(a, last->m.thread_id, err) : MC_OK;
}
