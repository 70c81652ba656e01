/* Agents over the real store: modes, what each may write, the registry and its JSON form, threads. */
#include "tap.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"
#include "memory/agents.h"
#include "support/fault_store.h"
#include "support/scratch.h"

struct fixture {
    struct scratch scratch;
    struct mc_store *inner;
    struct mc_store *store; /* the inner one behind faults */
    struct mc_agents *agents;
};

static void reopen(struct fixture *f, const struct mc_agents_options *options)
{
    mc_agents_close(f->agents);
    f->agents = NULL;
    struct mc_error err = {0};
    if (mc_agents_open(f->store, options, &f->agents, &err))
        bail_out("agents: %s", err.message);
}

static enum mc_status register_json(struct fixture *f, const char *object, char answer[2048],
                                    struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_buf_init(&json, 1 << 20);
    memset(err, 0, sizeof(*err));
    enum mc_status status = mc_agents_register_json(f->agents, mc_str_of(object), &json, err);
    snprintf(answer, 2048, "%s", status ? "" : json.data);
    return status;
}

static void known(struct fixture *f, const char *object)
{
    char answer[2048];
    struct mc_error err;
    if (register_json(f, object, answer, &err))
        bail_out("%s: %s", object, err.message);
}

/* writer: all of "a" is private; sales: shared in sales; press: writes and defaults to public. */
static void set_up(struct fixture *f)
{
    *f = (struct fixture){0};
    scratch_make(&f->scratch);
    f->inner = scratch_store(&f->scratch, "a.db");
    f->store = mc_fault_store_open(f->inner);
    reopen(f, &(struct mc_agents_options){.enabled = true, .mode = MC_SHARING_SHARED});
    known(f, "{\"agent_id\":\"plain\",\"name\":\"Plain\"}");
    known(f, "{\"agent_id\":\"seller\",\"name\":\"Seller\",\"sharing_groups\":[\"sales\",\"eu\"],"
             "\"default_visibility\":\"shared\"}");
    known(f, "{\"agent_id\":\"press\",\"name\":\"Press\",\"can_write_public\":true,"
             "\"default_visibility\":\"public\"}");
    known(f, "{\"agent_id\":\"blind\",\"name\":\"Blind\",\"sharing_groups\":[\"sales\"],"
             "\"can_read_public\":false}");
}

static void tear_down(struct fixture *f)
{
    mc_agents_close(f->agents);
    f->store->ops->close(f->store);
    f->inner->ops->close(f->inner);
    scratch_remove(&f->scratch);
}

/* ---- Readers ---- */

/* The rule as letters: e(verything) p(ublic) s(hared) S(hared of any group), then its groups. */
static void reads(struct fixture *f, const char *agent, const char *expected, const char *what)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, 1 << 20);
    struct mc_reader r;
    struct mc_error err = {0};
    if (!is_status(mc_agents_reader(f->agents, mc_str_of(agent), &arena, &r, &err), MC_OK, &err,
                   "%s reads, %s", agent ? agent : "nobody", what))
        return;
    char got[256];
    int len =
        snprintf(got, sizeof(got), "%s%s%s%s", r.everything ? "e" : "", r.read_public ? "p" : "",
                 r.read_shared ? "s" : "", r.read_any_shared ? "S" : "");
    for (size_t i = 0; i < r.group_count; i++)
        len += snprintf(got + len, sizeof(got) - (size_t)len, " %.*s", MC_STR_ARG(r.groups[i]));
    is_str(got, expected, "%s, %s", agent ? agent : "nobody", what);
    is_text(r.agent_id, agent && !r.everything ? agent : "", "%s, %s: as itself",
            agent ? agent : "nobody", what);
    is_int(r.only_agent_count, 0, "not narrowed to some agents");
}

static void no_reader(struct fixture *f, const char *agent, enum mc_status status)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, 1 << 20);
    struct mc_reader r = {.group_count = 77};
    struct mc_error err = {0};
    is_status(mc_agents_reader(f->agents, mc_str_of(agent), &arena, &r, &err), status, &err,
              "%s does not read", agent ? agent : "nobody");
    is_str(err.field, "agent_id", "the error names agent_id: %s", err.message);
    is_int(r.group_count, 77, "the output is untouched");
}

static void test_modes(struct fixture *f)
{
    struct mc_agents_options options = {.enabled = false, .mode = MC_SHARING_ISOLATED};
    reopen(f, &options);
    reads(f, "plain", "e", "agents are not enabled");
    reads(f, NULL, "e", "agents are not enabled");
    reads(f, "never registered", "e", "agents are not enabled");

    options.enabled = true;
    reopen(f, &options);
    reads(f, "plain", "", "isolated");
    reads(f, "seller", " sales eu", "isolated: the groups are known but do not count");
    reads(f, NULL, "", "isolated");

    options.mode = MC_SHARING_PUBLIC;
    reopen(f, &options);
    reads(f, "plain", "psS", "public mode");
    reads(f, "blind", "sS sales", "public mode, may not read public messages");
    reads(f, NULL, "p", "public mode");

    options.mode = MC_SHARING_SHARED;
    reopen(f, &options);
    reads(f, "plain", "ps", "shared mode");
    reads(f, "seller", "ps sales eu", "shared mode");
    reads(f, "blind", "s sales", "shared mode, may not read public messages");
    reads(f, NULL, "p", "shared mode");
    reads(f, "", "p", "shared mode, an empty id is none");
    no_reader(f, "stranger", MC_NOT_FOUND);
    no_reader(f, "no id at all", MC_INVALID);
    no_reader(f, "a'b", MC_INVALID);

    options.require_agent_id = true;
    reopen(f, &options);
    no_reader(f, NULL, MC_INVALID);
    no_reader(f, "", MC_INVALID);
    reads(f, "plain", "ps", "shared mode, id required");
}

/* ---- Writers ---- */

struct writing {
    const char *agent;
    int visibility; /* -1: not given */
    const char *groups[3];
    enum mc_status status;
    const char *field;    /* of the error */
    int becomes;          /* visibility */
    const char *expected; /* groups, each with a space in front */
};

static void writes(struct fixture *f, const struct writing *w, const char *mode)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, 1 << 20);
    mc_str groups[3];
    size_t count = 0;
    while (count < 3 && w->groups[count]) {
        groups[count] = mc_str_of(w->groups[count]);
        count++;
    }
    struct mc_message m = {
        .agent_id = mc_str_of(w->agent),
        .visibility = w->visibility < 0 ? MC_VISIBILITY_PRIVATE : (enum mc_visibility)w->visibility,
        .sharing_groups = count ? groups : NULL,
        .sharing_group_count = count,
    };
    struct mc_error err = {0};
    const char *who = w->agent ? w->agent : "nobody";
    if (!is_status(mc_agents_writer(f->agents, w->visibility >= 0, &arena, &m, &err), w->status,
                   &err, "%s: %s writes %s", mode, who,
                   w->visibility < 0 ? "without saying for whom"
                                     : mc_visibility_name((enum mc_visibility)w->visibility)))
        return;
    if (w->status) {
        is_str(err.field, w->field, "naming %s: %s", w->field, err.message);
        return;
    }
    is_int(m.visibility, w->becomes, "becomes %s",
           mc_visibility_name((enum mc_visibility)w->becomes));
    char got[256] = "";
    int len = 0;
    for (size_t i = 0; i < m.sharing_group_count; i++)
        len += snprintf(got + len, sizeof(got) - (size_t)len, " %.*s",
                        MC_STR_ARG(m.sharing_groups[i]));
    is_str(got, w->expected, "with its groups");
}

enum {
    PRIVATE = MC_VISIBILITY_PRIVATE,
    SHARED = MC_VISIBILITY_SHARED,
    PUBLIC = MC_VISIBILITY_PUBLIC
};

static void test_writers(struct fixture *f)
{
    static const struct writing SHARED_MODE[] = {
        {"plain", -1, {NULL}, MC_OK, "", PRIVATE, ""},
        {"plain", SHARED, {NULL}, MC_OK, "", SHARED, " fallback"},
        {"plain", PUBLIC, {NULL}, MC_FORBIDDEN, "visibility", 0, ""},
        {"plain", SHARED, {"sales"}, MC_FORBIDDEN, "sharing_groups", 0, ""},
        {"plain", PRIVATE, {"sales"}, MC_FORBIDDEN, "sharing_groups", 0, ""},
        {"plain", SHARED, {"fallback"}, MC_FORBIDDEN, "sharing_groups", 0, ""},
        {"seller", -1, {NULL}, MC_OK, "", SHARED, " sales eu"},
        {"seller", -1, {"eu"}, MC_OK, "", SHARED, " eu"},
        {"seller", SHARED, {"eu", "sales"}, MC_OK, "", SHARED, " eu sales"},
        {"seller", SHARED, {"eu", "ops"}, MC_FORBIDDEN, "sharing_groups", 0, ""},
        {"seller", SHARED, {"Sales"}, MC_FORBIDDEN, "sharing_groups", 0, ""},
        {"seller", PRIVATE, {NULL}, MC_OK, "", PRIVATE, ""},
        {"seller", PUBLIC, {NULL}, MC_FORBIDDEN, "visibility", 0, ""},
        {"press", -1, {NULL}, MC_OK, "", PUBLIC, ""},
        {"press", PUBLIC, {NULL}, MC_OK, "", PUBLIC, ""},
        {"press", PRIVATE, {NULL}, MC_OK, "", PRIVATE, ""},
        {"stranger", -1, {NULL}, MC_NOT_FOUND, "agent_id", 0, ""},
        {NULL, -1, {NULL}, MC_OK, "", SHARED, " fallback"},
        {NULL, PRIVATE, {NULL}, MC_OK, "", PRIVATE, ""},
        {NULL, SHARED, {"ops"}, MC_OK, "", SHARED, " ops"},
    };
    static const mc_str FALLBACK[] = {{"fallback", 8}};
    struct mc_agents_options options = {
        .enabled = true,
        .mode = MC_SHARING_SHARED,
        .default_visibility = MC_VISIBILITY_SHARED,
        .default_sharing_groups = FALLBACK,
        .default_sharing_group_count = 1,
    };
    reopen(f, &options);
    for (size_t i = 0; i < mc_countof(SHARED_MODE); i++)
        writes(f, &SHARED_MODE[i], "shared");
    options.mode = MC_SHARING_ISOLATED;
    reopen(f, &options);
    for (size_t i = 0; i < mc_countof(SHARED_MODE); i++)
        writes(f, &SHARED_MODE[i], "isolated, the same rules");

    options.require_agent_id = true;
    reopen(f, &options);
    writes(f, &(struct writing){NULL, -1, {NULL}, MC_INVALID, "agent_id", 0, ""}, "id required");
    writes(f, &(struct writing){"press", -1, {NULL}, MC_OK, "", PUBLIC, ""}, "id required");

    options.enabled = false;
    reopen(f, &options);
    writes(f, &(struct writing){NULL, -1, {NULL}, MC_OK, "", SHARED, " fallback"}, "not enabled");
    writes(f, &(struct writing){"stranger", PUBLIC, {"ops"}, MC_OK, "", PUBLIC, " ops"},
           "not enabled: a label only");
}

/* ---- The registry ---- */

static const char *created_at(const char *answer, char text[64])
{
    const char *at = strstr(answer, "\"created_at\":\"");
    snprintf(text, 64, "%.27s", at ? at + strlen("\"created_at\":\"") : "");
    return text;
}

static void test_register(struct fixture *f)
{
    reopen(f, &(struct mc_agents_options){.enabled = true, .mode = MC_SHARING_SHARED});
    char answer[2048], first[64], second[64];
    struct mc_error err;
    is_status(register_json(f,
                            "{\"agent_id\":\"n1\",\"name\":\"N \\\"1\\\"\",\"description\":null,"
                            "\"sharing_groups\":[\"x\"],\"default_visibility\":\"shared\","
                            "\"can_read_public\":false,\"can_write_public\":true,"
                            "\"metadata\":{\"team\": [1, 2]}}",
                            answer, &err),
              MC_OK, &err, "every field");
    created_at(answer, first);
    int64_t time_us = 0;
    ok(mc_time_parse(mc_str_of(first), &time_us) && mc_time_now_us() - time_us < 60000000,
       "created now: %s", first);
    char *at = strstr(answer, ",\"created_at\"");
    if (at)
        *at = '\0';
    is_str(answer,
           "{\"agent_id\":\"n1\",\"name\":\"N \\\"1\\\"\",\"description\":\"\","
           "\"sharing_groups\":[\"x\"],\"default_visibility\":\"shared\","
           "\"can_read_public\":false,\"can_write_public\":true,\"metadata\":{\"team\":[1,2]}",
           "the answer");
    scratch_pause_ms(2);
    is_status(register_json(f, "{\"agent_id\":\"n1\",\"name\":\"again\"}", answer, &err), MC_OK,
              &err, "registered again");
    is_str(created_at(answer, second), first, "it stays as old as it was");
    ok(strstr(answer, "\"name\":\"again\"") && strstr(answer, "\"sharing_groups\":[]") &&
           strstr(answer, "\"default_visibility\":\"private\"") &&
           strstr(answer, "\"can_read_public\":true") && strstr(answer, "\"metadata\":{}"),
       "everything else is replaced: %s", answer);
    reopen(f, &(struct mc_agents_options){.enabled = true, .mode = MC_SHARING_SHARED});
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_buf_init(&json, 1 << 20);
    is_status(mc_agents_get(f->agents, MC_STR("n1"), &json, &err), MC_OK, &err, "after a restart");
    is_text(mc_buf_str(&json), answer, "the same agent");
    mc_buf_reset(&json);
    is_status(mc_agents_list(f->agents, &json, &err), MC_OK, &err, "list");
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    if (mc_json_parse(mc_buf_str(&json), &root, &err))
        bail_out("%s", err.message);
    static const char *const IDS[] = {"blind", "n1", "plain", "press", "seller"};
    const struct mc_json *list = mc_json_get(root, "agents");
    is_int(mc_json_count(list), mc_countof(IDS), "five agents");
    for (size_t i = 0; i < mc_countof(IDS); i++)
        is_text(mc_json_string(mc_json_get(mc_json_at(list, i), "agent_id")), IDS[i],
                "in the order of ids");
}

static void test_bad_register(struct fixture *f)
{
    char longest[300], object[700], answer[2048];
    memset(longest, 'n', sizeof(longest));
    longest[256] = '\0';
    struct mc_error err;
    static const struct {
        const char *json, *field;
    } BAD[] = {
        {"{\"name\":\"x\"}", "agent_id"},
        {"{\"agent_id\":\"\",\"name\":\"x\"}", "agent_id"},
        {"{\"agent_id\":\"a b\",\"name\":\"x\"}", "agent_id"},
        {"{\"agent_id\":5,\"name\":\"x\"}", "agent_id"},
        {"{\"agent_id\":\"q\"}", "name"},
        {"{\"agent_id\":\"q\",\"name\":\"\"}", "name"},
        {"{\"agent_id\":\"q\",\"name\":\"  \"}", "name"},
        {"{\"agent_id\":\"q\",\"name\":null}", "name"},
        {"{\"agent_id\":\"q\",\"name\":[]}", "name"},
        {"{\"agent_id\":\"q\",\"name\":\"x\",\"description\":1}", "description"},
        {"{\"agent_id\":\"q\",\"name\":\"x\",\"sharing_groups\":\"sales\"}", "sharing_groups"},
        {"{\"agent_id\":\"q\",\"name\":\"x\",\"sharing_groups\":[1]}", "sharing_groups"},
        {"{\"agent_id\":\"q\",\"name\":\"x\",\"sharing_groups\":[\"a b\"]}", "sharing_groups"},
        {"{\"agent_id\":\"q\",\"name\":\"x\",\"default_visibility\":\"open\"}",
         "default_visibility"},
        {"{\"agent_id\":\"q\",\"name\":\"x\",\"default_visibility\":\"public\"}",
         "default_visibility"},
        {"{\"agent_id\":\"q\",\"name\":\"x\",\"can_read_public\":\"yes\"}", "can_read_public"},
        {"{\"agent_id\":\"q\",\"name\":\"x\",\"can_write_public\":1}", "can_write_public"},
        {"{\"agent_id\":\"q\",\"name\":\"x\",\"metadata\":[]}", "metadata"},
        {"{\"agent_id\":\"q\",\"name\":\"x\",\"colour\":\"red\"}", "colour"},
        {"[]", ""},
        {"{", ""},
        {"", ""},
    };
    for (size_t i = 0; i < mc_countof(BAD); i++) {
        is_status(register_json(f, BAD[i].json, answer, &err), MC_INVALID, &err, "refused: %s",
                  BAD[i].json);
        is_str(err.field, BAD[i].field, "naming \"%s\": %s", BAD[i].field, err.message);
    }
    snprintf(object, sizeof(object), "{\"agent_id\":\"q\",\"name\":\"%s\"}", longest);
    is_status(register_json(f, object, answer, &err), MC_INVALID, &err, "a name of 256 bytes");
    is_str(err.field, "name", "named");
    snprintf(object, sizeof(object), "{\"agent_id\":\"%s\",\"name\":\"x\"}", longest);
    is_status(register_json(f, object, answer, &err), MC_INVALID, &err, "an id of 256 bytes");
    is_str(err.field, "agent_id", "named");
    struct mc_agent_input input = {
        .agent_id = MC_STR("q"), .name = MC_STR("a\0b"), .metadata = MC_STR("{}")};
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_buf_init(&json, 1 << 20);
    is_status(mc_agents_register(f->agents, &input, &json, &err), MC_INVALID, &err,
              "a name with a NUL");
    input.name = MC_STR("\xff");
    is_status(mc_agents_register(f->agents, &input, &json, &err), MC_INVALID, &err,
              "a name that is no UTF-8");
    is_status(mc_agents_get(f->agents, MC_STR("q"), &json, &err), MC_NOT_FOUND, &err,
              "none of these was registered");
    is_int(json.len, 0, "nothing was written");
}

static void test_unregister(struct fixture *f)
{
    struct mc_error err = {0};
    known(f, "{\"agent_id\":\"gone\",\"name\":\"Gone\"}");
    reads(f, "gone", "ps", "registered");
    is_status(mc_agents_unregister(f->agents, MC_STR("gone"), &err), MC_OK, &err, "unregistered");
    no_reader(f, "gone", MC_NOT_FOUND);
    is_status(mc_agents_unregister(f->agents, MC_STR("gone"), &err), MC_NOT_FOUND, &err,
              "a second time there is nothing to unregister");

    /* Another process registers: seen when read again. */
    struct mc_agent_row row = {.agent_id = MC_STR("foreign"),
                               .name = MC_STR("F"),
                               .description = MC_STR(""),
                               .sharing_groups = MC_STR("[\"far\"]"),
                               .metadata = MC_STR("{}"),
                               .can_read_public = true,
                               .created_at_us = 5};
    is_status(f->inner->ops->put_agent(f->inner, &row, &err), MC_OK, &err, "registered elsewhere");
    no_reader(f, "foreign", MC_NOT_FOUND);
    is_status(mc_agents_reload(f->agents, &err), MC_OK, &err, "read again");
    reads(f, "foreign", "ps far", "known now");
    (void)!mc_agents_unregister(f->agents, MC_STR("foreign"), &err);
}

static void test_store_failures(struct fixture *f)
{
    char answer[2048];
    struct mc_error err;
    mc_fault_store_fail(f->store, "put_agent", 1, 1, MC_DISK_FULL);
    is_status(register_json(f, "{\"agent_id\":\"w\",\"name\":\"W\"}", answer, &err), MC_DISK_FULL,
              &err, "a full disk");
    no_reader(f, "w", MC_NOT_FOUND);
    mc_fault_store_fail(f->store, "agents", 1, 1, MC_IO);
    is_status(mc_agents_reload(f->agents, &err), MC_IO, &err, "agents that cannot be read");
    reads(f, "seller", "ps sales eu", "the ones known before still are");
    mc_fault_store_fail(f->store, "remove_agent", 1, 1, MC_BUSY);
    is_status(mc_agents_unregister(f->agents, MC_STR("seller"), &err), MC_BUSY, &err, "busy");
    reads(f, "seller", "ps sales eu", "still registered");
    known(f, "{\"agent_id\":\"passing\",\"name\":\"Passing\"}");
    mc_fault_store_fail(f->store, "agents", 1, 1, MC_IO);
    is_status(mc_agents_unregister(f->agents, MC_STR("passing"), &err), MC_IO, &err,
              "an agent that is gone and was not read again");
    no_reader(f, "passing", MC_NOT_FOUND);
}

static void test_stats(struct fixture *f)
{
    static const struct {
        const char *id, *agent;
        enum mc_visibility visibility;
    } STORED[] = {
        {"m1", "seller", MC_VISIBILITY_SHARED},
        {"m2", "seller", MC_VISIBILITY_PRIVATE},
        {"m3", "press", MC_VISIBILITY_PUBLIC},
        {"m4", "", MC_VISIBILITY_PRIVATE},
    };
    for (size_t i = 0; i < mc_countof(STORED); i++) {
        struct mc_put put = scratch_put(STORED[i].id, "text");
        put.message.agent_id = mc_str_of(STORED[i].agent);
        put.message.visibility = STORED[i].visibility;
        scratch_store_put(f->store, &put);
    }
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_buf_init(&json, 1 << 20);
    struct mc_error err = {0};
    is_status(mc_agents_stats(f->agents, &json, &err), MC_OK, &err, "statistics");
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    if (mc_json_parse(mc_buf_str(&json), &root, &err))
        bail_out("%s", err.message);
    is_int(mc_json_boolean(mc_json_get(root, "enabled")), 1, "enabled");
    is_text(mc_json_string(mc_json_get(root, "mode")), "shared", "mode");
    is_int(mc_json_integer(mc_json_get(root, "total_agents")), 5, "agents");
    const struct mc_json *by_agent = mc_json_get(root, "messages_by_agent");
    is_int(mc_json_integer(mc_json_get(by_agent, "seller")), 2, "messages of seller");
    is_int(mc_json_integer(mc_json_get(by_agent, "press")), 1, "messages of press");
    is_int(mc_json_integer(mc_json_get(by_agent, "")), 1, "messages of nobody");
    const struct mc_json *by_visibility = mc_json_get(root, "messages_by_visibility");
    is_int(mc_json_integer(mc_json_get(by_visibility, "private")), 2, "private messages");
    is_int(mc_json_integer(mc_json_get(by_visibility, "shared")), 1, "shared messages");
    is_int(mc_json_integer(mc_json_get(by_visibility, "public")), 1, "public messages");
    reopen(f, &(struct mc_agents_options){.enabled = false, .mode = MC_SHARING_SHARED});
    mc_buf_reset(&json);
    is_status(mc_agents_stats(f->agents, &json, &err), MC_OK, &err, "statistics, not enabled");
    ok(strstr(json.data, "{\"enabled\":false,\"mode\":\"disabled\"") == json.data, "say so: %s",
       json.data);
}

/* ---- Readers while agents come and go ---- */

struct shared_run {
    struct fixture *f;
    atomic_bool stop;
    atomic_int wrong, reads;
};

static void *read_always(void *context)
{
    struct shared_run *run = context;
    do {
        struct mc_arena arena;
        mc_arena_init(&arena, 1 << 20);
        struct mc_reader r;
        struct mc_error err;
        /* Always there, whoever comes and goes; its groups swap as a whole. */
        if (mc_agents_reader(run->f->agents, MC_STR("steady"), &arena, &r, &err) ||
            r.group_count != 2 || r.groups[0].data[0] != r.groups[1].data[0])
            atomic_fetch_add(&run->wrong, 1);
        mc_arena_fini(&arena);
        struct mc_buf json;
        mc_buf_init(&json, 1 << 20);
        if (mc_agents_list(run->f->agents, &json, &err))
            atomic_fetch_add(&run->wrong, 1);
        mc_buf_fini(&json);
        atomic_fetch_add(&run->reads, 1);
    } while (!atomic_load(&run->stop));
    return NULL;
}

static void *come_and_go(void *context)
{
    struct shared_run *run = context;
    for (int i = 0; i < 15; i++) {
        char answer[2048];
        struct mc_error err;
        bool even = i % 2 == 0;
        if (register_json(run->f,
                          even ? "{\"agent_id\":\"steady\",\"name\":\"S\",\"sharing_groups\":"
                                 "[\"a1\",\"a2\"]}"
                               : "{\"agent_id\":\"steady\",\"name\":\"S\",\"sharing_groups\":"
                                 "[\"b1\",\"b2\"]}",
                          answer, &err) ||
            register_json(run->f, "{\"agent_id\":\"guest\",\"name\":\"G\"}", answer, &err) ||
            mc_agents_reload(run->f->agents, &err))
            atomic_fetch_add(&run->wrong, 1);
        enum mc_status status = mc_agents_unregister(run->f->agents, MC_STR("guest"), &err);
        if (status && status != MC_NOT_FOUND) /* the other thread may have been faster */
            atomic_fetch_add(&run->wrong, 1);
    }
    return NULL;
}

static void test_threads(struct fixture *f)
{
    reopen(f, &(struct mc_agents_options){.enabled = true, .mode = MC_SHARING_SHARED});
    known(f, "{\"agent_id\":\"steady\",\"name\":\"S\",\"sharing_groups\":[\"a1\",\"a2\"]}");
    struct shared_run run = {.f = f};
    pthread_t readers[3], writers[2];
    for (int i = 0; i < 3; i++) {
        if (pthread_create(&readers[i], NULL, read_always, &run))
            bail_out("no thread");
    }
    for (int i = 0; i < 2; i++) {
        if (pthread_create(&writers[i], NULL, come_and_go, &run))
            bail_out("no thread");
    }
    for (int i = 0; i < 2; i++)
        pthread_join(writers[i], NULL);
    atomic_store(&run.stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(readers[i], NULL);
    is_int(atomic_load(&run.wrong), 0, "readers and registrations do not disturb each other");
    ok(atomic_load(&run.reads) > 0, "%d readings meanwhile", atomic_load(&run.reads));
    no_reader(f, "guest", MC_NOT_FOUND);
}

int main(void)
{
    struct fixture f;
    set_up(&f);
    test_modes(&f);
    test_writers(&f);
    test_register(&f);
    test_bad_register(&f);
    test_unregister(&f);
    test_store_failures(&f);
    test_stats(&f);
    test_threads(&f);
    tear_down(&f);
    mc_agents_close(NULL);
    return done_testing();
}
