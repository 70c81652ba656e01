/*
 * See llm/local.h.
 *
 * Callers put their jobs into a queue and wait; the thread "mc-llama" moves them into its batch
 * (local_batch.h), which is its own, and signals those that come out. A job lives in its caller's
 * memory: a caller that gives up marks its jobs as gone and waits until the thread has let go of them,
 * at most for the evaluation of one batch, which is broken off when all its jobs are gone.
 */
#include "llm/local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "base/utf8.h"
#include "llm/local_batch.h"

#define PARALLEL 4
#define PARALLEL_MAX 64
#define TICK_US MC_US_PER_SECOND
#define SPEED_WINDOW_US (30 * MC_US_PER_SECOND)

struct local {
    struct mc_llm llm;
    struct mc_local_model model;
    struct mc_local_batch *batch; /* the thread's own */
    pthread_t thread;
    bool started;
    mc_mutex lock;         /* guards all below */
    mc_cond work;          /* the thread waits for jobs */
    mc_cond done;          /* callers wait for the thread */
    struct mc_list queued; /* jobs that the thread has not taken */
    bool stop;
    bool broken; /* the last batch failed */
    struct mc_llm_usage total;
    double speed_tokens, speed_us; /* lately, while there was work */
    double latency_us;
    char last_error[256];
    int64_t last_error_us;
};

/* The caller's side of one generate. */
struct round {
    struct local *local;
    struct mc_llm_call *calls;
    struct mc_local_job *jobs;
    size_t count;
    enum mc_status given_up; /* MC_OK, else why */
};

static struct local *of(struct mc_llm *llm)
{
    return mc_container_of(llm, struct local, llm);
}

/* The thread */

static void note_results(struct local *local, struct mc_list *finished, bool sound, double took_us)
{
    local->broken = !sound;
    local->speed_us += took_us;
    while (!mc_list_empty(finished)) {
        struct mc_local_job *job = mc_container_of(finished->next, struct mc_local_job, node);
        mc_list_remove(&job->node);
        job->done = true;
        job->done_us = mc_time_monotonic_us();
        local->speed_tokens += (double)job->tokens_out;
    }
    if (local->speed_us > (double)SPEED_WINDOW_US) {
        local->speed_us /= 2;
        local->speed_tokens /= 2;
    }
    mc_cond_broadcast(&local->done);
}

/* Moves what can begin from the queue into the batch. Called and left with the lock held. */
static void take_jobs(struct local *local)
{
    while (!mc_list_empty(&local->queued) && mc_local_batch_wants(local->batch)) {
        struct mc_local_job *job = mc_container_of(local->queued.next, struct mc_local_job, node);
        mc_list_remove(&job->node);
        job->taken = true;
        mc_mutex_unlock(&local->lock); /* a prompt takes its time */
        mc_local_batch_add(local->batch, job);
        mc_mutex_lock(&local->lock);
    }
}

static void *work(void *context)
{
    struct local *local = context;
    struct mc_list finished;
    mc_list_init(&finished);
    mc_mutex_lock(&local->lock);
    for (;;) {
        take_jobs(local);
        if (mc_local_batch_busy(local->batch)) {
            mc_mutex_unlock(&local->lock);
            int64_t start_us = mc_time_monotonic_us();
            bool sound = mc_local_batch_step(local->batch, &finished);
            double took_us = (double)(mc_time_monotonic_us() - start_us);
            mc_mutex_lock(&local->lock);
            note_results(local, &finished, sound, took_us);
        } else if (local->stop) {
            break;
        } else if (mc_list_empty(&local->queued)) {
            mc_cond_wait(&local->work, &local->lock);
        }
    }
    mc_mutex_unlock(&local->lock);
    return NULL;
}

/* The caller */

static bool all_done(const struct round *round)
{
    for (size_t i = 0; i < round->count; i++)
        if (!round->jobs[i].done)
            return false;
    return true;
}

/* With the lock held: what the thread has not taken ends here, the rest it will let go of soon. */
static void give_up(struct round *round, enum mc_status why)
{
    if (round->given_up != MC_OK)
        return;
    round->given_up = why;
    for (size_t i = 0; i < round->count; i++) {
        struct mc_local_job *job = &round->jobs[i];
        if (job->done)
            continue;
        atomic_store(&job->gone, true);
        if (!job->taken) {
            mc_list_remove(&job->node);
            job->status = MC_CANCELLED;
            job->done = true;
        }
    }
}

static void wait_for(struct round *round, const struct mc_llm_wait *wait)
{
    struct local *local = round->local;
    int64_t deadline_us = wait && wait->deadline_us > 0 ? wait->deadline_us : INT64_MAX;
    int64_t tick_us = wait && wait->tick ? 0 : INT64_MAX;
    while (!all_done(round)) {
        int64_t now_us = mc_time_monotonic_us();
        if (now_us >= deadline_us)
            give_up(round, MC_TIMEOUT);
        if (round->given_up == MC_OK && now_us >= tick_us) {
            mc_mutex_unlock(&local->lock);
            bool go_on = wait->tick(wait->context);
            mc_mutex_lock(&local->lock);
            tick_us = mc_time_monotonic_us() + TICK_US;
            if (!go_on)
                give_up(round, MC_CANCELLED);
            continue; /* the lock was open: things may have changed */
        }
        if (all_done(round))
            break;
        int64_t until_us = deadline_us < tick_us ? deadline_us : tick_us;
        if (round->given_up != MC_OK || until_us == INT64_MAX)
            mc_cond_wait(&local->done, &local->lock);
        else
            (void)mc_cond_wait_until(&local->done, &local->lock, until_us);
    }
}

/* The job's outcome as the call's, without usage. */
static void set_outcome(const struct round *round, size_t i, struct mc_arena *arena)
{
    struct mc_llm_call *call = &round->calls[i];
    struct mc_local_job *job = &round->jobs[i];
    call->status = job->status;
    call->error = job->error;
    call->truncated = job->truncated;
    call->no_attempt = !job->attempted;
    if (job->status == MC_CANCELLED && round->given_up == MC_TIMEOUT)
        call->status = mc_fail(&call->error, MC_TIMEOUT,
                               "the local model did not answer in time; fewer tokens to read or a "
                               "smaller model would help");
    else if (job->status == MC_CANCELLED)
        call->status = mc_fail(&call->error, MC_CANCELLED, "cancelled");
    if (call->status != MC_OK)
        return;
    mc_str answer = mc_arena_copy(arena, mc_buf_str(&job->answer));
    if (!answer.data) {
        call->status = mc_fail_memory(&call->error);
        return;
    }
    /* The model would say the same again, so a refused answer is final. */
    struct mc_error why = {0};
    if (call->accept && call->accept(call->accept_context, answer, &why) != MC_OK) {
        call->status = mc_fail(&call->error, MC_INVALID,
                               "the local model's answer is of no use: %s", why.message);
        return;
    }
    call->answer = answer;
    call->confidence = job->confidence;
}

static void set_usage(struct local *local, struct mc_llm_call *call, const struct mc_local_job *job,
                      int64_t took_us)
{
    if (job->attempted) {
        call->usage.calls = 1;
        call->usage.failures = call->status != MC_OK && call->status != MC_CANCELLED;
        call->usage.tokens_in = (int64_t)job->tokens_in;
        call->usage.tokens_cached = (int64_t)job->tokens_cached;
        call->usage.tokens_out = (int64_t)job->tokens_out;
        call->usage.took_us = took_us;
    }
    mc_mutex_lock(&local->lock);
    mc_llm_usage_add(&local->total, &call->usage);
    if (call->status == MC_OK) {
        double latency_us = (double)took_us;
        local->latency_us += (latency_us - local->latency_us) * (local->latency_us > 0 ? 0.1 : 1);
    } else if (call->status != MC_CANCELLED) {
        snprintf(
            local->last_error, sizeof(local->last_error), "%.*s",
            (int)mc_utf8_cut(mc_str_of(call->error.message), sizeof(local->last_error) - 1).len,
            call->error.message);
        local->last_error_us = mc_time_now_us();
    }
    mc_mutex_unlock(&local->lock);
}

static void start_call(struct mc_llm_call *call, mc_str model)
{
    call->status = MC_OK;
    call->error = (struct mc_error){0};
    call->answer = MC_STR_NONE;
    call->confidence = -1;
    call->truncated = false;
    call->provider = "llama_cpp";
    call->model = model;
    call->passed_over = MC_STR("");
    call->retry_at_us = 0;
    call->out_of_order = false;
    call->no_attempt = true;
    call->usage = (struct mc_llm_usage){0};
}

static void generate(struct mc_llm *llm, struct mc_llm_call *calls, size_t count,
                     const struct mc_llm_wait *wait, struct mc_arena *arena)
{
    struct local *local = of(llm);
    struct round round = {.local = local, .calls = calls, .count = count};
    int64_t start_us = mc_time_monotonic_us();
    mc_str model = mc_arena_copy(arena, mc_str_of(local->model.name));
    round.jobs = calloc(count, sizeof(*round.jobs));
    for (size_t i = 0; i < count; i++) {
        start_call(&calls[i], model.data ? model : MC_STR(""));
        if (!round.jobs)
            calls[i].status = mc_fail_memory(&calls[i].error);
        else
            mc_local_job_init(&round.jobs[i], &calls[i]);
    }
    if (!round.jobs)
        return;
    mc_mutex_lock(&local->lock);
    for (size_t i = 0; i < count; i++)
        mc_list_push_back(&local->queued, &round.jobs[i].node);
    mc_cond_signal(&local->work);
    wait_for(&round, wait);
    mc_mutex_unlock(&local->lock);
    for (size_t i = 0; i < count; i++) {
        set_outcome(&round, i, arena);
        set_usage(local, &calls[i], &round.jobs[i], round.jobs[i].done_us - start_us);
        mc_local_job_fini(&round.jobs[i]);
    }
    free(round.jobs);
}

static bool count_tokens(struct mc_llm *llm, mc_str text, size_t *tokens)
{
    struct mc_local_tokens counted = {0};
    bool made = mc_local_tokenize(&of(llm)->model, text, &counted);
    if (made)
        *tokens = counted.count;
    mc_local_tokens_fini(&counted);
    return made;
}

static size_t describe(struct mc_llm *llm, struct mc_llm_state *states, size_t max)
{
    struct local *local = of(llm);
    if (max == 0)
        return 0;
    mc_mutex_lock(&local->lock);
    states[0] = (struct mc_llm_state){
        .provider = "llama_cpp",
        .state = local->broken ? "failed" : "ready",
        .context_tokens = mc_local_batch_cells(local->batch),
        .parallel = llm->parallel,
        .total = local->total,
        .tokens_out_per_s =
            local->speed_us > 0 ? local->speed_tokens / (local->speed_us / MC_US_PER_SECOND) : 0,
        .latency_us = local->latency_us,
        .last_error_us = local->last_error_us,
    };
    memcpy(states[0].last_error, local->last_error, sizeof(states[0].last_error));
    mc_mutex_unlock(&local->lock);
    snprintf(states[0].model, sizeof(states[0].model), "%s", local->model.name);
    snprintf(states[0].detail, sizeof(states[0].detail), "%s", local->model.warning);
    return 1;
}

static void close_local(struct mc_llm *llm)
{
    struct local *local = of(llm);
    if (local->started) {
        mc_mutex_lock(&local->lock);
        local->stop = true;
        mc_cond_signal(&local->work);
        mc_mutex_unlock(&local->lock);
        mc_thread_join(local->thread);
    }
    mc_local_batch_close(local->batch);
    mc_local_model_close(&local->model);
    mc_cond_fini(&local->work);
    mc_cond_fini(&local->done);
    mc_mutex_fini(&local->lock);
    free(local);
}

static const struct mc_llm_ops ops = {
    .name = "llama_cpp",
    .close = close_local,
    .generate = generate,
    .count_tokens = count_tokens,
    .describe = describe,
};

static int thread_count(int wanted)
{
    int cores = mc_core_count() - 2;
    return wanted > 0 ? wanted : cores > 1 ? cores : 1;
}

enum mc_status mc_local_open(const struct mc_local_options *options, struct mc_llm **llm,
                             struct mc_error *err)
{
    struct local *local = calloc(1, sizeof(*local));
    if (!local)
        return mc_fail_memory(err);
    size_t sequences = options->sequences == 0 ? PARALLEL : options->sequences;
    local->llm.ops = &ops;
    local->llm.parallel = sequences < PARALLEL_MAX ? sequences : PARALLEL_MAX;
    mc_mutex_init(&local->lock);
    mc_cond_init(&local->work);
    mc_cond_init(&local->done);
    mc_list_init(&local->queued);
    enum mc_status status = mc_local_model_open(options, &local->model, err);
    if (status == MC_OK)
        status =
            mc_local_batch_open(&local->model, options->n_ctx, thread_count(options->n_threads),
                                local->llm.parallel, &local->batch, err);
    if (status == MC_OK)
        status = mc_thread_start(&local->thread, "mc-llama", work, local, err);
    local->started = status == MC_OK;
    if (status != MC_OK) {
        close_local(&local->llm);
        return status;
    }
    *llm = &local->llm;
    return MC_OK;
}
