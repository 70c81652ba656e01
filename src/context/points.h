/* Key points: what relevant messages state, as sentences of theirs. Pure. */
#ifndef MC_CONTEXT_POINTS_H
#define MC_CONTEXT_POINTS_H

#include "context/rank.h"

#define MC_POINTS_MAX 10
#define MC_POINT_BYTES 240

struct mc_points {
    mc_str items[MC_POINTS_MAX];
    size_t count;
};

/*
 * Adds the sentences of a message that say most of what the query asks, or state an entity that
 * enrichment found: at most two a message. A point is a sentence as it stands, white space made
 * single, a long one cut at a word: nothing in it is invented. Arena.
 */
MC_MUST_CHECK enum mc_status mc_points_add(struct mc_points *points, const struct mc_query *query,
                                           const struct mc_message *message, struct mc_arena *arena,
                                           struct mc_error *err);

#endif
