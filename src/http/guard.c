#include "http/guard.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "http/server.h"

#define KEY_MIN 16
#define KEY_SIZE 256 /* a key and its padding */
#define RATE_SLOTS 4096
#define RATE_BURST_SECONDS 2

struct key {
    size_t len;
    unsigned char bytes[KEY_SIZE];
};

/* A token bucket; clients whose hashes meet share one. */
struct bucket {
    double tokens;
    int64_t filled_us;
};

struct mc_http_guard {
    bool wildcard;
    char **hosts;
    size_t host_count;
    struct key *keys;
    size_t key_count;
    double rate;
    mc_mutex mutex; /* guards buckets */
    struct bucket *buckets;
};

bool mc_http_guard_has_keys(const struct mc_http_guard *guard)
{
    return guard->key_count > 0;
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

/* Pads to one length, so that the time of a comparison tells nothing of a key. */
static void pad_key(mc_str text, struct key *key)
{
    memset(key, 0, sizeof(*key));
    key->len = text.len;
    memcpy(key->bytes, text.data, text.len < KEY_SIZE ? text.len : KEY_SIZE);
}

bool mc_http_guard_key(const struct mc_http_guard *guard, mc_str text)
{
    if (!text.data)
        return false;
    struct key given;
    pad_key(text, &given);
    unsigned match = 0;
    for (size_t i = 0; i < guard->key_count; i++) {
        const struct key *key = &guard->keys[i];
        unsigned difference = key->len != given.len;
        for (size_t at = 0; at < KEY_SIZE; at++)
            difference |= (unsigned)key->bytes[at] ^ given.bytes[at];
        match |= difference == 0;
    }
    return match != 0;
}

bool mc_http_guard_rate(struct mc_http_guard *guard, mc_str client, int64_t now_us)
{
    if (guard->rate <= 0)
        return true;
    double burst = guard->rate * RATE_BURST_SECONDS;
    burst = burst < 1 ? 1 : burst;
    struct bucket *bucket = &guard->buckets[mc_str_hash(client) % RATE_SLOTS];
    mc_mutex_lock(&guard->mutex);
    double seconds = (double)(now_us - bucket->filled_us) / (double)MC_US_PER_SECOND;
    if (bucket->filled_us == 0)
        bucket->tokens = burst;
    else
        bucket->tokens += seconds * guard->rate;
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
        if (key.len < KEY_MIN || key.len >= KEY_SIZE)
            return mc_fail_field(err, MC_CONFIG, "server.api_keys",
                                 "server.api_keys: key %zu has %zu bytes, %d to %d are needed",
                                 i + 1, key.len, KEY_MIN, KEY_SIZE - 1);
        for (size_t at = 0; at < key.len; at++) {
            if (key.data[at] <= ' ' || key.data[at] > '~')
                return mc_fail_field(err, MC_CONFIG, "server.api_keys",
                                     "server.api_keys: key %zu holds a character that is not "
                                     "printable ASCII",
                                     i + 1);
        }
        pad_key(key, &guard->keys[i]);
        guard->key_count++;
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
    made->rate = options->rate_limit;
    enum mc_status status = copy_keys(made, options, err);
    if (status == MC_OK)
        status = copy_hosts(made, options, address, err);
    if (status == MC_OK && made->rate > 0) {
        made->buckets = calloc(RATE_SLOTS, sizeof(*made->buckets));
        if (!made->buckets)
            status = mc_fail_memory(err);
    }
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
