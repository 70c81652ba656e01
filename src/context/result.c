/* From an assembly to its result: the text within the budget, key points, ids, confidence. */
#include "context/assemble.h"

#include <math.h>

#include "base/error.h"
#include "base/str.h"
#include "context/tokens.h"

#define LEAST_CONFIDENCE 0.1
#define POINTS_FROM 5 /* relevant messages that key points are taken from */

/* The model's key points first; then what the best relevant messages say. */
static enum mc_status collect_points(struct mc_assembly *a, struct mc_error *err)
{
    for (size_t i = 0; i < a->guided.point_count; i++)
        a->points.items[a->points.count++] = a->guided.points[i];
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

/* ---- The budget ---- */

static void forget_block(struct mc_assembly *a, enum mc_section section, size_t messages)
{
    if (messages > 0)
        a->kinds[a->shown[--a->shown_count].as]--;
    else if (section == MC_SECTION_ADDITIONAL)
        a->additional = false;
    else if (section == MC_SECTION_PREFERENCES)
        a->preferences--;
    else if (section == MC_SECTION_SUMMARIES)
        a->summaries--;
    else if (section == MC_SECTION_EXTERNAL)
        mc_external_forget(&a->external);
}

/* Drops blocks of at least so many units; false when there is none. */
static bool drop(struct mc_assembly *a, size_t units)
{
    size_t before = a->pack.units_used, messages;
    enum mc_section section;
    bool dropped = false;
    while ((!dropped || before - a->pack.units_used < units) &&
           mc_pack_drop(&a->pack, &section, &messages)) {
        forget_block(a, section, messages);
        dropped = true;
    }
    return dropped;
}

/*
 * Writes the text. A tokenizer may count the whole higher than its parts together, so the whole is
 * counted, and what is worth least leaves while it is too long.
 */
static enum mc_status write_text(struct mc_assembly *a, mc_str *text, size_t *tokens,
                                 struct mc_error *err)
{
    for (;;) {
        enum mc_status status = mc_pack_write(&a->pack, text, err);
        if (status)
            return status;
        size_t units =
            a->measure.counted ? mc_measure_units(&a->measure, *text) : mc_pack_units(&a->pack);
        *tokens = units / MC_TOKEN_UNITS + (units % MC_TOKEN_UNITS > 0);
        if (*tokens <= a->max_tokens || !drop(a, units - a->pack.units_max))
            return MC_OK;
    }
}

enum mc_status mc_assembly_finish(struct mc_assembly *a, struct mc_context *context,
                                  struct mc_error *err)
{
    enum mc_status status = write_text(a, &context->assembled_context, &context->tokens, err);
    if (status)
        return status;
    a->confidence = a->shown_count + a->preferences + a->summaries + a->external.count > 0
                        ? round(100 * fmax(a->answer, LEAST_CONFIDENCE)) / 100
                        : 0;
    status = collect_points(a, err);
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
    context->confidence = a->confidence;
    return mc_assembly_explain(a, context->tokens, &context->metadata, err);
}
