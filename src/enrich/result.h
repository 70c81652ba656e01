/*
 * What is stored when a message was enriched: the metadata as JSON, and the index tokens. Pure.
 */
#ifndef MC_ENRICH_RESULT_H
#define MC_ENRICH_RESULT_H

#include "base/arena.h"
#include "message/metadata.h"

struct mc_enrichment_result {
    struct mc_metadata metadata;
    bool trivial;
    mc_str json;  /* the metadata as it is stored */
    mc_str terms; /* index tokens: the text's terms, then labels, separated by single spaces */
};

/*
 * Fills in json and terms from the metadata, everything in the arena. What the caller attached to the
 * message (`extra`) stays with it, whatever the metadata had. MC_NO_MEMORY; MC_CORRUPT when the
 * message's present metadata cannot be read.
 */
MC_MUST_CHECK enum mc_status mc_result_finish(const struct mc_message *message,
                                              struct mc_arena *arena,
                                              struct mc_enrichment_result *result,
                                              struct mc_error *err);

#endif
