/*
 * One answer of a local model while it is made: the walk through its shape, and which tokens come next.
 * Private to src/llm/local*.c.
 *
 * The model is asked (for the logits behind the last pending token) only where the shape leaves a choice.
 * Everything up to there is appended as tokens that only need evaluating, together with the token
 * that was chosen last. Greedy: of what is allowed, the likeliest token is taken.
 */
#ifndef MC_LLM_LOCAL_ANSWER_H
#define MC_LLM_LOCAL_ANSWER_H

#include "base/buf.h"
#include "llm/local_text.h"

/* What all answers of one thread share. */
struct mc_local_writer {
    const struct mc_local_model *model;
    struct mc_local_cache cache;
    struct mc_walk_scratch *scratch;
    struct mc_local_tokens allowed;
};
MC_MUST_CHECK bool mc_local_writer_init(struct mc_local_writer *writer,
                                        const struct mc_local_model *model);
void mc_local_writer_fini(struct mc_local_writer *writer);

struct mc_local_answer {
    struct mc_walk walk;
    struct mc_buf text;
    struct mc_local_tokens pending; /* not evaluated yet */
    struct mc_local_tokens path;    /* of the value being chosen, when it takes several tokens */
    size_t tokens;                  /* made so far, pending ones included */
    size_t most;     /* after so many, strings and arrays are closed as soon as they may */
    double path_log; /* logarithms of probabilities: of the value being chosen, of all before */
    double log_sum;
    size_t chosen;
};
void mc_local_answer_start(struct mc_local_answer *answer, const struct mc_schema *schema,
                           size_t most);
void mc_local_answer_fini(struct mc_local_answer *answer);

enum mc_local_need {
    MC_LOCAL_ASK,   /* the logits behind the last pending token */
    MC_LOCAL_DONE,  /* the text is complete */
    MC_LOCAL_FAILED /* out of memory */
};
/* On with the answer; logits are those behind the last token that was pending, NULL at the start. */
enum mc_local_need mc_local_answer_go(struct mc_local_writer *writer,
                                      struct mc_local_answer *answer, const float *logits);
/*
 * Ends the answer without asking the model: strings are closed, arrays end as soon as they may, of
 * other choices the first is taken and counts as no better than chance. False when out of memory.
 */
MC_MUST_CHECK bool mc_local_answer_end(struct mc_local_writer *writer,
                                       struct mc_local_answer *answer);
/* Geometric mean of the probabilities of the values chosen; -1 when nothing was. */
double mc_local_answer_confidence(const struct mc_local_answer *answer);

#endif
