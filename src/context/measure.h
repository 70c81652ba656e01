/*
 * How budgets count tokens: by the tokenizer of a local model where there is one, else by the estimate
 * (context/tokens.h), which costs no more than it did without this choice.
 *
 * All sizes are in units, MC_TOKEN_UNITS a token. A model's counts of parts do not add up to that of the
 * whole: who needs an exact budget counts the whole at the end. Counts are kept for the life of the
 * measure, which is one request. Not for sharing between threads.
 */
#ifndef MC_CONTEXT_MEASURE_H
#define MC_CONTEXT_MEASURE_H

#include "base/arena.h"
#include "llm/llm.h"

struct mc_measured;
struct mc_measure {
    struct mc_llm *llm; /* whose tokenizer counts; NULL: the estimate */
    bool counted;       /* a tokenizer has counted something: sums are no counts of the whole */
    struct mc_measured *seen; /* counts so far, in the arena; NULL: none are kept */
    char name[128];           /* of what counts: the model, or "estimate" */
};

/* llm may be NULL or without a tokenizer. */
void mc_measure_init(struct mc_measure *measure, struct mc_llm *llm, struct mc_arena *arena);

/* In what follows a NULL measure is the estimate. A tokenizer that fails is not asked again. */
size_t mc_measure_units(struct mc_measure *measure, mc_str text);
/* A prefix of at most max_units that ends at a character: by the estimate the longest one, by a model
 * nearly so. */
mc_str mc_measure_prefix(struct mc_measure *measure, mc_str text, size_t max_units);
/* As mc_tokens_cut. */
mc_str mc_measure_cut(struct mc_measure *measure, mc_str text, size_t max_units,
                      struct mc_arena *arena);
/* More bytes than this are never shown in so many units. */
size_t mc_measure_bytes(const struct mc_measure *measure, size_t max_units);

#endif
