/* The headers of a request: who asks, for what, with which body. */
#include "http/connection.h"

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "http/grant.h"

#define HEADERS_MAX 100
#define CRLF 2 /* bytes */

struct headers {
    mc_str host;
    mc_str origin;
    mc_str authorization;
    mc_str api_key;
    mc_str content_type;
    mc_str content_encoding;
    mc_str content_length;
    mc_str transfer_encoding;
    mc_str request_id;
    mc_str expect;
    const char *repeated; /* name of a header that must not be given twice */
    bool malformed;       /* a name or value that HTTP does not allow */
    size_t bytes;         /* of their lines, as they were sent */
    size_t count;
};

/* A token of RFC 9110: no blank, so that "Content-Length : 5" is not another header than it is to a proxy. */
static bool is_token(mc_str name)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              memchr(marks, c, sizeof(marks) - 1)))
            return false;
    }
    return name.len > 0;
}

static bool has_control(mc_str value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if ((c < ' ' && c != '\t') || c == 127)
            return true;
    }
    return false;
}

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                 size_t name_len, const char *value, size_t value_len)
{
    struct headers *h = cls;
    (void)kind;
    const struct {
        mc_str name;
        mc_str *to;
    } known[] = {
        {MC_STR("Host"), &h->host},
        {MC_STR("Origin"), &h->origin},
        {MC_STR("Authorization"), &h->authorization},
        {MC_STR("X-API-Key"), &h->api_key},
        {MC_STR("Content-Type"), &h->content_type},
        {MC_STR("Content-Encoding"), &h->content_encoding},
        {MC_STR("Content-Length"), &h->content_length},
        {MC_STR("Transfer-Encoding"), &h->transfer_encoding},
        {MC_STR("X-Request-Id"), &h->request_id},
        {MC_STR("Expect"), &h->expect},
    };
    h->count++;
    h->malformed = h->malformed || !is_token((mc_str){name, name_len}) ||
                   (value && has_control((mc_str){value, value_len}));
    h->bytes += value ? (size_t)(value - name) + value_len + CRLF : 0; /* both are in one line */
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (!mc_str_equal_nocase(known[i].name, (mc_str){name, name_len}))
            continue;
        if (mc_str_given(*known[i].to))
            h->repeated = known[i].name.data;
        *known[i].to = (mc_str){value ? value : "", value ? value_len : 0};
    }
    return MHD_YES;
}

/* The client's id when it is sane, else one of ours. */
static void set_id(struct mc_http_connection *c, mc_str given)
{
    bool sane = given.len > 0 && given.len < MC_HTTP_ID_SIZE;
    for (size_t i = 0; sane && i < given.len; i++) {
        char ch = given.data[i];
        sane = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
               ch == '_' || ch == '-';
    }
    if (sane) {
        memcpy(c->req.id, given.data, given.len);
        c->req.id[given.len] = '\0';
        return;
    }
    static const char digits[] = "0123456789abcdef";
    uint64_t number = 1 + atomic_fetch_add_explicit(&c->server->id_last, 1, memory_order_relaxed);
    uint64_t parts[] = {c->server->id_prefix, number};
    char *at = c->req.id;
    for (int part = 0; part < 2; part++) {
        for (int shift = part ? 44 : 28; shift >= 0; shift -= 4)
            *at++ = digits[(parts[part] >> shift) & 15];
        *at++ = part ? '\0' : '-';
    }
}

/* Those of the statuses that are counted by reason; a malformed request is only one of its route. */
static void count_refusal(struct mc_http_connection *c, int status)
{
    static const struct {
        int status;
        enum mc_counter counter;
    } reasons[] = {
        {401, MC_COUNT_HTTP_REJECTED_AUTH}, {403, MC_COUNT_HTTP_REJECTED_HOST},
        {413, MC_COUNT_HTTP_REJECTED_SIZE}, {414, MC_COUNT_HTTP_REJECTED_SIZE},
        {421, MC_COUNT_HTTP_REJECTED_HOST}, {429, MC_COUNT_HTTP_REJECTED_RATE},
        {431, MC_COUNT_HTTP_REJECTED_SIZE}, {503, MC_COUNT_HTTP_REJECTED_MEMORY},
    };
    for (size_t i = 0; i < mc_countof(reasons); i++) {
        if (reasons[i].status == status)
            mc_metrics_add(c->server->metrics, reasons[i].counter, 1);
    }
}

/*
 * The transport leaves out of the head what it does not understand: folded headers, what is behind a NUL, all behind
 * a line that begins with a colon. A proxy in front may read that, so a head must be as long as what is known of it.
 */
static bool is_whole(const struct mc_http_connection *c, const struct headers *h)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    size_t line = c->req.method.len + 1 + c->target_len + 1 + sizeof("HTTP/1.1") - 1 + CRLF;
    return info && info->header_size == line + h->bytes + CRLF;
}

static bool refuse(struct mc_http_connection *c, int status, const char *detail)
{
    count_refusal(c, status);
    mc_http_problem(&c->req, status, NULL, "%s", detail);
    return false;
}

/*
 * Ambiguous framing is refused rather than guessed: a proxy in front might guess otherwise. Checked before all else, as
 * the connection stays open behind other refusals.
 */
static bool check_framing(struct mc_http_connection *c, const struct headers *h)
{
    c->expects_continue = mc_str_given(h->expect);
    c->req.close = true; /* where the next request begins is uncertain when this is refused */
    if (h->count > HEADERS_MAX)
        return refuse(c, 431, "more than 100 headers");
    if (h->malformed)
        return refuse(c, 400, "a header has a character that is not allowed in it");
    if (!is_whole(c, h))
        return refuse(c, 400,
                      "the head has a folded header, a NUL, or a line that does not end with CRLF");
    if (h->repeated) {
        mc_http_problem(&c->req, 400, NULL, "the header %s is given twice", h->repeated);
        return false;
    }
    if (mc_str_given(h->content_length) && mc_str_given(h->transfer_encoding))
        return refuse(c, 400, "Content-Length and Transfer-Encoding exclude each other");
    if (mc_str_given(h->transfer_encoding) &&
        !mc_str_equal_nocase(h->transfer_encoding, MC_STR("chunked")))
        return refuse(c, 501, "the only Transfer-Encoding is chunked");
    if (mc_str_given(h->content_length) &&
        (!mc_str_to_int64(h->content_length, &c->length) || c->length < 0))
        return refuse(c, 400, "Content-Length is not a number");
    c->req.close = false;
    return true;
}

static bool check_origin(struct mc_http_connection *c, const struct headers *h)
{
    const struct mc_http_guard *guard = c->server->guard;
    mc_str host = mc_str_given(c->req.authority) ? c->req.authority : h->host;
    if (!mc_str_given(host))
        return refuse(c, 400, "the header Host is missing");
    if (!mc_http_guard_host(guard, host, c->fd))
        return refuse(c, 421,
                      "this server does not answer for that Host; if it should, name it in "
                      "server.allowed_hosts");
    if (mc_str_given(h->origin) && !mc_http_guard_origin(guard, h->origin, c->fd))
        return refuse(c, 403,
                      "requests from pages of that Origin are not allowed; if they should be, name "
                      "its host in server.allowed_hosts");
    return true;
}

/* The key of "Authorization: Bearer KEY" or "X-API-Key: KEY"; absent when neither is there. */
static mc_str given_key(const struct headers *h)
{
    mc_str bearer = MC_STR("Bearer ");
    if (!mc_str_given(h->authorization))
        return h->api_key;
    if (h->authorization.len < bearer.len ||
        !mc_str_equal_nocase((mc_str){h->authorization.data, bearer.len}, bearer))
        return MC_STR_NONE;
    return mc_str_trim(
        (mc_str){h->authorization.data + bearer.len, h->authorization.len - bearer.len});
}

/* Takes one request of the client's share. */
static bool check_rate(struct mc_http_connection *c, mc_str client, double rate)
{
    char host[MC_ADDRESS_SIZE];
    if (!mc_str_given(client)) {
        struct mc_address peer = {.socket = c->peer};
        mc_address_text(&peer, host);
        client = mc_str_of(host);
    }
    return mc_http_guard_rate(c->server->guard, client, rate, mc_time_monotonic_us()) ||
           refuse(c, 429, "more requests a second than the key or server.rate_limit allows");
}

/* Whoever sends no good key is counted by address, so that keys cannot be tried out fast. */
static bool check_key(struct mc_http_connection *c, const struct headers *h)
{
    struct mc_http_request *req = &c->req;
    struct mc_error err;
    mc_str key = given_key(h);
    if (req->route && req->route->open)
        return true;
    if (!mc_http_guard_has_keys(c->server->guard, req->engine))
        return check_rate(c, MC_STR_NONE, 0);
    if (mc_http_guard_admit(c->server->guard, req->engine, key, &req->grant, &err) != MC_OK)
        return check_rate(c, MC_STR_NONE, 0) && refuse(c, 401, err.message);
    return req->grant ? check_rate(c, req->grant->key_id, req->grant->rate_limit)
                      : check_rate(c, key, 0);
}

/* Answers what has no route: 404, 405, OPTIONS. */
static bool answer_unrouted(struct mc_http_connection *c, enum mc_http_match match,
                            const char *allow)
{
    struct mc_http_request *req = &c->req;
    struct mc_error err;
    mc_str methods = mc_str_of(allow);
    bool options = mc_str_equal(req->method, MC_STR("OPTIONS"));
    if (options && mc_str_equal(req->path, MC_STR("*"))) {
        match = MC_HTTP_NO_METHOD;
        methods = MC_STR("GET, HEAD, POST, PATCH, DELETE, OPTIONS");
    }
    if (match == MC_HTTP_NO_PATH)
        return refuse(c, 404, "there is no such path; /openapi.json lists them");
    if (options)
        mc_http_answer(req, 204, NULL);
    else
        mc_http_problem(req, 405, NULL, "this path takes %s", allow);
    if (mc_http_add_header(req, "Allow", methods, &err) != MC_OK)
        mc_http_problem_error(req, &err);
    return false;
}

/* The media type without its parameters; false when a charset other than UTF-8 is among them. */
static bool media_type(mc_str header, mc_str *type)
{
    mc_str rest = header;
    mc_str part = MC_STR_NONE;
    (void)mc_str_split(&rest, ';', &part);
    *type = mc_str_trim(part);
    mc_str charset = MC_STR("charset=");
    while (mc_str_split(&rest, ';', &part)) {
        part = mc_str_trim(part);
        if (part.len < charset.len ||
            !mc_str_equal_nocase((mc_str){part.data, charset.len}, charset))
            continue;
        mc_str value = {part.data + charset.len, part.len - charset.len};
        if (value.len >= 2 && value.data[0] == '"' && value.data[value.len - 1] == '"')
            value = (mc_str){value.data + 1, value.len - 2};
        if (!mc_str_equal_nocase(value, MC_STR("utf-8")) &&
            !mc_str_equal_nocase(value, MC_STR("us-ascii")))
            return false;
    }
    return true;
}

static bool check_type(struct mc_http_connection *c, const struct headers *h, bool *bulk)
{
    const struct mc_http_route *route = c->req.route;
    mc_str type;
    if (mc_str_given(h->content_encoding) &&
        !mc_str_equal_nocase(h->content_encoding, MC_STR("identity")))
        return refuse(c, 415, "a Content-Encoding is not supported: send the body as it is");
    if (!media_type(h->content_type, &type))
        return refuse(c, 415, "the charset must be utf-8");
    *bulk = route->body == MC_HTTP_BODY_LINES &&
            mc_str_equal_nocase(type, MC_STR("application/x-ndjson"));
    if (*bulk || mc_str_equal_nocase(type, MC_STR("application/json")) ||
        (strcmp(route->method, "PATCH") == 0 &&
         mc_str_equal_nocase(type, MC_STR("application/merge-patch+json"))))
        return true;
    return refuse(c, 415,
                  route->body == MC_HTTP_BODY_LINES
                      ? "the Content-Type must be application/json or application/x-ndjson"
                      : "the Content-Type must be application/json");
}

static bool check_body(struct mc_http_connection *c, const struct headers *h, bool *bulk)
{
    const struct mc_http_route *route = c->req.route;
    bool has_body = c->length > 0 || mc_str_given(h->transfer_encoding);
    if (route->body == MC_HTTP_BODY_NONE)
        return has_body ? refuse(c, 400, "this route takes no body") : true;
    if (!has_body && route->body_optional)
        return true;
    if (!check_type(c, h, bulk))
        return false;
    if (!has_body && !*bulk)
        return refuse(c, 400, "the body is empty");
    if (mc_http_is_full(c->server, 0))
        return refuse(c, 503, mc_http_full);
    if (!*bulk && (uint64_t)c->length > c->server->max_body_bytes) {
        count_refusal(c, 413);
        mc_http_problem(&c->req, 413, NULL, "the body has %lld bytes, server.max_body allows %zu",
                        (long long)c->length, c->server->max_body_bytes);
        return false;
    }
    return true;
}

bool mc_http_check_headers(struct mc_http_connection *c, bool *bulk)
{
    struct headers h = {.count = 0};
    char allow[MC_HTTP_ALLOW_SIZE];
    struct mc_error err;
    (void)MHD_get_connection_values_n(c->mhd, MHD_HEADER_KIND, on_header, &h);
    set_id(c, h.request_id);
    const char *accept = MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, "Accept");
    c->req.accept = accept ? mc_str_of(accept) : MC_STR_NONE;
    if (!check_framing(c, &h))
        return false;
    if (c->target_error.status == MC_TOO_LARGE)
        return refuse(c, 414, c->target_error.message);
    if (!check_origin(c, &h))
        return false;
    enum mc_http_match match = MC_HTTP_NO_PATH;
    if (c->target_error.status == MC_OK)
        match = mc_http_route_find(&c->req, c->server->metrics_only, allow);
    if (!check_key(c, &h))
        return false;
    if (c->target_error.status != MC_OK) {
        mc_http_problem_error(&c->req, &c->target_error);
        return false;
    }
    if (match != MC_HTTP_MATCH)
        return answer_unrouted(c, match, allow);
    if (!check_body(c, &h, bulk))
        return false;
    enum mc_status status = mc_http_parse_query(&c->req, &err);
    if (status == MC_OK)
        status = mc_http_count_grant(c, mc_http_grant_route(&c->req, &err));
    if (status == MC_OK)
        return true;
    mc_http_problem_error(&c->req, &err);
    return false;
}
