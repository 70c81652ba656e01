/*
 * Vectors by a model in this process: see llm/local.h.
 *
 * DESIGN. Callers evaluate by themselves, one batch at a time, and take turns: one that waits for a query goes
 * before those that work in the background, so that a query waits for one batch at most.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "base/utf8.h"
#include "llm/local_model.h"

#define SEQUENCES 16
#define TICK_US MC_US_PER_SECOND
#define BYTES_A_TOKEN 16 /* at most so many of a text are looked at */
#define LATELY 0.2       /* the weight of the newest batch in a mean */

struct embed {
    struct mc_llm llm;
    struct mc_local_model model;
    struct llama_context *context;
    size_t most;      /* tokens of a batch, and of a text */
    mc_mutex lock;    /* guards what follows */
    mc_cond free;     /* the context may be used */
    bool busy;        /* somebody has the context */
    unsigned queries; /* that wait for it */
    struct mc_llm_usage total;
    double latency_us;
    char last_error[256];
    int64_t last_error_us;
};

/* A text as tokens, in its caller's arena. */
struct text {
    llama_token *tokens;
    size_t count;
};

struct round {
    struct embed *embed;
    struct mc_llm_call *calls;
    struct text *texts;
    size_t count;
    const struct mc_llm_wait *wait;
    struct mc_arena *arena;
    bool query;
    int64_t tick_us;
};

static struct embed *of(struct mc_llm *llm)
{
    return mc_container_of(llm, struct embed, llm);
}

/* ---- Taking turns ---- */

/* MC_TIMEOUT or MC_CANCELLED when it is time to stop. */
static enum mc_status look_up(struct round *r)
{
    int64_t now_us = mc_time_monotonic_us();
    if (r->wait->tick && now_us >= r->tick_us) {
        r->tick_us = now_us + TICK_US;
        if (!r->wait->tick(r->wait->context))
            return MC_CANCELLED;
    }
    return r->wait->deadline_us > 0 && now_us >= r->wait->deadline_us ? MC_TIMEOUT : MC_OK;
}

static enum mc_status acquire(struct round *r)
{
    struct embed *e = r->embed;
    enum mc_status status = look_up(r);
    mc_mutex_lock(&e->lock);
    e->queries += r->query;
    while (status == MC_OK && (e->busy || (!r->query && e->queries > 0))) {
        int64_t until_us = mc_time_monotonic_us() + TICK_US;
        if (r->wait->deadline_us > 0 && r->wait->deadline_us < until_us)
            until_us = r->wait->deadline_us;
        (void)mc_cond_wait_until(&e->free, &e->lock, until_us);
        mc_mutex_unlock(&e->lock);
        status = look_up(r);
        mc_mutex_lock(&e->lock);
    }
    e->queries -= r->query;
    e->busy = e->busy || status == MC_OK;
    if (status != MC_OK)
        mc_cond_broadcast(&e->free); /* it may have held others back */
    mc_mutex_unlock(&e->lock);
    return status;
}

static void release(struct embed *e)
{
    mc_mutex_lock(&e->lock);
    e->busy = false;
    mc_cond_broadcast(&e->free);
    mc_mutex_unlock(&e->lock);
}

/* ---- Texts ---- */

static enum mc_status tokenize(struct round *r, size_t index, struct mc_error *err)
{
    struct embed *e = r->embed;
    struct mc_llm_call *call = &r->calls[index];
    struct text *text = &r->texts[index];
    mc_str cut = mc_utf8_cut(call->turns[0].text, e->most * BYTES_A_TOKEN);
    size_t room = cut.len + 8;
    text->tokens = mc_arena_array(r->arena, room, sizeof(*text->tokens));
    if (!text->tokens)
        return mc_fail_memory(err);
    int32_t count = llama_tokenize(e->model.vocab, cut.data, (int32_t)cut.len, text->tokens,
                                   (int32_t)room, true, false);
    if (count <= 0)
        return mc_fail(err, MC_INVALID, "the model's tokenizer makes nothing of the text");
    text->count = (size_t)count;
    call->truncated = cut.len < call->turns[0].text.len;
    if (text->count > e->most) {
        /* The token that ends a text, where there is one, stays at its end. */
        llama_token last = text->tokens[text->count - 1];
        text->count = e->most;
        call->truncated = true;
        if (llama_vocab_is_control(e->model.vocab, last))
            text->tokens[text->count - 1] = last;
    }
    return MC_OK;
}

static void fill_batch(const struct round *r, size_t from, size_t to, struct llama_batch *batch)
{
    batch->n_tokens = 0;
    for (size_t i = from; i < to; i++) {
        for (size_t k = 0; k < r->texts[i].count; k++) {
            int32_t at = batch->n_tokens++;
            batch->token[at] = r->texts[i].tokens[k];
            batch->pos[at] = (llama_pos)k;
            batch->n_seq_id[at] = 1;
            batch->seq_id[at][0] = (llama_seq_id)(i - from);
            batch->logits[at] = 1;
        }
    }
}

static enum mc_status run(struct embed *e, struct llama_batch batch, struct mc_error *err)
{
    char why[256];
    bool encodes = llama_model_has_encoder(e->model.model);
    llama_memory_t memory = llama_get_memory(e->context);
    mc_local_log_take(why, sizeof(why));
    if (memory)
        llama_memory_clear(memory, true);
    int32_t code = encodes ? llama_encode(e->context, batch) : llama_decode(e->context, batch);
    mc_local_log_take(why, sizeof(why));
    return code == 0 ? MC_OK
                     : mc_fail(err, MC_INTERNAL, "llama.cpp cannot evaluate the texts (%d)%s%s",
                               (int)code, why[0] ? ": " : "", why);
}

/* Takes the vector of a text that was evaluated. */
static enum mc_status take(struct round *r, size_t index, size_t from, struct mc_error *err)
{
    struct embed *e = r->embed;
    struct mc_llm_call *call = &r->calls[index];
    size_t dimension = (size_t)llama_model_n_embd(e->model.model);
    const float *values = llama_get_embeddings_seq(e->context, (llama_seq_id)(index - from));
    if (!values)
        return mc_fail(err, MC_INTERNAL, "llama.cpp gives no vector of the text");
    mc_str answer = {(const char *)values, dimension * sizeof(*values)};
    float *copy = mc_arena_array(r->arena, dimension, sizeof(*copy));
    if (!copy)
        return mc_fail_memory(err);
    memcpy(copy, values, answer.len);
    answer.data = (const char *)copy;
    enum mc_status status = call->accept ? call->accept(call->accept_context, answer, err) : MC_OK;
    if (status == MC_OK)
        call->answer = answer;
    return status;
}

static void settle(struct mc_llm_call *call, enum mc_status status, const struct mc_error *err)
{
    call->status = status;
    call->error = *err;
    if (status == MC_OK)
        call->error = (struct mc_error){0};
    call->no_attempt = false;
}

static void note(struct embed *e, const struct mc_llm_usage *usage, const struct mc_error *err)
{
    mc_mutex_lock(&e->lock);
    mc_llm_usage_add(&e->total, usage);
    double took = (double)usage->took_us;
    e->latency_us = e->latency_us > 0 ? e->latency_us + LATELY * (took - e->latency_us) : took;
    if (usage->failures > 0) {
        (void)mc_utf8_line(mc_str_of(err->message), e->last_error, sizeof(e->last_error));
        e->last_error_us = mc_time_now_us();
    }
    mc_mutex_unlock(&e->lock);
}

/* Evaluates the texts from..to, which fit, while it has the context. */
static void evaluate(struct round *r, size_t from, size_t to)
{
    struct embed *e = r->embed;
    struct mc_error err = {0};
    int64_t start_us = mc_time_monotonic_us();
    struct mc_llm_usage usage = {.calls = 1};
    struct llama_batch batch = llama_batch_init((int32_t)e->most, 0, 1);
    fill_batch(r, from, to, &batch);
    enum mc_status all = run(e, batch, &err);
    llama_batch_free(batch);
    for (size_t i = from; i < to; i++) {
        enum mc_status status = all == MC_OK ? take(r, i, from, &err) : all;
        settle(&r->calls[i], status, &err);
        r->calls[i].usage.tokens_in = (int64_t)r->texts[i].count;
        usage.tokens_in += (int64_t)r->texts[i].count;
        usage.failures = status == MC_OK ? usage.failures : 1;
    }
    usage.took_us = mc_time_monotonic_us() - start_us;
    r->calls[from].usage.calls = 1;
    r->calls[from].usage.failures = usage.failures;
    r->calls[from].usage.took_us = usage.took_us;
    note(e, &usage, &err);
}

/* How many texts from there on go into one batch; at least one. */
static size_t batch_end(const struct round *r, size_t from)
{
    size_t tokens = r->texts[from].count, to = from + 1;
    while (to < r->count && to - from < SEQUENCES && r->texts[to].count > 0 &&
           tokens + r->texts[to].count <= r->embed->most)
        tokens += r->texts[to++].count;
    return to;
}

static void clear_outcome(struct round *r, struct mc_llm_call *call, mc_str model)
{
    call->error = (struct mc_error){0};
    call->status = mc_fail_memory(&call->error);
    call->answer = MC_STR_NONE;
    call->confidence = -1;
    call->truncated = false;
    call->provider = "llama_cpp";
    call->model = model;
    call->passed_over = MC_STR_NONE;
    call->retry_at_us = 0;
    call->out_of_order = false;
    call->no_attempt = true;
    call->usage = (struct mc_llm_usage){0};
    r->query = r->query || !call->joinable;
}

static void generate(struct mc_llm *llm, struct mc_llm_call *calls, size_t count,
                     const struct mc_llm_wait *wait, struct mc_arena *arena)
{
    static const struct mc_llm_wait no_wait;
    struct round r = {.embed = of(llm),
                      .calls = calls,
                      .count = count,
                      .wait = wait ? wait : &no_wait,
                      .arena = arena};
    mc_str model = mc_arena_copy(arena, mc_str_of(r.embed->model.name));
    for (size_t i = 0; i < count; i++)
        clear_outcome(&r, &calls[i], model);
    r.texts = mc_arena_array(arena, count, sizeof(*r.texts));
    if (!r.texts || !model.data)
        return;
    for (size_t i = 0; i < count; i++) {
        enum mc_status status = tokenize(&r, i, &calls[i].error);
        calls[i].status = status;
        r.texts[i].count = status == MC_OK ? r.texts[i].count : 0;
    }
    enum mc_status stopped = MC_OK;
    for (size_t i = 0, to; i < count; i = to) {
        to = i + 1;
        if (r.texts[i].count == 0)
            continue;
        if (stopped == MC_OK)
            stopped = acquire(&r);
        if (stopped != MC_OK) {
            calls[i].status = mc_fail(&calls[i].error, stopped,
                                      stopped == MC_TIMEOUT ? "no vector in the time given"
                                                            : "cancelled while it waited");
            continue;
        }
        to = batch_end(&r, i);
        evaluate(&r, i, to);
        release(r.embed);
    }
}

/* ---- The rest ---- */

static bool count_tokens(struct mc_llm *llm, mc_str text, size_t *tokens)
{
    (void)llm;
    (void)text;
    (void)tokens;
    return false; /* it is not the tokenizer of who reads a context */
}

static size_t describe(struct mc_llm *llm, struct mc_llm_state *states, size_t max)
{
    struct embed *e = of(llm);
    if (max == 0)
        return 0;
    *states = (struct mc_llm_state){.provider = "llama_cpp",
                                    .state = "ready",
                                    .context_tokens = (int64_t)e->most,
                                    .parallel = llm->parallel};
    snprintf(states->model, sizeof(states->model), "%s", e->model.name);
    snprintf(states->detail, sizeof(states->detail), "%s", e->model.warning);
    mc_mutex_lock(&e->lock);
    states->total = e->total;
    states->latency_us = e->latency_us;
    snprintf(states->last_error, sizeof(states->last_error), "%s", e->last_error);
    states->last_error_us = e->last_error_us;
    mc_mutex_unlock(&e->lock);
    return 1;
}

static void close_embed(struct mc_llm *llm)
{
    struct embed *e = of(llm);
    if (e->context)
        llama_free(e->context);
    mc_local_model_close(&e->model);
    mc_cond_fini(&e->free);
    mc_mutex_fini(&e->lock);
    free(e);
}

static const struct mc_llm_ops embed_ops = {.name = "llama_cpp",
                                            .close = close_embed,
                                            .generate = generate,
                                            .count_tokens = count_tokens,
                                            .describe = describe};

static enum mc_status make_context(struct embed *e, const struct mc_local_options *options,
                                   enum llama_pooling_type pooling, struct mc_error *err)
{
    char why[256];
    int threads = options->n_threads > 0 ? options->n_threads
                  : mc_core_count() > 3  ? mc_core_count() - 2
                                         : 1;
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = params.n_batch = params.n_ubatch = (uint32_t)e->most;
    params.n_seq_max = SEQUENCES;
    params.n_threads = params.n_threads_batch = threads;
    params.embeddings = true;
    params.pooling_type = pooling;
    params.kv_unified = true;
    if (e->context)
        llama_free(e->context);
    mc_local_log_take(why, sizeof(why));
    e->context = llama_init_from_model(e->model.model, params);
    mc_local_log_take(why, sizeof(why));
    if (e->context)
        return MC_OK;
    return mc_fail_field(err, MC_CONFIG, "embeddings.llama_cpp.n_ctx",
                         "llama.cpp makes no context of %zu tokens for '%s': %s", e->most,
                         e->model.path, why[0] ? why : "no reason given");
}

static enum mc_status open_context(struct embed *e, const struct mc_local_options *options,
                                   struct mc_error *err)
{
    int32_t trained = llama_model_n_ctx_train(e->model.model);
    e->most = options->n_ctx;
    if (trained > 0 && e->most > (size_t)trained)
        e->most = (size_t)trained;
    e->model.warning[0] = '\0'; /* a shorter window than asked for is all that a text gets */
    enum mc_status status = make_context(e, options, LLAMA_POOLING_TYPE_UNSPECIFIED, err);
    if (status == MC_OK && llama_pooling_type(e->context) == LLAMA_POOLING_TYPE_NONE)
        status = make_context(e, options, LLAMA_POOLING_TYPE_MEAN, err);
    if (status == MC_OK && llama_pooling_type(e->context) == LLAMA_POOLING_TYPE_RANK)
        status = mc_fail_field(err, MC_CONFIG, e->model.field,
                               "'%s' (%s) compares two texts and makes no vectors; name an "
                               "embedding model",
                               e->model.path, e->model.name);
    return status;
}

enum mc_status mc_local_embed_open(const struct mc_local_options *options, struct mc_llm **llm,
                                   struct mc_error *err)
{
    struct embed *e = calloc(1, sizeof(*e));
    if (!e)
        return mc_fail_memory(err);
    e->llm = (struct mc_llm){.ops = &embed_ops, .parallel = SEQUENCES};
    mc_mutex_init(&e->lock);
    mc_cond_init(&e->free);
    enum mc_status status = mc_local_model_open(options, &e->model, err);
    if (status == MC_OK)
        status = open_context(e, options, err);
    if (status != MC_OK) {
        close_embed(&e->llm);
        return status;
    }
    *llm = &e->llm;
    return MC_OK;
}
