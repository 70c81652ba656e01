#include "context/external.h"

#include "base/error.h"
#include "base/str.h"
#include "context/assemble.h"
#include "context/query.h"
#include "context/render.h"
#include "context/tokens.h"
#include "message/label.h"

#define SHARE 4                                    /* one in so many of the whole budget */
#define PIECE_LEAST ((size_t)100 * MC_TOKEN_UNITS) /* no piece is cut below this for fairness */

/* ---- Asking ---- */

/* The topics of sources that the query's words lead to: the query has them as labels. */
static enum mc_status concerned(struct mc_assembly *a, mc_str **topics, size_t *count,
                                struct mc_error *err)
{
    struct mc_query query;
    size_t all, kept = 0;
    enum mc_status status = mc_lookups_topics(a->r->lookups, a->arena, topics, &all, err);
    if (!status)
        status = mc_query_read(a->query->query, a->r->vocabulary, a->now_us, a->arena, &query, err);
    if (status)
        return status;
    for (size_t i = 0; i < all; i++) {
        mc_str label = mc_query_label(MC_LABEL_TOPIC, (*topics)[i], a->arena);
        if (!label.data)
            return mc_fail_memory(err);
        for (size_t t = query.word_count; t < query.term_count; t++) {
            if (mc_str_equal(query.terms[t], label)) {
                (*topics)[kept++] = (*topics)[i];
                break;
            }
        }
    }
    *count = kept;
    return MC_OK;
}

enum mc_status mc_external_begin(struct mc_assembly *a, struct mc_error *err)
{
    if (!mc_lookups_any(a->r->lookups))
        return MC_OK;
    mc_str *topics = NULL;
    size_t count = 0;
    enum mc_status status = concerned(a, &topics, &count, err);
    if (status || count == 0)
        return status;
    struct mc_source_query query = {
        .user_id = a->query->user_id,
        .thread_id = a->query->thread_id,
        .agent_id = a->query->agent_id,
        .topics = topics,
        .topic_count = count,
        .text = a->query->query,
    };
    a->external.asked = true;
    return mc_lookups_begin(a->r->lookups, &query, 0, a->arena, &a->external.round, err);
}

void mc_external_fini(struct mc_assembly *a)
{
    mc_lookups_abandon(a->external.round);
    a->external.round = NULL;
}

/* ---- Showing ---- */

static void render(struct mc_assembly *a, const struct mc_lookup_piece *piece, size_t max_units)
{
    mc_render_piece(&a->line, piece->source, piece->title, piece->text, max_units);
}

/* Units that may be used for the section's lines, its opening not counted. */
static size_t share_of(const struct mc_assembly *a)
{
    const struct mc_pack *pack = &a->pack;
    size_t room = mc_pack_room(pack, MC_SECTION_EXTERNAL);
    size_t left = pack->units_max - pack->units_used;
    size_t share = pack->units_max / SHARE < left / 2 ? pack->units_max / SHARE : left / 2;
    size_t opening = left - room;
    return room > 0 && share > opening ? share - opening : 0;
}

static bool all_fit(struct mc_assembly *a, size_t most)
{
    size_t units = 0;
    for (size_t i = 0; i < a->external.result.count && units <= most; i++) {
        render(a, &a->external.result.pieces[i], SIZE_MAX);
        units += mc_tokens_units(mc_buf_str(&a->line));
    }
    return units <= most;
}

/* When not all fit, each may have an equal part of what is left: short ones leave more to the others. */
static enum mc_status show_pieces(struct mc_assembly *a, struct mc_error *err)
{
    struct mc_external *external = &a->external;
    size_t count = external->result.count;
    size_t left = share_of(a);
    bool whole = all_fit(a, left);
    enum mc_status status = MC_OK;
    for (size_t i = 0; !status && i < count && left > 0; i++) {
        size_t fair = left / (count - i) > PIECE_LEAST ? left / (count - i) : PIECE_LEAST;
        render(a, &external->result.pieces[i], whole || left < fair ? left : fair);
        size_t units = mc_tokens_units(mc_buf_str(&a->line));
        status = mc_assembly_put(a, MC_SECTION_EXTERNAL, (int64_t)i, 0, &external->shown[i], err);
        if (!status && external->shown[i]) {
            left -= units;
            external->count++;
        }
    }
    return status;
}

enum mc_status mc_external_show(struct mc_assembly *a, struct mc_error *err)
{
    struct mc_external *external = &a->external;
    if (!external->round)
        return MC_OK;
    struct mc_lookup_round *round = external->round;
    external->round = NULL; /* collecting ends it, however that goes */
    enum mc_status status = mc_lookups_collect(round, &external->result, err);
    if (status)
        return status;
    external->shown = mc_arena_array(a->arena, external->result.count, sizeof(*external->shown));
    return external->shown ? show_pieces(a, err) : mc_fail_memory(err);
}

/* ---- Metadata ---- */

void mc_external_write_source(const struct mc_external *external, struct mc_json_writer *w)
{
    if (external->asked)
        mc_json_member_integer(w, "external", (int64_t)external->count);
}

void mc_external_write_items(const struct mc_external *external, struct mc_json_writer *w)
{
    for (size_t i = 0; i < external->result.count; i++) {
        const struct mc_lookup_piece *piece = &external->result.pieces[i];
        if (!external->shown[i])
            continue;
        mc_json_begin(w, '{');
        mc_json_member_string(w, "source", piece->source);
        mc_json_member_string(w, "title", piece->title);
        mc_json_member_text(w, "section", "external");
        mc_json_member_boolean(w, "cached", piece->cached);
        mc_json_end(w, '}');
    }
}

void mc_external_write_failures(const struct mc_external *external, struct mc_json_writer *w)
{
    if (!external->asked)
        return;
    mc_json_key(w, "source_failures");
    mc_json_begin(w, '[');
    for (size_t i = 0; i < external->result.failure_count; i++) {
        mc_json_begin(w, '{');
        mc_json_member_string(w, "source", external->result.failures[i].source);
        mc_json_member_string(w, "reason", external->result.failures[i].reason);
        mc_json_end(w, '}');
    }
    mc_json_end(w, ']');
}
