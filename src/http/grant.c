#include "http/grant.h"

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"

enum mc_scope mc_http_route_scope(const struct mc_http_route *route)
{
    if (route->scope)
        return route->scope;
    return strcmp(route->method, "GET") == 0 ? MC_SCOPE_READ : MC_SCOPE_WRITE;
}

static enum mc_status check_user(const struct mc_grant *grant, mc_str user_id, struct mc_error *err)
{
    if (mc_grant_has_user(grant, user_id))
        return MC_OK;
    return mc_fail_field(err, MC_FORBIDDEN, "user_id",
                         "the key %.*s may not act for this user; use a key that names it, or none "
                         "in particular",
                         MC_STR_ARG(grant->key_id));
}

static enum mc_status check_agent(const struct mc_grant *grant, mc_str agent_id,
                                  struct mc_error *err)
{
    if (mc_grant_has_agent(grant, agent_id))
        return MC_OK;
    return mc_fail_field(
        err, MC_FORBIDDEN, "agent_id",
        "the key %.*s speaks for certain agents only; give one of them as agent_id",
        MC_STR_ARG(grant->key_id));
}

/* Those of the inputs that name a user or an agent; an agent that is not given is none. */
static enum mc_status check_inputs(const struct mc_grant *grant, const struct mc_http_field *fields,
                                   const struct mc_http_value *values, size_t count,
                                   struct mc_error *err)
{
    enum mc_status status = MC_OK;
    for (size_t i = 0; status == MC_OK && i < count; i++) {
        if (strcmp(fields[i].name, "user_id") == 0)
            status = check_user(grant, values[i].text, err);
        else if (strcmp(fields[i].name, "agent_id") == 0)
            status = check_agent(grant, values[i].text, err);
    }
    return status;
}

/* "/v1/users/{user_id}/..." */
static bool is_of_user(const struct mc_http_route *route)
{
    return mc_str_starts(mc_str_of(route->path), MC_STR("/v1/users/{user_id}"));
}

/* True when one of them names the agent that asks. */
static bool has_agent(const struct mc_http_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(fields[i].name, "agent_id") == 0)
            return true;
    }
    return false;
}

/* What all agents of all users share is not changed in the name of some agents. */
static enum mc_status check_shared(const struct mc_grant *grant, const struct mc_http_route *route,
                                   struct mc_error *err)
{
    if (grant->agent_id_count == 0 || grant->user_id_count > 0 ||
        mc_http_route_scope(route) == MC_SCOPE_READ ||
        has_agent(route->query, route->query_count) || has_agent(route->fields, route->field_count))
        return MC_OK;
    return mc_fail(err, MC_FORBIDDEN,
                   "the key %.*s is bound to agents, and this changes what all agents share; use a "
                   "key that names the user, or no agent",
                   MC_STR_ARG(grant->key_id));
}

enum mc_status mc_http_grant_route(const struct mc_http_request *req, struct mc_error *err)
{
    const struct mc_grant *grant = req->grant;
    const struct mc_http_route *route = req->route;
    if (!grant || route->open)
        return MC_OK;
    enum mc_scope scope = mc_http_route_scope(route);
    if (!(grant->scopes & (unsigned)scope))
        return mc_fail(err, MC_FORBIDDEN, "the key %.*s has not the scope %s",
                       MC_STR_ARG(grant->key_id), mc_scope_name(scope));
    if (route->whole && (grant->user_id_count > 0 || grant->agent_id_count > 0))
        return mc_fail(err, MC_FORBIDDEN,
                       "the key %.*s is bound to users or agents, and this is about all of them",
                       MC_STR_ARG(grant->key_id));
    enum mc_status status = is_of_user(route) ? check_user(grant, req->params[0], err) : MC_OK;
    if (status == MC_OK)
        status = check_shared(grant, route, err);
    return status == MC_OK ? check_inputs(grant, route->query, req->query, route->query_count, err)
                           : status;
}

enum mc_status mc_http_grant_message(const struct mc_grant *grant, mc_str object,
                                     struct mc_error *err)
{
    if (!grant || (grant->user_id_count == 0 && grant->agent_id_count == 0))
        return MC_OK;
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    if (mc_json_parse(object, &root, err) != MC_OK)
        return MC_OK;
    enum mc_status status = check_user(grant, mc_json_string(mc_json_get(root, "user_id")), err);
    return status == MC_OK ? check_agent(grant, mc_json_string(mc_json_get(root, "agent_id")), err)
                           : status;
}

enum mc_status mc_http_grant_body(const struct mc_http_request *req, struct mc_error *err)
{
    const struct mc_http_route *route = req->route;
    if (route->body == MC_HTTP_BODY_LINES)
        return mc_http_grant_message(req->grant, mc_buf_str(&req->body), err);
    if (!req->grant || !req->fields)
        return MC_OK;
    return check_inputs(req->grant, route->fields, req->fields, route->field_count, err);
}

enum mc_status mc_http_grant_owner(const struct mc_grant *grant, const struct mc_message *message,
                                   struct mc_error *err)
{
    if (!grant || mc_grant_has_user(grant, message->user_id))
        return MC_OK;
    return mc_fail_field(err, MC_NOT_FOUND, "message_id", "there is no message '%.*s'",
                         MC_STR_ARG(message->message_id));
}
