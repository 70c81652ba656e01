/*
 * Which messages a query reads: chosen by the masks of the index and by the turns next to them, before any
 * text is read.
 */
#ifndef MC_CONTEXT_SPOTS_H
#define MC_CONTEXT_SPOTS_H

#include "context/meaning.h"
#include "context/query.h"
#include "store/store.h"

#define MC_SPOT_NONE SIZE_MAX

/* A message as the index knows it. */
struct mc_spot {
    int64_t row;
    uint64_t mask;   /* of the query's terms, as the index has them */
    double own;      /* the share of the query's mass that it has, and what its meaning is worth */
    double meaning;  /* 0..1 */
    double estimate; /* own with a share of the turns next to it */
    size_t before[MC_TURNS]; /* spots of the turns before it, the nearest first; MC_SPOT_NONE */
    size_t after[MC_TURNS];
    bool matched; /* the index gave it, or its meaning is near */
    bool chosen;  /* to be read */
};
struct mc_spots {
    struct mc_spot *items; /* in the arena */
    size_t count;
};

struct mc_spot_limits {
    size_t matches; /* the best by what they have of the query: their turns are looked up */
    size_t read;    /* of these and the matches next to them, chosen by estimate */
    size_t turns;   /* of the turns next to them that match nothing, chosen by estimate */
};

MC_MUST_CHECK enum mc_status mc_spots_find(struct mc_store *store, const struct mc_query *query,
                                           const struct mc_match_result *matches,
                                           const struct mc_meant *meant, size_t meant_count,
                                           const struct mc_reader *reader,
                                           const struct mc_spot_limits *limits,
                                           struct mc_arena *arena, struct mc_spots *spots,
                                           struct mc_error *err);

/* So many of those chosen, the best by estimate, stay so. False: out of memory. */
MC_MUST_CHECK bool mc_spots_keep(struct mc_spots *spots, size_t most, struct mc_arena *arena);

#endif
