/*
 * See llm/schema.h: from JSON Schema to shapes (llm/shape.h).
 *
 * What can be only one of some texts becomes a set: enum, const, boolean, a range of integers, and the
 * beginnings of the objects of an anyOf. So a walk knows four kinds of things, and no keyword.
 */
#include "llm/schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "llm/compile.h"

#define ARENA_BYTES ((size_t)64 * 1024 * 1024)
#define ITEMS_MAX 64
#define ESCAPED_BYTES 12 /* of a character outside of the basic plane: \ud83d\ude00 */

/* Keywords as bits, so that each kind of schema can say which it understands. */
#define KEYWORD_MAP(X)                                                                             \
    X(TYPE, "type")                                                                                \
    X(PROPERTIES, "properties")                                                                    \
    X(REQUIRED, "required")                                                                        \
    X(ADDITIONAL, "additionalProperties")                                                          \
    X(ENUM, "enum")                                                                                \
    X(CONST, "const")                                                                              \
    X(MINIMUM, "minimum")                                                                          \
    X(MAXIMUM, "maximum")                                                                          \
    X(MIN_LENGTH, "minLength")                                                                     \
    X(MAX_LENGTH, "maxLength")                                                                     \
    X(ITEMS, "items")                                                                              \
    X(MIN_ITEMS, "minItems")                                                                       \
    X(MAX_ITEMS, "maxItems")                                                                       \
    X(UNIQUE, "uniqueItems")                                                                       \
    X(ANY_OF, "anyOf")                                                                             \
    X(TITLE, "title")                                                                              \
    X(DESCRIPTION, "description")
enum {
#define KEYWORD_INDEX(name, text) INDEX_##name,
    KEYWORD_MAP(KEYWORD_INDEX)
#undef KEYWORD_INDEX
        KEYWORD_COUNT
};
enum {
#define KEYWORD_BIT(name, text) KEY_##name = 1 << INDEX_##name,
    KEYWORD_MAP(KEYWORD_BIT)
#undef KEYWORD_BIT
        KEY_NOTES = KEY_TITLE | KEY_DESCRIPTION
};
static const char *const keywords[KEYWORD_COUNT] = {
#define KEYWORD_TEXT(name, text) text,
    KEYWORD_MAP(KEYWORD_TEXT)
#undef KEYWORD_TEXT
};

enum mc_status mc_shape_fail(const struct mc_shape_path *path, struct mc_error *err,
                             const char *format, ...)
{
    char where[240] = "";
    char what[200];
    size_t start = sizeof(where) - 1; /* written from the end: the path runs outwards */
    for (; path && start > 0; path = path->up) {
        char part[100];
        bool dot = mc_str_given(path->name) && start < sizeof(where) - 1 && where[start] != '[';
        int len = mc_str_given(path->name)
                      ? snprintf(part, sizeof(part), "%.64s%s", path->name.data, dot ? "." : "")
                      : snprintf(part, sizeof(part), "[%zu]%s", path->index,
                                 start < sizeof(where) - 1 && where[start] != '[' ? "." : "");
        size_t size = len < 0 ? 0 : (size_t)len < sizeof(part) ? (size_t)len : sizeof(part) - 1;
        size = size < start ? size : start;
        start -= size;
        memcpy(where + start, part, size);
    }
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    const char *place = where + start;
    return mc_fail_field(err, MC_INVALID, place, "%s: %s", place[0] ? place : "the whole", what);
}

static size_t sum(size_t a, size_t b)
{
    size_t result;
    return __builtin_add_overflow(a, b, &result) ? SIZE_MAX : result;
}

static size_t product(size_t a, size_t b)
{
    size_t result;
    return __builtin_mul_overflow(a, b, &result) ? SIZE_MAX : result;
}

/* The keywords that a schema has; an unknown one is an error. */
static enum mc_status find_keywords(struct mc_compiler *c, const struct mc_shape_path *path,
                                    const struct mc_json *node, unsigned *found)
{
    if (mc_json_type(node) != MC_JSON_OBJECT)
        return mc_shape_fail(path, c->err, "a schema is an object, this is %s",
                             mc_json_type_name(mc_json_type(node)));
    void *cursor = NULL;
    mc_str key;
    const struct mc_json *value;
    while (mc_json_next(node, &cursor, &key, &value)) {
        size_t i = 0;
        while (i < KEYWORD_COUNT && !mc_str_equal(key, mc_str_of(keywords[i])))
            i++;
        if (i == KEYWORD_COUNT)
            return mc_shape_fail(path, c->err, "the keyword '%.64s' is not supported", key.data);
        *found |= 1U << i;
    }
    return MC_OK;
}

static enum mc_status allow_keywords(struct mc_compiler *c, const struct mc_shape_path *path,
                                     unsigned found, unsigned allowed, const char *what)
{
    unsigned others = found & ~(allowed | KEY_NOTES);
    if (others == 0)
        return MC_OK;
    return mc_shape_fail(path, c->err, "'%s' is not supported for %s",
                         keywords[__builtin_ctz(others)], what);
}

/* A whole number of the schema within bounds; *number stays when the keyword is absent. */
static enum mc_status read_size(struct mc_compiler *c, const struct mc_shape_path *path,
                                const struct mc_json *node, const char *keyword, size_t most,
                                size_t *number)
{
    const struct mc_json *value = mc_json_get(node, keyword);
    if (!value)
        return MC_OK;
    int64_t integer = mc_json_integer(value);
    if (mc_json_type(value) != MC_JSON_INTEGER || integer < 0 || (uint64_t)integer > most)
        return mc_shape_fail(path, c->err, "%s must be a whole number from 0 to %zu", keyword,
                             most);
    *number = (size_t)integer;
    return MC_OK;
}

/* min and max of an array or string. */
static enum mc_status read_bounds(struct mc_compiler *c, const struct mc_shape_path *path,
                                  const struct mc_json *node, const char *const names[2],
                                  size_t most, struct mc_shape *shape)
{
    if (!mc_json_get(node, names[1]))
        return mc_shape_fail(path, c->err, "%s is missing: a limit is required", names[1]);
    enum mc_status status = read_size(c, path, node, names[1], most, &shape->max);
    if (status == MC_OK)
        status = read_size(c, path, node, names[0], most, &shape->min);
    if (status == MC_OK && shape->min > shape->max)
        return mc_shape_fail(path, c->err, "%s is more than %s", names[0], names[1]);
    return status;
}

static enum mc_status compile(struct mc_compiler *c, const struct mc_shape_path *path,
                              const struct mc_json *node, size_t depth,
                              const struct mc_shape **shape);

static enum mc_status compile_string(struct mc_compiler *c, const struct mc_shape_path *path,
                                     const struct mc_json *node, const struct mc_shape **shape)
{
    static const char *const names[2] = {"minLength", "maxLength"};
    struct mc_shape *text = mc_compile_add(c, MC_SHAPE_TEXT);
    if (!text)
        return mc_fail_memory(c->err);
    enum mc_status status = read_bounds(c, path, node, names, MC_SCHEMA_TEXT, text);
    if (status != MC_OK)
        return status;
    text->longest = 2 + text->max * ESCAPED_BYTES;
    *shape = text;
    return MC_OK;
}

static enum mc_status compile_array(struct mc_compiler *c, const struct mc_shape_path *path,
                                    const struct mc_json *node, size_t depth,
                                    const struct mc_shape **shape)
{
    static const char *const names[2] = {"minItems", "maxItems"};
    struct mc_shape *array = mc_compile_add(c, MC_SHAPE_ARRAY);
    if (!array)
        return mc_fail_memory(c->err);
    enum mc_status status = read_bounds(c, path, node, names, ITEMS_MAX, array);
    if (status != MC_OK)
        return status;
    if (!mc_json_get(node, "items"))
        return mc_shape_fail(path, c->err, "items is missing");
    struct mc_shape_path inner = {path, MC_STR("items"), 0};
    status = compile(c, &inner, mc_json_get(node, "items"), depth, &array->item);
    if (status != MC_OK)
        return status;
    array->unique = mc_json_boolean(mc_json_get(node, "uniqueItems"));
    bool values = array->item->kind == MC_SHAPE_SET && !array->item->objects;
    if (array->unique && !values)
        return mc_shape_fail(path, c->err, "uniqueItems is supported only of items with an enum");
    if (array->unique && array->min > array->item->count)
        return mc_shape_fail(path, c->err, "minItems is more than there are values");
    if (array->unique && array->max > array->item->count)
        array->max = array->item->count;
    size_t elements = product(array->max, sum(array->item->longest, 1));
    array->longest = sum(elements, array->max > 0 ? 1 : 2);
    *shape = array;
    return MC_OK;
}

/* additionalProperties and required say only what holds anyway. */
static enum mc_status check_object(struct mc_compiler *c, const struct mc_shape_path *path,
                                   const struct mc_json *node, const struct mc_json *properties)
{
    if (mc_json_type(properties) != MC_JSON_OBJECT)
        return mc_shape_fail(path, c->err, "an object needs properties");
    const struct mc_json *additional = mc_json_get(node, "additionalProperties");
    if (additional && (mc_json_type(additional) != MC_JSON_BOOLEAN || mc_json_boolean(additional)))
        return mc_shape_fail(path, c->err, "additionalProperties must be false");
    const struct mc_json *required = mc_json_get(node, "required");
    if (required && mc_json_type(required) != MC_JSON_ARRAY)
        return mc_shape_fail(path, c->err, "required must be an array of names");
    for (size_t i = 0; i < mc_json_count(required); i++) {
        mc_str name = mc_json_string(mc_json_at(required, i));
        if (!mc_str_given(name) || !mc_json_get(properties, name.data))
            return mc_shape_fail(path, c->err, "required names something that is no property");
    }
    return MC_OK;
}

static enum mc_status compile_object(struct mc_compiler *c, const struct mc_shape_path *path,
                                     const struct mc_json *node, size_t depth,
                                     const struct mc_shape **shape)
{
    const struct mc_json *properties = mc_json_get(node, "properties");
    enum mc_status status = check_object(c, path, node, properties);
    if (status != MC_OK)
        return status;
    struct mc_arena *arena = &c->schema->arena;
    size_t count = mc_json_count(properties);
    struct mc_shape *object = mc_compile_add(c, MC_SHAPE_OBJECT);
    mc_str *keys = mc_arena_array(arena, count, sizeof(*keys));
    mc_str *glue = mc_arena_array(arena, count + 1, sizeof(*glue));
    const struct mc_shape **members = mc_arena_array(arena, count, sizeof(struct mc_shape *));
    if (!object || !keys || !glue || !members)
        return mc_fail_memory(c->err);
    void *cursor = NULL;
    const struct mc_json *value;
    for (size_t i = 0; i < count && mc_json_next(properties, &cursor, &keys[i], &value); i++) {
        struct mc_shape_path inner = {path, keys[i], 0};
        glue[i] = mc_compile_render(c, i > 0 ? "," : "{", NULL, keys[i]);
        if (!mc_str_given(glue[i]))
            return mc_fail_memory(c->err);
        status = compile(c, &inner, value, depth, &members[i]);
        if (status != MC_OK)
            return status;
        object->longest = sum(object->longest, sum(glue[i].len, members[i]->longest));
    }
    glue[count] = count > 0 ? MC_STR("}") : MC_STR("{}");
    object->longest = sum(object->longest, glue[count].len);
    object->keys = keys;
    object->glue = glue;
    object->members = members;
    object->count = count;
    *shape = object;
    return MC_OK;
}

/* The value of the first member, when the shape is an object that begins with a constant string. */
static mc_str tag_of(const struct mc_shape *shape)
{
    if (shape->kind != MC_SHAPE_OBJECT || shape->count == 0)
        return MC_STR_NONE;
    const struct mc_shape *first = shape->members[0];
    bool constant = first->kind == MC_SHAPE_SET && first->count == 1 && first->lead == 1;
    return constant && !first->objects ? first->values[0] : MC_STR_NONE;
}

static enum mc_status compile_any(struct mc_compiler *c, const struct mc_shape_path *path,
                                  const struct mc_json *node, size_t depth,
                                  const struct mc_shape **shape)
{
    const struct mc_json *list = mc_json_get(node, "anyOf");
    size_t count = mc_json_count(list);
    if (mc_json_type(list) != MC_JSON_ARRAY || count == 0 || count > MC_SCHEMA_ENUM)
        return mc_shape_fail(path, c->err, "anyOf must be an array of 1 to %d objects",
                             MC_SCHEMA_ENUM);
    struct mc_entry *entries = mc_arena_array(&c->schema->arena, count, sizeof(*entries));
    if (!entries)
        return mc_fail_memory(c->err);
    size_t lead = 0;
    for (size_t i = 0; i < count; i++) {
        struct mc_shape_path outer = {path, MC_STR("anyOf"), 0};
        struct mc_shape_path inner = {&outer, MC_STR_NONE, i};
        enum mc_status status = compile(c, &inner, mc_json_at(list, i), depth, &entries[i].object);
        if (status != MC_OK)
            return status;
        mc_str tag = tag_of(entries[i].object);
        if (!mc_str_given(tag))
            return mc_shape_fail(&inner, c->err,
                                 "each of an anyOf must be an object whose first member is a "
                                 "constant string");
        mc_str glue = entries[i].object->glue[0];
        entries[i].value = mc_arena_printf(&c->schema->arena, "%s%s", glue.data, tag.data);
        if (!mc_str_given(entries[i].value))
            return mc_fail_memory(c->err);
        if (i == 0)
            lead = glue.len + 1;
        else if (!mc_str_equal(glue, entries[0].object->glue[0]))
            lead = 2; /* only the brace and the key's quotation mark are the same */
    }
    return mc_compile_set(c, path, entries, count, lead, shape);
}

static enum mc_status compile_type(struct mc_compiler *c, const struct mc_shape_path *path,
                                   const struct mc_json *node, unsigned found, size_t depth,
                                   const struct mc_shape **shape)
{
    mc_str type = mc_json_string(mc_json_get(node, "type"));
    unsigned allowed = KEY_TYPE;
    enum mc_status status;
    if (mc_str_equal(type, MC_STR("boolean"))) {
        status = allow_keywords(c, path, found, allowed, "a boolean");
        return status == MC_OK ? mc_compile_boolean(c, path, shape) : status;
    }
    if (mc_str_equal(type, MC_STR("integer"))) {
        allowed |= KEY_MINIMUM | KEY_MAXIMUM;
        status = allow_keywords(c, path, found, allowed, "an integer");
        return status == MC_OK ? mc_compile_integer(c, path, node, shape) : status;
    }
    if (mc_str_equal(type, MC_STR("string"))) {
        allowed |= KEY_MIN_LENGTH | KEY_MAX_LENGTH;
        status = allow_keywords(c, path, found, allowed, "a string");
        return status == MC_OK ? compile_string(c, path, node, shape) : status;
    }
    bool array = mc_str_equal(type, MC_STR("array"));
    if (!array && !mc_str_equal(type, MC_STR("object")))
        return mc_shape_fail(path, c->err,
                             "type must be object, array, string, integer or boolean, or there "
                             "must be an enum, const or anyOf");
    if (depth >= MC_SCHEMA_DEPTH)
        return mc_shape_fail(path, c->err, "more than %d levels deep", MC_SCHEMA_DEPTH);
    allowed |= array ? KEY_ITEMS | KEY_MIN_ITEMS | KEY_MAX_ITEMS | KEY_UNIQUE
                     : KEY_PROPERTIES | KEY_REQUIRED | KEY_ADDITIONAL;
    status = allow_keywords(c, path, found, allowed, array ? "an array" : "an object");
    if (status != MC_OK)
        return status;
    return array ? compile_array(c, path, node, depth + 1, shape)
                 : compile_object(c, path, node, depth + 1, shape);
}

/* `depth` objects and arrays are around the node. */
static enum mc_status compile(struct mc_compiler *c, const struct mc_shape_path *path,
                              const struct mc_json *node, size_t depth,
                              const struct mc_shape **shape)
{
    unsigned found = 0;
    enum mc_status status = find_keywords(c, path, node, &found);
    if (status != MC_OK)
        return status;
    if (found & KEY_ANY_OF) {
        status = allow_keywords(c, path, found, KEY_ANY_OF, "an anyOf");
        return status == MC_OK ? compile_any(c, path, node, depth, shape) : status;
    }
    if (found & (KEY_ENUM | KEY_CONST)) {
        unsigned one = found & KEY_ENUM ? KEY_ENUM : KEY_CONST;
        status = allow_keywords(c, path, found, one | KEY_TYPE, "an enum or const");
        const struct mc_json *list = mc_json_get(node, "enum");
        return status == MC_OK ? mc_compile_values(c, path, node, list, shape) : status;
    }
    return compile_type(c, path, node, found, depth, shape);
}

static void free_schema(struct mc_schema **schema)
{
    mc_schema_free(*schema);
}

enum mc_status mc_schema_new(mc_str json, struct mc_schema **schema, struct mc_error *err)
{
    if (json.len > MC_SCHEMA_BYTES)
        return mc_fail(err, MC_TOO_LARGE, "a schema may have at most %zu bytes", MC_SCHEMA_BYTES);
    mc_auto(free_schema) struct mc_schema *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    mc_arena_init(&made->arena, ARENA_BYTES);
    enum mc_status status = mc_json_parse(json, &made->json, err);
    if (status != MC_OK)
        return mc_fail_prefix(err, status, "schema of an answer");
    made->text = mc_arena_copy(&made->arena, json);
    if (!mc_str_given(made->text))
        return mc_fail_memory(err);
    struct mc_compiler c = {made, err, 0};
    status = compile(&c, NULL, made->json, 0, &made->root);
    if (status != MC_OK)
        return mc_fail_prefix(err, status, "schema of an answer");
    const struct mc_shape *root = made->root;
    if (root->kind != MC_SHAPE_OBJECT && !(root->kind == MC_SHAPE_SET && root->objects))
        return mc_fail(err, MC_INVALID, "schema of an answer: the whole must be an object");
    if (!mc_schema_write_portable(made))
        return mc_fail_memory(err);
    *schema = mc_steal(made);
    return MC_OK;
}

void mc_schema_free(struct mc_schema *schema)
{
    if (!schema)
        return;
    mc_arena_fini(&schema->arena);
    mc_json_free(schema->json);
    free(schema);
}

mc_str mc_schema_text(const struct mc_schema *schema)
{
    return schema->text;
}

mc_str mc_schema_portable(const struct mc_schema *schema)
{
    return schema->portable;
}

size_t mc_schema_longest(const struct mc_schema *schema)
{
    return schema->root->longest;
}
