#include "engine/models.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "engine/lazy_llm.h"
#include "engine/models_private.h"

#define NANO 1e9

/* ---- Counting ---- */

/* The metrics of a provider. */
struct meters {
    const char *provider;
    enum mc_counter calls[MC_LLM_OPERATION_COUNT];
    enum mc_counter failures, tokens_in, tokens_out, tokens_cached, cost;
    enum mc_histogram duration;
    enum mc_gauge open;
};
#define METERS(name, label)                                                                        \
    {                                                                                              \
        .provider = label,                                                                         \
        .calls = {MC_COUNT_LLM_##name##_ENRICH, MC_COUNT_LLM_##name##_CONTEXT,                     \
                  MC_COUNT_LLM_##name##_SUMMARY, MC_COUNT_LLM_##name##_CHECK,                      \
                  MC_COUNT_LLM_##name##_EMBED},                                                    \
        .failures = MC_COUNT_LLM_##name##_FAILURES, .tokens_in = MC_COUNT_LLM_##name##_IN,         \
        .tokens_out = MC_COUNT_LLM_##name##_OUT, .tokens_cached = MC_COUNT_LLM_##name##_CACHED,    \
        .cost = MC_COUNT_LLM_##name##_COST, .duration = MC_TIME_LLM_##name,                        \
        .open = MC_GAUGE_LLM_##name##_OPEN                                                         \
    }
static const struct meters METERS_OF[] = {METERS(LLAMA, "llama_cpp"), METERS(OPENAI, "openai")};

static const struct meters *meters_of(const char *provider)
{
    for (size_t i = 0; i < mc_countof(METERS_OF); i++) {
        if (strcmp(METERS_OF[i].provider, provider) == 0)
            return &METERS_OF[i];
    }
    return NULL;
}

static void add_positive(struct mc_metrics *metrics, enum mc_counter counter, int64_t value)
{
    if (value > 0)
        mc_metrics_add(metrics, counter, (uint64_t)value);
}

static int64_t nano_of(double usd)
{
    return usd > 0 && usd < 1e9 ? llround(usd * NANO) : 0;
}

/* The model that a provider would have answered with; "" when it is not known. */
static void asked_model(const struct mc_models *models, const char *provider,
                        struct mc_llm_state *state)
{
    for (size_t i = 0; i < models->count; i++) {
        struct mc_llm *llm = models->providers[i].llm;
        if (strcmp(models->providers[i].provider, provider) == 0 &&
            llm->ops->describe(llm, state, 1) == 1)
            return;
    }
    state->model[0] = '\0';
}

/* One duration for each request; those that a call was asked in again count with their mean. */
static void observe(struct mc_models *models, const struct meters *meters,
                    const struct mc_llm_usage *usage)
{
    for (int64_t i = 0; i < usage->calls; i++)
        mc_metrics_observe_us(models->metrics, meters->duration, usage->took_us / usage->calls);
}

void mc_models_note_usage(void *context, enum mc_llm_operation operation, const char *provider,
                          mc_str model, const struct mc_llm_usage *usage)
{
    struct mc_models *models = context;
    struct mc_llm_state state;
    if (model.len == 0) {
        asked_model(models, provider, &state);
        model = mc_str_of(state.model);
    }
    mc_ledger_add(models->ledger, operation, provider, model, usage);
    /* What failed without an answer cost nothing, and would make messages look cheaper than they are. */
    if (operation == MC_LLM_ENRICH && usage->tokens_in > 0) {
        atomic_fetch_add(&models->enriched, 1);
        atomic_fetch_add(&models->enriched_nano_usd, nano_of(usage->cost_usd));
    }
    add_positive(models->metrics, MC_COUNT_ERROR_LLM, usage->failures);
    const struct meters *meters = meters_of(provider);
    if (!meters)
        return;
    add_positive(models->metrics, meters->calls[operation], usage->calls);
    add_positive(models->metrics, meters->failures, usage->failures);
    add_positive(models->metrics, meters->tokens_in, usage->tokens_in);
    add_positive(models->metrics, meters->tokens_out, usage->tokens_out);
    add_positive(models->metrics, meters->tokens_cached, usage->tokens_cached);
    add_positive(models->metrics, meters->cost, nano_of(usage->cost_usd));
    observe(models, meters, usage);
}

static bool is_allowed(void *context, const char *provider, char *why, size_t size)
{
    struct mc_models *models = context;
    bool allowed = mc_ledger_allows(models->ledger, provider, why, size);
    int64_t today = mc_ledger_day(mc_time_now_us());
    if (!allowed && atomic_exchange(&models->capped_day, today) != today)
        mc_log(MC_LOG_WARNING, "llm", "%s is not asked: %s", provider, why);
    return allowed;
}

static void on_circuit(void *context, const char *provider, bool open, const char *why)
{
    struct mc_models *models = context;
    if (open)
        mc_log(MC_LOG_WARNING, "llm", "%s is left alone for a while: %s", provider, why);
    else
        mc_log(MC_LOG_INFO, "llm", "%s answers again", provider);
    const struct meters *meters = meters_of(provider);
    if (models->embeddings)
        mc_metrics_set(models->metrics, MC_GAUGE_EMBEDDINGS_OPEN, open ? 1 : 0);
    else if (meters)
        mc_metrics_set(models->metrics, meters->open, open ? 1 : 0);
    mc_mutex_lock(&models->mutex);
    for (size_t i = 0; i < models->count; i++) {
        struct mc_model_circuit *circuit = &models->circuits[i];
        if (strcmp(models->providers[i].provider, provider) != 0)
            continue;
        if (open && !circuit->open)
            circuit->since_us = mc_time_now_us();
        circuit->open = open;
        snprintf(circuit->why, sizeof(circuit->why), "%s", open ? why : "");
    }
    mc_mutex_unlock(&models->mutex);
}

/* ---- Opening ---- */

static enum mc_status open_local_late(void *context, struct mc_llm **llm, struct mc_error *err)
{
    struct mc_models *models = context;
    return models->openers.local(&models->settings->local, llm, err);
}

static enum mc_status open_local(struct mc_models *models, bool lazy, struct mc_llm **llm,
                                 struct mc_error *err)
{
    const struct mc_local_options *local = &models->settings->local;
    if (!lazy)
        return models->openers.local(local, llm, err);
    const char *slash = strrchr(local->model_path, '/');
    const struct mc_lazy_options options = {
        .provider = "llama_cpp",
        .model = slash ? slash + 1 : local->model_path,
        .parallel = local->sequences,
        .context_tokens = local->n_ctx,
        .open = open_local_late,
        .context = models,
    };
    return mc_lazy_llm_open(&options, llm, err);
}

static enum mc_status open_providers(struct mc_models *models, bool lazy, struct mc_error *err)
{
    enum mc_status status = MC_OK;
    if (models->settings->use_local) {
        models->providers[models->count].provider = "llama_cpp";
        status = open_local(models, lazy, &models->providers[models->count].llm, err);
        models->count += !status;
    }
    if (!status && models->settings->use_openai) {
        models->providers[models->count].provider = "openai";
        status = models->openers.openai(&models->settings->openai,
                                        &models->providers[models->count].llm, err);
        models->count += !status;
    }
    return status;
}

static enum mc_status open_chain(struct mc_models *models, struct mc_error *err)
{
    const struct mc_model_settings *settings = models->settings;
    struct mc_chain_options options = {
        .count = models->count,
        .failures = settings->breaker_failures,
        .cooldown_us = settings->cooldown_us,
        .cooldown_max_us = settings->cooldown_max_us > settings->cooldown_us
                               ? settings->cooldown_max_us
                               : settings->cooldown_us,
        .used = mc_models_note_usage,
        .allowed = is_allowed,
        .changed = on_circuit,
        .context = models,
    };
    for (size_t i = 0; i < models->count; i++)
        options.models[i] = models->providers[i].llm;
    return mc_chain_open(&options, &models->llm, err);
}

enum mc_status mc_models_open(const struct mc_models_options *options, struct mc_models **models,
                              struct mc_error *err)
{
    static const struct mc_model_openers OPENERS[] = {{mc_local_open, mc_openai_open},
                                                      {mc_local_embed_open, mc_openai_open}};
    const struct mc_model_settings *settings = options->settings;
    if (!settings->use_local && !settings->use_openai) {
        *models = NULL;
        return MC_OK;
    }
    struct mc_models *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->settings = settings;
    made->metrics = options->metrics;
    made->openers = options->openers ? *options->openers : OPENERS[options->embeddings];
    made->embeddings = options->embeddings;
    mc_mutex_init(&made->mutex);
    const struct mc_ledger_options ledger = {
        .store = options->store, .cap_usd = settings->cap_usd, .cap_calls = settings->cap_calls};
    enum mc_status status = mc_ledger_open(&ledger, &made->ledger, err);
    if (!status)
        status = open_providers(made, options->lazy, err);
    if (!status)
        status = open_chain(made, err);
    if (status) {
        mc_models_close(made);
        return status;
    }
    *models = made;
    return MC_OK;
}

void mc_models_close(struct mc_models *models)
{
    if (!models)
        return;
    if (models->llm) {
        models->llm->ops->close(models->llm);
    } else {
        for (size_t i = 0; i < models->count; i++)
            models->providers[i].llm->ops->close(models->providers[i].llm);
    }
    mc_ledger_close(models->ledger);
    mc_mutex_fini(&models->mutex);
    free(models);
}

/* ---- Asking about them ---- */

struct mc_llm *mc_models_llm(struct mc_models *models)
{
    return models ? models->llm : NULL;
}

const char *mc_models_provider(const struct mc_models *models)
{
    return models ? models->providers[0].provider : "builtin";
}

struct mc_ledger *mc_models_ledger(struct mc_models *models)
{
    return models ? models->ledger : NULL;
}

size_t mc_models_describe(struct mc_models *models, struct mc_llm_state *states, size_t max)
{
    return models ? models->llm->ops->describe(models->llm, states, max) : 0;
}

double mc_models_enrich_cost(struct mc_models *models)
{
    int64_t count = models ? atomic_load(&models->enriched) : 0;
    return count > 0 ? (double)atomic_load(&models->enriched_nano_usd) / NANO / (double)count : 0;
}

/* Says what is wrong with a provider, when something is; *answers: it may be asked, and did not fail. */
static bool issue_of(struct mc_models *models, const struct mc_llm_state *state, char *text,
                     size_t size, bool *answers)
{
    struct mc_model_circuit circuit = {0};
    mc_mutex_lock(&models->mutex);
    for (size_t i = 0; i < models->count; i++) {
        if (strcmp(models->providers[i].provider, state->provider) == 0)
            circuit = models->circuits[i];
    }
    mc_mutex_unlock(&models->mutex);
    *answers = true;
    char since[MC_TIME_TEXT_SIZE];
    if (circuit.open) {
        *answers = false;
        mc_time_format(circuit.since_us, since);
        snprintf(text, size, "%s does not answer since %s: %s", state->provider, since,
                 circuit.why);
        return true;
    }
    if (strcmp(state->state, "failed") == 0) {
        *answers = false;
        snprintf(text, size, "%s cannot be used: %s", state->provider, state->detail);
        return true;
    }
    char why[256];
    if (!mc_ledger_allows(models->ledger, state->provider, why, sizeof(why))) {
        snprintf(text, size, "%s is not asked: %s", state->provider, why);
        return true;
    }
    return false;
}

void mc_models_health(struct mc_models *models, struct mc_models_health *health)
{
    struct mc_models_health found = {0};
    struct mc_llm_state states[MC_CHAIN_MAX];
    size_t count = mc_models_describe(models, states, mc_countof(states)), answering = 0;
    for (size_t i = 0; i < count; i++) {
        bool answers;
        found.trouble += issue_of(models, &states[i], found.issues[found.trouble],
                                  sizeof(found.issues[0]), &answers);
        answering += answers;
    }
    found.blocked = count > 0 && answering == 0 && models->settings->explicit_provider;
    *health = found;
}
