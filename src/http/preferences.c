/* Preferences of a user, and what was learned of them. */
#include "http/routes.h"

const struct mc_http_field mc_http_preference_fields[MC_HTTP_PREFERENCE_COUNT] = {
    {.name = "language", .type = MC_HTTP_STRING, .help = "Language tag, as in en or pt-BR"},
    {.name = "timezone", .type = MC_HTTP_STRING, .help = "Name of a time zone"},
    {.name = "communication_style", .type = MC_HTTP_STRING, .help = "concise, balanced, detailed"},
    {.name = "interests", .type = MC_HTTP_LIST, .help = "What the user cares about"},
    {.name = "goals", .type = MC_HTTP_LIST, .help = "What the user wants to reach"},
    {.name = "preferred_name", .type = MC_HTTP_STRING, .help = "How the user wants to be called"},
    {.name = "custom", .type = MC_HTTP_OBJECT, .help = "The application's own fields"},
};

enum mc_status mc_http_preferences_get(struct mc_http_request *req, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status = mc_preferences_get(req->engine, req->params[0], &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}

enum mc_status mc_http_preferences_patch(struct mc_http_request *req, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status =
        mc_preferences_patch(req->engine, req->params[0], mc_buf_str(&req->body), &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}

enum mc_status mc_http_preferences_signals(struct mc_http_request *req, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status = mc_preferences_signals(req->engine, req->params[0], &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}

enum mc_status mc_http_preferences_apply(struct mc_http_request *req, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status = mc_preferences_apply(req->engine, req->params[0], &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}
