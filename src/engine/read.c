#include <mindcore/context.h>
#include <mindcore/search.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "engine/engine.h"
#include "message/decay.h"
#include "message/input.h"

/* Reading: each call resolves the reader's rule, and hands it to the layer that queries. */

#define RECENT_DEFAULT 20
#define RECENT_MAX 1000

/* What a request that would load too much together with others is told. */
static enum mc_status check_memory(const struct mc_load *load, enum mc_status status,
                                   struct mc_error *err)
{
    if (!load->refused || (status && status != MC_TOO_LARGE))
        return status;
    return mc_fail(err, MC_BUSY,
                   "what is being read at the same time leaves no memory for these messages; try "
                   "again in a second");
}

enum mc_status mc_message_get(struct mc_engine *engine, mc_str message_id, mc_str reader_agent_id,
                              struct mc_message_list **found, struct mc_error *err)
{
    enum mc_status status = mc_input_check_id("message_id", message_id, err);
    if (status)
        return status;
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, MC_REQUEST_ARENA_MAX);
    struct mc_reader reader;
    status = mc_engine_reader(engine, reader_agent_id, &arena, &reader, err);
    if (status)
        return status;
    struct mc_record *record = NULL;
    status = engine->store->ops->get(engine->store, message_id, &reader, &record, err);
    if (status)
        return status;
    mc_auto(mc_records_fini) struct mc_records records = {0};
    if (!mc_records_push(&records, record))
        return mc_fail_memory(err);
    return mc_records_to_list(&records, found, err);
}

static enum mc_status check_recent(const struct mc_recent_query *query, struct mc_error *err)
{
    enum mc_status status = mc_input_check_id("user_id", query->user_id, err);
    if (!status)
        status = mc_input_check_id("thread_id", query->thread_id, err);
    if (!status && mc_str_given(query->before))
        status = mc_input_check_id("before", query->before, err);
    if (!status && query->limit > RECENT_MAX)
        return mc_fail_field(err, MC_INVALID, "limit", "limit must be 1 to %d", RECENT_MAX);
    return status;
}

enum mc_status mc_message_recent(struct mc_engine *engine, const struct mc_recent_query *query,
                                 struct mc_message_list **found, struct mc_error *err)
{
    enum mc_status status = check_recent(query, err);
    if (status)
        return status;
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, MC_REQUEST_ARENA_MAX);
    struct mc_reader reader;
    status = mc_engine_reader(engine, query->agent_id, &arena, &reader, err);
    if (status)
        return status;
    struct mc_recent_read read = {
        .user_id = query->user_id,
        .thread_id = query->thread_id,
        .before = query->before,
        .limit = query->limit ? query->limit : RECENT_DEFAULT,
        .reader = &reader,
    };
    struct mc_load load = {.memory = query->memory};
    reader.load = &load;
    mc_load_begin(&load, MC_READ_BYTES_MAX);
    mc_auto(mc_records_fini) struct mc_records records = {0};
    status = mc_retrieve_recent(&engine->retrieval, &read, mc_time_now_us(), &records, err);
    if (!status && load.full)
        status = mc_fail_field(err, MC_TOO_LARGE, "limit",
                               "the newest %zu of these messages have %zu bytes, which is what one "
                               "call may load: ask for fewer, and for older ones by before",
                               records.count, MC_READ_BYTES_MAX);
    status = check_memory(&load, status, err);
    return status ? status : mc_records_to_list(&records, found, err);
}

enum mc_status mc_message_window(struct mc_engine *engine, const struct mc_window_query *query,
                                 struct mc_message_list **found, struct mc_error *err)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, MC_REQUEST_ARENA_MAX);
    struct mc_reader reader;
    enum mc_status status = mc_engine_reader(engine, query->agent_id, &arena, &reader, err);
    if (status)
        return status;
    struct mc_load load = {.memory = query->memory};
    reader.load = &load;
    mc_auto(mc_records_fini) struct mc_records records = {0};
    status =
        mc_retrieve_window(&engine->retrieval, query, &reader, mc_time_now_us(), &records, err);
    status = check_memory(&load, status, err);
    return status ? status : mc_records_to_list(&records, found, err);
}

enum mc_status mc_search(struct mc_engine *engine, const struct mc_search_query *query,
                         struct mc_hit_list **hits, struct mc_error *err)
{
    int64_t started_us = mc_time_monotonic_us();
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, MC_REQUEST_ARENA_MAX);
    struct mc_reader reader;
    struct mc_load load = {.memory = query->memory};
    struct mc_hit_list *found = NULL;
    enum mc_status status = mc_engine_reader(engine, query->agent_id, &arena, &reader, err);
    reader.load = &load;
    if (!status)
        status =
            mc_retrieve_search(&engine->retrieval, query, &reader, mc_time_now_us(), &found, err);
    status = check_memory(&load, status, err);
    if (status)
        mc_hit_list_free(found);
    else
        *hits = found;
    mc_metrics_add(engine->metrics, MC_COUNT_SEARCH, 1);
    mc_metrics_observe_us(engine->metrics, MC_TIME_SEARCH, mc_time_monotonic_us() - started_us);
    return status;
}

static enum mc_status assemble(struct mc_engine *engine, const struct mc_context_query *query,
                               struct mc_context **context, struct mc_error *err)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, MC_REQUEST_ARENA_MAX);
    struct mc_reader reader;
    enum mc_status status = mc_input_check_id("user_id", query->user_id, err);
    if (!status)
        status = mc_engine_reader(engine, query->agent_id, &arena, &reader, err);
    if (status)
        return status;
    mc_auto(mc_buf_fini) struct mc_buf preferences;
    mc_buf_init(&preferences, MC_RESULT_MAX);
    struct mc_store *store = engine->retrieval.store;
    status = store->ops->preferences(store, query->user_id, &preferences, err);
    if (status)
        return status;
    int64_t now_us = query->now_us ? query->now_us : mc_time_now_us();
    struct mc_context_query settled = *query;
    if (settled.mode == MC_CONTEXT_AUTO)
        settled.mode = engine->settings.context_mode;
    struct mc_load load = {.memory = query->memory};
    reader.load = &load;
    struct mc_context *made = NULL;
    status = mc_retrieve_context(&engine->retrieval, &settled, &reader, mc_buf_str(&preferences),
                                 now_us, &made, err);
    status = check_memory(&load, status, err);
    if (status)
        mc_context_free(made);
    else
        *context = made;
    return status;
}

enum mc_status mc_context_assemble(struct mc_engine *engine, const struct mc_context_query *query,
                                   struct mc_context **context, struct mc_error *err)
{
    int64_t started_us = mc_time_monotonic_us();
    enum mc_status status = assemble(engine, query, context, err);
    mc_metrics_add(engine->metrics, MC_COUNT_CONTEXT, 1);
    if (status && mc_status_http(status) >= 500)
        mc_metrics_add(engine->metrics, MC_COUNT_ERROR_CONTEXT, 1);
    mc_metrics_observe_us(engine->metrics, MC_TIME_CONTEXT, mc_time_monotonic_us() - started_us);
    return status;
}

/* Reading is not owning: an agent deletes its own messages; where agents are not enabled, anyone's.
 */
static struct mc_reader owner_of(const struct mc_reader *reader)
{
    return (struct mc_reader){.everything = reader->everything, .agent_id = reader->agent_id};
}

/* Another agent's message: forbidden when it may be read, else as if it were not there. */
static enum mc_status not_owned(struct mc_engine *engine, mc_str message_id,
                                const struct mc_reader *reader, struct mc_error *err)
{
    struct mc_record *record = NULL;
    enum mc_status status =
        engine->store->ops->get(engine->store, message_id, reader, &record, err);
    if (status)
        return status;
    mc_record_unref(record);
    return mc_fail_field(err, MC_FORBIDDEN, "agent_id",
                         "message \"%.*s\" belongs to another agent; only that agent may delete it",
                         MC_STR_ARG(message_id));
}

enum mc_status mc_message_delete(struct mc_engine *engine, mc_str message_id, mc_str agent_id,
                                 struct mc_error *err)
{
    enum mc_status status = mc_input_check_id("message_id", message_id, err);
    if (status)
        return status;
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, MC_REQUEST_ARENA_MAX);
    struct mc_reader reader;
    status = mc_engine_reader(engine, agent_id, &arena, &reader, err);
    if (status)
        return status;
    struct mc_reader owner = owner_of(&reader);
    struct mc_record *removed = NULL;
    int64_t version;
    status = engine->store->ops->remove(engine->store, message_id, &owner, &removed, &version, err);
    if (status == MC_NOT_FOUND)
        return not_owned(engine, message_id, &reader, err);
    if (status)
        return status;
    engine->cache->ops->drop(engine->cache, removed->m.user_id, removed->m.thread_id,
                             mc_time_now_us());
    mc_record_unref(removed);
    return MC_OK;
}

double mc_importance_decayed(const struct mc_engine *engine, const struct mc_message *message,
                             int64_t now_us)
{
    return mc_importance_at(message->importance, message->created_at_us,
                            engine->settings.half_life_us, now_us);
}

size_t mc_token_count(const struct mc_engine *engine, mc_str text)
{
    size_t tokens;
    if (engine->llm && engine->llm->ops->count_tokens(engine->llm, text, &tokens))
        return tokens;
    return mc_tokens_estimate(text);
}
