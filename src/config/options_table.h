/*
 * The one table of options. It gives the parser, the environment, the sample file, docs/options.md
 * and the help of the command line.
 *
 * Columns: key, environment variable, kind (enum mc_option_kind of config/options.h), default as
 * text ("" for none), range, unit, help. A range of numbers is "low..high" in the spelling of the
 * option's own values; a choice is "one|other". An option without a default may be left without a
 * value.
 */
#ifndef MC_CONFIG_OPTIONS_TABLE_H
#define MC_CONFIG_OPTIONS_TABLE_H

#define MC_OPTION_MAP(X)                                                                           \
    MC_OPTION_STORE_MAP(X)                                                                         \
    MC_OPTION_ENRICHMENT_MAP(X)                                                                    \
    MC_OPTION_MODEL_MAP(X)                                                                         \
    MC_OPTION_EMBEDDINGS_MAP(X)                                                                    \
    MC_OPTION_MEMORY_MAP(X)                                                                        \
    MC_OPTION_SERVICE_MAP(X)

#define MC_OPTION_STORE_MAP(X)                                                                     \
    X("database.backend", "MINDCORE_DATABASE_BACKEND", CHOICE, "sqlite", "sqlite|postgresql", "",  \
      "Where messages are stored; naming a database.host in the file or the environment selects "  \
      "postgresql.")                                                                               \
    X("database.path", "MINDCORE_DATABASE_PATH", PATH, "mindcore.db", "", "",                      \
      "File of the SQLite database; it is created when missing.")                                  \
    X("database.synchronous", "MINDCORE_DATABASE_SYNCHRONOUS", CHOICE, "normal", "normal|full",    \
      "",                                                                                          \
      "What an acknowledged message survives on SQLite: normal a crash of the program, full "      \
      "also a loss of power.")                                                                     \
    X("database.busy_timeout", "MINDCORE_DATABASE_BUSY_TIMEOUT", DURATION, "5", "0..10m", "s",     \
      "How long to wait for another process that is writing to the SQLite file.")                  \
    X("database.host", "MINDCORE_DATABASE_HOST", TEXT, "localhost", "", "",                        \
      "Host of the PostgreSQL server, or the folder of its socket.")                               \
    X("database.port", "MINDCORE_DATABASE_PORT", INTEGER, "5432", "1..65535", "",                  \
      "Port of the PostgreSQL server.")                                                            \
    X("database.name", "MINDCORE_DATABASE_NAME", TEXT, "mindcore", "", "",                         \
      "Name of the PostgreSQL database.")                                                          \
    X("database.user", "MINDCORE_DATABASE_USER", TEXT, "", "", "",                                 \
      "User of the PostgreSQL database; none for the user of the process.")                        \
    X("database.password", "MINDCORE_DB_PASSWORD", SECRET, "", "", "", "Password of that user.")   \
    X("database.sslmode", "MINDCORE_DATABASE_SSLMODE", CHOICE, "prefer",                           \
      "disable|allow|prefer|require|verify-ca|verify-full", "",                                    \
      "How much TLS the connection to PostgreSQL asks for.")                                       \
    X("database.pool_size", "MINDCORE_DB_POOL_SIZE", INTEGER, "10", "1..1000", "connections",      \
      "Connections to PostgreSQL that are kept open.")                                             \
    X("database.max_overflow", "MINDCORE_DB_MAX_OVERFLOW", INTEGER, "20", "0..1000",               \
      "connections", "Temporary connections above database.pool_size.")                            \
    X("database.pool_timeout", "MINDCORE_DATABASE_POOL_TIMEOUT", DURATION, "30", "1ms..1h", "s",   \
      "How long a caller waits for a free connection before it gets an error.")                    \
    X("database.statement_timeout", "MINDCORE_DATABASE_STATEMENT_TIMEOUT", DURATION, "60",         \
      "10ms..1h", "s",                                                                             \
      "How long a statement on PostgreSQL may take before its caller gets an error.")              \
    X("database.lock_timeout", "MINDCORE_DATABASE_LOCK_TIMEOUT", DURATION, "15", "10ms..1h", "s",  \
      "How long a statement on PostgreSQL waits for a row or table that somebody else holds.")     \
    X("database.pgbouncer", "MINDCORE_DATABASE_PGBOUNCER", BOOLEAN, "false", "true|false", "",     \
      "Whether the host is a PgBouncer in transaction mode, so that no session state is used.")    \
    X("database.replicas", "MINDCORE_DATABASE_REPLICAS", SECRETS, "[]", "", "",                    \
      "Streaming replicas that contexts are read from: postgresql:// URLs, or host[:port] with "   \
      "the rest as for the primary.")                                                              \
    X("database.replica_max_lag", "MINDCORE_DATABASE_REPLICA_MAX_LAG", DURATION, "1", "10ms..1h",  \
      "s", "A replica that is further behind the primary is not read.")                            \
    X("database.replica_timeout", "MINDCORE_DATABASE_REPLICA_TIMEOUT", DURATION, "1", "50ms..1m",  \
      "s", "How long a replica may take over a read before the primary is asked instead.")         \
    X("cache.persistent", "MINDCORE_CACHE_PERSISTENT", BOOLEAN, "true", "true|false", "",          \
      "Whether the cache of recent messages is kept on disk and survives a restart.")              \
    X("cache.dir", "MINDCORE_CACHE_DIR", PATH, "", "", "",                                         \
      "Folder of the cache on disk; none puts it next to the SQLite file, as \"<database.path>"    \
      ".cache\", and for PostgreSQL into the working folder, named after the database.")           \
    X("cache.max_size", "MINDCORE_CACHE_MAX_SIZE", INTEGER, "50", "1..100000", "messages",         \
      "Messages kept for each thread.")                                                            \
    X("cache.ttl", "MINDCORE_CACHE_TTL", DURATION, "", "1ms..3650d", "s",                          \
      "How long an entry is used after it was filled; none for as long as it fits.")               \
    X("cache.max_bytes", "MINDCORE_CACHE_MAX_BYTES", BYTES, "64MiB", "1MiB..1TiB", "bytes",        \
      "Size of the whole cache; the threads used longest ago leave first.")

#define MC_OPTION_ENRICHMENT_MAP(X)                                                                \
    X("enrichment.workers", "MINDCORE_ENRICHMENT_WORKERS", INTEGER, "1", "1..16", "threads",       \
      "Background workers that enrich messages.")                                                  \
    X("enrichment.lease", "MINDCORE_ENRICHMENT_LEASE", DURATION, "60", "100ms..1h", "s",           \
      "How long a worker may hold a job before another one takes it over.")                        \
    X("enrichment.max_attempts", "MINDCORE_ENRICHMENT_MAX_ATTEMPTS", INTEGER, "5", "1..100",       \
      "attempts", "Failed attempts after which a job is set aside for inspection.")                \
    X("enrichment.batch", "MINDCORE_ENRICHMENT_BATCH", INTEGER, "8", "1..16", "messages",          \
      "Messages that go to a remote model in one call.")                                           \
    X("enrichment.in_flight", "MINDCORE_ENRICHMENT_IN_FLIGHT", INTEGER, "2", "1..16", "requests",  \
      "Requests to a remote model that each worker has under way at once.")                        \
    X("enrichment.retry_min", "MINDCORE_ENRICHMENT_RETRY_MIN", DURATION, "1", "1ms..1h", "s",      \
      "Wait before the second attempt; each further wait is twice as long.")                       \
    X("enrichment.retry_max", "MINDCORE_ENRICHMENT_RETRY_MAX", DURATION, "300", "1ms..1d", "s",    \
      "Longest wait between two attempts.")

#define MC_OPTION_MODEL_MAP(X)                                                                     \
    X("llm.provider", "MINDCORE_LLM_PROVIDER", CHOICE, "auto", "auto|llama_cpp|openai|builtin",    \
      "",                                                                                          \
      "Which model enriches messages: auto tries llama_cpp, then openai, then the rules that "     \
      "are built in, as far as each is configured.")                                               \
    X("llm.llama_cpp.model_path", "MINDCORE_LLAMA_MODEL_PATH", PATH, "", "", "",                   \
      "File of the local model in GGUF format.")                                                   \
    X("llm.llama_cpp.n_ctx", "MINDCORE_LLM_LLAMA_CPP_N_CTX", INTEGER, "4096", "256..1048576",      \
      "tokens", "Context window of the local model.")                                              \
    X("llm.llama_cpp.n_threads", "MINDCORE_LLM_LLAMA_CPP_N_THREADS", INTEGER, "0", "0..1024",      \
      "threads", "Processor threads of the local model; 0 for all cores but two, at least one.")   \
    X("llm.llama_cpp.n_gpu_layers", "MINDCORE_LLM_LLAMA_CPP_N_GPU_LAYERS", INTEGER, "0",           \
      "-1..1000", "layers", "Layers of the local model that run on the GPU; -1 for all.")          \
    X("llm.llama_cpp.sequences", "MINDCORE_LLM_LLAMA_CPP_SEQUENCES", INTEGER, "4", "1..64",        \
      "messages", "Messages that the local model answers at the same time.")                       \
    X("llm.llama_cpp.verbose", "MINDCORE_LLM_LLAMA_CPP_VERBOSE", BOOLEAN, "false", "true|false",   \
      "", "Whether llama.cpp reports what it does.")                                               \
    X("llm.openai.api_key", "OPENAI_API_KEY", SECRET, "", "", "",                                  \
      "Key of the OpenAI-compatible service.")                                                     \
    X("llm.openai.base_url", "MINDCORE_OPENAI_BASE_URL", URL, "https://api.openai.com/v1",         \
      "http(s)://...", "", "Address of the OpenAI-compatible service.")                            \
    X("llm.openai.model", "MINDCORE_OPENAI_MODEL", TEXT, "gpt-4o-mini", "", "",                    \
      "Model that the service is asked for.")                                                      \
    X("llm.openai.timeout", "MINDCORE_LLM_OPENAI_TIMEOUT", DURATION, "60", "1ms..1h", "s",         \
      "How long one request may take, retries not counted.")                                       \
    X("llm.openai.max_retries", "MINDCORE_LLM_OPENAI_MAX_RETRIES", INTEGER, "3", "0..20",          \
      "retries", "Further tries of a request that failed for a passing reason.")                   \
    X("llm.openai.ca_file", "MINDCORE_LLM_OPENAI_CA_FILE", PATH, "", "", "",                       \
      "File of further certificates to trust, in PEM format, for a service with one of its own.")  \
    X("llm.openai.prices", "MINDCORE_LLM_OPENAI_PRICES", PRICES, "{}", "", "USD per 1M tokens",    \
      "Price of each model, as {model: {input: 0.15, output: 0.60}}, for the reported cost.")      \
    X("llm.daily_cap_usd", "MINDCORE_LLM_DAILY_CAP_USD", NUMBER, "0", "0..1000000", "USD",         \
      "Cost a day (UTC) from which remote models are not asked any more; 0 for no bound. It "      \
      "needs llm.openai.prices.")                                                                  \
    X("llm.daily_cap_calls", "MINDCORE_LLM_DAILY_CAP_CALLS", INTEGER, "0", "0..1000000000",        \
      "calls",                                                                                     \
      "Requests a day (UTC) after which remote models are not asked any more; 0 for no bound.")    \
    X("llm.breaker_failures", "MINDCORE_LLM_BREAKER_FAILURES", INTEGER, "5", "1..1000",            \
      "failures",                                                                                  \
      "Failures in a row, each with its retries, after which a model is left alone for a while.")  \
    X("llm.breaker_cooldown", "MINDCORE_LLM_BREAKER_COOLDOWN", DURATION, "5", "1ms..1h", "s",      \
      "How long it is left alone before one request tries it; doubled each time that fails.")      \
    X("llm.breaker_cooldown_max", "MINDCORE_LLM_BREAKER_COOLDOWN_MAX", DURATION, "60", "1ms..1d",  \
      "s", "Longest time that it is left alone.")

#define MC_OPTION_EMBEDDINGS_MAP(X)                                                                \
    X("embeddings.provider", "MINDCORE_EMBEDDINGS_PROVIDER", CHOICE, "none",                       \
      "none|llama_cpp|openai", "",                                                                 \
      "Which model compares messages by meaning; none compares them by words alone.")              \
    X("embeddings.llama_cpp.model_path", "MINDCORE_EMBEDDINGS_LLAMA_CPP_MODEL_PATH", PATH, "", "", \
      "", "File of the local embedding model in GGUF format.")                                     \
    X("embeddings.llama_cpp.n_ctx", "MINDCORE_EMBEDDINGS_LLAMA_CPP_N_CTX", INTEGER, "512",         \
      "32..32768", "tokens",                                                                       \
      "Tokens that are evaluated at once; of a longer message the beginning counts.")              \
    X("embeddings.llama_cpp.n_threads", "MINDCORE_EMBEDDINGS_LLAMA_CPP_N_THREADS", INTEGER, "0",   \
      "0..1024", "threads",                                                                        \
      "Processor threads of the local embedding model; 0 for all cores but two, at least one.")    \
    X("embeddings.llama_cpp.n_gpu_layers", "MINDCORE_EMBEDDINGS_LLAMA_CPP_N_GPU_LAYERS", INTEGER,  \
      "0", "-1..1000", "layers",                                                                   \
      "Layers of the local embedding model that run on the GPU; -1 for all.")                      \
    X("embeddings.openai.api_key", "MINDCORE_EMBEDDINGS_OPENAI_API_KEY", SECRET, "", "", "",       \
      "Key of the embeddings service; none takes llm.openai.api_key where the address is the "     \
      "same.")                                                                                     \
    X("embeddings.openai.base_url", "MINDCORE_EMBEDDINGS_OPENAI_BASE_URL", URL,                    \
      "https://api.openai.com/v1", "http(s)://...", "",                                            \
      "Address of an OpenAI-compatible service with /embeddings.")                                 \
    X("embeddings.openai.model", "MINDCORE_EMBEDDINGS_OPENAI_MODEL", TEXT,                         \
      "text-embedding-3-small", "", "", "Embedding model that the service is asked for.")          \
    X("embeddings.openai.dimensions", "MINDCORE_EMBEDDINGS_OPENAI_DIMENSIONS", INTEGER, "0",       \
      "0..8192", "numbers", "Length of the vectors that are asked for; 0 for the model's own.")    \
    X("embeddings.openai.timeout", "MINDCORE_EMBEDDINGS_OPENAI_TIMEOUT", DURATION, "30",           \
      "1ms..1h", "s", "How long one request for vectors may take, retries not counted.")           \
    X("embeddings.openai.max_retries", "MINDCORE_EMBEDDINGS_OPENAI_MAX_RETRIES", INTEGER, "3",     \
      "0..20", "retries", "Further tries of a request that failed for a passing reason.")          \
    X("embeddings.openai.batch", "MINDCORE_EMBEDDINGS_OPENAI_BATCH", INTEGER, "32", "1..64",       \
      "messages", "Messages that go to the service in one request.")                               \
    X("embeddings.previous_model", "MINDCORE_EMBEDDINGS_PREVIOUS_MODEL", TEXT, "", "", "",         \
      "Model (or file) of the same provider that was used before: it serves queries on messages "  \
      "that "                                                                                      \
      "still have its vectors.")                                                                   \
    X("embeddings.query_timeout", "MINDCORE_EMBEDDINGS_QUERY_TIMEOUT", DURATION, "200ms",          \
      "1ms..1m", "s", "How long a query waits for its vector before words alone decide.")          \
    X("embeddings.cache_bytes", "MINDCORE_EMBEDDINGS_CACHE_BYTES", BYTES, "64MiB", "0..1TiB",      \
      "bytes",                                                                                     \
      "Memory for users' vectors; those of users asked for longest ago leave first. 0: none is "   \
      "kept, which is for PostgreSQL with pgvector.")                                              \
    X("embeddings.pgvector", "MINDCORE_EMBEDDINGS_PGVECTOR", CHOICE, "auto", "auto|off", "",       \
      "Whether PostgreSQL searches vectors itself where it has the extension pgvector: auto also " \
      "creates the extension if the user may.")

#define MC_OPTION_MEMORY_MAP(X)                                                                    \
    X("context.mode", "MINDCORE_CONTEXT_MODE", CHOICE, "auto", "auto|fast|llm", "",                \
      "How a context is assembled: fast never calls a model, llm lets a model choose with tools, " \
      "auto does so when a model is ready and what was found without it answers little.")          \
    X("context.max_messages", "MINDCORE_CONTEXT_MAX_MESSAGES", INTEGER, "50", "1..1000",           \
      "messages", "Messages in a context when the request does not say.")                          \
    X("context.max_tokens", "MINDCORE_CONTEXT_MAX_TOKENS", INTEGER, "8000", "1..1000000",          \
      "tokens", "Length of a context when the request does not say.")                              \
    X("context.deadline", "MINDCORE_CONTEXT_DEADLINE", DURATION, "10", "10ms..10m", "s",           \
      "How long a model may take over a context before it is assembled without.")                  \
    X("retention.short_term_days", "MINDCORE_RETENTION_SHORT_TERM_DAYS", INTEGER, "1", "0..36500", \
      "days", "Age at which a message leaves the short-term tier.")                                \
    X("retention.mid_term_days", "MINDCORE_RETENTION_MID_TERM_DAYS", INTEGER, "30", "0..36500",    \
      "days", "Age at which a message leaves the mid-term tier.")                                  \
    X("retention.long_term_days", "MINDCORE_RETENTION_LONG_TERM_DAYS", INTEGER, "365", "0..36500", \
      "days", "Age at which a message leaves the long-term tier for the archive.")                 \
    X("retention.delete_trivial_after_days", "MINDCORE_RETENTION_DELETE_TRIVIAL_AFTER_DAYS",       \
      INTEGER, "7", "0..36500", "days",                                                            \
      "Age at which greetings, thanks and the like are deleted; 0 keeps them.")                    \
    X("retention.delete_archived_after_days", "MINDCORE_RETENTION_DELETE_ARCHIVED_AFTER_DAYS",     \
      INTEGER, "730", "0..36500", "days",                                                          \
      "Age at which archived messages are deleted; 0 keeps them.")                                 \
    X("retention.undo_days", "MINDCORE_RETENTION_UNDO_DAYS", INTEGER, "7", "0..3650", "days",      \
      "How long a tier migration can be undone and what it deleted is kept; 0 deletes at once.")   \
    X("retention.compress_archive", "MINDCORE_RETENTION_COMPRESS_ARCHIVE", BOOLEAN, "true", "",    \
      "", "Compress archived messages; search by words does not find them any more.")              \
    X("retention.summarize_after_messages", "MINDCORE_RETENTION_SUMMARIZE_AFTER_MESSAGES",         \
      INTEGER, "50", "2..1000000", "messages", "Length from which a thread is summarised.")        \
    X("retention.summarize_after_days", "MINDCORE_RETENTION_SUMMARIZE_AFTER_DAYS", INTEGER, "7",   \
      "0..36500", "days", "Age from which a thread is summarised.")                                \
    X("retention.half_life_days", "MINDCORE_RETENTION_HALF_LIFE_DAYS", NUMBER, "14",               \
      "0.01..36500", "days", "Time in which the importance of a message falls to one half.")       \
    X("retention.schedule", "MINDCORE_RETENTION_SCHEDULE", CHOICE, "daily",                        \
      "off|hourly|daily|weekly", "", "How often the server moves messages between tiers.")         \
    X("vocabulary.topics", "MINDCORE_VOCABULARY_TOPICS", TEXTS, "[]", "", "",                      \
      "Topics in addition to those that are built in.")                                            \
    X("vocabulary.categories", "MINDCORE_VOCABULARY_CATEGORIES", TEXTS, "[]", "", "",              \
      "Categories in addition to those that are built in.")                                        \
    X("vocabulary.synonyms", "MINDCORE_VOCABULARY_SYNONYMS", TEXT_MAP, "{}", "", "",               \
      "Other words for a topic, as {word: topic}.")                                                \
    X("vocabulary.topic_categories", "MINDCORE_VOCABULARY_TOPIC_CATEGORIES", TOPIC_MAP, "{}", "",  \
      "", "Categories that a topic implies, as {topic: category} or {topic: [category, ...]}.")    \
    X("trivial.patterns", "MINDCORE_TRIVIAL_PATTERNS", PATTERNS, "[]", "", "",                     \
      "Further trivial messages, as a list of {category: greeting, pattern: \"regular "            \
      "expression\"} that must match the whole message.")                                          \
    X("preferences.signal_min_count", "MINDCORE_PREFERENCES_SIGNAL_MIN_COUNT", INTEGER, "3",       \
      "1..1000", "messages", "Messages that must show a preference before it may be applied.")     \
    X("preferences.signal_min_confidence", "MINDCORE_PREFERENCES_SIGNAL_MIN_CONFIDENCE", NUMBER,   \
      "0.6", "0..1", "", "Confidence that a learned preference needs before it may be applied.")   \
    X("preferences.auto_apply", "MINDCORE_PREFERENCES_AUTO_APPLY", BOOLEAN, "false", "true|false", \
      "", "Whether learned preferences are applied without a request.")                            \
    X("multi_agent.enabled", "MINDCORE_MULTI_AGENT_ENABLED", BOOLEAN, "false", "true|false", "",   \
      "Whether agents are told apart and access rules apply between them.")                        \
    X("multi_agent.mode", "MINDCORE_MULTI_AGENT_MODE", CHOICE, "shared",                           \
      "disabled|isolated|shared|public", "",                                                       \
      "What an agent sees of others: nothing (isolated), what is shared with its groups or "       \
      "public (shared), whatever is not private (public); disabled is the same as enabled: "       \
      "false.")                                                                                    \
    X("multi_agent.require_agent_id", "MINDCORE_MULTI_AGENT_REQUIRE_AGENT_ID", BOOLEAN, "false",   \
      "true|false", "", "Whether a call without an agent_id is refused.")                          \
    X("multi_agent.default_visibility", "MINDCORE_MULTI_AGENT_DEFAULT_VISIBILITY", CHOICE,         \
      "private", "private|shared|public", "", "Visibility of a message that does not say.")        \
    X("multi_agent.default_sharing_groups", "MINDCORE_MULTI_AGENT_DEFAULT_SHARING_GROUPS", TEXTS,  \
      "[]", "", "", "Groups of a shared message that does not say.")

#define MC_OPTION_SERVICE_MAP(X)                                                                   \
    X("server.listen", "MINDCORE_SERVER_LISTEN", ADDRESS, "127.0.0.1:8000", "host:port", "",       \
      "Address of the HTTP server; one that others can reach needs keys.")                         \
    X("server.metrics_listen", "MINDCORE_SERVER_METRICS_LISTEN", ADDRESS, "", "host:port", "",     \
      "Address of a second server with nothing but /metrics.")                                     \
    X("server.api_keys", "MINDCORE_SERVER_API_KEYS", SECRETS, "[]", "", "",                        \
      "Keys of which a request must carry one and that may do everything; beside them those that " \
      "mindcore keys creates.")                                                                    \
    X("server.rate_limit", "MINDCORE_SERVER_RATE_LIMIT", NUMBER, "0", "0..1000000", "requests/s",  \
      "Requests a second for each key or address; 0 for no limit.")                                \
    X("server.max_body", "MINDCORE_SERVER_MAX_BODY", BYTES, "1MiB", "1KiB..1GiB", "bytes",         \
      "Size of a request that is not a stream.")                                                   \
    X("server.max_memory", "MINDCORE_SERVER_MAX_MEMORY", BYTES, "256MiB", "1MiB..1TiB", "bytes",   \
      "Size of all requests, of messages that are being read for answers, and of answers; a "      \
      "request beyond it is answered with 503.")                                                   \
    X("server.tls_cert", "MINDCORE_SERVER_TLS_CERT", PATH, "", "", "",                             \
      "Certificate of the server and those that sign it, PEM; with server.tls_key it serves "      \
      "HTTPS only.")                                                                               \
    X("server.tls_key", "MINDCORE_SERVER_TLS_KEY", PATH, "", "", "",                               \
      "Private key of server.tls_cert, PEM.")                                                      \
    X("server.idle_timeout", "MINDCORE_SERVER_IDLE_TIMEOUT", DURATION, "60", "100ms..1h", "s",     \
      "How long a connection may stay open without a request.")                                    \
    X("server.request_timeout", "MINDCORE_SERVER_REQUEST_TIMEOUT", DURATION, "30", "100ms..1h",    \
      "s",                                                                                         \
      "How long a client may take to send a request, or to take an answer: there a second more "   \
      "for each 32 KiB.")                                                                          \
    X("server.max_connections", "MINDCORE_SERVER_MAX_CONNECTIONS", INTEGER, "1024", "1..100000",   \
      "connections",                                                                               \
      "Connections open at the same time; fewer where the limit of descriptors (ulimit -n) is "    \
      "lower. One more is answered with 503 and closed.")                                          \
    X("server.max_connections_per_address", "MINDCORE_SERVER_MAX_CONNECTIONS_PER_ADDRESS",         \
      INTEGER, "128", "0..100000", "connections",                                                  \
      "Connections of one address that is not loopback; 0 for no bound.")                          \
    X("server.threads", "MINDCORE_SERVER_THREADS", INTEGER, "0", "0..256", "threads",              \
      "Threads that serve requests; 0 chooses by the number of cores.")                            \
    X("server.allowed_hosts", "MINDCORE_SERVER_ALLOWED_HOSTS", TEXTS, "[]", "", "",                \
      "Names that the Host and Origin headers may carry besides the address itself.")              \
    X("health.max_oldest_job", "MINDCORE_HEALTH_MAX_OLDEST_JOB", DURATION, "300", "1s..30d", "s",  \
      "Age of the oldest waiting job above which health is red.")                                  \
    X("health.max_queue_depth", "MINDCORE_HEALTH_MAX_QUEUE_DEPTH", INTEGER, "0", "0..1000000000",  \
      "jobs", "Waiting jobs above which health is red; 0 for no bound.")                           \
    X("logging.level", "MINDCORE_LOGGING_LEVEL", CHOICE, "info", "debug|info|warning|error", "",   \
      "What is written to the log: this level and those behind it.")                               \
    X("logging.format", "MINDCORE_LOGGING_FORMAT", CHOICE, "logfmt", "logfmt|json", "",            \
      "How a line of the log is written.")                                                         \
    X("logging.audit", "MINDCORE_LOGGING_AUDIT", PATH, "", "", "",                                 \
      "File to which a line is added for each administrative act: erasures, deletions, exports, "  \
      "keys, agents, maintenance.")

#endif
