/*
 * The one table of metrics. Columns: name in the code, Prometheus name, labels as they are written, help. Rows
 * of one name stand together, the first has the help. A counter ends in _total; a unit (seconds, bytes, usd)
 * is the last word of the name before that.
 */
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
    X(ERROR_LLM, "mindcore_errors_total", "error_type=\"llm\"", "")                                \
    X(SOURCE_ANSWER, "mindcore_source_lookups_total", "result=\"answer\"",                         \
      "Questions to external sources, by what came of them")                                       \
    X(SOURCE_EMPTY, "mindcore_source_lookups_total", "result=\"empty\"", "")                       \
    X(SOURCE_CACHED, "mindcore_source_lookups_total", "result=\"cached\"", "")                     \
    X(SOURCE_FAILED, "mindcore_source_lookups_total", "result=\"failed\"", "")                     \
    X(SOURCE_TIMEOUT, "mindcore_source_lookups_total", "result=\"timeout\"", "")                   \
    X(ENRICHMENT_RETRY, "mindcore_enrichment_retries_total", "",                                   \
      "Jobs put back for another attempt")                                                         \
    X(ENRICHMENT_DEAD, "mindcore_enrichment_dead_total", "", "Jobs given up after max_attempts")   \
    X(ENRICHMENT_REUSED, "mindcore_enrichment_reused_total", "",                                   \
      "Messages that got the answer of another with the same text")                                \
    X(COMMITS, "mindcore_store_commits_total", "", "Write transactions committed")                 \
    X(COMMIT_MEMBERS, "mindcore_store_commit_requests_total", "",                                  \
      "Write requests that those transactions carried")                                            \
    X(READ_REPLICA, "mindcore_store_context_reads_total", "server=\"replica\"",                    \
      "Reads of PostgreSQL that assemble contexts, by the server that answered")                   \
    X(READ_PRIMARY, "mindcore_store_context_reads_total", "server=\"primary\"", "")                \
    X(LLM_LLAMA_ENRICH, "mindcore_llm_calls_total", "provider=\"llama_cpp\",operation=\"enrich\"", \
      "Requests to models, by what they were for")                                                 \
    X(LLM_LLAMA_CONTEXT, "mindcore_llm_calls_total",                                               \
      "provider=\"llama_cpp\",operation=\"context\"", "")                                          \
    X(LLM_LLAMA_SUMMARY, "mindcore_llm_calls_total",                                               \
      "provider=\"llama_cpp\",operation=\"summary\"", "")                                          \
    X(LLM_LLAMA_CHECK, "mindcore_llm_calls_total", "provider=\"llama_cpp\",operation=\"check\"",   \
      "")                                                                                          \
    X(LLM_OPENAI_ENRICH, "mindcore_llm_calls_total", "provider=\"openai\",operation=\"enrich\"",   \
      "")                                                                                          \
    X(LLM_OPENAI_CONTEXT, "mindcore_llm_calls_total", "provider=\"openai\",operation=\"context\"", \
      "")                                                                                          \
    X(LLM_OPENAI_SUMMARY, "mindcore_llm_calls_total", "provider=\"openai\",operation=\"summary\"", \
      "")                                                                                          \
    X(LLM_OPENAI_CHECK, "mindcore_llm_calls_total", "provider=\"openai\",operation=\"check\"", "") \
    X(LLM_LLAMA_EMBED, "mindcore_llm_calls_total", "provider=\"llama_cpp\",operation=\"embed\"",   \
      "")                                                                                          \
    X(LLM_OPENAI_EMBED, "mindcore_llm_calls_total", "provider=\"openai\",operation=\"embed\"", "") \
    X(VECTORS, "mindcore_vectors_total", "result=\"made\"",                                        \
      "Messages that waited for a vector, by what came of them")                                   \
    X(VECTORS_FAILED, "mindcore_vectors_total", "result=\"failed\"", "")                           \
    X(VECTORS_GIVEN_UP, "mindcore_vectors_total", "result=\"given_up\"", "")                       \
    X(MEANING_USED, "mindcore_meaning_queries_total", "result=\"used\"",                           \
      "Queries that were to be compared by meaning, by what came of it")                           \
    X(MEANING_LATE, "mindcore_meaning_queries_total", "result=\"late\"", "")                       \
    X(MEANING_FAILED, "mindcore_meaning_queries_total", "result=\"failed\"", "")                   \
    X(LLM_LLAMA_FAILURES, "mindcore_llm_call_failures_total", "provider=\"llama_cpp\"",            \
      "Requests to models that failed")                                                            \
    X(LLM_OPENAI_FAILURES, "mindcore_llm_call_failures_total", "provider=\"openai\"", "")          \
    X(LLM_LLAMA_IN, "mindcore_llm_tokens_total", "provider=\"llama_cpp\",direction=\"in\"",        \
      "Tokens that models read (in, of these cached) and wrote (out)")                             \
    X(LLM_LLAMA_OUT, "mindcore_llm_tokens_total", "provider=\"llama_cpp\",direction=\"out\"", "")  \
    X(LLM_LLAMA_CACHED, "mindcore_llm_tokens_total",                                               \
      "provider=\"llama_cpp\",direction=\"cached\"", "")                                           \
    X(LLM_OPENAI_IN, "mindcore_llm_tokens_total", "provider=\"openai\",direction=\"in\"", "")      \
    X(LLM_OPENAI_OUT, "mindcore_llm_tokens_total", "provider=\"openai\",direction=\"out\"", "")    \
    X(LLM_OPENAI_CACHED, "mindcore_llm_tokens_total", "provider=\"openai\",direction=\"cached\"",  \
      "")                                                                                          \
    X(HTTP_REJECTED_RATE, "mindcore_http_rejected_total", "reason=\"rate\"",                       \
      "HTTP requests and connections turned away, by reason")                                      \
    X(HTTP_REJECTED_CONNECTIONS, "mindcore_http_rejected_total", "reason=\"connections\"", "")     \
    X(HTTP_REJECTED_CONCURRENCY, "mindcore_http_rejected_total", "reason=\"concurrency\"", "")     \
    X(HTTP_REJECTED_MEMORY, "mindcore_http_rejected_total", "reason=\"memory\"", "")               \
    X(HTTP_REJECTED_SIZE, "mindcore_http_rejected_total", "reason=\"size\"", "")                   \
    X(HTTP_REJECTED_AUTH, "mindcore_http_rejected_total", "reason=\"auth\"", "")                   \
    X(HTTP_REJECTED_HOST, "mindcore_http_rejected_total", "reason=\"host\"", "")                   \
    X(HTTP_REJECTED_SLOW, "mindcore_http_rejected_total", "reason=\"slow\"", "")                   \
    X(HTTP_TLS_FAILURES, "mindcore_http_tls_failures_total", "",                                   \
      "TLS connections that ended before their first request")

/* Counters of fractions: counted in billionths, so that a sum of many small ones is exact. */
#define MC_NANO_COUNTER_MAP(X)                                                                     \
    X(LLM_LLAMA_COST, "mindcore_llm_cost_usd_total", "provider=\"llama_cpp\"",                     \
      "Cost of requests to models, as far as llm.openai.prices tells")                             \
    X(LLM_OPENAI_COST, "mindcore_llm_cost_usd_total", "provider=\"openai\"", "")

#define MC_GAUGE_MAP(X)                                                                            \
    X(QUEUE_DEPTH, "mindcore_enrichment_queue_depth", "",                                          \
      "Jobs ready or running; NaN while the store cannot be read")                                 \
    X(QUEUE_OLDEST_AGE, "mindcore_enrichment_oldest_job_age_seconds", "", "Age of the oldest job") \
    X(QUEUE_DEAD, "mindcore_enrichment_dead_jobs", "", "Jobs given up and kept")                   \
    X(ACTIVE_WORKERS, "mindcore_active_workers", "", "Workers that are alive")                     \
    X(BUSY_WORKERS, "mindcore_busy_workers", "", "Workers with a job in hand")                     \
    X(WORKER_POOL_SIZE, "mindcore_worker_pool_size", "", "Workers configured")                     \
    X(CACHE_SIZE, "mindcore_cache_size_bytes", "", "Bytes held by the cache")                      \
    X(CACHE_THREADS, "mindcore_cache_threads", "", "Threads held by the cache")                    \
    X(STORE_SIZE, "mindcore_store_size_bytes", "", "Size of the database")                         \
    X(REPLICAS_SERVING, "mindcore_store_replicas_serving", "", "Read replicas that may be read")   \
    X(REPLICA_LAG, "mindcore_store_replica_lag_seconds", "",                                       \
      "How far the slowest of the read replicas that answer is behind")                            \
    X(STORE_DISK, "mindcore_store_disk_size_bytes", "",                                            \
      "Size of the file system with the database; NaN on PostgreSQL")                              \
    X(STORE_DISK_FREE, "mindcore_store_disk_free_bytes", "",                                       \
      "Free bytes there; NaN on PostgreSQL")                                                       \
    X(HEALTHY, "mindcore_healthy", "",                                                             \
      "0 while the store, the queue, ingest or the workers are in trouble: /health says why")      \
    X(UPTIME, "mindcore_uptime_seconds", "", "Time since the engine was opened")                   \
    X(VECTORS_WAITING, "mindcore_vectors_waiting", "", "Messages that wait for a vector")          \
    X(VECTORS_STORED, "mindcore_vectors_stored", "model=\"current\"",                              \
      "Vectors stored, of the present model and of those before it")                               \
    X(VECTORS_OLD, "mindcore_vectors_stored", "model=\"old\"", "")                                 \
    X(EMBEDDINGS_OPEN, "mindcore_embeddings_circuit_open", "",                                     \
      "1 while the circuit of the embeddings provider is open")                                    \
    X(LLM_LLAMA_OPEN, "mindcore_llm_circuit_open", "provider=\"llama_cpp\"",                       \
      "1 while a model that failed again and again is left alone")                                 \
    X(LLM_OPENAI_OPEN, "mindcore_llm_circuit_open", "provider=\"openai\"", "")                     \
    X(HTTP_CONNECTIONS, "mindcore_http_connections", "", "Open connections of the HTTP server")

/* Upper bounds of the buckets of every histogram: in seconds as both text formats write them, in microseconds. */
/* clang-format off */
#define MC_METRIC_BOUND_MAP(X) \
    X("5e-05", 50) X("0.0001", 100) X("0.00025", 250) X("0.0005", 500) \
    X("0.001", 1000) X("0.0025", 2500) X("0.005", 5000) \
    X("0.01", 10000) X("0.025", 25000) X("0.05", 50000) \
    X("0.1", 100000) X("0.25", 250000) X("0.5", 500000) \
    X("1.0", 1000000) X("2.0", 2000000) X("5.0", 5000000) \
    X("10.0", 10000000) X("30.0", 30000000) X("60.0", 60000000)
/* clang-format on */

#define MC_HISTOGRAM_MAP(X)                                                                        \
    X(INGEST, "mindcore_ingestion_duration_seconds", "", "Time to store a message durably")        \
    X(ENRICH_TRIVIAL, "mindcore_enrichment_duration_seconds", "method=\"trivial\"",                \
      "Time from claim to completion of an enrichment")                                            \
    X(ENRICH_BUILTIN, "mindcore_enrichment_duration_seconds", "method=\"builtin\"", "")            \
    X(ENRICH_LLM, "mindcore_enrichment_duration_seconds", "method=\"llm\"", "")                    \
    X(CONTEXT, "mindcore_context_retrieval_duration_seconds", "", "Time to assemble a context")    \
    X(SEARCH, "mindcore_search_duration_seconds", "", "Time of a search")                          \
    X(SOURCE_LOOKUP, "mindcore_source_lookup_duration_seconds", "",                                \
      "Time that an external source took to answer")                                               \
    X(LLM_LLAMA, "mindcore_llm_call_duration_seconds", "provider=\"llama_cpp\"",                   \
      "Time that a model took over a call")                                                        \
    X(LLM_OPENAI, "mindcore_llm_call_duration_seconds", "provider=\"openai\"", "")

/*
 * HTTP requests have the labels route (a template of the table of routes, never a path as it was sent) and method, and
 * their counter code: the class of the status, none where the connection ended before an answer.
 */
#define MC_ROUTE_COUNTER "mindcore_http_requests_total"
#define MC_ROUTE_COUNTER_HELP "HTTP requests, by route and class of the status"
#define MC_ROUTE_HISTOGRAM "mindcore_http_request_duration_seconds"
#define MC_ROUTE_HISTOGRAM_HELP "Time from the request line to the end of the answer"
#define MC_CODE_CLASS_MAP(X) X(2XX, "2xx") X(4XX, "4xx") X(5XX, "5xx") X(NONE, "none")

#endif
