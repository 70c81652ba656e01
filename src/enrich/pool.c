#include "enrich/pool.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "enrich/settle.h"

/*
 * DESIGN. The store is the queue; the pool holds no jobs of its own, so nothing is lost with it.
 * All workers share one mutex and one condition for sleeping; `pending` says that there may be work
 * and lets mc_pool_wake return without the mutex while a worker is at it.
 *
 * A job that was claimed before and not finished may be what killed the process that had it. The
 * store hands out such a job alone, so that one which kills again takes no other job's attempts
 * with it.
 */

#define CLAIM_BATCH_DEFAULT 64
#define BATCH_ARENA_MAX ((size_t)64 << 20)
/* After a failure of the store the worker waits this long before it tries again. */
#define STORE_RETRY_US (500 * MC_US_PER_MS)
/* How often a caller who waits for an empty queue looks for jobs that another process finished. */
#define DRAIN_LOOK_US (50 * MC_US_PER_MS)
/* With more jobs left the end of a batch is no reason to look: a look counts all of them. */
#define DRAIN_NEAR 512
/*
 * How long a worker that had less than a full batch lets messages come together: a transaction costs
 * about as much for one as for thirty, and takes turns with those of ingest.
 */
#define GATHER_US (3 * MC_US_PER_MS)
/* The longest sleep: a safety net for jobs that another process put back with a later due time. */
#define SLEEP_MAX_US (60 * MC_US_PER_SECOND)

struct worker {
    struct mc_pool *pool;
    pthread_t thread;
    bool started;
    bool unreleased;            /* jobs may still be leased after a failure of the store */
    char lease[40];             /* unique to this worker of this process */
    _Atomic int64_t busy_since; /* monotonic, 0 when idle */
    _Atomic int64_t leased_at;  /* monotonic: when the batch in hand was claimed or renewed */
    int64_t rest_until_us;      /* monotonic: no job is claimed before */
    unsigned jitter;            /* state of the back-off's random numbers */
    struct mc_arena arena;      /* of the batch in hand */
};

struct mc_pool {
    struct mc_pool_options options;
    struct worker workers[MC_WORKERS_MAX];
    atomic_bool pending;
    mc_mutex mutex; /* guards what follows */
    mc_cond work;   /* there may be work, or stopping, or the pause ended */
    mc_cond idle;   /* a worker went idle */
    bool stopping;
    bool paused;
    int alive;
    int busy;
    int resting;     /* these wake to no purpose */
    uint64_t rounds; /* batches that workers came back from */
    int64_t last_finished_us;
    int consecutive_errors;
    int64_t last_error_us;
    char last_error[256];
};

static void note_error(struct mc_pool *pool, const struct mc_error *error, bool of_store)
{
    mc_log(MC_LOG_ERROR, "enrich", "%s", error->message);
    mc_metrics_add(pool->options.metrics, MC_COUNT_ERROR_ENRICHMENT, 1);
    mc_mutex_lock(&pool->mutex);
    if (of_store)
        pool->consecutive_errors++;
    pool->last_error_us = mc_time_now_us();
    snprintf(pool->last_error, sizeof(pool->last_error), "%.*s", (int)sizeof(pool->last_error) - 1,
             error->message);
    mc_mutex_unlock(&pool->mutex);
}

/* ---- One batch ---- */

static void note_attempt(void *context, const struct mc_error *error)
{
    note_error(context, error, false);
}

/* mc_work's keep: the lease is renewed every third of its time. */
static bool keep_lease(void *context)
{
    struct worker *worker = context;
    struct mc_pool *pool = worker->pool;
    mc_mutex_lock(&pool->mutex);
    bool stopping = pool->stopping;
    mc_mutex_unlock(&pool->mutex);
    int64_t now = mc_time_monotonic_us(), lease_us = pool->options.lease_us;
    if (stopping)
        return false;
    if (now - atomic_load(&worker->leased_at) < lease_us / 3)
        return true;
    struct mc_store *store = pool->options.store;
    struct mc_error error;
    enum mc_status status =
        store->ops->renew(store, mc_str_of(worker->lease), mc_time_now_us() + lease_us, &error);
    if (!status)
        atomic_store(&worker->leased_at, now);
    else if (status != MC_NOT_FOUND) /* tried again at the next call */
        mc_log(MC_LOG_WARNING, "enrich", "a lease was not renewed: %s", error.message);
    return status != MC_NOT_FOUND;
}

static struct mc_settler settler_of(struct worker *worker)
{
    return (struct mc_settler){
        .options = &worker->pool->options,
        .lease = mc_str_of(worker->lease),
        .arena = &worker->arena,
        .jitter = &worker->jitter,
        .claimed_us = atomic_load(&worker->busy_since),
        .note = note_attempt,
        .context = worker->pool,
    };
}

/* Hands the jobs to the stage and writes what becomes of them. */
static enum mc_status process(struct worker *worker, const struct mc_job *jobs, size_t count,
                              struct mc_error *err)
{
    if (count == 0)
        return MC_OK;
    const struct mc_pool_options *options = &worker->pool->options;
    struct mc_work work = {
        .jobs = jobs,
        .outcomes = mc_arena_array(&worker->arena, count, sizeof(*work.outcomes)),
        .count = count,
        .arena = &worker->arena,
        .keep = keep_lease,
        .keep_context = worker,
    };
    if (!work.outcomes)
        return mc_fail_memory(err);
    enum mc_status status = options->handle(options->handler, &work, err);
    struct mc_settler settler = settler_of(worker);
    if (!status)
        status = mc_settle(&settler, jobs, work.outcomes, count, err);
    if (options->settled)
        options->settled(options->handler, &work);
    worker->rest_until_us = work.rest_until_us;
    return status;
}

/* A job whose process ended in every attempt is dead without another. */
static bool exhausted(const struct mc_pool *pool, const struct mc_jobs *jobs)
{
    return jobs->count == 1 && jobs->items[0].attempts > pool->options.max_attempts;
}

static enum mc_status give_up(struct worker *worker, const struct mc_job *job, struct mc_error *err)
{
    struct mc_outcome outcome = {.verdict = MC_JOB_FAILED};
    mc_fail(
        &outcome.error, MC_INTERNAL,
        "given up after %d attempts that neither succeeded nor failed: the process ended or the "
        "lease ran out each time",
        worker->pool->options.max_attempts);
    struct mc_settler settler = settler_of(worker);
    return mc_settle(&settler, job, &outcome, 1, err);
}

static enum mc_status release(struct worker *worker, struct mc_error *err)
{
    struct mc_store *store = worker->pool->options.store;
    return store->ops->release(store, mc_str_of(worker->lease), err);
}

static enum mc_status claim_and_process(struct worker *worker, size_t *found, struct mc_error *err)
{
    const struct mc_pool_options *options = &worker->pool->options;
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    mc_arena_reset(&worker->arena);
    atomic_store(&worker->leased_at, mc_time_monotonic_us());
    enum mc_status status = options->store->ops->claim(
        options->store, mc_str_of(worker->lease), options->stage, mc_time_now_us(),
        options->lease_us, options->claim_batch, &jobs, err);
    if (status)
        return status;
    *found = jobs.count;
    if (jobs.count == options->claim_batch)
        mc_pool_wake(worker->pool);
    return exhausted(worker->pool, &jobs) ? give_up(worker, &jobs.items[0], err)
                                          : process(worker, jobs.items, jobs.count, err);
}

/*
 * Claims and works on one batch. *found: how many jobs were claimed. After a failure of the store
 * what is still leased is released, at once or, when that fails too, before the next batch.
 */
static enum mc_status work_once(struct worker *worker, size_t *found, struct mc_error *err)
{
    enum mc_status status = worker->unreleased ? release(worker, err) : MC_OK;
    if (status)
        return status;
    status = claim_and_process(worker, found, err);
    struct mc_error ignored; /* the first failure is the one to tell */
    worker->unreleased = status && release(worker, &ignored);
    return status;
}

/* ---- The thread ---- */

/* No job is left that could fail again: another process did them, or they are gone. */
static void forget_errors(struct mc_pool *pool)
{
    mc_mutex_lock(&pool->mutex);
    pool->consecutive_errors = 0;
    mc_mutex_unlock(&pool->mutex);
}

/* When to look again without being woken: the earliest due time, at most SLEEP_MAX_US away. */
static int64_t next_look_us(struct worker *worker)
{
    int64_t monotonic = mc_time_monotonic_us(), now = mc_time_now_us();
    struct mc_queue_stats stats;
    struct mc_error ignored;
    struct mc_store *store = worker->pool->options.store;
    if (store->ops->queue(store, now, &stats, &ignored))
        return monotonic + STORE_RETRY_US;
    const struct mc_stage_stats *stage = &stats.stage[worker->pool->options.stage];
    if (stage->ready + stage->leased == 0)
        forget_errors(worker->pool);
    int64_t due_us = stage->next_due_us;
    int64_t wait = due_us ? due_us - now : SLEEP_MAX_US;
    if (wait < 0)
        wait = 0;
    return monotonic + (wait < SLEEP_MAX_US ? wait : SLEEP_MAX_US);
}

/* Sleeps until there may be work or the time has come; under the mutex. */
static void await_work(struct mc_pool *pool, int64_t until_us)
{
    bool in_time = true;
    while (!pool->stopping && (pool->paused || (in_time && !atomic_load(&pool->pending)))) {
        if (pool->paused)
            mc_cond_wait(&pool->work, &pool->mutex);
        else
            in_time = mc_cond_wait_until(&pool->work, &pool->mutex, until_us);
    }
}

/* Sleeps until then, whatever comes; under the mutex. */
static void sleep_until(struct mc_pool *pool, int64_t until_us)
{
    bool in_time = true;
    while (!pool->stopping && in_time)
        in_time = mc_cond_wait_until(&pool->work, &pool->mutex, until_us);
}

/* Returns when there may be work; false when the pool is stopping. */
static bool wait_for_work(struct worker *worker, int64_t until_us, bool gather)
{
    struct mc_pool *pool = worker->pool;
    mc_mutex_lock(&pool->mutex);
    if (worker->rest_until_us) {
        pool->resting++;
        sleep_until(pool, worker->rest_until_us);
        pool->resting--;
    }
    await_work(pool, until_us);
    if (gather) { /* while more comes together */
        sleep_until(pool, mc_time_monotonic_us() + GATHER_US);
        await_work(pool, 0); /* it may have been paused meanwhile */
    }
    worker->rest_until_us = 0;
    bool go_on = !pool->stopping;
    if (go_on) {
        atomic_store(&pool->pending, false);
        pool->busy++;
        atomic_store(&worker->busy_since, mc_time_monotonic_us());
    }
    mc_mutex_unlock(&pool->mutex);
    return go_on;
}

static void go_idle(struct worker *worker, bool failed, size_t found)
{
    struct mc_pool *pool = worker->pool;
    mc_mutex_lock(&pool->mutex);
    pool->busy--;
    pool->rounds++;
    atomic_store(&worker->busy_since, 0);
    if (!failed)
        pool->last_finished_us = mc_time_now_us();
    if (!failed && found > 0)
        pool->consecutive_errors = 0;
    mc_cond_broadcast(&pool->idle);
    mc_mutex_unlock(&pool->mutex);
}

static void *worker_run(void *context)
{
    struct worker *worker = context;
    int64_t until_us = 0; /* look at once: there may be jobs of an earlier process */
    bool gather = false;
    while (wait_for_work(worker, until_us, gather)) {
        struct mc_error error;
        size_t found = 0;
        enum mc_status status = work_once(worker, &found, &error);
        if (status)
            note_error(worker->pool, &error, true);
        go_idle(worker, status != MC_OK, found);
        if (status) {
            until_us = mc_time_monotonic_us() + STORE_RETRY_US;
        } else if (found > 0) {
            until_us = 0;
        } else {
            until_us = next_look_us(worker);
        }
        gather = found < worker->pool->options.claim_batch;
    }
    struct mc_pool *pool = worker->pool;
    mc_mutex_lock(&pool->mutex);
    pool->alive--;
    mc_mutex_unlock(&pool->mutex);
    return NULL;
}

/* ---- Outside ---- */

static enum mc_status start_worker(struct mc_pool *pool, int index, struct mc_error *err)
{
    struct worker *worker = &pool->workers[index];
    uint64_t random;
    mc_random_bytes(&random, sizeof(random));
    worker->pool = pool;
    worker->jitter = (unsigned)random;
    if (pool->options.start_after_us)
        worker->rest_until_us = mc_time_monotonic_us() + pool->options.start_after_us;
    snprintf(worker->lease, sizeof(worker->lease), "%016llx-%d", (unsigned long long)random, index);
    mc_arena_init(&worker->arena, BATCH_ARENA_MAX);
    pool->alive++; /* before it runs: nobody else looks yet */
    enum mc_status status = mc_thread_start(&worker->thread, "mc-enrich", worker_run, worker, err);
    worker->started = status == MC_OK;
    if (status)
        pool->alive--;
    return status;
}

enum mc_status mc_pool_start(const struct mc_pool_options *options, struct mc_pool **pool,
                             struct mc_error *err)
{
    struct mc_pool *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->options = *options;
    if (made->options.claim_batch == 0)
        made->options.claim_batch = CLAIM_BATCH_DEFAULT;
    mc_mutex_init(&made->mutex);
    mc_cond_init(&made->work);
    mc_cond_init(&made->idle);
    atomic_init(&made->pending, true);
    enum mc_status status = MC_OK;
    mc_mutex_lock(&made->mutex);
    for (int i = 0; i < options->workers && !status; i++)
        status = start_worker(made, i, err);
    mc_mutex_unlock(&made->mutex);
    if (status) {
        mc_pool_stop(made);
        mc_pool_free(made);
        return status;
    }
    *pool = made;
    return MC_OK;
}

void mc_pool_stop(struct mc_pool *pool)
{
    if (!pool)
        return;
    mc_mutex_lock(&pool->mutex);
    pool->stopping = true;
    mc_cond_broadcast(&pool->work);
    mc_mutex_unlock(&pool->mutex);
    for (int i = 0; i < pool->options.workers; i++) {
        struct worker *worker = &pool->workers[i];
        if (!worker->started)
            continue;
        mc_thread_join(worker->thread);
        worker->started = false;
        struct mc_error error;
        if (worker->unreleased && release(worker, &error))
            mc_log(MC_LOG_WARNING, "enrich", "jobs stay leased until they run out: %s",
                   error.message);
        mc_arena_fini(&worker->arena);
    }
}

void mc_pool_free(struct mc_pool *pool)
{
    if (!pool)
        return;
    mc_cond_fini(&pool->work);
    mc_cond_fini(&pool->idle);
    mc_mutex_fini(&pool->mutex);
    free(pool);
}

void mc_pool_wake(struct mc_pool *pool)
{
    if (atomic_exchange(&pool->pending, true))
        return;
    mc_mutex_lock(&pool->mutex);
    if (pool->resting > 0)
        mc_cond_broadcast(&pool->work);
    else
        mc_cond_signal(&pool->work);
    mc_mutex_unlock(&pool->mutex);
}

void mc_pool_pause(struct mc_pool *pool, bool paused)
{
    mc_mutex_lock(&pool->mutex);
    pool->paused = paused;
    mc_cond_broadcast(&pool->work);
    mc_mutex_unlock(&pool->mutex);
}

/* One look: done when nothing is left; else waits for DRAIN_LOOK_US, or, with few left, a worker to come back. */
static enum mc_status drain_once(struct mc_pool *pool, int64_t deadline_us, bool *done,
                                 int64_t *left, struct mc_error *err)
{
    mc_mutex_lock(&pool->mutex);
    uint64_t rounds = pool->rounds;
    mc_mutex_unlock(&pool->mutex);
    struct mc_store *store = pool->options.store;
    struct mc_queue_stats stats;
    enum mc_status status = store->ops->queue(store, mc_time_now_us(), &stats, err);
    if (status)
        return status;
    const struct mc_stage_stats *stage = &stats.stage[pool->options.stage];
    *left = stage->ready + stage->leased;
    int64_t look = mc_time_monotonic_us() + DRAIN_LOOK_US;
    mc_mutex_lock(&pool->mutex);
    *done = pool->busy == 0 && *left == 0;
    bool in_time = true;
    while (!*done && in_time && (*left > DRAIN_NEAR || pool->rounds == rounds))
        in_time =
            mc_cond_wait_until(&pool->idle, &pool->mutex, look < deadline_us ? look : deadline_us);
    mc_mutex_unlock(&pool->mutex);
    return MC_OK;
}

enum mc_status mc_pool_drain(struct mc_pool *pool, int64_t deadline_monotonic_us,
                             struct mc_error *err)
{
    bool done = false;
    int64_t left = 0;
    for (;;) {
        enum mc_status status = drain_once(pool, deadline_monotonic_us, &done, &left, err);
        if (status || done)
            return status;
        if (mc_time_monotonic_us() >= deadline_monotonic_us)
            return mc_fail(
                err, MC_TIMEOUT,
                "%lld jobs are still waiting (paused, failing, or held by another process)",
                (long long)left);
    }
}

void mc_pool_read(struct mc_pool *pool, struct mc_pool_state *state)
{
    int64_t now = mc_time_monotonic_us();
    mc_mutex_lock(&pool->mutex);
    *state = (struct mc_pool_state){
        .alive = pool->alive,
        .busy = pool->busy,
        .paused = pool->paused,
        .last_finished_us = pool->last_finished_us,
        .consecutive_errors = pool->consecutive_errors,
        .last_error_us = pool->last_error_us,
    };
    memcpy(state->last_error, pool->last_error, sizeof(state->last_error));
    for (int i = 0; i < pool->options.workers; i++) {
        int64_t since = atomic_load(&pool->workers[i].busy_since);
        if (!since)
            continue;
        if (now - since > state->longest_busy_us)
            state->longest_busy_us = now - since;
        int64_t leased_at = atomic_load(&pool->workers[i].leased_at);
        /* What it waited for before it claimed is no part of the lease. */
        if (now - (leased_at > since ? leased_at : since) > pool->options.lease_us)
            state->overdue = true;
    }
    mc_mutex_unlock(&pool->mutex);
}
