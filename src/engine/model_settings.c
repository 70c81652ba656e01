#include "engine/model_settings.h"

#include <string.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"

#define MODEL_PATH "llm.llama_cpp.model_path"
#define API_KEY "llm.openai.api_key"
#define BASE_URL "llm.openai.base_url"
#define MODEL "llm.openai.model"

/* A text option copied into the arena, NULL when it has no value or an empty one. */
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

static const char *fallback_of(const char *key)
{
    for (size_t i = 0; i < mc_option_count(); i++) {
        const struct mc_option *option = mc_option_at(i);
        if (strcmp(option->key, key) == 0)
            return option->fallback;
    }
    return "";
}

static enum mc_status read_local(const struct mc_config *config, struct mc_arena *strings,
                                 struct mc_local_options *local, struct mc_error *err)
{
    local->n_ctx = (uint32_t)mc_config_integer(config, "llm.llama_cpp.n_ctx");
    local->n_threads = (int)mc_config_integer(config, "llm.llama_cpp.n_threads");
    local->n_gpu_layers = (int)mc_config_integer(config, "llm.llama_cpp.n_gpu_layers");
    local->verbose = mc_config_boolean(config, "llm.llama_cpp.verbose");
    local->sequences = (size_t)mc_config_integer(config, "llm.llama_cpp.sequences");
    return copy_text(config, MODEL_PATH, strings, &local->model_path, err);
}

enum mc_status mc_model_price(const struct mc_config *config, struct mc_openai_options *openai,
                              bool *known, struct mc_error *err)
{
    const char *prices = mc_config_get(config, "llm.openai.prices");
    if (!prices || !*prices || !openai->model)
        return MC_OK;
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    enum mc_status status = mc_json_parse(mc_str_of(prices), &root, err);
    const struct mc_json *price = status ? NULL : mc_json_get(root, openai->model);
    if (!price)
        return status;
    *known = true;
    openai->price_in = mc_json_number(mc_json_get(price, "input"));
    openai->price_out = mc_json_number(mc_json_get(price, "output"));
    return MC_OK;
}

static enum mc_status read_openai(const struct mc_config *config, struct mc_arena *strings,
                                  struct mc_model_settings *settings, struct mc_error *err)
{
    struct mc_openai_options *openai = &settings->openai;
    openai->timeout_us = mc_config_duration_us(config, "llm.openai.timeout");
    openai->max_retries = (int)mc_config_integer(config, "llm.openai.max_retries");
    openai->batch = (size_t)mc_config_integer(config, "enrichment.batch");
    openai->in_flight = (size_t)mc_config_integer(config, "enrichment.in_flight");
    enum mc_status status = copy_text(config, API_KEY, strings, &openai->api_key, err);
    if (!status)
        status = copy_text(config, BASE_URL, strings, &openai->base_url, err);
    if (!status)
        status = copy_text(config, MODEL, strings, &openai->model, err);
    if (!status)
        status = copy_text(config, "llm.openai.ca_file", strings, &openai->ca_file, err);
    return status ? status : mc_model_price(config, openai, &settings->price_known, err);
}

/* A provider that was asked for by name must be there. */
static enum mc_status check_explicit(const struct mc_model_settings *settings, bool own_service,
                                     struct mc_error *err)
{
    if (settings->use_local && !settings->local.model_path)
        return mc_fail_field(err, MC_CONFIG, MODEL_PATH,
                             MODEL_PATH " is not set, and llm.provider is llama_cpp; name a model "
                                        "file in GGUF format");
    if (settings->use_local && mc_local_version()[0] == '\0')
        return mc_fail_field(
            err, MC_UNSUPPORTED, "llm.provider",
            "this build has no llama.cpp, and llm.provider is llama_cpp; use a "
            "build with it (docs/dependencies.md), or llm.provider openai or builtin");
    if (settings->use_openai && !settings->openai.api_key && !own_service)
        return mc_fail_field(err, MC_CONFIG, API_KEY,
                             API_KEY " is not set, and llm.provider is openai; set it (or "
                                     "OPENAI_API_KEY), or " BASE_URL " to a service without keys");
    return MC_OK;
}

static void choose_auto(struct mc_model_settings *settings, bool own_service)
{
    settings->use_local = settings->local.model_path != NULL;
    settings->use_openai = settings->openai.api_key != NULL || own_service;
    if (settings->use_local && mc_local_version()[0] == '\0') {
        settings->use_local = false;
        mc_log(MC_LOG_WARNING, "engine",
               MODEL_PATH " is set, but this build has no llama.cpp: going on without (docs/"
                          "dependencies.md tells how to build with it)");
    }
}

/* What was set and cannot have an effect must not go unnoticed. */
static void warn_of_idle(const struct mc_config *config, const struct mc_model_settings *settings)
{
    const char *no_local = settings->use_local ? NULL : "no local model is used";
    const char *no_remote = settings->use_openai ? NULL : "no remote model is used";
    const struct {
        const char *key, *why;
    } IDLE[] = {
        {"llm.llama_cpp.n_ctx", no_local},        {"llm.llama_cpp.n_threads", no_local},
        {"llm.llama_cpp.n_gpu_layers", no_local}, {"llm.llama_cpp.sequences", no_local},
        {"llm.llama_cpp.verbose", no_local},      {MODEL, no_remote},
        {"llm.openai.timeout", no_remote},        {"llm.openai.max_retries", no_remote},
        {"llm.openai.ca_file", no_remote},        {"llm.openai.prices", no_remote},
        {"llm.daily_cap_usd", no_remote},         {"llm.daily_cap_calls", no_remote},
        {"enrichment.batch", no_remote},          {"enrichment.in_flight", no_remote},
    };
    for (size_t i = 0; i < mc_countof(IDLE); i++) {
        if (IDLE[i].why && mc_config_source(config, IDLE[i].key) != MC_SOURCE_DEFAULT)
            mc_log(MC_LOG_WARNING, "engine", "%s is set but has no effect: %s", IDLE[i].key,
                   IDLE[i].why);
    }
    const char *mode = mc_config_get(config, "context.mode");
    if (no_local && no_remote && mode && strcmp(mode, "llm") == 0)
        mc_log(MC_LOG_WARNING, "engine",
               "context.mode is llm, but no model is configured: contexts are assembled without");
    if (settings->use_openai && settings->cap_usd > 0 && !settings->price_known)
        mc_log(MC_LOG_WARNING, "engine",
               "llm.daily_cap_usd has no effect: llm.openai.prices has no price of %s, so that its "
               "cost is not known; add it, or use llm.daily_cap_calls",
               settings->openai.model ? settings->openai.model : "the model");
}

enum mc_status mc_model_settings_read(const struct mc_config *config, struct mc_arena *strings,
                                      struct mc_model_settings *settings, struct mc_error *err)
{
    struct mc_model_settings made = {
        .breaker_failures = (int)mc_config_integer(config, "llm.breaker_failures"),
        .cooldown_us = mc_config_duration_us(config, "llm.breaker_cooldown"),
        .cooldown_max_us = mc_config_duration_us(config, "llm.breaker_cooldown_max"),
        .cap_usd = mc_config_number(config, "llm.daily_cap_usd"),
        .cap_calls = mc_config_integer(config, "llm.daily_cap_calls"),
    };
    enum mc_status status = read_local(config, strings, &made.local, err);
    if (!status)
        status = read_openai(config, strings, &made, err);
    if (status)
        return status;
    bool own_service =
        made.openai.base_url && strcmp(made.openai.base_url, fallback_of(BASE_URL)) != 0;
    const char *provider = mc_config_get(config, "llm.provider");
    if (!provider || strcmp(provider, "auto") == 0) {
        choose_auto(&made, own_service);
    } else if (strcmp(provider, "builtin") == 0) {
        made.builtin_only = true;
    } else {
        made.explicit_provider = true;
        made.use_local = strcmp(provider, "llama_cpp") == 0;
        made.use_openai = !made.use_local;
        status = check_explicit(&made, own_service, err);
    }
    if (status)
        return status;
    /* Where messages wait for the model, none may be given up before it is known that it is out of order. */
    int attempts = (int)mc_config_integer(config, "enrichment.max_attempts");
    if (made.explicit_provider && made.breaker_failures > attempts)
        made.breaker_failures = attempts;
    warn_of_idle(config, &made);
    *settings = made;
    return MC_OK;
}
