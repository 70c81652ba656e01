/* Preferences and summaries as sections of a context. */
#include "context/assemble.h"

#include <stdlib.h>
#include <strings.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "context/render.h"
#include "text/terms.h"

/* ---- Preferences ---- */

#define PREFERENCES_SHARE 8 /* one in so many of what is left */
#define VALUE_BYTES ((size_t)1 << 20)

/* The value as text: lists separated by commas, objects as JSON. False when it says nothing. */
static bool value_text(const struct mc_json *value, struct mc_buf *out)
{
    mc_buf_reset(out);
    switch (mc_json_type(value)) {
    case MC_JSON_NULL:
        return false;
    case MC_JSON_STRING:
        mc_buf_append(out, mc_json_string(value));
        break;
    case MC_JSON_ARRAY:
        for (size_t i = 0; i < mc_json_count(value); i++) {
            const struct mc_json *element = mc_json_at(value, i);
            mc_buf_text(out, i > 0 ? ", " : "");
            if (mc_json_type(element) == MC_JSON_STRING)
                mc_buf_append(out, mc_json_string(element));
            else
                mc_json_dump(element, out);
        }
        break;
    case MC_JSON_OBJECT:
        if (mc_json_count(value) == 0)
            return false;
        mc_json_dump(value, out);
        break;
    case MC_JSON_BOOLEAN:
    case MC_JSON_INTEGER:
    case MC_JSON_NUMBER:
        mc_json_dump(value, out);
        break;
    }
    return out->len > 0;
}

/* `custom` is an object of the application's own fields, which are shown by themselves. */
static enum mc_status show_members(struct mc_assembly *a, const struct mc_json *object,
                                   const struct mc_json *custom, size_t max_units,
                                   struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf value;
    mc_buf_init(&value, VALUE_BYTES);
    void *cursor = NULL;
    mc_str key;
    const struct mc_json *member;
    while (mc_json_next(object, &cursor, &key, &member)) {
        if (member == custom || !value_text(member, &value))
            continue;
        if (value.failed)
            return mc_fail_memory(err);
        mc_buf_reset(&a->line);
        mc_buf_text(&a->line, "- ");
        mc_render_quote(&a->line, key);
        mc_buf_text(&a->line, ": ");
        mc_render_quote(&a->line, mc_buf_str(&value));
        mc_buf_char(&a->line, '\n');
        size_t units = mc_measure_units(&a->measure, mc_buf_str(&a->line));
        if (a->pack.section_units[MC_SECTION_PREFERENCES] + units > max_units)
            continue; /* a shorter one may still fit */
        bool added;
        enum mc_status status =
            mc_assembly_put(a, MC_SECTION_PREFERENCES, (int64_t)a->preferences, 0, &added, err);
        if (status)
            return status;
        a->preferences += added;
    }
    return MC_OK;
}

enum mc_status mc_assembly_preferences(struct mc_assembly *a, mc_str json, struct mc_error *err)
{
    if (json.len == 0)
        return MC_OK;
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    enum mc_status status = mc_json_parse(json, &root, err);
    if (status)
        return mc_fail_prefix(err, status == MC_INVALID ? MC_CORRUPT : status,
                              "the stored preferences");
    size_t max_units = mc_pack_room(&a->pack, MC_SECTION_PREFERENCES) / PREFERENCES_SHARE;
    const struct mc_json *custom = mc_json_get(root, "custom");
    status = show_members(a, root, custom, max_units, err);
    if (!status && mc_json_type(custom) == MC_JSON_OBJECT)
        status = show_members(a, custom, NULL, max_units, err);
    return status;
}

/* ---- Summaries ---- */

#define SUMMARIES_SHARE 6
#define SUMMARIES_READ 64    /* the newest */
#define SUMMARIES_WEIGHED 12 /* in full, whatever is in them */
#define BEGINNING 4          /* bytes of a word */
#define SUMMARIES_SHOWN 4

struct summary {
    mc_str text;
    int64_t first_us, last_us, messages;
    bool of_thread;
    double worth;  /* share of the query's mass */
    size_t number; /* newest first */
};

struct summary_list {
    struct mc_assembly *a;
    struct summary items[SUMMARIES_READ];
    size_t count;
    bool failed;
};

static bool take_summary(void *context, const struct mc_summary *summary)
{
    struct summary_list *list = context;
    if (list->count == SUMMARIES_READ)
        return false;
    mc_str text = mc_arena_copy(list->a->arena, summary->text);
    list->failed = !text.data;
    if (list->failed)
        return false;
    list->items[list->count] = (struct summary){
        .text = text,
        .first_us = summary->first_us,
        .last_us = summary->last_us,
        .messages = summary->messages,
        .of_thread = mc_str_equal(summary->thread_id, list->a->query->thread_id),
        .number = list->count,
    };
    list->count++;
    return true;
}

/* Whether a word of the query may be there: the beginning of its stem is. */
static bool may_have(const struct mc_query *query, mc_str text)
{
    for (size_t i = 0; i < query->word_count; i++) {
        mc_str word = query->terms[i];
        size_t len = word.len < BEGINNING ? word.len : BEGINNING;
        for (size_t at = 0; len > 0 && at + len <= text.len; at++) {
            char byte = text.data[at]; /* a stem is in small letters */
            if ((byte == word.data[0] || (byte | 0x20) == word.data[0]) &&
                strncasecmp(text.data + at, word.data, len) == 0)
                return true;
        }
    }
    return false;
}

static enum mc_status weigh(const struct mc_assembly *a, struct summary *summary,
                            struct mc_error *err)
{
    struct mc_terms terms;
    uint64_t mask = 0;
    /* Taking terms from a text is dear; irregular forms of older ones are given up for it. */
    if (summary->number >= SUMMARIES_WEIGHED && !may_have(&a->found.query, summary->text))
        return MC_OK;
    if (!mc_terms_of(summary->text, a->arena, &terms))
        return mc_fail_memory(err);
    const struct mc_query *query = &a->found.query;
    for (size_t i = 0; i < query->word_count; i++) {
        for (size_t k = 0; k < terms.count; k++) {
            if (mc_str_equal(query->terms[i], terms.items[k].text))
                mask |= UINT64_C(1) << i;
        }
    }
    summary->worth = mc_rank_covered(query, mask);
    return MC_OK;
}

/* Whether all that the thread's own summary tells of is among its turns shown. */
static bool is_told(const struct mc_assembly *a, const struct summary *summary)
{
    for (size_t i = 0; summary->of_thread && i < a->shown_count; i++) {
        const struct mc_shown *shown = &a->shown[i];
        if (shown->as == MC_SHOWN_RECENT && shown->record->m.created_at_us <= summary->first_us)
            return true;
    }
    return false;
}

/* Of other threads what has something of the query; anything where the query found nothing at all. */
static bool is_of_use(const struct mc_assembly *a, const struct summary *summary)
{
    if (is_told(a, summary))
        return false;
    return summary->of_thread || summary->worth > 0 || a->found.count == 0;
}

/* The thread's own summary first, then what has more of the query, then the newer one. */
static int compare_summaries(const void *a, const void *b)
{
    const struct summary *x = a, *y = b;
    if (x->of_thread != y->of_thread)
        return x->of_thread ? -1 : 1;
    if (x->worth > y->worth || x->worth < y->worth)
        return x->worth > y->worth ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

static enum mc_status show_summary(struct mc_assembly *a, const struct summary *summary,
                                   size_t max_units, bool *added, struct mc_error *err)
{
    char first[MC_RENDER_TIME_SIZE], last[MC_RENDER_TIME_SIZE];
    mc_render_time(summary->first_us, first);
    mc_render_time(summary->last_us, last);
    mc_auto(mc_buf_fini) struct mc_buf head;
    mc_buf_init(&head, 256);
    mc_buf_printf(&head, "[%.10s to %.10s, %lld messages]\n", first, last,
                  (long long)summary->messages);
    size_t units = mc_measure_units(&a->measure, mc_buf_str(&head));
    *added = false;
    if (head.failed)
        return mc_fail_memory(err);
    if (units >= max_units)
        return MC_OK;
    mc_render_indented(&a->line, &a->measure, summary->text, max_units - units);
    if (a->line.len == 0)
        return MC_OK;
    mc_str whole = mc_arena_printf(a->arena, "%.*s%.*s", MC_STR_ARG(mc_buf_str(&head)),
                                   MC_STR_ARG(mc_buf_str(&a->line)));
    if (!whole.data)
        return mc_fail_memory(err);
    return mc_pack_add(&a->pack, MC_SECTION_SUMMARIES, (int64_t)a->summaries, whole, 0, added, err);
}

enum mc_status mc_assembly_summaries(struct mc_assembly *a, struct mc_error *err)
{
    struct summary_list list = {.a = a};
    enum mc_status status = a->r->store->ops->summaries(a->r->store, a->query->user_id, &a->reader,
                                                        SUMMARIES_READ, take_summary, &list, err);
    if (!status && list.failed)
        status = mc_fail_memory(err);
    for (size_t i = 0; !status && i < list.count; i++)
        status = weigh(a, &list.items[i], err);
    if (status)
        return status;
    qsort(list.items, list.count, sizeof(list.items[0]), compare_summaries);
    size_t share = mc_pack_room(&a->pack, MC_SECTION_SUMMARIES) / SUMMARIES_SHARE;
    for (size_t i = 0; !status && i < list.count && a->summaries < SUMMARIES_SHOWN; i++) {
        if (!is_of_use(a, &list.items[i]))
            continue;
        size_t used = a->pack.section_units[MC_SECTION_SUMMARIES];
        bool added;
        status = show_summary(a, &list.items[i], used < share ? share - used : 0, &added, err);
        if (!status && !added)
            break;
        a->summaries += !status;
    }
    return status;
}
