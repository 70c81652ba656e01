/* See llm/llm.h: what all models share. */
#include "llm/llm.h"

const char *mc_llm_operation_name(enum mc_llm_operation operation)
{
    static const char *const names[] = {
#define OPERATION_NAME(name, text) text,
        MC_LLM_OPERATION_MAP(OPERATION_NAME)
#undef OPERATION_NAME
    };
    return (unsigned)operation < MC_LLM_OPERATION_COUNT ? names[operation] : "";
}

void mc_llm_usage_add(struct mc_llm_usage *sum, const struct mc_llm_usage *more)
{
    sum->calls += more->calls;
    sum->failures += more->failures;
    sum->tokens_in += more->tokens_in;
    sum->tokens_cached += more->tokens_cached;
    sum->tokens_out += more->tokens_out;
    sum->took_us += more->took_us;
    sum->cost_usd += more->cost_usd;
}

bool mc_llm_may_pass(enum mc_status status)
{
    return status == MC_TIMEOUT || status == MC_UNAVAILABLE || status == MC_RATE_LIMITED ||
           status == MC_CANCELLED || status == MC_NO_MEMORY || status == MC_BUSY;
}
