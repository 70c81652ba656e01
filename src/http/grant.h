/*
 * What the key of a request allows (docs/http.md, "Keys"): its scope, and the users and agents that it is
 * bound to. req->grant is NULL where everything is allowed: no keys are in use, or the key is one of the
 * configuration. Failures are MC_FORBIDDEN and name the key and what it lacks.
 */
#ifndef MC_HTTP_GRANT_H
#define MC_HTTP_GRANT_H

#include "http/routes.h"

/* The scope that a route needs. */
enum mc_scope mc_http_route_scope(const struct mc_http_route *route);

/* Scope, the user of the path, the agent of the query, and what agents share; after the query was read. */
MC_MUST_CHECK enum mc_status mc_http_grant_route(const struct mc_http_request *req,
                                                 struct mc_error *err);
/* The user and the agent among req->fields, or of the message that the body is; after the body was read. */
MC_MUST_CHECK enum mc_status mc_http_grant_body(const struct mc_http_request *req,
                                                struct mc_error *err);
/* The user and the agent of a message to be stored. One that is no JSON object is left to the engine to refuse. */
MC_MUST_CHECK enum mc_status mc_http_grant_message(const struct mc_grant *grant, mc_str object,
                                                   struct mc_error *err);
/* MC_NOT_FOUND, as if there were no such message: it is another user's. */
MC_MUST_CHECK enum mc_status mc_http_grant_owner(const struct mc_grant *grant,
                                                 const struct mc_message *message,
                                                 struct mc_error *err);

#endif
