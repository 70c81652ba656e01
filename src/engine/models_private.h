/* What the files behind engine/models.h share. */
#ifndef MC_ENGINE_MODELS_PRIVATE_H
#define MC_ENGINE_MODELS_PRIVATE_H

#include <stdatomic.h>

#include "base/thread.h"
#include "engine/models.h"

/* A circuit as it was last reported. */
struct mc_model_circuit {
    bool open;
    int64_t since_us; /* wall clock */
    char why[256];
};

struct mc_models {
    const struct mc_model_settings *settings;
    struct mc_model_openers openers;
    struct mc_metrics *metrics;
    struct mc_ledger *ledger;
    struct {
        const char *provider;
        struct mc_llm *llm; /* the chain's, once that is open */
    } providers[MC_CHAIN_MAX];
    size_t count;
    struct mc_llm *llm; /* the chain */
    bool embeddings;
    _Atomic int64_t enriched, enriched_nano_usd;
    _Atomic int64_t capped_day; /* of which the log says that a cap is reached */
    mc_mutex mutex;             /* guards circuits */
    struct mc_model_circuit circuits[MC_CHAIN_MAX];
};

/* The chain's `used`; context is the models. */
void mc_models_note_usage(void *context, enum mc_llm_operation operation, const char *provider,
                          mc_str model, const struct mc_llm_usage *usage);

#endif
