#include <mindcore/message.h>

#include <stdio.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/id.h"
#include "base/str.h"
#include "base/time.h"
#include "engine/engine.h"
#include "message/input.h"

/*
 * A message on its way in: checked, given its id, visibility and first metadata, stored with its
 * job, then shown to the cache before the workers are woken, so that the cache sees changes in
 * order.
 */

/*
 * From this many messages on a batch is not shown to the cache one by one: what is cached is compared
 * with the store before it is used again, which costs an import nothing and a later read one query.
 */
#define LARGE_BATCH 32

struct ingest {
    struct mc_engine *engine;
    struct mc_arena *arena;
    struct mc_put *puts; /* those that passed the checks */
    size_t *places;      /* of each put among the results */
    size_t put_count;
    struct mc_ingest_result *results; /* one for each input */
    int64_t now_us;
};

/* What a message carries until it is enriched: what the caller attached. */
static mc_str first_metadata(struct mc_arena *arena, mc_str extra)
{
    if (extra.len == 0)
        return MC_STR("{}");
    static const char OPENING[] = "{\"extra\":";
    size_t opening = sizeof(OPENING) - 1, len = opening + extra.len + 1;
    char *text = mc_arena_alloc(arena, len);
    if (!text)
        return MC_STR_NONE;
    memcpy(text, OPENING, opening);
    memcpy(text + opening, extra.data, extra.len);
    text[len - 1] = '}';
    return (mc_str){text, len};
}

static enum mc_status prepare(struct ingest *ingest, const struct mc_message_input *input,
                              struct mc_message *message, struct mc_error *err)
{
    struct mc_engine *engine = ingest->engine;
    enum mc_status status = mc_input_check(input, engine->settings.agents.default_visibility,
                                           ingest->now_us, message, err);
    if (!status)
        status = mc_agents_writer(engine->agents, mc_str_given(input->visibility), ingest->arena,
                                  message, err);
    if (status)
        return status;
    if (!mc_str_given(message->message_id)) {
        char id[MC_ID_TEXT_SIZE];
        mc_id_new("msg_", ingest->now_us, id);
        message->message_id = mc_arena_copy(ingest->arena, mc_str_of(id));
    }
    message->metadata = first_metadata(ingest->arena, input->metadata);
    if (!message->message_id.data || !message->metadata.data)
        return mc_fail_memory(err);
    return MC_OK;
}

/* A refused message leaves its reason in its result and takes no further part. */
static void check_all(struct ingest *ingest, const struct mc_message_input *inputs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct mc_ingest_result *result = &ingest->results[i];
        if (result->status)
            continue;
        struct mc_put *put = &ingest->puts[ingest->put_count];
        put->new_id = !mc_str_given(inputs[i].message_id);
        result->status = prepare(ingest, &inputs[i], &put->message, &result->error);
        if (!result->status)
            ingest->places[ingest->put_count++] = i;
    }
}

static void settle(struct ingest *ingest, struct mc_put *put, struct mc_ingest_result *result)
{
    struct mc_engine *engine = ingest->engine;
    result->created = put->created;
    result->status = put->status;
    if (put->status == MC_CONFLICT)
        mc_fail_field(&result->error, MC_CONFLICT, "message_id",
                      "message_id \"%.*s\" is already used for a message with another %s; leave it "
                      "out or choose another",
                      MC_STR_ARG(put->message.message_id), put->differs ? put->differs : "content");
    else if (put->status)
        mc_fail(&result->error, put->status, "the message could not be stored: %s",
                mc_status_text(put->status));
    if (!put->created)
        return;
    mc_metrics_add(engine->metrics, MC_COUNT_INGESTED, 1);
    if (ingest->put_count < LARGE_BATCH)
        engine->cache->ops->append(engine->cache, put->record, put->thread_version,
                                   put->thread_messages, ingest->now_us);
}

/* Keeps account of failures in a row, for health: a store that takes no messages is no store. */
static void note_outcome(struct ingest *ingest, enum mc_status status, const char *error)
{
    struct mc_ingest_failures *failures = &ingest->engine->ingest_failures;
    bool failed = status && mc_status_http(status) >= 500;
    if (!failed && atomic_load(&failures->calls) == 0)
        return;
    mc_mutex_lock(&failures->mutex);
    if (failed) {
        atomic_fetch_add(&failures->calls, 1);
        failures->messages += ingest->put_count;
        failures->last_us = mc_time_monotonic_us();
        snprintf(failures->error, sizeof(failures->error), "%.*s", (int)sizeof(failures->error) - 1,
                 error);
    } else if (!status) {
        atomic_store(&failures->calls, 0);
        failures->messages = 0;
    }
    mc_mutex_unlock(&failures->mutex);
}

/*
 * Stores what passed the checks and tells cache, counters and workers. Nothing can fail behind the
 * commit: a caller who is told of a failure may store the same again.
 */
static enum mc_status store_all(struct ingest *ingest, struct mc_message_list *stored,
                                struct mc_error *err)
{
    struct mc_engine *engine = ingest->engine;
    if (ingest->put_count == 0)
        return MC_OK;
    int64_t started_us = mc_time_monotonic_us();
    struct mc_error error;
    enum mc_status status =
        engine->store->ops->put(engine->store, ingest->puts, ingest->put_count, &error);
    note_outcome(ingest, status, error.message);
    if (status) {
        if (err)
            *err = error;
        return status;
    }
    bool created = false;
    for (size_t i = 0; i < ingest->put_count; i++) {
        struct mc_put *put = &ingest->puts[i];
        settle(ingest, put, &ingest->results[ingest->places[i]]);
        created = created || put->created;
        if (put->record && stored)
            mc_record_list_add(stored, mc_steal(put->record));
        else
            mc_record_unref(mc_steal(put->record));
    }
    if (created && ingest->put_count >= LARGE_BATCH)
        engine->cache->ops->doubt(engine->cache);
    if (created)
        mc_enricher_wake(engine->enricher);
    int64_t each_us = (mc_time_monotonic_us() - started_us) / (int64_t)ingest->put_count;
    for (size_t i = 0; i < ingest->put_count; i++)
        mc_metrics_observe_us(engine->metrics, MC_TIME_INGEST, each_us);
    return MC_OK;
}

/* results[i].status may already be a failure: that input is passed over. */
static enum mc_status ingest_all(struct mc_engine *engine, struct mc_arena *arena,
                                 const struct mc_message_input *inputs, size_t count,
                                 struct mc_ingest_result *results, struct mc_message_list **stored,
                                 struct mc_error *err)
{
    struct ingest ingest = {
        .engine = engine,
        .arena = arena,
        .puts = mc_arena_array(arena, count, sizeof(struct mc_put)),
        .places = mc_arena_array(arena, count, sizeof(size_t)),
        .results = results,
        .now_us = mc_time_now_us(),
    };
    if (!ingest.puts || !ingest.places)
        return mc_fail_memory(err);
    enum mc_status status = mc_engine_refresh_agents(engine, err);
    if (status)
        return status;
    check_all(&ingest, inputs, count);
    struct mc_message_list *list = NULL;
    if (stored)
        status = mc_record_list_new(ingest.put_count, &list, err);
    if (!status)
        status = store_all(&ingest, list, err);
    if (status) {
        mc_metrics_add(engine->metrics, MC_COUNT_ERROR_INGEST, 1);
        mc_message_list_free(list);
        return status;
    }
    if (stored)
        *stored = list;
    return MC_OK;
}

enum mc_status mc_message_ingest_batch(struct mc_engine *engine,
                                       const struct mc_message_input *inputs, size_t count,
                                       struct mc_ingest_result *results,
                                       struct mc_message_list **stored, struct mc_error *err)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, MC_REQUEST_ARENA_MAX);
    for (size_t i = 0; i < count; i++) {
        results[i].status = MC_OK;
        results[i].created = false;
    }
    return ingest_all(engine, &arena, inputs, count, results, stored, err);
}

enum mc_status mc_message_ingest(struct mc_engine *engine, const struct mc_message_input *input,
                                 struct mc_message_list **stored, bool *created,
                                 struct mc_error *err)
{
    struct mc_ingest_result result = {0};
    struct mc_message_list *list = NULL;
    enum mc_status status =
        mc_message_ingest_batch(engine, input, 1, &result, stored ? &list : NULL, err);
    if (!status && result.status) {
        mc_message_list_free(list);
        if (err)
            *err = result.error;
        return result.status;
    }
    if (status)
        return status;
    if (stored)
        *stored = list;
    if (created)
        *created = result.created;
    return MC_OK;
}

/* ---- From JSON ---- */

struct json_batch {
    struct mc_json **roots; /* kept while the inputs borrow from them */
    struct mc_message_input *inputs;
    size_t count;
};

static void json_batch_free_roots(struct json_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        mc_json_free(batch->roots[i]);
}

static enum mc_status parse_one(struct json_batch *batch, size_t i, mc_str object,
                                struct mc_arena *arena, struct mc_error *err)
{
    enum mc_status status = mc_json_parse(object, &batch->roots[i], err);
    return status ? status : mc_input_from_json(batch->roots[i], arena, &batch->inputs[i], err);
}

enum mc_status mc_message_ingest_json(struct mc_engine *engine, const mc_str *objects, size_t count,
                                      struct mc_ingest_result *results,
                                      struct mc_message_list **stored, struct mc_error *err)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, MC_REQUEST_ARENA_MAX);
    mc_auto(json_batch_free_roots) struct json_batch batch = {
        .roots = mc_arena_array(&arena, count, sizeof(struct mc_json *)),
        .inputs = mc_arena_array(&arena, count, sizeof(struct mc_message_input)),
    };
    if (!batch.roots || !batch.inputs)
        return mc_fail_memory(err);
    batch.count = count;
    for (size_t i = 0; i < count; i++) {
        results[i].created = false;
        results[i].status = parse_one(&batch, i, objects[i], &arena, &results[i].error);
    }
    return ingest_all(engine, &arena, batch.inputs, count, results, stored, err);
}
