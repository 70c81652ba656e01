/* Texts as tokens of a local model. Private to src/llm/local*.c. */
#ifndef MC_LLM_LOCAL_TEXT_H
#define MC_LLM_LOCAL_TEXT_H

#include "base/map.h"
#include "llm/local_model.h"

struct mc_local_tokens {
    llama_token *data;
    size_t count, capacity;
};
void mc_local_tokens_fini(struct mc_local_tokens *tokens);
MC_MUST_CHECK bool mc_local_tokens_add(struct mc_local_tokens *tokens, const llama_token *more,
                                       size_t count);
/* Without the first ones. */
void mc_local_tokens_drop(struct mc_local_tokens *tokens, size_t count);

/*
 * Appends the tokens of a text, in which nothing counts as a control token; false when out of memory or
 * over 64 MiB.
 */
MC_MUST_CHECK bool mc_local_tokenize(const struct mc_local_model *model, mc_str text,
                                     struct mc_local_tokens *tokens);

/* The same for what a chat template wrote: control tokens in it count. */
MC_MUST_CHECK bool mc_local_tokenize_template(const struct mc_local_model *model, mc_str text,
                                              struct mc_local_tokens *tokens);

/* Tokens of texts that come again and again: fixed texts and choices of schemas. Of one thread. */
struct mc_local_cache {
    const struct mc_local_model *model;
    struct mc_map map;
    size_t bytes;
};
void mc_local_cache_init(struct mc_local_cache *cache, const struct mc_local_model *model);
void mc_local_cache_fini(struct mc_local_cache *cache);
/* Forgets all where it has grown large; pointers that it gave are void after that. */
void mc_local_cache_trim(struct mc_local_cache *cache);
/* NULL when out of memory. Valid until the cache is trimmed. */
const struct mc_local_tokens *mc_local_cache_get(struct mc_local_cache *cache, mc_str text);

#endif
