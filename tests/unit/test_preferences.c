/* Preferences over the real store: reading, changing, limits, concurrency, learned signals. */
#include "tap.h"

#include <pthread.h>

#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"
#include "memory/preferences.h"
#include "support/fault_store.h"
#include "support/scratch.h"

#define DEFAULTS                                                                                   \
    "{\"language\":null,\"timezone\":null,\"communication_style\":null,\"preferred_name\":null,"   \
    "\"interests\":[],\"goals\":[],\"custom\":{}}"

struct fixture {
    struct scratch scratch;
    struct mc_store *inner;
    struct mc_store *store; /* the inner one behind faults */
    struct mc_preferences *preferences;
};

static void open_with(struct fixture *f, const struct mc_preferences_options *options)
{
    struct mc_error err = {0};
    f->preferences = NULL;
    if (mc_preferences_open(f->store, options, &f->preferences, &err))
        bail_out("preferences: %s", err.message);
}

static void set_up(struct fixture *f)
{
    scratch_make(&f->scratch);
    f->inner = scratch_store(&f->scratch, "p.db");
    f->store = mc_fault_store_open(f->inner);
    open_with(f, &(struct mc_preferences_options){3, 0.6, false});
}

static void tear_down(struct fixture *f)
{
    mc_preferences_close(f->preferences);
    f->store->ops->close(f->store);
    f->inner->ops->close(f->inner);
    scratch_remove(&f->scratch);
}

/* The preferences of a user are this JSON. */
static void are(struct fixture *f, const char *user, const char *expected, const char *what)
{
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_buf_init(&json, 1 << 20);
    struct mc_error err = {0};
    if (is_status(mc_preferences_read(f->preferences, mc_str_of(user), &json, &err), MC_OK, &err,
                  "%s: read", what))
        is_text(mc_buf_str(&json), expected, "%s", what);
}

static enum mc_status change(struct fixture *f, const char *user, const char *field,
                             const char *value, enum mc_preference_action action,
                             struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_buf_init(&json, 1 << 20);
    memset(err, 0, sizeof(*err));
    return mc_preferences_change(f->preferences, mc_str_of(user), mc_str_of(field),
                                 mc_str_of(value), action, &json, err);
}

static void changed(struct fixture *f, const char *field, const char *value,
                    enum mc_preference_action action, const char *expected)
{
    struct mc_error err;
    is_status(change(f, "u", field, value, action, &err), MC_OK, &err, "%s %s", field,
              value ? value : "(none)");
    are(f, "u", expected, field);
}

static void not_changed(struct fixture *f, const char *field, const char *value,
                        enum mc_preference_action action, enum mc_status status,
                        const char *err_field)
{
    struct mc_error err;
    is_status(change(f, "u", field, value, action, &err), status, &err, "%s to %.60s is refused",
              field, value ? value : "(none)");
    is_str(err.field, err_field, "naming %s: %s", err_field, err.message);
}

static void test_change(struct fixture *f)
{
    are(f, "u", DEFAULTS, "a user that nothing is known of");
    changed(f, "language", "\"German\"", MC_PREFERENCE_SET,
            "{\"language\":\"German\",\"timezone\":null,\"communication_style\":null,"
            "\"preferred_name\":null,\"interests\":[],\"goals\":[],\"custom\":{}}");
    changed(f, "communication_style", "\"concise\"", MC_PREFERENCE_SET,
            "{\"language\":\"German\",\"timezone\":null,\"communication_style\":\"concise\","
            "\"preferred_name\":null,\"interests\":[],\"goals\":[],\"custom\":{}}");
    changed(f, "language", NULL, MC_PREFERENCE_CLEAR,
            "{\"language\":null,\"timezone\":null,\"communication_style\":\"concise\","
            "\"preferred_name\":null,\"interests\":[],\"goals\":[],\"custom\":{}}");
    changed(f, "communication_style", "null", MC_PREFERENCE_SET, DEFAULTS);
#define LIST(items)                                                                                \
    "{\"language\":null,\"timezone\":null,\"communication_style\":null,\"preferred_name\":null,"   \
    "\"interests\":[" items "],\"goals\":[],\"custom\":{}}"
    changed(f, "interests", "\"tea\"", MC_PREFERENCE_ADD, LIST("\"tea\""));
    changed(f, "interests", "[\"chess\",\"Tea\",\"maps\"]", MC_PREFERENCE_ADD,
            LIST("\"tea\",\"chess\",\"maps\""));
    changed(f, "interests", "\"CHESS\"", MC_PREFERENCE_REMOVE, LIST("\"tea\",\"maps\""));
    changed(f, "interests", "\"never there\"", MC_PREFERENCE_REMOVE, LIST("\"tea\",\"maps\""));
    changed(f, "interests", "[\"a\",\"b\",\"A\"]", MC_PREFERENCE_SET, LIST("\"a\",\"b\""));
    changed(f, "interests", "[\"a\",\"b\"]", MC_PREFERENCE_REMOVE, DEFAULTS);
    changed(f, "interests", "[\"x\"]", MC_PREFERENCE_SET, LIST("\"x\""));
    changed(f, "interests", NULL, MC_PREFERENCE_CLEAR, DEFAULTS);
    changed(f, "custom", "{\"theme\":{\"dark\":true},\"n\":1.5}", MC_PREFERENCE_SET,
            "{\"language\":null,\"timezone\":null,\"communication_style\":null,"
            "\"preferred_name\":null,\"interests\":[],\"goals\":[],"
            "\"custom\":{\"theme\":{\"dark\":true},\"n\":1.5}}");
    are(f, "another", DEFAULTS, "another user is another user");
    changed(f, "custom", "null", MC_PREFERENCE_SET, DEFAULTS);
#undef LIST
}

static void test_refusals(struct fixture *f)
{
    struct mc_error err;
    (void)change(f, "u", "preferred_name", "\"Ann\"", MC_PREFERENCE_SET, &err);
    not_changed(f, "language", "5", MC_PREFERENCE_SET, MC_INVALID, "language");
    not_changed(f, "language", "[\"German\"]", MC_PREFERENCE_SET, MC_INVALID, "language");
    not_changed(f, "language", "\"  \"", MC_PREFERENCE_SET, MC_INVALID, "language");
    not_changed(f, "language", "\"\"", MC_PREFERENCE_SET, MC_INVALID, "language");
    not_changed(f, "language", "\"x\"", MC_PREFERENCE_ADD, MC_INVALID, "language");
    not_changed(f, "communication_style", "\"chatty\"", MC_PREFERENCE_SET, MC_INVALID,
                "communication_style");
    not_changed(f, "communication_style", "\"Concise\"", MC_PREFERENCE_SET, MC_INVALID,
                "communication_style");
    not_changed(f, "interests", "\"tea\"", MC_PREFERENCE_SET, MC_INVALID, "interests");
    not_changed(f, "interests", "[1]", MC_PREFERENCE_SET, MC_INVALID, "interests");
    not_changed(f, "interests", "{}", MC_PREFERENCE_ADD, MC_INVALID, "interests");
    not_changed(f, "interests", "[\"a\",null]", MC_PREFERENCE_ADD, MC_INVALID, "interests");
    not_changed(f, "custom", "[]", MC_PREFERENCE_SET, MC_INVALID, "custom");
    not_changed(f, "custom", "\"x\"", MC_PREFERENCE_SET, MC_INVALID, "custom");
    not_changed(f, "custom", "{}", MC_PREFERENCE_ADD, MC_INVALID, "custom");
    not_changed(f, "colour", "\"red\"", MC_PREFERENCE_SET, MC_INVALID, "field");
    not_changed(f, "", "\"red\"", MC_PREFERENCE_SET, MC_INVALID, "field");
    not_changed(f, NULL, "\"red\"", MC_PREFERENCE_SET, MC_INVALID, "field");
    not_changed(f, "language", "German", MC_PREFERENCE_SET, MC_INVALID, "value");
    not_changed(f, "language", NULL, MC_PREFERENCE_SET, MC_INVALID, "value");

    mc_auto(mc_buf_fini) struct mc_buf text;
    mc_buf_init(&text, 1 << 20);
    mc_buf_char(&text, '"');
    for (int i = 0; i < 200; i++)
        mc_buf_text(&text, "\xc3\xa4");
    mc_buf_char(&text, '"');
    is_status(change(f, "long", "language", text.data, MC_PREFERENCE_SET, &err), MC_OK, &err,
              "200 characters of two bytes");
    text.len--;
    mc_buf_text(&text, "x\"");
    not_changed(f, "language", text.data, MC_PREFERENCE_SET, MC_INVALID, "language");

    mc_buf_reset(&text);
    mc_buf_text(&text, "{\"a\":\"");
    for (int i = 0; i < 16384 - 8; i++)
        mc_buf_char(&text, 'x');
    mc_buf_text(&text, "\"}");
    is_status(change(f, "large", "custom", text.data, MC_PREFERENCE_SET, &err), MC_OK, &err,
              "an object of 16 KiB");
    text.len -= 2;
    mc_buf_text(&text, "x\"}");
    not_changed(f, "custom", text.data, MC_PREFERENCE_SET, MC_TOO_LARGE, "custom");

    for (int i = 0; i < 50; i++) {
        char item[16];
        snprintf(item, sizeof(item), "\"goal %d\"", i);
        if (change(f, "busy", "goals", item, MC_PREFERENCE_ADD, &err))
            ok(false, "goal %d: %s", i, err.message);
    }
    is_status(change(f, "busy", "goals", "\"goal 7\"", MC_PREFERENCE_ADD, &err), MC_OK, &err,
              "one that is there already has room");
    is_status(change(f, "busy", "goals", "\"goal 50\"", MC_PREFERENCE_ADD, &err), MC_INVALID, &err,
              "the 51st has none");
    is_str(err.field, "goals", "named");
    are(f, "u",
        "{\"language\":null,\"timezone\":null,\"communication_style\":null,"
        "\"preferred_name\":\"Ann\",\"interests\":[],\"goals\":[],\"custom\":{}}",
        "what was refused changed nothing");
    (void)change(f, "u", "preferred_name", NULL, MC_PREFERENCE_CLEAR, &err);
}

static enum mc_status patch(struct fixture *f, const char *user, const char *text,
                            struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_buf_init(&json, 1 << 20);
    memset(err, 0, sizeof(*err));
    return mc_preferences_merge(f->preferences, mc_str_of(user), mc_str_of(text), &json, err);
}

static void test_patch(struct fixture *f)
{
    struct mc_error err;
    is_status(patch(f, "p",
                    "{\"timezone\":\"Europe/Berlin\",\"goals\":[\"run\"],\"custom\":{\"a\":1}}",
                    &err),
              MC_OK, &err, "several fields");
    static const char *const AFTER =
        "{\"language\":null,\"timezone\":\"Europe/Berlin\",\"communication_style\":null,"
        "\"preferred_name\":null,\"interests\":[],\"goals\":[\"run\"],\"custom\":{\"a\":1}}";
    are(f, "p", AFTER, "are all set");
    is_status(patch(f, "p", "{\"language\":\"en\",\"goals\":\"no list\"}", &err), MC_INVALID, &err,
              "one bad field");
    is_str(err.field, "goals", "is named");
    are(f, "p", AFTER, "and none is set");
    is_status(patch(f, "p", "{\"language\":\"en\",\"colour\":1}", &err), MC_INVALID, &err,
              "an unknown field");
    is_str(err.field, "colour", "is the error's field");
    ok(strstr(err.message, "\"colour\"") && strstr(err.message, "custom"),
       "is named, with what there is: %s", err.message);
    are(f, "p", AFTER, "and none is set");
    static const char *const BAD[] = {"[]", "null", "\"x\"", "{", "", "{\"language\":\"a\"} x"};
    for (size_t i = 0; i < mc_countof(BAD); i++)
        is_status(patch(f, "p", BAD[i], &err), MC_INVALID, &err, "no object: %s", BAD[i]);
    is_status(patch(f, "p", "{}", &err), MC_OK, &err, "an empty patch");
    are(f, "p", AFTER, "changes nothing");
    is_status(patch(f, "p", "{\"timezone\":null,\"goals\":null,\"custom\":null}", &err), MC_OK,
              &err, "null clears");
    are(f, "p", DEFAULTS, "each of them");
}

static void test_store_failures(struct fixture *f)
{
    struct mc_error err;
    (void)patch(f, "w", "{\"language\":\"en\"}", &err);
    mc_fault_store_fail(f->store, "set_preferences", 1, 1, MC_DISK_FULL);
    is_status(patch(f, "w", "{\"language\":\"de\"}", &err), MC_DISK_FULL, &err, "a full disk");
    is_status(change(f, "w", "timezone", "\"UTC\"", MC_PREFERENCE_SET, &err), MC_OK, &err,
              "works again afterwards");
    are(f, "w",
        "{\"language\":\"en\",\"timezone\":\"UTC\",\"communication_style\":null,"
        "\"preferred_name\":null,\"interests\":[],\"goals\":[],\"custom\":{}}",
        "and nothing was lost");
    mc_fault_store_fail(f->store, "preferences", 1, 1, MC_IO);
    is_status(change(f, "w", "language", "\"fr\"", MC_PREFERENCE_SET, &err), MC_IO, &err,
              "what cannot be read is not overwritten");
}

/* ---- Eight threads change one user ---- */

struct changer {
    struct fixture *f;
    int number, failures;
};

static void *change_much(void *context)
{
    struct changer *c = context;
    for (int i = 0; i < 6; i++) {
        char item[32];
        snprintf(item, sizeof(item), "\"thing %d-%d\"", c->number, i);
        struct mc_error err;
        c->failures += change(c->f, "many", "interests", item, MC_PREFERENCE_ADD, &err) != MC_OK;
    }
    return NULL;
}

static void test_concurrency(struct fixture *f)
{
    struct changer changers[8];
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) {
        changers[i] = (struct changer){f, i, 0};
        if (pthread_create(&threads[i], NULL, change_much, &changers[i]))
            bail_out("no thread");
    }
    int failures = 0;
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        failures += changers[i].failures;
    }
    is_int(failures, 0, "every change succeeded");
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_buf_init(&json, 1 << 20);
    struct mc_error err = {0};
    is_status(mc_preferences_read(f->preferences, MC_STR("many"), &json, &err), MC_OK, &err,
              "read");
    int missing = 0;
    for (int k = 0; k < 48; k++) {
        char item[32];
        snprintf(item, sizeof(item), "\"thing %d-%d\"", k / 6, k % 6);
        missing += strstr(json.data, item) == NULL;
    }
    is_int(missing, 0, "none of 48 interests of 8 threads was lost");
}

/* ---- Another process in between ---- */

struct meanwhile {
    struct fixture *f;
    const char *user, *set; /* set NULL: the user is erased */
    int times;
};

static void interfere(void *context, const char *op)
{
    struct meanwhile *m = context;
    struct mc_store *inner = m->f->inner;
    struct mc_error err = {0};
    if (strcmp(op, "set_preferences") != 0 || m->times == 0)
        return;
    m->times--;
    mc_str user = mc_str_of(m->user);
    mc_auto(mc_buf_fini) struct mc_buf old;
    mc_buf_init(&old, 1 << 20);
    struct mc_erased erased;
    enum mc_status status = m->set ? inner->ops->preferences(inner, user, &old, &err)
                                   : inner->ops->erase(inner, user, &erased, &err);
    if (!status && m->set)
        status = inner->ops->set_preferences(inner, user, mc_buf_str(&old), mc_str_of(m->set),
                                             false, &err);
    is_status(status, MC_OK, &err, "meanwhile");
}

static void test_others(struct fixture *f)
{
    static const char first[] = "{\"language\":\"fr\"}", second[] = "{\"language\":\"it\"}";
    struct mc_error err;
    struct meanwhile m = {f, "oo", first, 1};
    is_status(patch(f, "oo", "{\"language\":\"de\",\"custom\":{\"a\":1}}", &err), MC_OK, &err,
              "set");
    mc_fault_store_hook(f->store, interfere, &m);
    is_status(patch(f, "oo", "{\"timezone\":\"UTC\"}", &err), MC_OK, &err, "a change between");
    are(f, "oo",
        "{\"language\":\"fr\",\"timezone\":\"UTC\",\"communication_style\":null,"
        "\"preferred_name\":null,\"interests\":[],\"goals\":[],\"custom\":{}}",
        "is not undone");
    m = (struct meanwhile){f, "oo", NULL, 1};
    is_status(change(f, "oo", "timezone", "\"CET\"", MC_PREFERENCE_SET, &err), MC_OK, &err,
              "an erasure between");
    are(f, "oo",
        "{\"language\":null,\"timezone\":\"CET\",\"communication_style\":null,"
        "\"preferred_name\":null,\"interests\":[],\"goals\":[],\"custom\":{}}",
        "is not undone either");
    const struct mc_signal signal = {MC_STR("language"), MC_STR("nl"), 9, 1000000, 9};
    is_status(f->inner->ops->add_signals(f->inner, MC_STR("e"), &signal, 1, &err), MC_OK, &err,
              "a signal");
    m = (struct meanwhile){f, "e", NULL, 1};
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_buf_init(&json, 1 << 20);
    is_status(mc_preferences_apply_signals(f->preferences, MC_STR("e"), &json, &err), MC_OK, &err,
              "an erasure while signals are applied");
    is_int(m.times, 0, "it happened");
    are(f, "e", DEFAULTS, "brings none of them back");
    mc_fault_store_hook(f->store, NULL, NULL);
    mc_fault_store_fail(f->store, "set_preferences", 1, 0, MC_CONFLICT);
    is_status(patch(f, "oo", second, &err), MC_BUSY, &err, "changed again and again");
    mc_fault_store_heal(f->store);
}

/* ---- Signals ---- */

#define SIGNAL(f, v, c, w)                                                                         \
    {                                                                                              \
        .field = MC_STR(f), .value = MC_STR(v), .count = c, .weight = w, .last_seen_us = 1000000   \
    }

/* What a worker does: the store keeps them, then what is ready may be applied. */
static void learn(struct fixture *f, const char *user, const struct mc_signal *signals,
                  size_t count)
{
    struct mc_error err = {0};
    is_status(f->store->ops->add_signals(f->store, mc_str_of(user), signals, count, &err), MC_OK,
              &err, "learned %zu signals", count);
    is_status(mc_preferences_auto_apply(f->preferences, mc_str_of(user), &err), MC_OK, &err,
              "and applied what may be");
}

/* The signal of a field and value in the list; NULL when there is none. The root is freed by the
 * caller. */
static const struct mc_json *find_signal(struct fixture *f, const char *user, const char *field,
                                         const char *value, struct mc_json **root)
{
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_buf_init(&json, 1 << 20);
    struct mc_error err = {0};
    if (mc_preferences_list_signals(f->preferences, mc_str_of(user), &json, &err) ||
        mc_json_parse(mc_buf_str(&json), root, &err))
        bail_out("signals: %s", err.message);
    const struct mc_json *list = mc_json_get(*root, "signals");
    for (size_t i = 0; i < mc_json_count(list); i++) {
        const struct mc_json *signal = mc_json_at(list, i);
        if (mc_str_equal(mc_json_string(mc_json_get(signal, "field")), mc_str_of(field)) &&
            mc_str_equal(mc_json_string(mc_json_get(signal, "value")), mc_str_of(value)))
            return signal;
    }
    return NULL;
}

static void signal_is(struct fixture *f, const char *user, const char *field, const char *value,
                      int64_t count, double confidence, bool ready)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    const struct mc_json *signal = find_signal(f, user, field, value, &root);
    if (!ok(signal != NULL, "%s %s was learned", field, value))
        return;
    is_int(mc_json_integer(mc_json_get(signal, "count")), count, "%s %s: count", field, value);
    is_double(mc_json_number(mc_json_get(signal, "confidence")), confidence, 0.0006,
              "%s %s: confidence", field, value);
    is_int(mc_json_boolean(mc_json_get(signal, "ready")), ready, "%s %s: ready", field, value);
}

static void applied(struct fixture *f, const char *user, const char *expected, const char *what)
{
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_buf_init(&json, 1 << 20);
    struct mc_error err = {0};
    is_status(mc_preferences_apply_signals(f->preferences, mc_str_of(user), &json, &err), MC_OK,
              &err, "%s", what);
    char *end = strstr(json.data, ",\"preferences\":");
    if (ok(end != NULL, "%s: the preferences are in the answer", what))
        *end = '\0';
    is_str(json.data, expected, "%s", what);
}

static void test_signals(struct fixture *f)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    ok(!find_signal(f, "s", "language", "German", &root), "nothing learned yet");
    is_int(mc_json_count(mc_json_get(root, "signals")), 0, "the list is empty");
    applied(f, "s", "{\"applied\":[]", "nothing to apply");

    const struct mc_signal said[] = {
        SIGNAL("preferred_name", "Ann", 3, 3.0),
        SIGNAL("language", "German", 1, 1.0),
        SIGNAL("interests", "shipping", 1, 0.7),
    };
    learn(f, "s", said, 3);
    signal_is(f, "s", "preferred_name", "Ann", 3, 1.0, true);
    signal_is(f, "s", "language", "German", 1, 1.0, false);
    signal_is(f, "s", "interests", "shipping", 1, 0.7, false);
    learn(f, "s", said + 1, 2);
    learn(f, "s", said + 1, 2);
    signal_is(f, "s", "language", "German", 3, 1.0, true);
    signal_is(f, "s", "interests", "shipping", 3, 0.7, true);

    /* Another language takes its share: 3 of 5 is enough, 3 of 6 is not. */
    const struct mc_signal english = SIGNAL("language", "English", 2, 2.0);
    learn(f, "s", &english, 1);
    signal_is(f, "s", "language", "German", 3, 0.6, true);
    signal_is(f, "s", "language", "English", 2, 0.4, false);
    const struct mc_signal more = SIGNAL("language", "English", 1, 1.0);
    learn(f, "s", &more, 1);
    signal_is(f, "s", "language", "German", 3, 0.5, false);
    signal_is(f, "s", "language", "English", 3, 0.5, false);

    applied(f, "s",
            "{\"applied\":[{\"field\":\"interests\",\"value\":\"shipping\"},"
            "{\"field\":\"preferred_name\",\"value\":\"Ann\"}]",
            "what is ready is applied");
    are(f, "s",
        "{\"language\":null,\"timezone\":null,\"communication_style\":null,"
        "\"preferred_name\":\"Ann\",\"interests\":[\"shipping\"],\"goals\":[],\"custom\":{}}",
        "applied");
    applied(f, "s", "{\"applied\":[]", "a second time there is nothing new");
    mc_json_free(mc_steal(root));
    ok(!find_signal(f, "nobody", "preferred_name", "Ann", &root), "another user showed nothing");
}

/* What was learned cannot make the preferences invalid. */
static void test_odd_signals(struct fixture *f)
{
    const struct mc_signal odd[] = {
        SIGNAL("communication_style", "chatty", 9, 9.0),
        SIGNAL("custom", "x", 9, 9.0),
        SIGNAL("colour", "red", 9, 9.0),
        SIGNAL("interests", " ", 9, 9.0),
    };
    learn(f, "o", odd, mc_countof(odd));
    applied(f, "o", "{\"applied\":[]", "odd signals are passed over");
    are(f, "o", DEFAULTS, "and leave the preferences alone");
}

/* Of two values of one field that are both ready only the better one is applied. */
static void test_rivals(struct fixture *f)
{
    mc_preferences_close(f->preferences);
    open_with(f, &(struct mc_preferences_options){1, 0.2, false});
    const struct mc_signal rivals[] = {
        SIGNAL("language", "Dutch", 5, 5.0),
        SIGNAL("language", "Welsh", 4, 4.0),
        SIGNAL("language", "Basque", 3, 3.0),
    };
    learn(f, "r", rivals, 3);
    applied(f, "r", "{\"applied\":[{\"field\":\"language\",\"value\":\"Dutch\"}]",
            "the one seen most often");
    applied(f, "r", "{\"applied\":[]", "and it stays");
}

static void test_auto_apply(struct fixture *f)
{
    mc_preferences_close(f->preferences);
    open_with(f, &(struct mc_preferences_options){2, 0.5, true});
    const struct mc_signal one = SIGNAL("goals", "run", 1, 1.0);
    learn(f, "auto", &one, 1);
    are(f, "auto", DEFAULTS, "once is not enough");
    learn(f, "auto", &one, 1);
    are(f, "auto",
        "{\"language\":null,\"timezone\":null,\"communication_style\":null,"
        "\"preferred_name\":null,\"interests\":[],\"goals\":[\"run\"],\"custom\":{}}",
        "twice is, and is applied at once");
    mc_fault_store_fail(f->store, "signals", 1, 1, MC_BUSY);
    struct mc_error err = {0};
    is_status(mc_preferences_auto_apply(f->preferences, MC_STR("auto"), &err), MC_BUSY, &err,
              "a busy store is told");
}

static void test_restart(struct fixture *f)
{
    struct mc_error err;
    (void)patch(f, "kept", "{\"language\":\"en\"}", &err);
    mc_preferences_close(f->preferences);
    f->store->ops->close(f->store);
    f->inner->ops->close(f->inner);
    f->inner = scratch_store(&f->scratch, "p.db");
    f->store = mc_fault_store_open(f->inner);
    open_with(f, &(struct mc_preferences_options){3, 0.6, false});
    are(f, "kept",
        "{\"language\":\"en\",\"timezone\":null,\"communication_style\":null,"
        "\"preferred_name\":null,\"interests\":[],\"goals\":[],\"custom\":{}}",
        "still there after a restart");
    signal_is(f, "s", "preferred_name", "Ann", 3, 1.0, true);
}

int main(void)
{
    struct fixture f;
    set_up(&f);
    test_change(&f);
    test_refusals(&f);
    test_patch(&f);
    test_store_failures(&f);
    test_concurrency(&f);
    test_others(&f);
    test_signals(&f);
    test_odd_signals(&f);
    test_restart(&f);
    test_rivals(&f);
    test_auto_apply(&f);
    tear_down(&f);
    mc_preferences_close(NULL);
    return done_testing();
}
