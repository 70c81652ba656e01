#include "context/assemble.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "base/utf8.h"
#include "context/render.h"
#include "context/tokens.h"
#include "message/input.h"

/*
 * DESIGN. What is worth most goes into the budget first, whatever its place in the text:
 *   1. the caller's own text, at most three quarters of the budget;
 *   2. what a model chose, if one was asked, at most two fifths;
 *   3. the newest turns of the thread, at most two fifths of what is left and of the messages;
 *   4. preferences (an eighth), what external sources know (at most a quarter of the budget), and
 *      summaries (a sixth);
 *   5. relevant messages, best first, then the turns around the best of them;
 *   6. when these answer little, what the user said of himself, at most a fifth of the messages;
 *   7. more of the thread's turns, as far as they fit;
 *   8. when 5 answers little, the end of the last conversation in another thread.
 * docs/context.md says the same to users.
 */

#define MESSAGES_MAX 1000
#define TOKENS_MAX 1000000
#define AGENT_IDS_MAX 64
#define ARENA_MAX ((size_t)64 << 20)
#define LINE_MAX ((size_t)16 << 20)

#define MATCHES_PER_TERM 2000
#define READ_MIN 64
#define READ_MAX 400
#define CENTRES 100
#define TURNS 64
/* What is read of long messages, of which a budget shows little. */
#define RECENT_BYTES ((size_t)8 << 20)
#define FOUND_BYTES ((size_t)16 << 20)

/* At least what stands before the text of an entry: time, role, agent. */
#define HEAD_UNITS ((size_t)30 * MC_TOKEN_UNITS)

static void assembly_fini(struct mc_assembly *a)
{
    mc_external_fini(a);
    mc_buf_fini(&a->line);
    mc_records_fini(&a->recent);
    mc_candidates_fini(&a->found);
    mc_records_fini(&a->important);
    mc_records_fini(&a->elsewhere);
    mc_records_fini(&a->of_time);
    mc_guided_fini(&a->guided);
}

/* ---- Checks ---- */

static enum mc_status check_limits(const struct mc_context_query *query, struct mc_error *err)
{
    if (query->max_messages > MESSAGES_MAX)
        return mc_fail_field(err, MC_INVALID, "max_messages", "max_messages must be 1 to %d",
                             MESSAGES_MAX);
    if (query->max_tokens > TOKENS_MAX)
        return mc_fail_field(err, MC_INVALID, "max_tokens", "max_tokens must be 1 to %d",
                             TOKENS_MAX);
    if ((unsigned)query->mode >= MC_CONTEXT_MODE_COUNT)
        return mc_fail_field(err, MC_INVALID, "mode", "mode must be auto, fast or llm");
    if (query->agent_id_count > AGENT_IDS_MAX)
        return mc_fail_field(err, MC_INVALID, "agent_ids", "at most %d agent_ids are allowed",
                             AGENT_IDS_MAX);
    return MC_OK;
}

static enum mc_status check(const struct mc_context_query *query, struct mc_error *err)
{
    enum mc_status status = mc_input_check_id("user_id", query->user_id, err);
    if (!status)
        status = mc_input_check_id("thread_id", query->thread_id, err);
    if (!status)
        status = mc_input_check_text("query", query->query, err);
    if (!status && !mc_utf8_is_blank(query->additional_context))
        status = mc_input_check_text("additional_context", query->additional_context, err);
    for (size_t i = 0; !status && i < query->agent_id_count && i < AGENT_IDS_MAX; i++)
        status = mc_input_check_id("agent_ids", query->agent_ids[i], err);
    return status ? status : check_limits(query, err);
}

/* The caller's rule, narrowed. Where agents are not enabled there is nothing shared or public to
 * leave out. */
static struct mc_reader narrowed(const struct mc_reader *reader,
                                 const struct mc_context_query *query)
{
    struct mc_reader narrow = *reader;
    if (query->exclude_shared)
        narrow.read_shared = narrow.read_any_shared = false;
    if (query->exclude_public)
        narrow.read_public = false;
    if (query->agent_id_count > 0) {
        narrow.only_agents = query->agent_ids;
        narrow.only_agent_count = query->agent_id_count;
    }
    return narrow;
}

/* ---- Showing messages ---- */

enum mc_status mc_assembly_put(struct mc_assembly *a, enum mc_section section, int64_t place,
                               size_t messages, bool *added, struct mc_error *err)
{
    if (a->line.failed)
        return mc_fail_memory(err);
    return mc_pack_add(&a->pack, section, place, mc_buf_str(&a->line), messages, added, err);
}

bool mc_assembly_is_shown(const struct mc_assembly *a, const struct mc_record *record)
{
    for (size_t i = 0; i < a->shown_count; i++) {
        if (a->shown[i].record->row == record->row)
            return true;
    }
    return false;
}

const struct mc_rank_item *mc_assembly_item(const struct mc_assembly *a,
                                            const struct mc_record *record)
{
    for (size_t i = 0; i < a->found.count; i++) {
        if (a->found.items[i].record->row == record->row)
            return &a->found.items[i];
    }
    return NULL;
}

enum mc_status mc_assembly_show(struct mc_assembly *a, struct mc_shown shown, mc_str text,
                                int64_t place, size_t max_units, bool *added, struct mc_error *err)
{
    static const enum mc_section sections[MC_SHOWN_KINDS] = {
        [MC_SHOWN_RELEVANT] = MC_SECTION_RELEVANT,
        [MC_SHOWN_NEIGHBOUR] = MC_SECTION_RELEVANT,
        [MC_SHOWN_RECENT] = MC_SECTION_RECENT,
        [MC_SHOWN_IMPORTANT] = MC_SECTION_BACKGROUND,
        [MC_SHOWN_LAST_SESSION] = MC_SECTION_BACKGROUND,
        [MC_SHOWN_TIME_NAMED] = MC_SECTION_BACKGROUND,
    };
    enum mc_section section = sections[shown.as];
    mc_str mark = shown.as == MC_SHOWN_NEIGHBOUR ? MC_STR("~ ") : MC_STR("");
    size_t room = mc_pack_room(&a->pack, section);
    *added = false;
    if (a->pack.messages_used == a->max_messages || room == 0)
        return MC_OK;
    mc_render_message(&a->line, &a->measure, &shown.record->m, mark, text,
                      max_units < room ? max_units : room);
    enum mc_status status = mc_assembly_put(a, section, place, 1, added, err);
    if (!status && *added) {
        a->shown[a->shown_count++] = shown;
        a->kinds[shown.as]++;
    }
    return status;
}

/* ---- Recent turns ---- */

/* No token is less than a byte, so short texts need not be counted. */
static bool fits_into(struct mc_assembly *a, const struct mc_record *record, size_t units)
{
    mc_str text = record->m.text;
    return text.len * MC_TOKEN_UNITS + HEAD_UNITS <= units ||
           mc_measure_units(&a->measure, text) + HEAD_UNITS <= units;
}

/*
 * The newest turns within a share; the newest is cut when it is longer than that, others when they
 * would take most of it. Stops at the first that has no room.
 */
static enum mc_status show_newest(struct mc_assembly *a, size_t max_units, size_t max_messages,
                                  struct mc_error *err)
{
    for (size_t i = 0; i < a->recent.count && i < max_messages; i++) {
        size_t used = a->pack.section_units[MC_SECTION_RECENT];
        size_t left = used < max_units ? max_units - used : 0;
        size_t fair = max_units / 3 > MC_ENTRY_LEAST ? max_units / 3 : MC_ENTRY_LEAST;
        size_t most = i == 0 || left < fair ? left : fair;
        struct mc_shown shown = {.record = a->recent.items[i], .as = MC_SHOWN_RECENT};
        if (mc_assembly_is_shown(a, shown.record))
            continue;
        bool fits = i == 0 || most == fair || fits_into(a, shown.record, left);
        bool added = false;
        enum mc_status status = MC_OK;
        if (fits)
            status =
                mc_assembly_show(a, shown, shown.record->m.text, -(int64_t)i, most, &added, err);
        if (status || !added)
            return status;
    }
    return MC_OK;
}

static enum mc_status show_recent(struct mc_assembly *a, struct mc_error *err)
{
    struct mc_recent_read read = {
        .user_id = a->query->user_id,
        .thread_id = a->query->thread_id,
        .limit = a->max_messages,
        .reader = &a->reader,
    };
    enum mc_status status = MC_OK;
    mc_load_begin(a->reader.load, RECENT_BYTES);
    if (!a->recent_read)
        status = mc_retrieve_recent(a->r, &read, a->now_us, &a->recent, err);
    if (status)
        return status;
    a->recent_read = true;
    size_t messages = a->max_messages * 2 / 5;
    size_t room = mc_pack_room(&a->pack, MC_SECTION_RECENT);
    size_t least = room < MC_ENTRY_LEAST ? room : MC_ENTRY_LEAST;
    size_t share = room / 5 * 2;
    return show_newest(a, share > least ? share : least, messages > 0 ? messages : 1, err);
}

/* Older turns with what is left; those that are shown already are passed over. */
static enum mc_status show_more_recent(struct mc_assembly *a, struct mc_error *err)
{
    for (size_t i = 0; i < a->recent.count; i++) {
        struct mc_shown shown = {.record = a->recent.items[i], .as = MC_SHOWN_RECENT};
        if (mc_assembly_is_shown(a, shown.record))
            continue;
        size_t room = mc_pack_room(&a->pack, MC_SECTION_RECENT);
        bool added = false;
        enum mc_status status = MC_OK;
        if (fits_into(a, shown.record, room))
            status =
                mc_assembly_show(a, shown, shown.record->m.text, -(int64_t)i, room, &added, err);
        if (status || !added)
            return status;
    }
    return MC_OK;
}

/* ---- Assembly ---- */

static enum mc_status find(struct mc_assembly *a, struct mc_error *err)
{
    if (a->found_read)
        return MC_OK;
    size_t read = 2 * a->max_messages;
    struct mc_candidate_query query = {
        .user_id = a->query->user_id,
        .reader = &a->reader,
        .text = a->query->query,
        .matches = MATCHES_PER_TERM,
        .read = read < READ_MIN   ? READ_MIN
                : read > READ_MAX ? READ_MAX
                                  : read,
        .centres = CENTRES,
        .turns = TURNS,
        .max_bytes = FOUND_BYTES,
        .now_us = a->now_us,
    };
    enum mc_status status = mc_candidates_find(a->r, &query, a->arena, &a->found, err);
    a->found_read = !status;
    return status;
}

/* ---- The result ---- */

struct owned_context {
    struct mc_context context;
    struct mc_arena arena;
};

void mc_context_free(struct mc_context *context)
{
    if (!context)
        return;
    struct owned_context *owned = mc_container_of(context, struct owned_context, context);
    mc_arena_fini(&owned->arena);
    free(owned);
}

static void owned_free(struct owned_context **owned)
{
    if (*owned)
        mc_context_free(&(*owned)->context);
}

static enum mc_status show_additional(struct mc_assembly *a, struct mc_error *err)
{
    mc_str text = a->query->additional_context;
    if (text.len == 0 || mc_utf8_is_blank(text))
        return MC_OK;
    size_t room = mc_pack_room(&a->pack, MC_SECTION_ADDITIONAL);
    mc_render_indented(&a->line, &a->measure, text, room - room / 4);
    return mc_assembly_put(a, MC_SECTION_ADDITIONAL, 0, 0, &a->additional, err);
}

/* One pass over all; what was read stays for a second one. */
static enum mc_status assemble(struct mc_assembly *a, struct mc_error *err)
{
    enum mc_status status = show_additional(a, err);
    if (!status)
        status = mc_assembly_chosen(a, err);
    if (!status)
        status = show_recent(a, err);
    if (!status)
        status = mc_assembly_preferences(a, a->preferences_json, err);
    if (!status)
        status = find(a, err);
    if (!status)
        status = mc_external_show(a, err);
    if (!status)
        status = mc_assembly_summaries(a, err);
    if (!status)
        status = mc_assembly_hits(a, err);
    if (!status)
        status = mc_assembly_turns(a, err);
    if (status)
        return status;
    a->answer = mc_assembly_answer(a);
    bool little = a->answer < MC_ANSWER_LITTLE;
    if (little)
        status = mc_assembly_important(a, err);
    if (!status && (little || mc_query_is_time(&a->found.query)))
        status = mc_assembly_time_named(a, err);
    if (!status)
        status = show_more_recent(a, err);
    if (!status && little && a->pack.messages_used < a->max_messages)
        status = mc_assembly_last_session(a, err);
    return status;
}

static void begin(struct mc_assembly *a)
{
    mc_records_fini(&a->important);
    mc_records_fini(&a->elsewhere);
    mc_records_fini(&a->of_time);
    mc_pack_init(&a->pack, a->max_tokens, a->max_messages, a->arena);
    a->pack.measure = &a->measure;
    a->shown_count = 0;
    memset(a->kinds, 0, sizeof(a->kinds));
    a->additional = false;
    a->preferences = a->summaries = 0;
    a->answer = 0;
}

/* Where a model chose, its choices come first in a second pass over what was read. */
static enum mc_status assemble_all(struct mc_assembly *a, struct mc_error *err)
{
    a->shown = mc_arena_array(a->arena, a->max_messages, sizeof(*a->shown));
    if (!a->shown)
        return mc_fail_memory(err);
    begin(a);
    enum mc_status status = mc_external_begin(a, err);
    if (!status)
        status = assemble(a, err);
    if (status || !mc_guide_wanted(a))
        return status;
    mc_guide_ask(a);
    if (!a->guided.changes)
        return MC_OK;
    begin(a);
    return assemble(a, err);
}

enum mc_status mc_retrieve_context(const struct mc_retrieval *r,
                                   const struct mc_context_query *query,
                                   const struct mc_reader *reader, mc_str preferences,
                                   int64_t now_us, struct mc_context **context,
                                   struct mc_error *err)
{
    int64_t started_us = mc_time_monotonic_us();
    enum mc_status status = check(query, err);
    if (status)
        return status;
    mc_auto(owned_free) struct owned_context *owned = calloc(1, sizeof(*owned));
    if (!owned)
        return mc_fail_memory(err);
    mc_arena_init(&owned->arena, ARENA_MAX);
    mc_auto(assembly_fini) struct mc_assembly a = {
        .r = r,
        .query = query,
        .reader = narrowed(reader, query),
        .preferences_json = preferences,
        .now_us = now_us,
        .started_us = started_us,
        .max_messages = query->max_messages ? query->max_messages : r->default_max_messages,
        .max_tokens = query->max_tokens ? query->max_tokens : r->default_max_tokens,
        .arena = &owned->arena,
    };
    mc_buf_init(&a.line, LINE_MAX);
    mc_measure_init(&a.measure, r->llm, a.arena);
    status = assemble_all(&a, err);
    if (!status)
        status = mc_assembly_finish(&a, &owned->context, err);
    if (!status)
        *context = &mc_steal(owned)->context;
    return status;
}
