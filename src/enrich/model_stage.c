#include "enrich/model_stage.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "enrich/answer.h"
#include "enrich/builtin.h"
#include "enrich/flights.h"
#include "enrich/prompt.h"

/*
 * DESIGN. A batch goes through three steps: sort (who must be asked about, who takes over an answer, who
 * waits), ask (one generate call), judge (an outcome for each). A question is marked as in flight before
 * its twin is looked for, and until the batch is committed: so whoever finds it no longer in flight also
 * finds its answer in the store.
 */

#define PROVIDERS_MAX 8
#define TWIN_MAX ((size_t)1 << 20)

struct mc_model_stage {
    struct mc_model_stage_options options;
    struct mc_prompt *prompt; /* NULL without a model */
    struct mc_flights flights;
};

struct item {
    const struct mc_job *job;
    struct mc_outcome *outcome;
    bool settled;              /* the outcome is set */
    const struct item *leader; /* an earlier item with the same question; NULL: none */
    struct mc_llm_call *call;  /* NULL: not asked about */
    struct mc_metadata builtin;
    unsigned char hash[MC_HASH_BYTES];
};

struct batch {
    struct mc_model_stage *stage;
    struct mc_work *work;
    struct item *items;
    struct mc_llm_call *calls;
    struct mc_llm_turn *turns; /* one a call */
    size_t call_count;
    bool stopped; /* while the model was asked */
};

/* ---- Outcomes of one item ---- */

static void fail(struct item *item, const struct mc_error *error)
{
    mc_outcome_fail(item->outcome, error, 0);
    item->settled = true;
}

static void put_off(struct item *item, int64_t retry_at_us, const char *why)
{
    *item->outcome = (struct mc_outcome){.verdict = MC_JOB_LATER, .retry_at_us = retry_at_us};
    mc_fail(&item->outcome->error, MC_UNAVAILABLE, "%s", why);
    item->settled = true;
}

/* Completes the item with the metadata; hash absent: nobody else takes them over. */
static void settle(struct batch *batch, struct item *item, const struct mc_metadata *metadata,
                   bool findable)
{
    struct mc_arena *arena = batch->work->arena;
    struct mc_enrichment_result result = {.metadata = *metadata};
    struct mc_error error;
    enum mc_status status = mc_result_finish(&item->job->record->m, arena, &result, &error);
    if (!status)
        status = mc_outcome_done(item->outcome, item->job, &result, arena, &error);
    if (!status && findable) {
        mc_str *hash = &item->outcome->completion.content_hash;
        *hash = mc_arena_copy(arena, (mc_str){(const char *)item->hash, MC_HASH_BYTES});
        status = hash->data ? MC_OK : mc_fail_memory(&error);
    }
    item->settled = true;
    if (status)
        fail(item, &error);
}

/* With the built-in metadata; reason NULL: there is no model whose answer they stand in for. */
static void settle_builtin(struct batch *batch, struct item *item, const char *reason)
{
    struct mc_metadata metadata = item->builtin;
    if (reason) {
        metadata.fallback_reason = mc_arena_copy(batch->work->arena, mc_str_of(reason));
        if (!metadata.fallback_reason.data) {
            struct mc_error error;
            mc_fail_memory(&error);
            fail(item, &error);
            return;
        }
    }
    settle(batch, item, &metadata, false);
}

/* ---- Sorting ---- */

static const struct item *find_leader(const struct batch *batch, size_t index)
{
    const struct item *item = &batch->items[index];
    for (size_t i = 0; i < index; i++) {
        const struct item *other = &batch->items[i];
        if (!other->leader && memcmp(other->hash, item->hash, MC_HASH_BYTES) == 0)
            return other;
    }
    return NULL;
}

/* Takes over the answer that is stored for the same question, when there is one. */
static enum mc_status reuse(struct batch *batch, struct item *item, struct mc_error *err)
{
    struct mc_store *store = batch->stage->options.store;
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_buf_init(&json, TWIN_MAX);
    mc_str hash = {(const char *)item->hash, MC_HASH_BYTES};
    struct mc_error error;
    enum mc_status status = store->ops->twin(store, hash, &json, &error);
    if (status && status != MC_NOT_FOUND) {
        if (err)
            *err = error;
        return status;
    }
    struct mc_metadata metadata;
    /* One that cannot be read is no reason not to ask. */
    if (status || mc_metadata_parse(mc_buf_str(&json), batch->work->arena, &metadata, &error) ||
        !mc_str_equal(metadata.method, MC_STR("llm")))
        return MC_OK;
    settle(batch, item, &metadata, true);
    item->outcome->reused = item->outcome->verdict == MC_JOB_DONE;
    return MC_OK;
}

static enum mc_status add_call(struct batch *batch, struct item *item, struct mc_error *err)
{
    const struct mc_prompt *prompt = batch->stage->prompt;
    struct mc_llm_turn *turn = &batch->turns[batch->call_count];
    turn->text = mc_prompt_turn(&item->job->record->m, batch->work->arena);
    if (!turn->text.data)
        return mc_fail_memory(err);
    item->call = &batch->calls[batch->call_count++];
    *item->call = (struct mc_llm_call){
        .operation = MC_LLM_ENRICH,
        .system = prompt->system,
        .turns = turn,
        .turn_count = 1,
        .schema = prompt->schema,
        .max_tokens = MC_PROMPT_ANSWER_TOKENS,
        .joinable = true,
        .accept = mc_answer_accept,
        .confidence = -1,
    };
    return MC_OK;
}

/* What is to be done about one item; a failure is one of the store. */
static enum mc_status sort_item(struct batch *batch, size_t index, mc_str model,
                                struct mc_error *err)
{
    struct mc_model_stage *stage = batch->stage;
    struct item *item = &batch->items[index];
    const struct mc_message *message = &item->job->record->m;
    struct mc_error error;
    if (!mc_builtin_enrich(stage->options.vocabulary, message->text, message->role,
                           batch->work->arena, &item->builtin)) {
        mc_fail_memory(&error);
        fail(item, &error);
        return MC_OK;
    }
    if (!stage->options.llm) {
        settle_builtin(batch, item, NULL);
        return MC_OK;
    }
    mc_prompt_hash(stage->prompt, message, model, item->hash);
    item->leader = find_leader(batch, index);
    if (item->leader)
        return MC_OK;
    bool begun;
    if (!mc_flights_begin(&stage->flights, item->hash, batch->work, &begun))
        return mc_fail_memory(err);
    if (!begun) {
        put_off(item, mc_time_now_us() + MC_MODEL_WAIT_US,
                "the same text of another message is being read by the model");
        return MC_OK;
    }
    enum mc_status status = reuse(batch, item, err);
    if (!status && !item->settled && add_call(batch, item, &error))
        fail(item, &error);
    return status;
}

/* The first provider's: it stands for what is asked, whoever answers. */
static void name_model(const struct mc_model_stage *stage, char *name, size_t size)
{
    struct mc_llm *llm = stage->options.llm;
    struct mc_llm_state *states = calloc(PROVIDERS_MAX, sizeof(*states));
    size_t count = states && llm ? llm->ops->describe(llm, states, PROVIDERS_MAX) : 0;
    size_t len = 0;
    if (count > 0) {
        len = strnlen(states[0].model, sizeof(states[0].model));
        len = len < size ? len : size - 1;
        memcpy(name, states[0].model, len);
    }
    name[len] = '\0';
    free(states);
}

/* ---- Judging ---- */

/* Not before the provider may be asked again: wall clock. */
static int64_t patience_until(int64_t retry_at_us)
{
    int64_t wait = retry_at_us - mc_time_monotonic_us();
    if (wait < MC_MODEL_WAIT_US)
        wait = MC_MODEL_WAIT_US;
    return mc_time_now_us() + (wait < MC_MODEL_PATIENCE_US ? wait : MC_MODEL_PATIENCE_US);
}

/* No model may be asked today, or ever, as long as things stay as they are. */
static bool is_out_of_reach(const struct mc_llm_call *call)
{
    return call->no_attempt && call->retry_at_us == 0 && call->status != MC_NO_MEMORY;
}

static void judge_failure(struct batch *batch, struct item *item)
{
    const struct mc_llm_call *call = item->call;
    if (batch->stopped || call->status == MC_CANCELLED) {
        item->settled = true; /* says nothing of the message: MC_JOB_RELEASED as it was */
    } else if (batch->stage->options.fallback_builtin || is_out_of_reach(call)) {
        settle_builtin(batch, item, call->error.message);
        if (!call->no_attempt && item->outcome->verdict == MC_JOB_DONE)
            item->outcome->error = call->error;
    } else if (call->no_attempt) {
        put_off(item, patience_until(call->retry_at_us), call->error.message);
    } else {
        fail(item, &call->error);
        item->outcome->retry_at_us = call->retry_at_us ? patience_until(call->retry_at_us) : 0;
        item->outcome->excused = call->out_of_order;
    }
}

static void judge(struct batch *batch, struct item *item)
{
    struct mc_llm_call *call = item->call;
    struct mc_metadata metadata;
    if (!call->status)
        call->status =
            mc_answer_read(batch->stage->options.vocabulary, item->job->record->m.text,
                           &item->builtin, call, batch->work->arena, &metadata, &call->error);
    if (call->status)
        judge_failure(batch, item);
    else
        settle(batch, item, &metadata, true);
}

/* The same as of the leader, without another question or another failure. */
static void follow(struct batch *batch, struct item *item)
{
    const struct mc_outcome *leader = item->leader->outcome;
    if (leader->verdict == MC_JOB_DONE) {
        bool answered = leader->method == MC_METHOD_LLM;
        settle(batch, item, leader->metadata, answered);
        item->outcome->reused = answered && item->outcome->verdict == MC_JOB_DONE;
    } else if (leader->verdict == MC_JOB_LATER) {
        put_off(item, leader->retry_at_us, leader->error.message);
    } else if (leader->verdict == MC_JOB_FAILED) {
        put_off(item, mc_time_now_us() + MC_MODEL_WAIT_US,
                "the model was asked about the same text of another message, in vain");
    }
}

/* ---- The batch ---- */

static bool keep(void *context)
{
    struct batch *batch = context;
    bool go_on = batch->work->keep(batch->work->keep_context);
    batch->stopped = batch->stopped || !go_on;
    return go_on;
}

static void ask(struct batch *batch)
{
    struct mc_llm *llm = batch->stage->options.llm;
    const struct mc_llm_wait wait = {.tick = keep, .context = batch};
    if (batch->call_count > 0)
        llm->ops->generate(llm, batch->calls, batch->call_count, &wait, batch->work->arena);
}

/* When no provider could be asked, the next batch would fare no better until one may be. */
static void rest(const struct batch *batch)
{
    int64_t until_us = 0;
    for (size_t i = 0; i < batch->call_count; i++) {
        const struct mc_llm_call *call = &batch->calls[i];
        if (!call->status || !call->no_attempt || !call->retry_at_us)
            return;
        if (until_us == 0 || call->retry_at_us < until_us)
            until_us = call->retry_at_us;
    }
    int64_t latest_us = mc_time_monotonic_us() + MC_MODEL_PATIENCE_US;
    if (!batch->stage->options.fallback_builtin)
        batch->work->rest_until_us = until_us < latest_us ? until_us : latest_us;
}

enum mc_status mc_model_stage_handle(void *stage, struct mc_work *work, struct mc_error *err)
{
    struct batch batch = {
        .stage = stage,
        .work = work,
        .items = mc_arena_array(work->arena, work->count, sizeof(*batch.items)),
        .calls = mc_arena_array(work->arena, work->count, sizeof(*batch.calls)),
        .turns = mc_arena_array(work->arena, work->count, sizeof(*batch.turns)),
    };
    if (!batch.items || !batch.calls || !batch.turns)
        return mc_fail_memory(err);
    char model[sizeof(((struct mc_llm_state *)NULL)->model)];
    name_model(stage, model, sizeof(model));
    enum mc_status status = MC_OK;
    for (size_t i = 0; i < work->count && !status; i++) {
        batch.items[i].job = &work->jobs[i];
        batch.items[i].outcome = &work->outcomes[i];
        status = sort_item(&batch, i, mc_str_of(model), err);
    }
    if (status)
        return status;
    ask(&batch);
    for (size_t i = 0; i < work->count; i++) {
        if (batch.items[i].call)
            judge(&batch, &batch.items[i]);
    }
    for (size_t i = 0; i < work->count; i++) {
        if (batch.items[i].leader)
            follow(&batch, &batch.items[i]);
    }
    rest(&batch);
    return MC_OK;
}

void mc_model_stage_settled(void *stage, const struct mc_work *work)
{
    struct mc_model_stage *s = stage;
    mc_flights_end(&s->flights, work);
}

size_t mc_model_stage_batch(const struct mc_model_stage *stage)
{
    size_t parallel = stage->options.llm ? stage->options.llm->parallel : MC_MODEL_BATCH_MAX;
    if (parallel == 0)
        return 1;
    return parallel < MC_MODEL_BATCH_MAX ? parallel : MC_MODEL_BATCH_MAX;
}

enum mc_status mc_model_stage_new(const struct mc_model_stage_options *options,
                                  struct mc_model_stage **stage, struct mc_error *err)
{
    struct mc_model_stage *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->options = *options;
    mc_flights_init(&made->flights);
    enum mc_status status =
        options->llm ? mc_prompt_new(options->vocabulary, &made->prompt, err) : MC_OK;
    if (status) {
        mc_model_stage_free(made);
        return status;
    }
    *stage = made;
    return MC_OK;
}

void mc_model_stage_free(struct mc_model_stage *stage)
{
    if (!stage)
        return;
    mc_prompt_free(stage->prompt);
    mc_flights_fini(&stage->flights);
    free(stage);
}
