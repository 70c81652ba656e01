/*
 * Running the engine: queue, health, every metric after the event that it counts, cache statistics and
 * invalidation, tiers, backup.
 */
#include "tap.h"

#include <pthread.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "store/sqlite/sqlite.h"
#include "support/engine.h"

/* The value of one line of the Prometheus text. */
static double metric(struct mc_engine *engine, const char *name)
{
    char *text = NULL;
    struct mc_error err = {0};
    if (mc_metrics_prometheus(engine, &text, &err))
        bail_out("metrics: %s", err.message);
    double value = prometheus_value(text, name);
    mc_free(text);
    return value;
}

static void metric_is(struct mc_engine *engine, const char *name, double expected)
{
    is_double(metric(engine, name), expected, 0, "%s", name);
}

/* When it returns no worker is at anything any more. */
static void pause_workers(struct mc_engine *engine)
{
    mc_engine_pause(engine, true);
    engine_drain(engine);
}

#define ENRICHED(method) "mindcore_messages_enriched_total{method=\"" method "\"}"
#define CACHED(result) "mindcore_cache_operations_total{result=\"" result "\"}"
#define ERRORS(type) "mindcore_errors_total{error_type=\"" type "\"}"

/* ---- Metrics ---- */

static void test_ingest_metrics(struct mc_engine *engine)
{
    metric_is(engine, "mindcore_messages_ingested_total", 0);
    metric_is(engine, "mindcore_worker_pool_size", 1);
    metric_is(engine, "mindcore_active_workers", 1);
    pause_workers(engine);
    say(engine, "m1", "Thanks!");
    say(engine, "m2", "My order 4711 is late, I want a refund");
    say(engine, "m2", "My order 4711 is late, I want a refund");
    struct mc_message_input bad = said("m3", " ");
    struct mc_error err;
    is_status(mc_message_ingest(engine, &bad, NULL, NULL, &err), MC_INVALID, &err, "a bad one");
    metric_is(engine, "mindcore_messages_ingested_total", 2);
    metric_is(engine, "mindcore_ingestion_duration_seconds_count", 3);
    metric_is(engine, ERRORS("ingest"), 0);
    metric_is(engine, "mindcore_enrichment_queue_depth", 2);
    metric_is(engine, "mindcore_busy_workers", 0);
    scratch_pause_ms(20);
    ok(metric(engine, "mindcore_enrichment_oldest_job_age_seconds") >= 0.02,
       "the oldest job's age");
    ok(metric(engine, "mindcore_store_commits_total") >= 2, "commits");
    ok(metric(engine, "mindcore_store_commit_requests_total") >=
           metric(engine, "mindcore_store_commits_total"),
       "requests that they carried");
    ok(metric(engine, "mindcore_uptime_seconds") > 0, "uptime");
    metric_is(engine, ENRICHED("builtin"), 0);

    mc_engine_pause(engine, false);
    engine_drain(engine);
    metric_is(engine, ENRICHED("trivial"), 1);
    metric_is(engine, ENRICHED("builtin"), 1);
    metric_is(engine, ENRICHED("llm"), 0);
    metric_is(engine, "mindcore_enrichment_duration_seconds_count{method=\"trivial\"}", 1);
    metric_is(engine, "mindcore_enrichment_duration_seconds_count{method=\"builtin\"}", 1);
    metric_is(engine, "mindcore_enrichment_queue_depth", 0);
    metric_is(engine, "mindcore_enrichment_oldest_job_age_seconds", 0);
    metric_is(engine, ERRORS("enrichment"), 0);
}

static void test_read_metrics(struct mc_engine *engine)
{
    char ids[256];
    uint64_t dropped;
    struct mc_error err = {0};
    (void)!mc_cache_clear(engine, MC_STR_NONE, MC_STR_NONE, &dropped, &err);
    double hits = metric(engine, CACHED("hit")), misses = metric(engine, CACHED("miss"));
    is_str(recent_ids(engine, NULL, ids, sizeof(ids)), "m2 m1", "read from the store");
    metric_is(engine, CACHED("miss"), misses + 1);
    metric_is(engine, CACHED("hit"), hits);
    is_str(recent_ids(engine, NULL, ids, sizeof(ids)), "m2 m1", "read from the cache");
    metric_is(engine, CACHED("miss"), misses + 1);
    metric_is(engine, CACHED("hit"), hits + 1);
    metric_is(engine, "mindcore_cache_threads", 1);
    ok(metric(engine, "mindcore_cache_size_bytes") > 100, "size of the cache");

    struct mc_search_query search = {.user_id = MC_STR("u"), .text = MC_STR("refund")};
    struct mc_hit_list *found = NULL;
    is_status(mc_search(engine, &search, &found, &err), MC_OK, &err, "a search");
    if (ok(found && found->count > 0, "with hits"))
        is_text(found->items[0].message->message_id, "m2", "the best of them");
    mc_hit_list_free(found);
    metric_is(engine, "mindcore_search_requests_total", 1);
    metric_is(engine, "mindcore_search_duration_seconds_count", 1);

    struct mc_context_query query = {
        .user_id = MC_STR("u"), .thread_id = MC_STR("t"), .query = MC_STR("refund")};
    struct mc_context *context = NULL;
    is_status(mc_context_assemble(engine, &query, &context, &err), MC_OK, &err, "a context");
    mc_context_free(context);
    query.query = MC_STR("");
    is_status(mc_context_assemble(engine, &query, &context, &err), MC_INVALID, &err, "a bad one");
    metric_is(engine, "mindcore_context_requests_total", 2);
    metric_is(engine, "mindcore_context_retrieval_duration_seconds_count", 2);
    metric_is(engine, ERRORS("context"), 0);
    metric_is(engine, ERRORS("store"), 0);
    metric_is(engine, ERRORS("cache"), 0);
    struct answer status = ANSWER(mc_engine_status, engine);
    ok(metric(engine, "mindcore_store_size_bytes") >= answer_number(&status, "size_bytes"),
       "size of the database and its log");
    double free_bytes = metric(engine, "mindcore_store_disk_free_bytes");
    ok(free_bytes > 0 && free_bytes <= metric(engine, "mindcore_store_disk_size_bytes"),
       "free on its disk: %g", free_bytes);
    metric_is(engine, "mindcore_healthy", 1);
    ok(answer_int(&status, "size_bytes") > 4096, "more than nothing");
    answer_free(&status);
}

static void test_metrics_json(struct mc_engine *engine)
{
    struct answer m = ANSWER(mc_metrics, engine);
    is_int(answer_int(&m, "messages_ingested"), 2, "messages_ingested");
    is_int(answer_int(&m, "messages_enriched"), 2, "messages_enriched");
    is_int(answer_int(&m, "context_requests"), 2, "context_requests");
    is_int(answer_int(&m, "search_requests"), 1, "search_requests");
    is_int(answer_int(&m, "queue_depth"), 0, "queue_depth");
    is_int(answer_int(&m, "dead_jobs"), 0, "dead_jobs");
    is_int(answer_int(&m, "active_workers"), 1, "active_workers");
    is_int(answer_int(&m, "worker_pool_size"), 1, "worker_pool_size");
    is_int(answer_int(&m, "errors"), 0, "errors");
    int64_t hits = answer_int(&m, "cache_hits"), misses = answer_int(&m, "cache_misses");
    is_double(answer_number(&m, "cache_hit_rate"), (double)hits / (double)(hits + misses), 1e-9,
              "cache_hit_rate");
    ok(answer_number(&m, "uptime_seconds") > 0, "uptime_seconds");
    ok(answer_number(&m, "latency_ms.ingest.p50") > 0, "latency of ingest");
    ok(answer_number(&m, "latency_ms.ingest.p99") >= answer_number(&m, "latency_ms.ingest.p50"),
       "its tail is no shorter");
    ok(answer_number(&m, "latency_ms.search.p50") > 0, "latency of a search");
    answer_free(&m);

    struct answer e = ANSWER(mc_enrichment_metrics, engine);
    is_int(answer_int(&e, "processed_count"), 2, "processed_count has the trivial ones too");
    is_int(answer_int(&e, "trivial_skip_count"), 1, "trivial_skip_count");
    is_int(answer_int(&e, "builtin_count"), 1, "builtin_count");
    is_int(answer_int(&e, "llm_count"), 0, "llm_count");
    is_int(answer_int(&e, "error_count"), 0, "error_count");
    is_double(answer_number(&e, "error_rate"), 0, 0, "error_rate");
    ok(answer_number(&e, "avg_processing_time_ms") > 0, "avg_processing_time_ms");
    is_int(answer_int(&e, "queue_size"), 0, "queue_size");
    is_int(mc_json_type(json_at(e.root, "last_error")), MC_JSON_NULL, "last_error");
    is_int(answer_int(&e, "savings_from_trivial.llm_calls_saved"), 1, "calls saved");
    is_double(answer_number(&e, "savings_from_trivial.percentage"), 50, 0, "half of all");
    ok(answer_number(&e, "savings_from_trivial.estimated_cost_saved_usd") > 0, "some money");
    answer_free(&e);
}

/* ---- Queue ---- */

/* Lets the jobs of the messages die, from outside; the number of them. */
static size_t bury(const struct scratch *scratch)
{
    struct mc_store *store = scratch_store(scratch, "e.db");
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    struct mc_error err = {0};
    if (store->ops->claim(store, MC_STR("undertaker"), MC_STAGE_FIRST, mc_time_now_us(),
                          60 * MC_US_PER_SECOND, 100, &jobs, &err))
        bail_out("claim: %s", err.message);
    for (size_t i = 0; i < jobs.count; i++) {
        struct mc_failure failure = {
            .row = jobs.items[i].record->row,
            .error = MC_STR("the model said \"no\""),
            .metadata = MC_STR("{\"enrichment_failed\":true,\"enrichment_error\":\"no\"}")};
        if (store->ops->fail(store, MC_STR("undertaker"), &failure, 1, &err))
            bail_out("fail: %s", err.message);
    }
    store->ops->close(store);
    return jobs.count;
}

static struct answer queue_of(struct mc_engine *engine)
{
    return ANSWER(mc_queue_status, engine, (size_t)10);
}

static void test_queue(const struct scratch *scratch, struct mc_engine *engine)
{
    char ids[256];
    pause_workers(engine);
    for (int i = 0; i < 3; i++) {
        char id[16];
        snprintf(id, sizeof(id), "q%d", i);
        say(engine, id, "Where is my parcel?");
    }
    struct answer q = queue_of(engine);
    is_int(answer_int(&q, "depth"), 3, "three jobs");
    is_int(answer_int(&q, "ready"), 3, "ready");
    is_int(answer_int(&q, "leased"), 0, "none leased");
    is_int(answer_int(&q, "dead"), 0, "none dead");
    answer_free(&q);
    (void)recent_ids(engine, NULL, ids, sizeof(ids));

    is_int(bury(scratch), 3, "they die");
    q = queue_of(engine);
    is_int(answer_int(&q, "depth"), 0, "no job waits");
    is_int(answer_int(&q, "dead"), 3, "three are dead");
    const struct mc_json *dead = json_at(q.root, "dead_jobs");
    if (is_int(mc_json_count(dead), 3, "and listed")) {
        const struct mc_json *job = mc_json_at(dead, 0);
        is_text(mc_json_string(mc_json_get(job, "error")), "the model said \"no\"", "why");
        is_text(mc_json_string(mc_json_get(job, "user_id")), "u", "whose");
        is_int(mc_json_integer(mc_json_get(job, "attempts")), 1, "how often");
        int64_t time_us;
        ok(mc_time_parse(mc_json_string(mc_json_get(job, "died_at")), &time_us), "when");
    }
    answer_free(&q);
    metric_is(engine, "mindcore_enrichment_dead_jobs", 3);
    q = ANSWER(mc_queue_status, engine, (size_t)1);
    is_int(mc_json_count(json_at(q.root, "dead_jobs")), 1, "the list has a limit");
    answer_free(&q);

    uint64_t count = 99;
    struct mc_error err = {0};
    is_status(mc_queue_retry(engine, MC_STR("no id"), &count, &err), MC_INVALID, &err, "a bad id");
    is_status(mc_queue_retry(engine, MC_STR("m1"), &count, &err), MC_OK, &err, "one that lives");
    is_int(count, 0, "is not tried again");
    mc_engine_pause(engine, false);
    is_status(mc_queue_retry(engine, MC_STR("q0"), &count, &err), MC_OK, &err, "one of them");
    is_int(count, 1, "one");
    engine_drain(engine);
    struct mc_message_list *list = NULL;
    is_status(mc_message_get(engine, MC_STR("q0"), MC_STR_NONE, &list, &err), MC_OK, &err, "q0");
    if (list)
        is_str(mc_enrichment_name(list->items[0]->enrichment_state), "enriched", "is enriched now");
    mc_message_list_free(list);
    is_status(mc_queue_retry(engine, MC_STR_NONE, &count, &err), MC_OK, &err, "all of them");
    is_int(count, 2, "the other two");
    engine_drain(engine);

    pause_workers(engine);
    say(engine, "q3", "Where is my invoice?");
    is_int(bury(scratch), 1, "another dies");
    mc_engine_pause(engine, false);
    is_status(mc_queue_purge(engine, &count, &err), MC_OK, &err, "purged");
    is_int(count, 1, "one");
    q = queue_of(engine);
    is_int(answer_int(&q, "dead"), 0, "no dead job is left");
    answer_free(&q);
    list = NULL;
    is_status(mc_message_get(engine, MC_STR("q3"), MC_STR_NONE, &list, &err), MC_OK, &err,
              "its message stays");
    if (list)
        is_str(mc_enrichment_name(list->items[0]->enrichment_state), "failed", "as failed");
    mc_message_list_free(list);
}

/* ---- Health ---- */

/* The jobs of the file have waited an hour longer. */
static void age_jobs(const struct scratch *scratch)
{
    sqlite3 *db = NULL;
    if (sqlite3_open(scratch_path(scratch, "e.db"), &db) || sqlite3_busy_timeout(db, 60000) ||
        sqlite3_exec(db, "UPDATE jobs SET enqueued_at = enqueued_at - 3600000000", NULL, NULL,
                     NULL))
        bail_out("%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

static struct answer health(struct mc_engine *engine, bool expected, const char *what)
{
    bool healthy = !expected;
    char *json = NULL;
    struct mc_error err = {0};
    if (mc_engine_health(engine, &healthy, &json, &err))
        bail_out("health: %s", err.message);
    is_int(healthy, expected, "%s: %s", what, json);
    struct answer answer = answer_of(json);
    is_int(answer_true(&answer, "healthy"), expected, "%s: the answer says the same", what);
    is_text(mc_json_string(json_at(answer.root, "status")), expected ? "ok" : "failed",
            "%s: status", what);
    is_int(mc_json_count(json_at(answer.root, "reasons")) == 0, expected, "%s: reasons", what);
    return answer;
}

static void test_health(void)
{
    struct scratch scratch;
    scratch_make(&scratch);
    struct mc_engine *engine = engine_open(
        &scratch, OPTIONS("health.max_oldest_job", "30m", "health.max_queue_depth", "3"));
    struct answer h = health(engine, true, "new");
    is_int(answer_true(&h, "checks.store.ok"), 1, "the store is well");
    is_int(answer_true(&h, "checks.queue.ok"), 1, "the queue too");
    answer_free(&h);
    pause_workers(engine);
    say(engine, "m1", "Where is my order?");
    h = health(engine, true, "paused for a moment");
    answer_free(&h);
    struct answer w = ANSWER(mc_workers_health, engine);
    is_int(answer_true(&w, "healthy"), 1, "workers are well");
    is_text(mc_json_string(json_at(w.root, "workers.enrichment.status")), "paused", "paused");
    is_int(answer_int(&w, "worker_pool_size"), 1, "one worker");
    is_int(answer_int(&w, "workers.enrichment.metrics.queue_size"), 1, "one job");
    answer_free(&w);

    age_jobs(&scratch);
    h = health(engine, false, "a job has waited too long");
    is_int(answer_true(&h, "checks.workers.ok"), 0, "workers are to blame");
    ok(strstr(h.text, "health.max_oldest_job") != NULL, "and which option says so");
    answer_free(&h);
    w = ANSWER(mc_workers_health, engine);
    is_int(answer_true(&w, "healthy"), 0, "workers are not well");
    is_int(mc_json_count(json_at(w.root, "issues")), 1, "for one reason");
    is_int(answer_true(&w, "workers.enrichment.healthy"), 0, "those of enrichment");
    answer_free(&w);
    for (int i = 2; i < 5; i++) {
        char id[16];
        snprintf(id, sizeof(id), "m%d", i);
        say(engine, id, "Where is my order?");
    }
    h = health(engine, false, "and too many wait");
    is_int(mc_json_count(json_at(h.root, "reasons")), 2, "two reasons");
    answer_free(&h);
    bool fine = true;
    char *json = NULL;
    struct mc_error err = {0};
    is_status(mc_engine_doctor(engine, &fine, &json, &err), MC_OK, &err, "the doctor");
    is_int(fine, 0, "sees it too: %s", json ? json : "");
    mc_free(json);

    mc_engine_pause(engine, false);
    engine_drain(engine);
    h = health(engine, true, "done");
    answer_free(&h);
    is_status(mc_engine_doctor(engine, &fine, &json, &err), MC_OK, &err, "the doctor");
    is_int(fine, 1, "is content: %s", json);
    mc_free(json);
    mc_engine_close(engine);
    scratch_remove(&scratch);
}

/* ---- Cache ---- */

static void test_cache(struct mc_engine *engine)
{
    char ids[256];
    uint64_t count = 99;
    struct mc_error err = {0};
    (void)!mc_cache_clear(engine, MC_STR_NONE, MC_STR_NONE, &count, &err);
    struct answer before = ANSWER(mc_cache_stats, engine);
    (void)recent_ids(engine, NULL, ids, sizeof(ids));
    (void)recent_ids(engine, NULL, ids, sizeof(ids));
    struct answer c = ANSWER(mc_cache_stats, engine);
    is_text(mc_json_string(json_at(c.root, "cache.backend")), "memory", "in memory");
    is_int(answer_int(&c, "cache.threads"), 1, "one thread");
    is_int(answer_int(&c, "cache.messages"), 6, "its messages");
    is_int(answer_int(&c, "cache.max_size"), 50, "fifty fit");
    is_int(mc_json_type(json_at(c.root, "cache.ttl_seconds")), MC_JSON_NULL, "for ever");
    is_int(answer_int(&c, "invalidation.cache_hits") -
               answer_int(&before, "invalidation.cache_hits"),
           1, "one hit");
    is_int(answer_int(&c, "invalidation.cache_misses") -
               answer_int(&before, "invalidation.cache_misses"),
           1, "one miss");
    int64_t total = answer_int(&c, "invalidation.total_invalidations");
    int64_t by_user = answer_int(&c, "invalidation.by_reason.user");
    answer_free(&before);
    answer_free(&c);

    is_status(mc_cache_clear(engine, MC_STR("nobody"), MC_STR_NONE, &count, &err), MC_OK, &err,
              "another user");
    is_int(count, 0, "nothing of it is cached");
    is_status(mc_cache_clear(engine, MC_STR("u"), MC_STR("t"), &count, &err), MC_OK, &err,
              "one thread");
    is_int(count, 1, "one");
    c = ANSWER(mc_cache_stats, engine);
    is_int(answer_int(&c, "cache.threads"), 0, "nothing is cached");
    is_int(answer_int(&c, "invalidation.total_invalidations"), total + 1, "one more");
    answer_free(&c);
    (void)recent_ids(engine, NULL, ids, sizeof(ids));
    is_status(mc_cache_clear(engine, MC_STR("u"), MC_STR_NONE, &count, &err), MC_OK, &err,
              "all of a user");
    is_int(count, 1, "one");
    c = ANSWER(mc_cache_stats, engine);
    is_int(answer_int(&c, "invalidation.total_invalidations"), total + 2, "one more again");
    is_int(answer_int(&c, "invalidation.by_reason.user"), by_user + 1, "by user");
    int64_t time_us = 0;
    ok(mc_time_parse(mc_json_string(json_at(c.root, "invalidation.last_invalidation")), &time_us) &&
           mc_time_now_us() - time_us < 60 * MC_US_PER_SECOND,
       "just now");
    answer_free(&c);
    is_str(recent_ids(engine, NULL, ids, sizeof(ids)), "q3 q2 q1 q0 m2 m1", "read anew");

    is_status(mc_cache_drop_stale(engine, 3600, &count, &err), MC_OK, &err, "older than an hour");
    is_int(count, 0, "nothing is");
    scratch_pause_ms(5);
    is_status(mc_cache_drop_stale(engine, 0, &count, &err), MC_OK, &err, "older than now");
    is_int(count, 1, "everything is");
    c = ANSWER(mc_cache_stats, engine);
    is_int(answer_int(&c, "invalidation.by_reason.age"), 1, "by age");
    answer_free(&c);
    is_status(mc_cache_drop_stale(engine, -1, &count, &err), MC_INVALID, &err, "a negative age");
    is_str(err.field, "max_age_seconds", "named");
    is_status(mc_cache_drop_stale(engine, NAN, &count, &err), MC_INVALID, &err, "no number");
    is_status(mc_cache_clear(engine, MC_STR_NONE, MC_STR("t"), &count, &err), MC_INVALID, &err,
              "a thread of nobody");
    is_str(err.field, "user_id", "named");
    is_status(mc_cache_drop_topic(engine, MC_STR("no such topic"), &count, &err), MC_INVALID, &err,
              "an unknown topic");
    is_str(err.field, "topic", "named");
    (void)recent_ids(engine, NULL, ids, sizeof(ids));
    say(engine, "c1", "I want a refund of my payment");
    engine_drain(engine);
    is_status(mc_cache_drop_topic(engine, MC_STR("password"), &count, &err), MC_OK, &err,
              "a topic that nobody spoke of");
    is_int(count, 0, "drops nothing");
    is_status(mc_cache_drop_topic(engine, MC_STR("refund"), &count, &err), MC_OK, &err, "a topic");
    is_int(count, 1, "drops the thread that spoke of it");
    c = ANSWER(mc_cache_stats, engine);
    is_int(answer_int(&c, "invalidation.by_reason.topic"), 1, "by topic");
    answer_free(&c);
}

/* ---- Tiers, backup ---- */

static void test_tiers(struct mc_engine *engine)
{
    struct mc_message_input old = said("old", "My parcel arrived in two parts");
    old.created_at_us = mc_time_now_us() - 3 * MC_US_PER_DAY;
    ingest(engine, &old);
    engine_drain(engine);
    char *json = NULL;
    struct mc_error err = {0};
    struct mc_recent_query query = {.user_id = MC_STR("u"), .thread_id = MC_STR("t"), .limit = 50};
    struct mc_message_list *list = NULL;
    is_status(mc_message_recent(engine, &query, &list, &err), MC_OK, &err, "cached");
    mc_message_list_free(list);
    is_status(mc_tiers_migrate(engine, MC_STR("a b"), false, NULL, NULL, &json, &err), MC_INVALID,
              &err, "a bad user");
    is_status(mc_tiers_migrate(engine, MC_STR("u"), true, NULL, NULL, &json, &err), MC_OK, &err,
              "a dry run");
    struct answer t = answer_of(json);
    is_int(answer_int(&t, "messages_migrated"), 1, "would move one");
    is_int(answer_true(&t, "dry_run"), 1, "dry");
    answer_free(&t);
    is_status(mc_tiers_migrate(engine, MC_STR_NONE, false, NULL, NULL, &json, &err), MC_OK, &err,
              "a run");
    t = answer_of(json);
    is_int(answer_int(&t, "messages_migrated"), 1, "moves one");
    answer_free(&t);
    list = NULL;
    is_status(mc_message_recent(engine, &query, &list, &err), MC_OK, &err, "read again");
    bool seen = false;
    for (size_t i = 0; list && i < list->count; i++) {
        const struct mc_message *m = list->items[i];
        if (mc_str_equal(m->message_id, MC_STR("old")))
            seen = is_str(mc_tier_name(m->tier), "mid", "its tier, though it was cached");
    }
    ok(seen, "the message is among them");
    mc_message_list_free(list);
}

static void test_backup(const struct scratch *scratch, struct mc_engine *engine)
{
    struct mc_error err = {0};
    const char *path = scratch_path(scratch, "copy.db");
    is_status(mc_engine_backup(engine, NULL, NULL, NULL, &err), MC_INVALID, &err, "no file");
    is_status(mc_engine_backup(engine, path, NULL, NULL, &err), MC_OK, &err, "a copy");
    is_status(mc_engine_backup(engine, path, NULL, NULL, &err), MC_CONFLICT, &err, "not twice");
    struct mc_engine *copy =
        engine_open(scratch, OPTIONS("database.path", scratch_path(scratch, "copy.db")));
    char ids[256], expected[256];
    is_str(recent_ids(copy, NULL, ids, sizeof(ids)),
           recent_ids(engine, NULL, expected, sizeof(expected)), "the copy has the same messages");
    mc_engine_close(copy);
    struct answer models = ANSWER(mc_models_list, engine);
    is_text(mc_json_string(json_at(models.root, "provider")), "builtin", "what enriches");
    is_int(mc_json_count(json_at(models.root, "models")), 3, "of three");
    answer_free(&models);
    struct answer s = ANSWER(mc_engine_status, engine);
    is_int(answer_int(&s, "messages"), 8, "messages");
    is_int(answer_int(&s, "users"), 1, "users");
    is_int(answer_int(&s, "threads"), 1, "threads");
    is_int(answer_int(&s, "messages_by_tier.mid"), 1, "one in the middle");
    is_int(answer_int(&s, "messages_by_state.failed"), 1, "one failed");
    is_int(answer_int(&s, "workers.alive"), 1, "workers");
    answer_free(&s);
}

#define HOUR_US INT64_C(3600000000)
#define COMMITS "mindcore_store_commits_total"

static bool health_within(struct mc_engine *engine, int64_t max_age_us)
{
    bool healthy = false;
    char *json = NULL;
    struct mc_error err = {0};
    if (mc_engine_health_within(engine, max_age_us, &healthy, &json, &err))
        bail_out("health: %s", err.message);
    if (!strstr(json, healthy ? "\"healthy\":true" : "\"healthy\":false"))
        bail_out("another answer than %d: %s", healthy, json);
    mc_free(json);
    return healthy;
}

static void *ask_for_health(void *context)
{
    for (int i = 0; i < 100; i++)
        (void)health_within(context, HOUR_US);
    return NULL;
}

/* However many want to know, one asks; and only when what is known is too old. */
static void test_health_told_again(void)
{
    struct scratch scratch;
    pthread_t threads[4];
    scratch_make(&scratch);
    struct mc_engine *engine = engine_open(&scratch, NULL);
    pause_workers(engine);
    double before = metric(engine, COMMITS);
    for (size_t i = 0; i < mc_countof(threads); i++) {
        if (pthread_create(&threads[i], NULL, ask_for_health, engine))
            bail_out("no thread");
    }
    for (size_t i = 0; i < mc_countof(threads); i++)
        pthread_join(threads[i], NULL);
    metric_is(engine, COMMITS, before + 1);
    if (rename(scratch_path(&scratch, "e.db"), scratch_path(&scratch, "moved.db")))
        bail_out("no renaming");
    ok(health_within(engine, HOUR_US), "what is known is told again");
    ok(!health_within(engine, -1), "what is too old is not");
    ok(!health_within(engine, HOUR_US), "and bad news is told again like good news");
    if (rename(scratch_path(&scratch, "moved.db"), scratch_path(&scratch, "e.db")))
        bail_out("no renaming");
    struct answer h = health(engine, true, "asked without an age it is asked anew");
    answer_free(&h);
    mc_engine_close(engine);
    scratch_remove(&scratch);
}

/* What is stored into a file that nothing leads to is lost at the end. */
static void test_removed_file(void)
{
    struct scratch scratch;
    scratch_make(&scratch);
    struct mc_engine *engine = engine_open(&scratch, NULL);
    pause_workers(engine);
    say(engine, "m1", "The payment failed");
    struct answer h = health(engine, true, "the file is there");
    answer_free(&h);
    if (rename(scratch_path(&scratch, "e.db"), scratch_path(&scratch, "moved.db")))
        bail_out("no renaming");
    h = health(engine, false, "the file is gone");
    ok(strstr(h.text, "removed or replaced") != NULL, "and it is said: %s", h.text);
    answer_free(&h);
    struct mc_message_input input = said("m2", "It would be lost");
    struct mc_error err = {0};
    is_status(mc_message_ingest(engine, &input, NULL, NULL, &err), MC_IO, &err,
              "nothing is acknowledged that would be lost");
    ok(strstr(err.message, "restart this program") != NULL, "and it is said: %s", err.message);
    if (rename(scratch_path(&scratch, "moved.db"), scratch_path(&scratch, "e.db")))
        bail_out("no renaming");
    h = health(engine, true, "and back");
    answer_free(&h);
    mc_engine_close(engine);
    scratch_remove(&scratch);
}

/* A cache that cannot be on disk is no reason to refuse work. */
static void test_no_cache_folder(void)
{
    struct scratch scratch;
    scratch_make(&scratch);
    FILE *file = fopen(scratch_path(&scratch, "file"), "w");
    if (!file || fclose(file))
        bail_out("no file");
    struct mc_engine *engine =
        engine_open(&scratch, OPTIONS("cache.persistent", "true", "cache.dir",
                                      scratch_path(&scratch, "file/cache")));
    say(engine, "m1", "The payment failed");
    struct answer h = health(engine, true, "without the folder of the cache");
    is_int(answer_true(&h, "checks.cache.ok"), 0, "the cache is not as configured");
    ok(strstr(h.text, "memory only") != NULL && strstr(h.text, "cache.dir") != NULL,
       "and it is said: %s", h.text);
    answer_free(&h);
    struct answer stats = ANSWER(mc_cache_stats, engine);
    is_text(mc_json_string(json_at(stats.root, "cache.backend")), "memory", "another one is used");
    answer_free(&stats);
    mc_engine_close(engine);
    scratch_remove(&scratch);
}

int main(void)
{
    struct scratch scratch;
    scratch_make(&scratch);
    struct mc_engine *engine = engine_open(&scratch, NULL);
    test_ingest_metrics(engine);
    test_read_metrics(engine);
    test_metrics_json(engine);
    test_queue(&scratch, engine);
    test_cache(engine);
    test_tiers(engine);
    test_backup(&scratch, engine);
    mc_engine_close(engine);
    scratch_remove(&scratch);
    test_health();
    test_health_told_again();
    test_removed_file();
    test_no_cache_folder();
    return done_testing();
}
