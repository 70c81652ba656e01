/* Health, readiness, counts. */
#include "http/routes.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/time.h"

enum mc_status mc_http_health(struct mc_http_request *req, struct mc_error *err)
{
    bool healthy = false;
    char *json = NULL;
    enum mc_status status =
        mc_engine_health_within(req->engine, MC_US_PER_SECOND, &healthy, &json, err);
    return status == MC_OK ? mc_http_answer_json(req, healthy ? 200 : 503, json) : status;
}

static enum mc_status answer_state(struct mc_http_request *req, int status, const char *state)
{
    mc_http_answer(req, status, MC_HTTP_JSON);
    struct mc_json_writer w = mc_json_writer(&req->out);
    mc_json_begin(&w, '{');
    mc_json_member_text(&w, "status", state);
    mc_json_end(&w, '}');
    return MC_OK;
}

enum mc_status mc_http_live(struct mc_http_request *req, struct mc_error *err)
{
    (void)err;
    return answer_state(req, 200, "ok");
}

enum mc_status mc_http_ready(struct mc_http_request *req, struct mc_error *err)
{
    (void)err;
    bool draining = atomic_load_explicit(req->draining, memory_order_relaxed);
    return answer_state(req, draining ? 503 : 200, draining ? "stopping" : "ok");
}

enum mc_status mc_http_workers_health(struct mc_http_request *req, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status = mc_workers_health(req->engine, &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}

enum mc_status mc_http_enrichment_metrics(struct mc_http_request *req, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status = mc_enrichment_metrics(req->engine, &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}

enum mc_status mc_http_metrics(struct mc_http_request *req, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status = mc_metrics(req->engine, &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}

enum mc_status mc_http_models(struct mc_http_request *req, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status = mc_models_list(req->engine, &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}

const struct mc_http_field mc_http_usage_query[MC_HTTP_USAGE_COUNT] = {
    [MC_HTTP_USAGE_SINCE] = {.name = "since",
                             .type = MC_HTTP_STRING,
                             .help =
                                 "First day (UTC), 2026-11-01; 29 days before the last one when "
                                 "absent."},
    [MC_HTTP_USAGE_UNTIL] = {.name = "until",
                             .type = MC_HTTP_STRING,
                             .help = "Last day, 2026-11-30; today when absent."},
};

enum mc_status mc_http_usage(struct mc_http_request *req, struct mc_error *err)
{
    const struct mc_usage_query query = {.first_day = req->query[MC_HTTP_USAGE_SINCE].text,
                                         .last_day = req->query[MC_HTTP_USAGE_UNTIL].text};
    char *json = NULL;
    enum mc_status status = mc_usage(req->engine, &query, &json, err);
    if (status == MC_OK)
        return mc_http_answer_json(req, 200, json);
    if (strcmp(err->field, "first_day") == 0)
        snprintf(err->field, sizeof(err->field), "since");
    else if (strcmp(err->field, "last_day") == 0)
        snprintf(err->field, sizeof(err->field), "until");
    return status;
}

enum mc_status mc_http_engine_status(struct mc_http_request *req, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status = mc_engine_status(req->engine, &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}

enum mc_status mc_http_prometheus(struct mc_http_request *req, struct mc_error *err)
{
    char *text = NULL;
    const char *type = NULL;
    enum mc_status status = mc_metrics_exposition(req->engine, req->accept, &text, &type, err);
    if (status != MC_OK)
        return status;
    status = mc_http_answer_json(req, 200, text);
    req->content_type = type;
    return status;
}
