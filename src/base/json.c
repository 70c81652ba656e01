/*
 * See base/json.h. A struct mc_json is a json_t of jansson under another name. The depth limit of
 * jansson is fixed in its build, so brackets are counted before it sees the text.
 */
#include "base/json.h"

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/str.h"
#include "base/utf8.h"

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)
#define DECIMALS_MAX 17
#define NUMBER_SIZE 352 /* the largest double has 309 digits before the point */

/* jansson takes mutable pointers where it only reads. */
static json_t *tree(const struct mc_json *node)
{
    return (json_t *)(uintptr_t)node;
}

/* Where text goes deeper than MC_JSON_DEPTH, or its length. Strings are skipped, the rest is
 * jansson's. */
static size_t find_too_deep(mc_str text)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '"')
            in_string = !in_string;
        else if (in_string)
            i += c == '\\' ? 1 : 0;
        else if ((c == '{' || c == '[') && ++depth > MC_JSON_DEPTH)
            return i;
        else if ((c == '}' || c == ']') && depth > 0)
            depth--;
    }
    return text.len;
}

static enum mc_status fail_too_deep(mc_str text, size_t at, struct mc_error *err)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at; i++) {
        bool newline = text.data[i] == '\n';
        bool starts = ((unsigned char)text.data[i] & 0xC0U) != 0x80U;
        line += newline ? 1 : 0;
        column = newline ? 1 : column + (starts ? 1 : 0);
    }
    return mc_fail(err, MC_INVALID, "JSON, line %zu, column %zu: more than %d levels deep", line,
                   column, MC_JSON_DEPTH);
}

/*
 * jansson reports an allocation that fails inside of a string as a syntax error, so it is given a
 * malloc that remembers. This changes nothing for a program that uses jansson too; one that brought
 * its own functions keeps them.
 */
static _Thread_local bool memory_short;
static pthread_once_t watch_once = PTHREAD_ONCE_INIT;

static void *watched_malloc(size_t size)
{
    void *memory = malloc(size);
    memory_short = memory_short || !memory;
    return memory;
}

static void watch_memory(void)
{
    json_malloc_t allocate;
    json_free_t release;
    json_get_alloc_funcs(&allocate, &release);
    if (allocate == malloc && release == free)
        json_set_alloc_funcs(watched_malloc, free);
}

enum mc_status mc_json_parse(mc_str text, struct mc_json **root, struct mc_error *err)
{
    size_t too_deep = find_too_deep(text);
    if (too_deep < text.len)
        return fail_too_deep(text, too_deep, err);
    json_error_t error = {0};
    pthread_once(&watch_once, watch_memory);
    memory_short = false;
    json_t *value = json_loadb(text.data ? text.data : "", text.len,
                               JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (value) {
        *root = (struct mc_json *)value;
        return MC_OK;
    }
    if (memory_short || json_error_code(&error) == json_error_out_of_memory)
        return mc_fail_memory(err);
    const char *reason = error.text;
    if (json_error_code(&error) == json_error_null_character)
        reason = "\\u0000 is not allowed"; /* jansson names a flag of its own */
    return mc_fail(err, MC_INVALID, "JSON, line %d, column %d: %s", error.line, error.column,
                   reason);
}

void mc_json_free(struct mc_json *root)
{
    json_decref((json_t *)root);
}

enum mc_json_type mc_json_type(const struct mc_json *node)
{
    if (!node)
        return MC_JSON_NULL;
    switch (json_typeof(tree(node))) {
    case JSON_OBJECT:
        return MC_JSON_OBJECT;
    case JSON_ARRAY:
        return MC_JSON_ARRAY;
    case JSON_STRING:
        return MC_JSON_STRING;
    case JSON_INTEGER:
        return MC_JSON_INTEGER;
    case JSON_REAL:
        return MC_JSON_NUMBER;
    case JSON_TRUE:
    case JSON_FALSE:
        return MC_JSON_BOOLEAN;
    case JSON_NULL:
        break;
    }
    return MC_JSON_NULL;
}

const char *mc_json_type_name(enum mc_json_type type)
{
    static const char *const names[] = {"null",   "boolean", "integer", "number",
                                        "string", "array",   "object"};
    return (unsigned)type <= MC_JSON_OBJECT ? names[type] : "";
}

mc_str mc_json_string(const struct mc_json *node)
{
    if (mc_json_type(node) != MC_JSON_STRING)
        return MC_STR_NONE;
    return (mc_str){json_string_value(tree(node)), json_string_length(tree(node))};
}

int64_t mc_json_integer(const struct mc_json *node)
{
    return (int64_t)json_integer_value(tree(node));
}

double mc_json_number(const struct mc_json *node)
{
    return json_number_value(tree(node));
}
bool mc_json_boolean(const struct mc_json *node)
{
    return json_is_true(tree(node));
}

size_t mc_json_count(const struct mc_json *node)
{
    return mc_json_type(node) == MC_JSON_OBJECT ? json_object_size(tree(node))
                                                : json_array_size(tree(node));
}

const struct mc_json *mc_json_at(const struct mc_json *array, size_t index)
{
    return (const struct mc_json *)json_array_get(tree(array), index);
}

const struct mc_json *mc_json_get(const struct mc_json *object, const char *key)
{
    return (const struct mc_json *)json_object_get(tree(object), key);
}

bool mc_json_next(const struct mc_json *object, void **cursor, mc_str *key,
                  const struct mc_json **value)
{
    if (mc_json_type(object) != MC_JSON_OBJECT)
        return false;
    *cursor =
        *cursor ? json_object_iter_next(tree(object), *cursor) : json_object_iter(tree(object));
    if (!*cursor)
        return false;
    *key = mc_str_of(json_object_iter_key(*cursor));
    *value = (const struct mc_json *)json_object_iter_value(*cursor);
    return true;
}

/* A tree of mc_json_parse is at most MC_JSON_DEPTH deep, and so is the recursion. */
static void write_node(struct mc_json_writer *w, const struct mc_json *node)
{
    void *cursor = NULL;
    mc_str key;
    const struct mc_json *value;
    switch (mc_json_type(node)) {
    case MC_JSON_NULL:
        mc_json_put_null(w);
        break;
    case MC_JSON_BOOLEAN:
        mc_json_put_boolean(w, mc_json_boolean(node));
        break;
    case MC_JSON_INTEGER:
        mc_json_put_integer(w, mc_json_integer(node));
        break;
    case MC_JSON_NUMBER:
        mc_json_put_number(w, mc_json_number(node));
        break;
    case MC_JSON_STRING:
        mc_json_put_string(w, mc_json_string(node));
        break;
    case MC_JSON_ARRAY:
        mc_json_begin(w, '[');
        for (size_t i = 0; i < mc_json_count(node); i++)
            write_node(w, mc_json_at(node, i));
        mc_json_end(w, ']');
        break;
    case MC_JSON_OBJECT:
        mc_json_begin(w, '{');
        while (mc_json_next(node, &cursor, &key, &value)) {
            mc_json_key_str(w, key);
            write_node(w, value);
        }
        mc_json_end(w, '}');
        break;
    }
}

void mc_json_dump(const struct mc_json *node, struct mc_buf *out)
{
    struct mc_json_writer w = mc_json_writer(out);
    write_node(&w, node);
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* A high bit for some byte of the word that is below 0x20, a quote, a backslash or not ASCII. */
static uint64_t find_special(uint64_t word)
{
    uint64_t quote = word ^ ONES * '"';
    uint64_t backslash = word ^ ONES * '\\';
    return ((word - ONES * 0x20) | (quote - ONES) | (backslash - ONES) | word) & HIGHS;
}

/* Length of the text from i on that is copied as it is: plain ASCII and valid longer characters. */
static size_t copy_span(mc_str text, size_t start)
{
    size_t i = start;
    while (i < text.len) {
        uint64_t word;
        if (text.len - i >= sizeof(word)) {
            memcpy(&word, text.data + i, sizeof(word));
            if (find_special(word) == 0) {
                i += sizeof(word);
                continue;
            }
        }
        unsigned char c = (unsigned char)text.data[i];
        size_t next = i;
        if (c >= 0x80 ? mc_utf8_next(text, &next) < 0 : !is_plain(c))
            break;
        i = c >= 0x80 ? next : i + 1;
    }
    return i - start;
}

static void append_escape(struct mc_buf *out, unsigned char c)
{
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (size_t i = 0; i < sizeof(shorts) - 1; i += 2) {
        if ((unsigned char)shorts[i] == c) {
            mc_buf_append(out, (mc_str){(const char[]){'\\', shorts[i + 1]}, 2});
            return;
        }
    }
    if (c >= 0x80)
        mc_buf_append(out, MC_STR("\xEF\xBF\xBD"));
    else
        mc_buf_printf(out, "\\u%04x", c);
}

static void append_quoted(struct mc_buf *out, mc_str text)
{
    mc_buf_char(out, '"');
    for (size_t i = 0; i < text.len;) {
        size_t span = copy_span(text, i);
        mc_buf_append(out, (mc_str){text.data + i, span});
        i += span;
        if (i < text.len)
            append_escape(out, (unsigned char)text.data[i++]);
    }
    mc_buf_char(out, '"');
}

/* The comma in front of a value or key, when one is due. */
static void separate(struct mc_json_writer *w)
{
    if (w->comma)
        mc_buf_char(w->out, ',');
    w->comma = true;
}

void mc_json_begin(struct mc_json_writer *w, char bracket)
{
    separate(w);
    mc_buf_char(w->out, bracket);
    w->comma = false;
}

void mc_json_end(struct mc_json_writer *w, char bracket)
{
    mc_buf_char(w->out, bracket);
    w->comma = true;
}

void mc_json_key(struct mc_json_writer *w, const char *key)
{
    mc_json_key_str(w, mc_str_of(key));
}

void mc_json_key_str(struct mc_json_writer *w, mc_str key)
{
    separate(w);
    append_quoted(w->out, key);
    mc_buf_char(w->out, ':');
    w->comma = false;
}

void mc_json_put_string(struct mc_json_writer *w, mc_str text)
{
    separate(w);
    append_quoted(w->out, text);
}

void mc_json_put_text(struct mc_json_writer *w, const char *text)
{
    if (text)
        mc_json_put_string(w, mc_str_of(text));
    else
        mc_json_put_null(w);
}

void mc_json_put_integer(struct mc_json_writer *w, int64_t value)
{
    char text[24];
    char *at = text + sizeof(text);
    uint64_t rest = value < 0 ? UINT64_C(0) - (uint64_t)value : (uint64_t)value;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        *--at = '-';
    mc_json_put_raw(w, (mc_str){at, (size_t)(text + sizeof(text) - at)});
}

/* The locale of the program may have another decimal point, even one of several bytes. */
static mc_str with_point(char *text)
{
    size_t len = 0;
    bool point = false;
    for (const char *c = text; *c; c++) {
        bool numeral = (*c >= '0' && *c <= '9') || *c == '-' || *c == '+' || *c == 'e';
        if (numeral || !point)
            text[len++] = numeral ? *c : '.';
        point = point || !numeral;
    }
    text[len] = '\0';
    return (mc_str){text, len};
}

void mc_json_put_number(struct mc_json_writer *w, double value)
{
    char text[32];
    if (!isfinite(value)) {
        mc_json_put_null(w);
        return;
    }
    if (fpclassify(value) == FP_ZERO && signbit(value)) {
        mc_json_put_raw(w, MC_STR("-0.0")); /* "-0" would read back as an integer */
        return;
    }
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof(text), "%.*g", precision, value);
        double back = strtod(text, NULL);
        if (memcmp(&back, &value, sizeof(back)) == 0)
            break;
    }
    mc_json_put_raw(w, with_point(text));
}

void mc_json_put_fixed(struct mc_json_writer *w, double value, int decimals)
{
    char text[NUMBER_SIZE];
    if (!isfinite(value)) {
        mc_json_put_null(w);
        return;
    }
    decimals = decimals < 0 ? 0 : decimals > DECIMALS_MAX ? DECIMALS_MAX : decimals;
    snprintf(text, sizeof(text), "%.*f", decimals, value);
    mc_str number = with_point(text);
    if (text[0] == '-' && strspn(text + 1, "0.") == number.len - 1)
        number = (mc_str){text + 1, number.len - 1}; /* rounded to zero */
    mc_json_put_raw(w, number);
}

void mc_json_put_boolean(struct mc_json_writer *w, bool value)
{
    mc_json_put_raw(w, value ? MC_STR("true") : MC_STR("false"));
}

void mc_json_put_null(struct mc_json_writer *w)
{
    mc_json_put_raw(w, MC_STR("null"));
}

void mc_json_put_time(struct mc_json_writer *w, int64_t time_us)
{
    char text[MC_TIME_TEXT_SIZE];
    mc_time_format(time_us, text);
    mc_json_put_text(w, text);
}

void mc_json_put_raw(struct mc_json_writer *w, mc_str json)
{
    separate(w);
    mc_buf_append(w->out, json);
}

void mc_json_member_string(struct mc_json_writer *w, const char *key, mc_str text)
{
    mc_json_key(w, key);
    mc_json_put_string(w, text);
}

void mc_json_member_text(struct mc_json_writer *w, const char *key, const char *text)
{
    mc_json_key(w, key);
    mc_json_put_text(w, text);
}

void mc_json_member_integer(struct mc_json_writer *w, const char *key, int64_t value)
{
    mc_json_key(w, key);
    mc_json_put_integer(w, value);
}

void mc_json_member_number(struct mc_json_writer *w, const char *key, double value)
{
    mc_json_key(w, key);
    mc_json_put_number(w, value);
}

void mc_json_member_fixed(struct mc_json_writer *w, const char *key, double value, int decimals)
{
    mc_json_key(w, key);
    mc_json_put_fixed(w, value, decimals);
}

void mc_json_member_boolean(struct mc_json_writer *w, const char *key, bool value)
{
    mc_json_key(w, key);
    mc_json_put_boolean(w, value);
}
