#include "memory/preferences.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "base/thread.h"
#include "memory/preference_values.h"

/*
 * DESIGN. A user's preferences are one JSON object in the store. A change reads it into one value a
 * field, changes values, and writes the object back if it is still what was read; else it begins
 * again, so that neither another process nor an erasure in between is undone. Changes of this
 * process take turns under the user's stripe of locks: the one lock that is held across the store.
 */

#define STRIPES 64
#define TRIES_MAX 100
#define ARENA_MAX ((size_t)4 << 20)

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

/* A change in progress: what was stored, parsed, and where its strings live. */
struct change {
    struct mc_arena arena;
    mc_str old; /* as it was stored, "" when nothing was; in the arena */
    struct mc_json *stored;
    struct mc_preference_values *now; /* in the arena */
    bool changed;                     /* is to be stored */
    bool learned;                     /* from signals */
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
    change->now = mc_preference_values_new(&change->arena);
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
    return status ? status : mc_preference_values_merge(change->now, change->stored, err);
}

static enum mc_status save(struct mc_preferences *preferences, mc_str user_id,
                           const struct change *change, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf object;
    mc_buf_init(&object, ARENA_MAX);
    struct mc_json_writer w = mc_json_writer(&object);
    mc_preference_values_write(change->now, &w);
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

static enum mc_status write_result(const struct change *change, struct mc_buf *json,
                                   struct mc_error *err)
{
    struct mc_json_writer w = mc_json_writer(json);
    mc_preference_values_write(change->now, &w);
    return json->failed ? mc_fail_memory(err) : MC_OK;
}

enum mc_status mc_preferences_read(struct mc_preferences *preferences, mc_str user_id,
                                   struct mc_buf *json, struct mc_error *err)
{
    mc_auto(change_fini) struct change change;
    enum mc_status status = load(preferences, user_id, &change, err);
    return status ? status : write_result(&change, json, err);
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
    enum mc_status status =
        mc_preference_values_change(change->now, a->field, a->value, a->action, err);
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
    enum mc_status status = mc_preference_values_merge(change->now, context, err);
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

/*
 * Between 0 and 1. A field with one value: the share of its observations that say this one. A list:
 * the mean weight of the observations, 1 for what the user said outright.
 */
static double confidence(const struct learned *learned, const struct mc_signal *signal)
{
    double total = 0;
    if (mc_preference_is_list(signal->field)) {
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
    if (mc_preference_is_list(signal->field))
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
            !mc_preference_values_learn(change->now, signal->field, signal->value))
            continue;
        applied++;
        mc_json_begin(&w, '{');
        mc_json_member_string(&w, "field", signal->field);
        mc_json_member_string(&w, "value", signal->value);
        mc_json_end(&w, '}');
    }
    mc_json_end(&w, ']');
    mc_json_key(&w, "preferences");
    mc_preference_values_write(change->now, &w);
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
