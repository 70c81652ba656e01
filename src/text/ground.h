/*
 * Whether a text stands on others: what a model states must have been said. Of its index terms
 * (text/terms.h: stems, no stop words) at least half must occur in the texts, and every one with a digit
 * (numbers, dates, codes), because these are what is made up most and hurts most. A text without terms
 * states nothing. Not thread-safe.
 */
#ifndef MC_TEXT_GROUND_H
#define MC_TEXT_GROUND_H

#include "base/arena.h"
#include "base/map.h"

struct mc_ground {
    struct mc_arena *arena;
    struct mc_map terms; /* of all texts; keys in the arena */
};

void mc_ground_init(struct mc_ground *ground, struct mc_arena *arena);
void mc_ground_fini(struct mc_ground *ground);
/* Adds a text, of which the first MC_TERMS_MAX terms are kept. False when out of memory. */
MC_MUST_CHECK bool mc_ground_add(struct mc_ground *ground, mc_str text);
MC_MUST_CHECK bool mc_ground_holds(const struct mc_ground *ground, mc_str text, bool *holds);

#endif
