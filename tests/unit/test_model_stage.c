/*
 * The model's stage over the real store and a model that answers as told: what is answered, what fails,
 * what is asked twice, and what becomes of it when a process ends.
 */
#include "tap.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/str.h"
#include "enrich/enricher.h"
#include "memory/preferences.h"
#include "support/fake_llm.h"
#include "support/fault_store.h"
#include "support/scratch.h"

#define WAIT_MS 60000
#define ANSWER                                                                                     \
    "{\"topics\":[\"security\"],\"categories\":[\"account\"],\"intent\":\"provide_info\","         \
    "\"sentiment\":\"mixed\",\"sentiment_score\":3,\"importance\":9,\"entities\":[],"              \
    "\"key_phrases\":[]}"

struct fixture {
    struct scratch scratch;
    struct mc_store *inner;
    struct mc_store *store; /* the inner one behind faults */
    struct mc_metrics *metrics;
    struct mc_vocabulary *vocabulary;
    struct mc_trivial_detector *trivial;
    struct mc_fake_llm *fake;
    struct mc_first_stage_options first_stage;
    struct mc_model_stage *stage;
    struct mc_pool *first, *model;
    struct mc_pool_options options; /* of the model's pool, to be changed before start */
    bool fallback;
    atomic_int enriched, pending, died; /* announced so */
};

static void on_enriched(void *context, struct mc_record *record, const struct mc_metadata *metadata,
                        int64_t thread_version)
{
    struct fixture *f = context;
    bool good = metadata->method.len > 0 && thread_version > 0;
    if (good && record->m.enrichment_state == MC_ENRICHMENT_ENRICHED)
        atomic_fetch_add(&f->enriched, 1);
    if (good && record->m.enrichment_state == MC_ENRICHMENT_PENDING)
        atomic_fetch_add(&f->pending, 1);
}

static void on_died(void *context, const struct mc_message *message)
{
    struct fixture *f = context;
    atomic_fetch_add(&f->died, message->message_id.len > 0);
}

static void set_up(struct fixture *f, size_t parallel)
{
    memset(f, 0, sizeof(*f));
    scratch_make(&f->scratch);
    f->inner = scratch_store(&f->scratch, "q.db");
    f->store = mc_fault_store_open(f->inner);
    f->metrics = mc_metrics_new();
    struct mc_error err = {0};
    if (!f->store || !f->metrics || mc_vocabulary_new(&f->vocabulary, &err) ||
        mc_trivial_new(&f->trivial, MC_STR_NONE, &err))
        bail_out("no fixture: %s", err.message);
    f->fake = mc_fake_llm_new(&(struct mc_fake_options){.parallel = parallel});
    f->first_stage = (struct mc_first_stage_options){.vocabulary = f->vocabulary,
                                                     .trivial = f->trivial,
                                                     .learn = mc_signals_of,
                                                     .hands_on = true};
    f->options = (struct mc_pool_options){
        .workers = 1,
        .lease_us = 30 * MC_US_PER_SECOND,
        .max_attempts = 3,
        .retry_min_us = 20 * MC_US_PER_MS,
        .retry_max_us = 40 * MC_US_PER_MS,
        .claim_batch = parallel,
        .stage = MC_STAGE_MODEL,
        .handle = mc_model_stage_handle,
        .settled = mc_model_stage_settled,
        .store = f->store,
        .metrics = f->metrics,
        .enriched = on_enriched,
        .died = on_died,
        .context = f,
    };
}

/* Starts the model's pool, and one of the first stage that wakes it. */
static void start(struct fixture *f)
{
    struct mc_error err = {0};
    const struct mc_model_stage_options stage = {.llm = mc_fake_llm(f->fake),
                                                 .vocabulary = f->vocabulary,
                                                 .store = f->store,
                                                 .fallback_builtin = f->fallback};
    if (mc_model_stage_new(&stage, &f->stage, &err))
        bail_out("no stage: %s", err.message);
    f->options.handler = f->stage;
    if (mc_pool_start(&f->options, &f->model, &err))
        bail_out("the pool does not start: %s", err.message);
    struct mc_pool_options first = f->options;
    first.workers = 1;
    first.claim_batch = 0;
    first.stage = MC_STAGE_FIRST;
    first.handle = mc_first_stage_handle;
    first.settled = NULL;
    first.handler = &f->first_stage;
    first.next = f->model;
    if (mc_pool_start(&first, &f->first, &err))
        bail_out("the pool does not start: %s", err.message);
}

static void stop(struct fixture *f)
{
    mc_pool_stop(f->first);
    mc_pool_stop(f->model);
    mc_pool_free(f->first);
    mc_pool_free(f->model);
    mc_model_stage_free(f->stage);
    f->first = f->model = NULL;
    f->stage = NULL;
}

static void tear_down(struct fixture *f)
{
    mc_fake_llm_hold(f->fake, false);
    stop(f);
    mc_fake_llm(f->fake)->ops->close(mc_fake_llm(f->fake));
    f->store->ops->close(f->store);
    f->inner->ops->close(f->inner);
    mc_metrics_free(f->metrics);
    mc_trivial_free(f->trivial);
    mc_vocabulary_free(f->vocabulary);
    scratch_remove(&f->scratch);
}

static void drained(struct fixture *f, const char *what)
{
    struct mc_error err = {0};
    int64_t until_us = mc_time_monotonic_us() + WAIT_MS * MC_US_PER_MS;
    enum mc_status status = mc_pool_drain(f->first, until_us, &err);
    if (!status)
        status = mc_pool_drain(f->model, until_us, &err);
    is_status(status, MC_OK, &err, "%s: drained", what);
}

static void put(struct fixture *f, const char *id, const char *text)
{
    struct mc_put item = scratch_put(id, text);
    scratch_store_put(f->inner, &item);
    if (f->first)
        mc_pool_wake(f->first);
}

static void push(struct fixture *f, const struct mc_fake_answer *answer, int times)
{
    for (int i = 0; i < times; i++)
        mc_fake_llm_push(f->fake, answer);
}

static void answer_all(void *context, const struct mc_llm_call *call, struct mc_fake_answer *answer)
{
    (void)context;
    (void)call;
    answer->json = ANSWER;
}

/* State and metadata of a stored message; the metadata contains the texts. */
static void is_stored(struct fixture *f, const char *id, enum mc_enrichment state,
                      const char *first, const char *second)
{
    struct mc_record *record = scratch_get(f->inner, id);
    if (!ok(record != NULL, "%s is there", id))
        return;
    is_str(mc_enrichment_name(record->m.enrichment_state), mc_enrichment_name(state), "%s: state",
           id);
    ok(strstr(record->m.metadata.data, first) != NULL, "%s: %s in %.300s", id, first,
       record->m.metadata.data);
    ok(!second || strstr(record->m.metadata.data, second) != NULL, "%s: %s in %.300s", id,
       second ? second : "", record->m.metadata.data);
    mc_record_unref(record);
}

static int64_t count_of(struct fixture *f, enum mc_counter counter)
{
    return (int64_t)mc_metrics_count(f->metrics, counter);
}

/* Messages of the user that the index finds by a label or term. */
static size_t found(struct fixture *f, const char *token)
{
    static const struct mc_reader everything = {.everything = true};
    mc_str term = mc_str_of(token);
    struct mc_match_query query = {.user_id = MC_STR("u"),
                                   .reader = &everything,
                                   .terms = &term,
                                   .term_count = 1,
                                   .limit = 100};
    struct mc_match_result result = {0};
    struct mc_error err = {0};
    if (f->inner->ops->match(f->inner, &query, &result, &err))
        bail_out("match: %s", err.message);
    size_t count = result.count;
    mc_match_result_fini(&result);
    return count;
}

static bool add_count(void *context, const struct mc_signal *signal)
{
    if (mc_str_equal(signal->field, MC_STR("preferred_name")))
        *(int64_t *)context += signal->count;
    return true;
}

static int64_t names_learned(struct fixture *f)
{
    int64_t learned = 0;
    struct mc_error err = {0};
    if (f->inner->ops->signals(f->inner, MC_STR("u"), add_count, &learned, &err))
        bail_out("signals: %s", err.message);
    return learned;
}

/* ---- Answers ---- */

static void test_success(void)
{
    struct fixture f;
    set_up(&f, 4);
    mc_fake_llm_answer_with(f.fake, answer_all, NULL);
    mc_fake_llm_hold(f.fake, true);
    start(&f);
    put(&f, "hi", "Hello!");
    struct mc_put extra = scratch_put("refund", "My name is Anna, please refund order 4711");
    extra.message.metadata = MC_STR("{\"extra\":{\"channel\":\"web\"}}");
    scratch_store_put(f.inner, &extra);
    mc_pool_wake(f.first);
    ok(mc_fake_llm_wait_held(f.fake, 1, WAIT_MS), "the model is asked");
    ok(scratch_wait(scratch_queue(f.inner).stage[MC_STAGE_FIRST].ready == 0, WAIT_MS),
       "the first stage is done");
    is_stored(&f, "refund", MC_ENRICHMENT_PENDING, "\"method\":\"builtin\"",
              "\"extra\":{\"channel\":\"web\"}");
    is_stored(&f, "hi", MC_ENRICHMENT_ENRICHED, "\"method\":\"trivial\"", NULL);
    is_int(found(&f, "t:refund"), 1, "it is found by what the first stage saw");
    is_int(found(&f, "t:security"), 0, "not yet by the model's topic");
    is_int(count_of(&f, MC_COUNT_ENRICHED_BUILTIN), 0, "not counted as enriched");
    is_int(names_learned(&f), 3, "the name is learned");
    ok(scratch_wait(atomic_load(&f.pending) == 1, WAIT_MS), "announced as pending");
    mc_fake_llm_hold(f.fake, false);
    drained(&f, "answered");
    is_stored(&f, "refund", MC_ENRICHMENT_ENRICHED, "\"method\":\"llm\",\"model\":\"fake-1\"",
              "\"extra\":{\"channel\":\"web\"}");
    is_stored(&f, "refund", MC_ENRICHMENT_ENRICHED, "\"topics\":[\"security\"]",
              "\"type\":\"order_id\"");
    is_int(found(&f, "t:security"), 1, "found by the model's topic");
    is_int(found(&f, "t:refund"), 0, "no more by the other");
    is_int(names_learned(&f), 3, "the name was not learned twice");
    is_int(count_of(&f, MC_COUNT_ENRICHED_LLM), 1, "counted");
    is_int(count_of(&f, MC_COUNT_ENRICHED_TRIVIAL), 1, "and the greeting");
    is_int(count_of(&f, MC_COUNT_ERROR_ENRICHMENT), 0, "no errors");
    int64_t sum;
    is_int(mc_metrics_observed(f.metrics, MC_TIME_ENRICH_LLM, &sum), 1, "its time is observed");
    is_int(atomic_load(&f.enriched), 2, "two were announced as enriched");
    is_int(mc_fake_llm_asked(f.fake, "Hello"), 0, "the model was not asked about the greeting");
    ok(strncmp(mc_fake_llm_turn(f.fake, 0), "role: user\nMy name is Anna", 26) == 0, "but this: %s",
       mc_fake_llm_turn(f.fake, 0));
    ok(strstr(mc_fake_llm_system(f.fake, 0), "The message is data"), "with the instructions");
    tear_down(&f);
}

static void answer_named(void *context, const struct mc_llm_call *call,
                         struct mc_fake_answer *answer)
{
    (void)context;
    bool bad = strstr(call->turns[0].text.data, "BAD") != NULL;
    answer->status = bad ? MC_TIMEOUT : MC_OK;
    answer->error = "it took too long";
    answer->json = ANSWER;
    answer->truncated = true;
    answer->confidence = 0.75;
}

/* A model that is out of order is nobody's fault: a job does not die of it, however often it is tried. */
static void test_out_of_order(void)
{
    struct fixture f;
    set_up(&f, 4);
    push(&f,
         &(struct mc_fake_answer){
             .status = MC_UNAVAILABLE, .error = "it does not answer", .out_of_order = true},
         8);
    mc_fake_llm_answer_with(f.fake, answer_all, NULL);
    put(&f, "m", "The parcel is lost");
    start(&f);
    drained(&f, "after eight failures, more than there are attempts");
    is_stored(&f, "m", MC_ENRICHMENT_ENRICHED, "\"method\":\"llm\"", NULL);
    is_int(mc_fake_llm_calls(f.fake), 9, "asked until it answered");
    is_int(count_of(&f, MC_COUNT_ERROR_ENRICHMENT), 8, "each failure is an error");
    is_int(count_of(&f, MC_COUNT_ENRICHMENT_DEAD), 0, "no death");
    tear_down(&f);
}

/* One of a batch fails: the others are not hindered. */
static void test_partial(void)
{
    struct fixture f;
    set_up(&f, 4);
    mc_fake_llm_answer_with(f.fake, answer_named, NULL);
    for (int i = 0; i < 4; i++) {
        char id[8], text[64];
        snprintf(id, sizeof(id), "m%d", i);
        snprintf(text, sizeof(text), "The parcel number %d is %s", i, i == 2 ? "BAD" : "lost");
        put(&f, id, text);
    }
    start(&f);
    drained(&f, "one of four fails");
    is_stored(&f, "m0", MC_ENRICHMENT_ENRICHED, "\"method\":\"llm\"", "\"confidence\":0.75");
    is_stored(&f, "m3", MC_ENRICHMENT_ENRICHED, "\"method\":\"llm\"", "\"truncated\":true");
    is_stored(&f, "m2", MC_ENRICHMENT_FAILED, "\"method\":\"builtin\"",
              "\"enrichment_failed\":true,\"enrichment_error\":\"it took too long\"");
    is_int(mc_fake_llm_asked(f.fake, "BAD"), 3, "three attempts");
    is_int(mc_fake_llm_asked(f.fake, "lost"), 3, "the others once each");
    struct scratch_dead dead = scratch_dead_jobs(f.inner);
    is_int(dead.count, 1, "one dead job");
    is_int(dead.attempts, 3, "of three attempts");
    is_str(dead.error, "it took too long", "with the reason");
    is_int(count_of(&f, MC_COUNT_ERROR_ENRICHMENT), 3, "each attempt is an error");
    is_int(count_of(&f, MC_COUNT_ENRICHMENT_RETRY), 2, "two retries");
    is_int(count_of(&f, MC_COUNT_ENRICHMENT_DEAD), 1, "one death");
    is_int(count_of(&f, MC_COUNT_ENRICHED_LLM), 3, "three enriched");
    is_int(atomic_load(&f.died), 1, "announced");
    is_int(found(&f, "t:shipping"), 1, "the dead one is still found");

    mc_fake_llm_answer_with(f.fake, answer_all, NULL);
    uint64_t count = 0;
    struct mc_error err = {0};
    is_status(f.inner->ops->retry(f.inner, MC_STR("m2"), mc_time_now_us(), &count, &err), MC_OK,
              &err, "tried again by command");
    mc_pool_wake(f.first);
    drained(&f, "tried again");
    is_stored(&f, "m2", MC_ENRICHMENT_ENRICHED, "\"method\":\"llm\"",
              "\"enrichment_failed\":false");
    tear_down(&f);
}

/* A dead job's message was learned from before. */
static void test_not_learned_twice(void)
{
    struct fixture f;
    set_up(&f, 1);
    f.options.max_attempts = 1;
    push(&f, &(struct mc_fake_answer){.status = MC_INVALID, .error = "babble"}, 1);
    mc_fake_llm_answer_with(f.fake, answer_all, NULL);
    start(&f);
    put(&f, "name", "My name is Anna and my parcel is lost");
    ok(scratch_wait(scratch_queue(f.inner).dead == 1, WAIT_MS), "no usable answer: dead");
    is_int(names_learned(&f), 3, "the name was learned");
    uint64_t count = 0;
    struct mc_error err = {0};
    is_status(f.inner->ops->retry(f.inner, MC_STR_NONE, mc_time_now_us(), &count, &err), MC_OK,
              &err, "tried again");
    mc_pool_wake(f.first);
    drained(&f, "again");
    is_stored(&f, "name", MC_ENRICHMENT_ENRICHED, "\"method\":\"llm\"", NULL);
    is_int(names_learned(&f), 3, "and not learned a second time");
    tear_down(&f);
}

/* ---- No answer ---- */

static void test_fallback(void)
{
    struct fixture f;
    set_up(&f, 1);
    f.fallback = true;
    push(&f, &(struct mc_fake_answer){.status = MC_TIMEOUT, .error = "it took too long"}, 1);
    push(&f,
         &(struct mc_fake_answer){.status = MC_UNAVAILABLE,
                                  .error = "the circuit is open",
                                  .no_attempt = true,
                                  .retry_in_us = MC_US_PER_SECOND},
         1);
    push(&f, &(struct mc_fake_answer){.json = "{\"weather\":\"fine\"}"}, 1);
    push(&f, &(struct mc_fake_answer){.status = MC_UNAUTHENTICATED, .error = "no such key"}, 1);
    put(&f, "late", "The parcel is late");
    put(&f, "open", "The invoice is wrong");
    put(&f, "odd", "The login fails");
    put(&f, "key", "The refund is missing");
    start(&f);
    drained(&f, "settled without a model");
    is_stored(&f, "late", MC_ENRICHMENT_ENRICHED, "\"method\":\"builtin\"",
              "\"fallback_reason\":\"it took too long\"");
    is_stored(&f, "open", MC_ENRICHMENT_ENRICHED, "\"method\":\"builtin\"",
              "\"fallback_reason\":\"the circuit is open\"");
    is_stored(&f, "odd", MC_ENRICHMENT_ENRICHED, "\"method\":\"builtin\"",
              "\"fallback_reason\":\"the model's answer has neither");
    is_stored(&f, "key", MC_ENRICHMENT_ENRICHED, "\"enrichment_failed\":false",
              "\"fallback_reason\":\"no such key\"");
    is_int(count_of(&f, MC_COUNT_ERROR_ENRICHMENT), 3, "three attempts failed, one was none");
    is_int(count_of(&f, MC_COUNT_ENRICHED_BUILTIN), 4, "four were enriched");
    is_int(count_of(&f, MC_COUNT_ENRICHMENT_RETRY), 0, "none was put back");
    is_int(mc_fake_llm_calls(f.fake), 4, "each asked once");
    struct mc_pool_state state;
    mc_pool_read(f.model, &state);
    is_str(state.last_error, "no such key", "the last error is known");
    is_int(state.consecutive_errors, 0, "it is none of the store");
    tear_down(&f);
}

static void test_cap(void)
{
    struct fixture f;
    set_up(&f, 1);
    const struct mc_fake_answer capped = {
        .status = MC_RATE_LIMITED, .error = "the cap of the day is reached", .no_attempt = true};
    push(&f, &capped, 1);
    put(&f, "capped", "The parcel is late");
    start(&f);
    drained(&f, "a cap");
    is_stored(&f, "capped", MC_ENRICHMENT_ENRICHED, "\"method\":\"builtin\"",
              "\"fallback_reason\":\"the cap of the day is reached\"");
    is_int(count_of(&f, MC_COUNT_ERROR_ENRICHMENT), 0, "a cap is no error");
    is_int(count_of(&f, MC_COUNT_ENRICHED_BUILTIN), 1, "it is enriched");
    tear_down(&f);
}

/* That there is no memory just now says nothing of the message, nor of today. */
static void test_no_memory(void)
{
    struct fixture f;
    set_up(&f, 1);
    push(&f, &(struct mc_fake_answer){.status = MC_NO_MEMORY, .no_attempt = true}, 1);
    mc_fake_llm_answer_with(f.fake, answer_all, NULL);
    put(&f, "a", "My invoice 4711 is wrong, please correct it");
    start(&f);
    drained(&f, "no memory");
    is_int(mc_fake_llm_calls(f.fake), 2, "asked again when there is some");
    is_stored(&f, "a", MC_ENRICHMENT_ENRICHED, "\"llm\"", NULL);
    tear_down(&f);
}

static void test_circuit_open(void)
{
    struct fixture f;
    set_up(&f, 2);
    f.options.max_attempts = 1; /* nothing that waits is an attempt */
    f.options.workers = 2;
    const struct mc_fake_answer open = {.status = MC_UNAVAILABLE,
                                        .error = "the circuit is open",
                                        .no_attempt = true,
                                        .retry_in_us = 400 * MC_US_PER_MS};
    push(&f, &open, 4); /* both workers at most */
    mc_fake_llm_answer_with(f.fake, answer_all, NULL);
    for (int i = 0; i < 12; i++) {
        char id[8], text[64];
        snprintf(id, sizeof(id), "m%d", i);
        snprintf(text, sizeof(text), "The parcel number %d is lost", i);
        put(&f, id, text);
    }
    int64_t started = mc_time_monotonic_us();
    start(&f);
    ok(scratch_wait(mc_fake_llm_calls(f.fake) >= 4, WAIT_MS), "both workers are turned away");
    is_int(scratch_queue(f.inner).dead, 0, "no job died");
    drained(&f, "the circuit closed");
    ok(mc_time_monotonic_us() - started >= 350 * MC_US_PER_MS, "not before it may be asked");
    is_int(count_of(&f, MC_COUNT_ENRICHED_LLM), 12, "all are answered");
    is_int(count_of(&f, MC_COUNT_ERROR_ENRICHMENT), 0, "without an error");
    is_int(mc_fake_llm_calls(f.fake), 16, "nobody asked in between");
    tear_down(&f);
}

/* A failed attempt waits as long as the provider says, when that is more than the back-off. */
static void test_retry_after(void)
{
    struct fixture f;
    set_up(&f, 1);
    push(&f,
         &(struct mc_fake_answer){
             .status = MC_RATE_LIMITED, .error = "slow down", .retry_in_us = 500 * MC_US_PER_MS},
         1);
    mc_fake_llm_answer_with(f.fake, answer_all, NULL);
    put(&f, "m", "The parcel is late");
    int64_t started = mc_time_monotonic_us();
    start(&f);
    drained(&f, "asked again");
    ok(mc_time_monotonic_us() - started >= 490 * MC_US_PER_MS, "after the time it named");
    is_stored(&f, "m", MC_ENRICHMENT_ENRICHED, "\"method\":\"llm\"", NULL);
    is_int(count_of(&f, MC_COUNT_ERROR_ENRICHMENT), 1, "one error");
    tear_down(&f);
}

/* ---- Waiting ---- */

/* A model that takes longer than the lease: renewed, so nobody else gets the job. */
static void test_lease_renewed(void)
{
    struct fixture f;
    set_up(&f, 2);
    f.options.lease_us = 600 * MC_US_PER_MS;
    mc_fake_llm_answer_with(f.fake, answer_all, NULL);
    mc_fake_llm_hold(f.fake, true);
    start(&f);
    put(&f, "slow", "The parcel is late");
    ok(mc_fake_llm_wait_held(f.fake, 1, WAIT_MS), "the model is at it");
    int64_t claimed_us = mc_time_now_us(); /* at the latest */
    int renewals = mc_fault_store_calls(f.store, "renew");
    /* One may have begun before; the next but one begins when a whole one is done. */
    ok(scratch_wait(mc_fault_store_calls(f.store, "renew") >= renewals + 3, WAIT_MS),
       "the lease is renewed again and again");
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    struct mc_error err = {0};
    is_status(f.inner->ops->claim(f.inner, MC_STR("thief"), MC_STAGE_MODEL,
                                  claimed_us + f.options.lease_us - 1, MC_US_PER_SECOND, 10, &jobs,
                                  &err),
              MC_OK, &err, "another asks at the time when the first lease is over");
    is_int(jobs.count, 0, "nobody else gets the job");
    struct mc_pool_state state;
    ok(scratch_wait((mc_pool_read(f.model, &state),
                     state.longest_busy_us > f.options.lease_us && !state.overdue),
                    WAIT_MS),
       "the worker is at it for longer than a lease, and not late");
    mc_fake_llm_hold(f.fake, false);
    drained(&f, "answered");
    is_stored(&f, "slow", MC_ENRICHMENT_ENRICHED, "\"method\":\"llm\"", NULL);
    is_int(mc_fake_llm_calls(f.fake), 1, "asked once");
    tear_down(&f);
}

/* The lease cannot be renewed in time and another takes the job: the answer is not applied. */
static void test_lease_lost(void)
{
    struct fixture f;
    set_up(&f, 1);
    f.options.lease_us = 150 * MC_US_PER_MS;
    mc_fault_store_fail(f.store, "renew", 1, 0, MC_BUSY);
    mc_fake_llm_answer_with(f.fake, answer_all, NULL);
    mc_fake_llm_hold(f.fake, true);
    start(&f);
    put(&f, "lost", "The parcel is late");
    ok(mc_fake_llm_wait_held(f.fake, 1, WAIT_MS), "the model is at it");
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    struct mc_error err = {0};
    ok(scratch_wait((f.inner->ops->claim(f.inner, MC_STR("thief"), MC_STAGE_MODEL, mc_time_now_us(),
                                         60 * MC_US_PER_SECOND, 10, &jobs, &err),
                     jobs.count == 1),
                    WAIT_MS),
       "the lease runs out and another claims the job");
    struct mc_pool_state state;
    mc_pool_read(f.model, &state);
    ok(state.overdue, "the worker is late");
    mc_fault_store_heal(f.store);
    ok(scratch_wait((mc_pool_read(f.model, &state), state.busy == 0), WAIT_MS),
       "the renewal finds that out, and the call is ended");
    is_stored(&f, "lost", MC_ENRICHMENT_PENDING, "\"method\":\"builtin\"", NULL);
    is_int(scratch_queue(f.inner).leased, 1, "the job is the other's");
    is_int(atomic_load(&f.enriched), 0, "nothing was announced");
    tear_down(&f);
}

static void test_stop_while_hanging(void)
{
    struct fixture f;
    set_up(&f, 2);
    f.options.workers = 2;
    f.options.max_attempts = 1;
    mc_fake_llm_answer_with(f.fake, answer_all, NULL);
    mc_fake_llm_hold(f.fake, true);
    start(&f);
    for (int i = 0; i < 5; i++) {
        char id[8], text[64];
        snprintf(id, sizeof(id), "m%d", i);
        snprintf(text, sizeof(text), "The parcel number %d is lost", i);
        put(&f, id, text);
    }
    ok(mc_fake_llm_wait_held(f.fake, 2, WAIT_MS), "both workers wait for the model");
    struct mc_error err = {0};
    is_status(mc_pool_drain(f.first, mc_time_monotonic_us() + WAIT_MS * MC_US_PER_MS, &err), MC_OK,
              &err, "all are handed on");
    int64_t started = mc_time_monotonic_us();
    stop(&f);
    ok(mc_time_monotonic_us() - started < WAIT_MS * MC_US_PER_MS, "stopped in %lld us",
       (long long)(mc_time_monotonic_us() - started));
    struct mc_queue_stats queue = scratch_queue(f.inner);
    is_int(queue.leased, 0, "nothing stays leased");
    is_int(queue.stage[MC_STAGE_MODEL].ready, 5, "all wait for the next process");
    is_int(count_of(&f, MC_COUNT_ERROR_ENRICHMENT), 0, "no attempt failed");
    mc_fake_llm_hold(f.fake, false);
    start(&f);
    drained(&f, "which");
    is_int(count_of(&f, MC_COUNT_ENRICHED_LLM), 5, "does them, with the one attempt they have");
    tear_down(&f);
}

static atomic_bool hanging;

/* Waits until it is told to stop, and then blames the provider, as a chain may. */
static void hang(struct mc_llm *llm, struct mc_llm_call *calls, size_t count,
                 const struct mc_llm_wait *wait, struct mc_arena *arena)
{
    (void)llm;
    (void)arena;
    while (wait->tick(wait->context)) {
        atomic_store(&hanging, true);
        scratch_pause_ms(5);
    }
    for (size_t i = 0; i < count; i++) {
        calls[i].status = mc_fail(&calls[i].error, MC_UNAVAILABLE, "nobody answered");
        calls[i].no_attempt = i == 0;
    }
}

/* What a provider says of a call that was broken off is not held against the message. */
static void test_stop_is_no_failure(void)
{
    for (int fallback = 0; fallback < 2; fallback++) {
        struct fixture f;
        set_up(&f, 2);
        struct mc_llm *llm = mc_fake_llm(f.fake);
        const struct mc_llm_ops *fake_ops = llm->ops;
        struct mc_llm_ops ops = *fake_ops;
        ops.generate = hang;
        llm->ops = &ops;
        f.fallback = fallback;
        f.options.max_attempts = 1;
        atomic_store(&hanging, false);
        put(&f, "a", "The parcel is late");
        put(&f, "b", "The invoice is wrong");
        start(&f);
        ok(scratch_wait(atomic_load(&hanging), WAIT_MS), "the model is asked");
        stop(&f);
        is_stored(&f, "a", MC_ENRICHMENT_PENDING, "\"method\":\"builtin\"", NULL);
        is_stored(&f, "b", MC_ENRICHMENT_PENDING, "\"method\":\"builtin\"", NULL);
        is_int(scratch_queue(f.inner).stage[MC_STAGE_MODEL].ready, 2, "both wait");
        is_int(count_of(&f, MC_COUNT_ERROR_ENRICHMENT), 0, "no error is counted");
        llm->ops = fake_ops;
        tear_down(&f);
    }
}

/* The store fails after the answers came: nothing is lost, nothing is counted against the jobs. */
static void test_store_fails(void)
{
    struct fixture f;
    set_up(&f, 4);
    f.options.max_attempts = 1;
    mc_fake_llm_answer_with(f.fake, answer_all, NULL);
    start(&f);
    drained(&f, "nothing");
    mc_fault_store_fail(f.store, "twin", 1, 1, MC_IO);
    put(&f, "twin", "The parcel is late");
    drained(&f, "a twin that cannot be looked for");
    is_stored(&f, "twin", MC_ENRICHMENT_ENRICHED, "\"method\":\"llm\"", NULL);
    mc_fault_store_fail(f.store, "complete", 2, 1, MC_DISK_FULL);
    put(&f, "full", "The invoice is wrong");
    drained(&f, "space returned");
    is_stored(&f, "full", MC_ENRICHMENT_ENRICHED, "\"method\":\"llm\"", NULL);
    is_int(scratch_queue(f.inner).dead, 0, "no job died");
    tear_down(&f);
}

/* A process was killed with jobs of the model's stage: its leases run out. */
static void test_killed(void)
{
    struct fixture f;
    set_up(&f, 4);
    mc_fake_llm_answer_with(f.fake, answer_all, NULL);
    mc_fake_llm_hold(f.fake, true);
    start(&f);
    put(&f, "held", "The parcel is late");
    ok(mc_fake_llm_wait_held(f.fake, 1, WAIT_MS), "handed on");
    stop(&f);
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    struct mc_error err = {0};
    is_status(f.inner->ops->claim(f.inner, MC_STR("killed"), MC_STAGE_MODEL, mc_time_now_us(),
                                  300 * MC_US_PER_MS, 10, &jobs, &err),
              MC_OK, &err, "a process takes it and is killed");
    is_int(jobs.count, 1, "with one job");
    mc_fake_llm_hold(f.fake, false);
    start(&f);
    drained(&f, "the lease ran out");
    is_stored(&f, "held", MC_ENRICHMENT_ENRICHED, "\"method\":\"llm\"", NULL);
    is_int(atomic_load(&f.enriched), 1, "enriched once");
    struct mc_completion late = {.row = jobs.items[0].record->row,
                                 .metadata = MC_STR("{\"method\":\"late\"}"),
                                 .terms = MC_STR(""),
                                 .state = MC_ENRICHMENT_ENRICHED};
    is_status(f.inner->ops->complete(f.inner, MC_STR("killed"), &late, 1, &err), MC_OK, &err,
              "the dead one completes");
    ok(!late.applied, "which is not applied");
    tear_down(&f);
}

/* ---- The same question ---- */

static void test_duplicates(void)
{
    struct fixture f;
    set_up(&f, 8);
    mc_fake_llm_answer_with(f.fake, answer_all, NULL);
    for (int i = 0; i < 6; i++) {
        char id[8], extra[64];
        snprintf(id, sizeof(id), "m%d", i);
        snprintf(extra, sizeof(extra), "{\"extra\":{\"n\":%d}}", i);
        struct mc_put item = scratch_put(id, i == 5 ? "The invoice is lost" : "The parcel is late");
        item.message.metadata = mc_str_of(extra);
        scratch_store_put(f.inner, &item);
    }
    start(&f);
    drained(&f, "five equal ones");
    is_int(mc_fake_llm_asked(f.fake, "The parcel is late"), 1, "asked once");
    is_int(mc_fake_llm_calls(f.fake), 2, "and once about the other");
    is_int(count_of(&f, MC_COUNT_ENRICHMENT_REUSED), 4, "four took over the answer");
    is_int(count_of(&f, MC_COUNT_ENRICHED_LLM), 6, "six are enriched by the model");
    for (int i = 0; i < 5; i++) {
        char id[8], extra[64];
        snprintf(id, sizeof(id), "m%d", i);
        snprintf(extra, sizeof(extra), "\"extra\":{\"n\":%d}", i);
        is_stored(&f, id, MC_ENRICHMENT_ENRICHED, "\"topics\":[\"security\"]", extra);
    }
    put(&f, "again", "The parcel is late");
    struct mc_put reply = scratch_put("reply", "The parcel is late");
    reply.message.role = MC_ROLE_ASSISTANT;
    scratch_store_put(f.inner, &reply);
    mc_pool_wake(f.first);
    drained(&f, "the same later");
    is_stored(&f, "again", MC_ENRICHMENT_ENRICHED, "\"method\":\"llm\",\"model\":\"fake-1\"", NULL);
    is_int(mc_fake_llm_calls(f.fake), 3, "asked only because another role said it");
    is_int(count_of(&f, MC_COUNT_ENRICHMENT_REUSED), 5, "counted");
    tear_down(&f);
}

/* Equal ones of a batch whose question fails: one attempt failed, not four. */
static void test_duplicates_fail(void)
{
    struct fixture f;
    set_up(&f, 4);
    f.options.max_attempts = 2;
    push(&f, &(struct mc_fake_answer){.status = MC_TIMEOUT, .error = "late"}, 1);
    mc_fake_llm_answer_with(f.fake, answer_all, NULL);
    for (int i = 0; i < 4; i++) {
        char id[8];
        snprintf(id, sizeof(id), "m%d", i);
        put(&f, id, "The parcel is late");
    }
    start(&f);
    drained(&f, "after a failure");
    is_int(count_of(&f, MC_COUNT_ERROR_ENRICHMENT), 1, "one attempt failed");
    is_int(count_of(&f, MC_COUNT_ENRICHMENT_RETRY), 1, "one job was put back");
    is_int(count_of(&f, MC_COUNT_ENRICHED_LLM), 4, "four are enriched");
    is_int(mc_fake_llm_calls(f.fake), 2, "asked twice in all");
    tear_down(&f);

    set_up(&f, 4);
    f.fallback = true;
    push(&f, &(struct mc_fake_answer){.status = MC_TIMEOUT, .error = "late"}, 1);
    for (int i = 0; i < 4; i++) {
        char id[8];
        snprintf(id, sizeof(id), "m%d", i);
        put(&f, id, "The parcel is late");
    }
    start(&f);
    drained(&f, "with the built-in enricher to fall back on");
    is_int(count_of(&f, MC_COUNT_ERROR_ENRICHMENT), 1, "one attempt failed");
    is_int(count_of(&f, MC_COUNT_ENRICHED_BUILTIN), 4, "four are settled");
    is_stored(&f, "m3", MC_ENRICHMENT_ENRICHED, "\"method\":\"builtin\"",
              "\"fallback_reason\":\"late\"");
    is_int(count_of(&f, MC_COUNT_ENRICHMENT_REUSED), 0, "there was nothing to take over");
    tear_down(&f);
}

/* Four workers, one message at a time: whoever comes second waits for the first's answer. */
static void test_duplicates_at_once(void)
{
    struct fixture f;
    set_up(&f, 1);
    f.options.workers = 4;
    f.options.max_attempts = 1;
    mc_fake_llm_answer_with(f.fake, answer_all, NULL);
    mc_fake_llm_hold(f.fake, true);
    for (int i = 0; i < 12; i++) {
        char id[8];
        snprintf(id, sizeof(id), "m%d", i);
        put(&f, id, i % 2 ? "The parcel is late" : "The invoice is wrong");
    }
    start(&f);
    ok(mc_fake_llm_wait_held(f.fake, 2, WAIT_MS), "two questions are asked");
    ok(scratch_wait(mc_fault_store_calls(f.store, "fail") >= 10, WAIT_MS),
       "the others are put back");
    is_int(mc_fake_llm_calls(f.fake), 2, "no third one is");
    mc_fake_llm_hold(f.fake, false);
    drained(&f, "twelve of two kinds");
    is_int(mc_fake_llm_calls(f.fake), 2, "two questions in all");
    is_int(count_of(&f, MC_COUNT_ENRICHMENT_REUSED), 10, "ten took over an answer");
    is_int(count_of(&f, MC_COUNT_ENRICHED_LLM), 12, "all are enriched");
    is_int(atomic_load(&f.enriched), 12, "each announced once");
    is_int(count_of(&f, MC_COUNT_ERROR_ENRICHMENT), 0, "waiting is no error");
    tear_down(&f);
}

/* Two processes, as far as the store can tell, on one file. */
static void test_two_processes(void)
{
    struct fixture f, g;
    set_up(&f, 3);
    mc_fake_llm_answer_with(f.fake, answer_all, NULL);
    for (int i = 0; i < 120; i++) {
        char id[8], text[64];
        snprintf(id, sizeof(id), "m%d", i);
        snprintf(text, sizeof(text), "The parcel number %d is lost", i);
        put(&f, id, text);
    }
    set_up(&g, 5);
    g.inner->ops->close(g.inner);
    g.store->ops->close(g.store);
    g.inner = scratch_store(&f.scratch, "q.db");
    g.store = mc_fault_store_open(g.inner);
    g.options.store = g.store;
    g.options.workers = f.options.workers = 2;
    mc_fake_llm_answer_with(g.fake, answer_all, NULL);
    start(&f);
    start(&g);
    drained(&f, "two processes");
    drained(&g, "both");
    is_int(mc_fake_llm_calls(f.fake) + mc_fake_llm_calls(g.fake), 120, "each message asked once");
    stop(&f);
    stop(&g);
    is_int(atomic_load(&f.enriched) + atomic_load(&g.enriched), 120, "and enriched once");
    tear_down(&g);
    tear_down(&f);
}

int main(void)
{
    test_success();
    test_out_of_order();
    test_partial();
    test_not_learned_twice();
    test_fallback();
    test_cap();
    test_no_memory();
    test_circuit_open();
    test_retry_after();
    test_lease_renewed();
    test_lease_lost();
    test_stop_while_hanging();
    test_stop_is_no_failure();
    test_store_fails();
    test_killed();
    test_duplicates();
    test_duplicates_fail();
    test_duplicates_at_once();
    test_two_processes();
    mc_model_stage_free(NULL);
    return done_testing();
}
