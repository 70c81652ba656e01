/*
 * The workers over the real store, with failures injected between: every job is done once or kept, and
 * none hinders the others.
 */
#include "tap.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/metrics.h"
#include "base/str.h"
#include "enrich/first_stage.h"
#include "memory/preferences.h"
#include "support/fault_store.h"
#include "support/scratch.h"

#define WAIT_MS 60000
#define TOLD_MAX 1000

struct told {
    char id[24];
    enum mc_enrichment state;
    bool has_method;
};

struct fixture {
    struct scratch scratch;
    struct mc_store *inner;
    struct mc_store *store; /* the inner one behind faults */
    struct mc_metrics *metrics;
    struct mc_vocabulary *vocabulary;
    struct mc_trivial_detector *trivial;
    struct mc_first_stage_options first;
    struct mc_pool *pool;
    pthread_mutex_t mutex; /* guards what follows */
    struct told told[TOLD_MAX];
    size_t told_count;
    atomic_int died;
};

static void on_enriched(void *context, struct mc_record *record, const struct mc_metadata *metadata,
                        int64_t thread_version)
{
    struct fixture *f = context;
    pthread_mutex_lock(&f->mutex);
    if (f->told_count < TOLD_MAX && thread_version > 0) {
        struct told *told = &f->told[f->told_count++];
        snprintf(told->id, sizeof(told->id), "%.*s", MC_STR_ARG(record->m.message_id));
        told->state = record->m.enrichment_state;
        told->has_method = metadata->method.len > 0;
    }
    pthread_mutex_unlock(&f->mutex);
}

static void on_died(void *context, const struct mc_message *message)
{
    struct fixture *f = context;
    if (message->message_id.len > 0)
        atomic_fetch_add(&f->died, 1);
}

/* How often an id was announced. */
static int told(struct fixture *f, const char *id)
{
    int count = 0;
    pthread_mutex_lock(&f->mutex);
    for (size_t i = 0; i < f->told_count; i++)
        count += strcmp(f->told[i].id, id) == 0;
    pthread_mutex_unlock(&f->mutex);
    return count;
}

static size_t told_all(struct fixture *f)
{
    pthread_mutex_lock(&f->mutex);
    size_t count = f->told_count;
    pthread_mutex_unlock(&f->mutex);
    return count;
}

static void set_up(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    pthread_mutex_init(&f->mutex, NULL);
    scratch_make(&f->scratch);
    f->inner = scratch_store(&f->scratch, "q.db");
    f->store = mc_fault_store_open(f->inner);
    f->metrics = mc_metrics_new();
    struct mc_error err = {0};
    if (!f->store || !f->metrics || mc_vocabulary_new(&f->vocabulary, &err) ||
        mc_trivial_new(&f->trivial, MC_STR_NONE, &err))
        bail_out("no fixture: %s", err.message);
    f->first = (struct mc_first_stage_options){
        .vocabulary = f->vocabulary, .trivial = f->trivial, .learn = mc_signals_of};
}

static void stop(struct fixture *f)
{
    mc_pool_stop(f->pool);
    mc_pool_free(f->pool);
    f->pool = NULL;
}

static void tear_down(struct fixture *f)
{
    stop(f);
    f->store->ops->close(f->store);
    f->inner->ops->close(f->inner);
    mc_metrics_free(f->metrics);
    mc_trivial_free(f->trivial);
    mc_vocabulary_free(f->vocabulary);
    pthread_mutex_destroy(&f->mutex);
    scratch_remove(&f->scratch);
}

static struct mc_pool_options options_of(struct fixture *f)
{
    return (struct mc_pool_options){
        .workers = 1,
        .lease_us = 30 * MC_US_PER_SECOND,
        .max_attempts = 3,
        .retry_min_us = 40 * MC_US_PER_MS,
        .retry_max_us = 60 * MC_US_PER_MS,
        .stage = MC_STAGE_FIRST,
        .handle = mc_first_stage_handle,
        .handler = &f->first,
        .store = f->store,
        .metrics = f->metrics,
        .enriched = on_enriched,
        .died = on_died,
        .context = f,
    };
}

static struct mc_pool *start_with(const struct mc_pool_options *options)
{
    struct mc_pool *pool = NULL;
    struct mc_error err = {0};
    if (mc_pool_start(options, &pool, &err))
        bail_out("the pool does not start: %s", err.message);
    return pool;
}

static void start(struct fixture *f)
{
    struct mc_pool_options options = options_of(f);
    f->pool = start_with(&options);
}

static enum mc_status drain(struct mc_pool *pool, int ms, struct mc_error *err)
{
    memset(err, 0, sizeof(*err));
    return mc_pool_drain(pool, mc_time_monotonic_us() + ms * MC_US_PER_MS, err);
}

static void drained(struct fixture *f, const char *what)
{
    struct mc_error err;
    is_status(drain(f->pool, WAIT_MS, &err), MC_OK, &err, "%s: drained", what);
}

static void put(struct fixture *f, const char *id, const char *text)
{
    struct mc_put item = scratch_put(id, text);
    scratch_store_put(f->inner, &item);
}

/* State and metadata of a stored message; the metadata contains all of the texts. */
static void is_stored(struct fixture *f, const char *id, enum mc_enrichment state,
                      const char *first, const char *second)
{
    struct mc_record *record = scratch_get(f->inner, id);
    if (!ok(record != NULL, "%s is there", id))
        return;
    is_str(mc_enrichment_name(record->m.enrichment_state), mc_enrichment_name(state), "%s: state",
           id);
    ok(strstr(record->m.metadata.data, first) != NULL, "%s: %s in %.200s", id, first,
       record->m.metadata.data);
    ok(!second || strstr(record->m.metadata.data, second) != NULL, "%s: %s in %.200s", id,
       second ? second : "", record->m.metadata.data);
    mc_record_unref(record);
}

static uint64_t count_of(struct fixture *f, enum mc_counter counter)
{
    return mc_metrics_count(f->metrics, counter);
}

/* Leases the due jobs to a worker that never comes back; the number of them. */
static size_t take_and_die(struct fixture *f, size_t limit, int64_t lease_us)
{
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    struct mc_error err = {0};
    if (f->inner->ops->claim(f->inner, MC_STR("the-dead"), MC_STAGE_FIRST, mc_time_now_us(),
                             lease_us, limit, &jobs, &err))
        bail_out("claim: %s", err.message);
    return jobs.count;
}

/* ---- What works ---- */

static void test_earlier_process(void)
{
    struct fixture f;
    set_up(&f);
    struct mc_error err;
    put(&f, "hello", "Hello!");
    put(&f, "order", "My order 4711 has not arrived, please send a refund");
    struct mc_put extra = scratch_put("extra", "Where is my parcel?");
    extra.message.metadata = MC_STR("{\"extra\":{\"channel\":\"web\",\"n\":[1]}}");
    scratch_store_put(f.inner, &extra);
    f.inner->ops->close(f.inner); /* the earlier process ends */
    f.store->ops->close(f.store);
    f.inner = scratch_store(&f.scratch, "q.db");
    f.store = mc_fault_store_open(f.inner);
    is_int(scratch_queue(f.inner).ready, 3, "three jobs are waiting");

    start(&f);
    drained(&f, "jobs of an earlier process");
    is_stored(&f, "hello", MC_ENRICHMENT_ENRICHED, "\"method\":\"trivial\"", "greeting");
    is_stored(&f, "order", MC_ENRICHMENT_ENRICHED, "\"method\":\"builtin\"", "refund");
    is_stored(&f, "extra", MC_ENRICHMENT_ENRICHED, "\"method\":\"builtin\"",
              "\"extra\":{\"channel\":\"web\",\"n\":[1]}");
    struct mc_record *record = scratch_get(f.inner, "hello");
    ok(record && record->m.importance < 0.3, "a greeting is not important");
    mc_record_unref(record);
    is_int(told(&f, "hello"), 1, "announced once");
    is_int(told(&f, "order"), 1, "announced once");
    is_int(f.told[0].state, MC_ENRICHMENT_ENRICHED, "as enriched");
    ok(f.told[0].has_method, "with its metadata");
    is_int(count_of(&f, MC_COUNT_ENRICHED_TRIVIAL), 1, "one trivial counted");
    is_int(count_of(&f, MC_COUNT_ENRICHED_BUILTIN), 2, "two others counted");
    is_int(count_of(&f, MC_COUNT_ERROR_ENRICHMENT), 0, "no errors");
    int64_t sum;
    is_int(mc_metrics_observed(f.metrics, MC_TIME_ENRICH_TRIVIAL, &sum), 1, "one time observed");
    is_int(mc_metrics_observed(f.metrics, MC_TIME_ENRICH_BUILTIN, &sum), 2, "and two others");
    struct mc_queue_stats queue = scratch_queue(f.inner);
    is_int(queue.ready + queue.leased + queue.dead, 0, "the queue is empty");
    mc_pool_pause(f.pool, true); /* nobody looks for more */
    drained(&f, "paused");
    is_status(drain(f.pool, 0, &err), MC_OK, &err, "an empty queue is drained at once");
    tear_down(&f);
}

static void test_many(void)
{
    struct fixture f;
    set_up(&f);
    struct mc_pool_options options = options_of(&f);
    options.workers = 4;
    f.pool = start_with(&options);
    for (int i = 0; i < 300; i++) {
        char id[24];
        snprintf(id, sizeof(id), "m%d", i);
        put(&f, id, i % 3 ? "The invoice 2291 is wrong" : "thanks!");
        mc_pool_wake(f.pool);
    }
    drained(&f, "four workers");
    int wrong = 0;
    for (int i = 0; i < 300; i++) {
        char id[24];
        snprintf(id, sizeof(id), "m%d", i);
        wrong += told(&f, id) != 1;
    }
    is_int(wrong, 0, "each of 300 messages is announced once");
    is_int(count_of(&f, MC_COUNT_ENRICHED_TRIVIAL), 100, "a third is trivial");
    is_int(count_of(&f, MC_COUNT_ENRICHED_BUILTIN), 200, "the rest is not");
    tear_down(&f);
}

/* Two pools, each with its own connection to the one file, and one more on the first's store. */
static void test_two_pools(void)
{
    struct fixture f;
    set_up(&f);
    for (int i = 0; i < 300; i++) {
        char id[24];
        snprintf(id, sizeof(id), "m%d", i);
        put(&f, id, "My account is locked");
    }
    struct mc_store *other = scratch_store(&f.scratch, "q.db");
    struct mc_pool_options options = options_of(&f);
    options.workers = 2;
    options.claim_batch = 7;
    f.pool = start_with(&options);
    struct mc_pool *same = start_with(&options);
    options.store = other;
    struct mc_pool *second = start_with(&options);
    drained(&f, "three pools");
    mc_pool_stop(same);
    mc_pool_free(same);
    mc_pool_stop(second);
    mc_pool_free(second);
    int wrong = 0;
    for (int i = 0; i < 300; i++) {
        char id[24];
        snprintf(id, sizeof(id), "m%d", i);
        wrong += told(&f, id) != 1;
    }
    is_int(wrong, 0, "each of 300 messages is enriched by exactly one of them");
    is_int(told_all(&f), 300, "and nothing else was announced");
    stop(&f);
    other->ops->close(other);
    tear_down(&f);
}

static void test_pause(void)
{
    struct fixture f;
    set_up(&f);
    start(&f);
    struct mc_error err;
    struct mc_pool_state state;
    mc_pool_pause(f.pool, true);
    drained(&f, "to begin with"); /* and what a worker was at is over */
    put(&f, "later", "Where is my invoice?");
    mc_pool_wake(f.pool);
    is_status(drain(f.pool, 150, &err), MC_TIMEOUT, &err, "a paused pool does not drain");
    ok(strstr(err.message, "1 jobs") != NULL, "and says what waits: %s", err.message);
    mc_pool_read(f.pool, &state);
    is_int(state.paused, 1, "it says that it is paused");
    is_int(state.alive, 1, "and alive");
    is_int(scratch_queue(f.inner).ready, 1, "the job waits");
    mc_pool_pause(f.pool, false);
    drained(&f, "resumed");
    is_stored(&f, "later", MC_ENRICHMENT_ENRICHED, "\"method\":\"builtin\"", NULL);
    mc_pool_pause(f.pool, true);
    stop(&f); /* a paused pool stops */
    ok(true, "stopped while paused");
    tear_down(&f);
}

/* Asleep, a worker asks the store nothing. */
static void test_no_polling(void)
{
    struct fixture f;
    set_up(&f);
    start(&f);
    ok(scratch_wait(mc_fault_store_calls(f.store, "queue") == 1, WAIT_MS),
       "it looks once when the next job is due");
    scratch_pause_ms(400);
    int asked = mc_fault_store_calls(f.store, "claim") + mc_fault_store_calls(f.store, "queue");
    is_int(asked, 2, "and asks for jobs once: no other question in 400 ms of idleness");
    put(&f, "woken", "Is the invoice paid?");
    mc_pool_wake(f.pool);
    ok(scratch_wait(told(&f, "woken") == 1, WAIT_MS), "woken at once");
    tear_down(&f);
}

/* ---- Failures ---- */

static atomic_llong complete_times[8];
static atomic_int completes_seen;

static void note_completes(void *context, const char *op)
{
    (void)context;
    if (strcmp(op, "complete") != 0)
        return;
    int n = atomic_fetch_add(&completes_seen, 1);
    if (n < 8)
        atomic_store(&complete_times[n], mc_time_monotonic_us());
}

/* Between the last that an attempt wanted to write and the first of the next; each writes twice: as a batch, then alone. */
static long long wait_after(int attempt)
{
    return atomic_load(&complete_times[2 * attempt]) -
           atomic_load(&complete_times[2 * attempt - 1]);
}

static void test_back_off_and_death(void)
{
    struct fixture f;
    set_up(&f);
    atomic_store(&completes_seen, 0);
    mc_fault_store_hook(f.store, note_completes, NULL);
    mc_fault_store_fail(f.store, "complete", 1, 0, MC_INTERNAL);
    put(&f, "bad", "My order 4711 has not arrived");
    start(&f);
    ok(scratch_wait(scratch_queue(f.inner).dead == 1, WAIT_MS), "the job dies");
    mc_pool_pause(f.pool, true); /* what is tried again must not be done before it is looked at */
    drained(&f, "a dead job does not hold up");
    is_int(mc_fault_store_calls(f.store, "fail"), 3, "after three attempts");
    is_int(atomic_load(&completes_seen), 6, "each of which tried to write twice");
    ok(wait_after(1) >= 20000, "the first wait is at least half of retry_min (%lld us)",
       wait_after(1));
    ok(wait_after(2) >= 30000, "the second at least half of retry_max (%lld us)", wait_after(2));
    struct scratch_dead dead = scratch_dead_jobs(f.inner);
    is_int(dead.count, 1, "one dead job");
    is_int(dead.attempts, 3, "with its attempts");
    ok(strstr(dead.error, "injected failure of complete") != NULL, "and its error: %s", dead.error);
    is_stored(&f, "bad", MC_ENRICHMENT_FAILED, "\"enrichment_failed\":true",
              "\"enrichment_error\":\"injected failure of complete");
    is_int(count_of(&f, MC_COUNT_ENRICHMENT_RETRY), 2, "two retries counted");
    is_int(count_of(&f, MC_COUNT_ENRICHMENT_DEAD), 1, "one death counted");
    is_int(count_of(&f, MC_COUNT_ERROR_ENRICHMENT), 3, "three errors counted");
    is_int(atomic_load(&f.died), 1, "its death was announced");
    is_int(told_all(&f), 0, "no enrichment was");

    mc_fault_store_heal(f.store);
    uint64_t count = 0;
    struct mc_error err = {0};
    is_status(f.inner->ops->retry(f.inner, MC_STR("bad"), mc_time_now_us(), &count, &err), MC_OK,
              &err, "tried again by command");
    is_int(count, 1, "one job");
    is_stored(&f, "bad", MC_ENRICHMENT_PENDING, "{", NULL);
    mc_pool_pause(f.pool, false);
    mc_pool_wake(f.pool);
    drained(&f, "tried again");
    is_stored(&f, "bad", MC_ENRICHMENT_ENRICHED, "\"enrichment_failed\":false",
              "\"method\":\"builtin\"");
    is_int(scratch_dead_jobs(f.inner).count, 0, "no dead job is left");
    tear_down(&f);
}

/* One message that cannot be enriched, among others in its batch. */
static void test_poison(void)
{
    struct fixture f;
    set_up(&f);
    put(&f, "before", "Where is my order?");
    struct mc_put poison = scratch_put("poison", "Where is my parcel?");
    poison.message.metadata = MC_STR("{\"topics\":5,\"extra\":{}}");
    scratch_store_put(f.inner, &poison);
    put(&f, "after", "Where is my refund?");
    start(&f);
    drained(&f, "a poisoned batch");
    is_stored(&f, "before", MC_ENRICHMENT_ENRICHED, "\"method\":\"builtin\"", NULL);
    is_stored(&f, "after", MC_ENRICHMENT_ENRICHED, "\"method\":\"builtin\"", NULL);
    is_stored(&f, "poison", MC_ENRICHMENT_FAILED, "\"enrichment_failed\":true", "topics");
    is_int(scratch_dead_jobs(f.inner).attempts, 3, "given up after three attempts");
    put(&f, "next", "Where is my invoice?");
    mc_pool_wake(f.pool);
    drained(&f, "afterwards");
    is_int(told(&f, "next"), 1, "the others go on");
    struct mc_error err = {0};
    uint64_t count = 0;
    is_status(f.inner->ops->purge(f.inner, &count, &err), MC_OK, &err, "purged");
    is_int(count, 1, "one dead job");
    is_stored(&f, "poison", MC_ENRICHMENT_FAILED, "\"enrichment_failed\":true", NULL);
    tear_down(&f);
}

static void test_disk_full(void)
{
    struct fixture f;
    set_up(&f);
    for (int i = 0; i < 5; i++) {
        char id[24];
        snprintf(id, sizeof(id), "m%d", i);
        put(&f, id, "The payment failed");
    }
    mc_fault_store_fail(f.store, "complete", 1, 1, MC_DISK_FULL);
    mc_fault_store_fail(f.store, "release", 1, 1, MC_DISK_FULL);
    mc_fault_store_fail(f.store, "claim", 2, 0, MC_DISK_FULL);
    struct mc_pool_options options = options_of(&f);
    options.lease_us = 300 * MC_US_PER_MS; /* as the release fails, it must run out */
    options.max_attempts = 1;              /* a failure of the store is no attempt of the job */
    f.pool = start_with(&options);
    struct mc_pool_state state;
    ok(scratch_wait((mc_pool_read(f.pool, &state), state.consecutive_errors >= 2), WAIT_MS),
       "two failures of the store in a row");
    ok(strstr(state.last_error, "injected failure of claim") != NULL, "with the last one: %s",
       state.last_error);
    ok(state.last_error_us > 0, "and its time");
    is_int(scratch_queue(f.inner).dead, 0, "no job died");
    tear_down(&f);
}

/* A claim that finds nothing says nothing of a store that failed. */
static void test_empty_claim(void)
{
    struct fixture f;
    set_up(&f);
    put(&f, "m", "The payment failed");
    mc_auto(mc_jobs_fini) struct mc_jobs held = {0};
    struct mc_error err = {0};
    is_status(f.inner->ops->claim(f.inner, MC_STR("other"), MC_STAGE_FIRST, mc_time_now_us(),
                                  60 * MC_US_PER_SECOND, 10, &held, &err),
              MC_OK, &err, "another process has the job");
    mc_fault_store_fail(f.store, "claim", 1, 3, MC_DISK_FULL);
    struct mc_pool_options options = options_of(&f);
    f.pool = start_with(&options);
    struct mc_pool_state state;
    ok(scratch_wait((mc_pool_read(f.pool, &state),
                     state.last_finished_us > state.last_error_us && state.consecutive_errors >= 3),
                    WAIT_MS),
       "after three failures and an empty claim there are still three");
    is_status(f.inner->ops->release(f.inner, MC_STR("other"), &err), MC_OK, &err, "given back");
    mc_pool_wake(f.pool);
    drained(&f, "the job");
    ok(scratch_wait((mc_pool_read(f.pool, &state), state.consecutive_errors == 0), WAIT_MS),
       "a batch that was written ends it");
    tear_down(&f);
}

/* The same with a lease that is released: no attempt is counted, nothing is lost, all goes on. */
static void test_space_returns(void)
{
    struct fixture f;
    set_up(&f);
    for (int i = 0; i < 5; i++) {
        char id[24];
        snprintf(id, sizeof(id), "m%d", i);
        put(&f, id, i ? "The payment failed" : "thanks");
    }
    mc_fault_store_fail(f.store, "complete", 1, 2, MC_DISK_FULL);
    struct mc_pool_options options = options_of(&f);
    options.max_attempts = 1;
    f.pool = start_with(&options);
    drained(&f, "space returned");
    for (int i = 0; i < 5; i++) {
        char id[24];
        snprintf(id, sizeof(id), "m%d", i);
        is_int(told(&f, id), 1, "%s was enriched once", id);
    }
    is_int(scratch_dead_jobs(f.inner).count, 0, "no job died, though one attempt was allowed");
    is_int(count_of(&f, MC_COUNT_ERROR_ENRICHMENT), 2, "two errors counted");
    struct mc_pool_state state;
    ok(scratch_wait((mc_pool_read(f.pool, &state), state.consecutive_errors == 0), WAIT_MS),
       "the errors in a row are over");
    ok(strstr(state.last_error, "complete") != NULL, "the last one is still known");
    ok(state.last_finished_us > state.last_error_us, "and older than the last success");
    tear_down(&f);
}

static void test_lease_runs_out(void)
{
    struct fixture f;
    set_up(&f);
    put(&f, "held", "The parcel is lost");
    is_int(take_and_die(&f, 10, 600 * MC_US_PER_SECOND), 1, "a worker takes a job and dies");
    start(&f);
    struct mc_error err;
    is_status(drain(f.pool, 100, &err), MC_TIMEOUT, &err, "the job is held");
    is_int(told(&f, "held"), 0, "nobody touches it");
    int64_t until_us = mc_time_now_us() + 300 * MC_US_PER_MS;
    is_status(f.inner->ops->renew(f.inner, MC_STR("the-dead"), until_us, &err), MC_OK, &err,
              "it is held no longer than that");
    mc_pool_wake(f.pool);
    drained(&f, "the lease ran out");
    ok(mc_time_now_us() >= until_us, "not before its time");
    is_int(told(&f, "held"), 1, "it was done by another");

    /* The dead worker comes back to life: too late. */
    struct mc_record *record = scratch_get(f.inner, "held");
    struct mc_completion late = {.row = record->row,
                                 .metadata = MC_STR("{\"method\":\"late\"}"),
                                 .terms = MC_STR(""),
                                 .state = MC_ENRICHMENT_ENRICHED};
    mc_record_unref(record);
    is_status(f.inner->ops->complete(f.inner, MC_STR("the-dead"), &late, 1, &err), MC_OK, &err,
              "the dead one completes");
    is_int(late.applied, 0, "which is not applied");
    is_stored(&f, "held", MC_ENRICHMENT_ENRICHED, "\"method\":\"builtin\"", NULL);
    tear_down(&f);
}

static bool add_count(void *context, const struct mc_signal *signal)
{
    if (mc_str_equal(signal->field, MC_STR("preferred_name")))
        *(int64_t *)context += signal->count;
    return true;
}

/* What a message teaches is kept with its enrichment: not when that fails, and not twice. */
static void test_signals(void)
{
    struct fixture f;
    set_up(&f);
    put(&f, "name", "My name is Anna and my parcel is lost");
    mc_fault_store_fail(f.store, "complete", 1, 2, MC_INTERNAL);
    start(&f);
    drained(&f, "after a failed attempt");
    int64_t learned = 0;
    struct mc_error err = {0};
    is_status(f.inner->ops->signals(f.inner, MC_STR("u"), add_count, &learned, &err), MC_OK, &err,
              "signals");
    is_int(told(&f, "name"), 1, "enriched once");
    is_int(learned, 3, "the name was learned once (what is said outright counts three times)");
    tear_down(&f);
}

/* Jobs that were claimed before and not finished are done one at a time. */
static void test_suspects(void)
{
    struct fixture f;
    set_up(&f);
    for (int i = 0; i < 3; i++) {
        char id[24];
        snprintf(id, sizeof(id), "s%d", i);
        put(&f, id, "My login fails");
    }
    is_int(take_and_die(&f, 10, 1), 3, "three jobs were in the hands of a process that died");
    scratch_pause_ms(2);
    for (int i = 0; i < 5; i++) {
        char id[24];
        snprintf(id, sizeof(id), "f%d", i);
        put(&f, id, "My password is lost");
    }
    start(&f);
    drained(&f, "suspects");
    is_int(told_all(&f), 8, "all are done");
    is_int(mc_fault_store_calls(f.store, "complete"), 4,
           "five fresh ones at once, three one by one");
    tear_down(&f);
}

static void test_exhausted(void)
{
    struct fixture f;
    set_up(&f);
    put(&f, "killer", "My login fails");
    for (int i = 0; i < 3; i++) {
        is_int(take_and_die(&f, 10, 1), 1, "process %d dies with it", i + 1);
        scratch_pause_ms(2);
    }
    put(&f, "innocent", "My password is lost");
    start(&f);
    drained(&f, "a job that kills");
    is_stored(&f, "innocent", MC_ENRICHMENT_ENRICHED, "\"method\":\"builtin\"", NULL);
    is_stored(&f, "killer", MC_ENRICHMENT_FAILED, "\"enrichment_failed\":true",
              "given up after 3 attempts");
    struct scratch_dead dead = scratch_dead_jobs(f.inner);
    is_int(dead.count, 1, "it is dead");
    ok(strstr(dead.error, "given up after 3 attempts") != NULL, "with the reason: %s", dead.error);
    tear_down(&f);
}

/* ---- Stopping ---- */

static atomic_bool in_hand;

/* Goes on when the pool is to stop. */
static enum mc_status handle_at_stop(void *stage, struct mc_work *work, struct mc_error *err)
{
    atomic_store(&in_hand, true);
    while (work->keep(work->keep_context))
        scratch_pause_ms(1);
    return mc_first_stage_handle(stage, work, err);
}

struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool arrived, open;
};

static void wait_at_gate(void *context, const char *op)
{
    struct gate *gate = context;
    if (strcmp(op, "complete") != 0)
        return;
    pthread_mutex_lock(&gate->mutex);
    gate->arrived = true;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
}

static void *stop_in_thread(void *context)
{
    mc_pool_stop(context);
    return NULL;
}

static void test_stop_while_working(void)
{
    struct fixture f;
    set_up(&f);
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};
    mc_fault_store_hook(f.store, wait_at_gate, &gate);
    put(&f, "in-hand", "The parcel is lost");
    struct mc_pool_options options = options_of(&f);
    options.handle = handle_at_stop;
    atomic_store(&in_hand, false);
    f.pool = start_with(&options);
    ok(scratch_wait(atomic_load(&in_hand), WAIT_MS), "a job is in hand");
    struct mc_pool_state state;
    scratch_pause_ms(5);
    mc_pool_read(f.pool, &state);
    is_int(state.busy, 1, "a worker is busy");
    ok(state.longest_busy_us >= 4000, "for %lld us", (long long)state.longest_busy_us);
    put(&f, "behind", "The parcel is found");
    pthread_t thread;
    if (pthread_create(&thread, NULL, stop_in_thread, f.pool))
        bail_out("no thread");
    pthread_mutex_lock(&gate.mutex);
    while (!gate.arrived)
        pthread_cond_wait(&gate.changed, &gate.mutex);
    is_int(scratch_queue(f.inner).leased, 1, "stopping waits for what is in hand");
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.mutex);
    pthread_join(thread, NULL);
    is_stored(&f, "in-hand", MC_ENRICHMENT_ENRICHED, "\"method\":\"builtin\"", NULL);
    struct mc_queue_stats queue = scratch_queue(f.inner);
    is_int(queue.leased, 0, "nothing stays leased");
    is_int(queue.ready, 1, "what was behind waits for the next process");
    mc_pool_read(f.pool, &state);
    is_int(state.alive, 0, "no worker is left");
    mc_pool_wake(f.pool); /* allowed until it is freed */
    tear_down(&f);
}

/* The store fails while a batch is in hand, also the release; the stop makes good for it. */
static void test_stop_releases(void)
{
    struct fixture f;
    set_up(&f);
    put(&f, "kept", "The parcel is lost");
    mc_fault_store_fail(f.store, "complete", 1, 0, MC_IO);
    mc_fault_store_fail(f.store, "release", 1, 0, MC_IO);
    start(&f);
    ok(scratch_wait(mc_fault_store_calls(f.store, "release") >= 1, WAIT_MS), "the release failed");
    mc_fault_store_fail(f.store, "release", 1, 0, MC_OK); /* no more */
    stop(&f);
    struct mc_queue_stats queue = scratch_queue(f.inner);
    is_int(queue.leased, 0, "stopping released the job");
    is_int(queue.ready, 1, "it waits for the next process");
    mc_fault_store_heal(f.store);
    start(&f);
    drained(&f, "which");
    is_int(told(&f, "kept"), 1, "does it");
    tear_down(&f);
}

int main(void)
{
    test_earlier_process();
    test_many();
    test_two_pools();
    test_pause();
    test_no_polling();
    test_back_off_and_death();
    test_poison();
    test_disk_full();
    test_empty_claim();
    test_space_returns();
    test_lease_runs_out();
    test_signals();
    test_suspects();
    test_exhausted();
    test_stop_while_working();
    test_stop_releases();
    mc_pool_stop(NULL);
    mc_pool_free(NULL);
    return done_testing();
}
