/* Messages: store, read, delete, the newest of a thread, a window. */
#include "http/grant.h"

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"

#define AGENT_FIELD                                                                                \
    {                                                                                              \
        .name = "agent_id", .type = MC_HTTP_STRING,                                                \
        .help = "The reading agent, where agents are enabled"                                      \
    }

const struct mc_http_field mc_http_reader_query[MC_HTTP_READER_COUNT] = {
    [MC_HTTP_AGENT_ID] = AGENT_FIELD,
};

const struct mc_http_field mc_http_recent_query[MC_HTTP_RECENT_COUNT] = {
    [MC_HTTP_RECENT_LIMIT] = {.name = "limit",
                              .type = MC_HTTP_INTEGER,
                              .min = 1,
                              .max = 1000,
                              .help = "At most so many messages; 20 when not given"},
    [MC_HTTP_RECENT_BEFORE] = {.name = "before",
                               .type = MC_HTTP_STRING,
                               .help = "Only messages older than the one with this id"},
    [MC_HTTP_RECENT_AGENT] = AGENT_FIELD,
};

const struct mc_http_field mc_http_window_query[MC_HTTP_WINDOW_COUNT] = {
    [MC_HTTP_WINDOW_MESSAGES] = {.name = "max_messages",
                                 .type = MC_HTTP_INTEGER,
                                 .min = 1,
                                 .max = 1000,
                                 .help = "context.max_messages when not given"},
    [MC_HTTP_WINDOW_TOKENS] = {.name = "max_tokens",
                               .type = MC_HTTP_INTEGER,
                               .min = 1,
                               .max = 1000000,
                               .help = "context.max_tokens when not given"},
    [MC_HTTP_WINDOW_IMPORTANCE] = {.name = "min_importance",
                                   .type = MC_HTTP_NUMBER,
                                   .min = 0,
                                   .max = 1,
                                   .help = "Leaves out what has less, after decay"},
    [MC_HTTP_WINDOW_AGENT] = AGENT_FIELD,
};

const struct mc_http_field mc_http_message_fields[MC_HTTP_MESSAGE_COUNT] = {
    {.name = "user_id", .type = MC_HTTP_STRING, .required = true, .help = "Whose memory it is"},
    {.name = "thread_id", .type = MC_HTTP_STRING, .required = true, .help = "The conversation"},
    {.name = "session_id", .type = MC_HTTP_STRING, .required = true, .help = "The session"},
    {.name = "role",
     .type = MC_HTTP_CHOICE,
     .required = true,
     .choices = "user|assistant|system|tool",
     .help = "Who speaks"},
    {.name = "text",
     .type = MC_HTTP_STRING,
     .required = true,
     .help = "1 to 100,000 characters, not blank"},
    {.name = "message_id",
     .type = MC_HTTP_STRING,
     .help = "Makes a repeat harmless; assigned when not given"},
    {.name = "agent_id", .type = MC_HTTP_STRING, .help = "The writing agent"},
    {.name = "visibility",
     .type = MC_HTTP_CHOICE,
     .choices = "private|shared|public",
     .help = "Which other agents may read it"},
    {.name = "sharing_groups", .type = MC_HTTP_LIST, .help = "Groups that may read a shared one"},
    {.name = "created_at", .type = MC_HTTP_TIME, .help = "Now when not given"},
    {.name = "metadata",
     .type = MC_HTTP_OBJECT,
     .help = "The application's own data, at most 64 KiB, returned as metadata.extra"},
};

static void free_list(struct mc_message_list **list)
{
    mc_message_list_free(*list);
}

/* Appends one message as a value to the answer. */
static enum mc_status put_message(struct mc_json_writer *w, const struct mc_message *message,
                                  struct mc_error *err)
{
    char *json = NULL;
    size_t len = 0;
    enum mc_status status = mc_message_to_json(message, &json, &len, err);
    if (status != MC_OK)
        return status;
    mc_json_put_raw(w, (mc_str){json, len});
    mc_free(json);
    return MC_OK;
}

static enum mc_status answer_message(struct mc_http_request *req, int status_code,
                                     const struct mc_message_list *list, struct mc_error *err)
{
    if (list->count == 0)
        return mc_fail(err, MC_INTERNAL, "the message was stored but not returned");
    mc_http_answer(req, status_code, MC_HTTP_JSON);
    struct mc_json_writer w = mc_json_writer(&req->out);
    return put_message(&w, list->items[0], err);
}

/* {"messages": [...]}, with next when the page is full. */
static enum mc_status answer_list(struct mc_http_request *req, const struct mc_message_list *list,
                                  size_t full, struct mc_error *err)
{
    mc_http_answer(req, 200, MC_HTTP_JSON);
    struct mc_json_writer w = mc_json_writer(&req->out);
    mc_json_begin(&w, '{');
    mc_json_key(&w, "messages");
    mc_json_begin(&w, '[');
    for (size_t i = 0; i < list->count; i++) {
        enum mc_status status = put_message(&w, list->items[i], err);
        if (status != MC_OK)
            return status;
    }
    mc_json_end(&w, ']');
    if (full > 0 && list->count >= full)
        mc_json_member_string(&w, "next", list->items[list->count - 1]->message_id);
    mc_json_end(&w, '}');
    return MC_OK;
}

enum mc_status mc_http_message_post(struct mc_http_request *req, struct mc_error *err)
{
    mc_auto(free_list) struct mc_message_list *stored = NULL;
    struct mc_ingest_result result = {.status = MC_OK};
    mc_str object = mc_buf_str(&req->body);
    enum mc_status status = mc_message_ingest_json(req->engine, &object, 1, &result, &stored, err);
    if (status != MC_OK)
        return status;
    if (result.status != MC_OK) {
        *err = result.error;
        return result.status;
    }
    status = answer_message(req, result.created ? 201 : 200, stored, err);
    if (status != MC_OK)
        return status;
    mc_str location =
        mc_arena_printf(&req->arena, "/v1/messages/%.*s", MC_STR_ARG(stored->items[0]->message_id));
    if (!location.data)
        return mc_fail_memory(err);
    return result.created ? mc_http_add_header(req, "Location", location, err) : MC_OK;
}

/* The message of the path, when the key may see its user. */
static enum mc_status find_message(struct mc_http_request *req, struct mc_message_list **found,
                                   struct mc_error *err)
{
    enum mc_status status =
        mc_message_get(req->engine, req->params[0], req->query[MC_HTTP_AGENT_ID].text, found, err);
    return status == MC_OK ? mc_http_grant_owner(req->grant, (*found)->items[0], err) : status;
}

enum mc_status mc_http_message_get(struct mc_http_request *req, struct mc_error *err)
{
    mc_auto(free_list) struct mc_message_list *found = NULL;
    enum mc_status status = find_message(req, &found, err);
    return status == MC_OK ? answer_message(req, 200, found, err) : status;
}

enum mc_status mc_http_message_delete(struct mc_http_request *req, struct mc_error *err)
{
    mc_auto(free_list) struct mc_message_list *found = NULL;
    /* Whose it is matters to a key that is bound to users; in the trash of a migration it cannot be looked up. */
    bool bound = req->grant && req->grant->user_id_count > 0;
    enum mc_status status = bound ? find_message(req, &found, err) : MC_OK;
    if (status == MC_OK)
        status =
            mc_message_delete(req->engine, req->params[0], req->query[MC_HTTP_AGENT_ID].text, err);
    if (status == MC_OK)
        mc_http_answer(req, 204, NULL);
    return status;
}

enum mc_status mc_http_thread_messages(struct mc_http_request *req, struct mc_error *err)
{
    mc_auto(free_list) struct mc_message_list *found = NULL;
    const struct mc_http_value *limit = &req->query[MC_HTTP_RECENT_LIMIT];
    struct mc_recent_query query = {
        .user_id = req->params[0],
        .thread_id = req->params[1],
        .agent_id = req->query[MC_HTTP_RECENT_AGENT].text,
        .before = req->query[MC_HTTP_RECENT_BEFORE].text,
        .limit = limit->given ? (size_t)limit->integer : 20,
        .memory = &req->memory,
    };
    enum mc_status status = mc_message_recent(req->engine, &query, &found, err);
    return status == MC_OK ? answer_list(req, found, query.limit, err) : status;
}

enum mc_status mc_http_thread_window(struct mc_http_request *req, struct mc_error *err)
{
    mc_auto(free_list) struct mc_message_list *found = NULL;
    struct mc_window_query query = {
        .user_id = req->params[0],
        .thread_id = req->params[1],
        .agent_id = req->query[MC_HTTP_WINDOW_AGENT].text,
        .max_messages = (size_t)req->query[MC_HTTP_WINDOW_MESSAGES].integer,
        .max_tokens = (size_t)req->query[MC_HTTP_WINDOW_TOKENS].integer,
        .min_importance = req->query[MC_HTTP_WINDOW_IMPORTANCE].number,
        .memory = &req->memory,
    };
    enum mc_status status = mc_message_window(req->engine, &query, &found, err);
    return status == MC_OK ? answer_list(req, found, 0, err) : status;
}
