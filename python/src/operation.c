/*
 * DESIGN. Each operation has a row in MC_PY_OPERATION_MAP: a table of its arguments, a run function that
 * makes the one call, and the kind of its result. A new function of the C interface is a row and a run
 * function.
 */
#include "operation.h"

#include <stdlib.h>

#include "message.h"
#include "raise.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Arguments */

#define INGEST(name) offsetof(struct mc_py_call, input.ingest.name)
static const struct mc_py_argument ingest_arguments[] = {
    {MC_PY_TEXT, "user_id", INGEST(user_id), 0},
    {MC_PY_TEXT, "thread_id", INGEST(thread_id), 0},
    {MC_PY_TEXT, "session_id", INGEST(session_id), 0},
    {MC_PY_TEXT, "role", INGEST(role), 0},
    {MC_PY_TEXT, "text", INGEST(text), 0},
    {MC_PY_TEXT, "message_id", INGEST(message_id), 0},
    {MC_PY_TEXT, "agent_id", INGEST(agent_id), 0},
    {MC_PY_TEXT, "visibility", INGEST(visibility), 0},
    {MC_PY_TEXTS, "sharing_groups", INGEST(sharing_groups), INGEST(sharing_group_count)},
    {MC_PY_TEXT, "metadata", INGEST(metadata), 0},
};

static const struct mc_py_argument objects_arguments[] = {
    {MC_PY_TEXTS, "messages", offsetof(struct mc_py_call, input.batch.objects),
     offsetof(struct mc_py_call, input.batch.count)},
};

#define RECENT(name) offsetof(struct mc_py_call, input.recent.name)
static const struct mc_py_argument recent_arguments[] = {
    {MC_PY_TEXT, "user_id", RECENT(user_id), 0},   {MC_PY_TEXT, "thread_id", RECENT(thread_id), 0},
    {MC_PY_SIZE, "limit", RECENT(limit), 0},       {MC_PY_TEXT, "before", RECENT(before), 0},
    {MC_PY_TEXT, "agent_id", RECENT(agent_id), 0},
};

#define WINDOW(name) offsetof(struct mc_py_call, input.window.name)
static const struct mc_py_argument window_arguments[] = {
    {MC_PY_TEXT, "user_id", WINDOW(user_id), 0},
    {MC_PY_TEXT, "thread_id", WINDOW(thread_id), 0},
    {MC_PY_SIZE, "max_messages", WINDOW(max_messages), 0},
    {MC_PY_SIZE, "max_tokens", WINDOW(max_tokens), 0},
    {MC_PY_NUMBER, "min_importance", WINDOW(min_importance), 0},
    {MC_PY_TEXT, "agent_id", WINDOW(agent_id), 0},
};

#define SEARCH(name) offsetof(struct mc_py_call, input.search.name)
static const struct mc_py_argument search_arguments[] = {
    {MC_PY_TEXT, "user_id", SEARCH(user_id), 0},
    {MC_PY_TEXT, "query", SEARCH(text), 0},
    {MC_PY_TEXTS, "topics", SEARCH(topics), SEARCH(topic_count)},
    {MC_PY_TEXTS, "categories", SEARCH(categories), SEARCH(category_count)},
    {MC_PY_TEXT, "intent", SEARCH(intent), 0},
    {MC_PY_TEXT, "thread_id", SEARCH(thread_id), 0},
    {MC_PY_INTEGER, "since", SEARCH(since_us), 0},
    {MC_PY_INTEGER, "until", SEARCH(until_us), 0},
    {MC_PY_SIZE, "limit", SEARCH(limit), 0},
    {MC_PY_TEXT, "agent_id", SEARCH(agent_id), 0},
    {MC_PY_FLAG, "explain", SEARCH(explain), 0},
};

#define CONTEXT(name) offsetof(struct mc_py_call, input.context.name)
static const struct mc_py_argument context_arguments[] = {
    {MC_PY_TEXT, "user_id", CONTEXT(user_id), 0},
    {MC_PY_TEXT, "thread_id", CONTEXT(thread_id), 0},
    {MC_PY_TEXT, "query", CONTEXT(query), 0},
    {MC_PY_TEXT, "additional_context", CONTEXT(additional_context), 0},
    {MC_PY_TEXT, "agent_id", CONTEXT(agent_id), 0},
    {MC_PY_TEXTS, "agent_ids", CONTEXT(agent_ids), CONTEXT(agent_id_count)},
    {MC_PY_FLAG, "include_shared", CONTEXT(exclude_shared), 0},
    {MC_PY_FLAG, "include_public", CONTEXT(exclude_public), 0},
    {MC_PY_TEXT, "mode", offsetof(struct mc_py_call, mode), 0},
    {MC_PY_SIZE, "max_messages", CONTEXT(max_messages), 0},
    {MC_PY_SIZE, "max_tokens", CONTEXT(max_tokens), 0},
    {MC_PY_INTEGER, "now", CONTEXT(now_us), 0},
};

#define PLAIN(name) offsetof(struct mc_py_call, input.plain.name)
static const struct mc_py_argument nothing_arguments[0];
static const struct mc_py_argument user_arguments[] = {{MC_PY_TEXT, "user_id", PLAIN(first), 0}};
static const struct mc_py_argument agent_arguments[] = {{MC_PY_TEXT, "agent_id", PLAIN(first), 0}};
static const struct mc_py_argument object_arguments[] = {{MC_PY_TEXT, "agent", PLAIN(first), 0}};
static const struct mc_py_argument topic_arguments[] = {{MC_PY_TEXT, "topic", PLAIN(first), 0}};
static const struct mc_py_argument path_arguments[] = {{MC_PY_TEXT, "path", PLAIN(first), 0}};
static const struct mc_py_argument address_arguments[] = {{MC_PY_TEXT, "address", PLAIN(first), 0}};
static const struct mc_py_argument age_arguments[] = {
    {MC_PY_NUMBER, "max_age_seconds", PLAIN(number), 0}};
static const struct mc_py_argument milliseconds_arguments[] = {
    {MC_PY_INTEGER, "timeout", PLAIN(integer), 0}};
static const struct mc_py_argument limit_arguments[] = {{MC_PY_SIZE, "dead_limit", PLAIN(size), 0}};
static const struct mc_py_argument message_arguments[] = {
    {MC_PY_TEXT, "message_id", PLAIN(first), 0},
    {MC_PY_TEXT, "agent_id", PLAIN(second), 0},
};
static const struct mc_py_argument export_arguments[] = {
    {MC_PY_TEXT, "user_id", PLAIN(first), 0},
    {MC_PY_TEXT, "thread_id or agent_id", PLAIN(second), 0},
};
static const struct mc_py_argument summaries_arguments[] = {
    {MC_PY_TEXT, "user_id", PLAIN(first), 0},
    {MC_PY_SIZE, "limit", PLAIN(size), 0},
    {MC_PY_TEXT, "agent_id", PLAIN(second), 0},
};
static const struct mc_py_argument preference_arguments[] = {
    {MC_PY_TEXT, "user_id", PLAIN(first), 0},
    {MC_PY_TEXT, "field", PLAIN(second), 0},
    {MC_PY_TEXT, "value", PLAIN(third), 0},
    {MC_PY_TEXT, "action", PLAIN(fourth), 0},
};
static const struct mc_py_argument migrate_arguments[] = {
    {MC_PY_TEXT, "user_id", PLAIN(first), 0},
    {MC_PY_FLAG, "dry_run", PLAIN(flag), 0},
};
static const struct mc_py_argument undo_arguments[] = {
    {MC_PY_SIZE, "run", PLAIN(size), 0},
    {MC_PY_FLAG, "dry_run", PLAIN(flag), 0},
};
static const struct mc_py_argument days_arguments[] = {
    {MC_PY_TEXT, "first_day", PLAIN(first), 0},
    {MC_PY_TEXT, "last_day", PLAIN(second), 0},
};

/* What is called; without the GIL */

static enum mc_status fail(struct mc_error *err, const char *field, const char *message)
{
    err->status = MC_INVALID;
    memcpy(err->field, field, strlen(field) + 1);
    memcpy(err->message, message, strlen(message) + 1);
    return MC_INVALID;
}

static enum mc_status run_ingest(struct mc_py_call *call, struct mc_engine *engine)
{
    bool created;
    return mc_message_ingest(engine, &call->input.ingest, &call->messages, &created, &call->err);
}

static enum mc_status run_ingest_json(struct mc_py_call *call, struct mc_engine *engine)
{
    struct mc_py_batch *batch = &call->input.batch;
    return mc_message_ingest_json(engine, batch->objects, batch->count, batch->results,
                                  &call->messages, &call->err);
}

static enum mc_status run_get_message(struct mc_py_call *call, struct mc_engine *engine)
{
    struct mc_py_plain *plain = &call->input.plain;
    return mc_message_get(engine, plain->first, plain->second, &call->messages, &call->err);
}

static enum mc_status run_delete_message(struct mc_py_call *call, struct mc_engine *engine)
{
    struct mc_py_plain *plain = &call->input.plain;
    return mc_message_delete(engine, plain->first, plain->second, &call->err);
}

static enum mc_status run_recent(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_message_recent(engine, &call->input.recent, &call->messages, &call->err);
}

static enum mc_status run_window(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_message_window(engine, &call->input.window, &call->messages, &call->err);
}

static enum mc_status run_search(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_search(engine, &call->input.search, &call->hits, &call->err);
}

static enum mc_status run_context(struct mc_py_call *call, struct mc_engine *engine)
{
    struct mc_context_query *query = &call->input.context;
    if (call->mode.data && !mc_context_mode_parse(call->mode, &query->mode))
        return fail(&call->err, "mode", "mode: one of auto, fast, llm");
    return mc_context_assemble(engine, query, &call->context, &call->err);
}

static enum mc_status run_preferences(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_preferences_get(engine, call->input.plain.first, &call->text, &call->err);
}

static enum mc_status run_preference_update(struct mc_py_call *call, struct mc_engine *engine)
{
    struct mc_py_plain *plain = &call->input.plain;
    enum mc_preference_action action;
    if (!mc_preference_action_parse(plain->fourth, &action))
        return fail(&call->err, "action", "action: one of set, add, remove, clear");
    return mc_preferences_update(engine, plain->first, plain->second, plain->third, action,
                                 &call->text, &call->err);
}

static enum mc_status run_preference_signals(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_preferences_signals(engine, call->input.plain.first, &call->text, &call->err);
}

static enum mc_status run_preferences_apply(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_preferences_apply(engine, call->input.plain.first, &call->text, &call->err);
}

static enum mc_status run_agent_register(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_agent_register_json(engine, call->input.plain.first, &call->text, &call->err);
}

static enum mc_status run_agent_unregister(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_agent_unregister(engine, call->input.plain.first, &call->err);
}

static enum mc_status run_agent_get(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_agent_get(engine, call->input.plain.first, &call->text, &call->err);
}

static enum mc_status run_agent_list(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_agent_list(engine, &call->text, &call->err);
}

static enum mc_status run_agent_stats(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_agent_stats(engine, &call->text, &call->err);
}

static enum mc_status run_migrate(struct mc_py_call *call, struct mc_engine *engine)
{
    struct mc_py_plain *plain = &call->input.plain;
    return mc_tiers_migrate(engine, plain->first, plain->flag, NULL, NULL, &call->text, &call->err);
}

static enum mc_status run_tier_undo(struct mc_py_call *call, struct mc_engine *engine)
{
    struct mc_py_plain *plain = &call->input.plain;
    return mc_tiers_undo(engine, (int64_t)plain->size, plain->flag, NULL, NULL, &call->text,
                         &call->err);
}

static enum mc_status run_tier_runs(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_tiers_runs(engine, &call->text, &call->err);
}

static enum mc_status run_erase(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_user_erase(engine, call->input.plain.first, &call->text, &call->err);
}

/* Lines that mc_user_export writes, in memory that mc_free accepts: the library uses malloc as well. */
struct lines {
    char *data;
    size_t len, room;
};

static bool add_lines(void *context, const char *data, size_t len)
{
    struct lines *lines = context;
    if (lines->room - lines->len < len) {
        size_t room = 2 * (lines->room + len);
        char *grown = realloc(lines->data, room);
        if (!grown)
            return false;
        lines->data = grown;
        lines->room = room;
    }
    memcpy(lines->data + lines->len, data, len);
    lines->len += len;
    return true;
}

static enum mc_status run_export(struct mc_py_call *call, struct mc_engine *engine)
{
    struct mc_py_plain *plain = &call->input.plain;
    struct lines lines = {0};
    enum mc_status status =
        mc_user_export(engine, plain->first, plain->second, add_lines, &lines, &call->err);
    call->text = lines.data;
    call->text_len = lines.len;
    return status;
}

static enum mc_status run_summaries(struct mc_py_call *call, struct mc_engine *engine)
{
    struct mc_py_plain *plain = &call->input.plain;
    return mc_user_summaries(engine, plain->first, plain->second, plain->size, &call->text,
                             &call->err);
}

static enum mc_status run_sources(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_source_list(engine, &call->text, &call->err);
}

static enum mc_status run_worker_health(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_workers_health(engine, &call->text, &call->err);
}

static enum mc_status run_enrichment_metrics(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_enrichment_metrics(engine, &call->text, &call->err);
}

static enum mc_status run_metrics(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_metrics(engine, &call->text, &call->err);
}

static enum mc_status run_prometheus(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_metrics_prometheus(engine, &call->text, &call->err);
}

static enum mc_status run_health(struct mc_py_call *call, struct mc_engine *engine)
{
    bool healthy;
    return mc_engine_health(engine, &healthy, &call->text, &call->err);
}

static enum mc_status run_status(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_engine_status(engine, &call->text, &call->err);
}

static enum mc_status run_queue(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_queue_status(engine, call->input.plain.size, &call->text, &call->err);
}

static enum mc_status run_queue_retry(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_queue_retry(engine, call->input.plain.first, &call->count, &call->err);
}

static enum mc_status run_queue_purge(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_queue_purge(engine, &call->count, &call->err);
}

static enum mc_status run_cache_stats(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_cache_stats(engine, &call->text, &call->err);
}

static enum mc_status run_cache_drop_topic(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_cache_drop_topic(engine, call->input.plain.first, &call->count, &call->err);
}

static enum mc_status run_cache_drop_stale(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_cache_drop_stale(engine, call->input.plain.number, &call->count, &call->err);
}

static enum mc_status run_cache_clear(struct mc_py_call *call, struct mc_engine *engine)
{
    struct mc_py_plain *plain = &call->input.plain;
    return mc_cache_clear(engine, plain->first, plain->second, &call->count, &call->err);
}

static enum mc_status run_backup(struct mc_py_call *call, struct mc_engine *engine)
{
    mc_str path = call->input.plain.first;
    if (path.len == 0 || memchr(path.data, 0, path.len))
        return fail(&call->err, "path", "path: empty, or has a NUL");
    return mc_engine_backup(engine, path.data, NULL, NULL, &call->err);
}

static enum mc_status run_models(struct mc_py_call *call, struct mc_engine *engine)
{
    return mc_models_list(engine, &call->text, &call->err);
}

static enum mc_status run_usage(struct mc_py_call *call, struct mc_engine *engine)
{
    struct mc_usage_query query = {call->input.plain.first, call->input.plain.second};
    return mc_usage(engine, &query, &call->text, &call->err);
}

/* That it was not done in time is an answer. */
static enum mc_status run_drain(struct mc_py_call *call, struct mc_engine *engine)
{
    enum mc_status status = mc_engine_drain(engine, call->input.plain.integer, &call->err);
    call->count = status == MC_OK;
    return status == MC_TIMEOUT ? MC_OK : status;
}

static enum mc_status run_serve_metrics(struct mc_py_call *call, struct mc_engine *engine)
{
    mc_str address = call->input.plain.first;
    if (address.len == 0 || memchr(address.data, 0, address.len))
        return fail(&call->err, "host", "host: empty, or has a NUL");
    return mc_metrics_listen(engine, address.data, &call->err);
}

/* Results */

static PyObject *result_none(struct mc_py_call *call)
{
    (void)call;
    Py_RETURN_NONE;
}

static PyObject *result_flag(struct mc_py_call *call)
{
    return PyBool_FromLong(call->count != 0);
}

static PyObject *result_count(struct mc_py_call *call)
{
    return PyLong_FromUnsignedLongLong(call->count);
}

/* The layer above parses it. */
static PyObject *result_json(struct mc_py_call *call)
{
    return mc_py_text(mc_str_of(call->text));
}

static PyObject *result_text(struct mc_py_call *call)
{
    return mc_py_text((mc_str){call->text, call->text_len});
}

static struct mc_py_shared *share_messages(struct mc_py_call *call)
{
    struct mc_message_list *list = call->messages;
    call->messages = NULL;
    struct mc_py_shared *shared = mc_py_shared_new(list, NULL);
    if (!shared)
        PyErr_NoMemory();
    return shared;
}

static PyObject *result_message(struct mc_py_call *call)
{
    if (call->shared)
        return mc_py_message_new(call->shared, call->message);
    const struct mc_message *message = call->messages->items[0];
    struct mc_py_shared *shared = share_messages(call);
    PyObject *result = shared ? mc_py_message_new(shared, message) : NULL;
    mc_py_shared_release(shared);
    return result;
}

static PyObject *result_messages(struct mc_py_call *call)
{
    const struct mc_message_list *list = call->messages;
    struct mc_py_shared *shared = share_messages(call);
    PyObject *result = shared ? PyList_New((Py_ssize_t)list->count) : NULL;
    for (size_t i = 0; result && i < list->count; i++) {
        PyObject *message = mc_py_message_new(shared, list->items[i]);
        if (message)
            PyList_SetItem(result, (Py_ssize_t)i, message);
        else
            Py_CLEAR(result);
    }
    mc_py_shared_release(shared);
    return result;
}

/* For each object a Message, or the exception that says why it was refused. */
static PyObject *result_batch(struct mc_py_call *call)
{
    const struct mc_py_batch *batch = &call->input.batch;
    const struct mc_message_list *list = call->messages;
    struct mc_py_shared *shared = share_messages(call);
    PyObject *result = shared ? PyList_New((Py_ssize_t)batch->count) : NULL;
    size_t next = 0;
    for (size_t i = 0; result && i < batch->count; i++) {
        PyObject *item = batch->results[i].status == MC_OK
                             ? mc_py_message_new(shared, list->items[next++])
                             : mc_py_error_new(&batch->results[i].error);
        if (item)
            PyList_SetItem(result, (Py_ssize_t)i, item);
        else
            Py_CLEAR(result);
    }
    mc_py_shared_release(shared);
    return result;
}

/* [(feature, share)], None when it was not asked for. */
static PyObject *reasons_of(const struct mc_hit *hit)
{
    if (!hit->why)
        Py_RETURN_NONE;
    PyObject *result = PyList_New((Py_ssize_t)hit->why_count);
    for (size_t i = 0; result && i < hit->why_count; i++) {
        mc_str feature = hit->why[i].feature;
        PyObject *item =
            Py_BuildValue("(s#d)", feature.data, (Py_ssize_t)feature.len, hit->why[i].share);
        if (item)
            PyList_SetItem(result, (Py_ssize_t)i, item);
        else
            Py_CLEAR(result);
    }
    return result;
}

/* [(message, score, reasons)] */
static PyObject *result_hits(struct mc_py_call *call)
{
    struct mc_hit_list *hits = call->hits;
    call->hits = NULL;
    struct mc_py_shared *shared = mc_py_shared_new(NULL, hits);
    if (!shared)
        return PyErr_NoMemory();
    PyObject *result = shared ? PyList_New((Py_ssize_t)hits->count) : NULL;
    for (size_t i = 0; result && i < hits->count; i++) {
        PyObject *message = mc_py_message_new(shared, hits->items[i].message);
        PyObject *reasons = message ? reasons_of(&hits->items[i]) : NULL;
        PyObject *item =
            reasons ? Py_BuildValue("(OdO)", message, hits->items[i].score, reasons) : NULL;
        Py_XDECREF(message);
        Py_XDECREF(reasons);
        if (item)
            PyList_SetItem(result, (Py_ssize_t)i, item);
        else
            Py_CLEAR(result);
    }
    mc_py_shared_release(shared);
    return result;
}

/* (text, key points, message ids, tokens, confidence, metadata as JSON) */
static PyObject *result_context(struct mc_py_call *call)
{
    const struct mc_context *context = call->context;
    PyObject *text = mc_py_text(context->assembled_context);
    PyObject *points = mc_py_texts(context->key_points, context->key_point_count);
    PyObject *ids = mc_py_texts(context->relevant_message_ids, context->relevant_message_id_count);
    PyObject *metadata = mc_py_text(context->metadata);
    PyObject *result = NULL;
    if (text && points && ids && metadata)
        result = Py_BuildValue("(OOOndO)", text, points, ids, (Py_ssize_t)context->tokens,
                               context->confidence, metadata);
    Py_XDECREF(text);
    Py_XDECREF(points);
    Py_XDECREF(ids);
    Py_XDECREF(metadata);
    return result;
}

/* The table */

static const struct {
    const struct mc_py_argument *arguments;
    size_t argument_count;
    enum mc_status (*run)(struct mc_py_call *call, struct mc_engine *engine);
    PyObject *(*result)(struct mc_py_call *call);
} operations[] = {
#define ROW(name, run, result, table)                                                              \
    [MC_PY_##name] = {table##_arguments, COUNT_OF(table##_arguments), run_##run, result_##result},
    MC_PY_OPERATION_MAP(ROW)
#undef ROW
};

bool mc_py_call_take(struct mc_py_call *call, long operation, PyObject *arguments)
{
    if (operation < 0 || operation >= MC_PY_OPERATION_COUNT) {
        PyErr_SetString(PyExc_ValueError, "no such operation");
        return false;
    }
    call->operation = (enum mc_py_operation)operation;
    if (!mc_py_arguments_take(operations[operation].arguments, operations[operation].argument_count,
                              arguments, call, &call->kept))
        return false;
    if (operation == MC_PY_CONTEXT) { /* Python says what to include, C what to leave out */
        call->input.context.exclude_shared = !call->input.context.exclude_shared;
        call->input.context.exclude_public = !call->input.context.exclude_public;
    }
    if (operation == MC_PY_INGEST_JSON) {
        struct mc_py_batch *batch = &call->input.batch;
        batch->results = calloc(batch->count + 1, sizeof(*batch->results));
        if (!batch->results) {
            PyErr_NoMemory();
            return false;
        }
        call->kept.blocks[call->kept.block_count++] = batch->results;
    }
    return true;
}

void mc_py_call_run(struct mc_py_call *call, struct mc_engine *engine)
{
    call->status = operations[call->operation].run(call, engine);
}

PyObject *mc_py_call_result(struct mc_py_call *call)
{
    if (call->status != MC_OK) {
        call->err.status = call->status;
        return mc_py_raise(&call->err);
    }
    return operations[call->operation].result(call);
}

void mc_py_call_fini(struct mc_py_call *call)
{
    mc_message_list_free(call->messages);
    mc_py_shared_release(call->shared);
    mc_hit_list_free(call->hits);
    mc_context_free(call->context);
    mc_free(call->text);
    mc_py_kept_fini(&call->kept);
}

/* Several ingests at once */

static void fail_all(struct mc_py_call **calls, size_t count, const struct mc_error *err)
{
    for (size_t i = 0; i < count; i++) {
        calls[i]->status = err->status;
        calls[i]->err = *err;
    }
}

/* Gives each call its message of the list, of which all share the memory. */
static void hand_out(struct mc_py_call **calls, size_t count, struct mc_ingest_result *results,
                     struct mc_message_list *stored)
{
    struct mc_py_shared *shared = mc_py_shared_new(stored, NULL);
    if (!shared) {
        struct mc_error err = {.status = MC_NO_MEMORY};
        fail_all(calls, count, &err);
        return;
    }
    mc_py_shared_acquire(shared, count);
    size_t next = 0;
    for (size_t i = 0; i < count; i++) {
        calls[i]->status = results[i].status;
        calls[i]->err = results[i].error;
        calls[i]->shared = shared;
        if (results[i].status == MC_OK)
            calls[i]->message = stored->items[next++];
    }
    mc_py_shared_release(shared);
}

void mc_py_calls_ingest(struct mc_py_call **calls, size_t count, struct mc_engine *engine)
{
    struct mc_error err = {.status = MC_NO_MEMORY};
    struct mc_message_input *inputs = calloc(count, sizeof(*inputs));
    struct mc_ingest_result *results = calloc(count, sizeof(*results));
    struct mc_message_list *stored = NULL;
    for (size_t i = 0; inputs && i < count; i++)
        inputs[i] = calls[i]->input.ingest;
    if (inputs && results)
        err.status = mc_message_ingest_batch(engine, inputs, count, results, &stored, &err);
    if (err.status == MC_OK)
        hand_out(calls, count, results, stored);
    else
        fail_all(calls, count, &err);
    free(results);
    free(inputs);
}

bool mc_py_operations_init(PyObject *module)
{
    static const char *const names[] = {
#define NAME(name, run, result, table) #name,
        MC_PY_OPERATION_MAP(NAME)
#undef NAME
    };
    for (int i = 0; i < MC_PY_OPERATION_COUNT; i++) {
        if (PyModule_AddIntConstant(module, names[i], i) < 0)
            return false;
    }
    return true;
}
