#include "context/assemble.h"

#include <math.h>
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
 *   2. the newest turns of the thread, at most two fifths of what is left and of the messages;
 *   3. preferences (an eighth), what external sources know (at most a quarter of the budget), and summaries
 *      (a sixth);
 *   4. relevant messages, best first, then the turns around the best of them;
 *   5. when these answer little, what the user said of himself, at most a fifth of the messages;
 *   6. more of the thread's turns, as far as they fit;
 *   7. when 4 answers little, the end of the last conversation in another thread.
 * docs/context.md says the same to users.
 */

#define MESSAGES_MAX 1000
#define TOKENS_MAX 1000000
#define AGENT_IDS_MAX 64
#define ARENA_MAX ((size_t)64 << 20)
#define LINE_MAX ((size_t)16 << 20)

#define MATCHES_PER_TERM 2000
#define READ_MIN 32
#define READ_MAX 256
#define AROUND 16

#define RELEVANT_LEAST 0.25 /* of the best score */
#define WITH_TURNS 16       /* relevant messages that are shown with the turns around them */
#define LITTLE 0.5          /* an answer below this calls for more than what the query found */
#define LEAST_CONFIDENCE 0.1
#define POINTS_FROM 5 /* relevant messages that key points are taken from */
#define ENTRY_LEAST                                                                                \
    ((size_t)100 * MC_TOKEN_UNITS) /* no entry is cut below this for fairness alone */
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

static const struct mc_rank_item *item_of(const struct mc_assembly *a,
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
    };
    enum mc_section section = sections[shown.as];
    mc_str mark = shown.as == MC_SHOWN_NEIGHBOUR ? MC_STR("~ ") : MC_STR("");
    size_t room = mc_pack_room(&a->pack, section);
    *added = false;
    if (a->pack.messages_used == a->max_messages || room == 0)
        return MC_OK;
    mc_render_message(&a->line, &shown.record->m, mark, text, max_units < room ? max_units : room);
    enum mc_status status = mc_assembly_put(a, section, place, 1, added, err);
    if (!status && *added) {
        a->shown[a->shown_count++] = shown;
        a->kinds[shown.as]++;
    }
    return status;
}

/* ---- Recent turns ---- */

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
        size_t fair = max_units / 3 > ENTRY_LEAST ? max_units / 3 : ENTRY_LEAST;
        size_t most = i == 0 || left < fair ? left : fair;
        struct mc_shown shown = {.record = a->recent.items[i], .as = MC_SHOWN_RECENT};
        bool fits =
            i == 0 || most == fair || mc_tokens_units(shown.record->m.text) + HEAD_UNITS <= left;
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
    enum mc_status status = mc_retrieve_recent(a->r, &read, a->now_us, &a->recent, err);
    if (status)
        return status;
    size_t messages = a->max_messages * 2 / 5;
    size_t room = mc_pack_room(&a->pack, MC_SECTION_RECENT);
    size_t least = room < ENTRY_LEAST ? room : ENTRY_LEAST;
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
        if (mc_tokens_units(shown.record->m.text) + HEAD_UNITS <= room)
            status =
                mc_assembly_show(a, shown, shown.record->m.text, -(int64_t)i, room, &added, err);
        if (status || !added)
            return status;
    }
    return MC_OK;
}

/* ---- Relevant messages ---- */

/* How well the message shown that answers best does it. */
static double best_answer(const struct mc_assembly *a)
{
    double best = 0;
    for (size_t i = 0; i < a->shown_count; i++) {
        const struct mc_shown *shown = &a->shown[i];
        const struct mc_rank_item *item = shown->item ? shown->item : item_of(a, shown->record);
        /* The query itself is often the newest message. */
        if (item && !mc_str_equal(shown->record->m.text, a->query->query))
            best = fmax(best, mc_rank_answers(&a->found.query, a->found.items, item));
    }
    return best;
}

static enum mc_status find(struct mc_assembly *a, struct mc_error *err)
{
    size_t read = a->max_messages * 4 / 5;
    struct mc_candidate_query query = {
        .user_id = a->query->user_id,
        .reader = &a->reader,
        .text = a->query->query,
        .matches = MATCHES_PER_TERM,
        .read = read < READ_MIN   ? READ_MIN
                : read > READ_MAX ? READ_MAX
                                  : read,
        .around = AROUND,
        .now_us = a->now_us,
    };
    return mc_candidates_find(a->r, &query, a->arena, &a->found, err);
}

/* Each relevant message has three places: the turn before it, itself, the turn after. */
#define PLACES 3

static enum mc_status show_hit(struct mc_assembly *a, const struct mc_rank_item *item, bool *added,
                               struct mc_error *err)
{
    size_t room = mc_pack_room(&a->pack, MC_SECTION_RELEVANT);
    size_t most = room / 4 > ENTRY_LEAST ? room / 4 : ENTRY_LEAST;
    mc_str text;
    enum mc_status status =
        mc_render_excerpt(&a->found.query, item->record->m.text, most, a->arena, &text, err);
    if (status)
        return status;
    struct mc_shown shown = {.record = item->record, .item = item, .as = MC_SHOWN_RELEVANT};
    int64_t place = (int64_t)a->kinds[MC_SHOWN_RELEVANT] * PLACES + 1;
    return mc_assembly_show(a, shown, text, place, most, added, err);
}

static enum mc_status show_hits(struct mc_assembly *a, struct mc_error *err)
{
    size_t left = a->max_messages - a->pack.messages_used;
    size_t most = a->max_messages * 2 / 5;
    most = most > 0 ? most : 1;
    most = most < left ? most : left;
    double least = a->found.count > 0 ? RELEVANT_LEAST * a->found.items[0].score : 0;
    for (size_t i = 0; i < a->found.count && a->kinds[MC_SHOWN_RELEVANT] < most; i++) {
        const struct mc_rank_item *item = &a->found.items[i];
        bool added;
        if (item->score < least)
            break;
        /* A trivial turn is no answer of its own: it may stand next to one. */
        if (item->own <= 0 || mc_assembly_is_shown(a, item->record))
            continue;
        enum mc_status status = show_hit(a, item, &added, err);
        if (status)
            return status;
    }
    return MC_OK;
}

/* The turns before and after the best hits. */
static enum mc_status show_turns(struct mc_assembly *a, struct mc_error *err)
{
    size_t hits = 0, count = a->shown_count;
    for (size_t i = 0; i < count && hits < WITH_TURNS; i++) {
        const struct mc_rank_item *item = a->shown[i].item;
        if (a->shown[i].as != MC_SHOWN_RELEVANT)
            continue;
        int64_t place = (int64_t)hits++ * PLACES;
        size_t turns[2] = {item->before, item->after};
        for (int side = 0; side < 2; side++) {
            if (turns[side] == MC_RANK_NONE)
                continue;
            const struct mc_rank_item *turn = &a->found.items[turns[side]];
            bool added;
            if (mc_assembly_is_shown(a, turn->record))
                continue;
            struct mc_shown shown = {
                .record = turn->record, .item = turn, .as = MC_SHOWN_NEIGHBOUR};
            enum mc_status status = mc_assembly_show(a, shown, turn->record->m.text,
                                                     place + 2 * side, ENTRY_LEAST, &added, err);
            if (status)
                return status;
        }
    }
    return MC_OK;
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
    mc_render_indented(&a->line, text, room - room / 4);
    return mc_assembly_put(a, MC_SECTION_ADDITIONAL, 0, 0, &a->additional, err);
}

static enum mc_status collect_points(struct mc_assembly *a, struct mc_error *err)
{
    size_t hits = 0;
    for (size_t i = 0; i < a->shown_count && hits < POINTS_FROM; i++) {
        if (a->shown[i].as != MC_SHOWN_RELEVANT)
            continue;
        hits++;
        enum mc_status status =
            mc_points_add(&a->points, &a->found.query, &a->shown[i].record->m, a->arena, err);
        if (status)
            return status;
    }
    return MC_OK;
}

static enum mc_status finish(struct mc_assembly *a, struct mc_context *context,
                             struct mc_error *err)
{
    a->confidence = a->shown_count + a->preferences + a->summaries + a->external.count > 0
                        ? round(100 * fmax(a->answer, LEAST_CONFIDENCE)) / 100
                        : 0;
    enum mc_status status = collect_points(a, err);
    if (!status)
        status = mc_pack_write(&a->pack, &context->assembled_context, err);
    if (status)
        return status;
    mc_str *ids = mc_arena_array(a->arena, a->kinds[MC_SHOWN_RELEVANT], sizeof(*ids));
    mc_str *points = mc_arena_array(a->arena, a->points.count, sizeof(*points));
    if (!ids || !points)
        return mc_fail_memory(err);
    for (size_t i = 0; i < a->points.count; i++)
        points[i] = a->points.items[i];
    size_t count = 0;
    for (size_t i = 0; i < a->shown_count; i++) {
        if (a->shown[i].as != MC_SHOWN_RELEVANT)
            continue;
        ids[count] = mc_arena_copy(a->arena, a->shown[i].record->m.message_id);
        if (!ids[count++].data)
            return mc_fail_memory(err);
    }
    context->key_points = points;
    context->key_point_count = a->points.count;
    context->relevant_message_ids = ids;
    context->relevant_message_id_count = count;
    context->tokens = (mc_pack_units(&a->pack) + MC_TOKEN_UNITS - 1) / MC_TOKEN_UNITS;
    context->confidence = a->confidence;
    return mc_assembly_explain(a, context->tokens, &context->metadata, err);
}

static enum mc_status assemble(struct mc_assembly *a, mc_str preferences, struct mc_error *err)
{
    a->shown = mc_arena_array(a->arena, a->max_messages, sizeof(*a->shown));
    if (!a->shown)
        return mc_fail_memory(err);
    enum mc_status status = mc_external_begin(a, err);
    if (!status)
        status = show_additional(a, err);
    if (!status)
        status = show_recent(a, err);
    if (!status)
        status = mc_assembly_preferences(a, preferences, err);
    if (!status)
        status = find(a, err);
    if (!status)
        status = mc_external_show(a, err);
    if (!status)
        status = mc_assembly_summaries(a, err);
    if (!status)
        status = show_hits(a, err);
    if (!status)
        status = show_turns(a, err);
    if (status)
        return status;
    a->answer = best_answer(a);
    bool little = a->answer < LITTLE;
    if (little)
        status = mc_assembly_important(a, err);
    if (!status)
        status = show_more_recent(a, err);
    if (!status && little && a->pack.messages_used < a->max_messages)
        status = mc_assembly_last_session(a, err);
    return status;
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
        .now_us = now_us,
        .started_us = started_us,
        .max_messages = query->max_messages ? query->max_messages : r->default_max_messages,
        .max_tokens = query->max_tokens ? query->max_tokens : r->default_max_tokens,
        .arena = &owned->arena,
    };
    mc_buf_init(&a.line, LINE_MAX);
    mc_pack_init(&a.pack, a.max_tokens, a.max_messages, a.arena);
    status = assemble(&a, preferences, err);
    if (!status)
        status = finish(&a, &owned->context, err);
    if (!status)
        *context = &mc_steal(owned)->context;
    return status;
}
