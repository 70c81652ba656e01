/*
 * Plain loops over libllama that answer messages with constrained JSON: what Mindcore is measured against.
 *
 *   whole prompt     every message with the whole prompt, as after a reset
 *   prefix           the constant beginning is evaluated once; one message at a time, as llama-server
 *                    and llama-cpp-python do for one client
 *   prefix, slots    several messages in each evaluation
 *   appended         and the object's fixed text is appended instead of sampled, a choice is read from
 *                    the logits of its alternatives (llm/schema.h says which)
 *
 * All but the last sample under a grammar: the likeliest token is asked about alone, the vocabulary is
 * masked when it is refused. One thread.
 */
#ifndef MC_BENCH_LLM_LOOPS_H
#define MC_BENCH_LLM_LOOPS_H

#include "llm/schema.h"

struct llm_task {
    mc_str system;
    const mc_str *messages; /* the user's turns */
    size_t count;
    const struct mc_schema *schema;
    mc_str
        natural; /* an answer of the shape, in canonical JSON, as a trained model would give it */
};

struct llm_loop_mode {
    bool whole_prompt;
    bool appended;
    size_t slots;
    bool replay; /* the same work, but the tokens taken are those of the natural answer */
};

struct llm_loop_result {
    double seconds;
    size_t messages;
    size_t prompt_tokens, sampled_tokens, appended_tokens;
    size_t masks;   /* how often the vocabulary was masked */
    size_t invalid; /* answers that have not the schema's shape; a grammar lets odd UTF-8 pass */
};

struct llm_loops;
/*
 * Ends the program with a message when it cannot. The task outlives it. flash: attention as llama.cpp
 * does it by default; else plain, which is faster for batches on a CPU and slower for single tokens.
 */
struct llm_loops *llm_loops_open(const char *model_path, int threads, size_t slots, bool flash,
                                 const struct llm_task *task);
void llm_loops_close(struct llm_loops *loops);

/* Answers `count` messages, from the one numbered `first` on, round and round. Adds to *result. */
void llm_loops_run(struct llm_loops *loops, const struct llm_loop_mode *mode, size_t first,
                   size_t count, struct llm_loop_result *result);

size_t llm_loops_prefix_tokens(const struct llm_loops *loops);

#endif
