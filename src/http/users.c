/* Users: who there are, their threads, export and erasure. */
#include "http/routes.h"

#include "http/export.h"

const struct mc_http_field mc_http_list_query[MC_HTTP_USERS_COUNT] = {
    [MC_HTTP_LIST_LIMIT] = {.name = "limit",
                            .type = MC_HTTP_INTEGER,
                            .min = 1,
                            .max = 1000,
                            .help = "At most so many; 100 when not given"},
    [MC_HTTP_LIST_AFTER] = {.name = "after",
                            .type = MC_HTTP_STRING,
                            .help = "Only what comes behind this id in the list"},
    [MC_HTTP_LIST_PREFIX] = {.name = "prefix",
                             .type = MC_HTTP_STRING,
                             .help = "Only ids that begin with this"},
};

enum mc_status mc_http_user_list(struct mc_http_request *req, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status = mc_user_list(
        req->engine, req->query[MC_HTTP_LIST_PREFIX].text, req->query[MC_HTTP_LIST_AFTER].text,
        (size_t)req->query[MC_HTTP_LIST_LIMIT].integer, &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}

enum mc_status mc_http_thread_list(struct mc_http_request *req, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status =
        mc_thread_list(req->engine, req->params[0], req->query[MC_HTTP_LIST_AFTER].text,
                       (size_t)req->query[MC_HTTP_LIST_LIMIT].integer, &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}

enum mc_status mc_http_user_export(struct mc_http_request *req, struct mc_error *err)
{
    struct mc_engine *engine = req->engine;
    struct mc_http_export *stream = NULL;
    enum mc_status status =
        mc_http_export_new(req, req->params[0], req->query[MC_HTTP_AGENT_ID].text, &stream, err);
    if (status != MC_OK)
        return status;
    status = mc_user_export(engine, mc_http_export_user(stream), mc_http_export_agent(stream),
                            mc_http_export_write, stream, err);
    if (status != MC_OK && !mc_http_export_begun(stream)) {
        mc_http_export_abandon(stream);
        return status;
    }
    mc_http_export_finish(stream, status == MC_OK);
    return MC_OK;
}

enum mc_status mc_http_user_erase(struct mc_http_request *req, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status = mc_user_erase(req->engine, req->params[0], &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}
