/* The open engine: what its use cases work on. Private to src/engine. */
#ifndef MC_ENGINE_ENGINE_H
#define MC_ENGINE_ENGINE_H

#include <stdatomic.h>

#include <mindcore/engine.h>

#include "base/arena.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "context/context.h"
#include "context/lookup.h"
#include "engine/embeddings.h"
#include "engine/models.h"
#include "engine/schedule.h"
#include "engine/settings.h"
#include "enrich/enricher.h"
#include "memory/agents.h"
#include "memory/keys.h"
#include "memory/preferences.h"
#include "scrape/listener.h"

/* The task of scheduled tier migration. */
#define MC_ENGINE_MIGRATION "tiers"

/* Calls to store messages that failed, since the last one that did not. */
struct mc_ingest_failures {
    mc_mutex mutex;   /* guards what follows but calls, which may be read without it */
    atomic_int calls; /* 0: the last one succeeded */
    uint64_t messages;
    int64_t last_us; /* monotonic */
    char error[256];
};

/* What mc_engine_health_within found last. */
struct mc_health_found {
    mc_mutex mutex; /* guards what follows */
    mc_cond answered;
    bool asking; /* a caller does, without the mutex */
    bool healthy;
    char *json;       /* NULL: nothing yet */
    int64_t found_us; /* monotonic */
};

struct mc_engine {
    struct mc_settings settings;
    struct mc_metrics *metrics;
    struct mc_vocabulary *vocabulary;
    struct mc_trivial_detector *trivial;
    struct mc_store *store;
    struct mc_cache *cache;
    struct mc_open_options opening;
    struct mc_models *models; /* NULL when none is configured */
    struct mc_llm *llm;       /* their chain, borrowed; NULL like them */
    /* NULL when none are configured; from the start of the workers on. */
    _Atomic(struct mc_embeddings *) embeddings;
    struct mc_agents *agents;
    struct mc_preferences *preferences;
    struct mc_lookups *lookups; /* of external sources */
    _Atomic(struct mc_enricher *) enricher;
    struct mc_schedule *schedule; /* of tier migration; NULL when retention.schedule is off */
    _Atomic(struct mc_schedule *) generation_watch; /* generation.c; NULL until the store is open */
    _Atomic int64_t generation;                     /* of the store, as what is cached is */
    struct mc_retrieval retrieval;                  /* borrows from the above */
    int64_t opened_us;                              /* monotonic */
    atomic_bool agents_stale;                       /* another process may have registered agents */
    struct mc_keys *keys;                           /* of the HTTP interface */
    atomic_bool keys_stale;         /* another process may have made or revoked keys */
    _Atomic int64_t keys_read_us;   /* monotonic: when they were read again */
    atomic_ullong cache_errors;     /* of the cache, as far as they are counted in the metrics */
    _Atomic int64_t cache_error_us; /* monotonic: when new ones were last seen, 0: never */
    char *cache_trouble; /* why the cache is not on disk as configured; NULL when it is */
    struct mc_ingest_failures ingest_failures;
    struct mc_health_found health;
    _Atomic(struct mc_scrape_listener *) scrape; /* of mc_metrics_listen; NULL until it is called */
};

/* mc_engine_open_with, for tests that bring models of their own; openers NULL: the real ones. */
MC_MUST_CHECK enum mc_status mc_engine_open_by(const struct mc_config *config,
                                               const struct mc_open_options *options,
                                               const struct mc_model_openers *openers,
                                               struct mc_engine **engine, struct mc_error *err);

/* The memory of one request: what is read and written while it is answered. */
#define MC_REQUEST_ARENA_MAX ((size_t)64 << 20)
/* The largest JSON text that an operation returns. */
#define MC_RESULT_MAX ((size_t)64 << 20)

/* The rule for a reading agent, the registry brought up to date first. */
MC_MUST_CHECK enum mc_status mc_engine_reader(struct mc_engine *engine, mc_str agent_id,
                                              struct mc_arena *arena, struct mc_reader *reader,
                                              struct mc_error *err);
/* Reads the agents again when another process may have changed them. */
MC_MUST_CHECK enum mc_status mc_engine_refresh_agents(struct mc_engine *engine,
                                                      struct mc_error *err);

/* Hands a finished buffer to the caller as text for mc_free: MC_NO_MEMORY when it failed. */
MC_MUST_CHECK enum mc_status mc_engine_result(struct mc_buf *buf, char **text,
                                              struct mc_error *err);

#endif
