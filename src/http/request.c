#include "http/request.h"

#include "base/error.h"
#include "base/str.h"
#include "http/routes.h"

#define MAX_TARGET 8192

/* Takes "http://host:port" off the front of a target in absolute form. */
static mc_str strip_authority(struct mc_http_request *req, mc_str target)
{
    mc_str scheme = MC_STR("http://");
    if (target.len <= scheme.len || !mc_str_equal_nocase((mc_str){target.data, scheme.len}, scheme))
        return target;
    mc_str rest = {target.data + scheme.len, target.len - scheme.len};
    size_t end = 0;
    while (end < rest.len && rest.data[end] != '/' && rest.data[end] != '?')
        end++;
    req->authority = (mc_str){rest.data, end};
    return (mc_str){rest.data + end, rest.len - end};
}

static enum mc_status split_path(struct mc_http_request *req, struct mc_error *err)
{
    mc_str rest = {req->path.data + 1, req->path.len - 1};
    mc_str segment;
    while (mc_str_split(&rest, '/', &segment)) {
        if (req->segment_count == MC_HTTP_SEGMENTS)
            return mc_fail(err, MC_NOT_FOUND, "no such path");
        enum mc_status status = MC_OK;
        if (memchr(segment.data, '%', segment.len))
            status = mc_http_decode(&req->arena, segment, false, &segment, err);
        if (status != MC_OK)
            return status;
        req->segments[req->segment_count++] = segment;
    }
    return MC_OK;
}

enum mc_status mc_http_parse_target(struct mc_http_request *req, mc_str target,
                                    struct mc_error *err)
{
    req->path = (mc_str){target.data, target.len < 256 ? target.len : 256};
    if (target.len > MAX_TARGET)
        return mc_fail(err, MC_TOO_LARGE, "the URL is longer than %d bytes", MAX_TARGET);
    target = strip_authority(req, target);
    mc_str query = target;
    mc_str path = MC_STR_NONE;
    (void)mc_str_split(&query, '?', &path);
    req->path = path;
    req->query_text = query;
    if (mc_str_equal(path, MC_STR("*")))
        return MC_OK;
    if (path.len == 0 || path.data[0] != '/')
        return mc_fail(err, MC_INVALID, "the path of the URL must begin with /");
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.data[i];
        if (c <= ' ' || c >= 127 || c == '#')
            return mc_fail(err, MC_INVALID,
                           "the URL holds a character that must be escaped (%%%02X)", c);
    }
    return split_path(req, err);
}

enum mc_status mc_http_parse_query(struct mc_http_request *req, struct mc_error *err)
{
    const struct mc_http_route *route = req->route;
    req->query = mc_arena_array(&req->arena, route->query_count, sizeof(*req->query));
    if (!req->query)
        return mc_fail_memory(err);
    return mc_http_read_query(&req->arena, req->query_text, route->query, route->query_count,
                              req->query, err);
}

enum mc_status mc_http_parse_body(struct mc_http_request *req, struct mc_error *err)
{
    const struct mc_http_route *route = req->route;
    if (route->body != MC_HTTP_BODY_FIELDS)
        return MC_OK;
    req->fields = mc_arena_array(&req->arena, route->field_count, sizeof(*req->fields));
    if (!req->fields)
        return mc_fail_memory(err);
    if (req->body.len == 0 && route->body_optional)
        return MC_OK;
    if (!req->json) {
        enum mc_status status = mc_json_parse(mc_buf_str(&req->body), &req->json, err);
        if (status != MC_OK)
            return status;
    }
    return mc_http_read_object(&req->arena, req->json, route->fields, route->field_count,
                               req->fields, err);
}

enum mc_status mc_http_defer(struct mc_http_request *req)
{
    req->deferred = true;
    return MC_OK;
}
