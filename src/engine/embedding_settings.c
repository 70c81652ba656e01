#include "engine/embedding_settings.h"

#include <string.h>
#include <sys/stat.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"

#define PROVIDER "embeddings.provider"
#define MODEL_PATH "embeddings.llama_cpp.model_path"
#define API_KEY "embeddings.openai.api_key"
#define BASE_URL "embeddings.openai.base_url"
#define LOCAL_BATCH 32
#define IN_FLIGHT 2

static enum mc_status copy_text(const struct mc_config *config, const char *key,
                                struct mc_arena *strings, const char **text, struct mc_error *err)
{
    const char *value = mc_config_get(config, key);
    *text = NULL;
    if (!value || !*value)
        return MC_OK;
    *text = mc_arena_copy(strings, mc_str_of(value)).data;
    return *text ? MC_OK : mc_fail_memory(err);
}

/*
 * A file is known by its name and size: the same file elsewhere makes the same vectors, and another one of
 * that name does not.
 */
static enum mc_status name_file(const char *path, struct mc_arena *strings, const char **name,
                                struct mc_error *err)
{
    struct stat facts = {0};
    const char *slash = strrchr(path, '/');
    (void)stat(path, &facts); /* what is wrong with it is told when it is opened */
    *name = mc_arena_printf(strings, "llama_cpp/%.200s/%lld", slash ? slash + 1 : path,
                            (long long)facts.st_size)
                .data;
    return *name ? MC_OK : mc_fail_memory(err);
}

static enum mc_status name_service(const char *model, struct mc_arena *strings, const char **name,
                                   struct mc_error *err)
{
    *name = mc_arena_printf(strings, "openai/%.200s", model).data;
    return *name ? MC_OK : mc_fail_memory(err);
}

static enum mc_status read_local(const struct mc_config *config, struct mc_arena *strings,
                                 struct mc_embedding_settings *s, struct mc_error *err)
{
    s->models.use_local = true;
    s->batch = LOCAL_BATCH;
    s->models.local = (struct mc_local_options){
        .n_ctx = (uint32_t)mc_config_integer(config, "embeddings.llama_cpp.n_ctx"),
        .n_threads = (int)mc_config_integer(config, "embeddings.llama_cpp.n_threads"),
        .n_gpu_layers = (int)mc_config_integer(config, "embeddings.llama_cpp.n_gpu_layers"),
        .sequences = 1,
        .embeddings = true,
    };
    if (mc_local_version()[0] == '\0')
        return mc_fail_field(
            err, MC_UNSUPPORTED, PROVIDER,
            "this build has no llama.cpp, and " PROVIDER
            " is llama_cpp; use a build with it (docs/dependencies.md), or " PROVIDER
            " openai or none");
    enum mc_status status =
        copy_text(config, MODEL_PATH, strings, &s->models.local.model_path, err);
    if (!status && !s->models.local.model_path)
        return mc_fail_field(err, MC_CONFIG, MODEL_PATH,
                             MODEL_PATH " is not set, and " PROVIDER
                                        " is llama_cpp; name an embedding model in GGUF format");
    return status ? status : name_file(s->models.local.model_path, strings, &s->name, err);
}

/* The key of llm.openai goes to the same service, and to no other. */
static enum mc_status read_key(const struct mc_config *config, struct mc_arena *strings,
                               struct mc_openai_options *openai, struct mc_error *err)
{
    enum mc_status status = copy_text(config, API_KEY, strings, &openai->api_key, err);
    const char *base = mc_config_get(config, "llm.openai.base_url");
    if (status || openai->api_key || !base || !openai->base_url ||
        strcmp(base, openai->base_url) != 0)
        return status;
    return copy_text(config, "llm.openai.api_key", strings, &openai->api_key, err);
}

static enum mc_status read_openai(const struct mc_config *config, struct mc_arena *strings,
                                  struct mc_embedding_settings *s, struct mc_error *err)
{
    struct mc_openai_options *openai = &s->models.openai;
    s->models.use_openai = true;
    s->batch = (size_t)mc_config_integer(config, "embeddings.openai.batch");
    *openai = (struct mc_openai_options){
        .timeout_us = mc_config_duration_us(config, "embeddings.openai.timeout"),
        .max_retries = (int)mc_config_integer(config, "embeddings.openai.max_retries"),
        .batch = s->batch,
        .in_flight = IN_FLIGHT,
        .embeddings = true,
        .dimensions = mc_config_integer(config, "embeddings.openai.dimensions"),
    };
    s->dimension = openai->dimensions;
    enum mc_status status = copy_text(config, BASE_URL, strings, &openai->base_url, err);
    if (!status)
        status = read_key(config, strings, openai, err);
    if (!status)
        status = copy_text(config, "embeddings.openai.model", strings, &openai->model, err);
    if (!status)
        status = copy_text(config, "llm.openai.ca_file", strings, &openai->ca_file, err);
    if (!status && !openai->model)
        return mc_fail_field(err, MC_CONFIG, "embeddings.openai.model",
                             "embeddings.openai.model must name a model");
    if (!status)
        status = mc_model_price(config, openai, &s->models.price_known, err);
    return status ? status : name_service(openai->model, strings, &s->name, err);
}

/* The model before this one, of the same provider. */
static enum mc_status read_previous(const struct mc_config *config, struct mc_arena *strings,
                                    struct mc_embedding_settings *s, struct mc_error *err)
{
    const char *previous;
    enum mc_status status = copy_text(config, "embeddings.previous_model", strings, &previous, err);
    if (status || !previous)
        return status;
    s->previous_models = s->models;
    if (s->models.use_local) {
        s->previous_models.local.model_path = previous;
        return name_file(previous, strings, &s->previous_name, err);
    }
    s->previous_models.openai.model = previous;
    s->previous_models.openai.dimensions = 0;
    return name_service(previous, strings, &s->previous_name, err);
}

static void warn_of_idle(const struct mc_config *config, const struct mc_embedding_settings *s)
{
    static const struct {
        const char *key;
        bool of_local, of_openai;
    } OPTIONS[] = {
        {MODEL_PATH, true, false},
        {"embeddings.llama_cpp.n_ctx", true, false},
        {"embeddings.llama_cpp.n_threads", true, false},
        {"embeddings.llama_cpp.n_gpu_layers", true, false},
        {API_KEY, false, true},
        {BASE_URL, false, true},
        {"embeddings.openai.model", false, true},
        {"embeddings.openai.dimensions", false, true},
        {"embeddings.openai.timeout", false, true},
        {"embeddings.openai.max_retries", false, true},
        {"embeddings.openai.batch", false, true},
        {"embeddings.previous_model", true, true},
        {"embeddings.query_timeout", true, true},
        {"embeddings.cache_bytes", true, true},
        {"embeddings.pgvector", true, true},
    };
    const char *provider = mc_config_get(config, PROVIDER);
    for (size_t i = 0; i < mc_countof(OPTIONS); i++) {
        bool used = (OPTIONS[i].of_local && s->models.use_local) ||
                    (OPTIONS[i].of_openai && s->models.use_openai);
        if (!used && mc_config_source(config, OPTIONS[i].key) != MC_SOURCE_DEFAULT)
            mc_log(MC_LOG_WARNING, "engine", "%s is set but has no effect: " PROVIDER " is %s",
                   OPTIONS[i].key, provider ? provider : "none");
    }
}

enum mc_status mc_embedding_settings_read(const struct mc_config *config,
                                          const struct mc_model_settings *models,
                                          struct mc_arena *strings,
                                          struct mc_embedding_settings *settings,
                                          struct mc_error *err)
{
    struct mc_embedding_settings made = {
        .models = {.breaker_failures = models->breaker_failures,
                   .cooldown_us = models->cooldown_us,
                   .cooldown_max_us = models->cooldown_max_us,
                   .cap_usd = models->cap_usd,
                   .cap_calls = models->cap_calls},
        .query_timeout_us = mc_config_duration_us(config, "embeddings.query_timeout"),
        .cache_bytes = (size_t)mc_config_integer(config, "embeddings.cache_bytes"),
    };
    const char *provider = mc_config_get(config, PROVIDER);
    enum mc_status status = MC_OK;
    if (provider && strcmp(provider, "llama_cpp") == 0)
        status = read_local(config, strings, &made, err);
    else if (provider && strcmp(provider, "openai") == 0)
        status = read_openai(config, strings, &made, err);
    made.enabled = made.models.use_local || made.models.use_openai;
    if (!status && made.enabled)
        status = read_previous(config, strings, &made, err);
    if (status)
        return status;
    warn_of_idle(config, &made);
    *settings = made;
    return MC_OK;
}
