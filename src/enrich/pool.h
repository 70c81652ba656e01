/*
 * The workers of one stage: they claim its jobs from the store with a lease, hand them to the stage, and
 * write what is to become of them.
 *
 * Life of a job: ready -> leased (until, by) -> removed, or ready for the next stage, when its
 * completion is committed; or put back with a back-off when the attempt failed, or dead after
 * max_attempts. A lease that runs out makes the job ready again; a stage that waits renews it.
 * Completion is applied only under the lease, so it happens once.
 *
 * A worker sleeps until it is woken (mc_pool_wake) or the next job is due; it does not poll.
 */
#ifndef MC_ENRICH_POOL_H
#define MC_ENRICH_POOL_H

#include "base/metrics.h"
#include "enrich/work.h"

#define MC_WORKERS_MAX 16

/*
 * What a stage does with a batch: sets each outcome. Called by several workers at the same time. A
 * failure is one of the store, or of memory: the jobs are released and tried again later.
 */
typedef enum mc_status (*mc_stage_fn)(void *stage, struct mc_work *work, struct mc_error *err);

/*
 * Called by a worker after a message's new metadata was committed; record carries them and the new
 * state, and is borrowed. thread_version is the version that the commit made.
 */
typedef void (*mc_enriched_fn)(void *context, struct mc_record *record,
                               const struct mc_metadata *metadata, int64_t thread_version);

/* Called by a worker after a message's job was given up: its metadata and state have changed. */
typedef void (*mc_died_fn)(void *context, const struct mc_message *message);

struct mc_pool_options {
    int workers;          /* 1..MC_WORKERS_MAX */
    int64_t lease_us;     /* longer than any attempt of a stage that does not renew it */
    int max_attempts;     /* at least 1 */
    int64_t retry_min_us; /* back-off of the first retry, doubled for each further one */
    int64_t retry_max_us;
    size_t claim_batch;     /* jobs claimed at once, 0: 64 */
    int64_t start_after_us; /* the workers rest for so long before they begin */
    enum mc_stage stage;
    mc_stage_fn handle;
    /* Called after each handle, when its outcomes are written or the attempt to is over. May be NULL. */
    void (*settled)(void *handler, const struct mc_work *work);
    void *handler; /* given to both */
    struct mc_store *store;
    struct mc_metrics *metrics;
    struct mc_pool *next; /* woken when jobs were handed on to its stage; may be NULL */
    mc_enriched_fn enriched;
    mc_died_fn died; /* may be NULL */
    void *context;
};

/* One moment of the pool, for health and metrics. */
struct mc_pool_state {
    int alive; /* worker threads running */
    int busy;  /* with a job in hand */
    bool paused;
    bool overdue;             /* a worker is past its lease */
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
/*
 * Lets each worker finish what it has in hand, or what its stage finishes when `keep` says false; joins
 * them, and releases what is still leased. Accepts NULL.
 */
void mc_pool_stop(struct mc_pool *pool);
/* After mc_pool_stop; until then mc_pool_wake may still be called. Accepts NULL. */
void mc_pool_free(struct mc_pool *pool);
/* There may be a job. Cheap when the workers are busy. */
void mc_pool_wake(struct mc_pool *pool);
void mc_pool_pause(struct mc_pool *pool, bool paused);
/* Waits until no worker is busy and no job of the stage is ready or leased; MC_TIMEOUT at that time. */
MC_MUST_CHECK enum mc_status mc_pool_drain(struct mc_pool *pool, int64_t deadline_monotonic_us,
                                           struct mc_error *err);
void mc_pool_read(struct mc_pool *pool, struct mc_pool_state *state);

#endif
