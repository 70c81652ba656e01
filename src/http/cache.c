/* The cache of recent messages. */
#include "http/routes.h"

#include "base/error.h"

const struct mc_http_field mc_http_cache_fields[MC_HTTP_CACHE_COUNT] = {
    [MC_HTTP_CACHE_TOPIC] = {.name = "topic",
                             .type = MC_HTTP_STRING,
                             .help = "Threads with a message of this topic"},
    [MC_HTTP_CACHE_AGE] = {.name = "max_age_seconds",
                           .type = MC_HTTP_NUMBER,
                           .min = 0,
                           .max = 1e9,
                           .help = "Threads not used for so long"},
    [MC_HTTP_CACHE_USER] = {.name = "user_id",
                            .type = MC_HTTP_STRING,
                            .help = "Threads of this user"},
    [MC_HTTP_CACHE_THREAD] = {.name = "thread_id",
                              .type = MC_HTTP_STRING,
                              .help = "With user_id: only this thread"},
    [MC_HTTP_CACHE_ALL] = {.name = "all", .type = MC_HTTP_BOOLEAN, .help = "Everything"},
};

enum mc_status mc_http_cache_stats(struct mc_http_request *req, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status = mc_cache_stats(req->engine, &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}

enum mc_status mc_http_cache_invalidate(struct mc_http_request *req, struct mc_error *err)
{
    const struct mc_http_value *values = req->fields;
    const struct mc_http_value *user = &values[MC_HTTP_CACHE_USER];
    const struct mc_http_value *thread = &values[MC_HTTP_CACHE_THREAD];
    bool all = values[MC_HTTP_CACHE_ALL].given && values[MC_HTTP_CACHE_ALL].boolean;
    int kinds =
        values[MC_HTTP_CACHE_TOPIC].given + values[MC_HTTP_CACHE_AGE].given + user->given + all;
    if (kinds != 1)
        return mc_fail(err, MC_INVALID,
                       "give exactly one of topic, max_age_seconds, user_id, and all: true");
    if (thread->given && !user->given)
        return mc_fail_field(err, MC_INVALID, "thread_id", "thread_id needs user_id");
    if (user->given && user->text.len == 0)
        return mc_fail_field(err, MC_INVALID, "user_id", "user_id is empty");
    uint64_t count = 0;
    enum mc_status status;
    if (values[MC_HTTP_CACHE_TOPIC].given)
        status = mc_cache_drop_topic(req->engine, values[MC_HTTP_CACHE_TOPIC].text, &count, err);
    else if (values[MC_HTTP_CACHE_AGE].given)
        status = mc_cache_drop_stale(req->engine, values[MC_HTTP_CACHE_AGE].number, &count, err);
    else
        status = mc_cache_clear(req->engine, user->text, thread->text, &count, err);
    return status == MC_OK ? mc_http_answer_count(req, "invalidated", count) : status;
}
