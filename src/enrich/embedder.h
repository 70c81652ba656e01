/*
 * The worker that makes vectors of messages. It takes those that wait for one (store.h), asks the embeddings
 * model for several at once, and puts what it gets. It is apart from enrichment, which it can neither delay nor fail.
 *
 * The current model of the store is the one that is configured. Its dimension is what the model answers first; what
 * comes later with another dimension is refused (MC_CONFIG) and nothing is stored. When the model is another than
 * before, older messages are gone through step by step, whenever no newer one waits; old vectors serve until
 * they are replaced. All of this goes on where it was after a restart.
 *
 * A message is given up only after max_attempts at it failed while the model answered for others: a
 * model that is out of order costs no attempts.
 */
#ifndef MC_ENRICH_EMBEDDER_H
#define MC_ENRICH_EMBEDDER_H

#include "base/metrics.h"
#include "llm/llm.h"
#include "store/store.h"

struct mc_embedder_options {
    struct mc_store *store;
    struct mc_metrics *metrics;
    struct mc_llm *llm; /* opened for embeddings; borrowed */
    const char *model;  /* its name in the store */
    int64_t dimension;  /* that it must have, 0: as it answers */
    size_t batch;       /* messages at once, 1..256 */
    int64_t lease_us;   /* before another process takes over what this one holds */
    int max_attempts;   /* at least 1 */
    int64_t retry_min_us, retry_max_us;
};

/* Progress, as the store has it. */
struct mc_embedder_state {
    int64_t dimension;    /* 0: not known yet */
    int64_t vectors, old; /* stored, of this model and of others */
    int64_t waiting;
    bool filled; /* all older messages have theirs or wait */
};

struct mc_embedder;
/* Starts the thread. The options' pointers must outlive it. */
MC_MUST_CHECK enum mc_status mc_embedder_start(const struct mc_embedder_options *options,
                                               struct mc_embedder **embedder, struct mc_error *err);
/* Breaks off what is under way, which is done again another time. Accepts NULL. */
void mc_embedder_stop(struct mc_embedder *embedder);
/* After mc_embedder_stop; until then it may still be woken. Accepts NULL. */
void mc_embedder_free(struct mc_embedder *embedder);
/* There may be a message that waits. Cheap. Accepts NULL. */
void mc_embedder_wake(struct mc_embedder *embedder);
/* Accepts NULL. */
void mc_embedder_pause(struct mc_embedder *embedder, bool paused);
/* Of the store of this model and others. */
MC_MUST_CHECK enum mc_status mc_embedder_progress(struct mc_store *store, const char *model,
                                                  struct mc_embedder_state *state,
                                                  struct mc_error *err);
/* What went wrong with the last batch, "" when nothing. */
void mc_embedder_last_error(struct mc_embedder *embedder, char *text, size_t size);

#endif
