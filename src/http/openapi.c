/* /openapi.json: the table of routes, told in OpenAPI 3.1. */
#include "http/routes.h"

#include <stdio.h>

#include "base/str.h"

static const char *schema_type(enum mc_http_type type)
{
    switch (type) {
    case MC_HTTP_INTEGER:
        return "integer";
    case MC_HTTP_NUMBER:
        return "number";
    case MC_HTTP_BOOLEAN:
        return "boolean";
    case MC_HTTP_LIST:
        return "array";
    case MC_HTTP_OBJECT:
        return "object";
    case MC_HTTP_STRING:
    case MC_HTTP_TIME:
    case MC_HTTP_CHOICE:
        break;
    }
    return "string";
}

static void put_ref(struct mc_json_writer *w, const char *name)
{
    char ref[96];
    snprintf(ref, sizeof(ref), "#/components/schemas/%s", name);
    mc_json_begin(w, '{');
    mc_json_member_text(w, "$ref", ref);
    mc_json_end(w, '}');
}

static void put_field_schema(struct mc_json_writer *w, const struct mc_http_field *field,
                             bool nullable)
{
    mc_json_begin(w, '{');
    mc_json_key(w, "type");
    if (nullable) {
        mc_json_begin(w, '[');
        mc_json_put_text(w, schema_type(field->type));
        mc_json_put_text(w, "null");
        mc_json_end(w, ']');
    } else {
        mc_json_put_text(w, schema_type(field->type));
    }
    if (field->type == MC_HTTP_TIME)
        mc_json_member_text(w, "format", "date-time");
    if (field->type == MC_HTTP_LIST) {
        mc_json_key(w, "items");
        mc_json_put_raw(w, MC_STR("{\"type\":\"string\"}"));
    }
    if (field->min != 0 || field->max != 0) {
        mc_json_member_number(w, "minimum", field->min);
        mc_json_member_number(w, "maximum", field->max);
    }
    if (field->choices) {
        mc_str rest = mc_str_of(field->choices);
        mc_str choice;
        mc_json_key(w, "enum");
        mc_json_begin(w, '[');
        while (mc_str_split(&rest, '|', &choice))
            mc_json_put_string(w, choice);
        if (nullable)
            mc_json_put_null(w);
        mc_json_end(w, ']');
    }
    mc_json_member_text(w, "description", field->help);
    mc_json_end(w, '}');
}

static void put_parameter(struct mc_json_writer *w, mc_str name, const char *in, bool required,
                          const struct mc_http_field *field)
{
    mc_json_begin(w, '{');
    mc_json_member_string(w, "name", name);
    mc_json_member_text(w, "in", in);
    mc_json_member_boolean(w, "required", required);
    mc_json_key(w, "schema");
    if (field)
        put_field_schema(w, field, false);
    else
        mc_json_put_raw(w, MC_STR("{\"type\":\"string\",\"minLength\":1,\"maxLength\":255,"
                                  "\"pattern\":\"^[A-Za-z0-9_\\\\-:.@]+$\"}"));
    mc_json_end(w, '}');
}

static void put_parameters(struct mc_json_writer *w, const struct mc_http_route *route)
{
    mc_json_key(w, "parameters");
    mc_json_begin(w, '[');
    mc_str rest = mc_str_of(route->path);
    mc_str part;
    while (mc_str_split(&rest, '/', &part)) {
        if (part.len > 2 && part.data[0] == '{')
            put_parameter(w, (mc_str){part.data + 1, part.len - 2}, "path", true, NULL);
    }
    for (size_t i = 0; i < route->query_count; i++)
        put_parameter(w, mc_str_of(route->query[i].name), "query", route->query[i].required,
                      &route->query[i]);
    mc_json_end(w, ']');
}

static void put_body_schema(struct mc_json_writer *w, const struct mc_http_route *route)
{
    mc_json_begin(w, '{');
    mc_json_member_text(w, "type", "object");
    mc_json_member_boolean(w, "additionalProperties", false);
    mc_json_key(w, "required");
    mc_json_begin(w, '[');
    for (size_t i = 0; i < route->field_count; i++) {
        if (route->fields[i].required)
            mc_json_put_text(w, route->fields[i].name);
    }
    mc_json_end(w, ']');
    mc_json_key(w, "properties");
    mc_json_begin(w, '{');
    for (size_t i = 0; i < route->field_count; i++) {
        mc_json_key(w, route->fields[i].name);
        put_field_schema(w, &route->fields[i], !route->fields[i].required);
    }
    mc_json_end(w, '}');
    mc_json_end(w, '}');
}

static void put_body(struct mc_json_writer *w, const struct mc_http_route *route)
{
    if (route->body == MC_HTTP_BODY_NONE)
        return;
    mc_json_key(w, "requestBody");
    mc_json_begin(w, '{');
    mc_json_member_boolean(w, "required", !route->body_optional);
    mc_json_key(w, "content");
    mc_json_begin(w, '{');
    mc_json_key(w, "application/json");
    mc_json_begin(w, '{');
    mc_json_key(w, "schema");
    put_body_schema(w, route);
    mc_json_end(w, '}');
    if (route->body == MC_HTTP_BODY_LINES) {
        mc_json_key(w, "application/x-ndjson");
        mc_json_put_raw(
            w, MC_STR("{\"schema\":{\"type\":\"string\",\"description\":\"One object a line, "
                      "each as in application/json\"}}"));
    }
    mc_json_end(w, '}');
    mc_json_end(w, '}');
}

/* One answer: schema NULL for one without a body. */
static void put_answer(struct mc_json_writer *w, const char *status, const char *description,
                       const char *content_type, const char *schema)
{
    mc_json_key(w, status);
    mc_json_begin(w, '{');
    mc_json_member_text(w, "description", description);
    if (schema) {
        mc_json_key(w, "content");
        mc_json_begin(w, '{');
        mc_json_key(w, content_type);
        mc_json_begin(w, '{');
        mc_json_key(w, "schema");
        put_ref(w, schema);
        mc_json_end(w, '}');
        mc_json_end(w, '}');
    }
    mc_json_end(w, '}');
}

/* NDJSON has its own answer, under the status that an idempotent repeat has too. */
static void put_lines_answer(struct mc_json_writer *w)
{
    mc_json_key(w, "200");
    mc_json_put_raw(w,
                    MC_STR("{\"description\":\"An idempotent repeat; or what became of the lines\","
                           "\"content\":{\"application/json\":{\"schema\":{\"oneOf\":["
                           "{\"$ref\":\"#/components/schemas/Message\"},"
                           "{\"$ref\":\"#/components/schemas/BulkResult\"}]}}}}"));
}

static void put_answers(struct mc_json_writer *w, const struct mc_http_route *route)
{
    char status[16];
    const char *type = route->content_type ? route->content_type : MC_HTTP_JSON;
    mc_json_key(w, "responses");
    mc_json_begin(w, '{');
    snprintf(status, sizeof(status), "%d", route->success ? route->success : 200);
    put_answer(w, status, "Done", type, route->schema);
    if (route->body == MC_HTTP_BODY_LINES) {
        put_lines_answer(w);
    } else if (route->success_other) {
        snprintf(status, sizeof(status), "%d", route->success_other);
        put_answer(w, status, "Not well", type, route->schema);
    }
    put_answer(w, "default", "A problem", "application/problem+json", "Problem");
    mc_json_end(w, '}');
}

static void put_operation(struct mc_json_writer *w, const struct mc_http_route *route)
{
    char method[8];
    size_t len = strlen(route->method);
    for (size_t i = 0; i <= len && i < sizeof(method); i++)
        method[i] =
            (char)(route->method[i] >= 'A' && route->method[i] <= 'Z' ? route->method[i] + 32
                                                                      : route->method[i]);
    mc_json_key(w, method);
    mc_json_begin(w, '{');
    mc_json_member_text(w, "operationId", route->name);
    mc_json_member_text(w, "summary", route->summary);
    put_parameters(w, route);
    put_body(w, route);
    put_answers(w, route);
    mc_json_key(w, "security");
    mc_json_put_raw(w, route->open ? MC_STR("[]") : MC_STR("[{\"bearer\":[]},{\"apiKey\":[]},{}]"));
    mc_json_end(w, '}');
}

/* True when no route before this one has its path. */
static bool is_first_of_path(size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(mc_http_route_at(i)->path, mc_http_route_at(index)->path) == 0)
            return false;
    }
    return true;
}

static void put_paths(struct mc_json_writer *w)
{
    mc_json_key(w, "paths");
    mc_json_begin(w, '{');
    for (size_t i = 0; i < mc_http_route_count(); i++) {
        const char *path = mc_http_route_at(i)->path;
        if (!is_first_of_path(i))
            continue;
        mc_json_key(w, path);
        mc_json_begin(w, '{');
        for (size_t j = i; j < mc_http_route_count(); j++) {
            if (strcmp(mc_http_route_at(j)->path, path) == 0)
                put_operation(w, mc_http_route_at(j));
        }
        mc_json_end(w, '}');
    }
    mc_json_end(w, '}');
}

static void put_components(struct mc_json_writer *w)
{
    const char *name;
    const char *json;
    mc_json_key(w, "components");
    mc_json_begin(w, '{');
    mc_json_key(w, "schemas");
    mc_json_begin(w, '{');
    for (size_t i = 0; mc_http_schema_at(i, &name, &json); i++) {
        mc_json_key(w, name);
        mc_json_put_raw(w, mc_str_of(json));
    }
    mc_json_end(w, '}');
    mc_json_key(w, "securitySchemes");
    mc_json_put_raw(
        w, MC_STR("{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"},\"apiKey\":{\"type\":"
                  "\"apiKey\",\"in\":\"header\",\"name\":\"X-API-Key\"}}"));
    mc_json_end(w, '}');
}

enum mc_status mc_http_openapi(struct mc_http_request *req, struct mc_error *err)
{
    (void)err;
    mc_http_answer(req, 200, MC_HTTP_JSON);
    struct mc_json_writer w = mc_json_writer(&req->out);
    mc_json_begin(&w, '{');
    mc_json_member_text(&w, "openapi", "3.1.0");
    mc_json_key(&w, "info");
    mc_json_begin(&w, '{');
    mc_json_member_text(&w, "title", "Mindcore");
    mc_json_member_text(&w, "version", mc_version());
    mc_json_member_text(
        &w, "description",
        "Memory of AI agents. A key is needed where there are keys (docs/http.md).");
    mc_json_end(&w, '}');
    put_paths(&w);
    put_components(&w);
    mc_json_end(&w, '}');
    return MC_OK;
}
