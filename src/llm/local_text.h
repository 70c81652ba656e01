/*
 * Texts as tokens of a local model. Private to src/llm/local*.c.
 *
 * A prompt is made of parts: what the model's chat template writes, in which control tokens count, and
 * texts of ours, in which nothing does. Each part is tokenised for itself, so that no text can pass
 * for a part of the template.
 */
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

/* Appends the tokens of a text; false when out of memory or over 64 MiB. */
MC_MUST_CHECK bool mc_local_tokenize(const struct mc_local_model *model, mc_str text,
                                     struct mc_local_tokens *tokens);

/*
 * A prompt up to where the answer begins: `head` is the same for all calls with the same system text
 * and a first turn of the same speaker; `last` is where in `rest` the last turn's text lies.
 */
struct mc_local_prompt {
    struct mc_local_tokens head, rest;
    size_t last, last_count;
};
void mc_local_prompt_fini(struct mc_local_prompt *prompt);
/* MC_NO_MEMORY, or MC_TOO_LARGE for more turns than a prompt can hold. */
MC_MUST_CHECK enum mc_status mc_local_prompt_make(const struct mc_local_model *model,
                                                  const struct mc_llm_call *call,
                                                  struct mc_local_prompt *prompt,
                                                  struct mc_error *err);
/*
 * Takes tokens out of the middle of the last turn, between characters, so that it has at most `most`;
 * false when out of memory.
 */
MC_MUST_CHECK bool mc_local_prompt_cut(const struct mc_local_model *model,
                                       struct mc_local_prompt *prompt, size_t most);

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
