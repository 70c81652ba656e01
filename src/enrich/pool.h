/*
 * The workers: they claim jobs from the store with a lease, enrich the messages, and complete the jobs.
 *
 * Life of a job: ready -> leased (until, by) -> removed when its completion is committed; or put back
 * with a back-off when the attempt failed, or dead after max_attempts. A lease that runs out makes the job ready
 * again. Completion is applied only under the lease, so it happens once.
 *
 * A worker sleeps until it is woken (mc_pool_wake) or the next job is due; it does not poll.
 */
#ifndef MC_ENRICH_POOL_H
#define MC_ENRICH_POOL_H

#include "base/metrics.h"
#include "message/metadata.h"
#include "store/store.h"
#include "text/trivial.h"
#include "vocabulary/vocabulary.h"

#define MC_WORKERS_MAX 16

/*
 * What a message teaches about its user, to be stored with its enrichment; pure, everything in the
 * arena (memory/preferences.h mc_signals_of).
 */
typedef enum mc_status (*mc_learn_fn)(const struct mc_message *message,
                                      const struct mc_metadata *metadata, struct mc_arena *arena,
                                      struct mc_signal **signals, size_t *count,
                                      struct mc_error *err);

/*
 * Called by a worker after a message's enrichment was committed; record carries the new metadata and is
 * borrowed. thread_version is the version that the commit made.
 */
typedef void (*mc_enriched_fn)(void *context, struct mc_record *record,
                               const struct mc_metadata *metadata, int64_t thread_version);

/* Called by a worker after a message's job was given up: its metadata and state have changed. */
typedef void (*mc_died_fn)(void *context, const struct mc_message *message);

struct mc_pool_options {
    int workers;          /* 1..MC_WORKERS_MAX */
    int64_t lease_us;     /* longer than any attempt */
    int max_attempts;     /* at least 1 */
    int64_t retry_min_us; /* back-off of the first retry, doubled for each further one */
    int64_t retry_max_us;
    size_t claim_batch; /* jobs claimed at once, 0: 64 */
    struct mc_store *store;
    struct mc_metrics *metrics;
    const struct mc_vocabulary *vocabulary;
    const struct mc_trivial_detector *trivial;
    mc_learn_fn learn;
    mc_enriched_fn enriched;
    mc_died_fn died; /* may be NULL */
    void *context;
};

/* One moment of the pool, for health and metrics. */
struct mc_pool_state {
    int alive; /* worker threads running */
    int busy;  /* with a job in hand */
    bool paused;
    int64_t longest_busy_us;  /* how long the slowest worker has been at its present batch */
    int64_t last_finished_us; /* wall clock of the last completed batch, 0: none yet */
    int consecutive_errors;   /* store failures in a row, over all workers */
    char last_error[256];     /* "" when none */
    int64_t last_error_us;
};

struct mc_pool;
/* Starts the workers. The options' pointers must outlive the pool. */
MC_MUST_CHECK enum mc_status mc_pool_start(const struct mc_pool_options *options,
                                           struct mc_pool **pool, struct mc_error *err);
/* Lets each worker finish what it has in hand, joins them, and releases what is still leased. Accepts NULL. */
void mc_pool_stop(struct mc_pool *pool);
/* After mc_pool_stop; until then mc_pool_wake may still be called. Accepts NULL. */
void mc_pool_free(struct mc_pool *pool);
/* There may be a job. Cheap when the workers are busy. */
void mc_pool_wake(struct mc_pool *pool);
void mc_pool_pause(struct mc_pool *pool, bool paused);
/* Waits until no worker is busy and no job is ready or leased, or until the monotonic time; false then. */
MC_MUST_CHECK enum mc_status mc_pool_drain(struct mc_pool *pool, int64_t deadline_monotonic_us,
                                           struct mc_error *err);
void mc_pool_read(struct mc_pool *pool, struct mc_pool_state *state);

#endif
