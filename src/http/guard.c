#include "http/guard.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "http/server.h"

#define KEY_MIN 16
#define KEY_MAX 255
#define RATE_SLOTS 4096
#define RATE_BURST_SECONDS 2

/* A token bucket; clients whose hashes meet share one. */
struct bucket {
    double tokens;
    int64_t filled_us;
};

struct mc_http_guard {
    bool wildcard;
    char **hosts;
    size_t host_count;
    atomic_bool
        closed; /* others can reach the server, or it once had keys: it is never open again */
    unsigned char (*keys)[MC_HASH_BYTES]; /* hashes of server.api_keys */
    size_t key_count;
    double rate;
    mc_mutex mutex; /* guards buckets */
    struct bucket *buckets;
};

static void hash_key(mc_str key, unsigned char hash[MC_HASH_BYTES])
{
    mc_hash_of(&key, 1, hash);
}

bool mc_http_guard_has_keys(struct mc_http_guard *guard, struct mc_engine *engine)
{
    if (atomic_load_explicit(&guard->closed, memory_order_relaxed))
        return true;
    bool closed = guard->key_count > 0 || mc_key_count(engine) > 0;
    if (closed)
        atomic_store(&guard->closed, true);
    return closed;
}

enum mc_status mc_http_guard_admit(const struct mc_http_guard *guard, struct mc_engine *engine,
                                   mc_str key, const struct mc_grant **grant, struct mc_error *err)
{
    unsigned char hash[MC_HASH_BYTES];
    bool ours = false;
    if (!mc_str_given(key))
        return mc_fail(err, MC_UNAUTHENTICATED,
                       "an API key is needed: send it as Authorization: Bearer KEY");
    hash_key(key, hash);
    for (size_t i = 0; i < guard->key_count; i++)
        ours |= mc_hash_equal(hash, guard->keys[i], sizeof(hash));
    return ours ? MC_OK : mc_key_check(engine, key, grant, err);
}

/* The name of "name:port", "[::1]:port" or either without the port; absent when it is neither. */
static mc_str host_name(mc_str host)
{
    size_t end = 0;
    if (host.len > 0 && host.data[0] == '[') {
        while (end < host.len && host.data[end] != ']')
            end++;
        end++;
    } else {
        while (end < host.len && host.data[end] != ':')
            end++;
    }
    if (end == 0 || end > host.len || (end < host.len && host.data[end] != ':'))
        return MC_STR_NONE;
    for (size_t i = end + 1; i < host.len; i++) {
        if (host.data[i] < '0' || host.data[i] > '9' || i > end + 5)
            return MC_STR_NONE;
    }
    return (mc_str){host.data, end};
}

/* True when the name is the address, as text, of our end of the connection. */
static bool is_local_address(mc_str name, int fd)
{
    struct mc_address local = {.len = sizeof(local.socket)};
    if (getsockname(fd, (struct sockaddr *)&local.socket, &local.len) != 0)
        return false;
    if (name.len >= 2 && name.data[0] == '[')
        name = (mc_str){name.data + 1, name.len - 2};
    char text[MC_ADDRESS_SIZE];
    mc_address_text(&local, text);
    const char *mapped = strncmp(text, "::ffff:", 7) == 0 ? text + 7 : text;
    return mc_str_equal_nocase(name, mc_str_of(mapped));
}

bool mc_http_guard_host(const struct mc_http_guard *guard, mc_str host, int fd)
{
    mc_str name = host_name(host);
    if (!mc_str_given(name))
        return false;
    for (size_t i = 0; i < guard->host_count; i++) {
        if (mc_str_equal_nocase(name, mc_str_of(guard->hosts[i])))
            return true;
    }
    return guard->wildcard && is_local_address(name, fd);
}

bool mc_http_guard_origin(const struct mc_http_guard *guard, mc_str origin, int fd)
{
    mc_str schemes[] = {MC_STR("http://"), MC_STR("https://")};
    for (size_t i = 0; i < mc_countof(schemes); i++) {
        if (mc_str_starts(origin, schemes[i]))
            return mc_http_guard_host(
                guard, (mc_str){origin.data + schemes[i].len, origin.len - schemes[i].len}, fd);
    }
    return false;
}

bool mc_http_guard_rate(struct mc_http_guard *guard, mc_str client, double own_rate, int64_t now_us)
{
    double rate = own_rate > 0 ? own_rate : guard->rate;
    if (rate <= 0)
        return true;
    double burst = rate * RATE_BURST_SECONDS;
    burst = burst < 1 ? 1 : burst;
    struct bucket *bucket = &guard->buckets[mc_str_hash(client) % RATE_SLOTS];
    mc_mutex_lock(&guard->mutex);
    double seconds = (double)(now_us - bucket->filled_us) / (double)MC_US_PER_SECOND;
    if (bucket->filled_us == 0)
        bucket->tokens = burst;
    else
        bucket->tokens += seconds * rate;
    bucket->tokens = bucket->tokens > burst ? burst : bucket->tokens;
    bucket->filled_us = now_us;
    bool allowed = bucket->tokens >= 1;
    if (allowed)
        bucket->tokens -= 1;
    mc_mutex_unlock(&guard->mutex);
    return allowed;
}

static enum mc_status copy_keys(struct mc_http_guard *guard, const struct mc_http_options *options,
                                struct mc_error *err)
{
    guard->keys = calloc(options->api_key_count + 1, sizeof(*guard->keys));
    if (!guard->keys)
        return mc_fail_memory(err);
    for (size_t i = 0; i < options->api_key_count; i++) {
        mc_str key = options->api_keys[i];
        if (key.len < KEY_MIN || key.len > KEY_MAX)
            return mc_fail_field(err, MC_CONFIG, "server.api_keys",
                                 "server.api_keys: key %zu has %zu bytes, %d to %d are needed",
                                 i + 1, key.len, KEY_MIN, KEY_MAX);
        for (size_t at = 0; at < key.len; at++) {
            if (key.data[at] <= ' ' || key.data[at] > '~')
                return mc_fail_field(err, MC_CONFIG, "server.api_keys",
                                     "server.api_keys: key %zu holds a character that is not "
                                     "printable ASCII",
                                     i + 1);
        }
        hash_key(key, guard->keys[guard->key_count++]);
    }
    return MC_OK;
}

static bool add_host(struct mc_http_guard *guard, mc_str host)
{
    char *copy = mc_str_dup(host);
    if (copy)
        guard->hosts[guard->host_count++] = copy;
    return copy != NULL;
}

static enum mc_status copy_hosts(struct mc_http_guard *guard, const struct mc_http_options *options,
                                 const struct mc_address *address, struct mc_error *err)
{
    char text[MC_ADDRESS_SIZE];
    char listen[MC_ADDRESS_SIZE + 2];
    mc_address_text(address, text);
    snprintf(listen, sizeof(listen), strchr(text, ':') ? "[%s]" : "%s", text);
    guard->hosts = calloc(options->allowed_host_count + 4, sizeof(*guard->hosts));
    if (!guard->hosts)
        return mc_fail_memory(err);
    bool added = add_host(guard, MC_STR("localhost")) && add_host(guard, MC_STR("127.0.0.1")) &&
                 add_host(guard, MC_STR("[::1]")) && add_host(guard, mc_str_of(listen));
    for (size_t i = 0; added && i < options->allowed_host_count; i++) {
        mc_str host = options->allowed_hosts[i];
        if (host_name(host).len != host.len || host.len == 0)
            return mc_fail_field(
                err, MC_CONFIG, "server.allowed_hosts",
                "server.allowed_hosts: '%.*s' must be a name without scheme and port",
                (int)(host.len < 100 ? host.len : 100), host.data);
        added = add_host(guard, host);
    }
    return added ? MC_OK : mc_fail_memory(err);
}

enum mc_status mc_http_guard_new(const struct mc_http_options *options,
                                 const struct mc_address *address, struct mc_http_guard **guard,
                                 struct mc_error *err)
{
    struct mc_http_guard *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    mc_mutex_init(&made->mutex);
    made->wildcard = address->wildcard;
    atomic_init(&made->closed, !address->loopback);
    made->rate = options->rate_limit;
    enum mc_status status = copy_keys(made, options, err);
    if (status == MC_OK)
        status = copy_hosts(made, options, address, err);
    made->buckets = calloc(RATE_SLOTS, sizeof(*made->buckets));
    if (status == MC_OK && !made->buckets)
        status = mc_fail_memory(err);
    if (status != MC_OK) {
        mc_http_guard_free(made);
        return status;
    }
    *guard = made;
    return MC_OK;
}

void mc_http_guard_free(struct mc_http_guard *guard)
{
    if (!guard)
        return;
    for (size_t i = 0; i < guard->host_count; i++)
        free(guard->hosts[i]);
    free(guard->hosts);
    free(guard->keys);
    free(guard->buckets);
    mc_mutex_fini(&guard->mutex);
    free(guard);
}
