/* The options of an engine, read once from a configuration and checked against what this build serves. */
#ifndef MC_ENGINE_SETTINGS_H
#define MC_ENGINE_SETTINGS_H

#include <mindcore/config.h>

#include "base/arena.h"
#include "cache/cache.h"
#include "engine/embedding_settings.h"
#include "engine/model_settings.h"
#include "enrich/pool.h"
#include "memory/agents.h"
#include "memory/preferences.h"
#include "memory/tiers.h"
#include "store/postgres/postgres_store.h"
#include "store/sqlite/sqlite_store.h"

struct mc_settings {
    struct mc_arena strings; /* owns what the rest points to */
    const char *database;    /* for people: the file, or host, port and name */
    bool in_postgres;
    struct mc_sqlite_options sqlite;     /* unless in_postgres */
    struct mc_postgres_options postgres; /* if in_postgres */
    bool cache_persistent;
    struct mc_cache_options cache;
    struct mc_pool_options pool;
    struct mc_model_settings models;
    struct mc_embedding_settings embeddings;
    struct mc_agents_options agents;
    struct mc_preferences_options preferences;
    struct mc_tiers_options tiers;
    mc_str trivial_patterns; /* JSON array */
    mc_str vocabulary;       /* JSON object for mc_vocabulary_extend_json */
    enum mc_context_mode context_mode;
    size_t context_max_messages;
    size_t context_max_tokens;
    int64_t context_deadline_us; /* how long a model may take over a context */
    int64_t half_life_us;
    int64_t schedule_us; /* between tier migrations, 0: none by itself */
    int64_t health_max_oldest_us;
    int64_t health_max_depth; /* 0: no bound */
};

/* config may be NULL: the defaults. MC_CONFIG, MC_UNSUPPORTED name the option. Free with mc_settings_fini. */
MC_MUST_CHECK enum mc_status mc_settings_read(const struct mc_config *config,
                                              struct mc_settings *settings, struct mc_error *err);
void mc_settings_fini(struct mc_settings *settings);

#endif
