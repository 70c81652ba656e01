/* Context: what an agent needs to know now, within a token budget. */
#ifndef MINDCORE_CONTEXT_H
#define MINDCORE_CONTEXT_H

#include <mindcore/message.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mc_context_query {
    mc_str user_id;            /* required */
    mc_str thread_id;          /* required; it need not exist yet */
    mc_str query;              /* required, 1 to 100,000 characters */
    enum mc_context_mode mode; /* MC_CONTEXT_AUTO: context.mode of the configuration */
    size_t max_messages;       /* 0: context.max_messages; at most 1000 */
    size_t max_tokens;         /* 0: context.max_tokens; at most 1,000,000 */
    mc_str agent_id;           /* the reading agent */
    const mc_str
        *agent_ids; /* only messages of these agents (that the reader may see); none: any */
    size_t agent_id_count;
    bool exclude_shared;       /* leave out other agents' shared messages */
    bool exclude_public;       /* leave out other agents' public messages */
    mc_str additional_context; /* the caller's own text, placed first and counted in the budget */
    int64_t now_us;            /* 0: the clock; a fixed time makes the result reproducible */
    const struct mc_memory
        *memory; /* asked before much is loaded (<mindcore/message.h>); NULL: nobody is */
};

/* The result; all strings live until mc_context_free. */
struct mc_context {
    mc_str assembled_context;
    const mc_str *key_points;
    size_t key_point_count;
    const mc_str *relevant_message_ids;
    size_t relevant_message_id_count;
    size_t tokens;     /* of assembled_context, never above max_tokens */
    double confidence; /* 0..1 */
    mc_str metadata;   /* JSON: sources, confidence, tokens, method, time, and for each item why */
};

/*
 * Assembles the context. The text has sections in a fixed order: additional context, external data
 * (<mindcore/source.h>), preferences, summaries, relevant messages, messages from other conversations,
 * recent messages. The same input gives the same bytes, where no model chooses; one that was to choose
 * and did not leaves the result that needs none (docs/context.md).
 */
MC_API MC_MUST_CHECK enum mc_status mc_context_assemble(struct mc_engine *engine,
                                                        const struct mc_context_query *query,
                                                        struct mc_context **context,
                                                        struct mc_error *err);
/* Accepts NULL. */
MC_API void mc_context_free(struct mc_context *context);

/* The result as the JSON object of POST /v1/context. Free with mc_free. */
MC_API MC_MUST_CHECK enum mc_status mc_context_to_json(const struct mc_context *context,
                                                       char **json, size_t *len,
                                                       struct mc_error *err);

#ifdef __cplusplus
}
#endif
#endif
