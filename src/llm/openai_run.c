/*
 * Answering calls through an OpenAI-compatible service: see llm/openai.h.
 *
 * DESIGN. A generating thread has a `run`: its calls as items, and requests that each carry one item or
 * several. A request waits for its time (at first none), flies, arrives, and is then over or waits
 * again. Only its arrival happens in another thread, that of the HTTP client, under the mutex of the
 * run; everything else, the reading of answers included, is done by the generating thread. An item
 * whose answer is of no use gets one more request for itself alone, which inherits the tries used up.
 */
#include "llm/openai_run.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"

#define TICK_US MC_US_PER_SECOND
#define PATIENCE_US (60 * MC_US_PER_SECOND) /* no longer a wait is worth holding a thread for */
#define RUN_BYTES ((size_t)256 * 1024 * 1024)
#define JOINED_BYTES ((size_t)48 * 1024)    /* of texts in one request */
#define EMBEDDED_BYTES ((size_t)256 * 1024) /* the same of texts to embed */
#define JOINED_TOKENS 16384                 /* what current models answer at most */
#define ITEM_TOKENS 16                      /* what an item's id and brackets add */

struct mc_openai_request *mc_openai_add_request(struct mc_openai_run *run,
                                                struct mc_openai_item **items, size_t count)
{
    struct mc_openai_request *request = mc_arena_alloc(&run->work, sizeof(*request));
    if (!request)
        return NULL;
    request->run = run;
    request->count = count;
    memcpy(request->items, items, count * sizeof(struct mc_openai_item *));
    mc_mutex_lock(&run->openai->mutex);
    request->dialect = run->openai->dialect;
    mc_mutex_unlock(&run->openai->mutex);
    mc_mutex_lock(&run->mutex);
    *run->last = request;
    run->last = &request->next;
    mc_mutex_unlock(&run->mutex);
    run->open++;
    return request;
}

bool mc_openai_is_too_late(const struct mc_openai_run *run, int64_t until_us, int64_t now_us)
{
    int64_t deadline_us = run->wait->deadline_us;
    return (deadline_us > 0 && until_us >= deadline_us) || until_us - now_us > PATIENCE_US;
}

/* In the client's thread. */
static void arrive(void *context, const struct mc_net_response *response)
{
    struct mc_openai_request *request = context;
    struct mc_openai_run *run = request->run;
    request->status = response->status;
    request->code = response->code;
    request->retry_after_us = response->retry_after_us;
    request->took_us = response->took_us;
    snprintf(request->message, sizeof(request->message), "%s", response->message);
    request->body_len = response->body.len;
    request->body = malloc(response->body.len + 1);
    if (request->body)
        memcpy(request->body, response->body.data, response->body.len);
    else
        request->status = MC_NO_MEMORY;
    mc_mutex_lock(&run->mutex);
    request->phase = MC_OPENAI_ARRIVED;
    mc_cond_signal(&run->arrived);
    mc_mutex_unlock(&run->mutex);
}

static enum mc_status build(struct mc_openai_request *request, struct mc_buf *body,
                            struct mc_error *err)
{
    const struct mc_llm_call *calls[MC_OPENAI_BATCH_MAX];
    const struct mc_openai *openai = request->run->openai;
    struct mc_openai_question question = {.model = openai->model,
                                          .dialect = request->dialect,
                                          .calls = calls,
                                          .count = request->count};
    size_t extra = request->count > 1 ? ITEM_TOKENS : 0;
    for (size_t i = 0; i < request->count; i++) {
        calls[i] = request->items[i]->call;
        question.max_tokens += request->items[i]->max_tokens + extra;
    }
    if (openai->embeddings)
        return mc_openai_build_texts(openai->model, openai->dimensions, calls, request->count, body,
                                     err);
    if (request->count > 1 && question.max_tokens > JOINED_TOKENS)
        question.max_tokens = JOINED_TOKENS;
    if (request->no_limit)
        question.dialect.limit = MC_OPENAI_NO_LIMIT;
    return mc_openai_build(&question, body, err);
}

static enum mc_status send_request(struct mc_openai_request *request, struct mc_error *err)
{
    struct mc_openai_run *run = request->run;
    struct mc_openai *openai = run->openai;
    int64_t deadline_us = run->wait->deadline_us;
    int64_t left_us = deadline_us > 0 ? deadline_us - mc_time_monotonic_us() : INT64_MAX;
    mc_auto(mc_buf_fini) struct mc_buf body;
    mc_buf_init(&body, MC_OPENAI_REQUEST_BYTES);
    enum mc_status status = build(request, &body, err);
    if (status != MC_OK)
        return status;
    mc_str headers[] = {MC_STR("Content-Type: application/json"), mc_str_of(openai->authorization)};
    struct mc_net_request net = {.method = "POST",
                                 .url = openai->url,
                                 .headers = headers,
                                 .header_count = openai->authorization[0] ? 2 : 1,
                                 .body = mc_buf_str(&body),
                                 .timeout_us = left_us < 1                    ? 1
                                               : left_us < openai->timeout_us ? left_us
                                                                              : openai->timeout_us};
    request->phase = MC_OPENAI_FLYING;
    run->flying++;
    status = mc_net_start(openai->net, &net, arrive, request, &request->id, err);
    if (status != MC_OK) {
        request->phase = MC_OPENAI_WAITING;
        run->flying--;
    }
    for (size_t i = 0; i < request->count && status == MC_OK; i++)
        request->items[i]->asked = true;
    return status;
}

/* Starts the request unless the server wants it to wait. */
static void launch(struct mc_openai_request *request, int64_t now_us)
{
    struct mc_openai_run *run = request->run;
    struct mc_openai *openai = run->openai;
    struct mc_error err = {0};
    mc_mutex_lock(&openai->mutex);
    int64_t pause_us = openai->pause_until_us;
    enum mc_status pause_status = openai->pause_status;
    mc_mutex_unlock(&openai->mutex);
    if (pause_us > now_us && mc_openai_is_too_late(run, pause_us, now_us)) {
        mc_fail(&err, pause_status, "%s wants no request for %.0f s", openai->place,
                (double)(pause_us - now_us) / (double)MC_US_PER_SECOND);
        mc_openai_fail_request(request, &err, pause_us);
    } else if (pause_us > now_us) {
        request->not_before_us = pause_us;
    } else if (send_request(request, &err) != MC_OK) {
        mc_openai_fail_request(request, &err, 0);
    }
}

/* A request that has arrived; NULL when there is none. */
static struct mc_openai_request *take_arrived(struct mc_openai_run *run)
{
    mc_mutex_lock(&run->mutex);
    struct mc_openai_request *request = run->requests;
    while (request && request->phase != MC_OPENAI_ARRIVED)
        request = request->next;
    mc_mutex_unlock(&run->mutex);
    return request;
}

/* Starts what is due, while there is room. */
static void launch_due(struct mc_openai_run *run)
{
    int64_t now_us = mc_time_monotonic_us();
    for (struct mc_openai_request *request = run->requests; request; request = request->next) {
        if (run->flying >= run->openai->in_flight)
            return;
        mc_mutex_lock(&run->mutex);
        bool due = request->phase == MC_OPENAI_WAITING && request->not_before_us <= now_us;
        mc_mutex_unlock(&run->mutex);
        if (due)
            launch(request, now_us);
    }
}

/* Sleeps until something arrives or is due. */
static void sleep_until_next(struct mc_openai_run *run)
{
    int64_t until_us = run->tick_us;
    int64_t deadline_us = run->wait->deadline_us;
    bool room = run->flying < run->openai->in_flight;
    bool arrived = false;
    if (deadline_us > 0 && deadline_us < until_us)
        until_us = deadline_us;
    mc_mutex_lock(&run->mutex);
    for (const struct mc_openai_request *request = run->requests; request;
         request = request->next) {
        arrived = arrived || request->phase == MC_OPENAI_ARRIVED;
        if (room && request->phase == MC_OPENAI_WAITING && request->not_before_us < until_us)
            until_us = request->not_before_us;
    }
    if (!arrived)
        (void)mc_cond_wait_until(&run->arrived, &run->mutex, until_us);
    mc_mutex_unlock(&run->mutex);
}

/* MC_CANCELLED or MC_TIMEOUT when it is time to stop. */
static enum mc_status look_up(struct mc_openai_run *run)
{
    const struct mc_llm_wait *wait = run->wait;
    int64_t now_us = mc_time_monotonic_us();
    if (now_us >= run->tick_us) {
        run->tick_us = now_us + TICK_US;
        if (wait->tick && !wait->tick(wait->context))
            return MC_CANCELLED;
    }
    return wait->deadline_us > 0 && now_us >= wait->deadline_us ? MC_TIMEOUT : MC_OK;
}

/* Ends all that is unfinished. What flies is counted as far as it came. */
static void stop_all(struct mc_openai_run *run, enum mc_status status)
{
    for (struct mc_openai_request *request = run->requests; request; request = request->next) {
        mc_mutex_lock(&run->mutex);
        enum mc_openai_phase phase = request->phase;
        mc_mutex_unlock(&run->mutex);
        if (phase == MC_OPENAI_FLYING)
            mc_net_cancel(run->openai->net, request->id);
    }
    struct mc_error err = {0};
    mc_fail(&err, status,
            status == MC_TIMEOUT ? "no answer in the time given" : "cancelled while it waited");
    for (struct mc_openai_request *request = run->requests; request; request = request->next) {
        if (request->phase == MC_OPENAI_OVER)
            continue;
        if (request->phase == MC_OPENAI_ARRIVED)
            mc_openai_count_lost(request, status);
        mc_openai_fail_request(request, &err, 0);
    }
}

static void work(struct mc_openai_run *run)
{
    while (run->open > 0) {
        struct mc_openai_request *request;
        while ((request = take_arrived(run)))
            mc_openai_take(request);
        enum mc_status status = look_up(run);
        if (status != MC_OK) {
            stop_all(run, status);
            return;
        }
        launch_due(run);
        if (run->open > 0)
            sleep_until_next(run);
    }
}

static bool is_joinable(const struct mc_llm_call *call)
{
    return call->joinable && call->turn_count == 1 && !call->turns[0].by_model;
}

static bool go_together(const struct mc_llm_call *a, const struct mc_llm_call *b)
{
    return a->operation == b->operation && a->schema == b->schema &&
           mc_str_equal(a->system, b->system);
}

/* A request for the item and for those behind it that may go along. */
static struct mc_openai_request *gather(struct mc_openai_run *run, struct mc_openai_item *items,
                                        size_t count)
{
    struct mc_openai_item *together[MC_OPENAI_BATCH_MAX] = {items};
    size_t size = 1;
    size_t most = run->openai->embeddings ? EMBEDDED_BYTES : JOINED_BYTES;
    size_t bytes = is_joinable(items->call) ? items->call->turns[0].text.len : most;
    items->placed = true;
    for (size_t i = 1; i < count && size < run->join && bytes < most; i++) {
        const struct mc_llm_call *call = items[i].call;
        if (items[i].placed || !is_joinable(call) || !go_together(items->call, call) ||
            call->turns[0].text.len > most - bytes)
            continue;
        bytes += call->turns[0].text.len;
        items[i].placed = true;
        together[size++] = &items[i];
    }
    return mc_openai_add_request(run, together, size);
}

static bool prepare(struct mc_openai_run *run, struct mc_llm_call *calls, size_t count)
{
    struct mc_openai_item *items = mc_arena_array(&run->work, count, sizeof(*items));
    if (!items)
        return false;
    mc_mutex_lock(&run->openai->mutex);
    run->join = run->openai->join;
    mc_mutex_unlock(&run->openai->mutex);
    bool chat = !run->openai->embeddings;
    for (size_t i = 0; i < count; i++)
        items[i] = (struct mc_openai_item){.call = &calls[i],
                                           .max_tokens = chat ? mc_openai_tokens(&calls[i]) : 0};
    for (size_t i = 0; i < count; i++) {
        if (!items[i].placed && !gather(run, &items[i], count - i))
            return false;
    }
    return true;
}

/* No outcome yet: what a call shows when there was no memory to begin. */
static void clear_outcome(struct mc_llm_call *call, mc_str model)
{
    call->error = (struct mc_error){0};
    call->status = mc_fail_memory(&call->error);
    call->answer = MC_STR_NONE;
    call->confidence = -1;
    call->truncated = false;
    call->provider = NULL;
    call->model = model;
    call->passed_over = MC_STR_NONE;
    call->retry_at_us = 0;
    call->out_of_order = false;
    call->no_attempt = true;
    call->usage = (struct mc_llm_usage){0};
}

void mc_openai_generate(struct mc_llm *llm, struct mc_llm_call *calls, size_t count,
                        const struct mc_llm_wait *wait, struct mc_arena *arena)
{
    static const struct mc_llm_wait no_wait;
    struct mc_openai_run run = {.openai = mc_container_of(llm, struct mc_openai, llm),
                                .wait = wait ? wait : &no_wait,
                                .results = arena};
    mc_str model = mc_arena_copy(arena, mc_str_of(run.openai->model));
    run.last = &run.requests;
    mc_arena_init(&run.work, RUN_BYTES);
    mc_mutex_init(&run.mutex);
    mc_cond_init(&run.arrived);
    for (size_t i = 0; i < count; i++)
        clear_outcome(&calls[i], model);
    if (prepare(&run, calls, count))
        work(&run);
    mc_cond_fini(&run.arrived);
    mc_mutex_fini(&run.mutex);
    mc_arena_fini(&run.work);
}
