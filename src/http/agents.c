/* Agents: who is registered. */
#include "http/routes.h"

const struct mc_http_field mc_http_agent_fields[MC_HTTP_AGENT_COUNT] = {
    {.name = "agent_id", .type = MC_HTTP_STRING, .required = true, .help = "Its id"},
    {.name = "name", .type = MC_HTTP_STRING, .required = true, .help = "1 to 255 bytes"},
    {.name = "description", .type = MC_HTTP_STRING, .help = "What it does"},
    {.name = "sharing_groups", .type = MC_HTTP_LIST, .help = "Groups whose messages it shares"},
    {.name = "default_visibility",
     .type = MC_HTTP_CHOICE,
     .choices = "private|shared|public",
     .help = "Of its messages; private when not given"},
    {.name = "can_read_public", .type = MC_HTTP_BOOLEAN, .help = "True when not given"},
    {.name = "can_write_public", .type = MC_HTTP_BOOLEAN, .help = "False when not given"},
    {.name = "metadata", .type = MC_HTTP_OBJECT, .help = "The application's own data"},
};

enum mc_status mc_http_agent_list(struct mc_http_request *req, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status = mc_agent_list(req->engine, &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}

enum mc_status mc_http_agent_register(struct mc_http_request *req, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status = mc_agent_register_json(req->engine, mc_buf_str(&req->body), &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 201, json) : status;
}

enum mc_status mc_http_agent_get(struct mc_http_request *req, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status = mc_agent_get(req->engine, req->params[0], &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}

enum mc_status mc_http_agent_unregister(struct mc_http_request *req, struct mc_error *err)
{
    enum mc_status status = mc_agent_unregister(req->engine, req->params[0], err);
    if (status == MC_OK)
        mc_http_answer(req, 204, NULL);
    return status;
}

enum mc_status mc_http_agent_stats(struct mc_http_request *req, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status = mc_agent_stats(req->engine, &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}
