/*
 * Chains of models and their circuit breakers, over scripted models and a clock that the test turns.
 */
#include "tap.h"

#include <sched.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "llm/chain.h"

#define SECOND MC_US_PER_SECOND
#define BATCH 16

static _Atomic int64_t clock_us = 1000 * SECOND;

static int64_t read_clock(void)
{
    return atomic_load(&clock_us);
}

static void turn_clock(int64_t us)
{
    atomic_fetch_add(&clock_us, us);
}

/* A model that does as it is told. */
struct fake {
    struct mc_llm base;
    struct mc_llm_ops ops;
    mc_mutex mutex; /* guards what follows */
    mc_cond changed;
    enum mc_status status; /* of its answers */
    int good;              /* calls answered before that */
    bool no_attempt;
    bool joined; /* all calls of a batch are one request */
    bool held;   /* generate waits */
    int inside;  /* generates that go on */
    int batches;
    int requests;
    int64_t retry_at_us;
    int64_t takes_us; /* the clock goes on by so much */
    bool counts_tokens;
    bool closed;
};

static void fake_generate(struct mc_llm *llm, struct mc_llm_call *calls, size_t count,
                          const struct mc_llm_wait *wait, struct mc_arena *arena)
{
    struct fake *fake = mc_container_of(llm, struct fake, base);
    bool cancelled = wait && wait->tick && !wait->tick(wait->context);
    mc_mutex_lock(&fake->mutex);
    fake->inside++;
    fake->batches++;
    mc_cond_broadcast(&fake->changed);
    while (fake->held)
        mc_cond_wait(&fake->changed, &fake->mutex);
    turn_clock(fake->takes_us);
    for (size_t i = 0; i < count; i++) {
        struct mc_llm_call *call = &calls[i];
        call->status = fake->good > 0 ? MC_OK : cancelled ? MC_CANCELLED : fake->status;
        call->no_attempt = fake->no_attempt;
        call->usage.calls = !fake->no_attempt && (i == 0 || !fake->joined);
        call->usage.failures = call->status != MC_OK ? call->usage.calls : 0;
        call->usage.tokens_in = 10;
        call->usage.cost_usd = 0.5;
        call->model = MC_STR("model");
        fake->requests += (int)call->usage.calls;
        fake->good -= fake->good > 0 ? 1 : 0;
        if (call->status == MC_OK) {
            call->answer = mc_arena_printf(arena, "{\"by\":\"%s\"}", fake->ops.name);
            call->provider = fake->ops.name;
            call->confidence = 0.75;
        } else {
            mc_fail(&call->error, call->status, "%s said %d", fake->ops.name, (int)call->status);
            call->retry_at_us = fake->retry_at_us;
        }
    }
    fake->inside--;
    mc_cond_broadcast(&fake->changed);
    mc_mutex_unlock(&fake->mutex);
}

static bool fake_count_tokens(struct mc_llm *llm, mc_str text, size_t *tokens)
{
    struct fake *fake = mc_container_of(llm, struct fake, base);
    if (fake->counts_tokens)
        *tokens = text.len;
    return fake->counts_tokens;
}

static size_t fake_describe(struct mc_llm *llm, struct mc_llm_state *states, size_t max)
{
    struct fake *fake = mc_container_of(llm, struct fake, base);
    if (max == 0)
        return 0;
    states[0] = (struct mc_llm_state){.provider = fake->ops.name, .state = "ready"};
    return 1;
}

static void fake_close(struct mc_llm *llm)
{
    mc_container_of(llm, struct fake, base)->closed = true;
}

/* What the chain told, in counters. */
struct told {
    atomic_int used, opened, closed;
    atomic_bool
        slow; /* who is told that it opened takes its time, at most until the next is told */
    atomic_bool telling, open;
    _Atomic int64_t calls;
    const char *capped; /* this provider is */
};

static void on_used(void *context, enum mc_llm_operation operation, const char *provider,
                    mc_str model, const struct mc_llm_usage *usage)
{
    struct told *told = context;
    if (operation == MC_LLM_SUMMARY && provider && mc_str_equal(model, MC_STR("model")))
        atomic_fetch_add(&told->used, 1);
    atomic_fetch_add(&told->calls, usage->calls);
}

static void on_changed(void *context, const char *provider, bool open, const char *why)
{
    struct told *told = context;
    int64_t until_us = mc_time_monotonic_us() + SECOND / 5;
    atomic_store(&told->telling, true);
    while (open && atomic_load(&told->slow) && atomic_load(&told->closed) == 0 &&
           mc_time_monotonic_us() < until_us)
        sched_yield();
    atomic_store(&told->open, open);
    if (provider && (why[0] != '\0') == open)
        atomic_fetch_add(open ? &told->opened : &told->closed, 1);
}

static bool is_allowed(void *context, const char *provider, char *why, size_t size)
{
    const struct told *told = context;
    bool capped = told->capped && strcmp(told->capped, provider) == 0;
    if (capped)
        snprintf(why, size, "100 calls a day are made");
    return !capped;
}

struct fixture {
    struct fake fakes[2]; /* "first" and "second" */
    struct told told;
    struct mc_llm *chain;
    struct mc_arena arena;
    struct mc_llm_call calls[BATCH];
};

static void start(struct fixture *f, size_t count, int failures)
{
    static const char *const names[] = {"first", "second"};
    *f = (struct fixture){0};
    struct mc_chain_options options = {
        .count = count,
        .failures = failures,
        .cooldown_us = 4 * SECOND,
        .cooldown_max_us = 10 * SECOND,
        .now = read_clock,
        .used = on_used,
        .allowed = is_allowed,
        .changed = on_changed,
        .context = &f->told,
    };
    for (size_t i = 0; i < count; i++) {
        struct fake *fake = &f->fakes[i];
        fake->ops = (struct mc_llm_ops){names[i], fake_close, fake_generate, fake_count_tokens,
                                        fake_describe};
        fake->base = (struct mc_llm){&fake->ops, 3 + i};
        mc_mutex_init(&fake->mutex);
        mc_cond_init(&fake->changed);
        options.models[i] = &fake->base;
    }
    struct mc_error err = {0};
    mc_arena_init(&f->arena, 64 * 1024 * 1024);
    is_status(mc_chain_open(&options, &f->chain, &err), MC_OK, &err, "a chain of %zu", count);
}

static void stop(struct fixture *f, size_t count)
{
    f->chain->ops->close(f->chain);
    for (size_t i = 0; i < count; i++) {
        ok(f->fakes[i].closed, "the chain closed its model");
        mc_cond_fini(&f->fakes[i].changed);
        mc_mutex_fini(&f->fakes[i].mutex);
    }
    mc_arena_fini(&f->arena);
}

/* Calls as a caller makes them; their outcomes are rubbish before. */
static struct mc_llm_call *generate(struct fixture *f, size_t count, const struct mc_llm_wait *wait)
{
    static const struct mc_llm_wait no_wait;
    for (size_t i = 0; i < count; i++)
        f->calls[i] = (struct mc_llm_call){.operation = MC_LLM_SUMMARY,
                                           .retry_at_us = 7,
                                           .no_attempt = true,
                                           .usage = {.calls = 9}};
    f->chain->ops->generate(f->chain, f->calls, count, wait ? wait : &no_wait, &f->arena);
    return f->calls;
}

/* One call; its status. */
static enum mc_status call_once(struct fixture *f)
{
    return generate(f, 1, NULL)[0].status;
}

static const char *state_of(struct fixture *f, size_t index, struct mc_llm_state *state)
{
    struct mc_llm_state states[MC_CHAIN_MAX];
    size_t count = f->chain->ops->describe(f->chain, states, MC_CHAIN_MAX);
    if (index >= count)
        bail_out("no such provider");
    *state = states[index];
    return states[index].state;
}

static void test_open(void)
{
    struct mc_llm *chain = NULL;
    struct mc_error err = {0};
    struct mc_chain_options options = {0};
    is_status(mc_chain_open(&options, &chain, &err), MC_CONFIG, &err, "no model");
    options.count = MC_CHAIN_MAX + 1;
    is_status(mc_chain_open(&options, &chain, &err), MC_CONFIG, &err, "too many");
    ok(!chain && err.message[0], "%s", err.message);
    is_str(mc_llm_operation_name(MC_LLM_ENRICH), "enrich", "an operation");
    is_str(mc_llm_operation_name(MC_LLM_CHECK), "check", "the last one");
    is_str(mc_llm_operation_name(MC_LLM_OPERATION_COUNT), "", "none");
    ok(mc_llm_may_pass(MC_TIMEOUT) && mc_llm_may_pass(MC_RATE_LIMITED) &&
           mc_llm_may_pass(MC_UNAVAILABLE) && mc_llm_may_pass(MC_CANCELLED),
       "passing failures");
    ok(!mc_llm_may_pass(MC_INVALID) && !mc_llm_may_pass(MC_UNAUTHENTICATED) &&
           !mc_llm_may_pass(MC_CONFIG) && !mc_llm_may_pass(MC_TOO_LARGE),
       "lasting failures");
}

static void test_next(void)
{
    struct fixture f;
    start(&f, 2, 5);
    is_int(f.chain->parallel, 3, "as parallel as the first");
    is_status(call_once(&f), MC_OK, NULL, "the first answers");
    is_text(f.calls[0].answer, "{\"by\":\"first\"}", "its answer");
    ok(f.calls[0].passed_over.len == 0 && f.calls[0].usage.calls == 1 && !f.calls[0].no_attempt &&
           f.calls[0].retry_at_us == 0,
       "nobody else was asked");
    is_int(f.fakes[1].batches, 0, "the second was not asked");

    f.fakes[0].status = MC_TIMEOUT;
    f.fakes[0].good = 2;
    struct mc_llm_call *calls = generate(&f, 4, NULL);
    for (size_t i = 0; i < 4; i++) {
        is_status(calls[i].status, MC_OK, NULL, "call %zu", i);
        is_str(calls[i].provider, i < 2 ? "first" : "second", "who answered");
        is_text(calls[i].passed_over, i < 2 ? "" : "first: first said 18", "who did not");
        is_int(calls[i].usage.calls, i < 2 ? 1 : 2, "requests");
        is_int(calls[i].usage.failures, i < 2 ? 0 : 1, "failed ones");
        is_int(calls[i].usage.tokens_in, i < 2 ? 10 : 20, "tokens of all");
        is_double(calls[i].confidence, 0.75, 0, "confidence");
    }
    is_int(f.fakes[1].batches, 1, "the second got what was left in one batch");
    is_int(f.told.used, 1 + 4 + 2, "each request was told");
    is_int(f.told.calls, f.fakes[0].requests + f.fakes[1].requests, "with its usage");
    stop(&f, 2);
}

static void test_failure(void)
{
    struct fixture f;
    start(&f, 2, 5);
    f.fakes[0].status = MC_TOO_LARGE;
    f.fakes[1].status = MC_TOO_LARGE;
    is_status(call_once(&f), MC_TOO_LARGE, NULL, "all agree");
    f.fakes[1].status = MC_INVALID;
    is_status(call_once(&f), MC_UNAVAILABLE, NULL, "they differ");
    is_str(f.calls[0].error.message, "first: first said 6; second: second said 1", "the reasons");
    is_text(f.calls[0].passed_over, f.calls[0].error.message, "in passed_over too");
    ok(!f.calls[0].provider && f.calls[0].answer.len == 0 && !f.calls[0].no_attempt &&
           f.calls[0].usage.calls == 2,
       "no answer, two requests");
    f.fakes[0].status = MC_RATE_LIMITED;
    f.fakes[0].retry_at_us = read_clock() + 30 * SECOND;
    is_status(call_once(&f), MC_UNAVAILABLE, NULL, "one says when to come again");
    is_int(f.calls[0].retry_at_us, f.fakes[0].retry_at_us, "so does the chain");
    f.fakes[1].status = MC_TIMEOUT;
    is_status(call_once(&f), MC_UNAVAILABLE, NULL, "the other may be asked at once");
    is_int(f.calls[0].retry_at_us, 0, "so may the chain");
    stop(&f, 2);
}

static bool never(void *context)
{
    return context != NULL;
}

static void test_ends(void)
{
    struct fixture f;
    start(&f, 2, 2);
    struct mc_llm_wait wait = {.tick = never};
    for (int i = 0; i < 5; i++)
        is_status(generate(&f, 1, &wait)[0].status, MC_CANCELLED, NULL, "cancelled");
    is_int(f.fakes[1].batches, 0, "no other is asked then");
    is_int(f.told.opened, 0, "nobody is blamed");
    f.fakes[0].status = MC_TIMEOUT;
    f.fakes[0].takes_us = 3 * SECOND;
    wait = (struct mc_llm_wait){.deadline_us = read_clock() + 2 * SECOND};
    is_status(generate(&f, 1, &wait)[0].status, MC_TIMEOUT, NULL, "too late");
    is_int(f.fakes[1].batches, 0, "for another one");
    for (int i = 0; i < 5; i++) {
        wait.deadline_us = read_clock() + 2 * SECOND;
        (void)generate(&f, 1, &wait);
    }
    is_int(f.told.opened, 0, "a caller in a hurry blames nobody");
    wait.deadline_us = read_clock() + 30 * SECOND;
    is_status(generate(&f, 1, &wait)[0].status, MC_OK, NULL, "in time");
    is_str(f.calls[0].provider, "second", "for the other one");
    stop(&f, 2);
}

/* How many calls of the status open a circuit that opens after five failures; at most 30. */
static int count_to_open(enum mc_status status, bool no_attempt)
{
    struct fixture f;
    start(&f, 1, 5);
    f.fakes[0].status = status;
    f.fakes[0].no_attempt = no_attempt;
    int count = 0;
    while (count < 30 && f.told.opened == 0) {
        is_status(call_once(&f), status, NULL, "its own failure");
        count++;
    }
    stop(&f, 1);
    return count;
}

/* Whether a failure may be the question's own. */
static void test_out_of_order(void)
{
    struct fixture f;
    start(&f, 1, 3);
    f.fakes[0].status = MC_UNAVAILABLE;
    is_status(call_once(&f), MC_UNAVAILABLE, NULL, "a failure");
    ok(!f.calls[0].out_of_order, "may be the question's");
    f.fakes[0].status = MC_RATE_LIMITED;
    is_status(call_once(&f), MC_RATE_LIMITED, NULL, "a limit");
    ok(f.calls[0].out_of_order, "has nothing to do with it");
    f.fakes[0].status = MC_UNAVAILABLE;
    is_status(call_once(&f), MC_UNAVAILABLE, NULL, "a failure that opens the circuit");
    ok(f.calls[0].out_of_order, "may be anybody's");
    stop(&f, 1);
}

static void test_blame(void)
{
    is_int(count_to_open(MC_TIMEOUT, false), 5, "time-outs");
    is_int(count_to_open(MC_UNAVAILABLE, false), 5, "connections");
    is_int(count_to_open(MC_RATE_LIMITED, false), 5, "rate limits");
    is_int(count_to_open(MC_CONFIG, false), 5, "configuration");
    is_int(count_to_open(MC_INTERNAL, false), 5, "internal");
    is_int(count_to_open(MC_UNAUTHENTICATED, false), 1, "a refused key");
    is_int(count_to_open(MC_INVALID, false), 10, "no usable answer");
    is_int(count_to_open(MC_TOO_LARGE, false), 10, "too large");
    is_int(count_to_open(MC_CANCELLED, false), 30, "cancelled: never");
    is_int(count_to_open(MC_NO_MEMORY, false), 30, "memory: never");
    is_int(count_to_open(MC_TIMEOUT, true), 30, "not attempted: never");
}

static void test_in_a_row(void)
{
    struct fixture f;
    struct mc_llm_state state;
    start(&f, 1, 3);
    struct fake *fake = &f.fakes[0];
    for (int i = 0; i < 4; i++) {
        fake->status = MC_TIMEOUT;
        is_status(call_once(&f), MC_TIMEOUT, NULL, "one");
        is_status(call_once(&f), MC_TIMEOUT, NULL, "two");
        fake->status = MC_OK;
        is_status(call_once(&f), MC_OK, NULL, "an answer ends the row");
    }
    is_int(f.told.opened, 0, "so the circuit stays closed");
    fake->status = MC_TIMEOUT;
    fake->joined = true;
    generate(&f, BATCH, NULL);
    generate(&f, BATCH, NULL);
    is_str(state_of(&f, 0, &state), "ready", "two requests of many calls are two failures");
    generate(&f, BATCH, NULL);
    is_str(state_of(&f, 0, &state), "open", "the third opens it");
    is_str(state.detail, "first said 18", "why");
    is_str(state.last_error, "first said 18", "the error");
    is_int(state.retry_at_us, read_clock() + 4 * SECOND, "until when");
    is_int(f.told.opened, 1, "told once");
    int batches = fake->batches;
    is_status(call_once(&f), MC_UNAVAILABLE, NULL, "left alone");
    ok(f.calls[0].no_attempt && f.calls[0].usage.calls == 0 && fake->batches == batches,
       "no attempt");
    is_int(f.calls[0].retry_at_us, state.retry_at_us, "when to come again");
    is_str(f.calls[0].error.message, "first: left alone after: first said 18", "the reason");
    stop(&f, 1);

    start(&f, 1, 3);
    f.fakes[0].status = MC_TIMEOUT;
    generate(&f, 3, NULL);
    is_str(state_of(&f, 0, &state), "open", "three requests at once open it too");
    stop(&f, 1);
    start(&f, 1, 3);
    f.fakes[0].status = MC_TIMEOUT;
    f.fakes[0].good = 3;
    generate(&f, 5, NULL);
    is_str(state_of(&f, 0, &state), "ready", "two after answers do not");
    is_status(call_once(&f), MC_TIMEOUT, NULL, "the third");
    is_str(state_of(&f, 0, &state), "open", "does");
    stop(&f, 1);
}

/* The seconds that the circuit stays open now. */
static int64_t seconds_open(struct fixture *f)
{
    struct mc_llm_state state;
    state_of(f, 0, &state);
    return state.retry_at_us > 0 ? (state.retry_at_us - read_clock()) / SECOND : 0;
}

static void test_probe(void)
{
    struct fixture f;
    struct mc_llm_state state;
    start(&f, 1, 1);
    struct fake *fake = &f.fakes[0];
    fake->status = MC_UNAVAILABLE;
    call_once(&f);
    static const int64_t cooldowns[] = {4, 8, 10, 10};
    for (size_t i = 0; i < mc_countof(cooldowns); i++) {
        int before = fake->requests;
        is_int(seconds_open(&f), cooldowns[i], "cooldown %zu", i);
        turn_clock(cooldowns[i] * SECOND - 1);
        call_once(&f);
        is_int(fake->requests, before, "not before its time");
        turn_clock(1);
        is_str(state_of(&f, 0, &state), "half_open", "then it may be probed");
        generate(&f, 4, NULL);
        is_int(fake->requests, before + 1, "by one call");
        ok(!f.calls[0].no_attempt && f.calls[1].no_attempt && f.calls[3].no_attempt,
           "and only by one");
        ok(f.calls[0].out_of_order && !f.calls[1].out_of_order, "which is not to blame");
    }
    is_int(f.told.opened, 1, "it opened once");
    turn_clock(10 * SECOND);
    fake->status = MC_OK;
    int before = fake->requests;
    generate(&f, 4, NULL);
    is_int(fake->requests, before + 4, "after a good probe the others go at once");
    ok(f.calls[0].status == MC_OK && f.calls[3].status == MC_OK, "all are answered");
    is_int(f.told.closed, 1, "it closed");
    is_str(state_of(&f, 0, &state), "ready", "ready again");
    fake->status = MC_RATE_LIMITED;
    fake->retry_at_us = read_clock() + 7 * SECOND;
    call_once(&f);
    is_int(seconds_open(&f), 7, "a longer time when the server says so");
    turn_clock(7 * SECOND);
    fake->retry_at_us = read_clock() + 1000 * SECOND;
    call_once(&f);
    is_int(seconds_open(&f), 10, "up to the longest");
    stop(&f, 1);
}

static void test_probe_given_back(void)
{
    struct fixture f;
    struct mc_llm_wait wait = {.tick = never};
    start(&f, 1, 1);
    struct fake *fake = &f.fakes[0];
    fake->status = MC_UNAVAILABLE;
    call_once(&f);
    turn_clock(4 * SECOND);
    int before = fake->requests;
    is_status(generate(&f, 1, &wait)[0].status, MC_CANCELLED, NULL, "cancelled while probing");
    fake->status = MC_INVALID;
    is_status(call_once(&f), MC_INVALID, NULL, "the next one probes; not usable");
    is_int(fake->requests, before + 2, "each was asked");
    is_int(seconds_open(&f), 0, "the circuit may still be probed");
    is_status(call_once(&f), MC_INVALID, NULL, "once more not usable");
    is_int(seconds_open(&f), 8, "is a failed probe");
    turn_clock(8 * SECOND);
    fake->status = MC_INVALID;
    call_once(&f);
    fake->status = MC_OK;
    is_status(call_once(&f), MC_OK, NULL, "an answer");
    is_int(f.told.closed, 1, "closes it");
    fake->status = MC_UNAVAILABLE;
    call_once(&f);
    is_int(seconds_open(&f), 4, "the next cooldown is the first again");
    stop(&f, 1);
}

static void test_capped(void)
{
    struct fixture f;
    struct mc_llm_state state;
    size_t tokens = 0;
    start(&f, 2, 1);
    f.told.capped = "first";
    is_status(call_once(&f), MC_OK, NULL, "the second answers");
    is_text(f.calls[0].passed_over, "first: 100 calls a day are made", "why not the first");
    is_str(state_of(&f, 0, &state), "capped", "its state");
    is_str(state.detail, "100 calls a day are made", "and why");
    is_str(state_of(&f, 1, &state), "ready", "the other one");
    f.told.capped = "second";
    f.fakes[0].status = MC_UNAVAILABLE;
    is_status(call_once(&f), MC_UNAVAILABLE, NULL, "none");
    ok(f.calls[0].no_attempt == false && f.fakes[0].batches == 1, "one was asked");
    is_int(f.calls[0].retry_at_us, read_clock() + 4 * SECOND, "when its circuit may be probed");
    is_status(call_once(&f), MC_UNAVAILABLE, NULL, "none again");
    ok(f.calls[0].no_attempt, "nobody was asked");
    ok(!f.chain->ops->count_tokens(f.chain, MC_STR("abc"), &tokens), "nobody counts tokens");
    f.fakes[1].counts_tokens = true;
    ok(f.chain->ops->count_tokens(f.chain, MC_STR("abc"), &tokens) && tokens == 3,
       "the one that can does");
    is_int(f.chain->ops->describe(f.chain, &state, 1), 1, "as many states as there is room for");
    stop(&f, 2);
}

/* Threads */

struct caller {
    struct mc_llm *chain;
    pthread_t thread;
    struct mc_llm_call call;
    struct mc_arena arena;
};

static void *call_chain(void *context)
{
    struct caller *caller = context;
    static const struct mc_llm_wait no_wait;
    caller->call = (struct mc_llm_call){.operation = MC_LLM_SUMMARY};
    caller->chain->ops->generate(caller->chain, &caller->call, 1, &no_wait, &caller->arena);
    return NULL;
}

static void start_caller(struct caller *caller, struct fixture *f)
{
    struct mc_error err = {0};
    caller->chain = f->chain;
    mc_arena_init(&caller->arena, 1024 * 1024);
    if (mc_thread_start(&caller->thread, "caller", call_chain, caller, &err) != MC_OK)
        bail_out("%s", err.message);
}

static void stop_caller(struct caller *caller)
{
    mc_thread_join(caller->thread);
    mc_arena_fini(&caller->arena);
}

static void hold(struct fake *fake, bool held)
{
    mc_mutex_lock(&fake->mutex);
    fake->held = held;
    mc_cond_broadcast(&fake->changed);
    mc_mutex_unlock(&fake->mutex);
}

static void await_inside(struct fake *fake, int inside)
{
    mc_mutex_lock(&fake->mutex);
    while (fake->inside != inside)
        mc_cond_wait(&fake->changed, &fake->mutex);
    mc_mutex_unlock(&fake->mutex);
}

/* While one call probes, others go to the next provider, or fail at once. */
static void test_one_probe(size_t count)
{
    struct fixture f;
    struct mc_llm_state state;
    struct caller probe;
    start(&f, count, 1);
    struct fake *fake = &f.fakes[0];
    fake->status = MC_UNAVAILABLE;
    call_once(&f);
    turn_clock(4 * SECOND);
    hold(fake, true);
    start_caller(&probe, &f);
    await_inside(fake, 1);
    is_str(state_of(&f, 0, &state), "half_open", "probed");
    for (int i = 0; i < 3; i++) {
        is_status(call_once(&f), count > 1 ? MC_OK : MC_UNAVAILABLE, NULL, "another call");
        if (count > 1)
            is_str(f.calls[0].provider, "second", "goes to the second");
        else
            ok(f.calls[0].no_attempt && f.calls[0].retry_at_us > read_clock(), "comes again later");
    }
    is_int(fake->batches, 2, "only one probes");
    fake->status = MC_OK;
    hold(fake, false);
    stop_caller(&probe);
    is_status(probe.call.status, MC_OK, NULL, "the probe is answered");
    is_status(call_once(&f), MC_OK, NULL, "then everybody");
    is_str(f.calls[0].provider, "first", "by the first");
    stop(&f, count);
}

/* What was asked before the circuit opened says nothing about it afterwards. */
static void test_late_outcome(void)
{
    struct fixture f;
    struct caller late[2];
    struct mc_llm_state state;
    start(&f, 1, 2);
    struct fake *fake = &f.fakes[0];
    fake->status = MC_TIMEOUT;
    hold(fake, true);
    for (size_t i = 0; i < 2; i++)
        start_caller(&late[i], &f);
    await_inside(fake, 2);
    struct caller bad;
    start_caller(&bad, &f);
    await_inside(fake, 3);
    fake->status = MC_UNAUTHENTICATED;
    hold(fake, false);
    stop_caller(&bad);
    for (size_t i = 0; i < 2; i++)
        stop_caller(&late[i]);
    is_str(state_of(&f, 0, &state), "open", "open");
    is_int(seconds_open(&f), 4, "late failures do not double the cooldown");
    is_int(f.told.opened, 1, "it opened once");
    stop(&f, 1);
}

/* A listener that is slow to hear that a circuit opened does not hear it after that it closed. */
static void test_told_in_order(void)
{
    struct fixture f;
    struct caller bad;
    struct mc_llm_state state;
    start(&f, 1, 1);
    f.told.slow = true;
    f.fakes[0].status = MC_UNAVAILABLE;
    start_caller(&bad, &f);
    while (!atomic_load(&f.told.telling))
        sched_yield();
    mc_mutex_lock(&f.fakes[0].mutex);
    f.fakes[0].status = MC_OK;
    mc_mutex_unlock(&f.fakes[0].mutex);
    turn_clock(4 * SECOND);
    is_status(call_once(&f), MC_OK, NULL, "a probe closes it meanwhile");
    stop_caller(&bad);
    is_str(state_of(&f, 0, &state), "ready", "closed");
    ok(f.told.opened == 1 && f.told.closed == 1, "both are told");
    ok(!f.told.open, "the last that is told is how it is");
    stop(&f, 1);
}

struct crowd {
    struct fixture *f;
    pthread_t thread;
    atomic_int *bad;
    int rounds;
};

static void *crowd_run(void *context)
{
    struct crowd *crowd = context;
    static const struct mc_llm_wait no_wait;
    struct mc_arena arena;
    mc_arena_init(&arena, 8 * 1024 * 1024);
    for (int i = 0; i < crowd->rounds; i++) {
        struct mc_llm_call calls[3] = {0};
        for (size_t k = 0; k < 3; k++)
            calls[k].operation = MC_LLM_SUMMARY;
        crowd->f->chain->ops->generate(crowd->f->chain, calls, 3, &no_wait, &arena);
        for (size_t k = 0; k < 3; k++) {
            bool good = calls[k].status == MC_OK && calls[k].answer.len > 0 && calls[k].provider;
            bool bad = calls[k].status == MC_UNAVAILABLE && calls[k].error.message[0];
            atomic_fetch_add(crowd->bad, good || bad ? 0 : 1);
        }
        struct mc_llm_state states[2];
        atomic_fetch_add(crowd->bad,
                         crowd->f->chain->ops->describe(crowd->f->chain, states, 2) != 2);
        mc_arena_reset(&arena);
    }
    mc_arena_fini(&arena);
    return NULL;
}

static void run_crowd(struct fixture *f, int rounds, atomic_int *bad)
{
    struct crowd crowds[8];
    struct mc_error err = {0};
    for (size_t i = 0; i < mc_countof(crowds); i++) {
        crowds[i] = (struct crowd){.f = f, .bad = bad, .rounds = rounds};
        if (mc_thread_start(&crowds[i].thread, "crowd", crowd_run, &crowds[i], &err) != MC_OK)
            bail_out("%s", err.message);
    }
    for (size_t i = 0; i < mc_countof(crowds); i++)
        mc_thread_join(crowds[i].thread);
}

static void test_crowd(void)
{
    struct fixture f;
    atomic_int bad = 0;
    start(&f, 2, 4);
    f.fakes[0].status = MC_UNAVAILABLE;
    run_crowd(&f, 50, &bad);
    is_int(f.told.opened, 1, "the circuit opened once");
    for (int i = 0; i < 5; i++) {
        int before = f.fakes[0].requests;
        turn_clock(10 * SECOND);
        run_crowd(&f, 20, &bad);
        is_int(f.fakes[0].requests, before + 1, "one probe each time");
    }
    f.fakes[0].status = MC_OK;
    turn_clock(10 * SECOND);
    run_crowd(&f, 20, &bad);
    is_int(f.told.closed, 1, "closed by one good probe");
    int before = f.fakes[1].requests;
    f.fakes[1].status = MC_UNAVAILABLE;
    run_crowd(&f, 20, &bad);
    is_int(f.fakes[1].requests, before, "the second is no longer asked");
    is_int(bad, 0, "every call has its outcome");
    is_int(f.told.calls, f.fakes[0].requests + f.fakes[1].requests, "all usage was told");
    stop(&f, 2);
}

int main(void)
{
    test_open();
    test_next();
    test_failure();
    test_ends();
    test_blame();
    test_in_a_row();
    test_out_of_order();
    test_probe();
    test_probe_given_back();
    test_capped();
    test_one_probe(1);
    test_one_probe(2);
    test_late_outcome();
    test_told_in_order();
    test_crowd();
    return done_testing();
}
