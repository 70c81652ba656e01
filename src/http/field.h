/*
 * Named input of a route: query parameters and members of a JSON body. One table of fields reads
 * and checks the request and describes it in /openapi.json.
 */
#ifndef MC_HTTP_FIELD_H
#define MC_HTTP_FIELD_H

#include "base/arena.h"
#include "base/json.h"

enum mc_http_type {
    MC_HTTP_STRING,
    MC_HTTP_INTEGER,
    MC_HTTP_NUMBER,
    MC_HTTP_BOOLEAN,
    MC_HTTP_TIME,   /* RFC 3339; integer holds microseconds */
    MC_HTTP_LIST,   /* of strings; in a query repeated or separated by commas */
    MC_HTTP_CHOICE, /* one of choices */
    MC_HTTP_OBJECT  /* JSON bodies only */
};

struct mc_http_field {
    const char *name;
    enum mc_http_type type;
    bool required;
    double min; /* of numbers, elements of a list; both 0: no bound */
    double max;
    const char *choices; /* "auto|fast|llm" */
    const char *help;
};

/* What was read; the member of the field's type is set when given. Strings live in the request. */
struct mc_http_value {
    bool given;
    bool boolean;
    mc_str text; /* data is never NULL when given, and NULL when not */
    int64_t integer;
    double number;
    const mc_str *items;
    size_t count;
    const struct mc_json *node;
};

#define MC_HTTP_LIST_MAX 64

/*
 * Both fill values[i] for fields[i], zeroed by the caller. MC_INVALID names the field that is
 * unknown, missing, given twice, of the wrong type, or out of range.
 */
MC_MUST_CHECK enum mc_status mc_http_read_query(struct mc_arena *arena, mc_str query,
                                                const struct mc_http_field *fields, size_t count,
                                                struct mc_http_value *values, struct mc_error *err);
/* object must be a JSON object; null members read as not given. */
MC_MUST_CHECK enum mc_status mc_http_read_object(struct mc_arena *arena,
                                                 const struct mc_json *object,
                                                 const struct mc_http_field *fields, size_t count,
                                                 struct mc_http_value *values,
                                                 struct mc_error *err);

/* Decodes %XX, and + as a space where plus is set. MC_INVALID: a bad escape, NUL, or not UTF-8. */
MC_MUST_CHECK enum mc_status mc_http_decode(struct mc_arena *arena, mc_str text, bool plus,
                                            mc_str *out, struct mc_error *err);

#endif
