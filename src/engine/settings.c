#include "engine/settings.h"

#include <ctype.h>
#include <stdio.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/time.h"
#include "config/config.h"
#include "message/input.h"

#define SETTINGS_ARENA_MAX ((size_t)16 << 20)
/* A message at least this important stays twice as long in each tier. */
#define KEEP_IMPORTANCE 0.8

/* A text option copied into the settings; absent when it has no value. */
static enum mc_status copy_text(struct mc_settings *settings, const struct mc_config *config,
                                const char *key, mc_str *text, struct mc_error *err)
{
    const char *value = mc_config_get(config, key);
    *text = MC_STR_NONE;
    if (!value)
        return MC_OK;
    *text = mc_arena_copy(&settings->strings, mc_str_of(value));
    return text->data ? MC_OK : mc_fail_memory(err);
}

static int64_t days_us(const struct mc_config *config, const char *key)
{
    return mc_config_integer(config, key) * MC_US_PER_DAY;
}

static enum mc_status read_sqlite(struct mc_settings *settings, const struct mc_config *config,
                                  struct mc_error *err)
{
    mc_str path;
    enum mc_status status = copy_text(settings, config, "database.path", &path, err);
    if (status)
        return status;
    if (path.len == 0)
        return mc_fail_field(err, MC_CONFIG, "database.path",
                             "database.path is empty; name the file of the database");
    const char *synchronous = mc_config_get(config, "database.synchronous");
    settings->sqlite = (struct mc_sqlite_options){
        .path = path.data,
        .synchronous_full = synchronous && strcmp(synchronous, "full") == 0,
        .busy_timeout_us = mc_config_duration_us(config, "database.busy_timeout"),
    };
    settings->database = path.data;
    return MC_OK;
}

/* Without embeddings nothing is to be searched. */
static bool uses_pgvector(const struct mc_config *config)
{
    const char *provider = mc_config_get(config, "embeddings.provider");
    const char *choice = mc_config_get(config, "embeddings.pgvector");
    return provider && strcmp(provider, "none") != 0 && choice && strcmp(choice, "auto") == 0;
}

/* database.replicas, a JSON array, as texts that end with NUL. */
static enum mc_status read_replicas(struct mc_settings *settings, const struct mc_config *config,
                                    struct mc_error *err)
{
    const char *text = mc_config_get(config, "database.replicas");
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    enum mc_status status = mc_json_parse(mc_str_of(text ? text : "[]"), &root, err);
    if (status)
        return status;
    size_t count = mc_json_count(root);
    if (count > MC_REPLICAS_MAX)
        return mc_fail_field(err, MC_CONFIG, "database.replicas",
                             "database.replicas has %zu entries, more than %d", count,
                             MC_REPLICAS_MAX);
    const char **entries = mc_arena_array(&settings->strings, count, sizeof(*entries));
    if (!entries)
        return mc_fail_memory(err);
    for (size_t i = 0; i < count; i++) {
        entries[i] = mc_arena_copy(&settings->strings, mc_json_string(mc_json_at(root, i))).data;
        if (!entries[i])
            return mc_fail_memory(err);
    }
    settings->postgres.replicas = entries;
    settings->postgres.replica_count = count;
    return MC_OK;
}

static enum mc_status read_postgres(struct mc_settings *settings, const struct mc_config *config,
                                    struct mc_error *err)
{
    static const char *const KEYS[] = {"database.host", "database.name", "database.user",
                                       "database.password", "database.sslmode"};
    mc_str texts[mc_countof(KEYS)];
    for (size_t i = 0; i < mc_countof(KEYS); i++) {
        enum mc_status status = copy_text(settings, config, KEYS[i], &texts[i], err);
        if (status)
            return status;
    }
    settings->postgres = (struct mc_postgres_options){
        .host = texts[0].data,
        .name = texts[1].data,
        .user = texts[2].data,
        .password = texts[3].data,
        .sslmode = texts[4].data,
        .port = (int)mc_config_integer(config, "database.port"),
        .pool_size = (int)mc_config_integer(config, "database.pool_size"),
        .max_overflow = (int)mc_config_integer(config, "database.max_overflow"),
        .pool_timeout_us = mc_config_duration_us(config, "database.pool_timeout"),
        .statement_timeout_us = mc_config_duration_us(config, "database.statement_timeout"),
        .lock_timeout_us = mc_config_duration_us(config, "database.lock_timeout"),
        .pgbouncer = mc_config_boolean(config, "database.pgbouncer"),
        .pgvector = uses_pgvector(config),
        .replica_max_lag_us = mc_config_duration_us(config, "database.replica_max_lag"),
        .replica_timeout_us = mc_config_duration_us(config, "database.replica_timeout"),
    };
    enum mc_status status = read_replicas(settings, config, err);
    if (status)
        return status;
    settings->database = mc_arena_printf(&settings->strings, "postgresql://%s:%d/%s",
                                         texts[0].len ? texts[0].data : "", settings->postgres.port,
                                         texts[1].len ? texts[1].data : "")
                             .data;
    return settings->database ? MC_OK : mc_fail_memory(err);
}

static enum mc_status read_store(struct mc_settings *settings, const struct mc_config *config,
                                 struct mc_error *err)
{
    const char *backend = mc_config_get(config, "database.backend");
    settings->in_postgres = backend && strcmp(backend, "postgresql") == 0;
    return settings->in_postgres ? read_postgres(settings, config, err)
                                 : read_sqlite(settings, config, err);
}

/* Next to the file; for a server in the working folder, by a name that two databases do not share. */
static mc_str default_cache_dir(struct mc_settings *settings)
{
    if (!settings->in_postgres)
        return mc_arena_printf(&settings->strings, "%s.cache", settings->sqlite.path);
    mc_str name = mc_arena_copy(&settings->strings, mc_str_of(settings->postgres.name));
    for (size_t i = 0; name.data && i < name.len; i++)
        if (!isalnum((unsigned char)name.data[i]) && !strchr("-_", name.data[i]))
            ((char *)(uintptr_t)name.data)[i] = '_';
    return mc_arena_printf(&settings->strings, "%s-%08x.cache", name.len ? name.data : "mindcore",
                           (unsigned)mc_str_hash(mc_str_of(settings->database)));
}

static enum mc_status read_cache(struct mc_settings *settings, const struct mc_config *config,
                                 struct mc_error *err)
{
    mc_str dir;
    enum mc_status status = copy_text(settings, config, "cache.dir", &dir, err);
    if (status)
        return status;
    if (dir.len == 0)
        dir = default_cache_dir(settings);
    if (!dir.data)
        return mc_fail_memory(err);
    settings->cache_persistent = mc_config_boolean(config, "cache.persistent");
    settings->cache = (struct mc_cache_options){
        .dir = dir.data,
        .max_size = (size_t)mc_config_integer(config, "cache.max_size"),
        .ttl_us = mc_config_duration_us(config, "cache.ttl"),
        .max_bytes = (size_t)mc_config_integer(config, "cache.max_bytes"),
    };
    return MC_OK;
}

static void read_pool(struct mc_settings *settings, const struct mc_config *config)
{
    settings->pool = (struct mc_pool_options){
        .workers = (int)mc_config_integer(config, "enrichment.workers"),
        .lease_us = mc_config_duration_us(config, "enrichment.lease"),
        .max_attempts = (int)mc_config_integer(config, "enrichment.max_attempts"),
        .retry_min_us = mc_config_duration_us(config, "enrichment.retry_min"),
        .retry_max_us = mc_config_duration_us(config, "enrichment.retry_max"),
    };
}

#define GROUPS_KEY "multi_agent.default_sharing_groups"

/* The groups of that option, which must be ids. */
static enum mc_status read_groups(struct mc_settings *settings, mc_str list, struct mc_error *err)
{
    struct mc_json *root = NULL;
    enum mc_status status = mc_json_parse(list, &root, err);
    if (status)
        return status;
    const mc_str *items;
    size_t count;
    status = mc_input_string_list(root, GROUPS_KEY, MC_SHARING_GROUPS_MAX, &settings->strings,
                                  &items, &count, err);
    const mc_str *copies = status ? NULL : mc_arena_copy_list(&settings->strings, items, count);
    if (!status && !copies)
        status = mc_fail_memory(err);
    for (size_t i = 0; !status && i < count; i++) {
        struct mc_error detail;
        if (mc_input_check_id(GROUPS_KEY, copies[i], &detail))
            status = mc_fail_field(err, MC_CONFIG, GROUPS_KEY, "%s", detail.message);
    }
    mc_json_free(root);
    if (status)
        return status;
    settings->agents.default_sharing_groups = copies;
    settings->agents.default_sharing_group_count = count;
    return MC_OK;
}

static enum mc_status read_agents(struct mc_settings *settings, const struct mc_config *config,
                                  struct mc_error *err)
{
    static const char *const MODES[] = {"isolated", "shared", "public"};
    settings->agents = (struct mc_agents_options){
        .enabled = mc_config_boolean(config, "multi_agent.enabled"),
        .mode = MC_SHARING_SHARED,
        .require_agent_id = mc_config_boolean(config, "multi_agent.require_agent_id"),
    };
    const char *mode = mc_config_get(config, "multi_agent.mode");
    for (size_t i = 0; mode && i < mc_countof(MODES); i++) {
        if (strcmp(mode, MODES[i]) == 0)
            settings->agents.mode = (enum mc_sharing_mode)i;
    }
    if (mode && strcmp(mode, "disabled") == 0)
        settings->agents.enabled = false;
    const char *visibility = mc_config_get(config, "multi_agent.default_visibility");
    if (visibility &&
        !mc_visibility_parse(mc_str_of(visibility), &settings->agents.default_visibility))
        return mc_fail_field(err, MC_CONFIG, "multi_agent.default_visibility",
                             "multi_agent.default_visibility must be private, shared or public");
    mc_str groups;
    enum mc_status status = copy_text(settings, config, GROUPS_KEY, &groups, err);
    if (status || groups.len == 0)
        return status;
    return read_groups(settings, groups, err);
}

/* The vocabulary's own section as one object. */
static enum mc_status read_vocabulary(struct mc_settings *settings, const struct mc_config *config,
                                      struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, SETTINGS_ARENA_MAX);
    mc_config_vocabulary_section(config, &buf);
    settings->vocabulary = mc_arena_copy(&settings->strings, mc_buf_str(&buf));
    if (buf.failed || !settings->vocabulary.data)
        return mc_fail_memory(err);
    return copy_text(settings, config, "trivial.patterns", &settings->trivial_patterns, err);
}

/* retention.schedule as a period. */
static int64_t schedule_us(const struct mc_config *config)
{
    static const struct {
        const char *name;
        int64_t period_us;
    } SCHEDULES[] = {
        {"off", 0},
        {"hourly", 3600 * MC_US_PER_SECOND},
        {"daily", MC_US_PER_DAY},
        {"weekly", 7 * MC_US_PER_DAY},
    };
    const char *name = mc_config_get(config, "retention.schedule");
    for (size_t i = 0; name && i < mc_countof(SCHEDULES); i++) {
        if (strcmp(name, SCHEDULES[i].name) == 0)
            return SCHEDULES[i].period_us;
    }
    return 0;
}

static void read_memory(struct mc_settings *settings, const struct mc_config *config)
{
    settings->preferences = (struct mc_preferences_options){
        .signal_min_count = mc_config_integer(config, "preferences.signal_min_count"),
        .signal_min_confidence = mc_config_number(config, "preferences.signal_min_confidence"),
        .auto_apply = mc_config_boolean(config, "preferences.auto_apply"),
    };
    settings->tiers = (struct mc_tiers_options){
        .short_us = days_us(config, "retention.short_term_days"),
        .mid_us = days_us(config, "retention.mid_term_days"),
        .long_us = days_us(config, "retention.long_term_days"),
        .trivial_delete_us = days_us(config, "retention.delete_trivial_after_days"),
        .archive_delete_us = days_us(config, "retention.delete_archived_after_days"),
        .summarize_after_messages = mc_config_integer(config, "retention.summarize_after_messages"),
        .summarize_after_us = days_us(config, "retention.summarize_after_days"),
        .undo_us = days_us(config, "retention.undo_days"),
        .compress_archive = mc_config_boolean(config, "retention.compress_archive"),
        .keep_importance = KEEP_IMPORTANCE,
    };
    settings->half_life_us =
        (int64_t)(mc_config_number(config, "retention.half_life_days") * (double)MC_US_PER_DAY);
    settings->schedule_us = schedule_us(config);
    const char *mode = mc_config_get(config, "context.mode");
    if (!mode || !mc_context_mode_parse(mc_str_of(mode), &settings->context_mode))
        settings->context_mode = MC_CONTEXT_AUTO;
    settings->context_max_messages = (size_t)mc_config_integer(config, "context.max_messages");
    settings->context_max_tokens = (size_t)mc_config_integer(config, "context.max_tokens");
    settings->context_deadline_us = mc_config_duration_us(config, "context.deadline");
    settings->health_max_oldest_us = mc_config_duration_us(config, "health.max_oldest_job");
    settings->health_max_depth = mc_config_integer(config, "health.max_queue_depth");
}

/* What was set and cannot have an effect must not go unnoticed. */
static void warn_of_database(const struct mc_config *config, bool in_postgres)
{
    static const char *const OF_SQLITE[] = {"database.path", "database.synchronous",
                                            "database.busy_timeout"};
    static const char *const OF_POSTGRES[] = {"database.host",
                                              "database.port",
                                              "database.name",
                                              "database.user",
                                              "database.password",
                                              "database.sslmode",
                                              "database.pool_size",
                                              "database.max_overflow",
                                              "database.pool_timeout",
                                              "database.statement_timeout",
                                              "database.lock_timeout",
                                              "database.pgbouncer",
                                              "database.replicas",
                                              "database.replica_max_lag",
                                              "database.replica_timeout",
                                              "embeddings.pgvector"};
    const char *const *idle = in_postgres ? OF_SQLITE : OF_POSTGRES;
    size_t count = in_postgres ? mc_countof(OF_SQLITE) : mc_countof(OF_POSTGRES);
    for (size_t i = 0; i < count; i++) {
        if (mc_config_source(config, idle[i]) != MC_SOURCE_DEFAULT)
            mc_log(MC_LOG_WARNING, "engine", "%s is set but has no effect: the database is %s",
                   idle[i], in_postgres ? "PostgreSQL" : "SQLite");
    }
}

static enum mc_status read_all(struct mc_settings *settings, const struct mc_config *config,
                               struct mc_error *err)
{
    enum mc_status status = read_store(settings, config, err);
    if (!status)
        warn_of_database(config, settings->in_postgres);
    if (!status)
        status = read_cache(settings, config, err);
    if (!status)
        status = read_agents(settings, config, err);
    if (!status)
        status = read_vocabulary(settings, config, err);
    if (!status)
        status = mc_model_settings_read(config, &settings->strings, &settings->models, err);
    if (!status)
        status = mc_embedding_settings_read(config, &settings->models, &settings->strings,
                                            &settings->embeddings, err);
    if (status)
        return status;
    read_pool(settings, config);
    read_memory(settings, config);
    return MC_OK;
}

enum mc_status mc_settings_read(const struct mc_config *config, struct mc_settings *settings,
                                struct mc_error *err)
{
    struct mc_settings made = {0};
    mc_arena_init(&made.strings, SETTINGS_ARENA_MAX);
    struct mc_config *defaults = NULL;
    enum mc_status status = config ? MC_OK : mc_config_new(&defaults, err);
    if (!status)
        status = read_all(&made, config ? config : defaults, err);
    mc_config_free(defaults);
    if (status) {
        mc_settings_fini(&made);
        return status;
    }
    *settings = made;
    return MC_OK;
}

void mc_settings_fini(struct mc_settings *settings)
{
    mc_arena_fini(&settings->strings);
}
