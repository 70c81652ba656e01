#include "memory/preference_values.h"

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/utf8.h"
#include "message/input.h"

#define TEXT_MAX 200
#define LIST_MAX 50
#define CUSTOM_MAX 16384 /* bytes as JSON */

enum kind { TEXT, STYLE, LIST, OBJECT };

/* The one table of fields, in the order that they are written. */
static const struct field {
    const char *name;
    enum kind kind;
} FIELDS[] = {
    {"language", TEXT},       {"timezone", TEXT},  {"communication_style", STYLE},
    {"preferred_name", TEXT}, {"interests", LIST}, {"goals", LIST},
    {"custom", OBJECT},
};
#define FIELD_COUNT mc_countof(FIELDS)
#define FIELD_NAMES                                                                                \
    "language, timezone, communication_style, preferred_name, interests, goals, custom"

/* What one holds: text (absent: null), items, or an object as JSON. */
struct value {
    mc_str text;
    mc_str items[LIST_MAX];
    size_t count;
    mc_str object;
};

struct mc_preference_values {
    struct mc_arena *arena; /* holds objects */
    struct value values[FIELD_COUNT];
};

struct mc_preference_values *mc_preference_values_new(struct mc_arena *arena)
{
    struct mc_preference_values *values = mc_arena_alloc(arena, sizeof(*values));
    if (values)
        values->arena = arena;
    return values;
}

static const struct field *find_field(mc_str name, size_t *index)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (mc_str_equal(name, mc_str_of(FIELDS[i].name))) {
            *index = i;
            return &FIELDS[i];
        }
    }
    return NULL;
}

const char *mc_preference_plain_field(size_t index, bool *list)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (FIELDS[i].kind == OBJECT || index-- > 0)
            continue;
        *list = FIELDS[i].kind == LIST;
        return FIELDS[i].name;
    }
    return NULL;
}

bool mc_preference_is_list(mc_str name)
{
    size_t index;
    const struct field *field = find_field(name, &index);
    return field && field->kind == LIST;
}

/* ---- One value ---- */

static enum mc_status check_text(const struct field *field, mc_str text, struct mc_error *err)
{
    size_t characters;
    if (!mc_utf8_check(text, &characters, NULL) || mc_utf8_is_blank(text))
        return mc_fail_field(err, MC_INVALID, field->name, "%s must be readable text", field->name);
    if (characters > TEXT_MAX)
        return mc_fail_field(err, MC_INVALID, field->name,
                             "%s has %zu characters, at most %d are allowed", field->name,
                             characters, TEXT_MAX);
    if (field->kind == STYLE && !mc_str_equal(text, MC_STR("concise")) &&
        !mc_str_equal(text, MC_STR("balanced")) && !mc_str_equal(text, MC_STR("detailed")))
        return mc_fail_field(err, MC_INVALID, field->name,
                             "%s must be concise, balanced or detailed", field->name);
    return MC_OK;
}

static size_t find_item(const struct value *value, mc_str item)
{
    size_t i = 0;
    while (i < value->count && !mc_str_equal_nocase(value->items[i], item))
        i++;
    return i;
}

static enum mc_status add_item(const struct field *field, struct value *value, mc_str item,
                               struct mc_error *err)
{
    enum mc_status status = check_text(field, item, err);
    if (status || find_item(value, item) < value->count)
        return status;
    if (value->count == LIST_MAX)
        return mc_fail_field(err, MC_INVALID, field->name,
                             "%s has %d entries, no more are allowed; remove one first",
                             field->name, LIST_MAX);
    value->items[value->count++] = item;
    return MC_OK;
}

static void remove_item(struct value *value, mc_str item)
{
    size_t at = find_item(value, item);
    if (at == value->count)
        return;
    value->count--;
    memmove(&value->items[at], &value->items[at + 1], (value->count - at) * sizeof(mc_str));
}

static enum mc_status set_list(const struct field *field, const struct mc_json *node,
                               struct value *value, struct mc_error *err)
{
    if (mc_json_type(node) != MC_JSON_ARRAY)
        return mc_input_wrong_type(field->name, "a list of strings", node, err);
    *value = (struct value){0};
    for (size_t i = 0; i < mc_json_count(node); i++) {
        const struct mc_json *item = mc_json_at(node, i);
        if (mc_json_type(item) != MC_JSON_STRING)
            return mc_input_wrong_type(field->name, "a list of strings", item, err);
        enum mc_status status = add_item(field, value, mc_json_string(item), err);
        if (status)
            return status;
    }
    return MC_OK;
}

/* Gives a field a new value; null makes it empty. Strings borrow from the node. */
static enum mc_status set_value(const struct field *field, const struct mc_json *node,
                                struct mc_arena *arena, struct value *value, struct mc_error *err)
{
    if (mc_json_type(node) == MC_JSON_NULL) {
        *value = (struct value){0};
        return MC_OK;
    }
    if (field->kind == LIST)
        return set_list(field, node, value, err);
    if (field->kind == OBJECT)
        return mc_input_object(node, field->name, CUSTOM_MAX, arena, &value->object, err);
    if (mc_json_type(node) != MC_JSON_STRING)
        return mc_input_wrong_type(field->name, "a string or null", node, err);
    enum mc_status status = check_text(field, mc_json_string(node), err);
    if (!status)
        value->text = mc_json_string(node);
    return status;
}

/* add and remove take one text or a list of them. */
static enum mc_status amend_list(const struct field *field, const struct mc_json *node, bool add,
                                 struct value *value, struct mc_error *err)
{
    if (field->kind != LIST)
        return mc_fail_field(err, MC_INVALID, field->name,
                             "%s is no list: use set or clear instead of add and remove",
                             field->name);
    bool list = mc_json_type(node) == MC_JSON_ARRAY;
    size_t count = list ? mc_json_count(node) : 1;
    for (size_t i = 0; i < count; i++) {
        const struct mc_json *item = list ? mc_json_at(node, i) : node;
        if (mc_json_type(item) != MC_JSON_STRING)
            return mc_input_wrong_type(field->name, "a string or a list of strings", item, err);
        if (!add) {
            remove_item(value, mc_json_string(item));
            continue;
        }
        enum mc_status status = add_item(field, value, mc_json_string(item), err);
        if (status)
            return status;
    }
    return MC_OK;
}

/* ---- The whole object ---- */

static void write_value(struct mc_json_writer *w, const struct field *field,
                        const struct value *value)
{
    mc_json_key(w, field->name);
    if (field->kind == LIST) {
        mc_json_begin(w, '[');
        for (size_t i = 0; i < value->count; i++)
            mc_json_put_string(w, value->items[i]);
        mc_json_end(w, ']');
    } else if (field->kind == OBJECT) {
        mc_json_put_raw(w, value->object.len ? value->object : MC_STR("{}"));
    } else if (mc_str_given(value->text)) {
        mc_json_put_string(w, value->text);
    } else {
        mc_json_put_null(w);
    }
}

void mc_preference_values_write(const struct mc_preference_values *values, struct mc_json_writer *w)
{
    mc_json_begin(w, '{');
    for (size_t i = 0; i < FIELD_COUNT; i++)
        write_value(w, &FIELDS[i], &values->values[i]);
    mc_json_end(w, '}');
}

enum mc_status mc_preference_values_merge(struct mc_preference_values *values,
                                          const struct mc_json *object, struct mc_error *err)
{
    if (mc_json_type(object) != MC_JSON_OBJECT)
        return mc_fail(err, MC_INVALID, "preferences must be a JSON object, not %s",
                       mc_json_type_name(mc_json_type(object)));
    void *cursor = NULL;
    mc_str key;
    const struct mc_json *node;
    while (mc_json_next(object, &cursor, &key, &node)) {
        size_t index;
        const struct field *field = find_field(key, &index);
        if (!field)
            return mc_input_unknown(
                key, "fields are " FIELD_NAMES " (the application's own go into custom)", err);
        enum mc_status status = set_value(field, node, values->arena, &values->values[index], err);
        if (status)
            return status;
    }
    return MC_OK;
}

enum mc_status mc_preference_values_change(struct mc_preference_values *values, mc_str name,
                                           const struct mc_json *node,
                                           enum mc_preference_action action, struct mc_error *err)
{
    size_t index;
    const struct field *field = find_field(name, &index);
    if (!field)
        return mc_fail_field(err, MC_INVALID, "field",
                             "unknown field \"%.*s\"; fields are " FIELD_NAMES,
                             (int)(name.len < 64 ? name.len : 64), name.data ? name.data : "");
    struct value *value = &values->values[index];
    if (action == MC_PREFERENCE_CLEAR) {
        *value = (struct value){0};
        return MC_OK;
    }
    if (action == MC_PREFERENCE_SET)
        return set_value(field, node, values->arena, value, err);
    return amend_list(field, node, action == MC_PREFERENCE_ADD, value, err);
}

bool mc_preference_values_learn(struct mc_preference_values *values, mc_str name, mc_str text)
{
    size_t index;
    const struct field *field = find_field(name, &index);
    if (!field || field->kind == OBJECT || check_text(field, text, NULL))
        return false;
    struct value *value = &values->values[index];
    if (field->kind == LIST) {
        size_t before = value->count;
        return !add_item(field, value, text, NULL) && value->count > before;
    }
    bool same = mc_str_given(value->text) && mc_str_equal(value->text, text);
    value->text = text;
    return !same;
}
