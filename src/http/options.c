/* The options of the server from a configuration. */
#include "http/server.h"

#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

#define METRICS_CONNECTIONS 32

/* A list of text, which the configuration keeps as JSON. */
static enum mc_status read_list(const struct mc_config *config, const char *key,
                                struct mc_arena *arena, const mc_str **items, size_t *count,
                                struct mc_error *err)
{
    const char *text = mc_config_get(config, key);
    if (!text || !*text)
        return MC_OK;
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    enum mc_status status = mc_json_parse(mc_str_of(text), &root, err);
    if (status != MC_OK)
        return mc_fail_prefix(err, MC_CONFIG, "%s", key);
    size_t found = mc_json_count(root);
    mc_str *copies = mc_arena_array(arena, found, sizeof(*copies));
    if (!copies)
        return mc_fail_memory(err);
    for (size_t i = 0; i < found; i++) {
        copies[i] = mc_arena_copy(arena, mc_json_string(mc_json_at(root, i)));
        if (!copies[i].data)
            return mc_fail_memory(err);
    }
    *items = copies;
    *count = found;
    return MC_OK;
}

/* NULL when the option is empty. */
static const char *text_of(const struct mc_config *config, const char *key)
{
    const char *text = mc_config_get(config, key);
    return text && *text ? text : NULL;
}

enum mc_status mc_http_options_from_config(const struct mc_config *config, bool metrics,
                                           struct mc_arena *arena, struct mc_http_options *options,
                                           struct mc_error *err)
{
    int64_t of_address = mc_config_integer(config, "server.max_connections_per_address");
    struct mc_http_options made = {
        .listen = text_of(config, metrics ? "server.metrics_listen" : "server.listen"),
        .max_body_bytes = (size_t)mc_config_integer(config, "server.max_body"),
        .max_connections = metrics ? METRICS_CONNECTIONS
                                   : (size_t)mc_config_integer(config, "server.max_connections"),
        .max_peer_connections = of_address ? (size_t)of_address : SIZE_MAX,
        .idle_timeout_us = mc_config_duration_us(config, "server.idle_timeout"),
        .request_timeout_us = mc_config_duration_us(config, "server.request_timeout"),
        .rate_limit = mc_config_number(config, "server.rate_limit"),
        .max_memory = (size_t)mc_config_integer(config, "server.max_memory"),
        .tls_cert = text_of(config, "server.tls_cert"),
        .tls_key = text_of(config, "server.tls_key"),
        .audit = text_of(config, "logging.audit"),
        .threads = metrics ? 0 : (int)mc_config_integer(config, "server.threads"),
        .metrics_only = metrics,
    };
    enum mc_status status =
        read_list(config, "server.api_keys", arena, &made.api_keys, &made.api_key_count, err);
    if (status == MC_OK)
        status = read_list(config, "server.allowed_hosts", arena, &made.allowed_hosts,
                           &made.allowed_host_count, err);
    if (status == MC_OK)
        *options = made;
    return status;
}
