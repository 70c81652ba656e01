/* mc_schema_check: a whole answer against its shape. */
#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/utf8.h"
#include "llm/shape.h"

#define VALUE_BYTES ((size_t)1024 * 1024)

typedef struct mc_shape_path path_t;

struct checker {
    struct mc_buf value; /* canonical text of the value that is being looked up */
    struct mc_error *err;
};

static enum mc_status check(struct checker *c, const path_t *path, const struct mc_shape *shape,
                            const struct mc_json *node);

static enum mc_status check_type(struct checker *c, const path_t *path, const struct mc_json *node,
                                 enum mc_json_type type)
{
    if (mc_json_type(node) == type)
        return MC_OK;
    return mc_shape_fail(path, c->err, "must be of type %s, not %s", mc_json_type_name(type),
                         mc_json_type_name(mc_json_type(node)));
}

static enum mc_status check_object(struct checker *c, const path_t *path,
                                   const struct mc_shape *object, const struct mc_json *node)
{
    enum mc_status status = check_type(c, path, node, MC_JSON_OBJECT);
    for (size_t i = 0; i < object->count && status == MC_OK; i++) {
        path_t inner = {path, object->keys[i], 0};
        const struct mc_json *member = mc_json_get(node, object->keys[i].data);
        if (!member)
            return mc_shape_fail(&inner, c->err, "is missing");
        status = check(c, &inner, object->members[i], member);
    }
    if (status != MC_OK || mc_json_count(node) == object->count)
        return status;
    void *cursor = NULL;
    mc_str key;
    const struct mc_json *value;
    while (mc_json_next(node, &cursor, &key, &value)) {
        size_t i = 0;
        while (i < object->count && !mc_str_equal(object->keys[i], key))
            i++;
        path_t inner = {path, key, 0};
        if (i == object->count)
            return mc_shape_fail(&inner, c->err, "is no member of this object");
    }
    return MC_OK;
}

/* The index of a value in its set; its count when it is none of them. */
static enum mc_status find_value(struct checker *c, const path_t *path, const struct mc_shape *set,
                                 const struct mc_json *node, size_t *index)
{
    enum mc_json_type type = mc_json_type(node);
    *index = set->count;
    if (type != MC_JSON_OBJECT && type != MC_JSON_ARRAY) {
        mc_buf_reset(&c->value);
        mc_json_dump(node, &c->value);
        if (c->value.failed)
            return mc_fail_memory(c->err);
        *index = mc_shape_find(set, mc_buf_str(&c->value));
    }
    if (*index < set->count)
        return MC_OK;
    if (type == MC_JSON_OBJECT || type == MC_JSON_ARRAY)
        return mc_shape_fail(path, c->err, "may not be an %s", mc_json_type_name(type));
    mc_str shown = mc_utf8_cut(mc_buf_str(&c->value), 80);
    return mc_shape_fail(path, c->err, "%.*s is not an allowed value", MC_STR_ARG(shown));
}

static enum mc_status check_array(struct checker *c, const path_t *path,
                                  const struct mc_shape *array, const struct mc_json *node)
{
    enum mc_status status = check_type(c, path, node, MC_JSON_ARRAY);
    if (status != MC_OK)
        return status;
    size_t count = mc_json_count(node);
    if (count < array->min || count > array->max)
        return mc_shape_fail(path, c->err, "%zu elements, allowed are %zu to %zu", count,
                             array->min, array->max);
    uint64_t seen[MC_SCHEMA_ENUM / 64] = {0};
    for (size_t i = 0; i < count && status == MC_OK; i++) {
        path_t inner = {path, MC_STR_NONE, i};
        const struct mc_json *element = mc_json_at(node, i);
        size_t value = 0;
        if (!array->unique) {
            status = check(c, &inner, array->item, element);
            continue;
        }
        status = find_value(c, &inner, array->item, element, &value);
        if (status == MC_OK && (seen[value / 64] >> (value % 64) & 1U))
            return mc_shape_fail(&inner, c->err, "the same value as before");
        if (status == MC_OK)
            seen[value / 64] |= UINT64_C(1) << (value % 64);
    }
    return status;
}

static enum mc_status check_text(struct checker *c, const path_t *path, const struct mc_shape *text,
                                 const struct mc_json *node)
{
    enum mc_status status = check_type(c, path, node, MC_JSON_STRING);
    if (status != MC_OK)
        return status;
    size_t characters = 0;
    if (!mc_utf8_check(mc_json_string(node), &characters, NULL))
        return mc_shape_fail(path, c->err, "is not valid UTF-8");
    if (characters < text->min || characters > text->max)
        return mc_shape_fail(path, c->err, "%zu characters, allowed are %zu to %zu", characters,
                             text->min, text->max);
    return MC_OK;
}

/* An anyOf: the object whose first member has its value. */
static enum mc_status check_any(struct checker *c, const path_t *path, const struct mc_shape *set,
                                const struct mc_json *node)
{
    enum mc_status status = check_type(c, path, node, MC_JSON_OBJECT);
    for (size_t i = 0; i < set->count && status == MC_OK; i++) {
        const struct mc_shape *object = set->objects[i];
        const struct mc_json *tag = mc_json_get(node, object->keys[0].data);
        if (!tag || mc_json_type(tag) != MC_JSON_STRING)
            continue;
        mc_buf_reset(&c->value);
        mc_json_dump(tag, &c->value);
        if (c->value.failed)
            return mc_fail_memory(c->err);
        if (mc_str_equal(object->members[0]->values[0], mc_buf_str(&c->value)))
            return check_object(c, path, object, node);
    }
    if (status != MC_OK)
        return status;
    path_t inner = {path, set->objects[0]->keys[0], 0};
    return mc_shape_fail(&inner, c->err, "is missing, or has a value that names no kind of object");
}

/* The recursion is as deep as the schema. */
static enum mc_status check(struct checker *c, const path_t *path, const struct mc_shape *shape,
                            const struct mc_json *node)
{
    size_t value;
    switch (shape->kind) {
    case MC_SHAPE_OBJECT:
        return check_object(c, path, shape, node);
    case MC_SHAPE_ARRAY:
        return check_array(c, path, shape, node);
    case MC_SHAPE_TEXT:
        return check_text(c, path, shape, node);
    case MC_SHAPE_SET:
        break;
    }
    return shape->objects ? check_any(c, path, shape, node)
                          : find_value(c, path, shape, node, &value);
}

enum mc_status mc_schema_check(const struct mc_schema *schema, mc_str json, struct mc_error *err)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    enum mc_status status = mc_json_parse(json, &root, err);
    if (status != MC_OK)
        return status;
    struct checker c = {.err = err};
    mc_buf_init(&c.value, VALUE_BYTES);
    status = check(&c, NULL, schema->root, root);
    mc_buf_fini(&c.value);
    return status;
}
