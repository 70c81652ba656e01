/* What tests of the whole engine need: opening one in a folder, messages, and JSON answers by path. */
#ifndef MC_TESTS_ENGINE_H
#define MC_TESTS_ENGINE_H

#include <mindcore/mindcore.h>

#include "base/json.h"
#include "support/scratch.h"

/* e.db in the folder, a cache in memory, then the given options: key, value, ..., NULL. */
static inline enum mc_status engine_try(const struct scratch *scratch, const char *const *options,
                                        struct mc_engine **engine, struct mc_error *err)
{
    struct mc_config *config = NULL;
    memset(err, 0, sizeof(*err));
    enum mc_status status = mc_config_new(&config, err);
    if (!status)
        status = mc_config_set(config, "database.path", scratch_path(scratch, "e.db"), err);
    if (!status)
        status = mc_config_set(config, "cache.persistent", "false", err);
    for (; !status && options && options[0]; options += 2)
        status = mc_config_set(config, options[0], options[1], err);
    if (!status)
        status = mc_engine_open(config, engine, err);
    mc_config_free(config);
    return status;
}

static inline struct mc_engine *engine_open(const struct scratch *scratch,
                                            const char *const *options)
{
    struct mc_engine *engine = NULL;
    struct mc_error err;
    if (engine_try(scratch, options, &engine, &err))
        bail_out("the engine does not open: %s", err.message);
    return engine;
}

#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})

static inline void engine_drain(struct mc_engine *engine)
{
    struct mc_error err = {0};
    if (mc_engine_drain(engine, 60000, &err))
        bail_out("not drained: %s", err.message);
}

/* A message of user u, thread t, role user; the caller changes what matters. */
static inline struct mc_message_input said(const char *id, const char *text)
{
    return (struct mc_message_input){
        .user_id = MC_STR("u"),
        .thread_id = MC_STR("t"),
        .session_id = MC_STR("s"),
        .role = MC_STR("user"),
        .text = mc_str_of(text),
        .message_id = mc_str_of(id),
    };
}

static inline void ingest(struct mc_engine *engine, const struct mc_message_input *input)
{
    struct mc_error err = {0};
    if (mc_message_ingest(engine, input, NULL, NULL, &err))
        bail_out("not stored: %s", err.message);
}

static inline void say(struct mc_engine *engine, const char *id, const char *text)
{
    struct mc_message_input input = said(id, text);
    ingest(engine, &input);
}

/* The node at "a.b.c" of an object, NULL when there is none. */
static inline const struct mc_json *json_at(const struct mc_json *root, const char *path)
{
    char keys[256];
    snprintf(keys, sizeof(keys), "%s", path);
    char *rest = keys, *key;
    const struct mc_json *node = root;
    while (node && (key = strtok_r(rest, ".", &rest)))
        node = mc_json_get(node, key);
    return node;
}

/* An answer of the engine: its text, parsed. Ends the program when it is no JSON. */
struct answer {
    char *text;
    struct mc_json *root;
};

static inline struct answer answer_of(char *text)
{
    struct answer answer = {.text = text};
    struct mc_error err = {0};
    if (!text || mc_json_parse(mc_str_of(text), &answer.root, &err))
        bail_out("no JSON: %s %.200s", err.message, text ? text : "(nothing)");
    return answer;
}

static inline void answer_free(struct answer *answer)
{
    mc_json_free(answer->root);
    mc_free(answer->text);
    *answer = (struct answer){0};
}

/* One call that gives JSON: ANSWER(mc_metrics, engine). */
#define ANSWER(call, ...)                                                                          \
    (__extension__({                                                                               \
        char *answer_text = NULL;                                                                  \
        struct mc_error answer_err = {0};                                                          \
        if (call(__VA_ARGS__, &answer_text, &answer_err))                                          \
            bail_out(#call ": %s", answer_err.message);                                            \
        answer_of(answer_text);                                                                    \
    }))

static inline int64_t answer_int(const struct answer *answer, const char *path)
{
    const struct mc_json *node = json_at(answer->root, path);
    return node ? mc_json_integer(node) : INT64_MIN;
}

static inline double answer_number(const struct answer *answer, const char *path)
{
    const struct mc_json *node = json_at(answer->root, path);
    return node ? mc_json_number(node) : -1e300;
}

static inline bool answer_true(const struct answer *answer, const char *path)
{
    const struct mc_json *node = json_at(answer->root, path);
    return node && mc_json_boolean(node);
}

/* The value of a line of the Prometheus text, name with labels as written; -1 when there is none. */
static inline double prometheus_value(const char *text, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, len) == 0 && line[len] == ' ')
            return strtod(line + len + 1, NULL);
    }
    return -1;
}

/* Ids of the messages of a list, separated by spaces; frees the list. */
static inline const char *ids_of(struct mc_message_list *list, char *text, size_t size)
{
    int len = 0;
    text[0] = '\0';
    for (size_t i = 0; list && i < list->count; i++)
        len += snprintf(text + len, size - (size_t)len, "%s%.*s", i ? " " : "",
                        MC_STR_ARG(list->items[i]->message_id));
    mc_message_list_free(list);
    return text;
}

/* The newest messages of thread t of user u as an agent sees them: ids, newest first. */
static inline const char *recent_ids(struct mc_engine *engine, const char *agent, char *text,
                                     size_t size)
{
    struct mc_recent_query query = {.user_id = MC_STR("u"),
                                    .thread_id = MC_STR("t"),
                                    .agent_id = mc_str_of(agent),
                                    .limit = 50};
    struct mc_message_list *list = NULL;
    struct mc_error err = {0};
    if (mc_message_recent(engine, &query, &list, &err))
        bail_out("recent: %s", err.message);
    return ids_of(list, text, size);
}

#endif
