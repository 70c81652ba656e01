/* A context in the making. Private to src/context: assemble.c leads; recent turns, relevant.c, sources.c,
 * background.c, result.c and explain.c do parts. */
#ifndef MC_CONTEXT_ASSEMBLE_H
#define MC_CONTEXT_ASSEMBLE_H

#include "base/buf.h"
#include "context/candidates.h"
#include "context/context.h"
#include "context/external.h"
#include "context/guide.h"
#include "context/pack.h"
#include "context/points.h"

enum mc_shown_as {
    MC_SHOWN_RELEVANT,
    MC_SHOWN_NEIGHBOUR,
    MC_SHOWN_RECENT,
    MC_SHOWN_IMPORTANT,
    MC_SHOWN_LAST_SESSION,
    MC_SHOWN_TIME_NAMED,
    MC_SHOWN_KINDS
};

/* A message in the text. */
struct mc_shown {
    const struct mc_record *record;  /* borrowed from the assembly */
    const struct mc_rank_item *item; /* NULL when it was not a candidate */
    enum mc_shown_as as;
    bool chosen; /* by the model */
};

struct mc_assembly {
    const struct mc_retrieval *r;
    const struct mc_context_query *query;
    struct mc_reader reader; /* the caller's with the query's restrictions */
    mc_str preferences_json; /* the user's; may be empty */
    int64_t now_us;
    int64_t started_us; /* monotonic */
    size_t max_messages;
    size_t max_tokens;
    struct mc_arena *arena; /* of the result */
    struct mc_measure measure;
    struct mc_pack pack;
    struct mc_buf line;       /* the entry being rendered */
    struct mc_records recent; /* newest first */
    struct mc_candidates found;
    bool recent_read, found_read; /* a second pass uses them again */
    struct mc_records important;  /* facts of the user, the most important first */
    struct mc_records elsewhere;  /* of the last conversation in another thread, newest first */
    struct mc_records of_time;    /* of the time that the query names, newest first */
    struct mc_shown *shown;       /* room for max_messages */
    size_t shown_count;
    size_t kinds[MC_SHOWN_KINDS];
    struct mc_external external;
    bool additional;
    size_t preferences; /* lines */
    size_t summaries;
    struct mc_points points;
    double answer; /* of the best message shown, 0 to below 1 */
    double confidence;
    struct mc_guided guided; /* what a model chose, and what became of asking it */
};

#define MC_ANSWER_LITTLE 0.5 /* an answer below this calls for more than what the query found */
/* No entry is cut below this for fairness alone. */
#define MC_ENTRY_LEAST ((size_t)100 * MC_TOKEN_UNITS)

/* Adds what a->line holds to a section. */
MC_MUST_CHECK enum mc_status mc_assembly_put(struct mc_assembly *a, enum mc_section section,
                                             int64_t place, size_t messages, bool *added,
                                             struct mc_error *err);

/* What the candidates know of a message; NULL when it was none. */
const struct mc_rank_item *mc_assembly_item(const struct mc_assembly *a,
                                            const struct mc_record *record);
bool mc_assembly_is_shown(const struct mc_assembly *a, const struct mc_record *record);
/* Renders a message and adds it to the section of its kind; *added is false when it does not fit. */
MC_MUST_CHECK enum mc_status mc_assembly_show(struct mc_assembly *a, struct mc_shown shown,
                                              mc_str text, int64_t place, size_t max_units,
                                              bool *added, struct mc_error *err);

/* relevant.c: what the model chose; the best of the candidates; the turns around the best of both. */
MC_MUST_CHECK enum mc_status mc_assembly_chosen(struct mc_assembly *a, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_assembly_hits(struct mc_assembly *a, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_assembly_turns(struct mc_assembly *a, struct mc_error *err);
/* How well the message shown that answers best does it, 0 to below 1. */
double mc_assembly_answer(const struct mc_assembly *a);

/* background.c: what the user said of himself or asked to remember; what was said at the time that
 * the query names; his last conversation elsewhere. */
MC_MUST_CHECK enum mc_status mc_assembly_important(struct mc_assembly *a, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_assembly_time_named(struct mc_assembly *a, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_assembly_last_session(struct mc_assembly *a, struct mc_error *err);

/* sources.c: each adds its section, within a share of what is left of the budget. */
MC_MUST_CHECK enum mc_status mc_assembly_preferences(struct mc_assembly *a, mc_str json,
                                                     struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_assembly_summaries(struct mc_assembly *a, struct mc_error *err);

/* result.c: brings the text into the budget and writes the result, whose strings the arena holds. */
MC_MUST_CHECK enum mc_status mc_assembly_finish(struct mc_assembly *a, struct mc_context *context,
                                                struct mc_error *err);

/* explain.c: the JSON of the result's metadata, in the arena. */
MC_MUST_CHECK enum mc_status mc_assembly_explain(const struct mc_assembly *a, size_t tokens,
                                                 mc_str *json, struct mc_error *err);

#endif
