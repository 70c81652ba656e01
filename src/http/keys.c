/* API keys: make, list, revoke. */
#include "http/routes.h"

const struct mc_http_field mc_http_key_fields[MC_HTTP_KEY_COUNT] = {
    {.name = "name", .type = MC_HTTP_STRING, .required = true, .help = "What it is for"},
    {.name = "scopes",
     .type = MC_HTTP_LIST,
     .required = true,
     .help = "read, write, admin; admin includes the others"},
    {.name = "user_ids", .type = MC_HTTP_LIST, .help = "It may act for these users only"},
    {.name = "agent_ids", .type = MC_HTTP_LIST, .help = "It may speak as these agents only"},
    {.name = "rate_limit",
     .type = MC_HTTP_NUMBER,
     .help = "Requests a second; server.rate_limit when not given"},
    {.name = "expires_at", .type = MC_HTTP_TIME, .help = "Never when not given"},
};

enum mc_status mc_http_key_list(struct mc_http_request *req, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status = mc_key_list(req->engine, &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}

enum mc_status mc_http_key_create(struct mc_http_request *req, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status = mc_key_create(req->engine, mc_buf_str(&req->body), &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 201, json) : status;
}

enum mc_status mc_http_key_revoke(struct mc_http_request *req, struct mc_error *err)
{
    enum mc_status status = mc_key_revoke(req->engine, req->params[0], err);
    if (status == MC_OK)
        mc_http_answer(req, 204, NULL);
    return status;
}
