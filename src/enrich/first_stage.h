/*
 * The first stage of enrichment: trivial messages are settled, the others get the built-in metadata.
 * No model, no I/O.
 */
#ifndef MC_ENRICH_FIRST_STAGE_H
#define MC_ENRICH_FIRST_STAGE_H

#include "enrich/pool.h"
#include "enrich/result.h"
#include "text/trivial.h"
#include "vocabulary/vocabulary.h"

/* Everything in result lives in the arena. Pure. MC_NO_MEMORY. */
MC_MUST_CHECK enum mc_status mc_first_stage(const struct mc_vocabulary *vocabulary,
                                            const struct mc_trivial_detector *trivial,
                                            const struct mc_message *message,
                                            struct mc_arena *arena,
                                            struct mc_enrichment_result *result,
                                            struct mc_error *err);

/*
 * What a message teaches about its user, to be stored with its enrichment; pure, everything in the
 * arena (memory/preferences.h mc_signals_of).
 */
typedef enum mc_status (*mc_learn_fn)(const struct mc_message *message,
                                      const struct mc_metadata *metadata, struct mc_arena *arena,
                                      struct mc_signal **signals, size_t *count,
                                      struct mc_error *err);

struct mc_first_stage_options {
    const struct mc_vocabulary *vocabulary;
    const struct mc_trivial_detector *trivial;
    mc_learn_fn learn;
    bool hands_on; /* what is not trivial goes on to the model's stage, and stays pending */
};

/* For a pool of MC_STAGE_FIRST; stage is a struct mc_first_stage_options. */
MC_MUST_CHECK enum mc_status mc_first_stage_handle(void *stage, struct mc_work *work,
                                                   struct mc_error *err);

#endif
