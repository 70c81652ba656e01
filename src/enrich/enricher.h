/*
 * Enrichment as a whole: the pools of its two stages, and one face for both.
 *
 * Without a model `workers` threads do the first stage, which is final, and one more settles what an
 * engine with a model left behind: after MC_LEFTOVER_AFTER_US, because a command that is run without the
 * options of the server beside it must not take the model's work away. With a model one thread does the first stage, so that a new message
 * never waits behind a model, and `workers` threads hand messages to the model.
 * A command beside a server leaves that to the server (leave_model).
 */
#ifndef MC_ENRICH_ENRICHER_H
#define MC_ENRICH_ENRICHER_H

#include "enrich/first_stage.h"
#include "enrich/model_stage.h"
#include "enrich/pool.h"

/*
 * A model's jobs are leased for at least so long: providers tell about once a second that they still
 * work, which must be often enough to renew a lease every third of its time.
 */
#define MC_MODEL_LEASE_MIN_US (5 * INT64_C(1000000))

#define MC_LEFTOVER_AFTER_US (60 * INT64_C(1000000))

struct mc_enricher_options {
    /*
     * Of both stages: workers, lease, attempts, back-off, store, metrics, enriched, died, context. The
     * rest is set here.
     */
    struct mc_pool_options pool;
    const struct mc_vocabulary *vocabulary;
    const struct mc_trivial_detector *trivial;
    mc_learn_fn learn;
    struct mc_llm *llm;        /* borrowed; NULL: none */
    bool fallback_builtin;     /* where no model answers, built-in metadata are final */
    bool leave_model;          /* hand on to the model's stage, but ask nothing: others do */
    int64_t leftover_after_us; /* 0: MC_LEFTOVER_AFTER_US */
};

struct mc_enricher;
/* The options' pointers must outlive it. */
MC_MUST_CHECK enum mc_status mc_enricher_start(const struct mc_enricher_options *options,
                                               struct mc_enricher **enricher, struct mc_error *err);
/* As mc_pool_stop, mc_pool_free: it may still be woken in between. Both accept NULL. */
void mc_enricher_stop(struct mc_enricher *enricher);
void mc_enricher_free(struct mc_enricher *enricher);
/* There may be a job of the first stage. Cheap when its workers are busy. */
void mc_enricher_wake(struct mc_enricher *enricher);
/* Another process may have left jobs of any stage. */
void mc_enricher_wake_all(struct mc_enricher *enricher);
void mc_enricher_pause(struct mc_enricher *enricher, bool paused);
/*
 * Waits until no job of either stage is ready or leased; MC_TIMEOUT at that time. Without a model jobs that
 * wait for one are no matter.
 */
MC_MUST_CHECK enum mc_status mc_enricher_drain(struct mc_enricher *enricher,
                                               int64_t deadline_monotonic_us, struct mc_error *err);
/*
 * Both pools as one of `workers` threads, of which as many are missing as ended of all that were started.
 */
void mc_enricher_read(struct mc_enricher *enricher, struct mc_pool_state *state);

#endif
