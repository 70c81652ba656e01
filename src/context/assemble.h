/* A context in the making. Private to src/context: assemble.c leads, sources.c, background.c and
 * explain.c do parts. */
#ifndef MC_CONTEXT_ASSEMBLE_H
#define MC_CONTEXT_ASSEMBLE_H

#include "base/buf.h"
#include "context/candidates.h"
#include "context/context.h"
#include "context/external.h"
#include "context/pack.h"
#include "context/points.h"

enum mc_shown_as {
    MC_SHOWN_RELEVANT,
    MC_SHOWN_NEIGHBOUR,
    MC_SHOWN_RECENT,
    MC_SHOWN_IMPORTANT,
    MC_SHOWN_LAST_SESSION,
    MC_SHOWN_KINDS
};

/* A message in the text. */
struct mc_shown {
    const struct mc_record *record;  /* borrowed from the assembly */
    const struct mc_rank_item *item; /* NULL when it was not a candidate */
    enum mc_shown_as as;
};

struct mc_assembly {
    const struct mc_retrieval *r;
    const struct mc_context_query *query;
    struct mc_reader reader; /* the caller's with the query's restrictions */
    int64_t now_us;
    int64_t started_us; /* monotonic */
    size_t max_messages;
    size_t max_tokens;
    struct mc_arena *arena; /* of the result */
    struct mc_pack pack;
    struct mc_buf line;       /* the entry being rendered */
    struct mc_records recent; /* newest first */
    struct mc_candidates found;
    struct mc_records important; /* facts of the user, the most important first */
    struct mc_records elsewhere; /* of the last conversation in another thread, newest first */
    struct mc_shown *shown;      /* room for max_messages */
    size_t shown_count;
    size_t kinds[MC_SHOWN_KINDS];
    struct mc_external external;
    bool additional;
    size_t preferences; /* lines */
    size_t summaries;
    struct mc_points points;
    double answer; /* of the best message shown, 0 to below 1 */
    double confidence;
};

/* Adds what a->line holds to a section. */
MC_MUST_CHECK enum mc_status mc_assembly_put(struct mc_assembly *a, enum mc_section section,
                                             int64_t place, size_t messages, bool *added,
                                             struct mc_error *err);

bool mc_assembly_is_shown(const struct mc_assembly *a, const struct mc_record *record);
/* Renders a message and adds it to the section of its kind; *added is false when it does not fit. */
MC_MUST_CHECK enum mc_status mc_assembly_show(struct mc_assembly *a, struct mc_shown shown,
                                              mc_str text, int64_t place, size_t max_units,
                                              bool *added, struct mc_error *err);

/* background.c: what the user said of himself or asked to remember; his last conversation
 * elsewhere. */
MC_MUST_CHECK enum mc_status mc_assembly_important(struct mc_assembly *a, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_assembly_last_session(struct mc_assembly *a, struct mc_error *err);

/* sources.c: each adds its section, within a share of what is left of the budget. */
MC_MUST_CHECK enum mc_status mc_assembly_preferences(struct mc_assembly *a, mc_str json,
                                                     struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_assembly_summaries(struct mc_assembly *a, struct mc_error *err);

/* explain.c: the JSON of the result's metadata, in the arena. */
MC_MUST_CHECK enum mc_status mc_assembly_explain(const struct mc_assembly *a, size_t tokens,
                                                 mc_str *json, struct mc_error *err);

#endif
