#include "context/context.h"

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "context/measure.h"
#include "context/rank.h"
#include "context/tokens.h"
#include "message/decay.h"
#include "message/input.h"

#define MESSAGES_MAX 1000
#define TOKENS_MAX 1000000
/*
 * Unimportant messages that are passed over while looking for important ones; a thread of nothing
 * but small talk must not be read to its beginning.
 */
#define PASSED_OVER_MAX 2000
/* Read at a time: long messages end a window long before there are max_messages. */
#define PAGE_BYTES MC_READ_PAGE_BYTES

struct window {
    const struct mc_retrieval *r;
    const struct mc_window_query *query;
    int64_t now_us;
    size_t max_messages;
    struct mc_measure measure;
    size_t units_left;
    struct mc_load *load;
    bool closed; /* a message did not fit, or there are enough */
};

static enum mc_status check(const struct mc_window_query *query, struct mc_error *err)
{
    enum mc_status status = mc_input_check_id("user_id", query->user_id, err);
    if (!status)
        status = mc_input_check_id("thread_id", query->thread_id, err);
    if (status)
        return status;
    if (query->max_messages > MESSAGES_MAX)
        return mc_fail_field(err, MC_INVALID, "max_messages", "max_messages must be 1 to %d",
                             MESSAGES_MAX);
    if (query->max_tokens > TOKENS_MAX)
        return mc_fail_field(err, MC_INVALID, "max_tokens", "max_tokens must be 1 to %d",
                             TOKENS_MAX);
    if (!(query->min_importance >= 0 && query->min_importance <= 1))
        return mc_fail_field(err, MC_INVALID, "min_importance", "min_importance must be 0 to 1");
    return MC_OK;
}

/* A copy of the record with its text cut; *cut stays NULL when nothing of it fits. */
static enum mc_status shorten(struct window *w, const struct mc_record *record, size_t max_units,
                              struct mc_record **cut, struct mc_error *err)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, SIZE_MAX);
    struct mc_message fields = record->m;
    fields.text = mc_measure_cut(&w->measure, record->m.text, max_units, &arena);
    if (!fields.text.data)
        return mc_fail_memory(err);
    if (fields.text.len == 0)
        return MC_OK;
    return mc_record_new(&fields, record->row, record->terms, cut, err);
}

/* Takes one message, newest first. */
static enum mc_status take(struct window *w, struct mc_record *record, struct mc_records *found,
                           struct mc_error *err)
{
    /* Whole tokens, so that a caller who adds up the counts of the messages finds the budget kept. */
    size_t tokens =
        (mc_measure_units(&w->measure, record->m.text) + MC_TOKEN_UNITS - 1) / MC_TOKEN_UNITS;
    size_t units = tokens * MC_TOKEN_UNITS;
    struct mc_record *taken = NULL;
    if (units <= w->units_left) {
        taken = mc_record_ref(record);
        w->units_left -= units;
    } else {
        w->closed = true;
        if (found->count > 0)
            return MC_OK;
        enum mc_status status = shorten(w, record, w->units_left, &taken, err);
        if (status || !taken)
            return status;
    }
    if (!mc_load_take(w->load, taken)) {
        w->closed = true;
        mc_record_unref(taken);
        return MC_OK;
    }
    if (!mc_records_push(found, taken))
        return mc_fail_memory(err);
    w->closed = w->closed || found->count == w->max_messages;
    return MC_OK;
}

static enum mc_status take_page(struct window *w, const struct mc_records *page, size_t *passed,
                                struct mc_records *found, struct mc_error *err)
{
    for (size_t i = 0; i < page->count && !w->closed; i++) {
        struct mc_record *record = page->items[i];
        double importance = mc_importance_at(record->m.importance, record->m.created_at_us,
                                             w->r->half_life_us, w->now_us);
        if (importance < w->query->min_importance) {
            ++*passed;
            continue;
        }
        enum mc_status status = take(w, record, found, err);
        if (status)
            return status;
    }
    return MC_OK;
}

static enum mc_status collect(struct window *w, const struct mc_reader *reader,
                              struct mc_records *found, struct mc_error *err)
{
    mc_auto(mc_records_fini) struct mc_records page = {0};
    struct mc_recent_read read = {
        .user_id = w->query->user_id,
        .thread_id = w->query->thread_id,
        .limit = w->max_messages,
        .reader = reader,
    };
    for (size_t passed = 0; !w->closed && passed < PASSED_OVER_MAX;) {
        mc_auto(mc_records_fini) struct mc_records next = {0};
        size_t mark = mc_load_mark(w->load);
        mc_load_begin(w->load, PAGE_BYTES);
        enum mc_status status = mc_retrieve_recent(w->r, &read, w->now_us, &next, err);
        bool last = next.count < read.limit && !mc_load_is_full(w->load);
        /* What is taken of the page is held on, the rest of it for a moment. */
        mc_load_rewind(w->load, mark);
        mc_load_begin(w->load, MC_READ_BYTES_MAX);
        if (status == MC_NOT_FOUND && mc_str_given(read.before))
            return MC_OK; /* the message that the page ended with was deleted meanwhile */
        if (!status)
            status = take_page(w, &next, &passed, found, err);
        if (status)
            return status;
        if (last || next.count == 0)
            return MC_OK;
        mc_records_fini(&page);
        page = next;
        next = (struct mc_records){0};
        read.before = page.items[page.count - 1]->m.message_id;
    }
    return MC_OK;
}

enum mc_status mc_retrieve_window(const struct mc_retrieval *r, const struct mc_window_query *query,
                                  const struct mc_reader *reader, int64_t now_us,
                                  struct mc_records *out, struct mc_error *err)
{
    enum mc_status status = check(query, err);
    if (status)
        return status;
    size_t max_tokens = query->max_tokens ? query->max_tokens : r->default_max_tokens;
    struct window w = {
        .r = r,
        .query = query,
        .now_us = now_us,
        .max_messages = query->max_messages ? query->max_messages : r->default_max_messages,
        .units_left = max_tokens * MC_TOKEN_UNITS,
        .load = reader->load,
    };
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, SIZE_MAX);
    mc_measure_init(&w.measure, r->llm, &arena);
    mc_auto(mc_records_fini) struct mc_records found = {0};
    status = collect(&w, reader, &found, err);
    if (status)
        return status;
    mc_records_reverse(&found);
    mc_records_fini(out);
    *out = found;
    found = (struct mc_records){0};
    return MC_OK;
}
