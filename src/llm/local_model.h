/*
 * The model file of a local model: loaded once, read-only after that, so any thread may use it. Private
 * to src/llm/local*.c.
 */
#ifndef MC_LLM_LOCAL_MODEL_H
#define MC_LLM_LOCAL_MODEL_H

#include <llama.h>

#include "llm/local.h"

struct mc_local_model {
    struct llama_model *model;
    const struct llama_vocab *vocab;
    int32_t token_count;
    /* The bytes that each token stands for in a text: none for control tokens. */
    char *pieces;
    uint32_t *piece_at; /* token_count + 1 */
    bool leading_space; /* the tokenizer puts a space before what it is given */
    bool verbose, embeddings;
    const char *field; /* the option that names the file */
    char *path;
    char name[128];    /* as people see it */
    char warning[256]; /* what was asked for and is not so; "" when nothing */
};

/* Checks and loads the file of the options; errors as mc_local_open. */
MC_MUST_CHECK enum mc_status mc_local_model_open(const struct mc_local_options *options,
                                                 struct mc_local_model *model,
                                                 struct mc_error *err);
/* Accepts what was zeroed or half opened. */
void mc_local_model_close(struct mc_local_model *model);

/* The last line that libllama reported as an error, "" when there was none since the last call of this. */
void mc_local_log_take(char *line, size_t size);

static inline mc_str mc_local_piece(const struct mc_local_model *model, llama_token token)
{
    uint32_t at = model->piece_at[token];
    return (mc_str){model->pieces + at, model->piece_at[token + 1] - at};
}

#endif
