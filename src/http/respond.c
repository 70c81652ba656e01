/* Answers: JSON documents and problems. */
#include "http/request.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/str.h"

void mc_http_answer(struct mc_http_request *req, int status, const char *content_type)
{
    mc_buf_reset(&req->out);
    req->header_count = 0;
    req->status = status;
    req->content_type = content_type;
}

enum mc_status mc_http_answer_json(struct mc_http_request *req, int status, char *json)
{
    mc_http_answer(req, status, MC_HTTP_JSON);
    mc_buf_text(&req->out, json);
    mc_free(json);
    return MC_OK;
}

enum mc_status mc_http_answer_count(struct mc_http_request *req, const char *key, uint64_t count)
{
    mc_http_answer(req, 200, MC_HTTP_JSON);
    struct mc_json_writer w = mc_json_writer(&req->out);
    mc_json_begin(&w, '{');
    mc_json_member_integer(&w, key, (int64_t)count);
    mc_json_end(&w, '}');
    return MC_OK;
}

enum mc_status mc_http_add_header(struct mc_http_request *req, const char *name, mc_str value,
                                  struct mc_error *err)
{
    if (req->header_count == MC_HTTP_HEADERS)
        return mc_fail(err, MC_INTERNAL, "too many headers in an answer");
    mc_str copy = mc_arena_copy(&req->arena, value);
    if (!copy.data)
        return mc_fail_memory(err);
    req->headers[req->header_count++] = (struct mc_http_header){name, copy.data};
    return MC_OK;
}

const char *mc_http_title(int status)
{
    static const struct {
        int status;
        const char *title;
    } titles[] = {
        {400, "Bad request"},         {401, "Not authenticated"},
        {403, "Not allowed"},         {404, "Not found"},
        {405, "Method not allowed"},  {409, "Conflict"},
        {411, "Length required"},     {413, "Too large"},
        {414, "URL too long"},        {415, "Unsupported media type"},
        {421, "Misdirected request"}, {429, "Too many requests"},
        {431, "Headers too large"},   {499, "Cancelled"},
        {500, "Internal error"},      {501, "Not supported"},
        {503, "Unavailable"},         {504, "Timed out"},
        {507, "No space left"},
    };
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        if (titles[i].status == status)
            return titles[i].title;
    }
    return "Failed";
}

static void write_problem(struct mc_http_request *req, int status, const char *field,
                          const char *detail)
{
    mc_http_answer(req, status, "application/problem+json");
    struct mc_json_writer w = mc_json_writer(&req->out);
    mc_json_begin(&w, '{');
    mc_json_member_text(&w, "type", "about:blank");
    mc_json_member_text(&w, "title", mc_http_title(status));
    mc_json_member_integer(&w, "status", status);
    mc_json_member_text(&w, "detail", detail);
    if (field && *field)
        mc_json_member_text(&w, "field", field);
    mc_json_member_text(&w, "request_id", req->id);
    mc_json_end(&w, '}');
    if (status == 503 || status == 429)
        req->headers[req->header_count++] = (struct mc_http_header){"Retry-After", "1"};
    if (status == 401)
        req->headers[req->header_count++] = (struct mc_http_header){"WWW-Authenticate", "Bearer"};
}

void mc_http_problem(struct mc_http_request *req, int status, const char *field, const char *format,
                     ...)
{
    char detail[512];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    write_problem(req, status, field, detail);
}

void mc_http_problem_error(struct mc_http_request *req, const struct mc_error *err)
{
    int status = mc_status_http(err->status);
    write_problem(req, status >= 400 ? status : 500, err->field,
                  err->message[0] ? err->message : mc_status_text(err->status));
}
