/*
 * API keys: who may do what over HTTP. A key is shown once, when it is made; the database keeps its
 * hash (BLAKE2b) and what it may do, so that every server over the database knows it.
 *
 * Thread-safe. A key that is made or revoked here counts at once, in other processes within a second.
 */
#ifndef MINDCORE_KEY_H
#define MINDCORE_KEY_H

#include <mindcore/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a key may do. admin includes the others. */
#define MC_SCOPE_MAP(X) X(READ, 1, "read") X(WRITE, 2, "write") X(ADMIN, 4, "admin")
enum mc_scope { MC_SCOPE_READ = 1, MC_SCOPE_WRITE = 2, MC_SCOPE_ADMIN = 4 };
/* "read"; "" for none. */
MC_API const char *mc_scope_name(enum mc_scope scope);

/*
 * Makes a key from a JSON object: name (1 to 255 bytes), scopes (a list of read, write, admin), and
 * optional user_ids and agent_ids (it may act for these only, at most 256 each; agents need
 * multi_agent.enabled; not with admin), rate_limit (requests a second instead of server.rate_limit) and
 * expires_at (RFC 3339). *json is what mc_key_list shows of it, and "key": the text that clients send,
 * which is told here and never again. MC_INVALID names the member; MC_CONFLICT: too many keys.
 */
MC_API MC_MUST_CHECK enum mc_status mc_key_create(struct mc_engine *engine, mc_str object,
                                                  char **json, struct mc_error *err);
/* {keys: [{key_id, name, scopes, user_ids, agent_ids, rate_limit, expires_at, created_at}]}, oldest first. */
MC_API MC_MUST_CHECK enum mc_status mc_key_list(struct mc_engine *engine, char **json,
                                                struct mc_error *err);
/* MC_NOT_FOUND when there is none of that id. */
MC_API MC_MUST_CHECK enum mc_status mc_key_revoke(struct mc_engine *engine, mc_str key_id,
                                                  struct mc_error *err);
MC_API size_t mc_key_count(struct mc_engine *engine);

/* What the owner of a key may do. Immutable; lives until mc_grant_free, also when the key is revoked. */
struct mc_grant {
    mc_str key_id;
    mc_str name;
    unsigned scopes;        /* of enum mc_scope; admin holds all */
    const mc_str *user_ids; /* the only users it may act for; none: any */
    size_t user_id_count;
    const mc_str *agent_ids; /* the only agents it may speak as; none: any, and none */
    size_t agent_id_count;
    double rate_limit; /* requests a second; 0: as the server says */
};

/*
 * The grant of a key that a client sent. MC_UNAUTHENTICATED: unknown, revoked, expired, or bound to agents while
 * multi_agent.enabled is false; how long that takes tells nothing of a key. Free with mc_grant_free.
 */
MC_API MC_MUST_CHECK enum mc_status mc_key_check(struct mc_engine *engine, mc_str key,
                                                 const struct mc_grant **grant,
                                                 struct mc_error *err);
/*
 * For work that goes on for long: MC_UNAUTHENTICATED when the key of that grant was revoked or has expired since it was
 * checked.
 */
MC_API MC_MUST_CHECK enum mc_status mc_key_check_again(struct mc_engine *engine,
                                                       const struct mc_grant *grant,
                                                       struct mc_error *err);
/* Accepts NULL. Before the engine is closed. */
MC_API void mc_grant_free(const struct mc_grant *grant);
/* Both are true of a grant that is not bound. */
MC_API bool mc_grant_has_user(const struct mc_grant *grant, mc_str user_id);
MC_API bool mc_grant_has_agent(const struct mc_grant *grant, mc_str agent_id);

#ifdef __cplusplus
}
#endif
#endif
