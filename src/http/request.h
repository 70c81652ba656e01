/*
 * One request and its answer, as handlers see them: no socket, no library of the transport.
 *
 * A handler reads params, query, fields and body, calls the engine, and writes the answer with the
 * functions below. It returns MC_OK when it answered; a failure becomes a problem document.
 * Everything in the request's arena lives until the answer is sent. A request is used by one thread
 * at a time.
 */
#ifndef MC_HTTP_REQUEST_H
#define MC_HTTP_REQUEST_H

#include <stdatomic.h>

#include <mindcore/mindcore.h>

#include "http/field.h"

#define MC_HTTP_SEGMENTS 10 /* of a path */
#define MC_HTTP_PARAMS 2    /* of a route */
#define MC_HTTP_HEADERS 4   /* that a handler may add */
#define MC_HTTP_ID_SIZE 65

struct mc_http_route;
struct mc_http_export;

struct mc_http_header {
    const char *name;
    const char *value;
};

struct mc_http_request {
    struct mc_engine *engine;
    const atomic_bool *draining; /* the server is about to stop */
    const atomic_bool *stopping; /* long work must end now */
    const struct mc_http_route *route;
    const struct mc_grant *grant; /* of its key; NULL: everything is allowed (http/grant.h) */
    struct mc_arena arena;
    struct mc_memory memory; /* for reads of several messages: their bytes count as carried */
    char id[MC_HTTP_ID_SIZE];

    mc_str method;
    mc_str path;      /* as sent, without the query */
    mc_str authority; /* of a target in absolute form, absent otherwise */
    mc_str query_text;
    mc_str accept; /* the Accept header, its first line; absent when there is none */
    mc_str segments[MC_HTTP_SEGMENTS]; /* decoded */
    size_t segment_count;

    mc_str params[MC_HTTP_PARAMS]; /* of the route's path, in order */
    struct mc_http_value *query;   /* one for each of route->query */
    struct mc_http_value *fields;  /* one for each of route->fields, where the body is read here */
    struct mc_buf body;
    struct mc_json *json;

    bool in_pool;  /* the handler runs where it may take long */
    bool deferred; /* the handler asked to run again in the pool */

    int status; /* of HTTP */
    const char *content_type;
    struct mc_buf out;
    struct mc_http_header headers[MC_HTTP_HEADERS];
    size_t header_count;
    bool close; /* end the connection behind the answer */

    /*
     * For an answer that is streamed: the handler, in the pool, sets stream and calls hand_over,
     * which resumes the connection; from then on the request is not the handler's any more.
     */
    struct mc_http_export *stream; /* owned by the request */
    void (*hand_over)(struct mc_http_request *req);
    void (*resume)(void *connection); /* of a reader that waits for the stream */
};

/* Splits and decodes the request target ("/v1/x?y=z", or "http://host/v1/x"). */
MC_MUST_CHECK enum mc_status mc_http_parse_target(struct mc_http_request *req, mc_str target,
                                                  struct mc_error *err);

/* Reads the query parameters of req->route, and its body where the route has fields to read. */
MC_MUST_CHECK enum mc_status mc_http_parse_query(struct mc_http_request *req, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_http_parse_body(struct mc_http_request *req, struct mc_error *err);

/* Ends a handler that must not run in an event thread: it is called again in the pool. */
enum mc_status mc_http_defer(struct mc_http_request *req);

/* Forgets the answer so far and begins one with that status and type. */
void mc_http_answer(struct mc_http_request *req, int status, const char *content_type);
#define MC_HTTP_JSON "application/json"
/* Answers with text of the library, which it frees. */
enum mc_status mc_http_answer_json(struct mc_http_request *req, int status, char *json);
/* {"<key>": count}. */
enum mc_status mc_http_answer_count(struct mc_http_request *req, const char *key, uint64_t count);
/* A header of the answer; the value lives in the arena. */
MC_MUST_CHECK enum mc_status mc_http_add_header(struct mc_http_request *req, const char *name,
                                                mc_str value, struct mc_error *err);

/* Answers with a problem document (RFC 9457); field may be NULL. */
void mc_http_problem(struct mc_http_request *req, int status, const char *field, const char *format,
                     ...) MC_PRINTF(4, 5);
/* The same of a failed call. */
void mc_http_problem_error(struct mc_http_request *req, const struct mc_error *err);
/* The title of a problem, "Not found"; never NULL. */
const char *mc_http_title(int status);

#endif
