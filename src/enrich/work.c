#include "enrich/work.h"

#include "base/error.h"
#include "base/str.h"

static enum mc_method method_of(mc_str name)
{
    if (mc_str_equal(name, MC_STR("llm")))
        return MC_METHOD_LLM;
    return mc_str_equal(name, MC_STR("trivial")) ? MC_METHOD_TRIVIAL : MC_METHOD_BUILTIN;
}

enum mc_status mc_outcome_done(struct mc_outcome *outcome, const struct mc_job *job,
                               const struct mc_enrichment_result *result, struct mc_arena *arena,
                               struct mc_error *err)
{
    struct mc_metadata *metadata = mc_arena_alloc(arena, sizeof(*metadata));
    if (!metadata)
        return mc_fail_memory(err);
    *metadata = result->metadata;
    *outcome = (struct mc_outcome){
        .verdict = MC_JOB_DONE,
        .completion =
            {
                .row = job->record->row,
                .user_id = job->record->m.user_id,
                .metadata = result->json,
                .terms = result->terms,
                .importance = result->metadata.importance,
                .state = MC_ENRICHMENT_ENRICHED,
            },
        .metadata = metadata,
        .method = method_of(result->metadata.method),
    };
    return MC_OK;
}

void mc_outcome_fail(struct mc_outcome *outcome, const struct mc_error *error, int64_t retry_at_us)
{
    *outcome =
        (struct mc_outcome){.verdict = MC_JOB_FAILED, .error = *error, .retry_at_us = retry_at_us};
}
