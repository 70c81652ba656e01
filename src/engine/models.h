/*
 * The models of an engine: opened from its settings, chained, counted and bounded. Private to src/engine.
 *
 * llm.provider auto: the local model when a file is named, then the service when it has a key or an
 * address of its own; another name: that one alone. What was asked of them goes to the ledger and the
 * metrics, the daily caps are checked before each request, and circuits that open are remembered for health.
 */
#ifndef MC_ENGINE_MODELS_H
#define MC_ENGINE_MODELS_H

#include "base/json.h"
#include "base/metrics.h"
#include "engine/ledger.h"
#include "engine/model_settings.h"

/* How providers are opened; tests bring their own. */
struct mc_model_openers {
    enum mc_status (*local)(const struct mc_local_options *options, struct mc_llm **llm,
                            struct mc_error *err);
    enum mc_status (*openai)(const struct mc_openai_options *options, struct mc_llm **llm,
                             struct mc_error *err);
};

struct mc_models_options {
    const struct mc_model_settings *settings; /* its strings outlive the models */
    struct mc_store *store;                   /* of the ledger */
    struct mc_metrics *metrics;
    bool lazy;                              /* a local model is loaded when it is first asked */
    bool embeddings;                        /* models that make vectors: calls of MC_LLM_EMBED */
    const struct mc_model_openers *openers; /* NULL: those of src/llm */
};

struct mc_models;
/* *models NULL when none is configured. A file that cannot be loaded is an error. */
MC_MUST_CHECK enum mc_status mc_models_open(const struct mc_models_options *options,
                                            struct mc_models **models, struct mc_error *err);
/* No call may be running; the store must still be open. Accepts NULL. */
void mc_models_close(struct mc_models *models);

/* The chain of them; NULL when models is. */
struct mc_llm *mc_models_llm(struct mc_models *models);
/* The first provider, "builtin" when models is NULL. */
const char *mc_models_provider(const struct mc_models *models);
/* NULL when models is. */
struct mc_ledger *mc_models_ledger(struct mc_models *models);

/* At most `max` states, in the order in which they are asked; their number. Accepts NULL. */
size_t mc_models_describe(struct mc_models *models, struct mc_llm_state *states, size_t max);
/* Mean cost of asking about one message for enrichment, in USD; 0 when none is known. */
double mc_models_enrich_cost(struct mc_models *models);

/* What is wrong with them now. */
struct mc_models_health {
    size_t trouble; /* providers that do not answer or are not asked */
    bool blocked;   /* no provider answers, and nothing else may take its place: messages wait */
    char issues[MC_CHAIN_MAX][512];
};
void mc_models_health(struct mc_models *models, struct mc_models_health *health);

/* One provider asked a small question, with a deadline. */
struct mc_model_check {
    const char *provider;
    bool ok;
    char model[128];
    char detail[512];
    const char *advice; /* "" when ok */
    int64_t took_us;
};
/* Asks each, with so much time; the calls are counted as "check". Returns their number. Accepts NULL. */
size_t mc_models_check(struct mc_models *models, int64_t timeout_us, struct mc_model_check *checks,
                       size_t max);

#endif
