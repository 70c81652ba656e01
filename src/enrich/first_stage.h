/*
 * The first stage of enrichment: trivial messages are settled, the others get the built-in metadata.
 * No model, no I/O. Pure.
 */
#ifndef MC_ENRICH_FIRST_STAGE_H
#define MC_ENRICH_FIRST_STAGE_H

#include "base/arena.h"
#include "message/metadata.h"
#include "message/record.h"
#include "text/trivial.h"
#include "vocabulary/vocabulary.h"

struct mc_enrichment_result {
    struct mc_metadata metadata;
    bool trivial;
    mc_str json;  /* the metadata as it is stored */
    mc_str terms; /* index tokens: the text's terms, then labels, separated by single spaces */
};

/* Everything in result lives in the arena. MC_NO_MEMORY. */
MC_MUST_CHECK enum mc_status mc_first_stage(const struct mc_vocabulary *vocabulary,
                                            const struct mc_trivial_detector *trivial,
                                            const struct mc_message *message,
                                            struct mc_arena *arena,
                                            struct mc_enrichment_result *result,
                                            struct mc_error *err);

#endif
