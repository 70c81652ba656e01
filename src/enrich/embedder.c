#include "enrich/embedder.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "base/utf8.h"
#include "vector/vector.h"

#define ARENA_MAX ((size_t)256 << 20)
#define FILL_STEP 64                     /* older messages that are let in at once */
#define SLEEP_US (30 * MC_US_PER_SECOND) /* other processes may leave something behind */
#define TEXT_BYTES 24000 /* of a message; what a model does not take is cut further */
#define TEXT_LEAST 256
#define PROBE "What was said before?"

struct mc_embedder {
    struct mc_embedder_options options;
    pthread_t thread;
    mc_mutex mutex; /* guards what follows */
    mc_cond wake;
    bool woken, paused;
    char last_error[256];
    atomic_bool stop;
    atomic_llong dimension; /* 0: not known yet; changed by the thread */
    /* The thread's own. */
    int64_t model;   /* number in the store, 0: not known yet */
    int64_t fill_us; /* monotonic: then it is looked again whether something older is left to do */
    bool answered;   /* the last batch had a vector */
    int64_t rest_us; /* monotonic: nothing can be done before */
    int64_t due_us;  /* monotonic: a message that was put off is tried again then */
};

static bool keep_on(void *context)
{
    struct mc_embedder *e = context;
    return !atomic_load(&e->stop);
}

static void note_error(struct mc_embedder *e, const char *text)
{
    mc_mutex_lock(&e->mutex);
    bool news = strcmp(e->last_error, text) != 0;
    snprintf(e->last_error, sizeof(e->last_error), "%s", text);
    mc_mutex_unlock(&e->mutex);
    if (news && text[0])
        mc_log(MC_LOG_WARNING, "embed", "%s", text);
}

/* ---- Asking ---- */

/* A vector that can be compared: of the right dimension, finite, not zero. */
static enum mc_status accept(const void *context, mc_str answer, struct mc_error *err)
{
    const struct mc_embedder *e = context;
    size_t dimension = answer.len / sizeof(float);
    int64_t expected = atomic_load(&e->dimension);
    if (expected == 0)
        expected = e->options.dimension;
    if ((expected > 0 && (int64_t)dimension != expected) || dimension > MC_VECTOR_DIMENSION_MAX)
        return mc_fail(err, MC_CONFIG,
                       "the embeddings model '%s' gives vectors of %zu numbers, and %lld are "
                       "expected: set embeddings.openai.dimensions to what it gives, or name "
                       "another model",
                       e->options.model, dimension,
                       expected > 0 ? (long long)expected : (long long)MC_VECTOR_DIMENSION_MAX);
    double sum = 0;
    for (size_t i = 0; i < dimension; i++) {
        float value;
        memcpy(&value, answer.data + i * sizeof(value), sizeof(value));
        sum += (double)value * (double)value;
    }
    if (isfinite(sum) && sum > 1e-30)
        return MC_OK;
    return mc_fail(err, MC_INVALID, "the embeddings model '%s' gives a vector %s", e->options.model,
                   isfinite(sum) ? "of zeros" : "with numbers that are not finite");
}

static void ask(struct mc_embedder *e, struct mc_llm_call *calls, size_t count,
                struct mc_arena *arena)
{
    const struct mc_llm_wait wait = {.tick = keep_on, .context = e};
    e->options.llm->ops->generate(e->options.llm, calls, count, &wait, arena);
}

/* A text that is too long for the model is cut by half until it is not. */
static void ask_shorter(struct mc_embedder *e, struct mc_llm_call *call, struct mc_llm_turn *turn,
                        struct mc_arena *arena)
{
    while (call->status == MC_TOO_LARGE && turn->text.len > TEXT_LEAST && keep_on(e)) {
        turn->text = mc_utf8_cut(turn->text, turn->text.len / 2);
        ask(e, call, 1, arena);
    }
}

static struct mc_llm_call call_of(struct mc_embedder *e, const struct mc_llm_turn *turn)
{
    return (struct mc_llm_call){
        .operation = MC_LLM_EMBED,
        .turns = turn,
        .turn_count = 1,
        .joinable = true,
        .accept = accept,
        .accept_context = e,
    };
}

/* ---- The model in the store ---- */

struct known {
    const char *name;
    int64_t asked_dimension; /* 0: any */
    int64_t number, dimension;
};

static bool look_for_model(void *context, const struct mc_vector_model *model)
{
    struct known *known = context;
    if (!model->current || !mc_str_equal(model->name, mc_str_of(known->name)) ||
        (known->asked_dimension > 0 && known->asked_dimension != model->dimension))
        return true;
    known->number = model->number;
    known->dimension = model->dimension;
    return false;
}

/* What the store knows of the model already; else the model is asked for its dimension. */
static enum mc_status settle_model(struct mc_embedder *e, struct mc_error *err)
{
    struct mc_store *store = e->options.store;
    struct known known = {.name = e->options.model, .asked_dimension = e->options.dimension};
    int64_t waiting;
    enum mc_status status = store->ops->vector_models(store, look_for_model, &known, &waiting, err);
    if (status == MC_OK && known.number == 0) {
        mc_auto(mc_arena_fini) struct mc_arena arena;
        mc_arena_init(&arena, ARENA_MAX);
        const struct mc_llm_turn turn = {.text = mc_str_of(PROBE)};
        struct mc_llm_call call = call_of(e, &turn);
        ask(e, &call, 1, &arena);
        if (call.status != MC_OK) {
            e->rest_us = call.retry_at_us;
            return mc_fail(err, call.status, "%s", call.error.message);
        }
        known.dimension = (int64_t)mc_llm_vector_dimension(&call);
        status = store->ops->vector_model(store, mc_str_of(e->options.model), known.dimension,
                                          &known.number, err);
        if (status == MC_OK)
            mc_log(MC_LOG_INFO, "embed", "messages get vectors of %s, %lld numbers each",
                   e->options.model, (long long)known.dimension);
    }
    if (status == MC_OK) {
        e->model = known.number;
        atomic_store(&e->dimension, known.dimension);
    }
    return status;
}

/* ---- One batch ---- */

struct batch {
    struct mc_jobs jobs;
    struct mc_llm_turn *turns;
    struct mc_llm_call *calls;
    struct mc_vector_put *puts;
    size_t made, failed, given_up;
    bool answered; /* the model made a vector of one at least, in this batch or the one before */
};

static bool prepare(struct mc_embedder *e, struct batch *b, struct mc_arena *arena)
{
    size_t count = b->jobs.count;
    b->turns = mc_arena_array(arena, count, sizeof(*b->turns));
    b->calls = mc_arena_array(arena, count, sizeof(*b->calls));
    b->puts = mc_arena_array(arena, count, sizeof(*b->puts));
    if (!b->turns || !b->calls || !b->puts)
        return false;
    for (size_t i = 0; i < count; i++) {
        b->turns[i].text = mc_utf8_cut(b->jobs.items[i].record->m.text, TEXT_BYTES);
        b->calls[i] = call_of(e, &b->turns[i]);
    }
    return true;
}

static bool pack(struct mc_embedder *e, const struct mc_llm_call *call, struct mc_vector_put *put,
                 struct mc_arena *arena)
{
    size_t dimension = (size_t)atomic_load(&e->dimension);
    float *values = mc_arena_array(arena, dimension, sizeof(*values));
    int16_t *packed = mc_arena_array(arena, dimension, sizeof(*packed));
    float scale;
    if (!values || !packed)
        return false;
    memcpy(values, call->answer.data, dimension * sizeof(*values));
    if (!mc_vector_normalise(values, dimension))
        return false;
    mc_vector_pack(values, dimension, packed, &scale);
    put->data = (mc_str){(const char *)packed, dimension * sizeof(*packed)};
    put->scale = (double)scale;
    return true;
}

static int64_t back_off_us(const struct mc_embedder_options *o, int attempts)
{
    int64_t wait_us = o->retry_min_us;
    for (int i = 1; i < attempts && wait_us < o->retry_max_us; i++)
        wait_us *= 2;
    return wait_us < o->retry_max_us ? wait_us : o->retry_max_us;
}

/* What becomes of a message that got no vector. */
static void put_off(struct mc_embedder *e, struct batch *b, size_t i)
{
    const struct mc_llm_call *call = &b->calls[i];
    struct mc_vector_put *put = &b->puts[i];
    int64_t now_us = mc_time_monotonic_us(), wait_us = 0;
    bool excused = call->status != MC_INVALID && call->status != MC_TOO_LARGE;
    put->no_attempt = excused || !b->answered;
    b->failed++;
    if (call->status == MC_CANCELLED) {
        put->retry_at_us = mc_time_now_us();
        return;
    }
    if (!put->no_attempt && b->jobs.items[i].attempts >= e->options.max_attempts) {
        put->retry_at_us = 0;
        b->given_up++;
        return;
    }
    wait_us = back_off_us(&e->options, b->jobs.items[i].attempts);
    /* A cap, which lasts until midnight: there is no hurry. */
    if (call->no_attempt && call->retry_at_us == 0)
        wait_us = SLEEP_US;
    if (call->retry_at_us > now_us + wait_us)
        wait_us = call->retry_at_us - now_us;
    put->retry_at_us = mc_time_now_us() + wait_us;
    if (now_us + wait_us < e->due_us)
        e->due_us = now_us + wait_us;
    /* Who does not answer for one will not do so for the next. */
    if (excused && now_us + wait_us > e->rest_us)
        e->rest_us = now_us + wait_us;
}

static void settle(struct mc_embedder *e, struct batch *b, struct mc_arena *arena)
{
    const char *error = "";
    for (size_t i = 0; i < b->jobs.count; i++) {
        struct mc_llm_call *call = &b->calls[i];
        ask_shorter(e, call, &b->turns[i], arena);
        b->puts[i] = (struct mc_vector_put){.row = b->jobs.items[i].record->row};
        if (call->status == MC_OK && !pack(e, call, &b->puts[i], arena))
            call->status = mc_fail_memory(&call->error);
        b->made += call->status == MC_OK;
        b->answered = b->answered || call->status == MC_OK;
    }
    bool answered = b->answered;
    b->answered = answered || e->answered;
    e->answered = answered;
    for (size_t i = 0; i < b->jobs.count; i++) {
        if (b->calls[i].status == MC_OK)
            continue;
        put_off(e, b, i);
        if (b->calls[i].status != MC_CANCELLED)
            error = b->calls[i].error.message;
    }
    note_error(e, error);
}

static void report_progress(struct mc_embedder *e)
{
    struct mc_embedder_state state;
    struct mc_error ignored;
    if (mc_embedder_progress(e->options.store, e->options.model, &state, &ignored) != MC_OK)
        return;
    mc_metrics_set(e->options.metrics, MC_GAUGE_VECTORS_WAITING, (double)state.waiting);
    mc_metrics_set(e->options.metrics, MC_GAUGE_VECTORS_STORED, (double)state.vectors);
    mc_metrics_set(e->options.metrics, MC_GAUGE_VECTORS_OLD, (double)state.old);
}

/* Takes what waits, if anything does: *did. */
static enum mc_status do_batch(struct mc_embedder *e, bool *did, struct mc_error *err)
{
    struct mc_store *store = e->options.store;
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, ARENA_MAX);
    struct batch b = {.made = 0};
    enum mc_status status = store->ops->claim_vectors(store, mc_time_now_us(), e->options.lease_us,
                                                      e->options.batch, &b.jobs, err);
    *did = status == MC_OK && b.jobs.count > 0;
    if (*did) {
        if (prepare(e, &b, &arena)) {
            ask(e, b.calls, b.jobs.count, &arena);
            settle(e, &b, &arena);
            status = store->ops->put_vectors(store, e->model, b.puts, b.jobs.count, err);
        } else {
            status = mc_fail_memory(err);
        }
    }
    if (status == MC_OK && *did) {
        mc_metrics_add(e->options.metrics, MC_COUNT_VECTORS, b.made);
        mc_metrics_add(e->options.metrics, MC_COUNT_VECTORS_FAILED, b.failed - b.given_up);
        mc_metrics_add(e->options.metrics, MC_COUNT_VECTORS_GIVEN_UP, b.given_up);
        report_progress(e);
    }
    mc_jobs_fini(&b.jobs);
    return status;
}

/* One step of the work; *more: there is more to do at once. */
static enum mc_status step(struct mc_embedder *e, bool *more, struct mc_error *err)
{
    enum mc_status status = e->model == 0 ? settle_model(e, err) : MC_OK;
    *more = false;
    if (status == MC_OK)
        status = do_batch(e, more, err);
    if (status != MC_OK || *more || mc_time_monotonic_us() < e->fill_us)
        return status;
    bool done = false;
    status = e->options.store->ops->fill_vectors(e->options.store, mc_time_now_us(), FILL_STEP,
                                                 &done, err);
    *more = status == MC_OK && !done;
    if (status == MC_OK && done) {
        e->fill_us = mc_time_monotonic_us() + SLEEP_US;
        report_progress(e);
    }
    return status;
}

/* ---- The thread ---- */

/* Until then, or until woken; while it rests or is paused a new message only waits with the others. */
static void sleep_until(struct mc_embedder *e, int64_t until_us)
{
    mc_mutex_lock(&e->mutex);
    bool early = true;
    while (early && !atomic_load(&e->stop) && (!e->woken || mc_time_monotonic_us() < e->rest_us))
        early = mc_cond_wait_until(&e->wake, &e->mutex, until_us);
    while (e->paused && !atomic_load(&e->stop))
        mc_cond_wait(&e->wake, &e->mutex);
    e->woken = false;
    mc_mutex_unlock(&e->mutex);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void *run(void *context)
{
    struct mc_embedder *e = context;
    int64_t trouble_us = 0; /* the last wait after a failure */
    while (!atomic_load(&e->stop)) {
        struct mc_error error = {0};
        bool more = false;
        enum mc_status status = step(e, &more, &error);
        int64_t now_us = mc_time_monotonic_us();
        if (status != MC_OK && status != MC_CANCELLED) {
            note_error(e, error.message);
            trouble_us =
                trouble_us > 0 && trouble_us < SLEEP_US ? 2 * trouble_us : MC_US_PER_SECOND;
            e->rest_us = e->rest_us > now_us + trouble_us ? e->rest_us : now_us + trouble_us;
        } else {
            trouble_us = 0;
        }
        bool rests = e->rest_us > now_us;
        if (!more || rests) {
            sleep_until(e, rests ? e->rest_us : earlier(e->due_us, now_us + SLEEP_US));
            e->due_us = mc_time_monotonic_us() < e->due_us ? e->due_us : INT64_MAX;
        }
    }
    return NULL;
}

enum mc_status mc_embedder_start(const struct mc_embedder_options *options,
                                 struct mc_embedder **embedder, struct mc_error *err)
{
    struct mc_embedder *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->options = *options;
    made->due_us = INT64_MAX;
    mc_mutex_init(&made->mutex);
    mc_cond_init(&made->wake);
    atomic_init(&made->stop, false);
    atomic_init(&made->dimension, 0);
    enum mc_status status = mc_thread_start(&made->thread, "mc-embed", run, made, err);
    if (status != MC_OK) {
        mc_embedder_free(made);
        return status;
    }
    *embedder = made;
    return MC_OK;
}

void mc_embedder_stop(struct mc_embedder *embedder)
{
    if (!embedder)
        return;
    mc_mutex_lock(&embedder->mutex);
    atomic_store(&embedder->stop, true);
    mc_cond_broadcast(&embedder->wake);
    mc_mutex_unlock(&embedder->mutex);
    mc_thread_join(embedder->thread);
}

void mc_embedder_free(struct mc_embedder *embedder)
{
    if (!embedder)
        return;
    mc_cond_fini(&embedder->wake);
    mc_mutex_fini(&embedder->mutex);
    free(embedder);
}

void mc_embedder_wake(struct mc_embedder *embedder)
{
    if (!embedder)
        return;
    mc_mutex_lock(&embedder->mutex);
    bool asleep = !embedder->woken;
    embedder->woken = true;
    if (asleep)
        mc_cond_signal(&embedder->wake);
    mc_mutex_unlock(&embedder->mutex);
}

void mc_embedder_pause(struct mc_embedder *embedder, bool paused)
{
    if (!embedder)
        return;
    mc_mutex_lock(&embedder->mutex);
    embedder->paused = paused;
    embedder->woken = true;
    mc_cond_signal(&embedder->wake);
    mc_mutex_unlock(&embedder->mutex);
}

struct counting {
    mc_str model;
    struct mc_embedder_state state;
};

static bool count_model(void *context, const struct mc_vector_model *model)
{
    struct counting *counting = context;
    struct mc_embedder_state *state = &counting->state;
    if (model->current && mc_str_equal(model->name, counting->model)) {
        state->vectors = model->vectors;
        state->filled = model->filled;
        state->dimension = model->dimension;
    } else {
        state->old += model->vectors;
    }
    return true;
}

enum mc_status mc_embedder_progress(struct mc_store *store, const char *model,
                                    struct mc_embedder_state *state, struct mc_error *err)
{
    struct counting counting = {.model = mc_str_of(model)};
    int64_t waiting;
    enum mc_status status = store->ops->vector_models(store, count_model, &counting, &waiting, err);
    if (status != MC_OK)
        return status;
    *state = counting.state;
    state->waiting = waiting;
    return MC_OK;
}

void mc_embedder_last_error(struct mc_embedder *embedder, char *text, size_t size)
{
    mc_mutex_lock(&embedder->mutex);
    snprintf(text, size, "%s", embedder->last_error);
    mc_mutex_unlock(&embedder->mutex);
}
