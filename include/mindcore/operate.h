/*
 * Running it: health, metrics, queue, cache, backup.
 *
 * Results are JSON texts whose keys docs/http.md lists, freed with mc_free.
 */
#ifndef MINDCORE_OPERATE_H
#define MINDCORE_OPERATE_H

#include <mindcore/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

/* {healthy, issues[], timestamp, worker_pool_size, workers: {enrichment: {healthy, status, issues, metrics}}}. */
MC_API MC_MUST_CHECK enum mc_status mc_workers_health(struct mc_engine *engine, char **json,
                                                      struct mc_error *err);

/* {processed_count, trivial_skip_count, error_count, error_rate, avg_processing_time_ms, queue_size, ...}. */
MC_API MC_MUST_CHECK enum mc_status mc_enrichment_metrics(struct mc_engine *engine, char **json,
                                                          struct mc_error *err);

/* {messages_ingested, messages_enriched, context_requests, queue_depth, active_workers, ...}. */
MC_API MC_MUST_CHECK enum mc_status mc_metrics(struct mc_engine *engine, char **json,
                                               struct mc_error *err);

/* The same counts in the Prometheus text format 0.0.4. */
MC_API MC_MUST_CHECK enum mc_status mc_metrics_prometheus(struct mc_engine *engine, char **text,
                                                          struct mc_error *err);

/*
 * The same for a scraper that sends this Accept header (absent: none): OpenMetrics 1.0.0 where it asks for
 * that, else 0.0.4. *content_type is static text for the answer's header.
 */
MC_API MC_MUST_CHECK enum mc_status mc_metrics_exposition(struct mc_engine *engine, mc_str accept,
                                                          char **text, const char **content_type,
                                                          struct mc_error *err);

/* What the engine counts in. Opaque: Mindcore's own HTTP server counts its requests there as well. */
struct mc_metrics;
MC_API struct mc_metrics *mc_engine_metrics(struct mc_engine *engine);

/*
 * Shows the counts to Prometheus until the engine is closed: GET /metrics and GET /health on "127.0.0.1:9090",
 * "[::1]:9090", "localhost:9090" or ":9090", which is every IPv4 address of the machine ("[::]:9090": every
 * one). Port 0 takes any free one. `mindcore serve` has /metrics on its own address and, with the option
 * server.metrics_listen, on one more: this is for programs that embed the library.
 *
 * No key is asked for, so whoever reaches the address can read the counts; no text, user or key of an
 * application is among them. On a loopback address a request must name localhost or an IP address as its Host.
 *
 * Each engine of a process has a listener of its own. MC_CONFLICT: this engine has one already.
 * MC_CONFIG, field "address": it is no address. MC_IO: it is in use, or not one of this machine; the message names it.
 */
MC_API MC_MUST_CHECK enum mc_status mc_metrics_listen(struct mc_engine *engine, const char *address,
                                                      struct mc_error *err);
/* The port on which it listens; 0 when it does not. */
MC_API int mc_metrics_port(const struct mc_engine *engine);

/*
 * Overall health: {status: "ok" | "failed", healthy, reasons: [], version, checks: {store, cache,
 * queue, workers}}; *healthy says the same.
 */
MC_API MC_MUST_CHECK enum mc_status mc_engine_health(struct mc_engine *engine, bool *healthy,
                                                     char **json, struct mc_error *err);
/*
 * The same, for those who are asked by strangers: asking writes to the database, so what was found at most max_age_us
 * ago by this function is told again, and of callers at the same time one asks.
 */
MC_API MC_MUST_CHECK enum mc_status mc_engine_health_within(struct mc_engine *engine,
                                                            int64_t max_age_us, bool *healthy,
                                                            char **json, struct mc_error *err);

/* A summary for people: messages, users, threads, sizes, queue, cache, workers, versions. */
MC_API MC_MUST_CHECK enum mc_status mc_engine_status(struct mc_engine *engine, char **json,
                                                     struct mc_error *err);

/* {depth, ready, leased, dead, oldest_age_seconds, dead_jobs: [{message_id, attempts, error, ...}]}. */
MC_API MC_MUST_CHECK enum mc_status mc_queue_status(struct mc_engine *engine, size_t dead_limit,
                                                    char **json, struct mc_error *err);
/* Makes dead jobs ready again, all or that of one message (absent: all); *count of them. */
MC_API MC_MUST_CHECK enum mc_status mc_queue_retry(struct mc_engine *engine, mc_str message_id,
                                                   uint64_t *count, struct mc_error *err);
/* Removes dead jobs for good; their messages keep the built-in metadata. */
MC_API MC_MUST_CHECK enum mc_status mc_queue_purge(struct mc_engine *engine, uint64_t *count,
                                                   struct mc_error *err);

/* {cache: {...}, invalidation: {total_invalidations, by_reason, last_invalidation, cache_hits, ...}}. */
MC_API MC_MUST_CHECK enum mc_status mc_cache_stats(struct mc_engine *engine, char **json,
                                                   struct mc_error *err);
/* Each drops cached threads and gives their number; stored messages are not touched. */
MC_API MC_MUST_CHECK enum mc_status mc_cache_drop_topic(struct mc_engine *engine, mc_str topic,
                                                        uint64_t *count, struct mc_error *err);
MC_API MC_MUST_CHECK enum mc_status mc_cache_drop_stale(struct mc_engine *engine,
                                                        double max_age_seconds, uint64_t *count,
                                                        struct mc_error *err);
/* user_id absent: everything; thread_id absent: every thread of the user. */
MC_API MC_MUST_CHECK enum mc_status mc_cache_clear(struct mc_engine *engine, mc_str user_id,
                                                   mc_str thread_id, uint64_t *count,
                                                   struct mc_error *err);

/* A consistent copy of the open database into a new file (SQLite). MC_CONFLICT when the file exists. */
MC_API MC_MUST_CHECK enum mc_status mc_engine_backup(struct mc_engine *engine, const char *path,
                                                     mc_progress_fn progress, void *context,
                                                     struct mc_error *err);

/* Checks of the installation and the database: {ok, checks: [{name, ok, detail, advice}]}. */
MC_API MC_MUST_CHECK enum mc_status mc_engine_doctor(struct mc_engine *engine, bool *ok,
                                                     char **json, struct mc_error *err);

/*
 * {provider, models: [{provider, state, model, detail, calls, cost_usd, calls_today, ...}], enrichment, caps}:
 * the models in the order in which they are asked, what is not configured and why not, and the rules that
 * are built in. Asks no model.
 */
MC_API MC_MUST_CHECK enum mc_status mc_models_list(struct mc_engine *engine, char **json,
                                                   struct mc_error *err);
/*
 * Asks each configured model a small question, which is counted and costs what it costs; timeout_ms for each.
 * {ok, checks: [{provider, model, ok, detail, advice, latency_ms}]}; *ok says the same, true when there is none.
 */
MC_API MC_MUST_CHECK enum mc_status mc_models_ask(struct mc_engine *engine, int64_t timeout_ms,
                                                  bool *ok, char **json, struct mc_error *err);

/* Days as RFC 3339 dates (UTC), both included. */
struct mc_usage_query {
    mc_str first_day; /* absent: 29 days before the last one */
    mc_str last_day;  /* absent: today */
};
/*
 * What models were asked, exact up to the call: {usage: [{day, operation, provider, model, calls, failures,
 * tokens_in, tokens_cached, tokens_out, milliseconds, cost_usd}], total: {...}}. query may be NULL.
 */
MC_API MC_MUST_CHECK enum mc_status mc_usage(struct mc_engine *engine,
                                             const struct mc_usage_query *query, char **json,
                                             struct mc_error *err);

#ifdef __cplusplus
}
#endif
#endif
