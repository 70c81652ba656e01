#include "http/field.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/utf8.h"

#define KNOWN_MAX 1024 /* of the names of fields in an error */

/* The byte of the escape at text[at], or -1. */
static int escape_at(mc_str text, size_t at)
{
    if (at + 2 >= text.len)
        return -1;
    int high = mc_hex_digit(text.data[at + 1]);
    int low = mc_hex_digit(text.data[at + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

enum mc_status mc_http_decode(struct mc_arena *arena, mc_str text, bool plus, mc_str *out,
                              struct mc_error *err)
{
    char *copy = mc_arena_alloc(arena, text.len + 1);
    if (!copy)
        return mc_fail_memory(err);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        int byte = (unsigned char)text.data[i];
        if (byte == '%') {
            byte = escape_at(text, i);
            i += 2;
        } else if (byte == '+' && plus) {
            byte = ' ';
        }
        if (byte < 0)
            return mc_fail(err, MC_INVALID,
                           "bad escape in the URL: %% must be followed by two hexadecimal digits");
        if (byte == 0)
            return mc_fail(err, MC_INVALID, "the URL holds a NUL byte (%%00)");
        copy[len++] = (char)byte;
    }
    mc_str result = {copy, len};
    if (!mc_utf8_check(result, NULL, NULL))
        return mc_fail(err, MC_INVALID, "the URL is not valid UTF-8 after decoding");
    *out = result;
    return MC_OK;
}

static enum mc_status check_range(const struct mc_http_field *field, double value,
                                  struct mc_error *err)
{
    if ((field->min == 0 && field->max == 0) || (value >= field->min && value <= field->max))
        return MC_OK;
    return mc_fail_field(err, MC_INVALID, field->name, "%s must be from %.16g to %.16g",
                         field->name, field->min, field->max);
}

static enum mc_status read_choice(const struct mc_http_field *field, mc_str text,
                                  struct mc_http_value *value, struct mc_error *err)
{
    mc_str rest = mc_str_of(field->choices);
    mc_str choice;
    while (mc_str_split(&rest, '|', &choice)) {
        if (mc_str_equal(choice, text)) {
            value->text = text;
            return MC_OK;
        }
    }
    return mc_fail_field(err, MC_INVALID, field->name, "%s must be one of %s", field->name,
                         field->choices);
}

static enum mc_status read_time(const struct mc_http_field *field, mc_str text,
                                struct mc_http_value *value, struct mc_error *err)
{
    if (mc_time_parse(text, &value->integer))
        return MC_OK;
    return mc_fail_field(err, MC_INVALID, field->name,
                         "%s must be a time as in 2026-01-31T12:00:00Z (RFC 3339)", field->name);
}

/* Adds the items of a comma-separated text to a list that has room for MC_HTTP_LIST_MAX. */
static enum mc_status read_items(struct mc_arena *arena, const struct mc_http_field *field,
                                 mc_str text, struct mc_http_value *value, struct mc_error *err)
{
    mc_str *items = (mc_str *)(uintptr_t)value->items;
    if (!items)
        items = mc_arena_array(arena, MC_HTTP_LIST_MAX, sizeof(mc_str));
    if (!items)
        return mc_fail_memory(err);
    value->items = items;
    mc_str item;
    while (mc_str_split(&text, ',', &item)) {
        item = mc_str_trim(item);
        if (item.len == 0)
            return mc_fail_field(err, MC_INVALID, field->name, "%s has an empty element",
                                 field->name);
        if (value->count == MC_HTTP_LIST_MAX)
            return mc_fail_field(err, MC_INVALID, field->name, "%s has more than %d elements",
                                 field->name, MC_HTTP_LIST_MAX);
        items[value->count++] = item;
    }
    return MC_OK;
}

static enum mc_status read_text(struct mc_arena *arena, const struct mc_http_field *field,
                                mc_str text, struct mc_http_value *value, struct mc_error *err)
{
    switch (field->type) {
    case MC_HTTP_INTEGER:
        if (!mc_str_to_int64(text, &value->integer))
            return mc_fail_field(err, MC_INVALID, field->name, "%s must be an integer",
                                 field->name);
        return check_range(field, (double)value->integer, err);
    case MC_HTTP_NUMBER:
        if (!mc_str_to_double(text, &value->number))
            return mc_fail_field(err, MC_INVALID, field->name, "%s must be a number", field->name);
        return check_range(field, value->number, err);
    case MC_HTTP_BOOLEAN:
        value->boolean = mc_str_equal(text, MC_STR("true"));
        if (!value->boolean && !mc_str_equal(text, MC_STR("false")))
            return mc_fail_field(err, MC_INVALID, field->name, "%s must be true or false",
                                 field->name);
        return MC_OK;
    case MC_HTTP_TIME:
        return read_time(field, text, value, err);
    case MC_HTTP_LIST:
        return read_items(arena, field, text, value, err);
    case MC_HTTP_CHOICE:
        return read_choice(field, text, value, err);
    case MC_HTTP_STRING:
    case MC_HTTP_OBJECT:
        break;
    }
    value->text = text;
    return MC_OK;
}

/* The index of the field of that name, count when there is none. */
static size_t find_field(const struct mc_http_field *fields, size_t count, mc_str name)
{
    size_t i = 0;
    while (i < count && !mc_str_equal(mc_str_of(fields[i].name), name))
        i++;
    return i;
}

/* The error names what there is; the foreign name is cut, so that it cannot fill the message. */
static enum mc_status fail_unknown(const char *what, mc_str name,
                                   const struct mc_http_field *fields, size_t count,
                                   struct mc_error *err)
{
    char text[60];
    mc_str cut = mc_utf8_cut(name, sizeof(text) - 1);
    snprintf(text, sizeof(text), "%.*s", MC_STR_ARG(cut));
    for (char *c = text; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    }
    mc_auto(mc_buf_fini) struct mc_buf known;
    mc_buf_init(&known, KNOWN_MAX);
    for (size_t i = 0; i < count; i++)
        mc_buf_printf(&known, "%s%s", i ? ", " : "; there are ", fields[i].name);
    return mc_fail_field(err, MC_INVALID, text, "unknown %s '%s'%.*s", what, text,
                         MC_STR_ARG(mc_buf_str(&known)));
}

static enum mc_status check_required(const struct mc_http_field *fields, size_t count,
                                     const struct mc_http_value *values, struct mc_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (fields[i].required && !values[i].given)
            return mc_fail_field(err, MC_INVALID, fields[i].name, "%s is missing", fields[i].name);
    }
    return MC_OK;
}

static enum mc_status read_parameter(struct mc_arena *arena, mc_str pair,
                                     const struct mc_http_field *fields, size_t count,
                                     struct mc_http_value *values, struct mc_error *err)
{
    mc_str name = MC_STR_NONE;
    mc_str text = pair;
    if (!mc_str_split(&text, '=', &name))
        return MC_OK;
    if (name.len == pair.len)
        text = MC_STR("");
    enum mc_status status = mc_http_decode(arena, name, true, &name, err);
    if (status == MC_OK)
        status = mc_http_decode(arena, text, true, &text, err);
    if (status != MC_OK)
        return status;
    size_t i = find_field(fields, count, name);
    if (i == count)
        return fail_unknown("query parameter", name, fields, count, err);
    if (values[i].given && fields[i].type != MC_HTTP_LIST)
        return mc_fail_field(err, MC_INVALID, fields[i].name, "%s is given twice", fields[i].name);
    values[i].given = true;
    return read_text(arena, &fields[i], text, &values[i], err);
}

enum mc_status mc_http_read_query(struct mc_arena *arena, mc_str query,
                                  const struct mc_http_field *fields, size_t count,
                                  struct mc_http_value *values, struct mc_error *err)
{
    mc_str pair;
    while (query.len > 0 && mc_str_split(&query, '&', &pair)) {
        if (pair.len == 0)
            continue;
        enum mc_status status = read_parameter(arena, pair, fields, count, values, err);
        if (status != MC_OK)
            return status;
    }
    return check_required(fields, count, values, err);
}

static enum mc_status fail_type(const struct mc_http_field *field, const char *expected,
                                const struct mc_json *node, struct mc_error *err)
{
    return mc_fail_field(err, MC_INVALID, field->name, "%s must be %s, not %s", field->name,
                         expected, mc_json_type_name(mc_json_type(node)));
}

static enum mc_status read_array(struct mc_arena *arena, const struct mc_http_field *field,
                                 const struct mc_json *node, struct mc_http_value *value,
                                 struct mc_error *err)
{
    size_t count = mc_json_count(node);
    if (count > MC_HTTP_LIST_MAX)
        return mc_fail_field(err, MC_INVALID, field->name, "%s has more than %d elements",
                             field->name, MC_HTTP_LIST_MAX);
    mc_str *items = mc_arena_array(arena, count, sizeof(mc_str));
    if (!items)
        return mc_fail_memory(err);
    for (size_t i = 0; i < count; i++) {
        const struct mc_json *item = mc_json_at(node, i);
        if (mc_json_type(item) != MC_JSON_STRING)
            return mc_fail_field(err, MC_INVALID, field->name, "%s must be a list of strings",
                                 field->name);
        items[i] = mc_json_string(item);
    }
    value->items = items;
    value->count = count;
    return MC_OK;
}

static enum mc_status read_node(struct mc_arena *arena, const struct mc_http_field *field,
                                const struct mc_json *node, struct mc_http_value *value,
                                struct mc_error *err)
{
    enum mc_json_type type = mc_json_type(node);
    switch (field->type) {
    case MC_HTTP_INTEGER:
        if (type != MC_JSON_INTEGER)
            return fail_type(field, "an integer", node, err);
        value->integer = mc_json_integer(node);
        return check_range(field, (double)value->integer, err);
    case MC_HTTP_NUMBER:
        if (type != MC_JSON_INTEGER && type != MC_JSON_NUMBER)
            return fail_type(field, "a number", node, err);
        value->number = mc_json_number(node);
        return check_range(field, value->number, err);
    case MC_HTTP_BOOLEAN:
        if (type != MC_JSON_BOOLEAN)
            return fail_type(field, "true or false", node, err);
        value->boolean = mc_json_boolean(node);
        return MC_OK;
    case MC_HTTP_LIST:
        if (type != MC_JSON_ARRAY)
            return fail_type(field, "a list of strings", node, err);
        return read_array(arena, field, node, value, err);
    case MC_HTTP_OBJECT:
        if (type != MC_JSON_OBJECT)
            return fail_type(field, "an object", node, err);
        value->node = node;
        return MC_OK;
    case MC_HTTP_STRING:
    case MC_HTTP_TIME:
    case MC_HTTP_CHOICE:
        break;
    }
    if (type != MC_JSON_STRING)
        return fail_type(field, "a string", node, err);
    return read_text(arena, field, mc_json_string(node), value, err);
}

enum mc_status mc_http_read_object(struct mc_arena *arena, const struct mc_json *object,
                                   const struct mc_http_field *fields, size_t count,
                                   struct mc_http_value *values, struct mc_error *err)
{
    if (mc_json_type(object) != MC_JSON_OBJECT)
        return mc_fail(err, MC_INVALID, "the body must be a JSON object, not %s",
                       mc_json_type_name(mc_json_type(object)));
    void *cursor = NULL;
    mc_str key;
    const struct mc_json *node;
    while (mc_json_next(object, &cursor, &key, &node)) {
        size_t i = find_field(fields, count, key);
        if (i == count)
            return fail_unknown("field", key, fields, count, err);
        if (mc_json_type(node) == MC_JSON_NULL)
            continue;
        values[i].given = true;
        enum mc_status status = read_node(arena, &fields[i], node, &values[i], err);
        if (status != MC_OK)
            return status;
    }
    return check_required(fields, count, values, err);
}
