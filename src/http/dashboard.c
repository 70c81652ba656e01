/*
 * The page at "/" and what it loads. It holds no data and needs no key: what it shows it asks from
 * the routes of /v1 itself.
 */
#include "http/dashboard.h"

#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "http/routes.h"

/* Nothing from elsewhere, nothing inline, and no text that becomes markup. */
#define PAGE_POLICY                                                                                \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';" \
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none';"                                \
    " require-trusted-types-for 'script'; trusted-types 'none'"
#define ABSENT_POLICY                                                                              \
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static const struct mc_http_file *find_file(const char *path)
{
    const struct mc_http_file *file = mc_http_dashboard_files;
    while (file->path && strcmp(file->path, path) != 0)
        file++;
    return file->path ? file : NULL;
}

static void answer_file(struct mc_http_request *req, const struct mc_http_file *file)
{
    mc_http_answer(req, 200, req->route->content_type);
    mc_buf_append(&req->out, (mc_str){(const char *)file->data, file->len});
}

/* What there is to see without the dashboard. */
static enum mc_status answer_absent(struct mc_http_request *req, struct mc_error *err)
{
    static const char start[] =
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<title>Mindcore</title>\n</head>\n<body>\n<h1>Mindcore</h1>\n";
    static const char links[] =
        "<p>The dashboard is not built into this program: that needs npm. What there is to "
        "see:</p>\n"
        "<ul>\n"
        "<li><a href=\"/health\">/health</a>: the checks in full</li>\n"
        "<li><a href=\"/openapi.json\">/openapi.json</a>: every route of the interface</li>\n"
        "<li><a href=\"/metrics\">/metrics</a>: counts for Prometheus</li>\n"
        "<li><a href=\"/v1/status\">/v1/status</a>: messages, users, sizes</li>\n"
        "<li><a href=\"/v1/queue\">/v1/queue</a>: enrichment jobs</li>\n"
        "</ul>\n</body>\n</html>\n";
    bool healthy = false;
    char *json = NULL;
    enum mc_status status =
        mc_engine_health_within(req->engine, MC_US_PER_SECOND, &healthy, &json, err);
    if (status != MC_OK)
        return status;
    mc_free(json);
    mc_http_answer(req, 200, req->route->content_type);
    mc_buf_text(&req->out, start);
    mc_buf_printf(&req->out, "<p>Version %s on %s, %s.</p>\n", mc_version(),
                  mc_engine_backend(req->engine), healthy ? "healthy" : "not healthy");
    mc_buf_text(&req->out, links);
    return mc_http_add_header(req, "Content-Security-Policy", MC_STR(ABSENT_POLICY), err);
}

enum mc_status mc_http_page(struct mc_http_request *req, struct mc_error *err)
{
    const struct mc_http_file *page = find_file(req->route->path);
    if (!page)
        return answer_absent(req, err);
    answer_file(req, page);
    return mc_http_add_header(req, "Content-Security-Policy", MC_STR(PAGE_POLICY), err);
}

enum mc_status mc_http_asset(struct mc_http_request *req, struct mc_error *err)
{
    const struct mc_http_file *file = find_file(req->route->path);
    if (!file)
        return mc_fail(err, MC_NOT_FOUND, "the dashboard is not built into this program");
    answer_file(req, file);
    return MC_OK;
}
