/*
 * A small question to each provider. It goes past the chain, so that a circuit that is open does not hide
 * the reason, but not past the daily caps, and it is counted.
 */
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "engine/models_private.h"

#define CHECK_ARENA_MAX ((size_t)1 << 20)

static const char SYSTEM[] =
    "You are checked before you are given work. Answer the question with one of the words that the "
    "answer's schema allows, as JSON, and nothing else.";
static const char QUESTION[] = "Is the sun a star? {\"answer\":\"yes\"} or {\"answer\":\"no\"}";
static const char SCHEMA[] =
    "{\"type\":\"object\",\"properties\":{\"answer\":{\"type\":\"string\",\"enum\":[\"yes\","
    "\"no\"]}},\"required\":[\"answer\"],\"additionalProperties\":false}";

struct advice {
    enum mc_status status;
    const char *local, *remote;
};
static const struct advice ADVICE[] = {
    {MC_UNAUTHENTICATED, NULL, "the key is refused: correct llm.openai.api_key (OPENAI_API_KEY)"},
    {MC_UNAVAILABLE, NULL,
     "see that the service runs and llm.openai.base_url is its address: http or https, and /v1"},
    {MC_TIMEOUT, "a smaller model, or more llm.llama_cpp.n_threads, answers sooner",
     "see whether the service is overloaded or still loading its model"},
    {MC_RATE_LIMITED, NULL, "wait, or raise the limits of the account at the service"},
    {MC_CONFIG, "correct the option that is named, or use another model file",
     "correct the option that is named"},
    {MC_INVALID, "the model does not follow instructions; use an instruct model",
     "the model did not give JSON as asked; use one that can, or another llm.openai.model"},
    {MC_TOO_LARGE, "raise llm.llama_cpp.n_ctx", "use a model with a larger context window"},
    {MC_NO_MEMORY, "use a smaller model, a smaller llm.llama_cpp.n_ctx, or more memory",
     "give the process more memory"},
};

static const char *advice_for(enum mc_status status, const char *provider)
{
    for (size_t i = 0; i < mc_countof(ADVICE); i++) {
        const char *text = mc_ledger_is_remote(provider) ? ADVICE[i].remote : ADVICE[i].local;
        if (ADVICE[i].status == status && text)
            return text;
    }
    return "see the log for more (--verbose)";
}

static void ask(struct mc_models *models, size_t index, const struct mc_schema *schema,
                int64_t timeout_us, struct mc_model_check *check)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, CHECK_ARENA_MAX);
    const struct mc_llm_turn turn = {.text = mc_str_of(QUESTION)};
    struct mc_llm_call call = {
        .operation = MC_LLM_CHECK,
        .system = mc_str_of(SYSTEM),
        .turns = &turn,
        .turn_count = 1,
        .schema = schema,
    };
    if (models->embeddings)
        call = (struct mc_llm_call){.operation = MC_LLM_CHECK, .turns = &turn, .turn_count = 1};
    struct mc_llm *llm = models->providers[index].llm;
    int64_t start = mc_time_monotonic_us();
    const struct mc_llm_wait wait = {.deadline_us = start + timeout_us};
    llm->ops->generate(llm, &call, 1, &wait, &arena);
    check->took_us = mc_time_monotonic_us() - start;
    check->ok = call.status == MC_OK;
    mc_str model = call.model;
    struct mc_llm_state state;
    if (!mc_str_given(model) && llm->ops->describe(llm, &state, 1) == 1)
        model = mc_str_of(state.model);
    snprintf(check->model, sizeof(check->model), "%.*s", MC_STR_ARG(model));
    if (call.usage.calls > 0)
        mc_models_note_usage(models, MC_LLM_CHECK, check->provider, mc_str_of(check->model),
                             &call.usage);
    if (check->ok)
        snprintf(check->detail, sizeof(check->detail), "%s answered after %.2f s", check->model,
                 (double)check->took_us / 1e6);
    else
        snprintf(check->detail, sizeof(check->detail), "%s",
                 call.error.message[0] ? call.error.message : mc_status_text(call.status));
    if (check->ok)
        check->advice = "";
    else if (models->embeddings)
        check->advice = "see the options of embeddings, in docs/embeddings.md";
    else
        check->advice = advice_for(call.status, check->provider);
}

size_t mc_models_check(struct mc_models *models, int64_t timeout_us, struct mc_model_check *checks,
                       size_t max)
{
    size_t count = models ? models->count : 0;
    struct mc_schema *schema = NULL;
    struct mc_error error = {0};
    if (count > max)
        count = max;
    enum mc_status status = count > 0 ? mc_schema_new(mc_str_of(SCHEMA), &schema, &error) : MC_OK;
    for (size_t i = 0; i < count; i++) {
        struct mc_model_check *check = &checks[i];
        *check = (struct mc_model_check){.provider = models->providers[i].provider};
        char why[256];
        if (status) {
            snprintf(check->detail, sizeof(check->detail), "%s", error.message);
            check->advice = advice_for(status, check->provider);
        } else if (!mc_ledger_allows(models->ledger, check->provider, why, sizeof(why))) {
            /* A cap is what was wished for, no failure. */
            check->ok = true;
            snprintf(check->detail, sizeof(check->detail), "not asked: %s", why);
        } else {
            ask(models, i, schema, timeout_us, check);
        }
    }
    mc_schema_free(schema);
    return count;
}
