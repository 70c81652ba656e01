/*
 * Summaries of threads by a model: a text and key facts, made from the messages in parts that fit the
 * model's window, each with the summary so far. What is stated must stand on the messages
 * (text/ground.h): a sentence or fact that does not is left out, and a summary of which less than half
 * does is none.
 */
#ifndef MC_MEMORY_SUMMARY_H
#define MC_MEMORY_SUMMARY_H

#include "llm/llm.h"
#include "message/record.h"

#define MC_SUMMARY_TEXT 1200 /* characters */
#define MC_SUMMARY_FACTS 8
#define MC_SUMMARY_FACT_TEXT 160 /* characters */

/* One thread, and what became of it. */
struct mc_summary_work {
    const struct mc_records *messages; /* oldest first, at least one */
    struct mc_arena *arena;            /* of the outcome */
    bool done;                         /* else another way is needed */
    mc_str text;
    mc_str facts[MC_SUMMARY_FACTS];
    size_t fact_count;
    mc_str method; /* "llm:MODEL" */
    enum mc_status status;
    struct mc_error error; /* why it was not done */
};

/*
 * Makes them side by side: a part of each is one call, all of them go to the model together. wait is for all.
 * No lock and no transaction may be held.
 */
void mc_summaries_ask(struct mc_llm *llm, struct mc_summary_work *works, size_t count,
                      const struct mc_llm_wait *wait);

#endif
