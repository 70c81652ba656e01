/*
 * The one table of routes. Routing, 404 and 405 with Allow, HEAD and OPTIONS, the checks of query
 * and body, and /openapi.json come from it.
 */
#ifndef MC_HTTP_ROUTES_H
#define MC_HTTP_ROUTES_H

#include "http/request.h"

/* MC_OK: answered (or deferred); a failure becomes a problem document. */
typedef enum mc_status (*mc_http_handler_fn)(struct mc_http_request *req, struct mc_error *err);

enum mc_http_body {
    MC_HTTP_BODY_NONE,
    MC_HTTP_BODY_FIELDS, /* a JSON object that is read here into req->fields */
    MC_HTTP_BODY_ENGINE, /* a JSON object that the engine reads; fields describe it */
    MC_HTTP_BODY_LINES   /* as ENGINE, or NDJSON with one object a line */
};

struct mc_http_route {
    const char *method;
    const char *path; /* "/v1/users/{user_id}/search" */
    const char *name; /* the operation: "search" */
    const char *summary;
    mc_http_handler_fn handler;
    const struct mc_http_field *query;
    size_t query_count;
    enum mc_http_body body;
    bool body_optional;
    const struct mc_http_field *fields;
    size_t field_count;
    const char *schema;       /* of the answer, in /openapi.json; NULL: no body */
    const char *content_type; /* of the answer */
    int success;
    int success_other;   /* a second status that means success, 0 for none */
    bool audited;        /* noted in the audit log, as is everything of scope admin */
    bool open;           /* needs no key */
    enum mc_scope scope; /* that the key must have; 0: read for GET, write for others */
    bool whole;          /* about all users: not for keys that are bound to some */
    bool metrics;        /* served by a server with metrics_only too */
    bool slow;           /* always runs in the pool */
};

size_t mc_http_route_count(void);
const struct mc_http_route *mc_http_route_at(size_t index);

/* Names the routes in the metrics, and the number that one has there; NULL: of what has no route. */
struct mc_metrics;
void mc_http_routes_name(struct mc_metrics *metrics);
size_t mc_http_route_number(const struct mc_http_route *route);

/* How a path was found. */
enum mc_http_match { MC_HTTP_MATCH, MC_HTTP_NO_PATH, MC_HTTP_NO_METHOD };

/*
 * Finds the route of req->method and req->segments, and sets req->route and req->params. HEAD finds
 * the route of GET. With MC_HTTP_NO_METHOD allow holds the methods of the path, "GET, HEAD,
 * OPTIONS".
 */
#define MC_HTTP_ALLOW_SIZE 64
enum mc_http_match mc_http_route_find(struct mc_http_request *req, bool metrics_only,
                                      char allow[MC_HTTP_ALLOW_SIZE]);

/* Handlers, by resource. */
enum mc_status mc_http_message_post(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_message_get(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_message_delete(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_thread_messages(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_thread_window(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_search(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_context(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_preferences_get(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_preferences_patch(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_preferences_signals(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_preferences_apply(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_user_list(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_thread_list(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_user_export(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_user_erase(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_agent_list(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_agent_register(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_agent_get(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_agent_unregister(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_agent_stats(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_key_list(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_key_create(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_key_revoke(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_queue_status(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_queue_retry(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_queue_purge(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_cache_stats(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_cache_invalidate(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_tiers_migrate(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_tiers_runs(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_tiers_undo(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_workers_health(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_enrichment_metrics(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_metrics(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_models(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_usage(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_engine_status(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_health(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_live(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_ready(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_prometheus(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_openapi(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_page(struct mc_http_request *req, struct mc_error *err);
enum mc_status mc_http_asset(struct mc_http_request *req, struct mc_error *err);

/* Tables of input that the routes name. */
#define MC_HTTP_FIELDS(name, count) extern const struct mc_http_field name[count];
enum { MC_HTTP_AGENT_ID, MC_HTTP_READER_COUNT };
MC_HTTP_FIELDS(mc_http_reader_query, MC_HTTP_READER_COUNT)
enum { MC_HTTP_RECENT_LIMIT, MC_HTTP_RECENT_BEFORE, MC_HTTP_RECENT_AGENT, MC_HTTP_RECENT_COUNT };
MC_HTTP_FIELDS(mc_http_recent_query, MC_HTTP_RECENT_COUNT)
enum { MC_HTTP_LIST_LIMIT, MC_HTTP_LIST_AFTER, MC_HTTP_THREADS_COUNT };
enum { MC_HTTP_LIST_PREFIX = MC_HTTP_THREADS_COUNT, MC_HTTP_USERS_COUNT };
MC_HTTP_FIELDS(mc_http_list_query, MC_HTTP_USERS_COUNT) /* of threads: without the prefix */
enum { MC_HTTP_USAGE_SINCE, MC_HTTP_USAGE_UNTIL, MC_HTTP_USAGE_COUNT };
MC_HTTP_FIELDS(mc_http_usage_query, MC_HTTP_USAGE_COUNT)
enum {
    MC_HTTP_WINDOW_MESSAGES,
    MC_HTTP_WINDOW_TOKENS,
    MC_HTTP_WINDOW_IMPORTANCE,
    MC_HTTP_WINDOW_AGENT,
    MC_HTTP_WINDOW_COUNT
};
MC_HTTP_FIELDS(mc_http_window_query, MC_HTTP_WINDOW_COUNT)
enum {
    MC_HTTP_SEARCH_Q,
    MC_HTTP_SEARCH_TOPICS,
    MC_HTTP_SEARCH_CATEGORIES,
    MC_HTTP_SEARCH_INTENT,
    MC_HTTP_SEARCH_THREAD,
    MC_HTTP_SEARCH_SINCE,
    MC_HTTP_SEARCH_UNTIL,
    MC_HTTP_SEARCH_LIMIT,
    MC_HTTP_SEARCH_AGENT,
    MC_HTTP_SEARCH_EXPLAIN,
    MC_HTTP_SEARCH_COUNT
};
MC_HTTP_FIELDS(mc_http_search_query, MC_HTTP_SEARCH_COUNT)
enum {
    MC_HTTP_CONTEXT_USER,
    MC_HTTP_CONTEXT_THREAD,
    MC_HTTP_CONTEXT_QUERY,
    MC_HTTP_CONTEXT_MODE,
    MC_HTTP_CONTEXT_MESSAGES,
    MC_HTTP_CONTEXT_TOKENS,
    MC_HTTP_CONTEXT_AGENT,
    MC_HTTP_CONTEXT_AGENTS,
    MC_HTTP_CONTEXT_SHARED,
    MC_HTTP_CONTEXT_PUBLIC,
    MC_HTTP_CONTEXT_ADDITIONAL,
    MC_HTTP_CONTEXT_COUNT
};
MC_HTTP_FIELDS(mc_http_context_fields, MC_HTTP_CONTEXT_COUNT)
enum {
    MC_HTTP_MESSAGE_COUNT = 11,
    MC_HTTP_PREFERENCE_COUNT = 7,
    MC_HTTP_AGENT_COUNT = 8,
    MC_HTTP_KEY_COUNT = 6
};
MC_HTTP_FIELDS(mc_http_message_fields, MC_HTTP_MESSAGE_COUNT)
MC_HTTP_FIELDS(mc_http_preference_fields, MC_HTTP_PREFERENCE_COUNT)
MC_HTTP_FIELDS(mc_http_agent_fields, MC_HTTP_AGENT_COUNT)
MC_HTTP_FIELDS(mc_http_key_fields, MC_HTTP_KEY_COUNT)
enum { MC_HTTP_QUEUE_DEAD_LIMIT, MC_HTTP_QUEUE_COUNT };
MC_HTTP_FIELDS(mc_http_queue_query, MC_HTTP_QUEUE_COUNT)
enum { MC_HTTP_RETRY_MESSAGE, MC_HTTP_RETRY_COUNT };
MC_HTTP_FIELDS(mc_http_retry_fields, MC_HTTP_RETRY_COUNT)
enum {
    MC_HTTP_CACHE_TOPIC,
    MC_HTTP_CACHE_AGE,
    MC_HTTP_CACHE_USER,
    MC_HTTP_CACHE_THREAD,
    MC_HTTP_CACHE_ALL,
    MC_HTTP_CACHE_COUNT
};
MC_HTTP_FIELDS(mc_http_cache_fields, MC_HTTP_CACHE_COUNT)
enum { MC_HTTP_MIGRATE_USER, MC_HTTP_MIGRATE_DRY_RUN, MC_HTTP_MIGRATE_COUNT };
MC_HTTP_FIELDS(mc_http_migrate_fields, MC_HTTP_MIGRATE_COUNT)
enum { MC_HTTP_UNDO_RUN, MC_HTTP_UNDO_DRY_RUN, MC_HTTP_UNDO_COUNT };
MC_HTTP_FIELDS(mc_http_undo_fields, MC_HTTP_UNDO_COUNT)

/* Name and JSON of the schema of an answer at an index; false beyond the end. */
bool mc_http_schema_at(size_t index, const char **name, const char **json);

#endif
