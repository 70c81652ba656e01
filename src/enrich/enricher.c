#include "enrich/enricher.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/time.h"

#define NEVER_US (INT64_C(36500) * MC_US_PER_DAY)

struct mc_enricher {
    int workers;
    bool with_model;
    bool asks; /* the model, here */
    struct mc_first_stage_options first_stage;
    struct mc_model_stage *model_stage;
    struct mc_pool *first, *model;
    int threads; /* of both pools, while none is missing */
};

/* The model's pool comes first: the other one wakes it. */
static enum mc_status start_model(struct mc_enricher *e, const struct mc_enricher_options *options,
                                  struct mc_error *err)
{
    const struct mc_model_stage_options stage = {
        .llm = options->llm,
        .vocabulary = options->vocabulary,
        .store = options->pool.store,
        .fallback_builtin = options->fallback_builtin,
    };
    enum mc_status status = mc_model_stage_new(&stage, &e->model_stage, err);
    if (status)
        return status;
    struct mc_pool_options pool = options->pool;
    pool.workers = e->asks ? pool.workers : 1;
    e->threads += pool.workers;
    if (e->with_model && !e->asks)
        pool.start_after_us = NEVER_US;
    else if (!e->asks)
        pool.start_after_us =
            options->leftover_after_us ? options->leftover_after_us : MC_LEFTOVER_AFTER_US;
    if (pool.lease_us < MC_MODEL_LEASE_MIN_US)
        pool.lease_us = MC_MODEL_LEASE_MIN_US;
    pool.claim_batch = mc_model_stage_batch(e->model_stage);
    pool.stage = MC_STAGE_MODEL;
    pool.handle = mc_model_stage_handle;
    pool.settled = mc_model_stage_settled;
    pool.handler = e->model_stage;
    pool.next = NULL;
    return mc_pool_start(&pool, &e->model, err);
}

static enum mc_status start_first(struct mc_enricher *e, const struct mc_enricher_options *options,
                                  struct mc_error *err)
{
    e->first_stage = (struct mc_first_stage_options){
        .vocabulary = options->vocabulary,
        .trivial = options->trivial,
        .learn = options->learn,
        .hands_on = e->with_model,
    };
    struct mc_pool_options pool = options->pool;
    pool.workers = e->with_model ? 1 : pool.workers;
    e->threads += pool.workers;
    pool.claim_batch = 0;
    pool.stage = MC_STAGE_FIRST;
    pool.handle = mc_first_stage_handle;
    pool.settled = NULL;
    pool.handler = &e->first_stage;
    pool.next = e->model;
    return mc_pool_start(&pool, &e->first, err);
}

enum mc_status mc_enricher_start(const struct mc_enricher_options *options,
                                 struct mc_enricher **enricher, struct mc_error *err)
{
    struct mc_enricher *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->workers = options->pool.workers;
    made->with_model = options->llm != NULL;
    made->asks = made->with_model && !options->leave_model;
    enum mc_status status = start_model(made, options, err);
    if (!status)
        status = start_first(made, options, err);
    if (status) {
        mc_enricher_stop(made);
        mc_enricher_free(made);
        return status;
    }
    mc_metrics_set(options->pool.metrics, MC_GAUGE_WORKER_POOL_SIZE, made->workers);
    *enricher = made;
    return MC_OK;
}

void mc_enricher_stop(struct mc_enricher *enricher)
{
    if (!enricher)
        return;
    mc_pool_stop(enricher->first);
    mc_pool_stop(enricher->model);
}

void mc_enricher_free(struct mc_enricher *enricher)
{
    if (!enricher)
        return;
    mc_pool_free(enricher->first);
    mc_pool_free(enricher->model);
    mc_model_stage_free(enricher->model_stage);
    free(enricher);
}

void mc_enricher_wake(struct mc_enricher *enricher)
{
    mc_pool_wake(enricher->first);
}

void mc_enricher_wake_all(struct mc_enricher *enricher)
{
    mc_pool_wake(enricher->first);
    if (enricher->asks)
        mc_pool_wake(enricher->model);
}

void mc_enricher_pause(struct mc_enricher *enricher, bool paused)
{
    mc_pool_pause(enricher->first, paused);
    mc_pool_pause(enricher->model, paused);
}

enum mc_status mc_enricher_drain(struct mc_enricher *enricher, int64_t deadline_monotonic_us,
                                 struct mc_error *err)
{
    enum mc_status status = mc_pool_drain(enricher->first, deadline_monotonic_us, err);
    if (status || !enricher->asks)
        return status;
    mc_pool_wake(enricher->model); /* for what another process left */
    return mc_pool_drain(enricher->model, deadline_monotonic_us, err);
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void mc_enricher_read(struct mc_enricher *enricher, struct mc_pool_state *state)
{
    struct mc_pool_state first, model;
    mc_pool_read(enricher->first, &first);
    mc_pool_read(enricher->model, &model);
    bool model_failed_last = model.last_error_us > first.last_error_us;
    struct mc_pool_state both = model_failed_last ? model : first; /* the last error's text */
    int missing = enricher->threads - first.alive - model.alive, busy = first.busy + model.busy;
    both.alive = enricher->workers > missing ? enricher->workers - missing : 0;
    both.busy = busy < enricher->workers ? busy : enricher->workers;
    both.paused = first.paused;
    both.overdue = first.overdue || model.overdue;
    both.longest_busy_us = larger(first.longest_busy_us, model.longest_busy_us);
    both.last_finished_us = larger(first.last_finished_us, model.last_finished_us);
    both.consecutive_errors = (int)larger(first.consecutive_errors, model.consecutive_errors);
    *state = both;
}
