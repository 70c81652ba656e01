/*
 * The second stage of enrichment: a model reads the messages that the first stage handed on.
 *
 * One generate call for a batch of jobs. What becomes of a message whose call has no answer:
 * - fallback_builtin: it is settled with its built-in metadata, which say why (fallback_reason);
 * - else, nothing was tried (circuit open, no memory): it waits until the provider may be asked again, and
 *   when that is not today (a cap), it is settled with built-in metadata as above;
 * - else it is a failed attempt: back-off, and in the end a dead job;
 * - cancelled, as the pool stops: it is ready again as it was.
 *
 * The same question is not asked twice. An answer is kept with a hash of the question (prompt.h), and a
 * message with the same one takes over that metadata; equal messages of a batch are asked about once, and
 * one that another worker is asking about at this moment waits MC_MODEL_WAIT_US without an attempt.
 *
 * Without a model (llm NULL) the stage settles what an engine that had one left behind.
 */
#ifndef MC_ENRICH_MODEL_STAGE_H
#define MC_ENRICH_MODEL_STAGE_H

#include "enrich/pool.h"
#include "llm/llm.h"
#include "vocabulary/vocabulary.h"

#define MC_MODEL_BATCH_MAX 64
#define MC_MODEL_WAIT_US (200 * INT64_C(1000))
/* However long a provider asks for patience, a job is looked at again after this time. */
#define MC_MODEL_PATIENCE_US (3600 * INT64_C(1000000))

struct mc_model_stage_options {
    struct mc_llm *llm; /* borrowed; NULL: none */
    const struct mc_vocabulary *vocabulary;
    struct mc_store *store;
    bool fallback_builtin;
};

struct mc_model_stage;
/* The options' pointers must outlive it. MC_NO_MEMORY. Freed with mc_model_stage_free. */
MC_MUST_CHECK enum mc_status mc_model_stage_new(const struct mc_model_stage_options *options,
                                                struct mc_model_stage **stage,
                                                struct mc_error *err);
void mc_model_stage_free(struct mc_model_stage *stage); /* accepts NULL */

/* For a pool of MC_STAGE_MODEL; stage is a struct mc_model_stage. */
MC_MUST_CHECK enum mc_status mc_model_stage_handle(void *stage, struct mc_work *work,
                                                   struct mc_error *err);
/* The pool's `settled`: what the batch asked about is no longer in flight. */
void mc_model_stage_settled(void *stage, const struct mc_work *work);
/* Jobs that a worker should claim at once: 1..MC_MODEL_BATCH_MAX. */
size_t mc_model_stage_batch(const struct mc_model_stage *stage);

#endif
