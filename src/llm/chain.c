/*
 * See llm/chain.h.
 *
 * A generate goes over the links once. At each, the calls that are still open are admitted by its
 * breaker (all of them, one as a probe, or none), answered, and counted; what is left goes to the next.
 */
#include "llm/chain.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "base/utf8.h"
#include "llm/breaker.h"

#define FAILURES 5
#define COOLDOWN_US (5 * MC_US_PER_SECOND)
#define COOLDOWN_MAX_US (60 * MC_US_PER_SECOND)
#define FAILURES_MAX 1000000

struct link {
    struct mc_llm *model;
    const char *name;
    struct mc_breaker breaker;
};

struct chain {
    struct mc_llm base;
    struct mc_chain_options options;
    struct link links[MC_CHAIN_MAX];
};

/* A call on its way through the links. */
struct passage {
    struct mc_llm_usage usage;
    mc_str reasons;        /* of the providers so far, in the arena */
    enum mc_status agreed; /* what all so far failed with; MC_OK before the first */
    int64_t retry_at_us;   /* the earliest that was said */
    bool retry_now;        /* one may be asked again at once */
    bool asked;
    bool answered;
    bool ended; /* answered, cancelled, or out of time */
};

/* One generate. */
struct round {
    struct chain *chain;
    struct mc_llm_call *calls;
    struct passage *passages;
    size_t count;
    struct mc_llm_call *batch; /* copies of the calls that are asked together */
    size_t *members;           /* which they are */
    const struct mc_llm_wait *wait;
    struct mc_arena *arena;
};

static int64_t now_of(const struct chain *chain)
{
    return chain->options.now ? chain->options.now() : mc_time_monotonic_us();
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Calls */

/* Notes why a provider did not answer. */
static void pass_over(struct round *round, struct passage *passage, const char *name,
                      enum mc_status status, const char *why)
{
    const char *separator = passage->reasons.len > 0 ? "; " : "";
    mc_str reasons = mc_arena_printf(round->arena, "%.*s%s%s: %s", MC_STR_ARG(passage->reasons),
                                     separator, name, why);
    if (mc_str_given(reasons))
        passage->reasons = reasons;
    bool differs = passage->agreed != MC_OK && passage->agreed != status;
    passage->agreed = differs ? MC_UNAVAILABLE : status;
}

static void note_retry(struct passage *passage, int64_t retry_at_us)
{
    if (retry_at_us > 0)
        passage->retry_at_us =
            passage->retry_at_us > 0 ? earlier(passage->retry_at_us, retry_at_us) : retry_at_us;
}

static bool is_late(const struct round *round)
{
    return round->wait && round->wait->deadline_us > 0 &&
           now_of(round->chain) >= round->wait->deadline_us;
}

/* A call's question without an outcome. */
static struct mc_llm_call question_of(const struct mc_llm_call *call)
{
    return (struct mc_llm_call){
        .operation = call->operation,
        .system = call->system,
        .turns = call->turns,
        .turn_count = call->turn_count,
        .schema = call->schema,
        .max_tokens = call->max_tokens,
        .joinable = call->joinable,
        .accept = call->accept,
        .accept_context = call->accept_context,
        .confidence = -1,
    };
}

static void take_outcome(struct round *round, const struct link *link, size_t index,
                         const struct mc_llm_call *outcome)
{
    const struct mc_chain_options *options = &round->chain->options;
    struct passage *passage = &round->passages[index];
    if (!outcome->no_attempt) {
        passage->asked = true;
        mc_llm_usage_add(&passage->usage, &outcome->usage);
        if (options->used)
            options->used(options->context, outcome->operation, link->name, outcome->model,
                          &outcome->usage);
    }
    if (outcome->status == MC_OK) {
        struct mc_llm_call *call = &round->calls[index];
        *call = *outcome;
        call->provider = outcome->provider ? outcome->provider : link->name;
        call->passed_over = passage->reasons;
        call->usage = passage->usage;
        passage->answered = passage->ended = true;
        return;
    }
    pass_over(round, passage, link->name, outcome->status, mc_breaker_reason(outcome));
    passage->ended = outcome->status == MC_CANCELLED || is_late(round);
    if (outcome->status == MC_CANCELLED)
        passage->agreed = MC_CANCELLED;
    note_retry(passage, outcome->retry_at_us);
}

/* After a batch: when those that failed may come again, as far as the breaker knows. */
static void note_circuit(struct round *round, struct link *link, const struct mc_llm_call *batch,
                         size_t count)
{
    int64_t probe_at_us = 0;
    mc_breaker_look(&link->breaker, now_of(round->chain), &probe_at_us, NULL, NULL);
    for (size_t i = 0; i < count; i++) {
        struct passage *passage = &round->passages[round->members[i]];
        bool now = probe_at_us == 0 && batch[i].retry_at_us == 0;
        passage->retry_now = passage->retry_now || (now && mc_llm_may_pass(batch[i].status));
        note_retry(passage, probe_at_us);
    }
}

/* Gathers the calls from *from on that are still open, at most `most`. */
static size_t gather(struct round *round, size_t *from, size_t most)
{
    size_t count = 0;
    for (; *from < round->count && count < most; (*from)++) {
        if (round->passages[*from].ended)
            continue;
        round->members[count] = *from;
        round->batch[count++] = question_of(&round->calls[*from]);
    }
    return count;
}

static size_t count_open(const struct round *round, size_t from)
{
    size_t count = 0;
    for (size_t i = from; i < round->count; i++)
        count += round->passages[i].ended ? 0 : 1;
    return count;
}

/* All calls from `from` on are passed over by the link, without having asked it. */
static void refuse(struct round *round, const struct link *link, size_t from, const char *why,
                   int64_t retry_at_us)
{
    for (size_t i = from; i < round->count; i++) {
        struct passage *passage = &round->passages[i];
        if (passage->ended)
            continue;
        pass_over(round, passage, link->name, MC_UNAVAILABLE, why);
        note_retry(passage, retry_at_us);
    }
}

static void settle(struct chain *chain, struct link *link, const struct mc_admission *admission,
                   const struct mc_llm_call *batch)
{
    enum mc_breaker_change change =
        mc_breaker_settle(&link->breaker, now_of(chain), admission, batch);
    if (change == MC_BREAKER_SAME || !chain->options.changed)
        return;
    char why[MC_BREAKER_WHY] = "";
    if (change == MC_BREAKER_OPENED) /* unless a probe has closed it already */
        mc_breaker_look(&link->breaker, now_of(chain), NULL, NULL, why);
    chain->options.changed(chain->options.context, link->name, change == MC_BREAKER_OPENED, why);
}

/* Asks one provider. After a probe the rest of the calls may be admitted, too. */
static void ask(struct round *round, struct link *link)
{
    struct chain *chain = round->chain;
    const struct mc_chain_options *options = &chain->options;
    size_t from = 0, left;
    while ((left = count_open(round, from)) > 0) {
        char why[MC_BREAKER_WHY] = "a limit is reached";
        if (options->allowed && !options->allowed(options->context, link->name, why, sizeof(why))) {
            refuse(round, link, from, why, 0);
            return;
        }
        struct mc_admission admission;
        mc_breaker_admit(&link->breaker, now_of(chain), left, &admission);
        if (admission.count == 0) {
            refuse(round, link, from, admission.why_not, admission.retry_at_us);
            return;
        }
        size_t count = gather(round, &from, admission.count);
        link->model->ops->generate(link->model, round->batch, count, round->wait, round->arena);
        settle(chain, link, &admission, round->batch);
        for (size_t i = 0; i < count; i++)
            take_outcome(round, link, round->members[i], &round->batch[i]);
        note_circuit(round, link, round->batch, count);
    }
}

static void fail_call(struct mc_llm_call *call, const struct passage *passage)
{
    *call = question_of(call);
    call->status = passage->agreed;
    mc_fail(&call->error, call->status, "%.*s", MC_STR_ARG(passage->reasons));
    call->passed_over = passage->reasons;
    call->retry_at_us = passage->retry_now ? 0 : passage->retry_at_us;
    call->no_attempt = !passage->asked;
    call->usage = passage->usage;
}

static void fail_all(struct mc_llm_call *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        calls[i] = question_of(&calls[i]);
        calls[i].status = mc_fail_memory(&calls[i].error);
        calls[i].no_attempt = true;
    }
}

static void chain_generate(struct mc_llm *llm, struct mc_llm_call *calls, size_t count,
                           const struct mc_llm_wait *wait, struct mc_arena *arena)
{
    struct chain *chain = mc_container_of(llm, struct chain, base);
    struct round round = {
        .chain = chain,
        .calls = calls,
        .passages = mc_arena_array(arena, count, sizeof(struct passage)),
        .count = count,
        .batch = mc_arena_array(arena, count, sizeof(struct mc_llm_call)),
        .members = mc_arena_array(arena, count, sizeof(size_t)),
        .wait = wait,
        .arena = arena,
    };
    if (!round.passages || !round.batch || !round.members) {
        fail_all(calls, count);
        return;
    }
    for (size_t i = 0; i < chain->options.count; i++)
        ask(&round, &chain->links[i]);
    for (size_t i = 0; i < count; i++) {
        if (!round.passages[i].answered)
            fail_call(&calls[i], &round.passages[i]);
    }
}

/* The rest of the interface */

static bool chain_count_tokens(struct mc_llm *llm, mc_str text, size_t *tokens)
{
    struct chain *chain = mc_container_of(llm, struct chain, base);
    for (size_t i = 0; i < chain->options.count; i++) {
        struct mc_llm *model = chain->links[i].model;
        if (model->ops->count_tokens && model->ops->count_tokens(model, text, tokens))
            return true;
    }
    return false;
}

/* Puts the breaker's view over the provider's own. */
static void merge_state(struct chain *chain, struct link *link, struct mc_llm_state *state)
{
    const struct mc_chain_options *options = &chain->options;
    char why[MC_BREAKER_WHY] = "a limit is reached";
    bool capped =
        options->allowed && !options->allowed(options->context, link->name, why, sizeof(why));
    bool half_open = false;
    bool open =
        mc_breaker_look(&link->breaker, now_of(chain), &state->retry_at_us, &half_open, why);
    if (open)
        state->state = half_open ? "half_open" : "open";
    if (capped && !open)
        state->state = "capped";
    if (capped || open)
        mc_utf8_line(mc_str_of(why), state->detail, sizeof(state->detail));
    if (open && !state->last_error[0])
        mc_utf8_line(mc_str_of(why), state->last_error, sizeof(state->last_error));
}

static size_t chain_describe(struct mc_llm *llm, struct mc_llm_state *states, size_t max)
{
    struct chain *chain = mc_container_of(llm, struct chain, base);
    size_t count = 0;
    for (size_t i = 0; i < chain->options.count && count < max; i++) {
        struct link *link = &chain->links[i];
        size_t more = link->model->ops->describe(link->model, states + count, max - count);
        for (size_t k = 0; k < more; k++)
            merge_state(chain, link, &states[count + k]);
        count += more;
    }
    return count;
}

static void chain_close(struct mc_llm *llm)
{
    struct chain *chain = mc_container_of(llm, struct chain, base);
    for (size_t i = 0; i < chain->options.count; i++) {
        chain->links[i].model->ops->close(chain->links[i].model);
        mc_breaker_fini(&chain->links[i].breaker);
    }
    free(chain);
}

static const struct mc_llm_ops chain_ops = {
    .name = "chain",
    .close = chain_close,
    .generate = chain_generate,
    .count_tokens = chain_count_tokens,
    .describe = chain_describe,
};

enum mc_status mc_chain_open(const struct mc_chain_options *options, struct mc_llm **llm,
                             struct mc_error *err)
{
    if (options->count == 0 || options->count > MC_CHAIN_MAX)
        return mc_fail(err, MC_CONFIG, "a chain has 1 to %d models, not %zu", MC_CHAIN_MAX,
                       options->count);
    struct chain *chain = calloc(1, sizeof(*chain));
    if (!chain)
        return mc_fail_memory(err);
    chain->options = *options;
    struct mc_chain_options *set = &chain->options;
    set->failures = set->failures > 0 ? set->failures : FAILURES;
    set->failures = set->failures < FAILURES_MAX ? set->failures : FAILURES_MAX;
    set->cooldown_us = set->cooldown_us > 0 ? set->cooldown_us : COOLDOWN_US;
    set->cooldown_max_us = set->cooldown_max_us > 0 ? set->cooldown_max_us : COOLDOWN_MAX_US;
    set->cooldown_us = earlier(set->cooldown_us, set->cooldown_max_us);
    for (size_t i = 0; i < options->count; i++) {
        chain->links[i].model = options->models[i];
        chain->links[i].name = options->models[i]->ops->name;
        mc_breaker_init(&chain->links[i].breaker, set->failures, set->cooldown_us,
                        set->cooldown_max_us);
    }
    chain->base.ops = &chain_ops;
    chain->base.parallel = options->models[0]->parallel;
    *llm = &chain->base;
    return MC_OK;
}
