/*
 * An operation: one call of the C interface with its arguments and its outcome.
 *
 * It has three steps: take (Python values become C ones; with the GIL), run (the call; without it, in any
 * thread), result (the outcome becomes Python values; with the GIL). A call of MindcoreClient makes all
 * three in one go, an AsyncMindcoreClient runs the middle one in its executor.
 */
#ifndef MC_PYTHON_OPERATION_H
#define MC_PYTHON_OPERATION_H

#include "argument.h"

/* name, run, result, argument table: see operation.c. The names are constants of mindcore._mindcore. */
#define MC_PY_OPERATION_MAP(X)                                                                     \
    X(INGEST, ingest, message, ingest)                                                             \
    X(INGEST_JSON, ingest_json, batch, objects)                                                    \
    X(GET_MESSAGE, get_message, message, message)                                                  \
    X(DELETE_MESSAGE, delete_message, none, message)                                               \
    X(RECENT, recent, messages, recent)                                                            \
    X(WINDOW, window, messages, window)                                                            \
    X(SEARCH, search, hits, search)                                                                \
    X(CONTEXT, context, context, context)                                                          \
    X(PREFERENCES, preferences, json, user)                                                        \
    X(PREFERENCE_UPDATE, preference_update, json, preference)                                      \
    X(PREFERENCE_SIGNALS, preference_signals, json, user)                                          \
    X(PREFERENCES_APPLY, preferences_apply, json, user)                                            \
    X(AGENT_REGISTER, agent_register, json, object)                                                \
    X(AGENT_UNREGISTER, agent_unregister, none, agent)                                             \
    X(AGENT_GET, agent_get, json, agent)                                                           \
    X(AGENT_LIST, agent_list, json, nothing)                                                       \
    X(AGENT_STATS, agent_stats, json, nothing)                                                     \
    X(MIGRATE, migrate, json, migrate)                                                             \
    X(TIER_RUNS, tier_runs, json, nothing)                                                         \
    X(TIER_UNDO, tier_undo, json, undo)                                                            \
    X(ERASE, erase, json, user)                                                                    \
    X(EXPORT, export, text, export)                                                                \
    X(SUMMARIES, summaries, json, summaries)                                                       \
    X(SOURCES, sources, json, nothing)                                                             \
    X(WORKER_HEALTH, worker_health, json, nothing)                                                 \
    X(ENRICHMENT_METRICS, enrichment_metrics, json, nothing)                                       \
    X(METRICS, metrics, json, nothing)                                                             \
    X(PROMETHEUS, prometheus, json, nothing)                                                       \
    X(HEALTH, health, json, nothing)                                                               \
    X(STATUS, status, json, nothing)                                                               \
    X(QUEUE, queue, json, limit)                                                                   \
    X(QUEUE_RETRY, queue_retry, count, message)                                                    \
    X(QUEUE_PURGE, queue_purge, count, nothing)                                                    \
    X(CACHE_STATS, cache_stats, json, nothing)                                                     \
    X(CACHE_DROP_TOPIC, cache_drop_topic, count, topic)                                            \
    X(CACHE_DROP_STALE, cache_drop_stale, count, age)                                              \
    X(CACHE_CLEAR, cache_clear, count, export)                                                     \
    X(BACKUP, backup, none, path)                                                                  \
    X(MODELS, models, json, nothing)                                                               \
    X(USAGE, usage, json, days)                                                                    \
    X(DRAIN, drain, flag, milliseconds)                                                            \
    X(SERVE_METRICS, serve_metrics, none, address)

enum mc_py_operation {
#define MC_PY_OPERATION_ENUM(name, run, result, arguments) MC_PY_##name,
    MC_PY_OPERATION_MAP(MC_PY_OPERATION_ENUM)
#undef MC_PY_OPERATION_ENUM
        MC_PY_OPERATION_COUNT
};

/* The arguments of the operations that take a few texts, a number and a flag. */
struct mc_py_plain {
    mc_str first, second, third, fourth;
    size_t size;
    int64_t integer;
    double number;
    bool flag;
};

struct mc_py_batch {
    const mc_str *objects;
    size_t count;
    struct mc_ingest_result *results;
};

struct mc_py_call {
    enum mc_py_operation operation;
    struct mc_py_kept kept;
    union {
        struct mc_message_input ingest;
        struct mc_py_batch batch;
        struct mc_recent_query recent;
        struct mc_window_query window;
        struct mc_search_query search;
        struct mc_context_query context;
        struct mc_py_plain plain;
    } input;
    mc_str mode; /* of a context, looked up by run */

    enum mc_status status;
    struct mc_error err;
    struct mc_message_list *messages;
    struct mc_py_shared
        *shared; /* of a message that was ingested with others, instead of messages */
    const struct mc_message *message;
    struct mc_hit_list *hits;
    struct mc_context *context;
    char *text; /* NUL-terminated, by mc_free */
    size_t text_len;
    uint64_t count;
};

/* Zero-initialise call; end it with mc_py_call_fini, whatever happened. */
bool mc_py_call_take(struct mc_py_call *call, long operation, PyObject *arguments);
/* Without the GIL. Sets status, and err of a failure. */
void mc_py_call_run(struct mc_py_call *call, struct mc_engine *engine);
/* The result, or NULL with the exception of the failure. */
PyObject *mc_py_call_result(struct mc_py_call *call);
void mc_py_call_fini(struct mc_py_call *call);

/* Runs INGEST calls, two or more, as one batch. Without the GIL. */
void mc_py_calls_ingest(struct mc_py_call **calls, size_t count, struct mc_engine *engine);

/* Adds the constants to the module. */
bool mc_py_operations_init(PyObject *module);

#endif
