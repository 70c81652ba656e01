/* The queue of enrichment jobs. */
#include "http/routes.h"

const struct mc_http_field mc_http_queue_query[MC_HTTP_QUEUE_COUNT] = {
    [MC_HTTP_QUEUE_DEAD_LIMIT] = {.name = "dead_limit",
                                  .type = MC_HTTP_INTEGER,
                                  .min = 1,
                                  .max = 1000,
                                  .help = "At most so many dead jobs; 20 when not given"},
};

const struct mc_http_field mc_http_retry_fields[MC_HTTP_RETRY_COUNT] = {
    [MC_HTTP_RETRY_MESSAGE] = {.name = "message_id",
                               .type = MC_HTTP_STRING,
                               .help = "Only the job of this message; all when not given"},
};

enum mc_status mc_http_queue_status(struct mc_http_request *req, struct mc_error *err)
{
    const struct mc_http_value *limit = &req->query[MC_HTTP_QUEUE_DEAD_LIMIT];
    char *json = NULL;
    enum mc_status status =
        mc_queue_status(req->engine, limit->given ? (size_t)limit->integer : 20, &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}

enum mc_status mc_http_queue_retry(struct mc_http_request *req, struct mc_error *err)
{
    uint64_t count = 0;
    enum mc_status status =
        mc_queue_retry(req->engine, req->fields[MC_HTTP_RETRY_MESSAGE].text, &count, err);
    return status == MC_OK ? mc_http_answer_count(req, "retried", count) : status;
}

enum mc_status mc_http_queue_purge(struct mc_http_request *req, struct mc_error *err)
{
    uint64_t count = 0;
    enum mc_status status = mc_queue_purge(req->engine, &count, err);
    return status == MC_OK ? mc_http_answer_count(req, "purged", count) : status;
}
