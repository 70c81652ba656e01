/*
 * Writes the outcomes of a batch to the store, under the lease of the batch, and tells of them: one
 * transaction for what is done, one for what failed. Part of the pool; any thread.
 */
#ifndef MC_ENRICH_SETTLE_H
#define MC_ENRICH_SETTLE_H

#include "enrich/pool.h"

struct mc_settler {
    const struct mc_pool_options *options;
    mc_str lease;
    struct mc_arena *arena; /* of the batch */
    unsigned *jitter;       /* state of the back-off's random numbers */
    int64_t claimed_us;     /* monotonic */
    /* An attempt at one job failed: counted and logged. */
    void (*note)(void *context, const struct mc_error *error);
    void *context;
};

/* On failure, which is one of the store, part of it may be written; the rest is still leased. */
MC_MUST_CHECK enum mc_status mc_settle(const struct mc_settler *settler, const struct mc_job *jobs,
                                       const struct mc_outcome *outcomes, size_t count,
                                       struct mc_error *err);

#endif
