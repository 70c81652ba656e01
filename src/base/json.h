/*
 * JSON: a read-only tree (home of jansson), and a writer onto a buffer.
 *
 * Parsing is strict: valid UTF-8, no NUL, no duplicate keys, at most MC_JSON_DEPTH levels, nothing
 * behind the value. A tree is immutable and may be read from several threads.
 */
#ifndef MC_BASE_JSON_H
#define MC_BASE_JSON_H

#include "base/buf.h"

#define MC_JSON_DEPTH 64

struct mc_json; /* a node; the root owns the tree */
enum mc_json_type {
    MC_JSON_NULL,
    MC_JSON_BOOLEAN,
    MC_JSON_INTEGER,
    MC_JSON_NUMBER, /* with a fraction or exponent */
    MC_JSON_STRING,
    MC_JSON_ARRAY,
    MC_JSON_OBJECT
};

/* *root is freed with mc_json_free. MC_INVALID with line and column on bad JSON. */
MC_MUST_CHECK enum mc_status mc_json_parse(mc_str text, struct mc_json **root,
                                           struct mc_error *err);
void mc_json_free(struct mc_json *root); /* accepts NULL */
/* For mc_auto. */
static inline void mc_json_free_ptr(struct mc_json **root)
{
    mc_json_free(*root);
}

/* A NULL node reads as MC_JSON_NULL; reads of another type give the zero value. */
enum mc_json_type mc_json_type(const struct mc_json *node);
const char *mc_json_type_name(enum mc_json_type type); /* "string", "object", ... */
mc_str mc_json_string(const struct mc_json *node);     /* valid while the root lives */
int64_t mc_json_integer(const struct mc_json *node);
double mc_json_number(const struct mc_json *node); /* of an integer too */
bool mc_json_boolean(const struct mc_json *node);
size_t mc_json_count(const struct mc_json *node); /* elements or members */
const struct mc_json *mc_json_at(const struct mc_json *array, size_t index);
const struct mc_json *mc_json_get(const struct mc_json *object,
                                  const char *key); /* NULL when absent */
/* Members in the order of the text: start with *cursor NULL; false at the end. */
bool mc_json_next(const struct mc_json *object, void **cursor, mc_str *key,
                  const struct mc_json **value);
/* The node as compact JSON, members in order. */
void mc_json_dump(const struct mc_json *node, struct mc_buf *out);

/*
 * The writer puts commas and escapes itself. Keys and text must be valid UTF-8 (bad bytes become
 * U+FFFD). Numbers: finite, shortest form that reads back the same; a non-finite one becomes null.
 *
 *     struct mc_json_writer w = mc_json_writer(&buf);
 *     mc_json_begin(&w, '{');
 *     mc_json_key(&w, "count");
 *     mc_json_put_integer(&w, 3);
 *     mc_json_end(&w, '}');
 */
struct mc_json_writer {
    struct mc_buf *out;
    bool comma;
};
static inline struct mc_json_writer mc_json_writer(struct mc_buf *out)
{
    return (struct mc_json_writer){out, false};
}
void mc_json_begin(struct mc_json_writer *w, char bracket); /* '{' or '[' */
void mc_json_end(struct mc_json_writer *w, char bracket);   /* '}' or ']' */
void mc_json_key(struct mc_json_writer *w, const char *key);
void mc_json_key_str(struct mc_json_writer *w, mc_str key);
void mc_json_put_string(struct mc_json_writer *w, mc_str text);
void mc_json_put_text(struct mc_json_writer *w, const char *text); /* NULL becomes null */
void mc_json_put_integer(struct mc_json_writer *w, int64_t value);
void mc_json_put_number(struct mc_json_writer *w, double value);
void mc_json_put_fixed(struct mc_json_writer *w, double value, int decimals);
void mc_json_put_boolean(struct mc_json_writer *w, bool value);
void mc_json_put_null(struct mc_json_writer *w);
void mc_json_put_time(struct mc_json_writer *w, int64_t time_us); /* RFC 3339 */
void mc_json_put_raw(struct mc_json_writer *w, mc_str json);      /* a whole value, already JSON */
/* Key and value in one. */
void mc_json_member_string(struct mc_json_writer *w, const char *key, mc_str text);
void mc_json_member_text(struct mc_json_writer *w, const char *key, const char *text);
void mc_json_member_integer(struct mc_json_writer *w, const char *key, int64_t value);
void mc_json_member_number(struct mc_json_writer *w, const char *key, double value);
void mc_json_member_fixed(struct mc_json_writer *w, const char *key, double value, int decimals);
void mc_json_member_boolean(struct mc_json_writer *w, const char *key, bool value);

#endif
