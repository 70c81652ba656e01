#include "http/routes.h"

#include "base/compiler.h"
#include "base/metrics.h"
#include "base/str.h"

#define QUERY(table, n) .query = table, .query_count = n
#define FIELDS(table, n) .fields = table, .field_count = n

/* Read in order, so that what is asked most comes first. */
static const struct mc_http_route routes[] = {
    {.method = "POST",
     .path = "/v1/messages",
     .name = "ingestMessages",
     .summary = "Store a message, or a stream of them as NDJSON",
     .handler = mc_http_message_post,
     .body = MC_HTTP_BODY_LINES,
     FIELDS(mc_http_message_fields, MC_HTTP_MESSAGE_COUNT),
     .schema = "Message",
     .success = 201,
     .success_other = 200},
    {.method = "POST",
     .path = "/v1/context",
     .name = "assembleContext",
     .summary = "What the agent needs to know now",
     .handler = mc_http_context,
     .body = MC_HTTP_BODY_FIELDS,
     FIELDS(mc_http_context_fields, MC_HTTP_CONTEXT_COUNT),
     .schema = "Context",
     .scope = MC_SCOPE_READ},
    {.method = "GET",
     .path = "/v1/users/{user_id}/threads/{thread_id}/messages",
     .name = "recentMessages",
     .summary = "The newest messages of a thread, newest first",
     .handler = mc_http_thread_messages,
     QUERY(mc_http_recent_query, MC_HTTP_RECENT_COUNT),
     .schema = "MessageList"},
    {.method = "GET",
     .path = "/v1/users/{user_id}/threads/{thread_id}/window",
     .name = "messageWindow",
     .summary = "The newest messages that fit a budget, oldest first",
     .handler = mc_http_thread_window,
     QUERY(mc_http_window_query, MC_HTTP_WINDOW_COUNT),
     .schema = "MessageList"},
    {.method = "GET",
     .path = "/v1/users/{user_id}/search",
     .name = "search",
     .summary = "Search in a user's messages",
     .handler = mc_http_search,
     QUERY(mc_http_search_query, MC_HTTP_SEARCH_COUNT),
     .schema = "HitList"},
    {.method = "GET",
     .path = "/v1/messages/{message_id}",
     .name = "getMessage",
     .summary = "One message with its metadata",
     .handler = mc_http_message_get,
     QUERY(mc_http_reader_query, MC_HTTP_READER_COUNT),
     .schema = "Message"},
    {.method = "DELETE",
     .path = "/v1/messages/{message_id}",
     .name = "deleteMessage",
     .audited = true,
     .summary = "Delete one message everywhere",
     .handler = mc_http_message_delete,
     QUERY(mc_http_reader_query, MC_HTTP_READER_COUNT),
     .success = 204},
    {.method = "GET",
     .path = "/v1/users/{user_id}/preferences",
     .name = "getPreferences",
     .summary = "Preferences of a user",
     .handler = mc_http_preferences_get,
     .schema = "Preferences"},
    {.method = "PATCH",
     .path = "/v1/users/{user_id}/preferences",
     .name = "patchPreferences",
     .summary = "Change preferences, all fields or none; null clears one",
     .handler = mc_http_preferences_patch,
     .body = MC_HTTP_BODY_ENGINE,
     FIELDS(mc_http_preference_fields, MC_HTTP_PREFERENCE_COUNT),
     .schema = "Preferences"},
    {.method = "GET",
     .path = "/v1/users/{user_id}/preferences/signals",
     .name = "getSignals",
     .summary = "What was learned from the user's messages",
     .handler = mc_http_preferences_signals,
     .schema = "SignalList"},
    {.method = "POST",
     .path = "/v1/users/{user_id}/preferences/apply",
     .name = "applySignals",
     .summary = "Apply the signals that passed the thresholds",
     .handler = mc_http_preferences_apply,
     .body = MC_HTTP_BODY_FIELDS,
     .body_optional = true,
     .schema = "SignalsApplied"},
    {.method = "GET",
     .path = "/v1/users",
     .name = "listUsers",
     .summary = "Users that have messages, in order of their ids",
     .handler = mc_http_user_list,
     QUERY(mc_http_list_query, MC_HTTP_USERS_COUNT),
     .schema = "UserList",
     .slow = true,
     .whole = true},
    {.method = "GET",
     .path = "/v1/users/{user_id}/threads",
     .name = "listThreads",
     .summary = "Threads of a user, the one with the newest message first",
     .handler = mc_http_thread_list,
     QUERY(mc_http_list_query, MC_HTTP_THREADS_COUNT),
     .schema = "ThreadList",
     .slow = true},
    {.method = "GET",
     .path = "/v1/users/{user_id}/export",
     .name = "exportUser",
     .audited = true,
     .summary = "Everything kept of a user, one JSON object a line",
     .handler = mc_http_user_export,
     QUERY(mc_http_reader_query, MC_HTTP_READER_COUNT),
     .schema = "ExportLine",
     .content_type = "application/x-ndjson",
     .slow = true},
    {.method = "DELETE",
     .path = "/v1/users/{user_id}",
     .name = "eraseUser",
     .summary = "Erase a user everywhere; answers with a receipt",
     .handler = mc_http_user_erase,
     .schema = "ErasureReceipt",
     .slow = true,
     .scope = MC_SCOPE_ADMIN},
    {.method = "GET",
     .path = "/v1/agents",
     .name = "listAgents",
     .summary = "Registered agents",
     .handler = mc_http_agent_list,
     .schema = "AgentList",
     .whole = true},
    {.method = "POST",
     .path = "/v1/agents",
     .name = "registerAgent",
     .summary = "Register an agent, or replace it",
     .handler = mc_http_agent_register,
     .body = MC_HTTP_BODY_ENGINE,
     FIELDS(mc_http_agent_fields, MC_HTTP_AGENT_COUNT),
     .schema = "Agent",
     .success = 201,
     .scope = MC_SCOPE_ADMIN},
    {.method = "GET",
     .path = "/v1/agents/{agent_id}",
     .name = "getAgent",
     .summary = "One agent",
     .handler = mc_http_agent_get,
     .schema = "Agent",
     .whole = true},
    {.method = "DELETE",
     .path = "/v1/agents/{agent_id}",
     .name = "unregisterAgent",
     .summary = "Remove an agent; its messages stay",
     .handler = mc_http_agent_unregister,
     .success = 204,
     .scope = MC_SCOPE_ADMIN},
    {.method = "GET",
     .path = "/v1/multi-agent/stats",
     .name = "getAgentStats",
     .summary = "Agents and their messages in numbers",
     .handler = mc_http_agent_stats,
     .schema = "AgentStats",
     .whole = true},
    {.method = "GET",
     .path = "/v1/keys",
     .name = "listKeys",
     .summary = "API keys and what each may do, not the keys themselves",
     .handler = mc_http_key_list,
     .schema = "KeyList",
     .scope = MC_SCOPE_ADMIN},
    {.method = "POST",
     .path = "/v1/keys",
     .name = "createKey",
     .summary = "Make an API key; the answer is the only place that tells it",
     .handler = mc_http_key_create,
     .body = MC_HTTP_BODY_ENGINE,
     FIELDS(mc_http_key_fields, MC_HTTP_KEY_COUNT),
     .schema = "Key",
     .success = 201,
     .scope = MC_SCOPE_ADMIN},
    {.method = "DELETE",
     .path = "/v1/keys/{key_id}",
     .name = "revokeKey",
     .summary = "Revoke an API key",
     .handler = mc_http_key_revoke,
     .success = 204,
     .scope = MC_SCOPE_ADMIN},
    {.method = "GET",
     .path = "/v1/queue",
     .name = "getQueue",
     .summary = "Enrichment jobs: depth, oldest age, dead jobs",
     .handler = mc_http_queue_status,
     QUERY(mc_http_queue_query, MC_HTTP_QUEUE_COUNT),
     .schema = "Queue",
     .whole = true},
    {.method = "POST",
     .path = "/v1/queue/retry",
     .name = "retryJobs",
     .summary = "Make dead jobs ready again",
     .handler = mc_http_queue_retry,
     .body = MC_HTTP_BODY_FIELDS,
     .body_optional = true,
     FIELDS(mc_http_retry_fields, MC_HTTP_RETRY_COUNT),
     .schema = "Retried",
     .scope = MC_SCOPE_ADMIN},
    {.method = "POST",
     .path = "/v1/queue/purge",
     .name = "purgeJobs",
     .summary = "Remove dead jobs for good",
     .handler = mc_http_queue_purge,
     .body = MC_HTTP_BODY_FIELDS,
     .body_optional = true,
     .schema = "Purged",
     .scope = MC_SCOPE_ADMIN},
    {.method = "GET",
     .path = "/v1/cache/stats",
     .name = "getCacheStats",
     .summary = "What the cache holds and how often it hits",
     .handler = mc_http_cache_stats,
     .schema = "CacheStats",
     .whole = true},
    {.method = "POST",
     .path = "/v1/cache/invalidate",
     .name = "invalidateCache",
     .summary = "Drop cached threads; stored messages are not touched",
     .handler = mc_http_cache_invalidate,
     .body = MC_HTTP_BODY_FIELDS,
     FIELDS(mc_http_cache_fields, MC_HTTP_CACHE_COUNT),
     .schema = "Invalidated",
     .scope = MC_SCOPE_ADMIN},
    {.method = "POST",
     .path = "/v1/tiers/migrate",
     .name = "migrateTiers",
     .summary = "Move messages between tiers, summarise, delete what is due",
     .handler = mc_http_tiers_migrate,
     .body = MC_HTTP_BODY_FIELDS,
     .body_optional = true,
     FIELDS(mc_http_migrate_fields, MC_HTTP_MIGRATE_COUNT),
     .schema = "Migration",
     .slow = true,
     .scope = MC_SCOPE_ADMIN},
    {.method = "GET",
     .path = "/v1/workers/health",
     .name = "getWorkersHealth",
     .summary = "Health of the enrichment workers",
     .handler = mc_http_workers_health,
     .schema = "WorkersHealth",
     .whole = true},
    {.method = "GET",
     .path = "/v1/enrichment/metrics",
     .name = "getEnrichmentMetrics",
     .summary = "Counts of the enrichment",
     .handler = mc_http_enrichment_metrics,
     .schema = "EnrichmentMetrics",
     .whole = true},
    {.method = "GET",
     .path = "/v1/metrics",
     .name = "getMetrics",
     .summary = "Counts of the engine",
     .handler = mc_http_metrics,
     .schema = "Metrics",
     .whole = true},
    {.method = "GET",
     .path = "/v1/models",
     .name = "listModels",
     .summary = "What can enrich, why not the others, and today's cost",
     .handler = mc_http_models,
     .schema = "ModelList",
     .slow = true,
     .whole = true},
    {.method = "GET",
     .path = "/v1/usage",
     .name = "getUsage",
     .summary = "What models were asked: calls, tokens and cost by day, operation and model",
     .handler = mc_http_usage,
     QUERY(mc_http_usage_query, MC_HTTP_USAGE_COUNT),
     .schema = "Usage",
     .slow = true,
     .whole = true},
    {.method = "GET",
     .path = "/v1/status",
     .name = "getStatus",
     .summary = "A summary for people: messages, users, sizes, versions",
     .handler = mc_http_engine_status,
     .schema = "Status",
     .slow = true,
     .whole = true},
    {.method = "GET",
     .path = "/health",
     .name = "health",
     .summary = "200 when all is well, else 503 with the reasons",
     .handler = mc_http_health,
     .schema = "Health",
     .success_other = 503,
     .open = true,
     .metrics = true},
    {.method = "GET",
     .path = "/live",
     .name = "live",
     .summary = "200 while the process serves",
     .handler = mc_http_live,
     .schema = "Live",
     .open = true,
     .metrics = true},
    {.method = "GET",
     .path = "/ready",
     .name = "ready",
     .summary = "200 when requests are welcome, 503 while stopping",
     .handler = mc_http_ready,
     .schema = "Ready",
     .success_other = 503,
     .open = true,
     .metrics = true},
    {.method = "GET",
     .path = "/metrics",
     .name = "prometheus",
     .summary = "Counts in the Prometheus text format, or as OpenMetrics where Accept asks for it",
     .handler = mc_http_prometheus,
     .schema = "Text",
     .content_type = "text/plain; version=0.0.4; charset=utf-8",
     .metrics = true,
     .whole = true},
    {.method = "GET",
     .path = "/openapi.json",
     .name = "openapi",
     .summary = "This description",
     .handler = mc_http_openapi,
     .schema = "OpenApi",
     .open = true},
    {.method = "GET",
     .path = "/",
     .name = "page",
     .summary = "The dashboard; where it is not built, a page with the state and links",
     .handler = mc_http_page,
     .schema = "Text",
     .content_type = "text/html; charset=utf-8",
     .open = true},
    {.method = "GET",
     .path = "/dashboard.js",
     .name = "dashboardScript",
     .summary = "The program of the dashboard; 404 where it is not built",
     .handler = mc_http_asset,
     .schema = "Text",
     .content_type = "text/javascript; charset=utf-8",
     .open = true},
    {.method = "GET",
     .path = "/dashboard.css",
     .name = "dashboardStyle",
     .summary = "The style of the dashboard; 404 where it is not built",
     .handler = mc_http_asset,
     .schema = "Text",
     .content_type = "text/css; charset=utf-8",
     .open = true},
    {.method = "GET",
     .path = "/dashboard.svg",
     .name = "dashboardIcon",
     .summary = "The icon of the dashboard; 404 where it is not built",
     .handler = mc_http_asset,
     .schema = "Text",
     .content_type = "image/svg+xml",
     .open = true},
};

size_t mc_http_route_count(void)
{
    return mc_countof(routes);
}

const struct mc_http_route *mc_http_route_at(size_t index)
{
    return index < mc_countof(routes) ? &routes[index] : NULL;
}

_Static_assert(mc_countof(routes) < MC_METRIC_ROUTES, "the metrics have a number for each route");

size_t mc_http_route_number(const struct mc_http_route *route)
{
    return route ? (size_t)(route - routes) + 1 : 0;
}

void mc_http_routes_name(struct mc_metrics *metrics)
{
    for (size_t i = 0; i < mc_countof(routes); i++)
        mc_metrics_name_route(metrics, i + 1, routes[i].method, routes[i].path);
}

/* True when the pattern has the segments; what stands for {name} goes to params. */
static bool match_path(const char *pattern, const struct mc_http_request *req,
                       mc_str params[MC_HTTP_PARAMS])
{
    mc_str rest = mc_str_of(pattern + 1);
    mc_str part;
    size_t i = 0;
    size_t param_count = 0;
    for (; mc_str_split(&rest, '/', &part); i++) {
        if (i == req->segment_count)
            return false;
        bool param = part.len > 0 && part.data[0] == '{';
        if (param && (req->segments[i].len == 0 || param_count == MC_HTTP_PARAMS))
            return false;
        if (param)
            params[param_count++] = req->segments[i];
        else if (!mc_str_equal(part, req->segments[i]))
            return false;
    }
    return i == req->segment_count;
}

static void add_method(char allow[MC_HTTP_ALLOW_SIZE], const char *method)
{
    size_t used = strlen(allow);
    size_t len = strlen(method);
    if (used + len + 3 > MC_HTTP_ALLOW_SIZE)
        return;
    if (used > 0) {
        memcpy(allow + used, ", ", 2);
        used += 2;
    }
    memcpy(allow + used, method, len + 1);
}

enum mc_http_match mc_http_route_find(struct mc_http_request *req, bool metrics_only,
                                      char allow[MC_HTTP_ALLOW_SIZE])
{
    mc_str method = mc_str_equal(req->method, MC_STR("HEAD")) ? MC_STR("GET") : req->method;
    allow[0] = '\0';
    for (size_t i = 0; i < mc_countof(routes); i++) {
        mc_str params[MC_HTTP_PARAMS] = {{NULL, 0}, {NULL, 0}};
        if ((metrics_only && !routes[i].metrics) || !match_path(routes[i].path, req, params))
            continue;
        if (mc_str_equal(mc_str_of(routes[i].method), method)) {
            req->route = &routes[i];
            memcpy(req->params, params, sizeof(params));
            return MC_HTTP_MATCH;
        }
        add_method(allow, routes[i].method);
        if (strcmp(routes[i].method, "GET") == 0)
            add_method(allow, "HEAD");
    }
    if (!allow[0])
        return MC_HTTP_NO_PATH;
    add_method(allow, "OPTIONS");
    return MC_HTTP_NO_METHOD;
}
