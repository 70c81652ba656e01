/* Both stages as one: nothing new waits behind a model, and what a model left is settled without one. */
#include "tap.h"

#include <stdatomic.h>

#include "base/compiler.h"
#include "base/metrics.h"
#include "base/str.h"
#include "enrich/enricher.h"
#include "memory/preferences.h"
#include "support/fake_llm.h"
#include "support/fault_store.h"
#include "support/scratch.h"

#define WAIT_MS 60000

struct fixture {
    struct scratch scratch;
    struct mc_store *inner;
    struct mc_store *store; /* the inner one behind faults */
    struct mc_metrics *metrics;
    struct mc_vocabulary *vocabulary;
    struct mc_trivial_detector *trivial;
    struct mc_fake_llm *fake;
    struct mc_enricher_options options;
    struct mc_enricher *enricher;
    atomic_int told;
};

static void on_enriched(void *context, struct mc_record *record, const struct mc_metadata *metadata,
                        int64_t thread_version)
{
    struct fixture *f = context;
    atomic_fetch_add(&f->told, record->row > 0 && metadata->method.len > 0 && thread_version > 0);
}

static void answer_all(void *context, const struct mc_llm_call *call, struct mc_fake_answer *answer)
{
    (void)context;
    (void)call;
    answer->json = "{\"topics\":[\"security\"],\"intent\":\"none\",\"sentiment\":\"neutral\"}";
}

static void set_up(struct fixture *f)
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
    f->fake = mc_fake_llm_new(NULL);
    mc_fake_llm_answer_with(f->fake, answer_all, NULL);
    f->options = (struct mc_enricher_options){
        .pool = {.workers = 2,
                 .lease_us = 30 * MC_US_PER_SECOND,
                 .max_attempts = 3,
                 .retry_min_us = 20 * MC_US_PER_MS,
                 .retry_max_us = 40 * MC_US_PER_MS,
                 .store = f->store,
                 .metrics = f->metrics,
                 .enriched = on_enriched,
                 .context = f},
        .vocabulary = f->vocabulary,
        .trivial = f->trivial,
        .learn = mc_signals_of,
        .llm = mc_fake_llm(f->fake),
    };
}

static void start(struct fixture *f)
{
    struct mc_error err = {0};
    if (mc_enricher_start(&f->options, &f->enricher, &err))
        bail_out("not started: %s", err.message);
}

static void stop(struct fixture *f)
{
    mc_enricher_stop(f->enricher);
    mc_enricher_free(f->enricher);
    f->enricher = NULL;
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

static enum mc_status drain(struct fixture *f, int ms, struct mc_error *err)
{
    memset(err, 0, sizeof(*err));
    return mc_enricher_drain(f->enricher, mc_time_monotonic_us() + ms * MC_US_PER_MS, err);
}

static void put(struct fixture *f, const char *id, const char *text)
{
    struct mc_put item = scratch_put(id, text);
    scratch_store_put(f->inner, &item);
    if (f->enricher)
        mc_enricher_wake(f->enricher);
}

static bool is_method(struct fixture *f, const char *id, const char *method,
                      enum mc_enrichment state)
{
    struct mc_record *record = scratch_get(f->inner, id);
    char text[64];
    snprintf(text, sizeof(text), "\"method\":\"%s\"", method);
    bool is = record && record->m.enrichment_state == state &&
              strstr(record->m.metadata.data, text) != NULL;
    mc_record_unref(record);
    return is;
}

static void test_never_behind_a_model(void)
{
    struct fixture f;
    set_up(&f);
    mc_fake_llm_hold(f.fake, true);
    start(&f);
    is_double(mc_metrics_gauge(f.metrics, MC_GAUGE_WORKER_POOL_SIZE), 2, 0, "two workers");
    struct mc_pool_state state;
    mc_enricher_read(f.enricher, &state);
    is_int(state.alive, 2, "two are alive: the third thread is no worker");
    put(&f, "first", "The parcel is late");
    ok(mc_fake_llm_wait_held(f.fake, 1, WAIT_MS), "a worker waits for the model");
    put(&f, "second", "The invoice is wrong");
    ok(mc_fake_llm_wait_held(f.fake, 2, WAIT_MS), "so does the other");
    for (int i = 0; i < 50; i++) {
        char id[8], text[64];
        snprintf(id, sizeof(id), "m%d", i);
        snprintf(text, sizeof(text), "My account number %d is locked", i);
        put(&f, id, i % 5 ? text : "thanks!");
    }
    ok(scratch_wait(is_method(&f, "m49", "builtin", MC_ENRICHMENT_PENDING), WAIT_MS),
       "what comes now has built-in metadata");
    ok(scratch_wait(is_method(&f, "m45", "trivial", MC_ENRICHMENT_ENRICHED), WAIT_MS),
       "trivial messages are settled");
    mc_enricher_read(f.enricher, &state);
    is_int(state.busy, 2, "both workers are busy all the time");
    struct mc_error err;
    is_status(drain(&f, 100, &err), MC_TIMEOUT, &err, "which is no drained queue");
    ok(strstr(err.message, "42 jobs") != NULL, "42 of them wait for the model: %s", err.message);
    mc_fake_llm_hold(f.fake, false);
    is_status(drain(&f, WAIT_MS, &err), MC_OK, &err, "drained through both stages");
    is_int((int64_t)mc_metrics_count(f.metrics, MC_COUNT_ENRICHED_LLM), 42, "42 by the model");
    is_int((int64_t)mc_metrics_count(f.metrics, MC_COUNT_ENRICHED_TRIVIAL), 10, "10 trivial");
    is_int((int64_t)mc_metrics_count(f.metrics, MC_COUNT_ENRICHED_BUILTIN), 0, "no other");
    is_int(atomic_load(&f.told), 94, "each change was announced");
    ok(mc_fake_llm_at_once(f.fake) <= 8, "two workers ask about four messages at once");
    tear_down(&f);
}

static void test_pause(void)
{
    struct fixture f;
    set_up(&f);
    start(&f);
    struct mc_error err;
    mc_enricher_pause(f.enricher, true);
    is_status(drain(&f, WAIT_MS, &err), MC_OK, &err, "idle");
    put(&f, "m", "The parcel is late");
    is_status(drain(&f, 100, &err), MC_TIMEOUT, &err, "paused");
    struct mc_pool_state state;
    mc_enricher_read(f.enricher, &state);
    ok(state.paused, "and says so");
    is_int(scratch_queue(f.inner).stage[MC_STAGE_FIRST].ready, 1, "the job waits");
    mc_enricher_pause(f.enricher, false);
    is_status(drain(&f, WAIT_MS, &err), MC_OK, &err, "resumed");
    ok(is_method(&f, "m", "llm", MC_ENRICHMENT_ENRICHED), "both stages go on");
    mc_enricher_pause(f.enricher, true);
    stop(&f);
    ok(true, "stopped while paused");
    tear_down(&f);
}

static bool is_quiet(struct fixture *f, int ms)
{
    int before = mc_fault_store_calls(f->store, "claim") + mc_fault_store_calls(f->store, "queue");
    scratch_pause_ms(ms);
    return mc_fault_store_calls(f->store, "claim") + mc_fault_store_calls(f->store, "queue") ==
           before;
}

/* Asleep, neither stage asks the store anything. */
static void test_no_polling(void)
{
    struct fixture f;
    set_up(&f);
    start(&f);
    struct mc_error err;
    put(&f, "m", "The parcel is late");
    is_status(drain(&f, WAIT_MS, &err), MC_OK, &err, "idle");
    ok(scratch_wait(is_quiet(&f, 300), WAIT_MS), "no question to the store in 300 ms of idleness");
    tear_down(&f);
}

/* The model is taken out of the configuration while jobs wait for it. */
static void test_model_taken_away(void)
{
    struct fixture f;
    set_up(&f);
    mc_fake_llm_hold(f.fake, true);
    start(&f);
    for (int i = 0; i < 20; i++) {
        char id[8], text[64];
        snprintf(id, sizeof(id), "m%d", i);
        snprintf(text, sizeof(text), "My account number %d is locked", i);
        put(&f, id, text);
    }
    ok(mc_fake_llm_wait_held(f.fake, 1, WAIT_MS), "the model is asked");
    ok(scratch_wait(scratch_queue(f.inner).stage[MC_STAGE_FIRST].ready == 0, WAIT_MS),
       "all are handed on");
    stop(&f);
    is_int(scratch_queue(f.inner).stage[MC_STAGE_MODEL].ready, 20, "all wait for the model");
    f.options.llm = NULL;
    start(&f);
    struct mc_error err;
    put(&f, "soon", "My account number 98 is locked");
    is_status(drain(&f, WAIT_MS, &err), MC_OK, &err, "a command without the model's options");
    ok(is_method(&f, "soon", "builtin", MC_ENRICHMENT_ENRICHED), "does its own work");
    scratch_pause_ms(50);
    is_int(scratch_queue(f.inner).stage[MC_STAGE_MODEL].ready, 20, "and leaves the model's alone");
    stop(&f);
    f.options.leftover_after_us = 50 * MC_US_PER_MS;
    start(&f);
    struct mc_queue_stats queue;
    ok(scratch_wait((queue = scratch_queue(f.inner), queue.ready + queue.leased == 0), WAIT_MS),
       "an engine without one that stays open");
    ok(is_method(&f, "m7", "builtin", MC_ENRICHMENT_ENRICHED), "settles them");
    struct mc_record *record = scratch_get(f.inner, "m7");
    ok(record && !strstr(record->m.metadata.data, "fallback_reason"), "without an excuse");
    mc_record_unref(record);
    ok(scratch_wait(mc_metrics_count(f.metrics, MC_COUNT_ENRICHED_BUILTIN) == 21, WAIT_MS),
       "counted, with the other one");
    put(&f, "new", "My account number 99 is locked");
    is_status(drain(&f, WAIT_MS, &err), MC_OK, &err, "a new message");
    ok(is_method(&f, "new", "builtin", MC_ENRICHMENT_ENRICHED), "is settled at once");
    struct mc_pool_state state;
    mc_enricher_read(f.enricher, &state);
    is_int(state.alive, 2, "two workers");
    tear_down(&f);
}

/* A command beside a server: what waits for a model is the server's. */
static void test_model_left_to_others(void)
{
    struct fixture f;
    set_up(&f);
    f.options.leave_model = true;
    start(&f);
    struct mc_error err;
    struct mc_pool_state state;
    put(&f, "m", "The parcel is late");
    put(&f, "hi", "Hello!");
    is_status(drain(&f, WAIT_MS, &err), MC_OK, &err, "nothing is left to do here");
    ok(is_method(&f, "m", "builtin", MC_ENRICHMENT_PENDING), "the first stage is");
    ok(is_method(&f, "hi", "trivial", MC_ENRICHMENT_ENRICHED), "and trivial ones are settled");
    is_int(mc_fake_llm_calls(f.fake), 0, "nobody asked the model");
    mc_enricher_read(f.enricher, &state);
    is_int(state.alive, 2, "nothing is missing");
    stop(&f);
    f.options.leave_model = false;
    start(&f);
    is_status(drain(&f, WAIT_MS, &err), MC_OK, &err, "the server");
    ok(is_method(&f, "m", "llm", MC_ENRICHMENT_ENRICHED), "asks it");
    tear_down(&f);
}

/* A command beside a server has fewer threads, and none of them is missing. */
static void test_all_alive(void)
{
    struct mc_pool_state state;
    for (int with = 0; with < 2; with++)
        for (int leave = 0; leave < 2; leave++) {
            struct fixture f;
            set_up(&f);
            f.options.pool.workers = 4;
            f.options.llm = with ? f.options.llm : NULL;
            f.options.leave_model = leave;
            start(&f);
            mc_enricher_read(f.enricher, &state);
            is_int(state.alive, 4, "%s a model, %s it", with ? "with" : "without",
                   leave ? "leaving" : "asking");
            tear_down(&f);
        }
}

static void test_errors_of_both(void)
{
    struct fixture f;
    set_up(&f);
    start(&f);
    struct mc_error err;
    is_status(drain(&f, WAIT_MS, &err), MC_OK, &err, "idle");
    mc_fault_store_fail(f.store, "complete", 2, 1, MC_DISK_FULL); /* 1: the first stage's */
    put(&f, "m", "The parcel is late");
    struct mc_pool_state state;
    ok(scratch_wait((mc_enricher_read(f.enricher, &state), state.last_error[0] != '\0'), WAIT_MS),
       "a failure of the model's stage is seen");
    ok(strstr(state.last_error, "complete") != NULL && state.last_error_us > 0, "with its text: %s",
       state.last_error);
    is_status(drain(&f, WAIT_MS, &err), MC_OK, &err, "space returned");
    ok(is_method(&f, "m", "llm", MC_ENRICHMENT_ENRICHED), "enriched");
    ok(scratch_wait((mc_enricher_read(f.enricher, &state), state.consecutive_errors == 0), WAIT_MS),
       "the failures in a row are over");
    tear_down(&f);
}

int main(void)
{
    test_never_behind_a_model();
    test_pause();
    test_no_polling();
    test_model_taken_away();
    test_model_left_to_others();
    test_all_alive();
    test_errors_of_both();
    mc_enricher_stop(NULL);
    mc_enricher_free(NULL);
    return done_testing();
}
