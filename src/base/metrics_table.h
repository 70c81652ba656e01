/* The one table of metrics. Columns: name in the code, Prometheus name, labels as they are written,
 * help. */
#ifndef MC_BASE_METRICS_TABLE_H
#define MC_BASE_METRICS_TABLE_H

#define MC_COUNTER_MAP(X)                                                                          \
    X(INGESTED, "mindcore_messages_ingested_total", "", "Messages stored")                         \
    X(ENRICHED_TRIVIAL, "mindcore_messages_enriched_total", "method=\"trivial\"",                  \
      "Messages enriched, by method")                                                              \
    X(ENRICHED_BUILTIN, "mindcore_messages_enriched_total", "method=\"builtin\"", "")              \
    X(ENRICHED_LLM, "mindcore_messages_enriched_total", "method=\"llm\"", "")                      \
    X(CONTEXT, "mindcore_context_requests_total", "", "Context requests answered or refused")      \
    X(SEARCH, "mindcore_search_requests_total", "", "Search requests")                             \
    X(CACHE_HIT, "mindcore_cache_operations_total", "result=\"hit\"", "Reads of the cache")        \
    X(CACHE_MISS, "mindcore_cache_operations_total", "result=\"miss\"", "")                        \
    X(ERROR_INGEST, "mindcore_errors_total", "error_type=\"ingest\"", "Failures, by type")         \
    X(ERROR_ENRICHMENT, "mindcore_errors_total", "error_type=\"enrichment\"", "")                  \
    X(ERROR_CONTEXT, "mindcore_errors_total", "error_type=\"context\"", "")                        \
    X(ERROR_STORE, "mindcore_errors_total", "error_type=\"store\"", "")                            \
    X(ERROR_CACHE, "mindcore_errors_total", "error_type=\"cache\"", "")                            \
    X(SOURCE_ANSWER, "mindcore_source_lookups_total", "result=\"answer\"",                         \
      "Questions to external sources, by what came of them")                                       \
    X(SOURCE_EMPTY, "mindcore_source_lookups_total", "result=\"empty\"", "")                       \
    X(SOURCE_CACHED, "mindcore_source_lookups_total", "result=\"cached\"", "")                     \
    X(SOURCE_FAILED, "mindcore_source_lookups_total", "result=\"failed\"", "")                     \
    X(SOURCE_TIMEOUT, "mindcore_source_lookups_total", "result=\"timeout\"", "")                   \
    X(ENRICHMENT_RETRY, "mindcore_enrichment_retries_total", "",                                   \
      "Jobs put back for another attempt")                                                         \
    X(ENRICHMENT_DEAD, "mindcore_enrichment_dead_total", "", "Jobs given up after max_attempts")   \
    X(COMMITS, "mindcore_store_commits_total", "", "Write transactions committed")                 \
    X(COMMIT_MEMBERS, "mindcore_store_commit_requests_total", "",                                  \
      "Write requests that those transactions carried")

#define MC_GAUGE_MAP(X)                                                                            \
    X(QUEUE_DEPTH, "mindcore_enrichment_queue_depth", "", "Jobs ready or running")                 \
    X(QUEUE_OLDEST_AGE, "mindcore_enrichment_oldest_job_age_seconds", "", "Age of the oldest job") \
    X(QUEUE_DEAD, "mindcore_enrichment_dead_jobs", "", "Jobs given up and kept")                   \
    X(ACTIVE_WORKERS, "mindcore_active_workers", "", "Workers that are alive")                     \
    X(BUSY_WORKERS, "mindcore_busy_workers", "", "Workers with a job in hand")                     \
    X(WORKER_POOL_SIZE, "mindcore_worker_pool_size", "", "Workers configured")                     \
    X(CACHE_SIZE, "mindcore_cache_size_bytes", "", "Bytes held by the cache")                      \
    X(CACHE_THREADS, "mindcore_cache_threads", "", "Threads held by the cache")                    \
    X(STORE_SIZE, "mindcore_store_size_bytes", "", "Size of the database")                         \
    X(UPTIME, "mindcore_uptime_seconds", "", "Time since the engine was opened")

#define MC_HISTOGRAM_MAP(X)                                                                        \
    X(INGEST, "mindcore_ingestion_duration_seconds", "", "Time to store a message durably")        \
    X(ENRICH_TRIVIAL, "mindcore_enrichment_duration_seconds", "method=\"trivial\"",                \
      "Time from claim to completion of an enrichment")                                            \
    X(ENRICH_BUILTIN, "mindcore_enrichment_duration_seconds", "method=\"builtin\"", "")            \
    X(ENRICH_LLM, "mindcore_enrichment_duration_seconds", "method=\"llm\"", "")                    \
    X(CONTEXT, "mindcore_context_retrieval_duration_seconds", "", "Time to assemble a context")    \
    X(SEARCH, "mindcore_search_duration_seconds", "", "Time of a search")                          \
    X(SOURCE_LOOKUP, "mindcore_source_lookup_duration_seconds", "",                                \
      "Time that an external source took to answer")

#endif
