/* Context: what the agent needs to know now. */
#include "http/routes.h"

#include "base/compiler.h"

const struct mc_http_field mc_http_context_fields[MC_HTTP_CONTEXT_COUNT] = {
    [MC_HTTP_CONTEXT_USER] = {.name = "user_id",
                              .type = MC_HTTP_STRING,
                              .required = true,
                              .help = "Whose memory"},
    [MC_HTTP_CONTEXT_THREAD] = {.name = "thread_id",
                                .type = MC_HTTP_STRING,
                                .required = true,
                                .help = "The conversation at hand; it need not exist yet"},
    [MC_HTTP_CONTEXT_QUERY] = {.name = "query",
                               .type = MC_HTTP_STRING,
                               .required = true,
                               .help = "What the agent is about to answer"},
    [MC_HTTP_CONTEXT_MODE] = {.name = "mode",
                              .type = MC_HTTP_CHOICE,
                              .choices = "auto|fast|llm",
                              .help = "fast never calls a model; context.mode when auto"},
    [MC_HTTP_CONTEXT_MESSAGES] = {.name = "max_messages",
                                  .type = MC_HTTP_INTEGER,
                                  .min = 1,
                                  .max = 1000,
                                  .help = "context.max_messages when not given"},
    [MC_HTTP_CONTEXT_TOKENS] = {.name = "max_tokens",
                                .type = MC_HTTP_INTEGER,
                                .min = 1,
                                .max = 1000000,
                                .help = "context.max_tokens when not given"},
    [MC_HTTP_CONTEXT_AGENT] = {.name = "agent_id",
                               .type = MC_HTTP_STRING,
                               .help = "The reading agent, where agents are enabled"},
    [MC_HTTP_CONTEXT_AGENTS] = {.name = "agent_ids",
                                .type = MC_HTTP_LIST,
                                .help = "Only messages of these agents"},
    [MC_HTTP_CONTEXT_SHARED] = {.name = "include_shared",
                                .type = MC_HTTP_BOOLEAN,
                                .help = "Other agents' shared messages; true when not given"},
    [MC_HTTP_CONTEXT_PUBLIC] = {.name = "include_public",
                                .type = MC_HTTP_BOOLEAN,
                                .help = "Other agents' public messages; true when not given"},
    [MC_HTTP_CONTEXT_ADDITIONAL] = {.name = "additional_context",
                                    .type = MC_HTTP_STRING,
                                    .help = "Text of the caller's own, placed first"},
};

static void free_context(struct mc_context **context)
{
    mc_context_free(*context);
}

/* A model may be asked, which takes seconds: not in an event thread. */
static bool may_be_long(const struct mc_http_request *req, enum mc_context_mode mode)
{
    return mode == MC_CONTEXT_LLM ||
           (mode == MC_CONTEXT_AUTO && strcmp(mc_engine_provider(req->engine), "builtin") != 0);
}

enum mc_status mc_http_context(struct mc_http_request *req, struct mc_error *err)
{
    const struct mc_http_value *values = req->fields;
    enum mc_context_mode mode = MC_CONTEXT_AUTO;
    if (values[MC_HTTP_CONTEXT_MODE].given)
        (void)mc_context_mode_parse(values[MC_HTTP_CONTEXT_MODE].text, &mode);
    if (!req->in_pool && may_be_long(req, mode))
        return mc_http_defer(req);
    const struct mc_http_value *shared = &values[MC_HTTP_CONTEXT_SHARED];
    const struct mc_http_value *public = &values[MC_HTTP_CONTEXT_PUBLIC];
    struct mc_context_query query = {
        .user_id = values[MC_HTTP_CONTEXT_USER].text,
        .thread_id = values[MC_HTTP_CONTEXT_THREAD].text,
        .query = values[MC_HTTP_CONTEXT_QUERY].text,
        .mode = mode,
        .max_messages = (size_t)values[MC_HTTP_CONTEXT_MESSAGES].integer,
        .max_tokens = (size_t)values[MC_HTTP_CONTEXT_TOKENS].integer,
        .agent_id = values[MC_HTTP_CONTEXT_AGENT].text,
        .agent_ids = values[MC_HTTP_CONTEXT_AGENTS].items,
        .agent_id_count = values[MC_HTTP_CONTEXT_AGENTS].count,
        .exclude_shared = shared->given && !shared->boolean,
        .exclude_public = public->given && !public->boolean,
        .additional_context = values[MC_HTTP_CONTEXT_ADDITIONAL].text,
        .memory = &req->memory,
    };
    mc_auto(free_context) struct mc_context *context = NULL;
    enum mc_status status = mc_context_assemble(req->engine, &query, &context, err);
    if (status != MC_OK)
        return status;
    char *json = NULL;
    status = mc_context_to_json(context, &json, NULL, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}
