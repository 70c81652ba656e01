#include "engine/snapshot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/time.h"

/* This many failures of the store in a row make the workers, or storing messages, unhealthy. */
#define CONSECUTIVE_ERRORS_MAX 3

/*
 * What failed longer ago says little of now. It must not keep health red for ever either: a program that is
 * sent no messages because it is unhealthy would never show that it is well again.
 */
#define RECENT_US (60 * MC_US_PER_SECOND)

static bool is_recent(int64_t monotonic_us)
{
    return monotonic_us && mc_time_monotonic_us() - monotonic_us < RECENT_US;
}

static void read_ingest(struct mc_engine *engine, struct mc_snapshot *s)
{
    struct mc_ingest_failures *failures = &engine->ingest_failures;
    mc_mutex_lock(&failures->mutex);
    if (is_recent(failures->last_us)) {
        s->ingest_failures = atomic_load(&failures->calls);
        s->ingest_lost = failures->messages;
        memcpy(s->ingest_error, failures->error, sizeof(s->ingest_error));
    }
    mc_mutex_unlock(&failures->mutex);
}

static void read_counts(struct mc_engine *engine, struct mc_snapshot *s)
{
    static const enum mc_histogram TIMES[] = {MC_TIME_ENRICH_TRIVIAL, MC_TIME_ENRICH_BUILTIN,
                                              MC_TIME_ENRICH_LLM};
    s->trivial = mc_metrics_count(engine->metrics, MC_COUNT_ENRICHED_TRIVIAL);
    s->builtin = mc_metrics_count(engine->metrics, MC_COUNT_ENRICHED_BUILTIN);
    s->llm = mc_metrics_count(engine->metrics, MC_COUNT_ENRICHED_LLM);
    s->errors = mc_metrics_count(engine->metrics, MC_COUNT_ERROR_ENRICHMENT);
    uint64_t observed = 0;
    int64_t total_us = 0;
    for (size_t i = 0; i < sizeof(TIMES) / sizeof(TIMES[0]); i++) {
        int64_t sum_us = 0;
        observed += mc_metrics_observed(engine->metrics, TIMES[i], &sum_us);
        total_us += sum_us;
    }
    s->average_ms = observed ? (double)total_us / (double)observed / 1e3 : 0;
}

/* The cache counts its own errors; the metrics follow, each error once whoever looks first. */
static void count_cache_errors(struct mc_engine *engine, uint64_t errors)
{
    unsigned long long counted = atomic_load(&engine->cache_errors);
    while (counted < errors) {
        if (atomic_compare_exchange_weak(&engine->cache_errors, &counted, errors)) {
            mc_metrics_add(engine->metrics, MC_COUNT_ERROR_CACHE, errors - counted);
            atomic_store(&engine->cache_error_us, mc_time_monotonic_us());
            return;
        }
    }
}

void mc_snapshot_take(struct mc_engine *engine, struct mc_snapshot *snapshot)
{
    struct mc_snapshot s = {.now_us = mc_time_now_us()};
    s.store_status = engine->store->ops->queue(engine->store, s.now_us, &s.queue, &s.store_error);
    mc_enricher_read(engine->enricher, &s.pool);
    engine->cache->ops->stats(engine->cache, &s.cache);
    count_cache_errors(engine, s.cache.errors);
    s.cache_failing = is_recent(atomic_load(&engine->cache_error_us));
    read_ingest(engine, &s);
    read_counts(engine, &s);
    mc_models_health(engine->models, &s.models);
    if (!mc_embeddings_issue(engine->embeddings, s.embeddings, sizeof(s.embeddings)))
        s.embeddings[0] = '\0';
    if (s.queue.oldest_us > 0 && s.queue.oldest_us < s.now_us)
        s.oldest_age_s = (double)(s.now_us - s.queue.oldest_us) / 1e6;
    s.uptime_s = (double)(mc_time_monotonic_us() - engine->opened_us) / 1e6;
    struct mc_metrics *m = engine->metrics;
    bool known = s.store_status == MC_OK; /* an empty queue must not be shown where none was read */
    mc_metrics_set(m, MC_GAUGE_QUEUE_DEPTH,
                   known ? (double)(s.queue.ready + s.queue.leased) : (double)NAN);
    mc_metrics_set(m, MC_GAUGE_QUEUE_OLDEST_AGE, known ? s.oldest_age_s : (double)NAN);
    mc_metrics_set(m, MC_GAUGE_QUEUE_DEAD, known ? (double)s.queue.dead : (double)NAN);
    mc_metrics_set(m, MC_GAUGE_ACTIVE_WORKERS, s.pool.alive);
    mc_metrics_set(m, MC_GAUGE_BUSY_WORKERS, s.pool.busy);
    mc_metrics_set(m, MC_GAUGE_CACHE_SIZE, (double)s.cache.bytes);
    mc_metrics_set(m, MC_GAUGE_CACHE_THREADS, (double)s.cache.threads);
    mc_metrics_set(m, MC_GAUGE_UPTIME, s.uptime_s);
    *snapshot = s;
}

uint64_t mc_snapshot_processed(const struct mc_snapshot *s)
{
    return s->trivial + s->builtin + s->llm;
}

double mc_snapshot_error_rate(const struct mc_snapshot *s)
{
    uint64_t finished = mc_snapshot_processed(s) + s->errors;
    return finished ? (double)s->errors / (double)finished : 0;
}

double mc_snapshot_hit_rate(const struct mc_snapshot *s)
{
    uint64_t reads = s->cache.hits + s->cache.misses;
    return reads ? (double)s->cache.hits / (double)reads : 1;
}

bool mc_snapshot_ingest_issue(const struct mc_snapshot *s, char *text, size_t size)
{
    if (s->ingest_failures < CONSECUTIVE_ERRORS_MAX)
        return false;
    snprintf(text, size, "the last %llu messages could not be stored: %s",
             (unsigned long long)s->ingest_lost, s->ingest_error);
    return true;
}

int mc_snapshot_issues(const struct mc_engine *engine, const struct mc_snapshot *s,
                       mc_issue_fn issue, void *context)
{
    char text[512];
    int count = 0;
    if (s->store_status) {
        snprintf(text, sizeof(text), "the queue cannot be read: %s", s->store_error.message);
        issue(context, text);
        count++;
    }
    if (s->pool.alive < engine->settings.pool.workers) {
        snprintf(text, sizeof(text), "%d of %d workers are running", s->pool.alive,
                 engine->settings.pool.workers);
        issue(context, text);
        count++;
    }
    if (s->pool.consecutive_errors >= CONSECUTIVE_ERRORS_MAX) {
        snprintf(text, sizeof(text), "the last %d batches failed: %s", s->pool.consecutive_errors,
                 s->pool.last_error);
        issue(context, text);
        count++;
    }
    double bound_s = (double)engine->settings.health_max_oldest_us / 1e6;
    if (bound_s > 0 && s->oldest_age_s > bound_s) {
        snprintf(text, sizeof(text),
                 "the oldest job has waited %.0f s, more than health.max_oldest_job (%.0f s)",
                 s->oldest_age_s, bound_s);
        issue(context, text);
        count++;
    }
    if (s->pool.overdue) {
        snprintf(text, sizeof(text),
                 "a worker has been at one batch for %.0f s, longer than its lease",
                 (double)s->pool.longest_busy_us / 1e6);
        issue(context, text);
        count++;
    }
    int64_t depth = s->queue.ready + s->queue.leased;
    if (engine->settings.health_max_depth > 0 && depth > engine->settings.health_max_depth) {
        snprintf(text, sizeof(text), "%lld jobs wait, more than health.max_queue_depth (%lld)",
                 (long long)depth, (long long)engine->settings.health_max_depth);
        issue(context, text);
        count++;
    }
    for (size_t i = 0; s->models.blocked && i < s->models.trouble; i++) {
        issue(context, s->models.issues[i]);
        count++;
    }
    return count;
}

int mc_snapshot_warnings(const struct mc_snapshot *s, mc_issue_fn issue, void *context)
{
    int count = 0;
    for (size_t i = 0; !s->models.blocked && i < s->models.trouble; i++, count++)
        issue(context, s->models.issues[i]);
    /* Words find what meaning does not. */
    if (s->embeddings[0]) {
        issue(context, s->embeddings);
        count++;
    }
    return count;
}
