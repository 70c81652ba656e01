/* Relevant messages as a section: those that a model chose, those that the query found, and the turns around
 * the best of them. */
#include "context/assemble.h"

#include <math.h>

#include "base/error.h"
#include "base/str.h"
#include "context/render.h"
#include "context/tokens.h"

#define RELEVANT_LEAST 0.25 /* of the best score */
#define WITH_TURNS 16       /* relevant messages that are shown with the turns around them */

/* Each relevant message has three places: the turn before it, itself, the turn after. */
#define PLACES 3

double mc_assembly_answer(const struct mc_assembly *a)
{
    double best = 0;
    for (size_t i = 0; i < a->shown_count; i++) {
        const struct mc_shown *shown = &a->shown[i];
        const struct mc_rank_item *item =
            shown->item ? shown->item : mc_assembly_item(a, shown->record);
        /* The query itself is often the newest message. */
        if (item && !mc_str_equal(shown->record->m.text, a->query->query))
            best = fmax(best, mc_rank_answers(&a->found.query, a->found.items, item));
    }
    return best;
}

/* At most two fifths of the messages are relevant ones, at least one. */
static size_t most_messages(const struct mc_assembly *a)
{
    size_t could = a->kinds[MC_SHOWN_RELEVANT] + a->max_messages - a->pack.messages_used;
    size_t most = a->max_messages * 2 / 5;
    most = most > 0 ? most : 1;
    return most < could ? most : could;
}

static enum mc_status show_one(struct mc_assembly *a, const struct mc_record *record,
                               const struct mc_rank_item *item, bool *added, struct mc_error *err)
{
    size_t room = mc_pack_room(&a->pack, MC_SECTION_RELEVANT);
    size_t most = room / 4 > MC_ENTRY_LEAST ? room / 4 : MC_ENTRY_LEAST;
    mc_str text;
    enum mc_status status =
        mc_render_excerpt(&a->found.query, &a->measure, record->m.text, most, a->arena, &text, err);
    if (status)
        return status;
    struct mc_shown shown = {.record = record, .item = item, .as = MC_SHOWN_RELEVANT};
    int64_t place = (int64_t)a->kinds[MC_SHOWN_RELEVANT] * PLACES + 1;
    return mc_assembly_show(a, shown, text, place, most, added, err);
}

/* They stand before the newest turns of the thread, and leave these as much as hits would. */
enum mc_status mc_assembly_chosen(struct mc_assembly *a, struct mc_error *err)
{
    size_t most = most_messages(a);
    size_t share = mc_pack_room(&a->pack, MC_SECTION_RELEVANT) / 5 * 2;
    for (size_t i = 0; i < a->guided.chosen.count && a->kinds[MC_SHOWN_RELEVANT] < most; i++) {
        const struct mc_record *record = a->guided.chosen.items[i];
        size_t used = a->pack.section_units[MC_SECTION_RELEVANT];
        bool added;
        if (mc_assembly_is_shown(a, record))
            continue;
        if (used > 0 && used >= share)
            break;
        enum mc_status status = show_one(a, record, mc_assembly_item(a, record), &added, err);
        if (status)
            return status;
        if (added)
            a->shown[a->shown_count - 1].chosen = true;
    }
    return MC_OK;
}

enum mc_status mc_assembly_hits(struct mc_assembly *a, struct mc_error *err)
{
    size_t most = most_messages(a);
    double least = a->found.count > 0 ? RELEVANT_LEAST * a->found.items[0].score : 0;
    for (size_t i = 0; i < a->found.count && a->kinds[MC_SHOWN_RELEVANT] < most; i++) {
        const struct mc_rank_item *item = &a->found.items[i];
        bool added;
        if (item->score < least)
            break;
        /* What says nothing of the query is no answer of its own: it may stand next to one. */
        if (mc_rank_strength(item) <= 0 || mc_assembly_is_shown(a, item->record))
            continue;
        enum mc_status status = show_one(a, item->record, item, &added, err);
        if (status)
            return status;
    }
    return MC_OK;
}

enum mc_status mc_assembly_turns(struct mc_assembly *a, struct mc_error *err)
{
    size_t hits = 0, count = a->shown_count;
    for (size_t i = 0; i < count && hits < WITH_TURNS; i++) {
        const struct mc_rank_item *item = a->shown[i].item;
        if (a->shown[i].as != MC_SHOWN_RELEVANT)
            continue;
        int64_t place = (int64_t)hits++ * PLACES;
        size_t turns[2] = {item ? item->before : MC_RANK_NONE, item ? item->after : MC_RANK_NONE};
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
                                                     place + 2 * side, MC_ENTRY_LEAST, &added, err);
            if (status)
                return status;
        }
    }
    return MC_OK;
}
