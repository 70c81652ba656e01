#include "support/fake_llm.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"

#define CALLS_KEPT 4096
#define ANSWERS_KEPT 1024

struct asked {
    char *turn, *system;
};

struct mc_fake_llm {
    struct mc_llm llm;     /* first */
    struct mc_llm_ops ops; /* a chain knows a model by the name of these */
    char provider[32];
    char model[64];
    int tick_ms;
    mc_mutex mutex; /* guards what follows */
    mc_cond changed;
    struct mc_fake_answer script[ANSWERS_KEPT];
    size_t next, scripted;
    mc_fake_fn fn;
    void *context;
    bool held;
    int waiting; /* generates that are held */
    int running, at_once;
    int calls, generates, ticks;
    struct asked asked[CALLS_KEPT];
    struct mc_llm_usage total;
};

static void *must(void *memory)
{
    if (!memory) {
        printf("Bail out! out of memory\n");
        exit(1);
    }
    return memory;
}

static char *copy(const char *text)
{
    return text ? must(mc_str_dup(mc_str_of(text))) : NULL;
}

static void fake_close(struct mc_llm *llm)
{
    struct mc_fake_llm *fake = mc_fake_llm_of(llm);
    for (size_t i = 0; i < fake->scripted; i++) {
        free((void *)(uintptr_t)fake->script[i].json);
        free((void *)(uintptr_t)fake->script[i].error);
        free((void *)(uintptr_t)fake->script[i].passed_over);
    }
    for (int i = 0; i < fake->calls && i < CALLS_KEPT; i++) {
        free(fake->asked[i].turn);
        free(fake->asked[i].system);
    }
    mc_cond_fini(&fake->changed);
    mc_mutex_fini(&fake->mutex);
    free(fake);
}

/* Under the mutex. */
static void record(struct mc_fake_llm *fake, const struct mc_llm_call *call)
{
    if (fake->calls < CALLS_KEPT) {
        const struct mc_llm_turn *last =
            call->turn_count > 0 ? &call->turns[call->turn_count - 1] : NULL;
        fake->asked[fake->calls].turn = must(mc_str_dup(last ? last->text : MC_STR("")));
        fake->asked[fake->calls].system = must(mc_str_dup(call->system));
    }
    fake->calls++;
}

static void fail(struct mc_llm_call *call, enum mc_status status, const char *text)
{
    call->status = mc_fail(&call->error, status, "%s", text ? text : mc_status_text(status));
}

static void succeed(struct mc_fake_llm *fake, struct mc_llm_call *call,
                    const struct mc_fake_answer *answer, struct mc_arena *arena)
{
    mc_str json = mc_str_of(answer->json ? answer->json : "{}");
    struct mc_error refusal;
    if (call->accept && call->accept(call->accept_context, json, &refusal)) {
        fail(call, MC_INVALID, refusal.message);
        return;
    }
    call->answer = mc_arena_copy(arena, json);
    call->model = mc_arena_copy(arena, mc_str_of(fake->model));
    if (!call->answer.data || !call->model.data) {
        fail(call, MC_NO_MEMORY, NULL);
        return;
    }
    call->status = MC_OK;
    call->provider = fake->provider;
    call->confidence = answer->confidence > 0 ? answer->confidence : -1;
    call->truncated = answer->truncated;
}

static void settle(struct mc_fake_llm *fake, struct mc_llm_call *call,
                   const struct mc_fake_answer *answer, struct mc_arena *arena)
{
    call->passed_over =
        mc_arena_copy(arena, mc_str_of(answer->passed_over ? answer->passed_over : ""));
    if (answer->status) {
        fail(call, answer->status, answer->error);
        call->no_attempt = answer->no_attempt;
        call->out_of_order = answer->out_of_order;
        call->retry_at_us = answer->retry_in_us ? mc_time_monotonic_us() + answer->retry_in_us : 0;
    } else {
        succeed(fake, call, answer, arena);
    }
    if (!call->no_attempt) {
        call->usage = (struct mc_llm_usage){.calls = 1, .tokens_in = 10, .tokens_out = 5};
        call->usage.failures = call->status != MC_OK;
    }
}

/* Waits while held; what ended it: MC_OK when released. */
static enum mc_status wait_released(struct mc_fake_llm *fake, const struct mc_llm_wait *wait)
{
    enum mc_status status = MC_OK;
    bool counted = false;
    mc_mutex_lock(&fake->mutex);
    for (;;) {
        if (wait && wait->tick) {
            fake->ticks++;
            mc_mutex_unlock(&fake->mutex); /* what tick does is its own matter */
            bool go_on = wait->tick(wait->context);
            mc_mutex_lock(&fake->mutex);
            if (!go_on)
                status = MC_CANCELLED;
        }
        int64_t now = mc_time_monotonic_us();
        if (!status && wait && wait->deadline_us && now >= wait->deadline_us)
            status = MC_TIMEOUT;
        if (status || !fake->held)
            break;
        if (!counted) {
            counted = true;
            fake->waiting++;
            mc_cond_broadcast(&fake->changed);
        }
        (void)mc_cond_wait_until(&fake->changed, &fake->mutex, now + fake->tick_ms * MC_US_PER_MS);
    }
    fake->waiting -= counted;
    mc_mutex_unlock(&fake->mutex);
    return status;
}

/* What the call is to get: from the script, then from the function. */
static struct mc_fake_answer choose(struct mc_fake_llm *fake, const struct mc_llm_call *call)
{
    struct mc_fake_answer answer = {.status = MC_UNAVAILABLE, .error = "the script is used up"};
    mc_mutex_lock(&fake->mutex);
    mc_fake_fn fn = fake->fn;
    void *context = fake->context;
    if (fake->next < fake->scripted) {
        answer = fake->script[fake->next++];
        fn = NULL;
    }
    mc_mutex_unlock(&fake->mutex);
    if (fn) {
        answer = (struct mc_fake_answer){0};
        fn(context, call, &answer);
    }
    return answer;
}

static void fake_generate(struct mc_llm *llm, struct mc_llm_call *calls, size_t count,
                          const struct mc_llm_wait *wait, struct mc_arena *arena)
{
    struct mc_fake_llm *fake = mc_fake_llm_of(llm);
    mc_mutex_lock(&fake->mutex);
    fake->generates++;
    fake->running += (int)count;
    if (fake->running > fake->at_once)
        fake->at_once = fake->running;
    for (size_t i = 0; i < count; i++)
        record(fake, &calls[i]);
    mc_mutex_unlock(&fake->mutex);
    enum mc_status ended = wait_released(fake, wait);
    for (size_t i = 0; i < count; i++) {
        struct mc_llm_call *call = &calls[i];
        call->no_attempt = false;
        call->retry_at_us = 0;
        call->confidence = -1;
        call->truncated = false;
        call->usage = (struct mc_llm_usage){0};
        call->provider = NULL;
        call->answer = call->model = call->passed_over = MC_STR_NONE;
        if (ended) {
            fail(call, ended, NULL);
            call->no_attempt = ended == MC_CANCELLED;
            continue;
        }
        struct mc_fake_answer answer = choose(fake, call);
        settle(fake, call, &answer, arena);
    }
    mc_mutex_lock(&fake->mutex);
    fake->running -= (int)count;
    for (size_t i = 0; i < count; i++) {
        fake->total.calls += calls[i].usage.calls;
        fake->total.failures += calls[i].usage.failures;
    }
    mc_mutex_unlock(&fake->mutex);
}

/* A token is four bytes. */
static bool fake_count_tokens(struct mc_llm *llm, mc_str text, size_t *tokens)
{
    (void)llm;
    *tokens = (text.len + 3) / 4;
    return true;
}

static size_t fake_describe(struct mc_llm *llm, struct mc_llm_state *states, size_t max)
{
    struct mc_fake_llm *fake = mc_fake_llm_of(llm);
    if (max == 0)
        return 0;
    mc_mutex_lock(&fake->mutex);
    states[0] = (struct mc_llm_state){.provider = fake->provider,
                                      .state = "ready",
                                      .context_tokens = 4096,
                                      .parallel = fake->llm.parallel,
                                      .total = fake->total};
    mc_mutex_unlock(&fake->mutex);
    snprintf(states[0].model, sizeof(states[0].model), "%s", fake->model);
    return 1;
}

static const struct mc_llm_ops OPERATIONS = {
    .name = "fake",
    .close = fake_close,
    .generate = fake_generate,
    .count_tokens = fake_count_tokens,
    .describe = fake_describe,
};

struct mc_fake_llm *mc_fake_llm_new(const struct mc_fake_options *options)
{
    static const struct mc_fake_options DEFAULTS = {0};
    const struct mc_fake_options *o = options ? options : &DEFAULTS;
    struct mc_fake_llm *fake = must(calloc(1, sizeof(*fake)));
    fake->ops = OPERATIONS;
    fake->ops.name = fake->provider;
    fake->llm.ops = &fake->ops;
    fake->llm.parallel = o->parallel ? o->parallel : 4;
    fake->tick_ms = o->tick_ms ? o->tick_ms : 10;
    snprintf(fake->provider, sizeof(fake->provider), "%s", o->provider ? o->provider : "fake");
    snprintf(fake->model, sizeof(fake->model), "%s", o->model ? o->model : "fake-1");
    mc_mutex_init(&fake->mutex);
    mc_cond_init(&fake->changed);
    return fake;
}

struct mc_llm *mc_fake_llm(struct mc_fake_llm *fake)
{
    return &fake->llm;
}

struct mc_fake_llm *mc_fake_llm_of(struct mc_llm *llm)
{
    return mc_container_of(llm, struct mc_fake_llm, llm);
}

void mc_fake_llm_push(struct mc_fake_llm *fake, const struct mc_fake_answer *answer)
{
    mc_mutex_lock(&fake->mutex);
    if (fake->scripted == ANSWERS_KEPT) {
        printf("Bail out! the script of the fake model is full\n");
        exit(1);
    }
    struct mc_fake_answer *kept = &fake->script[fake->scripted++];
    *kept = *answer;
    kept->json = copy(answer->json);
    kept->error = copy(answer->error);
    kept->passed_over = copy(answer->passed_over);
    mc_mutex_unlock(&fake->mutex);
}

void mc_fake_llm_answer_with(struct mc_fake_llm *fake, mc_fake_fn fn, void *context)
{
    mc_mutex_lock(&fake->mutex);
    fake->fn = fn;
    fake->context = context;
    mc_mutex_unlock(&fake->mutex);
}

void mc_fake_llm_hold(struct mc_fake_llm *fake, bool held)
{
    mc_mutex_lock(&fake->mutex);
    fake->held = held;
    mc_cond_broadcast(&fake->changed);
    mc_mutex_unlock(&fake->mutex);
}

bool mc_fake_llm_wait_held(struct mc_fake_llm *fake, int count, int timeout_ms)
{
    int64_t until_us = mc_time_monotonic_us() + timeout_ms * MC_US_PER_MS;
    bool in_time = true;
    mc_mutex_lock(&fake->mutex);
    while (in_time && fake->waiting < count)
        in_time = mc_cond_wait_until(&fake->changed, &fake->mutex, until_us);
    bool there = fake->waiting >= count;
    mc_mutex_unlock(&fake->mutex);
    return there;
}

static int read_int(struct mc_fake_llm *fake, const int *field)
{
    mc_mutex_lock(&fake->mutex);
    int value = *field;
    mc_mutex_unlock(&fake->mutex);
    return value;
}

int mc_fake_llm_calls(struct mc_fake_llm *fake)
{
    return read_int(fake, &fake->calls);
}

int mc_fake_llm_generates(struct mc_fake_llm *fake)
{
    return read_int(fake, &fake->generates);
}

int mc_fake_llm_ticks(struct mc_fake_llm *fake)
{
    return read_int(fake, &fake->ticks);
}

int mc_fake_llm_at_once(struct mc_fake_llm *fake)
{
    return read_int(fake, &fake->at_once);
}

int mc_fake_llm_asked(struct mc_fake_llm *fake, const char *text)
{
    int count = 0;
    mc_mutex_lock(&fake->mutex);
    for (int i = 0; i < fake->calls && i < CALLS_KEPT; i++)
        count += strstr(fake->asked[i].turn, text) != NULL;
    mc_mutex_unlock(&fake->mutex);
    return count;
}

static const struct asked *asked_at(struct mc_fake_llm *fake, int index)
{
    static char empty[1];
    static const struct asked NOTHING = {empty, empty};
    mc_mutex_lock(&fake->mutex);
    bool there = index >= 0 && index < fake->calls && index < CALLS_KEPT;
    mc_mutex_unlock(&fake->mutex);
    return there ? &fake->asked[index] : &NOTHING;
}

const char *mc_fake_llm_turn(struct mc_fake_llm *fake, int index)
{
    return asked_at(fake, index)->turn;
}

const char *mc_fake_llm_system(struct mc_fake_llm *fake, int index)
{
    return asked_at(fake, index)->system;
}
