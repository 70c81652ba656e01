#include "engine/lazy_llm.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"

#define RETRY_US (5 * MC_US_PER_SECOND)

struct lazy {
    struct mc_llm llm;     /* first */
    struct mc_llm_ops ops; /* its name is the provider's */
    struct mc_lazy_options options;
    mc_mutex mutex; /* guards what follows */
    mc_cond settled;
    enum { CLOSED, OPENING, OPEN, FAILED } stage;
    struct mc_llm *inner; /* set once, when OPEN */
    struct mc_error error;
};

static struct lazy *lazy_of(struct mc_llm *llm)
{
    return mc_container_of(llm, struct lazy, llm);
}

/* Waits for another thread that is opening; why not any longer, or MC_OK. Called with the lock. */
static enum mc_status await_opening(struct lazy *lazy, const struct mc_llm_wait *wait,
                                    struct mc_error *err)
{
    while (lazy->stage == OPENING) {
        int64_t now = mc_time_monotonic_us();
        if (wait && wait->deadline_us && now >= wait->deadline_us)
            return mc_fail(err, MC_TIMEOUT, "the model was still being loaded");
        int64_t until = now + MC_US_PER_SECOND;
        if (wait && wait->deadline_us && wait->deadline_us < until)
            until = wait->deadline_us;
        mc_cond_wait_until(&lazy->settled, &lazy->mutex, until);
        mc_mutex_unlock(&lazy->mutex);
        bool goes_on = !wait || !wait->tick || wait->tick(wait->context);
        mc_mutex_lock(&lazy->mutex);
        if (!goes_on)
            return mc_fail(err, MC_CANCELLED, "cancelled while the model was being loaded");
    }
    if (lazy->stage != FAILED)
        return MC_OK;
    *err = lazy->error;
    return lazy->error.status;
}

static enum mc_status get_open(struct lazy *lazy, const struct mc_llm_wait *wait,
                               struct mc_llm **inner, struct mc_error *err)
{
    mc_mutex_lock(&lazy->mutex);
    bool first = lazy->stage == CLOSED;
    enum mc_status status = MC_OK;
    if (first)
        lazy->stage = OPENING;
    else
        status = await_opening(lazy, wait, err);
    mc_mutex_unlock(&lazy->mutex);
    if (first) {
        struct mc_llm *opened = NULL;
        status = lazy->options.open(lazy->options.context, &opened, err);
        mc_mutex_lock(&lazy->mutex);
        lazy->inner = opened;
        lazy->stage = status ? FAILED : OPEN;
        if (status)
            lazy->error = *err;
        mc_cond_broadcast(&lazy->settled);
        mc_mutex_unlock(&lazy->mutex);
    }
    if (!status)
        *inner = lazy->inner;
    return status;
}

static void generate(struct mc_llm *llm, struct mc_llm_call *calls, size_t count,
                     const struct mc_llm_wait *wait, struct mc_arena *arena)
{
    struct mc_llm *inner = NULL;
    struct mc_error error = {0};
    enum mc_status status = get_open(lazy_of(llm), wait, &inner, &error);
    if (!status) {
        inner->ops->generate(inner, calls, count, wait, arena);
        return;
    }
    /* What cannot be loaded may be by another process, with other options: messages can wait for that. */
    bool lasting = status != MC_CANCELLED && !mc_llm_may_pass(status);
    int64_t retry_at_us = lasting ? mc_time_monotonic_us() + RETRY_US : 0;
    for (size_t i = 0; i < count; i++) {
        struct mc_llm_call *call = &calls[i];
        call->status = status;
        call->error = error;
        call->answer = MC_STR_NONE;
        call->confidence = -1;
        call->truncated = false;
        call->provider = NULL;
        call->model = MC_STR_NONE;
        call->passed_over = MC_STR_NONE;
        call->retry_at_us = retry_at_us;
        call->out_of_order = false;
        call->no_attempt = true;
        call->usage = (struct mc_llm_usage){0};
    }
}

/* The model as far as it is open; NULL. */
static struct mc_llm *opened(struct lazy *lazy)
{
    mc_mutex_lock(&lazy->mutex);
    struct mc_llm *inner = lazy->stage == OPEN ? lazy->inner : NULL;
    mc_mutex_unlock(&lazy->mutex);
    return inner;
}

static bool count_tokens(struct mc_llm *llm, mc_str text, size_t *tokens)
{
    struct mc_llm *inner = opened(lazy_of(llm));
    return inner && inner->ops->count_tokens(inner, text, tokens);
}

static size_t describe(struct mc_llm *llm, struct mc_llm_state *states, size_t max)
{
    struct lazy *lazy = lazy_of(llm);
    struct mc_llm *inner = opened(lazy);
    if (inner)
        return inner->ops->describe(inner, states, max);
    if (max == 0)
        return 0;
    struct mc_llm_state state = {.provider = lazy->options.provider,
                                 .parallel = lazy->options.parallel,
                                 .context_tokens = lazy->options.context_tokens};
    snprintf(state.model, sizeof(state.model), "%s", lazy->options.model);
    mc_mutex_lock(&lazy->mutex);
    state.state = lazy->stage == FAILED    ? "failed"
                  : lazy->stage == OPENING ? "loading"
                                           : "not loaded";
    snprintf(state.detail, sizeof(state.detail), "%.*s", (int)sizeof(state.detail) - 1,
             lazy->stage == FAILED
                 ? lazy->error.message
                 : "loaded when it is first asked; 'mindcore models --check' asks");
    mc_mutex_unlock(&lazy->mutex);
    states[0] = state;
    return 1;
}

static void close_lazy(struct mc_llm *llm)
{
    struct lazy *lazy = lazy_of(llm);
    if (lazy->inner)
        lazy->inner->ops->close(lazy->inner);
    mc_cond_fini(&lazy->settled);
    mc_mutex_fini(&lazy->mutex);
    free(lazy);
}

enum mc_status mc_lazy_llm_open(const struct mc_lazy_options *options, struct mc_llm **llm,
                                struct mc_error *err)
{
    struct lazy *lazy = calloc(1, sizeof(*lazy));
    if (!lazy)
        return mc_fail_memory(err);
    lazy->ops = (struct mc_llm_ops){.name = options->provider,
                                    .close = close_lazy,
                                    .generate = generate,
                                    .count_tokens = count_tokens,
                                    .describe = describe};
    lazy->llm.ops = &lazy->ops;
    lazy->llm.parallel = options->parallel;
    lazy->options = *options;
    mc_mutex_init(&lazy->mutex);
    mc_cond_init(&lazy->settled);
    *llm = &lazy->llm;
    return MC_OK;
}
