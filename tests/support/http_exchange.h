/* One request of src/net and a copy of what came of it, for tests that wait for it. */
#ifndef MC_TESTS_HTTP_EXCHANGE_H
#define MC_TESTS_HTTP_EXCHANGE_H

#include "tap.h"

#include <stdlib.h>

#include "base/thread.h"
#include "base/time.h"
#include "net/http.h"

struct exchange {
    mc_mutex mutex; /* guards what follows */
    mc_cond changed;
    bool done;
    enum mc_status status;
    int code;
    int64_t retry_after_us, took_us;
    bool reused, http2;
    char message[512];
    char content_type[64];
    mc_str body;
};

static inline void exchange_init(struct exchange *exchange)
{
    *exchange = (struct exchange){0};
    mc_mutex_init(&exchange->mutex);
    mc_cond_init(&exchange->changed);
}

static inline void exchange_free(struct exchange *exchange)
{
    free((char *)(uintptr_t)exchange->body.data);
    mc_cond_fini(&exchange->changed);
    mc_mutex_fini(&exchange->mutex);
}

static inline void exchange_done(void *context, const struct mc_net_response *response)
{
    struct exchange *exchange = context;
    char *body = calloc(1, response->body.len + 1);
    memcpy(body, response->body.data, response->body.len);
    mc_mutex_lock(&exchange->mutex);
    if (exchange->done)
        bail_out("done was called twice");
    exchange->done = true;
    exchange->status = response->status;
    exchange->code = response->code;
    exchange->retry_after_us = response->retry_after_us;
    exchange->took_us = response->took_us;
    exchange->reused = response->reused;
    exchange->http2 = response->http2;
    snprintf(exchange->message, sizeof(exchange->message), "%s", response->message);
    snprintf(exchange->content_type, sizeof(exchange->content_type), "%.*s",
             (int)response->content_type.len, response->content_type.data);
    exchange->body = (mc_str){body, response->body.len};
    mc_cond_broadcast(&exchange->changed);
    mc_mutex_unlock(&exchange->mutex);
}

static inline bool exchange_is_done(struct exchange *exchange)
{
    mc_mutex_lock(&exchange->mutex);
    bool done = exchange->done;
    mc_mutex_unlock(&exchange->mutex);
    return done;
}

static inline void exchange_wait(struct exchange *exchange)
{
    int64_t until_us = mc_time_monotonic_us() + 60 * MC_US_PER_SECOND;
    mc_mutex_lock(&exchange->mutex);
    while (!exchange->done) {
        if (!mc_cond_wait_until(&exchange->changed, &exchange->mutex, until_us) &&
            mc_time_monotonic_us() >= until_us)
            bail_out("no answer within 60 s");
    }
    mc_mutex_unlock(&exchange->mutex);
}

/* Makes the request and waits; to be freed with exchange_free. */
static inline void exchange(struct mc_net *client, const struct mc_net_request *request,
                            struct exchange *exchange)
{
    struct mc_error err = {0};
    uint64_t id = 0;
    exchange_init(exchange);
    if (mc_net_start(client, request, exchange_done, exchange, &id, &err) != MC_OK)
        bail_out("not started: %s", err.message);
    exchange_wait(exchange);
}

#endif
