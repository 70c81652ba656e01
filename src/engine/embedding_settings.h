/* Which model embeds messages and queries, read once from a configuration. Private to src/engine. */
#ifndef MC_ENGINE_EMBEDDING_SETTINGS_H
#define MC_ENGINE_EMBEDDING_SETTINGS_H

#include "engine/model_settings.h"

struct mc_embedding_settings {
    bool enabled;
    struct mc_model_settings models; /* of one provider; its options are those of "embeddings" */
    const char *name;                /* of the model in the store: provider and model */
    struct mc_model_settings previous_models;
    const char *previous_name; /* NULL: none */
    int64_t dimension;         /* asked for, 0: as the model likes */
    size_t batch;              /* messages at once */
    int64_t query_timeout_us;
    size_t cache_bytes;
};

/* Texts are copied into the arena. `models`: those of llm, for caps and breakers. MC_CONFIG names the option. */
MC_MUST_CHECK enum mc_status mc_embedding_settings_read(const struct mc_config *config,
                                                        const struct mc_model_settings *models,
                                                        struct mc_arena *strings,
                                                        struct mc_embedding_settings *settings,
                                                        struct mc_error *err);

#endif
