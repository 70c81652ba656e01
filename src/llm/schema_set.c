/* Schemas that can be only one of some texts: enum, const, boolean, a range of integers. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "llm/compile.h"

#define RENDER_BYTES (8 * MC_SCHEMA_BYTES) /* a control character of one byte is written as six */
#define INTEGERS_MAX 256

struct mc_shape *mc_compile_add(struct mc_compiler *c, enum mc_shape_kind kind)
{
    struct mc_shape *shape = mc_arena_alloc(&c->schema->arena, sizeof(*shape));
    if (shape)
        shape->kind = kind;
    return shape;
}

mc_str mc_compile_render(struct mc_compiler *c, const char *before, const struct mc_json *value,
                         mc_str key)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, RENDER_BYTES);
    mc_buf_text(&buf, before);
    struct mc_json_writer w = mc_json_writer(&buf);
    if (mc_str_given(key))
        mc_json_key_str(&w, key);
    if (value)
        mc_json_dump(value, &buf);
    return buf.failed ? MC_STR_NONE : mc_arena_copy(&c->schema->arena, mc_buf_str(&buf));
}

static int compare_values(mc_str a, mc_str b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = memcmp(a.data, b.data, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_entries(const void *a, const void *b)
{
    return compare_values(((const struct mc_entry *)a)->value, ((const struct mc_entry *)b)->value);
}

size_t mc_shape_find(const struct mc_shape *set, mc_str value)
{
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_values(set->values[middle], value);
        if (order == 0)
            return middle;
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return set->count;
}

enum mc_status mc_compile_set(struct mc_compiler *c, const struct mc_shape_path *path,
                              struct mc_entry *entries, size_t count, size_t lead,
                              const struct mc_shape **shape)
{
    c->values += count;
    if (c->values > MC_SCHEMA_VALUES)
        return mc_shape_fail(path, c->err, "more than %d values in all enums together",
                             MC_SCHEMA_VALUES);
    struct mc_shape *set = mc_compile_add(c, MC_SHAPE_SET);
    mc_str *values = mc_arena_array(&c->schema->arena, count, sizeof(*values));
    const struct mc_shape **objects =
        mc_arena_array(&c->schema->arena, count, sizeof(struct mc_shape *));
    if (!set || !values || !objects)
        return mc_fail_memory(c->err);
    qsort(entries, count, sizeof(*entries), compare_entries);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && mc_str_equal(entries[i].value, entries[i - 1].value))
            return mc_shape_fail(path, c->err, "the value %.100s is there twice",
                                 entries[i].value.data);
        values[i] = entries[i].value;
        objects[i] = entries[i].object;
        unsigned char next = (unsigned char)values[i].data[lead];
        set->first[next / 64] |= UINT64_C(1) << (next % 64);
        size_t longest = objects[i] ? objects[i]->longest : values[i].len;
        set->longest = longest > set->longest ? longest : set->longest;
    }
    set->values = values;
    set->objects = entries[0].object ? objects : NULL;
    set->count = count;
    set->lead = lead;
    *shape = set;
    return MC_OK;
}

static bool has_type(const struct mc_json *value, mc_str type)
{
    enum mc_json_type is = mc_json_type(value);
    if (mc_str_equal(type, MC_STR("number")) && is == MC_JSON_INTEGER)
        return true;
    return mc_str_equal(type, mc_str_of(mc_json_type_name(is)));
}

enum mc_status mc_compile_values(struct mc_compiler *c, const struct mc_shape_path *path,
                                 const struct mc_json *node, const struct mc_json *list,
                                 const struct mc_shape **shape)
{
    const struct mc_json *type = mc_json_get(node, "type");
    size_t count = list ? mc_json_count(list) : 1;
    if (list && (mc_json_type(list) != MC_JSON_ARRAY || count == 0 || count > MC_SCHEMA_ENUM))
        return mc_shape_fail(path, c->err, "enum must be an array of 1 to %d values",
                             MC_SCHEMA_ENUM);
    struct mc_entry *entries = mc_arena_array(&c->schema->arena, count, sizeof(*entries));
    if (!entries)
        return mc_fail_memory(c->err);
    bool strings = true;
    for (size_t i = 0; i < count; i++) {
        const struct mc_json *value = list ? mc_json_at(list, i) : mc_json_get(node, "const");
        enum mc_json_type is = mc_json_type(value);
        if (is == MC_JSON_OBJECT || is == MC_JSON_ARRAY)
            return mc_shape_fail(path, c->err, "a value may not be an %s", mc_json_type_name(is));
        if (type && !has_type(value, mc_json_string(type)))
            return mc_shape_fail(path, c->err, "a value is not of the given type");
        strings = strings && is == MC_JSON_STRING;
        entries[i].value = mc_compile_render(c, "", value, MC_STR_NONE);
        if (!mc_str_given(entries[i].value))
            return mc_fail_memory(c->err);
    }
    return mc_compile_set(c, path, entries, count, strings ? 1 : 0, shape);
}

enum mc_status mc_compile_boolean(struct mc_compiler *c, const struct mc_shape_path *path,
                                  const struct mc_shape **shape)
{
    struct mc_entry entries[] = {{MC_STR("false"), NULL}, {MC_STR("true"), NULL}};
    return mc_compile_set(c, path, entries, mc_countof(entries), 0, shape);
}

enum mc_status mc_compile_integer(struct mc_compiler *c, const struct mc_shape_path *path,
                                  const struct mc_json *node, const struct mc_shape **shape)
{
    const struct mc_json *low = mc_json_get(node, "minimum");
    const struct mc_json *high = mc_json_get(node, "maximum");
    if (mc_json_type(low) != MC_JSON_INTEGER || mc_json_type(high) != MC_JSON_INTEGER)
        return mc_shape_fail(path, c->err, "an integer needs a whole minimum and maximum");
    int64_t first = mc_json_integer(low);
    if (first > mc_json_integer(high))
        return mc_shape_fail(path, c->err, "minimum is more than maximum");
    uint64_t steps = (uint64_t)mc_json_integer(high) - (uint64_t)first;
    if (steps >= INTEGERS_MAX)
        return mc_shape_fail(path, c->err, "an integer may have at most %d values", INTEGERS_MAX);
    struct mc_entry entries[INTEGERS_MAX] = {0};
    for (size_t i = 0; i <= steps; i++) {
        entries[i].value = mc_arena_printf(&c->schema->arena, "%" PRId64, first + (int64_t)i);
        if (!mc_str_given(entries[i].value))
            return mc_fail_memory(c->err);
    }
    return mc_compile_set(c, path, entries, (size_t)steps + 1, 0, shape);
}
