/* API keys over the real store: what is refused, what a key grants, and that it stays secret. */
#include "tap.h"

#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"
#include "memory/keys.h"
#include "support/fault_store.h"
#include "support/scratch.h"

#define NOW INT64_C(1700000000000000)
#define HOUR INT64_C(3600000000)
#define KEY_SIZE 128
#define ZEROS "0000000000000000"

struct fixture {
    struct scratch scratch;
    struct mc_store *inner;
    struct mc_store *store; /* the inner one behind faults */
    struct mc_keys *keys;
    char key[KEY_SIZE]; /* the last one made */
    char key_id[KEY_SIZE];
};

static void set_up(struct fixture *f, bool agents)
{
    struct mc_error err = {0};
    *f = (struct fixture){0};
    scratch_make(&f->scratch);
    f->inner = scratch_store(&f->scratch, "k.db");
    f->store = mc_fault_store_open(f->inner);
    if (mc_keys_open(f->store, agents, &f->keys, &err))
        bail_out("keys: %s", err.message);
}

static void tear_down(struct fixture *f)
{
    mc_keys_close(f->keys);
    f->store->ops->close(f->store);
    f->inner->ops->close(f->inner);
    scratch_remove(&f->scratch);
}

static enum mc_status create(struct fixture *f, const char *object, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    mc_buf_init(&json, 1 << 20);
    memset(err, 0, sizeof(*err));
    enum mc_status status = mc_keys_create(f->keys, mc_str_of(object), NOW, &json, err);
    if (status != MC_OK)
        return status;
    struct mc_error ignored;
    if (mc_json_parse(mc_buf_str(&json), &root, &ignored))
        bail_out("not JSON: %s", json.data);
    snprintf(f->key, KEY_SIZE, "%.*s", MC_STR_ARG(mc_json_string(mc_json_get(root, "key"))));
    snprintf(f->key_id, KEY_SIZE, "%.*s", MC_STR_ARG(mc_json_string(mc_json_get(root, "key_id"))));
    return MC_OK;
}

static const struct mc_grant *granted(struct fixture *f, const char *key, int64_t now_us)
{
    const struct mc_grant *grant = NULL;
    struct mc_error err = {0};
    enum mc_status status = mc_keys_check(f->keys, mc_str_of(key), now_us, &grant, &err);
    if (status != MC_OK && status != MC_UNAUTHENTICATED)
        bail_out("unexpected status: %s", err.message);
    return grant;
}

static bool is_good(struct fixture *f, const char *key, int64_t now_us)
{
    const struct mc_grant *grant = granted(f, key, now_us);
    mc_grant_free(grant);
    return grant != NULL;
}

static void test_what_is_refused(void)
{
    static const struct {
        const char *object, *field;
    } cases[] = {
        {"[]", ""},
        {"{\"scopes\":[\"read\"]}", "name"},
        {"{\"name\":\"\",\"scopes\":[\"read\"]}", "name"},
        {"{\"name\":7,\"scopes\":[\"read\"]}", "name"},
        {"{\"name\":\"  \",\"scopes\":[\"read\"]}", "name"},
        {"{\"name\":\"n\"}", "scopes"},
        {"{\"name\":\"n\",\"scopes\":[]}", "scopes"},
        {"{\"name\":\"n\",\"scopes\":\"read\"}", "scopes"},
        {"{\"name\":\"n\",\"scopes\":[\"Read\"]}", "scopes"},
        {"{\"name\":\"n\",\"scopes\":[\"read\",\"fly\"]}", "scopes"},
        {"{\"name\":\"n\",\"scopes\":[\"read\"],\"user_ids\":[]}", "user_ids"},
        {"{\"name\":\"n\",\"scopes\":[\"read\"],\"user_ids\":[\"a b\"]}", "user_ids"},
        {"{\"name\":\"n\",\"scopes\":[\"read\"],\"user_ids\":[1]}", "user_ids"},
        {"{\"name\":\"n\",\"scopes\":[\"read\"],\"agent_ids\":[\"bot\"]}", "agent_ids"},
        {"{\"name\":\"n\",\"scopes\":[\"admin\"],\"user_ids\":[\"ann\"]}", "scopes"},
        {"{\"name\":\"n\",\"scopes\":[\"read\"],\"rate_limit\":0}", "rate_limit"},
        {"{\"name\":\"n\",\"scopes\":[\"read\"],\"rate_limit\":\"5\"}", "rate_limit"},
        {"{\"name\":\"n\",\"scopes\":[\"read\"],\"rate_limit\":1e9}", "rate_limit"},
        {"{\"name\":\"n\",\"scopes\":[\"read\"],\"expires_at\":\"tomorrow\"}", "expires_at"},
        {"{\"name\":\"n\",\"scopes\":[\"read\"],\"expires_at\":\"2020-01-01T00:00:00Z\"}",
         "expires_at"},
        {"{\"name\":\"n\",\"scopes\":[\"read\"],\"user\":\"ann\"}", "user"},
    };
    struct fixture f;
    struct mc_error err;
    set_up(&f, false);
    for (size_t i = 0; i < mc_countof(cases); i++) {
        is_status(create(&f, cases[i].object, &err), MC_INVALID, &err, "%s", cases[i].object);
        is_str(err.field, cases[i].field, "the member is named");
    }
    is_int((int64_t)mc_keys_count(f.keys), 0, "none of them is there");
    tear_down(&f);
}

static void test_what_a_key_grants(void)
{
    struct fixture f;
    struct mc_error err;
    set_up(&f, true);
    is_status(
        create(&f,
               "{\"name\":\"ann's phone\",\"scopes\":[\"write\",\"read\"],\"user_ids\":[\"ann\","
               "\"anna\"],\"agent_ids\":[\"bot\"],\"rate_limit\":2.5}",
               &err),
        MC_OK, &err, "a key for two users and an agent");
    const struct mc_grant *grant = granted(&f, f.key, NOW);
    ok(grant != NULL, "is good");
    is_text(grant->name, "ann's phone", "has its name");
    is_int(grant->scopes, MC_SCOPE_READ | MC_SCOPE_WRITE, "its scopes");
    ok(grant->rate_limit > 2.4 && grant->rate_limit < 2.6, "its rate");
    ok(mc_grant_has_user(grant, MC_STR("anna")) && !mc_grant_has_user(grant, MC_STR("an")) &&
           !mc_grant_has_user(grant, MC_STR_NONE) && !mc_grant_has_user(grant, MC_STR("")),
       "its users only");
    ok(mc_grant_has_agent(grant, MC_STR("bot")) && !mc_grant_has_agent(grant, MC_STR_NONE),
       "its agent only");
    is_status(mc_keys_revoke(f.keys, mc_str_of(f.key_id), &err), MC_OK, &err, "revoked");
    ok(!is_good(&f, f.key, NOW), "good no more");
    ok(mc_grant_has_user(grant, MC_STR("ann")), "who has the grant may still look at it");
    mc_grant_free(grant);
    is_status(mc_keys_revoke(f.keys, mc_str_of(f.key_id), &err), MC_NOT_FOUND, &err, "once only");
    is_status(create(&f, "{\"name\":\"root\",\"scopes\":[\"admin\"]}", &err), MC_OK, &err,
              "an admin's");
    grant = granted(&f, f.key, NOW);
    is_int(grant->scopes, MC_SCOPE_READ | MC_SCOPE_WRITE | MC_SCOPE_ADMIN, "may do everything");
    ok(mc_grant_has_user(grant, MC_STR("bob")) && mc_grant_has_agent(grant, MC_STR_NONE),
       "for everyone");
    mc_grant_free(grant);
    tear_down(&f);
}

static void test_other_keys(void)
{
    struct fixture f;
    struct mc_error err;
    char key[KEY_SIZE];
    set_up(&f, false);
    is_status(
        create(&f,
               "{\"name\":\"one\",\"scopes\":[\"read\"],\"expires_at\":\"2023-11-14T23:13:20Z\"}",
               &err),
        MC_OK, &err, "a key for an hour");
    ok(is_good(&f, f.key, NOW + HOUR - 1), "good until then");
    ok(!is_good(&f, f.key, NOW + HOUR), "and no longer");
    size_t len = strlen(f.key);
    size_t wrong = 0;
    for (size_t i = 0; i < len; i++) {
        memcpy(key, f.key, len + 1);
        key[i] = (char)(key[i] == '0' ? '1' : '0');
        wrong += is_good(&f, key, NOW);
    }
    is_int((int64_t)wrong, 0, "no other character anywhere");
    memcpy(key, f.key, len);
    memcpy(key + len, "0", 2);
    ok(!is_good(&f, key, NOW), "not longer");
    key[len - 1] = '\0';
    ok(!is_good(&f, key, NOW) && !is_good(&f, "", NOW) && !is_good(&f, f.key_id, NOW),
       "not shorter");
    mc_auto(mc_buf_fini) struct mc_buf list;
    mc_buf_init(&list, 1 << 20);
    is_status(mc_keys_list(f.keys, &list, &err), MC_OK, &err, "list");
    ok(strstr(list.data, f.key_id) && !strstr(list.data, f.key + strlen("mc_") + strlen(f.key_id)),
       "tells the id and not the key");
    tear_down(&f);
}

static void test_another_process(void)
{
    struct fixture f;
    struct mc_error err;
    struct mc_keys *other = NULL;
    set_up(&f, false);
    is_status(mc_keys_open(f.store, false, &other, &err), MC_OK, &err, "a second registry");
    is_status(create(&f, "{\"name\":\"n\",\"scopes\":[\"read\"]}", &err), MC_OK, &err, "made here");
    const struct mc_grant *grant = NULL;
    is_status(mc_keys_check(other, mc_str_of(f.key), NOW, &grant, &err), MC_UNAUTHENTICATED, &err,
              "not yet there");
    is_status(mc_keys_reload(other, &err), MC_OK, &err, "read again");
    is_status(mc_keys_check(other, mc_str_of(f.key), NOW, &grant, &err), MC_OK, &err, "there");
    mc_grant_free(grant);
    struct mc_key_row damaged = {.key_id = MC_STR("ffffffffffff"),
                                 .hash = MC_STR("00"),
                                 .definition = MC_STR("{\"name\":"),
                                 .created_at_us = NOW};
    is_status(f.store->ops->put_key(f.store, &damaged, &err), MC_OK, &err, "a damaged row");
    is_status(mc_keys_reload(other, &err), MC_OK, &err, "is passed over");
    is_int((int64_t)mc_keys_count(other), 1, "and grants nothing");
    mc_keys_close(other);
    tear_down(&f);
}

/* Of a grant that is kept for long. */
static void test_checked_again(void)
{
    struct fixture f;
    struct mc_error err;
    set_up(&f, false);
    is_status(
        create(&f,
               "{\"name\":\"n\",\"scopes\":[\"write\"],\"expires_at\":\"2023-11-14T23:13:20Z\"}",
               &err),
        MC_OK, &err, "a key for an hour");
    const struct mc_grant *grant = granted(&f, f.key, NOW);
    is_status(create(&f, "{\"name\":\"other\",\"scopes\":[\"write\"]}", &err), MC_OK, &err,
              "another key");
    is_status(mc_keys_check_again(f.keys, grant, NOW + HOUR - 1, &err), MC_OK, &err, "still good");
    is_status(mc_keys_check_again(f.keys, grant, NOW + HOUR, &err), MC_UNAUTHENTICATED, &err,
              "for an hour only");
    ok(strstr(err.message, "has expired") != NULL, "which is said: %s", err.message);
    is_status(mc_keys_revoke(f.keys, grant->key_id, &err), MC_OK, &err, "revoked");
    is_status(mc_keys_check_again(f.keys, grant, NOW, &err), MC_UNAUTHENTICATED, &err,
              "good no more");
    ok(strstr(err.message, "was revoked") != NULL, "which is said: %s", err.message);
    struct mc_key_row same_id = {.key_id = grant->key_id,
                                 .hash = MC_STR(ZEROS ZEROS ZEROS ZEROS),
                                 .definition = MC_STR("{\"name\":\"n\",\"scopes\":[\"write\"]}"),
                                 .created_at_us = NOW};
    is_status(f.store->ops->put_key(f.store, &same_id, &err), MC_OK, &err, "another of its id");
    is_status(mc_keys_reload(f.keys, &err), MC_OK, &err, "read again");
    is_int((int64_t)mc_keys_count(f.keys), 2, "is there");
    is_status(mc_keys_check_again(f.keys, grant, NOW, &err), MC_UNAUTHENTICATED, &err,
              "and is not that key");
    mc_grant_free(grant);
    tear_down(&f);
}

/* Without the rules of agents such a key would read what other agents keep. */
static void test_agents_that_are_not_kept_apart(void)
{
    struct fixture f;
    struct mc_error err;
    struct mc_keys *other = NULL;
    set_up(&f, true);
    is_status(create(&f, "{\"name\":\"n\",\"scopes\":[\"read\"],\"agent_ids\":[\"bot\"]}", &err),
              MC_OK, &err, "a key for an agent");
    ok(is_good(&f, f.key, NOW), "good with multi_agent.enabled");
    is_status(mc_keys_open(f.store, false, &other, &err), MC_OK, &err, "a process without it");
    const struct mc_grant *grant = NULL;
    is_status(mc_keys_check(other, mc_str_of(f.key), NOW, &grant, &err), MC_UNAUTHENTICATED, &err,
              "does not take it");
    ok(strstr(err.message, "set multi_agent.enabled: true") != NULL, "says what to do: %s",
       err.message);
    mc_keys_close(other);
    tear_down(&f);
}

/* A key that is revoked in the store and still in memory is good for nothing. */
static void test_keys_that_are_not_read_again(void)
{
    struct fixture f;
    struct mc_error err;
    set_up(&f, false);
    is_status(create(&f, "{\"name\":\"n\",\"scopes\":[\"read\"]}", &err), MC_OK, &err, "a key");
    mc_fault_store_fail(f.store, "keys", 1, 1, MC_IO);
    is_status(mc_keys_revoke(f.keys, mc_str_of(f.key_id), &err), MC_IO, &err, "is revoked");
    ok(strstr(err.message, "was made") != NULL, "as is told, though not read again: %s",
       err.message);
    ok(!is_good(&f, f.key, NOW), "the next look reads again");

    is_status(create(&f, "{\"name\":\"n\",\"scopes\":[\"read\"]}", &err), MC_OK, &err, "another");
    mc_fault_store_fail(f.store, "keys", 1, 0, MC_IO);
    is_status(mc_keys_revoke(f.keys, mc_str_of(f.key_id), &err), MC_IO, &err, "is revoked");
    ok(is_good(&f, f.key, NOW), "while nothing can be read it is not known");
    is_status(mc_keys_revoke(f.keys, mc_str_of(f.key_id), &err), MC_IO, &err, "nor by a retry");
    mc_fault_store_heal(f.store);
    is_status(mc_keys_revoke(f.keys, mc_str_of(f.key_id), &err), MC_NOT_FOUND, &err,
              "a later retry finds no key");
    ok(!is_good(&f, f.key, NOW), "and the one in memory has gone, too");

    is_status(create(&f, "{\"name\":\"n\",\"scopes\":[\"read\"]}", &err), MC_OK, &err, "a third");
    mc_fault_store_fail(f.store, "keys", 1, 0, MC_IO);
    is_status(mc_keys_revoke(f.keys, mc_str_of(f.key_id), &err), MC_IO, &err, "is revoked");
    ok(is_good(&f, f.key, NOW), "not yet for others");
    mc_fault_store_heal(f.store);
    int64_t until_us = mc_time_monotonic_us() + 60 * MC_US_PER_SECOND;
    while (is_good(&f, f.key, NOW) && mc_time_monotonic_us() < until_us)
        continue;
    ok(!is_good(&f, f.key, NOW), "until the store can be read again");
    tear_down(&f);
}

int main(void)
{
    test_what_is_refused();
    test_what_a_key_grants();
    test_other_keys();
    test_another_process();
    test_checked_again();
    test_agents_that_are_not_kept_apart();
    test_keys_that_are_not_read_again();
    return done_testing();
}
