/*
 * A model that is opened when it is first asked something: a program that shows what is stored must not
 * load gigabytes for that. Opening that failed is not tried again. Private to src/engine.
 */
#ifndef MC_ENGINE_LAZY_LLM_H
#define MC_ENGINE_LAZY_LLM_H

#include "llm/llm.h"

struct mc_lazy_options {
    const char *provider; /* the strings live as long as the model */
    const char *model;    /* shown until it is open */
    size_t parallel;
    int64_t context_tokens; /* as it is asked for */
    enum mc_status (*open)(void *context, struct mc_llm **llm, struct mc_error *err);
    void *context;
};
MC_MUST_CHECK enum mc_status mc_lazy_llm_open(const struct mc_lazy_options *options,
                                              struct mc_llm **llm, struct mc_error *err);

#endif
