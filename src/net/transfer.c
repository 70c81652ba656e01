#include "net/transfer.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "base/utf8.h"
#include "net/retry_after.h"

#define REQUEST_BYTES ((size_t)64 * 1024 * 1024)
#define SECRET_MIN 4 /* a shorter value of a header is no secret, and may be in any text */

/* The answer of a header that is meant, behind its name and colon; none for another header. */
static mc_str header_value(mc_str line, mc_str name)
{
    if (line.len <= name.len || line.data[name.len] != ':' ||
        !mc_str_equal_nocase((mc_str){line.data, name.len}, name))
        return MC_STR_NONE;
    return mc_str_trim((mc_str){line.data + name.len + 1, line.len - name.len - 1});
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
    struct mc_transfer *transfer = context;
    mc_str line = {data, size * count};
    mc_str retry_after = header_value(line, MC_STR("retry-after"));
    mc_str date = header_value(line, MC_STR("date"));
    if (mc_str_starts(line, MC_STR("HTTP/"))) { /* the final answer follows a preliminary one */
        transfer->retry_after[0] = '\0';
        transfer->date_s = -1;
    } else if (mc_str_given(retry_after) && retry_after.len < sizeof(transfer->retry_after)) {
        memcpy(transfer->retry_after, retry_after.data, retry_after.len);
        transfer->retry_after[retry_after.len] = '\0';
    } else if (mc_str_given(date) && !mc_net_date(date, &transfer->date_s)) {
        transfer->date_s = -1;
    }
    return line.len;
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct mc_transfer *transfer = context;
    mc_str part = {data, size * count};
    transfer->too_long = part.len > transfer->body.max - transfer->body.len;
    if (transfer->too_long)
        return 0;
    mc_buf_append(&transfer->body, part);
    return transfer->body.failed ? 0 : part.len;
}

/* Checks the URL and gives "scheme://host:port" of it, without what may be secret. */
static enum mc_status read_place(struct mc_transfer *transfer, const char *url,
                                 struct mc_error *err)
{
    CURLU *parts = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL;
    if (!parts)
        return mc_fail_memory(err);
    CURLUcode code = curl_url_set(parts, CURLUPART_URL, url ? url : "", 0);
    if (code == CURLUE_OK)
        code = curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0);
    if (code == CURLUE_OK)
        code = curl_url_get(parts, CURLUPART_HOST, &host, 0);
    if (code == CURLUE_OK)
        (void)curl_url_get(parts, CURLUPART_PORT, &port, 0);
    bool web = code == CURLUE_OK && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    if (web)
        transfer->place = mc_arena_printf(&transfer->arena, "%s://%s%s%s", scheme, host,
                                          port ? ":" : "", port ? port : "")
                              .data;
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parts);
    if (code == CURLUE_OUT_OF_MEMORY || (web && !transfer->place))
        return mc_fail_memory(err);
    if (code != CURLUE_OK)
        return mc_fail(err, MC_CONFIG, "the address is no URL: %s", curl_url_strerror(code));
    return web ? MC_OK : mc_fail(err, MC_CONFIG, "the address must begin with http:// or https://");
}

static bool is_header(mc_str header)
{
    for (size_t i = 0; i < header.len; i++) {
        unsigned char c = (unsigned char)header.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return header.len > 1 && header.data[0] != ':' && memchr(header.data, ':', header.len);
}

static bool add_header(struct mc_transfer *transfer, const char *line)
{
    struct curl_slist *headers = curl_slist_append(transfer->headers, line);
    if (headers)
        transfer->headers = headers;
    return headers;
}

static enum mc_status copy_headers(struct mc_transfer *transfer,
                                   const struct mc_net_request *request, struct mc_error *err)
{
    /* Nothing is gained by asking before a large body is sent. */
    if (!add_header(transfer, "Expect:"))
        return mc_fail_memory(err);
    for (size_t i = 0; i < request->header_count; i++) {
        if (!is_header(request->headers[i]))
            return mc_fail(err, MC_INVALID,
                           "header %zu of the request is not \"Name: value\" in one line", i + 1);
        mc_str line = mc_arena_copy(&transfer->arena, request->headers[i]);
        if (!line.data || !add_header(transfer, line.data))
            return mc_fail_memory(err);
    }
    return MC_OK;
}

/* Applies an option; libcurl refuses one only for lack of memory or when it was built without it. */
#define SET(option, value)                                                                         \
    (code = code == CURLE_OK ? curl_easy_setopt(transfer->easy, option, value) : code)

static CURLcode set_method(struct mc_transfer *transfer, const struct mc_net_request *request)
{
    CURLcode code = CURLE_OK;
    bool post = strcmp(request->method, "POST") == 0;
    if (post || request->body.len > 0) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)transfer->sent.len);
        SET(CURLOPT_POSTFIELDS, transfer->sent.data);
    }
    if (!post && (strcmp(request->method, "GET") != 0 || request->body.len > 0))
        SET(CURLOPT_CUSTOMREQUEST, request->method);
    return code;
}

static CURLcode set_security(struct mc_transfer *transfer, const struct mc_net_rules *rules)
{
    CURLcode code = CURLE_OK;
    bool https = strncmp(transfer->place, "https:", 6) == 0;
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_PROXY, https ? rules->proxy : "");
    SET(CURLOPT_NOPROXY, rules->no_proxy);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    /* Several that begin together share the first connection if it turns out to be HTTP/2. */
    SET(CURLOPT_PIPEWAIT, https ? 1L : 0L);
    if (rules->certificates.len > 0) {
        struct curl_blob blob = {rules->certificates.data, rules->certificates.len,
                                 CURL_BLOB_NOCOPY};
        SET(CURLOPT_CAINFO_BLOB, &blob);
    }
    return code;
}

static CURLcode set_options(struct mc_transfer *transfer, const struct mc_net_rules *rules,
                            const struct mc_net_request *request)
{
    CURLcode code = CURLE_OK;
    SET(CURLOPT_ERRORBUFFER, transfer->problem);
    SET(CURLOPT_PRIVATE, transfer);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_HTTPHEADER, transfer->headers);
    SET(CURLOPT_USERAGENT, rules->user_agent);
    SET(CURLOPT_ACCEPT_ENCODING, "");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, rules->connect_timeout_ms);
    SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)transfer->body.max);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, transfer);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, transfer);
#if LIBCURL_VERSION_NUM >= 0x075700
    SET(CURLOPT_QUICK_EXIT, 1L); /* a cancelled transfer does not wait for the resolver */
#endif
    if (code == CURLE_OK)
        code = set_security(transfer, rules);
    return code == CURLE_OK ? set_method(transfer, request) : code;
}

static enum mc_status prepare(struct mc_transfer *transfer, const struct mc_net_rules *rules,
                              const struct mc_net_request *request, struct mc_error *err)
{
    if (!request->method || !*request->method)
        return mc_fail(err, MC_INVALID, "the request has no method");
    enum mc_status status = read_place(transfer, request->url, err);
    if (status == MC_OK)
        status = copy_headers(transfer, request, err);
    if (status != MC_OK)
        return status;
    transfer->sent = mc_arena_copy(&transfer->arena, request->body);
    transfer->easy = curl_easy_init();
    if (!transfer->sent.data || !transfer->easy)
        return mc_fail_memory(err);
    CURLcode code = set_options(transfer, rules, request);
    if (code == CURLE_OUT_OF_MEMORY)
        return mc_fail_memory(err);
    return code == CURLE_OK ? MC_OK
                            : mc_fail(err, MC_INTERNAL, "libcurl refuses an option: %s",
                                      curl_easy_strerror(code));
}

enum mc_status mc_transfer_new(const struct mc_net_rules *rules,
                               const struct mc_net_request *request, struct mc_transfer **transfer,
                               struct mc_error *err)
{
    struct mc_transfer *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    mc_list_init(&made->link);
    mc_arena_init(&made->arena, REQUEST_BYTES);
    mc_buf_init(&made->body,
                request->response_bytes ? request->response_bytes : MC_NET_RESPONSE_BYTES);
    made->date_s = -1;
    made->started_us = mc_time_monotonic_us();
    made->timeout_us = request->timeout_us;
    if (request->timeout_us <= 0 ||
        __builtin_add_overflow(made->started_us, request->timeout_us, &made->deadline_us))
        made->deadline_us = INT64_MAX;
    enum mc_status status = prepare(made, rules, request, err);
    if (status == MC_OK)
        *transfer = made;
    else
        mc_transfer_free(made);
    return status;
}

void mc_transfer_free(struct mc_transfer *transfer)
{
    if (!transfer)
        return;
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->headers);
    mc_arena_fini(&transfer->arena);
    mc_buf_fini(&transfer->body);
    free(transfer);
}

/* Whether the text has the value of a header that was sent. */
static bool tells_secret(const struct mc_transfer *transfer, const char *text)
{
    for (const struct curl_slist *header = transfer->headers; header; header = header->next) {
        const char *value = strchr(header->data, ':');
        value = value ? value + 1 + strspn(value + 1, " \t") : "";
        if (strlen(value) >= SECRET_MIN && strstr(text, value))
            return true;
    }
    return false;
}

static void write_message(struct mc_transfer *transfer, const char *text)
{
    char line[sizeof(transfer->message)];
    snprintf(line, sizeof(line), "%.240s: %s", transfer->place, text);
    (void)mc_utf8_line(mc_str_of(line), transfer->message, sizeof(transfer->message));
}

static enum mc_status status_of(const struct mc_transfer *transfer, CURLcode code)
{
    if (transfer->too_long)
        return MC_TOO_LARGE;
    if (transfer->body.failed)
        return MC_NO_MEMORY;
    switch (code) {
    case CURLE_OK:
        return MC_OK;
    case CURLE_OPERATION_TIMEDOUT:
        return MC_TIMEOUT;
    case CURLE_FILESIZE_EXCEEDED:
        return MC_TOO_LARGE;
    case CURLE_OUT_OF_MEMORY:
        return MC_NO_MEMORY;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ENGINE_INITFAILED:
        return MC_CONFIG;
    default:
        return MC_UNAVAILABLE;
    }
}

static void describe_failure(struct mc_transfer *transfer, enum mc_status status, CURLcode code)
{
    char text[160];
    if (status == MC_TOO_LARGE) {
        snprintf(text, sizeof(text), "the answer is longer than %zu bytes", transfer->body.max);
        write_message(transfer, text);
    } else if (status == MC_NO_MEMORY) {
        write_message(transfer, "out of memory");
    } else if (transfer->problem[0] && !tells_secret(transfer, transfer->problem)) {
        write_message(transfer, transfer->problem);
    } else {
        write_message(transfer, curl_easy_strerror(code));
    }
}

static void read_facts(struct mc_transfer *transfer, struct mc_net_response *response)
{
    long code = 0, version = 0, connects = 0;
    char *type = NULL;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &code);
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_VERSION, &version);
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &connects);
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_TYPE, &type);
    int64_t now_s = transfer->date_s >= 0 ? transfer->date_s : mc_time_now_us() / MC_US_PER_SECOND;
    response->code = (int)code;
    response->content_type = mc_str_of(type ? type : "");
    response->retry_after_us = mc_retry_after_us(mc_str_of(transfer->retry_after), now_s);
    response->reused = code > 0 && connects == 0;
    response->http2 = version == CURL_HTTP_VERSION_2_0;
}

static struct mc_net_response empty_response(const struct mc_transfer *transfer)
{
    return (struct mc_net_response){.message = "",
                                    .retry_after_us = -1,
                                    .content_type = MC_STR(""),
                                    .body = MC_STR(""),
                                    .took_us = mc_time_monotonic_us() - transfer->started_us};
}

void mc_transfer_result(struct mc_transfer *transfer, CURLcode code,
                        struct mc_net_response *response)
{
    *response = empty_response(transfer);
    response->status = status_of(transfer, code);
    if (response->status == MC_OK) {
        read_facts(transfer, response);
        response->body = mc_buf_str(&transfer->body);
        return;
    }
    describe_failure(transfer, response->status, code);
    response->message = transfer->message;
}

void mc_transfer_give_up(struct mc_transfer *transfer, enum mc_status status,
                         struct mc_net_response *response)
{
    char text[96];
    double seconds = (double)transfer->timeout_us / (double)MC_US_PER_SECOND;
    *response = empty_response(transfer);
    response->status = status;
    if (status == MC_TIMEOUT)
        snprintf(text, sizeof(text), "%s within %.6g s",
                 transfer->body.len > 0 ? "the answer was not complete" : "no answer", seconds);
    else if (status == MC_CANCELLED)
        snprintf(text, sizeof(text), "cancelled");
    else
        snprintf(text, sizeof(text), "%s", mc_status_text(status));
    write_message(transfer, text);
    response->message = transfer->message;
}
