/*
 * The question of a call as tokens. Private to src/llm/local*.c.
 *
 * It is made of parts: what the model's chat template writes, in which control tokens count, and
 * texts of ours, in which nothing does. Each part is tokenised for itself, so that no text can pass
 * for a part of the template.
 */
#ifndef MC_LLM_LOCAL_PROMPT_H
#define MC_LLM_LOCAL_PROMPT_H

#include "llm/local_text.h"

/*
 * A prompt up to where the answer begins: `head` is the same for all calls with the same system text
 * and a first turn of the same speaker; `last` is where in `rest` the last turn's text lies.
 */
struct mc_local_prompt {
    struct mc_local_tokens head, rest;
    size_t last, last_count;
};
void mc_local_prompt_fini(struct mc_local_prompt *prompt);
/* The system text's tokens come from the cache. MC_NO_MEMORY, or MC_TOO_LARGE for too many turns. */
MC_MUST_CHECK enum mc_status mc_local_prompt_make(const struct mc_local_model *model,
                                                  struct mc_local_cache *cache,
                                                  const struct mc_llm_call *call,
                                                  struct mc_local_prompt *prompt,
                                                  struct mc_error *err);
/*
 * Takes tokens out of the middle of the last turn, between characters, so that it has at most `most`;
 * false when out of memory.
 */
MC_MUST_CHECK bool mc_local_prompt_cut(const struct mc_local_model *model,
                                       struct mc_local_prompt *prompt, size_t most);

#endif
