/* Which models an engine asks, and how, read once from a configuration. Private to src/engine. */
#ifndef MC_ENGINE_MODEL_SETTINGS_H
#define MC_ENGINE_MODEL_SETTINGS_H

#include <mindcore/config.h>

#include "base/arena.h"
#include "llm/chain.h"
#include "llm/local.h"
#include "llm/openai.h"

struct mc_model_settings {
    bool explicit_provider; /* llm.provider names one: nothing else may take its place */
    bool builtin_only;      /* llm.provider is builtin */
    bool use_local, use_openai;
    struct mc_local_options local;
    struct mc_openai_options openai;
    bool price_known; /* llm.openai.prices has the model */
    int breaker_failures;
    int64_t cooldown_us, cooldown_max_us;
    double cap_usd;    /* a day, 0: none */
    int64_t cap_calls; /* a day, 0: none */
};

/*
 * Texts are copied into the arena. MC_CONFIG names the option that is missing, MC_UNSUPPORTED what this build
 * has not. With llm.provider auto what is not configured is left out, and what this build has not, with a
 * warning in the log.
 */
MC_MUST_CHECK enum mc_status mc_model_settings_read(const struct mc_config *config,
                                                    struct mc_arena *strings,
                                                    struct mc_model_settings *settings,
                                                    struct mc_error *err);

/* The price of the service's model, when llm.openai.prices has it; *known. */
MC_MUST_CHECK enum mc_status mc_model_price(const struct mc_config *config,
                                            struct mc_openai_options *openai, bool *known,
                                            struct mc_error *err);

#endif
