/*
 * Inside of schema*.c and walk*.c: a schema compiled. Everything lives
 * in the schema's arena, or in its JSON tree, and does not change.
 */
#ifndef MC_LLM_SHAPE_H
#define MC_LLM_SHAPE_H

#include "base/arena.h"
#include "base/json.h"
#include "llm/schema.h"

enum mc_shape_kind {
    MC_SHAPE_OBJECT,
    MC_SHAPE_ARRAY,
    MC_SHAPE_TEXT, /* a string that is written freely */
    MC_SHAPE_SET   /* one of some literal texts */
};

struct mc_shape {
    enum mc_shape_kind kind;
    size_t longest; /* bytes, SIZE_MAX on overflow */
    size_t count;   /* members of an object, values of a set */
    size_t min;     /* elements of an array, code points of a string */
    size_t max;
    bool unique;

    /* Of an object. */
    const mc_str *keys;
    const mc_str *glue; /* count + 1: what is in front of each value, and behind the last */
    const struct mc_shape **members;

    /* Of an array. */
    const struct mc_shape *item;

    /*
     * Of a set: canonical JSON in the order of its bytes. Of an anyOf each value is the beginning of
     * an object through its first member, and objects[i] is that object; otherwise objects is NULL.
     */
    const mc_str *values;
    const struct mc_shape **objects;
    size_t lead;       /* bytes that are the same in all values: quotation mark, key of an anyOf */
    uint64_t first[4]; /* the bytes that follow these */
};

struct mc_schema {
    struct mc_arena arena;
    struct mc_json *json;
    mc_str text;
    mc_str portable;
    const struct mc_shape *root;
};

/* Where something is, from the inside out; rendered only for an error. */
struct mc_shape_path {
    const struct mc_shape_path *up;
    mc_str name;  /* of a member; no data: an element */
    size_t index; /* of an element */
};
/* MC_INVALID with the path as the error's field and in front of the message. */
enum mc_status mc_shape_fail(const struct mc_shape_path *path, struct mc_error *err,
                             const char *format, ...) MC_PRINTF(3, 4);

/* The index of the value in a set, its count when it is not there. */
size_t mc_shape_find(const struct mc_shape *set, mc_str value);

/* Writes schema->portable; false when out of memory. */
MC_MUST_CHECK bool mc_schema_write_portable(struct mc_schema *schema);

/* A walk inside of a string. The first refuses bytes after which no string of the shape can come. */
enum mc_text_verdict { MC_TEXT_REFUSED, MC_TEXT_TAKEN, MC_TEXT_CLOSED };
enum mc_text_verdict mc_text_take_byte(struct mc_walk_text *text, const struct mc_shape *shape,
                                       unsigned char byte);
/* Takes bytes until one is refused or closes the string; *done is the number taken, that one too. */
enum mc_text_verdict mc_text_take(struct mc_walk_text *text, const struct mc_shape *shape,
                                  mc_str bytes, size_t *done);
/* See mc_walk_close_text. */
size_t mc_text_close(const struct mc_walk_text *text, const struct mc_shape *shape, char out[16]);

#endif
