/* A running server as what a load test drives, over HTTP. */
#include "cli/load_target.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "net/http.h"

#define TIMEOUT_US (30 * MC_US_PER_SECOND)
#define SCRAPE_TIMEOUT_US (5 * MC_US_PER_SECOND)
#define ERASE_TIMEOUT_US (90 * MC_US_PER_SECOND) /* the index is merged for up to 30 seconds */
#define BODY_BYTES ((size_t)4 << 20)
#define URL_BYTES ((size_t)8 << 10)

struct remote {
    struct mc_load_target base;
    struct mc_net *net;
    char url[512];    /* without the last slash */
    char header[600]; /* the key's; "" for none */
};

struct question {
    const char *method;
    const char *path;
    const char *content_type; /* of the body, as a header */
    mc_str body;
    int64_t timeout_us; /* 0: TIMEOUT_US */
};

struct exchange {
    mc_mutex mutex; /* guards the rest */
    mc_cond arrived;
    bool done;
    enum mc_status status;
    int code;
    struct mc_error failure;
    struct mc_buf answer;
};

static struct remote *remote_of(struct mc_load_target *target)
{
    return mc_container_of(target, struct remote, base);
}

/* In the client's thread. */
static void arrive(void *context, const struct mc_net_response *response)
{
    struct exchange *x = context;
    mc_mutex_lock(&x->mutex);
    x->status = response->status;
    x->code = response->code;
    if (response->status == MC_OK)
        mc_buf_append(&x->answer, response->body);
    else
        (void)mc_fail_field(&x->failure, response->status,
                            response->status == MC_UNAVAILABLE ? "connection"
                                                               : mc_status_text(response->status),
                            "%s", response->message);
    x->done = true;
    mc_cond_signal(&x->arrived);
    mc_mutex_unlock(&x->mutex);
}

/* What a problem says of itself. */
static enum mc_status refused(const struct exchange *x, struct mc_error *err)
{
    mc_auto(mc_json_free_ptr) struct mc_json *problem = NULL;
    struct mc_error ignored;
    char kind[sizeof(err->field)];
    snprintf(kind, sizeof(kind), "HTTP %d", x->code);
    mc_str detail = MC_STR_NONE;
    if (mc_json_parse(mc_buf_str(&x->answer), &problem, &ignored) == MC_OK)
        detail = mc_json_string(mc_json_get(problem, "detail"));
    enum mc_status status = x->code == 401   ? MC_UNAUTHENTICATED
                            : x->code == 403 ? MC_FORBIDDEN
                            : x->code == 404 ? MC_NOT_FOUND
                                             : MC_UNAVAILABLE;
    return mc_fail_field(err, status, kind, "%.*s", MC_STR_ARG(detail));
}

static enum mc_status wait_for_answer(struct remote *remote, const struct question *question,
                                      const char *url, struct exchange *x, struct mc_error *err)
{
    uint64_t id;
    mc_str headers[2];
    size_t count = 0;
    if (remote->header[0])
        headers[count++] = mc_str_of(remote->header);
    if (question->content_type)
        headers[count++] = mc_str_of(question->content_type);
    const struct mc_net_request request = {.method = question->method,
                                           .url = url,
                                           .headers = headers,
                                           .header_count = count,
                                           .body = question->body,
                                           .timeout_us = question->timeout_us ? question->timeout_us
                                                                              : TIMEOUT_US};
    enum mc_status status = mc_net_start(remote->net, &request, arrive, x, &id, err);
    if (status != MC_OK)
        return status;
    mc_mutex_lock(&x->mutex);
    while (!x->done)
        mc_cond_wait(&x->arrived, &x->mutex);
    mc_mutex_unlock(&x->mutex);
    if (x->status != MC_OK) {
        *err = x->failure;
        return x->status;
    }
    if (x->answer.failed)
        return mc_fail_memory(err);
    return x->code >= 200 && x->code < 300 ? MC_OK : refused(x, err);
}

/* The answer's body is given to *answer where there is one. */
static enum mc_status exchange(struct remote *remote, const struct question *question,
                               struct mc_buf *answer, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf url;
    struct exchange x = {.done = false};
    mc_buf_init(&url, URL_BYTES);
    mc_buf_text(&url, remote->url);
    mc_buf_text(&url, question->path);
    if (url.failed)
        return mc_fail_memory(err);
    mc_mutex_init(&x.mutex);
    mc_cond_init(&x.arrived);
    mc_buf_init(&x.answer, BODY_BYTES);
    enum mc_status status = wait_for_answer(remote, question, url.data, &x, err);
    if (status == MC_OK && answer) {
        mc_buf_fini(answer);
        *answer = x.answer;
        mc_buf_init(&x.answer, BODY_BYTES);
    }
    mc_buf_fini(&x.answer);
    mc_cond_fini(&x.arrived);
    mc_mutex_fini(&x.mutex);
    return status;
}

static void write_line(const struct mc_load_target *target, const struct mc_load_line *line,
                       struct mc_buf *body)
{
    struct mc_json_writer w = mc_json_writer(body);
    mc_json_begin(&w, '{');
    mc_json_member_text(&w, "user_id", line->user_id);
    mc_json_member_text(&w, "thread_id", line->thread_id);
    mc_json_member_text(&w, "session_id", line->session_id);
    mc_json_member_text(&w, "role", line->role);
    mc_json_member_text(&w, "text", line->text);
    if (mc_str_given(target->agent_id))
        mc_json_member_string(&w, "agent_id", target->agent_id);
    mc_json_end(&w, '}');
}

static enum mc_status post(struct mc_load_target *target, const char *path,
                           const struct mc_buf *body, struct mc_error *err)
{
    const struct question question = {"POST", path, "Content-Type: application/json",
                                      mc_buf_str(body), 0};
    return body->failed ? mc_fail_memory(err) : exchange(remote_of(target), &question, NULL, err);
}

static enum mc_status store_stream(struct remote *remote, mc_str body, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf answer;
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    mc_buf_init(&answer, BODY_BYTES);
    const struct question question = {"POST", "/v1/messages", "Content-Type: application/x-ndjson",
                                      body, 0};
    enum mc_status status = exchange(remote, &question, &answer, err);
    if (status == MC_OK)
        status = mc_json_parse(mc_buf_str(&answer), &root, err);
    if (status != MC_OK || mc_json_integer(mc_json_get(root, "refused_count")) == 0)
        return status;
    mc_str why = mc_json_string(mc_json_get(mc_json_at(mc_json_get(root, "refused"), 0), "error"));
    return mc_fail(err, MC_INVALID, "the server refused a message: %.*s", MC_STR_ARG(why));
}

static enum mc_status store(struct mc_load_target *target, const struct mc_load_line *lines,
                            size_t count, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf body;
    mc_buf_init(&body, BODY_BYTES);
    for (size_t i = 0; i < count; i++) {
        write_line(target, &lines[i], &body);
        if (count > 1)
            mc_buf_char(&body, '\n');
    }
    if (count > 1 && !body.failed)
        return store_stream(remote_of(target), mc_buf_str(&body), err);
    return post(target, "/v1/messages", &body, err);
}

static enum mc_status context(struct mc_load_target *target, const struct mc_load_line *line,
                              struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf body;
    mc_buf_init(&body, BODY_BYTES);
    struct mc_json_writer w = mc_json_writer(&body);
    mc_json_begin(&w, '{');
    mc_json_member_text(&w, "user_id", line->user_id);
    mc_json_member_text(&w, "thread_id", line->thread_id);
    mc_json_member_text(&w, "query", line->text);
    if (mc_str_given(target->agent_id))
        mc_json_member_string(&w, "agent_id", target->agent_id);
    mc_json_end(&w, '}');
    return post(target, "/v1/context", &body, err);
}

static void put_encoded(struct mc_buf *url, mc_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
            strchr("-_.~", c))
            mc_buf_char(url, c);
        else
            mc_buf_printf(url, "%%%02X", (unsigned)(unsigned char)c);
    }
}

/* GET of a path with a query, to which the agent is added. */
static enum mc_status get(struct mc_load_target *target, struct mc_buf *path, char separator,
                          struct mc_error *err)
{
    if (mc_str_given(target->agent_id)) {
        mc_buf_printf(path, "%cagent_id=", separator);
        put_encoded(path, target->agent_id);
    }
    const struct question question = {.method = "GET", .path = path->data};
    return path->failed ? mc_fail_memory(err) : exchange(remote_of(target), &question, NULL, err);
}

static enum mc_status search(struct mc_load_target *target, const struct mc_load_line *line,
                             struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf path;
    mc_buf_init(&path, URL_BYTES);
    mc_buf_printf(&path, "/v1/users/%s/search?q=", line->user_id);
    put_encoded(&path, mc_str_of(line->text));
    return get(target, &path, '&', err);
}

static enum mc_status recent(struct mc_load_target *target, const struct mc_load_line *line,
                             struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf path;
    mc_buf_init(&path, URL_BYTES);
    mc_buf_printf(&path, "/v1/users/%s/threads/%s/messages", line->user_id, line->thread_id);
    return get(target, &path, '?', err);
}

static enum mc_status erase(struct mc_load_target *target, const char *user_id,
                            struct mc_error *err)
{
    char path[128];
    snprintf(path, sizeof(path), "/v1/users/%s", user_id);
    const struct question question = {
        .method = "DELETE", .path = path, .timeout_us = ERASE_TIMEOUT_US};
    return exchange(remote_of(target), &question, NULL, err);
}

static enum mc_status scrape(struct mc_load_target *target, struct mc_buf *text,
                             struct mc_error *err)
{
    static const struct question question = {
        .method = "GET", .path = "/metrics", .timeout_us = SCRAPE_TIMEOUT_US};
    return exchange(remote_of(target), &question, text, err);
}

static enum mc_status fact(struct mc_load_target *target, enum mc_load_fact which,
                           struct mc_json **json, struct mc_error *err)
{
    static const char *const paths[] = {"/v1/status", "/v1/workers/health", "/v1/cache/stats"};
    mc_auto(mc_buf_fini) struct mc_buf answer;
    mc_buf_init(&answer, BODY_BYTES);
    const struct question question = {.method = "GET", .path = paths[which]};
    enum mc_status status = exchange(remote_of(target), &question, &answer, err);
    return status == MC_OK ? mc_json_parse(mc_buf_str(&answer), json, err) : status;
}

static void close_remote(struct mc_load_target *target)
{
    struct remote *remote = remote_of(target);
    mc_net_close(remote->net);
    free(remote);
}

static enum mc_status set_address(struct remote *remote, const struct mc_args *args,
                                  struct mc_error *err)
{
    mc_str url = mc_args_text(args, "url"), key = mc_args_text(args, "api-key");
    while (mc_str_ends(url, MC_STR("/")))
        url.len--;
    if (!mc_str_starts(url, MC_STR("http://")) && !mc_str_starts(url, MC_STR("https://")))
        return mc_fail_field(err, MC_INVALID, "url",
                             "option --url takes http://HOST:PORT or https://HOST:PORT, not '%.*s'",
                             MC_STR_ARG(url));
    if (url.len >= sizeof(remote->url) || key.len > 512)
        return mc_fail_field(err, MC_INVALID, "url", "option --url or --api-key is too long");
    snprintf(remote->url, sizeof(remote->url), "%.*s", MC_STR_ARG(url));
    snprintf(remote->base.where, sizeof(remote->base.where), "%.*s", MC_STR_ARG(url));
    if (key.len > 0)
        snprintf(remote->header, sizeof(remote->header), "Authorization: Bearer %.*s",
                 MC_STR_ARG(key));
    return MC_OK;
}

enum mc_status mc_load_remote_open(const struct mc_cli *cli, unsigned clients,
                                   struct mc_load_target **target, struct mc_error *err)
{
    static const struct mc_load_target_ops ops = {store, context, search, recent,
                                                  erase, scrape,  fact,   close_remote};
    const struct mc_net_options options = {.max_connections = (long)clients + 2,
                                           .ca_file = mc_args_text(&cli->args, "ca-file").data};
    struct remote *remote = calloc(1, sizeof(*remote));
    if (!remote)
        return mc_fail_memory(err);
    remote->base =
        (struct mc_load_target){.ops = &ops, .agent_id = mc_args_text(&cli->args, "agent")};
    enum mc_status status = set_address(remote, &cli->args, err);
    if (status == MC_OK)
        status = mc_net_open(&options, &remote->net, err);
    if (status != MC_OK) {
        close_remote(&remote->base);
        return status;
    }
    *target = &remote->base;
    return MC_OK;
}
