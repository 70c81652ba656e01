#include "memory/keys.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/log.h"
#include "base/str.h"
#include "base/utf8.h"
#include "memory/registry.h"
#include "message/input.h"

/*
 * DESIGN. A key is "mc_", its id, "_", and 24 random bytes, both in hexadecimal: the id finds the row,
 * and so much chance needs no slow hash. The store holds the definition as JSON, so that a new member needs
 * no migration. A grant holds a reference to the table that it was found in.
 */

#define PREFIX "mc_"
#define ID_BYTES 6
#define SECRET_BYTES 24
#define ID_LEN ((size_t)2 * ID_BYTES)
#define KEY_LEN (sizeof(PREFIX) - 1 + ID_LEN + 1 + (size_t)2 * SECRET_BYTES)
#define HASH_TEXT_LEN ((size_t)2 * MC_HASH_BYTES)

#define KEYS_MAX 10000
#define BOUND_MAX 256
#define NAME_MAX_BYTES 255
#define RATE_MAX 1e6
#define TABLE_MAX ((size_t)256 << 20)
#define DEFINITION_MAX ((size_t)1 << 20)
#define ALL_SCOPES ((unsigned)(MC_SCOPE_READ | MC_SCOPE_WRITE | MC_SCOPE_ADMIN))

struct key {
    struct mc_grant grant;
    struct mc_registry_table *table;
    char hash[2 * MC_HASH_BYTES];
    int64_t expires_at_us; /* INT64_MAX: never */
    int64_t created_at_us;
};

struct mc_keys {
    bool agents;
    struct mc_registry registry; /* struct key, in order of creation */
};

/* ---- Scopes ---- */

static const struct {
    unsigned scope;
    const char *name;
} scopes[] = {
#define SCOPE_ROW(id, bit, text) {bit, text},
    MC_SCOPE_MAP(SCOPE_ROW)
#undef SCOPE_ROW
};

const char *mc_scope_name(enum mc_scope scope)
{
    for (size_t i = 0; i < mc_countof(scopes); i++) {
        if (scopes[i].scope == (unsigned)scope)
            return scopes[i].name;
    }
    return "";
}

static enum mc_status read_scopes(const mc_str *names, size_t count, unsigned *set,
                                  struct mc_error *err)
{
    unsigned made = 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (at < mc_countof(scopes) && !mc_str_equal(names[i], mc_str_of(scopes[at].name)))
            at++;
        if (at == mc_countof(scopes))
            return mc_fail_field(err, MC_INVALID, "scopes",
                                 "scopes: '%.*s' is none of read, write, admin",
                                 MC_STR_ARG(mc_utf8_cut(names[i], 40)));
        made |= scopes[at].scope;
    }
    if (made == 0)
        return mc_fail_field(err, MC_INVALID, "scopes",
                             "scopes must name at least one of read, write, admin");
    *set = made & MC_SCOPE_ADMIN ? ALL_SCOPES : made;
    return MC_OK;
}

/* ---- The definition, as it is given and as it is stored ---- */

struct definition {
    struct mc_grant grant; /* without key_id */
    int64_t expires_at_us;
};

static enum mc_status read_ids(const struct mc_json *node, const char *field,
                               struct mc_arena *arena, const mc_str **ids, size_t *count,
                               struct mc_error *err)
{
    enum mc_status status = mc_input_string_list(node, field, BOUND_MAX, arena, ids, count, err);
    for (size_t i = 0; status == MC_OK && i < *count; i++)
        status = mc_input_check_id(field, (*ids)[i], err);
    if (status == MC_OK && *count == 0)
        return mc_fail_field(err, MC_INVALID, field,
                             "%s must not be empty; leave it out for a key that is not bound",
                             field);
    return status;
}

static enum mc_status read_member(mc_str key, const struct mc_json *node, struct mc_arena *arena,
                                  struct definition *d, struct mc_error *err)
{
    const mc_str *names = NULL;
    size_t count = 0;
    if (mc_str_equal(key, MC_STR("name"))) {
        d->grant.name = mc_json_string(node);
        if (d->grant.name.len == 0 || d->grant.name.len > NAME_MAX_BYTES ||
            mc_utf8_is_blank(d->grant.name))
            return mc_fail_field(err, MC_INVALID, "name", "name must be text of 1 to %d bytes",
                                 NAME_MAX_BYTES);
        return MC_OK;
    }
    if (mc_str_equal(key, MC_STR("scopes"))) {
        enum mc_status status =
            mc_input_string_list(node, "scopes", mc_countof(scopes), arena, &names, &count, err);
        return status ? status : read_scopes(names, count, &d->grant.scopes, err);
    }
    if (mc_str_equal(key, MC_STR("user_ids")))
        return read_ids(node, "user_ids", arena, &d->grant.user_ids, &d->grant.user_id_count, err);
    if (mc_str_equal(key, MC_STR("agent_ids")))
        return read_ids(node, "agent_ids", arena, &d->grant.agent_ids, &d->grant.agent_id_count,
                        err);
    if (mc_str_equal(key, MC_STR("rate_limit"))) {
        d->grant.rate_limit = mc_json_number(node);
        if (!(d->grant.rate_limit > 0 && d->grant.rate_limit <= RATE_MAX))
            return mc_fail_field(err, MC_INVALID, "rate_limit",
                                 "rate_limit must be a number above 0, at most %g", RATE_MAX);
        return MC_OK;
    }
    if (mc_str_equal(key, MC_STR("expires_at"))) {
        if (!mc_time_parse(mc_json_string(node), &d->expires_at_us))
            return mc_fail_field(err, MC_INVALID, "expires_at",
                                 "expires_at must be a time as in 2026-01-31T12:00:00Z (RFC 3339)");
        return MC_OK;
    }
    return mc_input_unknown(
        key, "fields are name, scopes, user_ids, agent_ids, rate_limit, expires_at", err);
}

/* Strings borrow from the object and the arena. */
static enum mc_status read_definition(const struct mc_json *object, struct mc_arena *arena,
                                      struct definition *d, struct mc_error *err)
{
    struct definition made = {.expires_at_us = INT64_MAX};
    if (mc_json_type(object) != MC_JSON_OBJECT)
        return mc_fail(err, MC_INVALID, "a key must be described by a JSON object, not %s",
                       mc_json_type_name(mc_json_type(object)));
    void *cursor = NULL;
    mc_str key;
    const struct mc_json *node;
    while (mc_json_next(object, &cursor, &key, &node)) {
        enum mc_status status =
            mc_json_type(node) == MC_JSON_NULL ? MC_OK : read_member(key, node, arena, &made, err);
        if (status)
            return status;
    }
    if (made.grant.name.len == 0)
        return mc_fail_field(err, MC_INVALID, "name", "name is missing");
    if (made.grant.scopes == 0)
        return mc_fail_field(err, MC_INVALID, "scopes", "scopes is missing");
    *d = made;
    return MC_OK;
}

static void write_scopes(struct mc_json_writer *w, unsigned set)
{
    mc_json_key(w, "scopes");
    mc_json_begin(w, '[');
    for (size_t i = 0; i < mc_countof(scopes); i++) {
        if (set & scopes[i].scope)
            mc_json_put_text(w, scopes[i].name);
    }
    mc_json_end(w, ']');
}

static void write_ids(struct mc_json_writer *w, const char *field, const mc_str *ids, size_t count)
{
    mc_json_key(w, field);
    if (count > 0)
        mc_input_write_list(w, ids, count);
    else
        mc_json_put_null(w);
}

/* The members of an object that read_definition reads. */
static void write_definition(struct mc_json_writer *w, const struct mc_grant *grant,
                             int64_t expires_at_us)
{
    mc_json_member_string(w, "name", grant->name);
    write_scopes(w, grant->scopes);
    write_ids(w, "user_ids", grant->user_ids, grant->user_id_count);
    write_ids(w, "agent_ids", grant->agent_ids, grant->agent_id_count);
    mc_json_key(w, "rate_limit");
    if (grant->rate_limit > 0)
        mc_json_put_number(w, grant->rate_limit);
    else
        mc_json_put_null(w);
    mc_json_key(w, "expires_at");
    if (expires_at_us < INT64_MAX)
        mc_json_put_time(w, expires_at_us);
    else
        mc_json_put_null(w);
}

/* ---- The table ---- */

static enum mc_status copy_key(struct mc_registry_table *table, const struct mc_key_row *row,
                               const struct definition *d, struct key **made, struct mc_error *err)
{
    struct mc_arena *arena = &table->arena;
    struct key *key = mc_arena_alloc(arena, sizeof(*key));
    if (!key)
        return mc_fail_memory(err);
    *key = (struct key){.grant = d->grant,
                        .table = table,
                        .expires_at_us = d->expires_at_us,
                        .created_at_us = row->created_at_us};
    struct mc_grant *grant = &key->grant;
    memcpy(key->hash, row->hash.data, HASH_TEXT_LEN);
    grant->key_id = mc_arena_copy(arena, row->key_id);
    grant->name = mc_arena_copy(arena, grant->name);
    grant->user_ids = mc_arena_copy_list(arena, grant->user_ids, grant->user_id_count);
    grant->agent_ids = mc_arena_copy_list(arena, grant->agent_ids, grant->agent_id_count);
    if (!grant->key_id.data || !grant->name.data || !grant->user_ids || !grant->agent_ids)
        return mc_fail_memory(err);
    *made = key;
    return MC_OK;
}

static enum mc_status add_key(struct mc_registry_table *table, const struct mc_key_row *row,
                              struct mc_error *err)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    struct definition d;
    enum mc_status status = mc_json_parse(row->definition, &root, err);
    if (status == MC_OK)
        status = read_definition(root, &table->arena, &d, err);
    if (status != MC_OK || row->hash.len != HASH_TEXT_LEN) {
        mc_log(MC_LOG_WARNING, "keys", "the key '%.*s' is damaged in the database and not valid",
               MC_STR_ARG(row->key_id));
        return MC_OK;
    }
    struct key *key = NULL;
    status = copy_key(table, row, &d, &key, err);
    return status != MC_OK ? status : mc_registry_add(table, key->grant.key_id, key, err);
}

struct reading {
    struct mc_registry_table *table;
    enum mc_status status;
    struct mc_error *err;
};

static bool add_row(void *context, const struct mc_key_row *row)
{
    struct reading *reading = context;
    reading->status = add_key(reading->table, row, reading->err);
    return reading->status == MC_OK;
}

static enum mc_status read_keys(struct mc_store *store, struct mc_registry_table *table,
                                struct mc_error *err)
{
    struct reading reading = {table, MC_OK, err};
    enum mc_status status = store->ops->keys(store, add_row, &reading, err);
    return status != MC_OK ? status : reading.status;
}

enum mc_status mc_keys_reload(struct mc_keys *keys, struct mc_error *err)
{
    return mc_registry_reload(&keys->registry, err);
}

enum mc_status mc_keys_open(struct mc_store *store, bool agents, struct mc_keys **keys,
                            struct mc_error *err)
{
    struct mc_keys *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->agents = agents;
    mc_registry_init(&made->registry, store, read_keys, TABLE_MAX);
    enum mc_status status = mc_keys_reload(made, err);
    if (status != MC_OK) {
        mc_keys_close(made);
        return status;
    }
    *keys = made;
    return MC_OK;
}

void mc_keys_close(struct mc_keys *keys)
{
    if (!keys)
        return;
    mc_registry_fini(&keys->registry);
    free(keys);
}

/* ---- Making, listing, revoking ---- */

static void write_hex(const unsigned char *bytes, size_t count, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
}

static void new_key(char text[KEY_LEN])
{
    unsigned char random[ID_BYTES + SECRET_BYTES];
    mc_random_bytes(random, sizeof(random));
    memcpy(text, PREFIX, sizeof(PREFIX) - 1);
    char *id = text + sizeof(PREFIX) - 1;
    write_hex(random, ID_BYTES, id);
    id[ID_LEN] = '_';
    write_hex(random + ID_BYTES, SECRET_BYTES, id + ID_LEN + 1);
}

static mc_str id_of(mc_str key)
{
    return (mc_str){key.data + sizeof(PREFIX) - 1, ID_LEN};
}

static void hash_key(mc_str key, char text[2 * MC_HASH_BYTES])
{
    unsigned char hash[MC_HASH_BYTES];
    const mc_str parts[] = {MC_STR("mindcore key"), key};
    mc_hash_of(parts, mc_countof(parts), hash);
    write_hex(hash, sizeof(hash), text);
}

static enum mc_status check_bounds(const struct mc_keys *keys, const struct definition *d,
                                   int64_t now_us, struct mc_error *err)
{
    bool bound = d->grant.user_id_count > 0 || d->grant.agent_id_count > 0;
    if (bound && d->grant.scopes & MC_SCOPE_ADMIN)
        return mc_fail_field(err, MC_INVALID, "scopes",
                             "a key with scope admin cannot be bound to users or agents");
    if (d->grant.agent_id_count > 0 && !keys->agents)
        return mc_fail_field(
            err, MC_INVALID, "agent_ids",
            "agent_ids keeps nothing apart while multi_agent.enabled is false; set "
            "multi_agent.enabled: true, or leave the agents (--agent) out");
    if (d->expires_at_us <= now_us)
        return mc_fail_field(err, MC_INVALID, "expires_at", "expires_at is in the past");
    return MC_OK;
}

static enum mc_status put_key(struct mc_store *store, const struct mc_registry_table *present,
                              void *context, struct mc_error *err)
{
    const struct mc_key_row *row = context;
    if (present->count >= KEYS_MAX)
        return mc_fail(err, MC_CONFLICT, "there are %d keys, no more are allowed", KEYS_MAX);
    return store->ops->put_key(store, row, err);
}

/* text: the key itself, or absent. */
static void write_key(struct mc_json_writer *w, mc_str text, mc_str key_id,
                      const struct mc_grant *grant, int64_t expires_at_us, int64_t created_at_us)
{
    mc_json_begin(w, '{');
    mc_json_member_string(w, "key_id", key_id);
    if (mc_str_given(text))
        mc_json_member_string(w, "key", text);
    write_definition(w, grant, expires_at_us);
    mc_json_key(w, "created_at");
    mc_json_put_time(w, created_at_us);
    mc_json_end(w, '}');
}

static enum mc_status create(struct mc_keys *keys, const struct definition *d, int64_t now_us,
                             struct mc_buf *json, struct mc_error *err)
{
    char text[KEY_LEN], hash[2 * MC_HASH_BYTES];
    mc_str key = {text, sizeof(text)};
    new_key(text);
    hash_key(key, hash);
    mc_auto(mc_buf_fini) struct mc_buf stored;
    mc_buf_init(&stored, DEFINITION_MAX);
    struct mc_json_writer w = mc_json_writer(&stored);
    mc_json_begin(&w, '{');
    write_definition(&w, &d->grant, d->expires_at_us);
    mc_json_end(&w, '}');
    if (stored.failed)
        return mc_fail_memory(err);
    struct mc_key_row row = {.key_id = id_of(key),
                             .hash = {hash, sizeof(hash)},
                             .definition = mc_buf_str(&stored),
                             .created_at_us = now_us};
    enum mc_status status = mc_registry_change(&keys->registry, put_key, &row, err);
    if (status != MC_OK)
        return status;
    w = mc_json_writer(json);
    write_key(&w, key, row.key_id, &d->grant, d->expires_at_us, now_us);
    return MC_OK;
}

enum mc_status mc_keys_create(struct mc_keys *keys, mc_str object, int64_t now_us,
                              struct mc_buf *json, struct mc_error *err)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, DEFINITION_MAX);
    struct definition d;
    enum mc_status status = mc_json_parse(object, &root, err);
    if (status == MC_OK)
        status = read_definition(root, &arena, &d, err);
    if (status == MC_OK)
        status = check_bounds(keys, &d, now_us, err);
    return status == MC_OK ? create(keys, &d, now_us, json, err) : status;
}

enum mc_status mc_keys_list(struct mc_keys *keys, struct mc_buf *json, struct mc_error *err)
{
    struct mc_registry_table *table = mc_registry_acquire(&keys->registry);
    struct mc_json_writer w = mc_json_writer(json);
    mc_json_begin(&w, '{');
    mc_json_key(&w, "keys");
    mc_json_begin(&w, '[');
    for (size_t i = 0; i < table->count; i++) {
        const struct key *key = table->items[i];
        write_key(&w, MC_STR_NONE, key->grant.key_id, &key->grant, key->expires_at_us,
                  key->created_at_us);
    }
    mc_json_end(&w, ']');
    mc_json_end(&w, '}');
    mc_registry_release(table);
    return json->failed ? mc_fail_memory(err) : MC_OK;
}

static enum mc_status remove_key(struct mc_store *store, const struct mc_registry_table *present,
                                 void *context, struct mc_error *err)
{
    (void)present;
    const mc_str *key_id = context;
    return store->ops->remove_key(store, *key_id, err);
}

enum mc_status mc_keys_revoke(struct mc_keys *keys, mc_str key_id, struct mc_error *err)
{
    return mc_registry_change(&keys->registry, remove_key, &key_id, err);
}

size_t mc_keys_count(struct mc_keys *keys)
{
    struct mc_registry_table *table = mc_registry_acquire(&keys->registry);
    size_t count = table->count;
    mc_registry_release(table);
    return count;
}

/* ---- Checking ---- */

enum mc_status mc_keys_check(struct mc_keys *keys, mc_str key, int64_t now_us,
                             const struct mc_grant **grant, struct mc_error *err)
{
    static const char nothing[2 * MC_HASH_BYTES];
    char hash[2 * MC_HASH_BYTES];
    struct mc_registry_table *table = mc_registry_acquire(&keys->registry);
    const struct key *found = key.len == KEY_LEN ? mc_registry_find(table, id_of(key)) : NULL;
    hash_key(key, hash);
    bool same = mc_hash_equal(hash, found ? found->hash : nothing, sizeof(hash)) && found;
    bool expired = same && now_us >= found->expires_at_us;
    bool useless = same && found->grant.agent_id_count > 0 && !keys->agents;
    if (same && !expired && !useless) {
        *grant = &found->grant;
        return MC_OK;
    }
    mc_registry_release(table);
    return mc_fail(err, MC_UNAUTHENTICATED, "the API key %s",
                   expired   ? "has expired"
                   : useless ? "is bound to agents, which nothing keeps apart here; set "
                               "multi_agent.enabled: true, or use another key"
                             : "is not valid");
}

enum mc_status mc_keys_check_again(struct mc_keys *keys, const struct mc_grant *grant,
                                   int64_t now_us, struct mc_error *err)
{
    const struct key *before = mc_container_of(grant, const struct key, grant);
    struct mc_registry_table *table = mc_registry_acquire(&keys->registry);
    const struct key *found = mc_registry_find(table, grant->key_id);
    bool same = found && mc_hash_equal(before->hash, found->hash, sizeof(before->hash));
    bool expired = same && now_us >= found->expires_at_us;
    mc_registry_release(table);
    if (same && !expired)
        return MC_OK;
    return mc_fail(err, MC_UNAUTHENTICATED, "the API key %s",
                   expired ? "has expired" : "was revoked");
}

void mc_grant_free(const struct mc_grant *grant)
{
    if (grant)
        mc_registry_release(mc_container_of(grant, const struct key, grant)->table);
}

static bool is_among(const mc_str *ids, size_t count, mc_str id)
{
    for (size_t i = 0; i < count; i++) {
        if (mc_str_equal(ids[i], id))
            return true;
    }
    return count == 0;
}

bool mc_grant_has_user(const struct mc_grant *grant, mc_str user_id)
{
    return is_among(grant->user_ids, grant->user_id_count, user_id);
}

bool mc_grant_has_agent(const struct mc_grant *grant, mc_str agent_id)
{
    return is_among(grant->agent_ids, grant->agent_id_count, agent_id);
}
