#include "engine/engine.h"

#include <mindcore/memory.h>

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "base/time.h"
#include "engine/generation.h"
#include "memory/preference_values.h"

/*
 * DESIGN. Opening goes up the layers, closing goes down the same list backwards; each closer accepts
 * what was never opened. Callbacks from below (another process changed the store, a message was
 * enriched) land here and are passed to the parts that must know.
 */

/* The store's watcher says that another process committed. */
static void on_foreign_change(void *context)
{
    struct mc_engine *engine = context;
    engine->cache->ops->doubt(engine->cache);
    mc_generation_doubt(engine);
    atomic_store(&engine->agents_stale, true);
    atomic_store(&engine->keys_stale, true);
    struct mc_enricher *enricher = atomic_load(&engine->enricher);
    if (enricher)
        mc_enricher_wake_all(enricher);
    mc_embeddings_wake(atomic_load(&engine->embeddings));
}

/* A worker committed a message's enrichment, and what was learned from it. */
static void on_enriched(void *context, struct mc_record *record, const struct mc_metadata *metadata,
                        int64_t thread_version)
{
    struct mc_engine *engine = context;
    engine->cache->ops->update(engine->cache, record, thread_version, metadata->topics,
                               metadata->topic_count, mc_time_now_us());
    mc_embeddings_wake(atomic_load(&engine->embeddings));
    struct mc_error error;
    if (mc_preferences_auto_apply(engine->preferences, record->m.user_id, &error)) {
        mc_metrics_add(engine->metrics, MC_COUNT_ERROR_ENRICHMENT, 1);
        mc_log(MC_LOG_WARNING, "engine", "learned preferences were not applied: %s", error.message);
    }
}

/* The store changed a message without telling the thread's version: what is cached is compared again. */
static void on_died(void *context, const struct mc_message *message)
{
    struct mc_engine *engine = context;
    mc_log(MC_LOG_WARNING, "enrich", "the enrichment of %.*s was given up",
           MC_STR_ARG(message->message_id));
    engine->cache->ops->doubt(engine->cache);
}

/* How often a server looks whether migration is due, first so long after opening: not while a program is only
 * started for one command. */
#define LOOK_US (600 * MC_US_PER_SECOND)
/* For so long it is the task of the server that has begun, and of another one if that is not heard of any more. */
#define MIGRATION_LEASE_US (1800 * MC_US_PER_SECOND)
#define MIGRATION_RENEW_US (300 * MC_US_PER_SECOND)
#define MIGRATION MC_STR(MC_ENGINE_MIGRATION)

struct migration {
    struct mc_engine *engine;
    struct mc_schedule *schedule;
    int64_t renew_us; /* monotonic: when the lease is renewed */
};

static bool migration_goes_on(void *context, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    struct migration *m = context;
    struct mc_store *store = m->engine->store;
    struct mc_error ignored; /* if it cannot be renewed, another server may join: no harm */
    if (mc_time_monotonic_us() > m->renew_us &&
        store->ops->set_task(store, MIGRATION, mc_time_now_us() + MIGRATION_LEASE_US, &ignored) ==
            MC_OK)
        m->renew_us = mc_time_monotonic_us() + MIGRATION_RENEW_US;
    return !mc_schedule_ending(m->schedule);
}

/* Of all servers and processes of the database the first one that finds it due does it. */
static void migrate(void *context, struct mc_schedule *schedule)
{
    struct mc_engine *engine = context;
    struct mc_store *store = engine->store;
    struct migration migration = {engine, schedule, mc_time_monotonic_us() + MIGRATION_RENEW_US};
    int64_t began_us = mc_time_now_us();
    struct mc_error error;
    char *json = NULL;
    bool taken = false;
    enum mc_status status = store->ops->take_task(store, MIGRATION, began_us,
                                                  began_us + MIGRATION_LEASE_US, &taken, &error);
    if (!status && !taken)
        return;
    if (!status)
        status = mc_tiers_migrate(engine, MC_STR_NONE, false, migration_goes_on, &migration, &json,
                                  &error);
    if (!status)
        mc_log(MC_LOG_INFO, "tiers", "scheduled migration: %s", json);
    else if (status != MC_CANCELLED)
        mc_log(MC_LOG_ERROR, "tiers", "scheduled migration: %s", error.message);
    mc_free(json);
    /* One that was cut short is taken up by whoever looks next; one that failed, when the lease has ended. */
    int64_t next_us = status ? began_us : began_us + engine->settings.schedule_us;
    if ((!status || status == MC_CANCELLED) &&
        store->ops->set_task(store, MIGRATION, next_us, &error) != MC_OK)
        mc_log(MC_LOG_ERROR, "tiers", "scheduled migration: %s", error.message);
}

static enum mc_status start_schedule(struct mc_engine *engine, struct mc_error *err)
{
    if (engine->settings.schedule_us == 0)
        return MC_OK;
    return mc_schedule_start(LOOK_US, LOOK_US, migrate, engine, &engine->schedule, err);
}

static enum mc_status open_text(struct mc_engine *engine, struct mc_error *err)
{
    enum mc_status status = mc_vocabulary_new(&engine->vocabulary, err);
    if (!status)
        status = mc_vocabulary_extend_json(engine->vocabulary, engine->settings.vocabulary, err);
    if (!status)
        status = mc_trivial_new(&engine->trivial, engine->settings.trivial_patterns, err);
    return status;
}

/*
 * The folder of the cache cannot be written, or the cache does not fit: no reason to refuse work. What it
 * holds is only a copy, so the cache in memory takes its place. cause: told in the log and in health.
 */
static enum mc_status open_in_memory_instead(struct mc_engine *engine, const char *cause,
                                             struct mc_error *err)
{
    struct mc_buf text;
    mc_buf_init(&text, 1024);
    mc_buf_printf(
        &text,
        "kept in memory only: %s; make cache.dir writable, or set cache.persistent: false "
        "or a smaller cache.max_bytes",
        cause);
    engine->cache_trouble = mc_buf_take(&text, NULL);
    if (!engine->cache_trouble)
        return mc_fail_memory(err);
    mc_log(MC_LOG_WARNING, "cache", "%s", engine->cache_trouble);
    return mc_cache_memory_open(&engine->settings.cache, &engine->cache, err);
}

/*
 * The cache comes before the store, whose watcher calls into it. A cache on disk remembers the errors of
 * earlier processes, which are not this one's.
 */
static enum mc_status open_cache(struct mc_engine *engine, struct mc_error *err)
{
    const struct mc_settings *settings = &engine->settings;
    struct mc_error error;
    enum mc_status status = settings->cache_persistent
                                ? mc_cache_lmdb_open(&settings->cache, &engine->cache, &error)
                                : mc_cache_memory_open(&settings->cache, &engine->cache, &error);
    if (settings->cache_persistent && (status == MC_IO || status == MC_DISK_FULL ||
                                       status == MC_NO_MEMORY || status == MC_BUSY)) {
        struct mc_error cause = error;
        status = open_in_memory_instead(engine, cause.message, &error);
    }
    if (status) {
        if (err)
            *err = error;
        return status;
    }
    struct mc_cache_stats stats;
    engine->cache->ops->stats(engine->cache, &stats);
    atomic_init(&engine->cache_errors, stats.errors);
    return MC_OK;
}

static enum mc_status open_store(struct mc_engine *engine, struct mc_error *err)
{
    if (engine->settings.in_postgres) {
        struct mc_postgres_options options = engine->settings.postgres;
        options.metrics = engine->metrics;
        options.foreign_change = on_foreign_change;
        options.context = engine;
        return mc_postgres_store_open(&options, &engine->store, err);
    }
    struct mc_sqlite_options options = engine->settings.sqlite;
    options.metrics = engine->metrics;
    options.foreign_change = on_foreign_change;
    options.context = engine;
    return mc_sqlite_store_open(&options, &engine->store, err);
}

/*
 * Preferences are about the user and every agent reads them, so where agents are enabled nothing is learned
 * from what not every agent may read: only from messages of no agent and, unless the agents are isolated,
 * from public ones.
 */
static enum mc_status learn_isolated(const struct mc_message *message,
                                     const struct mc_metadata *metadata, struct mc_arena *arena,
                                     struct mc_signal **signals, size_t *count,
                                     struct mc_error *err)
{
    *count = 0;
    return message->agent_id.len > 0 ? MC_OK
                                     : mc_signals_of(message, metadata, arena, signals, count, err);
}

static enum mc_status learn_public(const struct mc_message *message,
                                   const struct mc_metadata *metadata, struct mc_arena *arena,
                                   struct mc_signal **signals, size_t *count, struct mc_error *err)
{
    mc_learn_fn learn =
        message->visibility == MC_VISIBILITY_PUBLIC ? mc_signals_of : learn_isolated;
    return learn(message, metadata, arena, signals, count, err);
}

static mc_learn_fn learn_hook(const struct mc_agents_options *agents)
{
    if (!agents->enabled)
        return mc_signals_of;
    return agents->mode == MC_SHARING_ISOLATED ? learn_isolated : learn_public;
}

static enum mc_status start_enricher(struct mc_engine *engine, struct mc_error *err)
{
    struct mc_enricher_options options = {
        .pool = engine->settings.pool,
        .vocabulary = engine->vocabulary,
        .trivial = engine->trivial,
        .learn = learn_hook(&engine->settings.agents),
        .llm = engine->llm,
        .leave_model = engine->opening.leave_models,
        .fallback_builtin = !engine->settings.models.explicit_provider,
    };
    options.pool.store = engine->store;
    options.pool.metrics = engine->metrics;
    options.pool.enriched = on_enriched;
    options.pool.died = on_died;
    options.pool.context = engine;
    struct mc_enricher *enricher = NULL;
    enum mc_status status = mc_enricher_start(&options, &enricher, err);
    if (!status)
        atomic_store(&engine->enricher, enricher);
    return status;
}

static enum mc_status open_models(struct mc_engine *engine, const struct mc_model_openers *openers,
                                  struct mc_error *err)
{
    const struct mc_models_options options = {
        .settings = &engine->settings.models,
        .store = engine->store,
        .metrics = engine->metrics,
        .lazy = engine->opening.lazy_model,
        .openers = openers,
    };
    enum mc_status status = mc_models_open(&options, &engine->models, err);
    if (!status)
        engine->llm = mc_models_llm(engine->models);
    return status;
}

static enum mc_status open_embeddings(struct mc_engine *engine, struct mc_error *err)
{
    const struct mc_embeddings_options options = {
        .settings = &engine->settings.embeddings,
        .pool = &engine->settings.pool,
        .store = engine->store,
        .metrics = engine->metrics,
        .lazy = engine->opening.lazy_model,
        .leave = engine->opening.leave_models,
    };
    struct mc_embeddings *embeddings = NULL;
    enum mc_status status = mc_embeddings_open(&options, &embeddings, err);
    if (!status)
        atomic_store(&engine->embeddings, embeddings);
    return status;
}

/* A change that a model makes while a context is assembled (src/context may not include src/memory). */
static enum mc_status change_preference(void *context, mc_str user_id, mc_str field, mc_str value,
                                        enum mc_preference_action action, struct mc_buf *json,
                                        struct mc_error *err)
{
    struct mc_engine *engine = context;
    return mc_preferences_change(engine->preferences, user_id, field, value, action, json, err);
}

static struct mc_preference_access preference_access(struct mc_engine *engine)
{
    struct mc_preference_access access = {.change = change_preference, .context = engine};
    const char *name;
    bool list;
    while (access.field_count < MC_PREFERENCE_FIELDS_MAX &&
           (name = mc_preference_plain_field(access.field_count, &list)))
        access.fields[access.field_count++] = (struct mc_preference_field){name, list};
    return access;
}

static void prepare_retrieval(struct mc_engine *engine)
{
    engine->retrieval = (struct mc_retrieval){
        .store = mc_store_lagging(engine->store),
        .cache = engine->cache,
        .vocabulary = engine->vocabulary,
        .metrics = engine->metrics,
        .lookups = engine->lookups,
        .meaning = mc_embeddings_meaning(engine->embeddings),
        .cache_max_size = engine->settings.cache.max_size,
        .half_life_us = engine->settings.half_life_us,
        .default_max_messages = engine->settings.context_max_messages,
        .default_max_tokens = engine->settings.context_max_tokens,
        .llm = engine->llm,
        .deadline_us = engine->settings.context_deadline_us,
        .preferences = preference_access(engine),
    };
}

static enum mc_status open_parts(struct mc_engine *engine, const struct mc_model_openers *openers,
                                 struct mc_error *err)
{
    engine->metrics = mc_metrics_new();
    if (!engine->metrics)
        return mc_fail_memory(err);
    enum mc_status status = open_text(engine, err);
    if (!status) {
        engine->lookups = mc_lookups_new(engine->vocabulary, engine->metrics);
        status = engine->lookups ? open_cache(engine, err) : mc_fail_memory(err);
    }
    if (!status)
        status = open_store(engine, err);
    if (!status)
        status = mc_generation_open(engine, err);
    if (!status)
        status = mc_agents_open(engine->store, &engine->settings.agents, &engine->agents, err);
    if (!status)
        status = mc_keys_open(engine->store, engine->settings.agents.enabled, &engine->keys, err);
    if (!status)
        status = mc_preferences_open(engine->store, &engine->settings.preferences,
                                     &engine->preferences, err);
    if (!status)
        status = open_models(engine, openers, err);
    if (!status)
        status = open_embeddings(engine, err);
    if (status)
        return status;
    prepare_retrieval(engine);
    status = start_enricher(engine, err);
    if (!status)
        status = mc_embeddings_start(engine->embeddings, err);
    return status ? status : start_schedule(engine, err);
}

enum mc_status mc_engine_open(const struct mc_config *config, struct mc_engine **engine,
                              struct mc_error *err)
{
    return mc_engine_open_by(config, NULL, NULL, engine, err);
}

enum mc_status mc_engine_open_with(const struct mc_config *config,
                                   const struct mc_open_options *options, struct mc_engine **engine,
                                   struct mc_error *err)
{
    return mc_engine_open_by(config, options, NULL, engine, err);
}

enum mc_status mc_engine_open_by(const struct mc_config *config,
                                 const struct mc_open_options *options,
                                 const struct mc_model_openers *openers, struct mc_engine **engine,
                                 struct mc_error *err)
{
    struct mc_engine *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->opened_us = mc_time_monotonic_us();
    if (options)
        made->opening = *options;
    mc_mutex_init(&made->ingest_failures.mutex);
    mc_mutex_init(&made->health.mutex);
    mc_cond_init(&made->health.answered);
    enum mc_status status = mc_settings_read(config, &made->settings, err);
    if (!status)
        status = open_parts(made, openers, err);
    if (status) {
        mc_engine_close(made);
        return status;
    }
    mc_log(MC_LOG_INFO, "engine", "opened %s with %d worker%s", made->settings.database,
           made->settings.pool.workers, made->settings.pool.workers == 1 ? "" : "s");
    *engine = made;
    return MC_OK;
}

void mc_engine_close(struct mc_engine *engine)
{
    if (!engine)
        return;
    struct mc_enricher *enricher = atomic_load(&engine->enricher);
    mc_scrape_stop(atomic_load(&engine->scrape));
    mc_schedule_stop(engine->schedule);
    mc_schedule_stop(atomic_load(&engine->generation_watch));
    mc_enricher_stop(enricher);
    mc_embeddings_stop(engine->embeddings);
    mc_preferences_close(engine->preferences);
    mc_keys_close(engine->keys);
    mc_agents_close(engine->agents);
    mc_models_close(engine->models); /* writes the ledger */
    mc_embeddings_close_models(engine->embeddings);
    if (engine->store)
        engine->store->ops->close(engine->store); /* its watcher may wake the workers until here */
    mc_schedule_free(engine->schedule);
    mc_schedule_free(atomic_load(&engine->generation_watch));
    mc_enricher_free(enricher);
    mc_embeddings_free(engine->embeddings);
    mc_lookups_free(engine->lookups);
    if (engine->cache)
        engine->cache->ops->close(engine->cache);
    mc_trivial_free(engine->trivial);
    mc_vocabulary_free(engine->vocabulary);
    mc_metrics_free(engine->metrics);
    mc_settings_fini(&engine->settings);
    mc_mutex_fini(&engine->ingest_failures.mutex);
    mc_cond_fini(&engine->health.answered);
    mc_mutex_fini(&engine->health.mutex);
    free(engine->health.json);
    mc_free(engine->cache_trouble);
    free(engine);
}

/* More than this is no limit at all. */
#define DRAIN_MAX_MS (INT64_C(1000) * 365 * 86400)

enum mc_status mc_engine_drain(struct mc_engine *engine, int64_t timeout_ms, struct mc_error *err)
{
    bool bounded = timeout_ms >= 0 && timeout_ms <= DRAIN_MAX_MS;
    int64_t deadline = bounded ? mc_time_monotonic_us() + timeout_ms * MC_US_PER_MS : INT64_MAX;
    return mc_enricher_drain(engine->enricher, deadline, err);
}

void mc_engine_pause(struct mc_engine *engine, bool paused)
{
    mc_enricher_pause(engine->enricher, paused);
    mc_embeddings_pause(engine->embeddings, paused);
}

int mc_engine_worker_count(const struct mc_engine *engine)
{
    return engine->settings.pool.workers;
}

const char *mc_engine_provider(const struct mc_engine *engine)
{
    return mc_models_provider(engine->models);
}

const char *mc_engine_backend(const struct mc_engine *engine)
{
    return engine->store->ops->name;
}

bool mc_engine_multi_agent(const struct mc_engine *engine)
{
    return engine->settings.agents.enabled;
}

/* ---- For the use cases ---- */

enum mc_status mc_engine_refresh_agents(struct mc_engine *engine, struct mc_error *err)
{
    if (!engine->settings.agents.enabled || !atomic_exchange(&engine->agents_stale, false))
        return MC_OK;
    enum mc_status status = mc_agents_reload(engine->agents, err);
    if (status)
        atomic_store(&engine->agents_stale, true);
    return status;
}

enum mc_status mc_engine_reader(struct mc_engine *engine, mc_str agent_id, struct mc_arena *arena,
                                struct mc_reader *reader, struct mc_error *err)
{
    enum mc_status status = mc_engine_refresh_agents(engine, err);
    return status ? status : mc_agents_reader(engine->agents, agent_id, arena, reader, err);
}

enum mc_status mc_engine_result(struct mc_buf *buf, char **text, struct mc_error *err)
{
    char *taken = mc_buf_take(buf, NULL);
    if (!taken)
        return mc_fail_memory(err);
    *text = taken;
    return MC_OK;
}
