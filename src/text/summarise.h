/*
 * Extractive summary of a conversation, without a model: the sentences that carry most of what is
 * said, in their order. Pure functions. See summarise.c for the method and its source.
 */
#ifndef MC_TEXT_SUMMARISE_H
#define MC_TEXT_SUMMARISE_H

#include "base/arena.h"

struct mc_utterance {
    mc_str speaker; /* "user", "assistant", an agent's id */
    mc_str text;
    double importance; /* 0..1 */
};

struct mc_extract {
    mc_str text;         /* at most max_bytes, whole sentences, "speaker: sentence" lines */
    const mc_str *facts; /* sentences that state names, numbers, dates, decisions: at most 10 */
    size_t fact_count;
};

MC_MUST_CHECK enum mc_status mc_summarise(const struct mc_utterance *utterances, size_t count,
                                          size_t max_bytes, struct mc_arena *arena,
                                          struct mc_extract *extract, struct mc_error *err);

#endif
