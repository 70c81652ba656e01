/*
 * The conversation in which a model chooses what a context needs: it is shown the question and what the
 * deterministic way found, may call tools (tools.h), and marks messages as relevant. Private to
 * src/context.
 */
#ifndef MC_CONTEXT_GUIDE_H
#define MC_CONTEXT_GUIDE_H

#include "context/tools.h"

#define MC_GUIDE_ROUNDS 3 /* in the last one no calls are offered */

struct mc_guided {
    bool done;    /* the model answered; else the deterministic result stands */
    bool changes; /* there is something to assemble anew with */
    mc_str
        fallback; /* why a model that was to be asked chose nothing; empty: it was not to, or did */
    struct mc_records chosen; /* what it marked, best first */
    mc_str points[MC_TOOL_POINTS];
    size_t point_count;
    /* For the metadata. Strings live in the arena. */
    size_t rounds; /* questions to the model */
    struct mc_tool_use uses[MC_TOOL_CALLS * (MC_GUIDE_ROUNDS - 1)];
    size_t use_count;
    const char *provider;
    mc_str model;
    struct mc_llm_usage usage;
    int64_t took_us;
};
void mc_guided_fini(struct mc_guided *guided);

struct mc_assembly;
/*
 * Whether a model is to be asked, after a first pass. auto: one is ready, the query has words that say something,
 * there is something to choose from, and what was found answers little.
 */
bool mc_guide_wanted(struct mc_assembly *a);
/* Asks it, within the deadline, and sets a->guided and, when the model changed them, the preferences. */
void mc_guide_ask(struct mc_assembly *a);

#endif
