#include <mindcore/operate.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "engine/snapshot.h"
#include "message/input.h"

/* Queue, cache, backup, and the summary for people. */

/* ---- Queue ---- */

static bool write_dead_job(void *context, mc_str message_id, mc_str user_id, int attempts,
                           int64_t enqueued_us, int64_t died_us, mc_str error)
{
    struct mc_json_writer *w = context;
    mc_json_begin(w, '{');
    mc_json_member_string(w, "message_id", message_id);
    mc_json_member_string(w, "user_id", user_id);
    mc_json_member_integer(w, "attempts", attempts);
    mc_json_key(w, "enqueued_at");
    mc_json_put_time(w, enqueued_us);
    mc_json_key(w, "died_at");
    mc_json_put_time(w, died_us);
    mc_json_member_string(w, "error", error);
    mc_json_end(w, '}');
    return true;
}

enum mc_status mc_queue_status(struct mc_engine *engine, size_t dead_limit, char **json,
                               struct mc_error *err)
{
    struct mc_snapshot s;
    mc_snapshot_take(engine, &s);
    if (s.store_status) {
        if (err)
            *err = s.store_error;
        return s.store_status;
    }
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    struct mc_json_writer w = mc_json_writer(&buf);
    mc_json_begin(&w, '{');
    mc_json_member_integer(&w, "depth", s.queue.ready + s.queue.leased);
    mc_json_member_integer(&w, "ready", s.queue.ready);
    mc_json_member_integer(&w, "leased", s.queue.leased);
    mc_json_member_integer(&w, "dead", s.queue.dead);
    mc_json_member_fixed(&w, "oldest_age_seconds", s.oldest_age_s, 3);
    mc_json_key(&w, "dead_jobs");
    mc_json_begin(&w, '[');
    enum mc_status status =
        engine->store->ops->dead_jobs(engine->store, dead_limit, write_dead_job, &w, err);
    if (status)
        return status;
    mc_json_end(&w, ']');
    mc_json_end(&w, '}');
    return mc_engine_result(&buf, json, err);
}

enum mc_status mc_queue_retry(struct mc_engine *engine, mc_str message_id, uint64_t *count,
                              struct mc_error *err)
{
    enum mc_status status =
        mc_str_given(message_id) ? mc_input_check_id("message_id", message_id, err) : MC_OK;
    if (!status)
        status = engine->store->ops->retry(engine->store, message_id, mc_time_now_us(), count, err);
    if (status)
        return status;
    engine->cache->ops->doubt(engine->cache); /* their messages are pending again */
    mc_enricher_wake(engine->enricher);
    return MC_OK;
}

enum mc_status mc_queue_purge(struct mc_engine *engine, uint64_t *count, struct mc_error *err)
{
    return engine->store->ops->purge(engine->store, count, err);
}

/* ---- Cache ---- */

enum mc_status mc_cache_drop_topic(struct mc_engine *engine, mc_str topic, uint64_t *count,
                                   struct mc_error *err)
{
    mc_str name = mc_vocabulary_topic(engine->vocabulary, topic);
    if (!mc_str_given(name))
        return mc_fail_field(err, MC_INVALID, "topic",
                             "\"%.*s\" is not a topic of the vocabulary nor a synonym of one",
                             (int)(topic.len < 64 ? topic.len : 64), topic.data ? topic.data : "");
    *count = engine->cache->ops->drop_topic(engine->cache, name, mc_time_now_us());
    return MC_OK;
}

enum mc_status mc_cache_drop_stale(struct mc_engine *engine, double max_age_seconds,
                                   uint64_t *count, struct mc_error *err)
{
    if (!(max_age_seconds >= 0) || max_age_seconds > 1e9)
        return mc_fail_field(err, MC_INVALID, "max_age_seconds",
                             "max_age_seconds must be 0 to 1,000,000,000");
    *count = engine->cache->ops->drop_older(engine->cache, (int64_t)(max_age_seconds * 1e6),
                                            mc_time_now_us());
    return MC_OK;
}

enum mc_status mc_cache_clear(struct mc_engine *engine, mc_str user_id, mc_str thread_id,
                              uint64_t *count, struct mc_error *err)
{
    if (mc_str_given(thread_id) && !mc_str_given(user_id))
        return mc_fail_field(err, MC_INVALID, "user_id",
                             "a thread_id without a user_id names no thread; give both");
    enum mc_status status =
        mc_str_given(user_id) ? mc_input_check_id("user_id", user_id, err) : MC_OK;
    if (!status && mc_str_given(thread_id))
        status = mc_input_check_id("thread_id", thread_id, err);
    if (status)
        return status;
    *count = engine->cache->ops->drop(engine->cache, user_id, thread_id, mc_time_now_us());
    return MC_OK;
}

/* ---- The rest ---- */

enum mc_status mc_engine_backup(struct mc_engine *engine, const char *path, mc_progress_fn progress,
                                void *context, struct mc_error *err)
{
    if (!path || !*path)
        return mc_fail_field(err, MC_INVALID, "path", "name the file of the backup");
    return engine->store->ops->backup(engine->store, path, progress, context, err);
}

static void write_counts(struct mc_json_writer *w, const char *key, const int64_t *counts,
                         size_t count, const char *(*name)(size_t index))
{
    mc_json_key(w, key);
    mc_json_begin(w, '{');
    for (size_t i = 0; i < count; i++)
        mc_json_member_integer(w, name(i), counts[i]);
    mc_json_end(w, '}');
}

static const char *tier_name(size_t index)
{
    return mc_tier_name((enum mc_tier)index);
}

static const char *state_name(size_t index)
{
    return mc_enrichment_name((enum mc_enrichment)index);
}

static void write_missing_indexes(struct mc_json_writer *w, mc_str names)
{
    mc_str name;
    mc_json_key(w, "missing_indexes");
    mc_json_begin(w, '[');
    while (names.len > 0 && mc_str_split(&names, ',', &name))
        mc_json_put_string(w, mc_str_trim(name));
    mc_json_end(w, ']');
}

enum mc_status mc_engine_status(struct mc_engine *engine, char **json, struct mc_error *err)
{
    struct mc_store_stats stats;
    enum mc_status status = engine->store->ops->stats(engine->store, &stats, err);
    if (status)
        return status;
    struct mc_snapshot s;
    mc_snapshot_take(engine, &s);
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    struct mc_json_writer writer = mc_json_writer(&buf), *w = &writer;
    mc_json_begin(w, '{');
    mc_json_member_text(w, "version", mc_version());
    mc_json_member_text(w, "backend", engine->store->ops->name);
    mc_json_member_text(w, "database", engine->settings.database);
    mc_json_member_integer(w, "schema_version", stats.schema_version);
    mc_json_member_integer(w, "partitions", stats.partitions);
    write_missing_indexes(w, mc_str_of(stats.missing_indexes));
    mc_json_member_text(w, "provider", mc_engine_provider(engine));
    mc_json_member_fixed(w, "uptime_seconds", s.uptime_s, 3);
    mc_json_member_integer(w, "users", stats.users);
    mc_json_member_integer(w, "threads", stats.threads);
    mc_json_member_integer(w, "messages", stats.messages);
    mc_json_member_integer(w, "size_bytes", stats.bytes);
    write_counts(w, "messages_by_tier", stats.by_tier, MC_TIER_COUNT, tier_name);
    write_counts(w, "messages_by_state", stats.by_state, MC_ENRICHMENT_COUNT, state_name);
    mc_json_key(w, "queue");
    mc_json_begin(w, '{');
    mc_json_member_integer(w, "depth", s.queue.ready + s.queue.leased);
    mc_json_member_integer(w, "dead", s.queue.dead);
    mc_json_member_fixed(w, "oldest_age_seconds", s.oldest_age_s, 3);
    mc_json_end(w, '}');
    mc_json_key(w, "cache");
    mc_json_begin(w, '{');
    mc_json_member_text(w, "backend", engine->cache->ops->name);
    mc_json_member_integer(w, "threads", (int64_t)s.cache.threads);
    mc_json_member_integer(w, "size_bytes", (int64_t)s.cache.bytes);
    mc_json_member_integer(w, "cache_hits", (int64_t)s.cache.hits);
    mc_json_member_integer(w, "cache_misses", (int64_t)s.cache.misses);
    mc_json_member_number(w, "hit_rate", mc_snapshot_hit_rate(&s));
    mc_json_end(w, '}');
    mc_json_key(w, "replicas");
    mc_snapshot_write_replicas(&s, w);
    mc_json_key(w, "workers");
    mc_json_begin(w, '{');
    mc_json_member_integer(w, "size", engine->settings.pool.workers);
    mc_json_member_integer(w, "alive", s.pool.alive);
    mc_json_member_integer(w, "busy", s.pool.busy);
    mc_json_member_boolean(w, "paused", s.pool.paused);
    mc_json_end(w, '}');
    mc_json_end(w, '}');
    return mc_engine_result(&buf, json, err);
}
