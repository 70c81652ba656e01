#include <mindcore/operate.h>

#include <math.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/metrics_text.h"
#include "base/str.h"
#include "base/time.h"
#include "engine/snapshot.h"

/* The dictionaries of docs/http.md, written from one snapshot each. */

/*
 * What one call of a cloud model for enrichment costs, for the estimate of what trivial detection saves, as
 * long as none was measured: about 600 tokens in (instructions, vocabulary, message) and 120 out, at the list price of gpt-4o-mini of
 * 0.15 and 0.60 USD a million tokens.
 */
#define COST_OF_A_CALL_USD ((600 * 0.15 + 120 * 0.60) / 1e6)

static void ignore_issue(void *context, const char *text)
{
    (void)context;
    (void)text;
}

static void put_issue(void *context, const char *text)
{
    mc_json_put_text(context, text);
}

/* What is wrong, as a JSON array; the number of entries that make it unhealthy. */
static int list_issues(const struct mc_engine *engine, const struct mc_snapshot *s,
                       struct mc_buf *array)
{
    struct mc_json_writer w = mc_json_writer(array);
    mc_json_begin(&w, '[');
    int count = mc_snapshot_issues(engine, s, put_issue, &w);
    mc_snapshot_warnings(s, put_issue, &w);
    mc_json_end(&w, ']');
    return count;
}

static void write_issues(struct mc_json_writer *w, const struct mc_buf *array)
{
    mc_json_key(w, "issues");
    mc_json_put_raw(w, mc_buf_str(array));
}

static void write_enrichment(struct mc_json_writer *w, const struct mc_engine *engine,
                             const struct mc_snapshot *s)
{
    uint64_t processed = mc_snapshot_processed(s);
    double cost_usd = mc_models_enrich_cost(engine->models);
    mc_json_begin(w, '{');
    mc_json_member_integer(w, "processed_count", (int64_t)processed);
    mc_json_member_integer(w, "trivial_skip_count", (int64_t)s->trivial);
    mc_json_member_integer(w, "builtin_count", (int64_t)s->builtin);
    mc_json_member_integer(w, "llm_count", (int64_t)s->llm);
    mc_json_member_integer(w, "error_count", (int64_t)s->errors);
    mc_json_member_number(w, "error_rate", mc_snapshot_error_rate(s));
    mc_json_member_fixed(w, "avg_processing_time_ms", s->average_ms, 4);
    mc_json_member_integer(w, "queue_size", s->queue.ready + s->queue.leased);
    mc_json_member_integer(w, "dead_count", s->queue.dead);
    mc_json_member_fixed(w, "oldest_job_age_seconds", s->oldest_age_s, 3);
    mc_json_key(w, "last_error");
    mc_json_put_text(w, s->pool.last_error[0] ? s->pool.last_error : NULL);
    mc_json_member_fixed(w, "uptime_seconds", s->uptime_s, 3);
    mc_json_key(w, "savings_from_trivial");
    mc_json_begin(w, '{');
    mc_json_member_integer(w, "llm_calls_saved", (int64_t)s->trivial);
    mc_json_member_fixed(w, "percentage",
                         processed ? 100.0 * (double)s->trivial / (double)processed : 0, 2);
    mc_json_member_number(w, "estimated_cost_saved_usd",
                          (double)s->trivial * (cost_usd > 0 ? cost_usd : COST_OF_A_CALL_USD));
    mc_json_end(w, '}');
    mc_json_end(w, '}');
}

enum mc_status mc_workers_health(struct mc_engine *engine, char **json, struct mc_error *err)
{
    struct mc_snapshot s;
    mc_snapshot_take(engine, &s);
    mc_auto(mc_buf_fini) struct mc_buf issues;
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&issues, MC_RESULT_MAX);
    mc_buf_init(&buf, MC_RESULT_MAX);
    bool healthy = list_issues(engine, &s, &issues) == 0;
    if (issues.failed)
        return mc_fail_memory(err);
    struct mc_json_writer writer = mc_json_writer(&buf), *w = &writer;
    mc_json_begin(w, '{');
    mc_json_member_boolean(w, "healthy", healthy);
    write_issues(w, &issues);
    mc_json_key(w, "timestamp");
    mc_json_put_time(w, s.now_us);
    mc_json_member_integer(w, "worker_pool_size", engine->settings.pool.workers);
    mc_json_key(w, "replicas");
    mc_snapshot_write_replicas(&s, w);
    mc_json_key(w, "workers");
    mc_json_begin(w, '{');
    mc_json_key(w, "enrichment");
    mc_json_begin(w, '{');
    mc_json_member_boolean(w, "healthy", healthy);
    const char *state = s.models.trouble > 0 ? "degraded" : s.pool.busy > 0 ? "working" : "idle";
    mc_json_member_text(w, "status",
                        s.pool.alive == 0 ? "stopped"
                        : s.pool.paused   ? "paused"
                                          : state);
    write_issues(w, &issues);
    mc_json_member_integer(w, "alive", s.pool.alive);
    mc_json_member_integer(w, "busy", s.pool.busy);
    mc_json_key(w, "metrics");
    write_enrichment(w, engine, &s);
    mc_json_end(w, '}');
    mc_json_end(w, '}');
    mc_json_end(w, '}');
    return mc_engine_result(&buf, json, err);
}

enum mc_status mc_enrichment_metrics(struct mc_engine *engine, char **json, struct mc_error *err)
{
    struct mc_snapshot s;
    mc_snapshot_take(engine, &s);
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    struct mc_json_writer w = mc_json_writer(&buf);
    write_enrichment(&w, engine, &s);
    return mc_engine_result(&buf, json, err);
}

/* Quantiles of a histogram in milliseconds. */
static void write_latency(struct mc_json_writer *w, const char *key,
                          const struct mc_metrics *metrics, enum mc_histogram histogram)
{
    mc_json_key(w, key);
    mc_json_begin(w, '{');
    mc_json_member_fixed(w, "p50", mc_metrics_quantile_us(metrics, histogram, 0.50) / 1e3, 3);
    mc_json_member_fixed(w, "p95", mc_metrics_quantile_us(metrics, histogram, 0.95) / 1e3, 3);
    mc_json_member_fixed(w, "p99", mc_metrics_quantile_us(metrics, histogram, 0.99) / 1e3, 3);
    mc_json_end(w, '}');
}

enum mc_status mc_metrics(struct mc_engine *engine, char **json, struct mc_error *err)
{
    struct mc_snapshot s;
    mc_snapshot_take(engine, &s);
    const struct mc_metrics *m = engine->metrics;
    uint64_t errors =
        s.errors + mc_metrics_count(m, MC_COUNT_ERROR_INGEST) +
        mc_metrics_count(m, MC_COUNT_ERROR_CONTEXT) + mc_metrics_count(m, MC_COUNT_ERROR_STORE) +
        mc_metrics_count(m, MC_COUNT_ERROR_CACHE) + mc_metrics_count(m, MC_COUNT_ERROR_LLM);
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    struct mc_json_writer writer = mc_json_writer(&buf), *w = &writer;
    mc_json_begin(w, '{');
    mc_json_member_integer(w, "messages_ingested", (int64_t)mc_metrics_count(m, MC_COUNT_INGESTED));
    mc_json_member_integer(w, "messages_enriched", (int64_t)mc_snapshot_processed(&s));
    mc_json_member_integer(w, "context_requests", (int64_t)mc_metrics_count(m, MC_COUNT_CONTEXT));
    mc_json_member_integer(w, "search_requests", (int64_t)mc_metrics_count(m, MC_COUNT_SEARCH));
    mc_json_member_integer(w, "queue_depth", s.queue.ready + s.queue.leased);
    mc_json_member_integer(w, "dead_jobs", s.queue.dead);
    mc_json_member_fixed(w, "oldest_job_age_seconds", s.oldest_age_s, 3);
    mc_json_member_integer(w, "active_workers", s.pool.alive);
    mc_json_member_integer(w, "busy_workers", s.pool.busy);
    mc_json_member_integer(w, "worker_pool_size", engine->settings.pool.workers);
    mc_json_member_number(w, "cache_hit_rate", mc_snapshot_hit_rate(&s));
    mc_json_member_integer(w, "cache_hits", (int64_t)s.cache.hits);
    mc_json_member_integer(w, "cache_misses", (int64_t)s.cache.misses);
    mc_json_member_integer(w, "cache_size_bytes", (int64_t)s.cache.bytes);
    mc_json_member_integer(w, "errors", (int64_t)errors);
    mc_json_member_fixed(w, "uptime_seconds", s.uptime_s, 3);
    mc_json_key(w, "latency_ms");
    mc_json_begin(w, '{');
    write_latency(w, "ingest", m, MC_TIME_INGEST);
    write_latency(w, "enrichment", m, MC_TIME_ENRICH_BUILTIN);
    write_latency(w, "context", m, MC_TIME_CONTEXT);
    write_latency(w, "search", m, MC_TIME_SEARCH);
    mc_json_end(w, '}');
    mc_json_end(w, '}');
    return mc_engine_result(&buf, json, err);
}

static double known_bytes(int64_t bytes)
{
    return bytes >= 0 ? (double)bytes : (double)NAN;
}

/* The gauges that only a scraper needs: sizes, and whether health would say that all is well. */
static void set_scraped(struct mc_engine *engine)
{
    struct mc_snapshot s;
    struct mc_store_room room = {.bytes = -1, .disk_bytes = -1, .free_bytes = -1};
    struct mc_error error;
    char text[1];
    mc_snapshot_take(engine, &s);
    if (!s.store_status) /* a server that is away is waited for once */
        (void)!engine->store->ops->room(engine->store, &room, &error);
    struct mc_metrics *m = engine->metrics;
    bool healthy = mc_snapshot_issues(engine, &s, ignore_issue, NULL) == 0 &&
                   !mc_snapshot_ingest_issue(&s, text, sizeof(text));
    mc_metrics_set(m, MC_GAUGE_HEALTHY, healthy);
    mc_metrics_set(m, MC_GAUGE_STORE_SIZE, known_bytes(room.bytes));
    mc_metrics_set(m, MC_GAUGE_STORE_DISK, known_bytes(room.disk_bytes));
    mc_metrics_set(m, MC_GAUGE_STORE_DISK_FREE, known_bytes(room.free_bytes));
}

struct mc_metrics *mc_engine_metrics(struct mc_engine *engine)
{
    return engine->metrics;
}

static enum mc_status write_exposition(struct mc_engine *engine, enum mc_metrics_format format,
                                       char **text, struct mc_error *err)
{
    set_scraped(engine);
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    mc_metrics_expose(engine->metrics, format, &buf);
    return mc_engine_result(&buf, text, err);
}

enum mc_status mc_metrics_prometheus(struct mc_engine *engine, char **text, struct mc_error *err)
{
    return write_exposition(engine, MC_METRICS_PROMETHEUS, text, err);
}

enum mc_status mc_metrics_exposition(struct mc_engine *engine, mc_str accept, char **text,
                                     const char **content_type, struct mc_error *err)
{
    enum mc_metrics_format format = mc_metrics_format_of(accept);
    enum mc_status status = write_exposition(engine, format, text, err);
    if (!status)
        *content_type = mc_metrics_content_type(format);
    return status;
}

enum mc_status mc_cache_stats(struct mc_engine *engine, char **json, struct mc_error *err)
{
    struct mc_snapshot s;
    mc_snapshot_take(engine, &s);
    const struct mc_cache_stats *c = &s.cache;
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    struct mc_json_writer writer = mc_json_writer(&buf), *w = &writer;
    mc_json_begin(w, '{');
    mc_json_key(w, "cache");
    mc_json_begin(w, '{');
    mc_json_member_text(w, "backend", engine->cache->ops->name);
    mc_json_member_integer(w, "threads", (int64_t)c->threads);
    mc_json_member_integer(w, "messages", (int64_t)c->messages);
    mc_json_member_integer(w, "size_bytes", (int64_t)c->bytes);
    mc_json_member_integer(w, "max_bytes", (int64_t)engine->settings.cache.max_bytes);
    mc_json_member_integer(w, "max_size", (int64_t)engine->settings.cache.max_size);
    mc_json_key(w, "ttl_seconds");
    if (engine->settings.cache.ttl_us)
        mc_json_put_number(w, (double)engine->settings.cache.ttl_us / 1e6);
    else
        mc_json_put_null(w);
    mc_json_member_integer(w, "evictions", (int64_t)c->evictions);
    mc_json_member_integer(w, "expirations", (int64_t)c->expirations);
    mc_json_member_integer(w, "errors", (int64_t)c->errors);
    mc_json_end(w, '}');
    mc_json_key(w, "invalidation");
    mc_json_begin(w, '{');
    mc_json_member_integer(w, "total_invalidations", (int64_t)c->invalidations);
    mc_json_key(w, "by_reason");
    mc_json_begin(w, '{');
    mc_json_member_integer(w, "topic", (int64_t)c->by_topic);
    mc_json_member_integer(w, "user", (int64_t)c->by_user);
    mc_json_member_integer(w, "age", (int64_t)c->by_age);
    mc_json_member_integer(w, "change", (int64_t)c->by_change);
    mc_json_end(w, '}');
    mc_json_key(w, "last_invalidation");
    if (c->last_invalidation_us)
        mc_json_put_time(w, c->last_invalidation_us);
    else
        mc_json_put_null(w);
    mc_json_member_integer(w, "cache_hits", (int64_t)c->hits);
    mc_json_member_integer(w, "cache_misses", (int64_t)c->misses);
    mc_json_member_number(w, "hit_rate", mc_snapshot_hit_rate(&s));
    mc_json_end(w, '}');
    mc_json_end(w, '}');
    return mc_engine_result(&buf, json, err);
}
