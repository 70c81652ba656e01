#include <mindcore/memory.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "engine/generation.h"
#include "memory/tiers.h"
#include "message/input.h"

/* What is remembered beside messages: each call checks its ids and hands over to src/memory. */

/* A result being written: the buffer, and what it becomes when the work succeeded. */
static enum mc_status finish(enum mc_status status, struct mc_buf *buf, char **json,
                             struct mc_error *err)
{
    return status ? status : mc_engine_result(buf, json, err);
}

/* ---- Preferences ---- */

enum mc_status mc_preferences_get(struct mc_engine *engine, mc_str user_id, char **json,
                                  struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    enum mc_status status = mc_input_check_id("user_id", user_id, err);
    if (!status)
        status = mc_preferences_read(engine->preferences, user_id, &buf, err);
    return finish(status, &buf, json, err);
}

enum mc_status mc_preferences_update(struct mc_engine *engine, mc_str user_id, mc_str field,
                                     mc_str value, enum mc_preference_action action, char **json,
                                     struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    enum mc_status status = mc_input_check_id("user_id", user_id, err);
    if (!status)
        status =
            mc_preferences_change(engine->preferences, user_id, field, value, action, &buf, err);
    return finish(status, &buf, json, err);
}

enum mc_status mc_preferences_patch(struct mc_engine *engine, mc_str user_id, mc_str patch,
                                    char **json, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    enum mc_status status = mc_input_check_id("user_id", user_id, err);
    if (!status)
        status = mc_preferences_merge(engine->preferences, user_id, patch, &buf, err);
    return finish(status, &buf, json, err);
}

enum mc_status mc_preferences_signals(struct mc_engine *engine, mc_str user_id, char **json,
                                      struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    enum mc_status status = mc_input_check_id("user_id", user_id, err);
    if (!status)
        status = mc_preferences_list_signals(engine->preferences, user_id, &buf, err);
    return finish(status, &buf, json, err);
}

enum mc_status mc_preferences_apply(struct mc_engine *engine, mc_str user_id, char **json,
                                    struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    enum mc_status status = mc_input_check_id("user_id", user_id, err);
    if (!status)
        status = mc_preferences_apply_signals(engine->preferences, user_id, &buf, err);
    return finish(status, &buf, json, err);
}

/* ---- Agents ---- */

enum mc_status mc_agent_register(struct mc_engine *engine, const struct mc_agent_input *agent,
                                 char **json, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    enum mc_status status = mc_engine_refresh_agents(engine, err);
    if (!status)
        status = mc_agents_register(engine->agents, agent, &buf, err);
    return finish(status, &buf, json, err);
}

enum mc_status mc_agent_register_json(struct mc_engine *engine, mc_str object, char **json,
                                      struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    enum mc_status status = mc_engine_refresh_agents(engine, err);
    if (!status)
        status = mc_agents_register_json(engine->agents, object, &buf, err);
    return finish(status, &buf, json, err);
}

enum mc_status mc_agent_unregister(struct mc_engine *engine, mc_str agent_id, struct mc_error *err)
{
    enum mc_status status = mc_input_check_id("agent_id", agent_id, err);
    return status ? status : mc_agents_unregister(engine->agents, agent_id, err);
}

enum mc_status mc_agent_get(struct mc_engine *engine, mc_str agent_id, char **json,
                            struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    enum mc_status status = mc_input_check_id("agent_id", agent_id, err);
    if (!status)
        status = mc_engine_refresh_agents(engine, err);
    if (!status)
        status = mc_agents_get(engine->agents, agent_id, &buf, err);
    return finish(status, &buf, json, err);
}

enum mc_status mc_agent_list(struct mc_engine *engine, char **json, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    enum mc_status status = mc_engine_refresh_agents(engine, err);
    if (!status)
        status = mc_agents_list(engine->agents, &buf, err);
    return finish(status, &buf, json, err);
}

enum mc_status mc_agent_stats(struct mc_engine *engine, char **json, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    enum mc_status status = mc_engine_refresh_agents(engine, err);
    if (!status)
        status = mc_agents_stats(engine->agents, &buf, err);
    return finish(status, &buf, json, err);
}

/* ---- Tiers ---- */

enum mc_status mc_tiers_migrate(struct mc_engine *engine, mc_str user_id, bool dry_run,
                                mc_progress_fn progress, void *context, char **json,
                                struct mc_error *err)
{
    enum mc_status status =
        mc_str_given(user_id) ? mc_input_check_id("user_id", user_id, err) : MC_OK;
    if (status)
        return status;
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    struct mc_tiers_options options = engine->settings.tiers;
    options.llm = engine->llm;
    status = mc_tiers_run(engine->store, &options, user_id, mc_time_now_us(), dry_run, progress,
                          context, &buf, err);
    if (!dry_run) /* tiers changed, messages went: what is cached must be compared again */
        engine->cache->ops->doubt(engine->cache);
    return finish(status, &buf, json, err);
}

enum mc_status mc_tiers_runs(struct mc_engine *engine, char **json, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    enum mc_status status = mc_tiers_list_runs(engine->store, engine->settings.tiers.undo_us,
                                               mc_time_now_us(), &buf, err);
    return finish(status, &buf, json, err);
}

enum mc_status mc_tiers_undo(struct mc_engine *engine, int64_t run, bool dry_run,
                             mc_progress_fn progress, void *context, char **json,
                             struct mc_error *err)
{
    if (run < 0)
        return mc_fail_field(err, MC_INVALID, "run", "run: a number from 1 on, or 0 for the last");
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    int64_t now_us = mc_time_now_us(), period_us = engine->settings.schedule_us;
    struct mc_tiers_undo undo = {
        .undo_us = engine->settings.tiers.undo_us,
        .run = run,
        .now_us = now_us,
        .dry_run = dry_run,
        .next_us = period_us ? now_us + period_us : 0,
        .task = MC_STR(MC_ENGINE_MIGRATION),
    };
    enum mc_status status = mc_tiers_take_back(engine->store, &undo, progress, context, &buf, err);
    if (!dry_run) /* tiers changed, messages came: what is cached must be compared again */
        engine->cache->ops->doubt(engine->cache);
    return finish(status, &buf, json, err);
}

/* ---- A user as a whole ---- */

enum mc_status mc_user_erase(struct mc_engine *engine, mc_str user_id, char **json,
                             struct mc_error *err)
{
    enum mc_status status = mc_input_check_id("user_id", user_id, err);
    if (status)
        return status;
    struct mc_erased erased;
    mc_preferences_lock(engine->preferences, user_id);
    status = engine->store->ops->erase(engine->store, user_id, &erased, err);
    mc_preferences_unlock(engine->preferences, user_id);
    mc_lookups_forget(engine->lookups, user_id);
    mc_meaning_forget(engine->retrieval.meaning, user_id);
    uint64_t cached =
        engine->cache->ops->drop(engine->cache, user_id, MC_STR_NONE, mc_time_now_us());
    bool wiped = mc_generation_renew(engine);
    if (status)
        return status;
    /* Long, and nobody who changes preferences waits for it. */
    bool store_wiped = engine->store->ops->wipe(engine->store);
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    struct mc_json_writer w = mc_json_writer(&buf);
    mc_json_begin(&w, '{');
    mc_json_member_string(&w, "user_id", user_id);
    mc_json_key(&w, "erased_at");
    mc_json_put_time(&w, mc_time_now_us());
    mc_json_member_integer(&w, "messages", erased.messages);
    mc_json_member_integer(&w, "messages_in_trash", erased.trash);
    mc_json_member_integer(&w, "threads", erased.threads);
    mc_json_member_integer(&w, "jobs", erased.jobs);
    mc_json_member_integer(&w, "summaries", erased.summaries);
    mc_json_member_integer(&w, "preferences", erased.preferences);
    mc_json_member_integer(&w, "signals", erased.signals);
    mc_json_member_integer(&w, "cached_threads", (int64_t)cached);
    mc_json_member_boolean(&w, "verified", erased.verified);
    mc_json_member_boolean(&w, "wiped", store_wiped && wiped);
    mc_json_end(&w, '}');
    return mc_engine_result(&buf, json, err);
}

struct export
{
    mc_write_fn write;
    void *context;
    struct mc_buf line;
    struct mc_json_writer w;
    bool stopped;
};

static void export_begin(struct export *export, const char *type)
{
    mc_buf_reset(&export->line);
    export->w = mc_json_writer(&export->line);
    mc_json_begin(&export->w, '{');
    mc_json_member_text(&export->w, "type", type);
}

static bool export_end(struct export *export)
{
    mc_json_end(&export->w, '}');
    mc_buf_char(&export->line, '\n');
    mc_str line = mc_buf_str(&export->line);
    export->stopped = export->line.failed || !export->write(export->context, line.data, line.len);
    return !export->stopped;
}

static bool export_message(void *context, struct mc_record *record)
{
    struct export *export = context;
    export_begin(export, "message");
    mc_json_key(&export->w, "message");
    mc_message_write(&record->m, &export->w);
    return export_end(export);
}

/* The members of a summary, in an object that is begun. */
static void put_summary(struct mc_json_writer *w, const struct mc_summary *summary)
{
    mc_json_member_string(w, "user_id", summary->user_id);
    mc_json_member_string(w, "thread_id", summary->thread_id);
    mc_json_member_string(w, "summary", summary->text);
    mc_json_key(w, "key_facts");
    mc_json_put_raw(w, summary->key_facts);
    mc_json_key(w, "topics");
    mc_json_put_raw(w, summary->topics);
    mc_json_member_string(w, "method", summary->method);
    mc_json_member_integer(w, "messages", summary->messages);
    mc_json_key(w, "from");
    mc_json_put_time(w, summary->first_us);
    mc_json_key(w, "to");
    mc_json_put_time(w, summary->last_us);
}

static bool export_summary(void *context, const struct mc_summary *summary)
{
    struct export *export = context;
    export_begin(export, "summary");
    put_summary(&export->w, summary);
    return export_end(export);
}

static enum mc_status export_preferences(struct mc_engine *engine, mc_str user_id,
                                         struct export *export, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf stored;
    mc_buf_init(&stored, MC_RESULT_MAX);
    enum mc_status status = engine->store->ops->preferences(engine->store, user_id, &stored, err);
    if (status || stored.len == 0)
        return status;
    export_begin(export, "preferences");
    mc_json_member_string(&export->w, "user_id", user_id);
    mc_json_key(&export->w, "preferences");
    mc_json_put_raw(&export->w, mc_buf_str(&stored));
    export_end(export);
    return MC_OK;
}

struct export_signals {
    struct export *export;
    mc_str user_id;
};

static bool export_signal(void *context, const struct mc_signal *signal)
{
    const struct export_signals *signals = context;
    export_begin(signals->export, "signal");
    struct mc_json_writer *w = &signals->export->w;
    mc_json_member_string(w, "user_id", signals->user_id);
    mc_json_member_string(w, "field", signal->field);
    mc_json_member_string(w, "value", signal->value);
    mc_json_member_integer(w, "count", signal->count);
    mc_json_key(w, "last_seen");
    mc_json_put_time(w, signal->last_seen_us);
    return export_end(signals->export);
}

#define EXPORT_SUMMARIES_MAX 100000
#define SUMMARIES_MAX 1000
#define SUMMARIES_DEFAULT 20

static enum mc_status export_all(struct mc_engine *engine, mc_str user_id,
                                 const struct mc_reader *reader, struct export *export,
                                 struct mc_error *err)
{
    enum mc_status status = engine->store->ops->export_user(engine->store, user_id, reader,
                                                            export_message, export, err);
    if (!status && !export->stopped)
        status = engine->store->ops->summaries(engine->store, user_id, reader, EXPORT_SUMMARIES_MAX,
                                               export_summary, export, err);
    if (!status && !export->stopped)
        status = export_preferences(engine, user_id, export, err);
    struct export_signals signals = {export, user_id};
    if (!status && !export->stopped)
        status = engine->store->ops->signals(engine->store, user_id, export_signal, &signals, err);
    if (!status && export->stopped)
        status = mc_fail(err, MC_CANCELLED, "the export was stopped");
    return status;
}

enum mc_status mc_user_export(struct mc_engine *engine, mc_str user_id, mc_str agent_id,
                              mc_write_fn write, void *context, struct mc_error *err)
{
    enum mc_status status = mc_input_check_id("user_id", user_id, err);
    if (status)
        return status;
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, MC_REQUEST_ARENA_MAX);
    struct mc_reader reader;
    status = mc_engine_reader(engine, agent_id, &arena, &reader, err);
    if (status)
        return status;
    struct export export = {.write = write, .context = context};
    mc_buf_init(&export.line, MC_RESULT_MAX);
    status = export_all(engine, user_id, &reader, &export, err);
    mc_buf_fini(&export.line);
    return status;
}

static bool list_summary(void *context, const struct mc_summary *summary)
{
    struct mc_json_writer *w = context;
    mc_json_begin(w, '{');
    put_summary(w, summary);
    mc_json_end(w, '}');
    return true;
}

enum mc_status mc_user_summaries(struct mc_engine *engine, mc_str user_id, mc_str agent_id,
                                 size_t limit, char **json, struct mc_error *err)
{
    enum mc_status status = mc_input_check_id("user_id", user_id, err);
    if (status)
        return status;
    if (limit > SUMMARIES_MAX)
        return mc_fail_field(err, MC_INVALID, "limit", "limit: 1 to %d", SUMMARIES_MAX);
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, MC_REQUEST_ARENA_MAX);
    struct mc_reader reader;
    status = mc_engine_reader(engine, agent_id, &arena, &reader, err);
    if (status)
        return status;
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    struct mc_json_writer w = mc_json_writer(&buf);
    mc_json_begin(&w, '{');
    mc_json_key(&w, "summaries");
    mc_json_begin(&w, '[');
    status = engine->store->ops->summaries(
        engine->store, user_id, &reader, limit ? limit : SUMMARIES_DEFAULT, list_summary, &w, err);
    mc_json_end(&w, ']');
    mc_json_end(&w, '}');
    return finish(status, &buf, json, err);
}

enum mc_status mc_user_each(struct mc_engine *engine, mc_user_fn each, void *context,
                            struct mc_error *err)
{
    return engine->store->ops->users(engine->store, each, context, err);
}
