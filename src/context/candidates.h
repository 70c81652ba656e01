/*
 * From a query to ranked messages: matches of the index, the turns next to the best of them, what
 * of all these is worth it read and ranked. The work is bounded by the query's numbers, whatever a user has.
 */
#ifndef MC_CONTEXT_CANDIDATES_H
#define MC_CONTEXT_CANDIDATES_H

#include "context/context.h"
#include "context/meaning.h"
#include "context/rank.h"

struct mc_candidate_query {
    mc_str user_id;
    const struct mc_reader *reader;
    mc_str text;
    const struct mc_match_group *required;
    size_t required_count;
    mc_str thread_id; /* absent: all */
    int64_t since_us, until_us;
    size_t matches;   /* of each term, newest first, that are looked at */
    size_t centres;   /* the best of these, whose neighbour turns are looked up */
    size_t read;      /* matches, of centres and turns, that are read and ranked */
    size_t turns;     /* neighbour turns that match nothing and are read and ranked */
    size_t max_bytes; /* of what is read: of longer messages fewer, the best */
    int64_t now_us;
};

struct mc_candidates {
    struct mc_query query;
    struct mc_rank_item *items; /* best first; before and after are indexes into this order */
    size_t count;
    size_t matched;                   /* rows that the index gave */
    bool cut;                         /* max_bytes left some out */
    struct mc_meaning_result meaning; /* what is near by meaning, or why that is not known */
    struct mc_records held;           /* what the items borrow from */
};
void mc_candidates_fini(struct mc_candidates *candidates);

/* *out, zero-initialised, is released with mc_candidates_fini; the rest lives in the arena. */
MC_MUST_CHECK enum mc_status mc_candidates_find(const struct mc_retrieval *r,
                                                const struct mc_candidate_query *query,
                                                struct mc_arena *arena, struct mc_candidates *out,
                                                struct mc_error *err);

#endif
