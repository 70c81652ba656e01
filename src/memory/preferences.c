#include "memory/preferences.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/utf8.h"
#include "message/input.h"

/*
 * DESIGN. A user's preferences are one JSON object in the store. A change reads it into one value a
 * field, changes values, and writes the object back if it is still what was read; else it begins
 * again, so that neither another process nor an erasure in between is undone. Changes of this
 * process take turns under the user's stripe of locks: the one lock that is held across the store.
 */

#define STRIPES 64
#define TRIES_MAX 100
#define ARENA_MAX ((size_t)4 << 20)
#define TEXT_MAX 200
#define LIST_MAX 50
#define CUSTOM_MAX 16384

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

/* What a field holds: text (absent: null), items, or an object as JSON. */
struct value {
    mc_str text;
    mc_str items[LIST_MAX];
    size_t count;
    mc_str object;
};

struct preferences {
    struct value values[FIELD_COUNT];
};

struct mc_preferences {
    struct mc_store *store;
    struct mc_preferences_options options;
    mc_mutex stripes[STRIPES]; /* each serialises the changes of its users */
};

enum mc_status mc_preferences_open(struct mc_store *store,
                                   const struct mc_preferences_options *options,
                                   struct mc_preferences **preferences, struct mc_error *err)
{
    struct mc_preferences *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->store = store;
    made->options = *options;
    for (size_t i = 0; i < STRIPES; i++)
        mc_mutex_init(&made->stripes[i]);
    *preferences = made;
    return MC_OK;
}

void mc_preferences_close(struct mc_preferences *preferences)
{
    if (!preferences)
        return;
    for (size_t i = 0; i < STRIPES; i++)
        mc_mutex_fini(&preferences->stripes[i]);
    free(preferences);
}

static mc_mutex *stripe_of(struct mc_preferences *preferences, mc_str user_id)
{
    return &preferences->stripes[mc_str_hash(user_id) % STRIPES];
}

void mc_preferences_lock(struct mc_preferences *preferences, mc_str user_id)
{
    mc_mutex_lock(stripe_of(preferences, user_id));
}

void mc_preferences_unlock(struct mc_preferences *preferences, mc_str user_id)
{
    mc_mutex_unlock(stripe_of(preferences, user_id));
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

const char *mc_preferences_plain_field(size_t index, bool *list)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (FIELDS[i].kind == OBJECT || index-- > 0)
            continue;
        *list = FIELDS[i].kind == LIST;
        return FIELDS[i].name;
    }
    return NULL;
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

static enum mc_status wrong_type(const struct field *field, const char *wanted,
                                 const struct mc_json *node, struct mc_error *err)
{
    return mc_fail_field(err, MC_INVALID, field->name, "%s must be %s, not %s", field->name, wanted,
                         mc_json_type_name(mc_json_type(node)));
}

static enum mc_status set_list(const struct field *field, const struct mc_json *node,
                               struct value *value, struct mc_error *err)
{
    if (mc_json_type(node) != MC_JSON_ARRAY)
        return wrong_type(field, "a list of strings", node, err);
    *value = (struct value){0};
    for (size_t i = 0; i < mc_json_count(node); i++) {
        const struct mc_json *item = mc_json_at(node, i);
        if (mc_json_type(item) != MC_JSON_STRING)
            return wrong_type(field, "a list of strings", item, err);
        enum mc_status status = add_item(field, value, mc_json_string(item), err);
        if (status)
            return status;
    }
    return MC_OK;
}

static enum mc_status set_object(const struct field *field, const struct mc_json *node,
                                 struct mc_arena *arena, struct value *value, struct mc_error *err)
{
    if (mc_json_type(node) != MC_JSON_OBJECT)
        return wrong_type(field, "an object", node, err);
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, SIZE_MAX / 2); /* what is in memory as a tree */
    mc_json_dump(node, &buf);
    if (buf.failed)
        return mc_fail_memory(err);
    if (buf.len > CUSTOM_MAX)
        return mc_fail_field(err, MC_TOO_LARGE, field->name,
                             "%s takes %zu bytes as JSON, at most %d are allowed", field->name,
                             buf.len, CUSTOM_MAX);
    value->object = mc_arena_copy(arena, mc_buf_str(&buf));
    return value->object.data ? MC_OK : mc_fail_memory(err);
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
        return set_object(field, node, arena, value, err);
    if (mc_json_type(node) != MC_JSON_STRING)
        return wrong_type(field, "a string or null", node, err);
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
            return wrong_type(field, "a string or a list of strings", item, err);
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

static void write_preferences(struct mc_json_writer *w, const struct preferences *preferences)
{
    mc_json_begin(w, '{');
    for (size_t i = 0; i < FIELD_COUNT; i++)
        write_value(w, &FIELDS[i], &preferences->values[i]);
    mc_json_end(w, '}');
}

/* Merges an object; an unknown field is an error that lists the known ones. */
static enum mc_status merge(const struct mc_json *object, struct mc_arena *arena,
                            struct preferences *preferences, struct mc_error *err)
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
        enum mc_status status = set_value(field, node, arena, &preferences->values[index], err);
        if (status)
            return status;
    }
    return MC_OK;
}

/* A change in progress: what was stored, parsed, and where its strings live. */
struct change {
    struct mc_arena arena;
    mc_str old; /* as it was stored, "" when nothing was; in the arena */
    struct mc_json *stored;
    struct preferences *now; /* in the arena */
    bool changed;            /* is to be stored */
    bool learned;            /* from signals */
};

static void change_fini(struct change *change)
{
    mc_json_free(change->stored);
    mc_arena_fini(&change->arena);
}

static enum mc_status load(struct mc_preferences *preferences, mc_str user_id,
                           struct change *change, struct mc_error *err)
{
    *change = (struct change){.old = MC_STR("")};
    mc_arena_init(&change->arena, ARENA_MAX);
    change->now = mc_arena_alloc(&change->arena, sizeof(*change->now));
    if (!change->now)
        return mc_fail_memory(err);
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, ARENA_MAX);
    enum mc_status status =
        preferences->store->ops->preferences(preferences->store, user_id, &buf, err);
    if (status || buf.len == 0)
        return status;
    change->old = mc_arena_copy(&change->arena, mc_buf_str(&buf));
    if (!change->old.data)
        return mc_fail_memory(err);
    status = mc_json_parse(change->old, &change->stored, err);
    return status ? status : merge(change->stored, &change->arena, change->now, err);
}

static enum mc_status save(struct mc_preferences *preferences, mc_str user_id,
                           const struct change *change, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf object;
    mc_buf_init(&object, ARENA_MAX);
    struct mc_json_writer w = mc_json_writer(&object);
    write_preferences(&w, change->now);
    if (object.failed)
        return mc_fail_memory(err);
    return preferences->store->ops->set_preferences(preferences->store, user_id, change->old,
                                                    mc_buf_str(&object), change->learned, err);
}

/* Changes what was loaded and writes the result. */
typedef enum mc_status (*edit_fn)(struct mc_preferences *preferences, mc_str user_id,
                                  struct change *change, void *context, struct mc_buf *json,
                                  struct mc_error *err);

static enum mc_status edit_once(struct mc_preferences *preferences, mc_str user_id, edit_fn edit,
                                void *context, struct mc_buf *json, struct mc_error *err)
{
    mc_auto(change_fini) struct change change;
    mc_auto(mc_buf_fini) struct mc_buf result;
    mc_buf_init(&result, ARENA_MAX);
    enum mc_status status = load(preferences, user_id, &change, err);
    if (!status)
        status = edit(preferences, user_id, &change, context, &result, err);
    if (!status && change.changed)
        status = save(preferences, user_id, &change, err);
    if (status)
        return status;
    mc_buf_append(json, mc_buf_str(&result));
    return result.failed || json->failed ? mc_fail_memory(err) : MC_OK;
}

static enum mc_status edit_stored(struct mc_preferences *preferences, mc_str user_id, edit_fn edit,
                                  void *context, struct mc_buf *json, struct mc_error *err)
{
    enum mc_status status = MC_CONFLICT;
    mc_preferences_lock(preferences, user_id);
    for (int i = 0; status == MC_CONFLICT && i < TRIES_MAX; i++)
        status = edit_once(preferences, user_id, edit, context, json, err);
    mc_preferences_unlock(preferences, user_id);
    if (status == MC_CONFLICT)
        return mc_fail(err, MC_BUSY,
                       "other processes keep changing the preferences of '%.*s'; try "
                       "again",
                       MC_STR_ARG(user_id));
    return status;
}

enum mc_status mc_preferences_read(struct mc_preferences *preferences, mc_str user_id,
                                   struct mc_buf *json, struct mc_error *err)
{
    mc_auto(change_fini) struct change change;
    enum mc_status status = load(preferences, user_id, &change, err);
    if (status)
        return status;
    struct mc_json_writer w = mc_json_writer(json);
    write_preferences(&w, change.now);
    return json->failed ? mc_fail_memory(err) : MC_OK;
}

static enum mc_status apply_action(struct change *change, mc_str name, const struct mc_json *node,
                                   enum mc_preference_action action, struct mc_error *err)
{
    size_t index;
    const struct field *field = find_field(name, &index);
    if (!field)
        return mc_fail_field(err, MC_INVALID, "field",
                             "unknown field \"%.*s\"; fields are " FIELD_NAMES,
                             (int)(name.len < 64 ? name.len : 64), name.data ? name.data : "");
    struct value *value = &change->now->values[index];
    if (action == MC_PREFERENCE_CLEAR) {
        *value = (struct value){0};
        return MC_OK;
    }
    if (action == MC_PREFERENCE_SET)
        return set_value(field, node, &change->arena, value, err);
    return amend_list(field, node, action == MC_PREFERENCE_ADD, value, err);
}

static enum mc_status write_result(const struct change *change, struct mc_buf *json,
                                   struct mc_error *err)
{
    struct mc_json_writer w = mc_json_writer(json);
    write_preferences(&w, change->now);
    return json->failed ? mc_fail_memory(err) : MC_OK;
}

struct action {
    mc_str field;
    const struct mc_json *value;
    enum mc_preference_action action;
};

static enum mc_status edit_field(struct mc_preferences *preferences, mc_str user_id,
                                 struct change *change, void *context, struct mc_buf *json,
                                 struct mc_error *err)
{
    (void)preferences;
    (void)user_id;
    const struct action *a = context;
    change->changed = true;
    enum mc_status status = apply_action(change, a->field, a->value, a->action, err);
    return status ? status : write_result(change, json, err);
}

enum mc_status mc_preferences_change(struct mc_preferences *preferences, mc_str user_id,
                                     mc_str field, mc_str value, enum mc_preference_action action,
                                     struct mc_buf *json, struct mc_error *err)
{
    mc_auto(mc_json_free_ptr) struct mc_json *node = NULL;
    if (action != MC_PREFERENCE_CLEAR) {
        struct mc_error detail;
        if (mc_json_parse(value, &node, &detail))
            return mc_fail_field(err, MC_INVALID, "value", "value: %s", detail.message);
    }
    struct action wanted = {field, node, action};
    return edit_stored(preferences, user_id, edit_field, &wanted, json, err);
}

static enum mc_status edit_patch(struct mc_preferences *preferences, mc_str user_id,
                                 struct change *change, void *context, struct mc_buf *json,
                                 struct mc_error *err)
{
    (void)preferences;
    (void)user_id;
    change->changed = true;
    enum mc_status status = merge(context, &change->arena, change->now, err);
    return status ? status : write_result(change, json, err);
}

enum mc_status mc_preferences_merge(struct mc_preferences *preferences, mc_str user_id,
                                    mc_str patch, struct mc_buf *json, struct mc_error *err)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    enum mc_status status = mc_json_parse(patch, &root, err);
    return status ? status : edit_stored(preferences, user_id, edit_patch, root, json, err);
}

/* ---- Signals ---- */

/* Signals of a user that are looked at. */
#define SIGNALS_MAX 500

struct learned {
    struct mc_arena *arena;
    struct mc_signal *items;
    size_t count;
    bool failed;
};

static bool keep_signal(void *context, const struct mc_signal *signal)
{
    struct learned *learned = context;
    struct mc_signal *kept = &learned->items[learned->count];
    *kept = *signal;
    kept->field = mc_arena_copy(learned->arena, signal->field);
    kept->value = mc_arena_copy(learned->arena, signal->value);
    learned->failed = !kept->field.data || !kept->value.data;
    if (!learned->failed)
        learned->count++;
    return !learned->failed && learned->count < SIGNALS_MAX;
}

static enum mc_status read_signals(struct mc_preferences *preferences, mc_str user_id,
                                   struct mc_arena *arena, struct learned *learned,
                                   struct mc_error *err)
{
    *learned = (struct learned){
        .arena = arena,
        .items = mc_arena_array(arena, SIGNALS_MAX, sizeof(struct mc_signal)),
    };
    if (!learned->items)
        return mc_fail_memory(err);
    enum mc_status status =
        preferences->store->ops->signals(preferences->store, user_id, keep_signal, learned, err);
    return !status && learned->failed ? mc_fail_memory(err) : status;
}

static bool is_list(mc_str name)
{
    size_t index;
    const struct field *field = find_field(name, &index);
    return field && field->kind == LIST;
}

/*
 * Between 0 and 1. A field with one value: the share of its observations that say this one. A list:
 * the mean weight of the observations, 1 for what the user said outright.
 */
static double confidence(const struct learned *learned, const struct mc_signal *signal)
{
    double total = 0;
    if (is_list(signal->field)) {
        total = (double)signal->count;
    } else {
        for (size_t i = 0; i < learned->count; i++) {
            if (mc_str_equal(learned->items[i].field, signal->field))
                total += learned->items[i].weight;
        }
    }
    double share = total > 0 ? signal->weight / total : 0;
    return share < 1 ? share : 1;
}

static bool ready(const struct mc_preferences *preferences, const struct learned *learned,
                  const struct mc_signal *signal)
{
    return signal->count >= preferences->options.signal_min_count &&
           confidence(learned, signal) >= preferences->options.signal_min_confidence;
}

/* A field with one value takes the one with the greatest weight, the first among equals. */
static bool outdone(const struct learned *learned, const struct mc_signal *signal)
{
    if (is_list(signal->field))
        return false;
    for (const struct mc_signal *other = learned->items; other < learned->items + learned->count;
         other++) {
        if (mc_str_equal(other->field, signal->field) &&
            (other->weight > signal->weight || (other->weight == signal->weight && other < signal)))
            return true;
    }
    return false;
}

enum mc_status mc_preferences_list_signals(struct mc_preferences *preferences, mc_str user_id,
                                           struct mc_buf *json, struct mc_error *err)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, ARENA_MAX);
    struct learned learned;
    enum mc_status status = read_signals(preferences, user_id, &arena, &learned, err);
    if (status)
        return status;
    struct mc_json_writer w = mc_json_writer(json);
    mc_json_begin(&w, '{');
    mc_json_key(&w, "signals");
    mc_json_begin(&w, '[');
    for (size_t i = 0; i < learned.count; i++) {
        const struct mc_signal *signal = &learned.items[i];
        mc_json_begin(&w, '{');
        mc_json_member_string(&w, "field", signal->field);
        mc_json_member_string(&w, "value", signal->value);
        mc_json_member_integer(&w, "count", signal->count);
        mc_json_member_fixed(&w, "confidence", confidence(&learned, signal), 3);
        mc_json_key(&w, "last_seen");
        mc_json_put_time(&w, signal->last_seen_us);
        mc_json_member_boolean(&w, "ready", ready(preferences, &learned, signal));
        mc_json_end(&w, '}');
    }
    mc_json_end(&w, ']');
    mc_json_end(&w, '}');
    return json->failed ? mc_fail_memory(err) : MC_OK;
}

/* Puts a ready signal into the preferences; true when that changed them. */
static bool apply_signal(struct preferences *now, const struct mc_signal *signal)
{
    size_t index;
    const struct field *field = find_field(signal->field, &index);
    if (!field || field->kind == OBJECT || check_text(field, signal->value, NULL))
        return false;
    struct value *value = &now->values[index];
    if (field->kind == LIST) {
        size_t before = value->count;
        return !add_item(field, value, signal->value, NULL) && value->count > before;
    }
    bool same = mc_str_given(value->text) && mc_str_equal(value->text, signal->value);
    value->text = signal->value;
    return !same;
}

static enum mc_status edit_learned(struct mc_preferences *preferences, mc_str user_id,
                                   struct change *change, void *context, struct mc_buf *json,
                                   struct mc_error *err)
{
    (void)context;
    struct learned learned;
    enum mc_status status = read_signals(preferences, user_id, &change->arena, &learned, err);
    if (status)
        return status;
    struct mc_json_writer w = mc_json_writer(json);
    mc_json_begin(&w, '{');
    mc_json_key(&w, "applied");
    mc_json_begin(&w, '[');
    size_t applied = 0;
    for (size_t i = 0; i < learned.count; i++) {
        const struct mc_signal *signal = &learned.items[i];
        if (!ready(preferences, &learned, signal) || outdone(&learned, signal) ||
            !apply_signal(change->now, signal))
            continue;
        applied++;
        mc_json_begin(&w, '{');
        mc_json_member_string(&w, "field", signal->field);
        mc_json_member_string(&w, "value", signal->value);
        mc_json_end(&w, '}');
    }
    mc_json_end(&w, ']');
    mc_json_key(&w, "preferences");
    write_preferences(&w, change->now);
    mc_json_end(&w, '}');
    change->changed = change->learned = applied > 0;
    return json->failed ? mc_fail_memory(err) : MC_OK;
}

enum mc_status mc_preferences_apply_signals(struct mc_preferences *preferences, mc_str user_id,
                                            struct mc_buf *json, struct mc_error *err)
{
    return edit_stored(preferences, user_id, edit_learned, NULL, json, err);
}

enum mc_status mc_preferences_auto_apply(struct mc_preferences *preferences, mc_str user_id,
                                         struct mc_error *err)
{
    if (!preferences->options.auto_apply)
        return MC_OK;
    mc_auto(mc_buf_fini) struct mc_buf ignored;
    mc_buf_init(&ignored, ARENA_MAX);
    return mc_preferences_apply_signals(preferences, user_id, &ignored, err);
}
