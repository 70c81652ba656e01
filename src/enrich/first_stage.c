#include "enrich/first_stage.h"

#include "base/error.h"
#include "enrich/builtin.h"

enum mc_status mc_first_stage(const struct mc_vocabulary *vocabulary,
                              const struct mc_trivial_detector *trivial,
                              const struct mc_message *message, struct mc_arena *arena,
                              struct mc_enrichment_result *result, struct mc_error *err)
{
    struct mc_enrichment_result made = {0};
    enum mc_trivial category;
    made.trivial = mc_trivial_detect(trivial, message->role, message->text, &category);
    if (made.trivial)
        mc_builtin_trivial(category, &made.metadata);
    else if (!mc_builtin_enrich(vocabulary, message->text, message->role, arena, &made.metadata))
        return mc_fail_memory(err);
    enum mc_status status = mc_result_finish(message, arena, &made, err);
    if (!status)
        *result = made;
    return status;
}

static enum mc_status enrich(const struct mc_first_stage_options *options, const struct mc_job *job,
                             struct mc_arena *arena, struct mc_outcome *outcome,
                             struct mc_error *err)
{
    const struct mc_message *message = &job->record->m;
    struct mc_enrichment_result result;
    enum mc_status status =
        mc_first_stage(options->vocabulary, options->trivial, message, arena, &result, err);
    struct mc_signal *signals = NULL;
    size_t signal_count = 0;
    /* A message that is indexed was here before (its dead job was tried again): it was learned from. */
    if (!status && job->record->terms.len == 0)
        status = options->learn(message, &result.metadata, arena, &signals, &signal_count, err);
    if (!status)
        status = mc_outcome_done(outcome, job, &result, arena, err);
    if (status)
        return status;
    outcome->completion.signals = signals;
    outcome->completion.signal_count = signal_count;
    if (options->hands_on && !result.trivial) {
        outcome->completion.state = MC_ENRICHMENT_PENDING;
        outcome->completion.next_stage = MC_STAGE_MODEL;
    }
    return MC_OK;
}

enum mc_status mc_first_stage_handle(void *stage, struct mc_work *work, struct mc_error *err)
{
    (void)err; /* a job that fails takes no other along */
    for (size_t i = 0; i < work->count; i++) {
        struct mc_error reason;
        if (enrich(stage, &work->jobs[i], work->arena, &work->outcomes[i], &reason))
            mc_outcome_fail(&work->outcomes[i], &reason, 0);
    }
    return MC_OK;
}
