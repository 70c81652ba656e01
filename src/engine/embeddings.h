/*
 * Meaning, as an engine has it: the embeddings model (opened like other models: models.h), the worker that embeds
 * messages, and what compares queries with them. Private to src/engine.
 */
#ifndef MC_ENGINE_EMBEDDINGS_H
#define MC_ENGINE_EMBEDDINGS_H

#include "base/json.h"
#include "context/meaning.h"
#include "engine/embedding_settings.h"
#include "engine/models.h"
#include "enrich/embedder.h"
#include "enrich/pool.h"

struct mc_embeddings_options {
    const struct mc_embedding_settings *settings; /* outlive the embeddings */
    const struct mc_pool_options *pool;           /* attempts and back-off */
    struct mc_store *store;
    struct mc_metrics *metrics;
    bool lazy;  /* a local model is loaded when it is first asked */
    bool leave; /* messages are embedded by another process */
};

struct mc_embeddings;
/* *embeddings NULL when none is configured. */
MC_MUST_CHECK enum mc_status mc_embeddings_open(const struct mc_embeddings_options *options,
                                                struct mc_embeddings **embeddings,
                                                struct mc_error *err);
/* Starts to embed messages; the store is in use from here on. Accepts NULL. */
MC_MUST_CHECK enum mc_status mc_embeddings_start(struct mc_embeddings *embeddings,
                                                 struct mc_error *err);
/* No query may be running; the store must still be open. Accept NULL. A wake is allowed until close. */
void mc_embeddings_stop(struct mc_embeddings *embeddings);
void mc_embeddings_close_models(struct mc_embeddings *embeddings);
void mc_embeddings_free(struct mc_embeddings *embeddings);

/* All accept NULL. */
struct mc_meaning *mc_embeddings_meaning(struct mc_embeddings *embeddings);
struct mc_models *mc_embeddings_models(struct mc_embeddings *embeddings);
void mc_embeddings_wake(struct mc_embeddings *embeddings);
void mc_embeddings_pause(struct mc_embeddings *embeddings, bool paused);

/* Progress as JSON members. */
void mc_embeddings_write(struct mc_embeddings *embeddings, struct mc_json_writer *w);
/* What is wrong, in one line; false: nothing. Also when it is only messages that wait. */
bool mc_embeddings_issue(struct mc_embeddings *embeddings, char *text, size_t size);

#endif
