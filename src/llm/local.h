/*
 * The local model: libllama in this process (its only home is src/llm). A build without it opens none
 * and says so.
 *
 * One thread owns the context and evaluates all running sequences in one batch; calls queue in front of
 * it. The state of a `system` text is evaluated once, kept, and shared by every sequence that begins with
 * it. The answer's fixed text is appended without sampling, its choices are read from the logits of
 * the allowed continuations, free text is sampled and checked against the shape. Greedy: the same call
 * alone gives the same answer, so one that `accept` refuses is not asked for again (MC_INVALID).
 *
 * A last turn that does not fit is cut in its middle (call->truncated); other text that does not fit is
 * MC_TOO_LARGE, which says how large n_ctx would have to be. An answer that reaches max_tokens, or
 * the end of the context, still has its shape: strings are closed at once, arrays end as soon as they
 * may. Other choices are made by the model as long as there is room; after that the first alternative is
 * taken, which the confidence shows.
 *
 * What libllama cannot report it ends the process for: running out of memory while it computes. Memory is
 * taken when the model is opened, so that this fails there, with an error, if at all.
 */
#ifndef MC_LLM_LOCAL_H
#define MC_LLM_LOCAL_H

#include "llm/llm.h"

struct mc_local_options {
    const char *model_path;
    uint32_t n_ctx;   /* tokens of all sequences together */
    int n_threads;    /* 0: cores - 2, at least 1 */
    int n_gpu_layers; /* -1: all */
    bool verbose;     /* llama.cpp's own reports go to the log */
    size_t sequences; /* running at once, 1..64, 0: 4 */
    bool embeddings;  /* for mc_local_embed_open: options are those of embeddings.llama_cpp */
};

/*
 * Loads the model. MC_CONFIG names llm.llama_cpp.model_path: no such file, no GGUF file, cut short, or
 * of a kind that libllama cannot run. MC_UNSUPPORTED: this build has no llama.cpp. MC_NO_MEMORY.
 */
MC_MUST_CHECK enum mc_status mc_local_open(const struct mc_local_options *options,
                                           struct mc_llm **llm, struct mc_error *err);

/*
 * The same of a model that makes vectors: calls of MC_LLM_EMBED. Several texts are evaluated in one batch, of n_ctx
 * tokens in all. The model's own way of pooling is taken, the mean of its tokens where it has none.
 * Of a longer text than the model takes the beginning counts (call->truncated). Deterministic.
 */
MC_MUST_CHECK enum mc_status mc_local_embed_open(const struct mc_local_options *options,
                                                 struct mc_llm **llm, struct mc_error *err);

/* Whether this build has it, and the version of libllama; "" when it has not. */
const char *mc_local_version(void);

#endif
