#include "engine/embeddings.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"

struct mc_embeddings {
    struct mc_embeddings_options options;
    struct mc_pool_options pool;
    struct mc_models *models, *previous;
    struct mc_meaning *meaning;
    _Atomic(struct mc_embedder *) embedder;
};

static enum mc_status open_models(struct mc_embeddings *e, struct mc_error *err)
{
    const struct mc_embedding_settings *settings = e->options.settings;
    struct mc_models_options options = {
        .settings = &settings->models,
        .store = e->options.store,
        .metrics = e->options.metrics,
        .lazy = e->options.lazy,
        .embeddings = true,
    };
    enum mc_status status = mc_models_open(&options, &e->models, err);
    options.settings = &settings->previous_models;
    if (!status && settings->previous_name)
        status = mc_models_open(&options, &e->previous, err);
    return status;
}

static enum mc_status make_meaning(struct mc_embeddings *e, struct mc_error *err)
{
    const struct mc_embedding_settings *settings = e->options.settings;
    struct mc_meaning_options options = {
        .store = e->options.store,
        .metrics = e->options.metrics,
        .models = {{mc_models_llm(e->models), settings->name},
                   {mc_models_llm(e->previous), settings->previous_name}},
        .model_count = e->previous ? 2 : 1,
        .cache_bytes = settings->cache_bytes,
        .timeout_us = settings->query_timeout_us,
    };
    return mc_meaning_new(&options, &e->meaning, err);
}

enum mc_status mc_embeddings_open(const struct mc_embeddings_options *options,
                                  struct mc_embeddings **embeddings, struct mc_error *err)
{
    if (!options->settings->enabled) {
        *embeddings = NULL;
        return MC_OK;
    }
    struct mc_embeddings *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->options = *options;
    made->pool = *options->pool;
    atomic_init(&made->embedder, NULL);
    enum mc_status status = open_models(made, err);
    if (!status)
        status = make_meaning(made, err);
    if (status) {
        mc_embeddings_close_models(made);
        mc_embeddings_free(made);
        return status;
    }
    *embeddings = made;
    return MC_OK;
}

enum mc_status mc_embeddings_start(struct mc_embeddings *e, struct mc_error *err)
{
    if (!e || e->options.leave)
        return MC_OK;
    const struct mc_embedding_settings *settings = e->options.settings;
    const struct mc_embedder_options options = {
        .store = e->options.store,
        .metrics = e->options.metrics,
        .llm = mc_models_llm(e->models),
        .model = settings->name,
        .dimension = settings->dimension,
        .batch = settings->batch,
        /* When a batch takes longer, another process may do it again: no harm. */
        .lease_us = e->pool.lease_us,
        .max_attempts = e->pool.max_attempts,
        .retry_min_us = e->pool.retry_min_us,
        .retry_max_us = e->pool.retry_max_us,
    };
    struct mc_embedder *embedder = NULL;
    enum mc_status status = mc_embedder_start(&options, &embedder, err);
    if (!status)
        atomic_store(&e->embedder, embedder);
    return status;
}

void mc_embeddings_stop(struct mc_embeddings *e)
{
    if (e)
        mc_embedder_stop(atomic_load(&e->embedder));
}

void mc_embeddings_close_models(struct mc_embeddings *e)
{
    if (!e)
        return;
    mc_models_close(e->models);
    mc_models_close(e->previous);
    e->models = e->previous = NULL;
}

void mc_embeddings_free(struct mc_embeddings *e)
{
    if (!e)
        return;
    mc_embedder_free(atomic_load(&e->embedder));
    mc_meaning_free(e->meaning);
    free(e);
}

struct mc_meaning *mc_embeddings_meaning(struct mc_embeddings *e)
{
    return e ? e->meaning : NULL;
}

struct mc_models *mc_embeddings_models(struct mc_embeddings *e)
{
    return e ? e->models : NULL;
}

void mc_embeddings_wake(struct mc_embeddings *e)
{
    if (e)
        mc_embedder_wake(atomic_load(&e->embedder));
}

void mc_embeddings_pause(struct mc_embeddings *e, bool paused)
{
    if (e)
        mc_embedder_pause(atomic_load(&e->embedder), paused);
}

/* ---- Telling ---- */

void mc_embeddings_write(struct mc_embeddings *e, struct mc_json_writer *w)
{
    struct mc_embedder_state state = {0};
    struct mc_error ignored;
    bool known = e && mc_embedder_progress(e->options.store, e->options.settings->name, &state,
                                           &ignored) == MC_OK;
    mc_json_member_boolean(w, "enabled", e != NULL);
    if (!known)
        return;
    char issue[512];
    mc_json_member_text(w, "model", e->options.settings->name);
    mc_json_member_text(w, "previous_model", e->options.settings->previous_name);
    mc_json_member_integer(w, "dimension", state.dimension);
    mc_json_member_integer(w, "vectors", state.vectors);
    mc_json_member_integer(w, "old_vectors", state.old);
    mc_json_member_integer(w, "waiting", state.waiting);
    mc_json_member_boolean(w, "complete", state.filled && state.waiting == 0);
    mc_json_member_text(w, "issue", mc_embeddings_issue(e, issue, sizeof(issue)) ? issue : NULL);
}

bool mc_embeddings_issue(struct mc_embeddings *e, char *text, size_t size)
{
    struct mc_models_health health;
    struct mc_embedder *embedder = e ? atomic_load(&e->embedder) : NULL;
    if (!e)
        return false;
    mc_models_health(e->models, &health);
    if (health.trouble > 0) {
        snprintf(text, size, "embeddings: %.480s", health.issues[0]);
        return true;
    }
    char last[256] = "";
    if (embedder)
        mc_embedder_last_error(embedder, last, sizeof(last));
    snprintf(text, size, "embeddings: %s", last);
    return last[0] != '\0';
}
