/*
 * Between the pool, which claims jobs, and the stages, which know what to do with them: a batch of jobs,
 * and what is to become of each.
 */
#ifndef MC_ENRICH_WORK_H
#define MC_ENRICH_WORK_H

#include "enrich/result.h"
#include "store/store.h"

enum mc_verdict {
    MC_JOB_RELEASED, /* not begun or not finished: ready again as it was, no attempt */
    MC_JOB_DONE,     /* the completion is to be written */
    MC_JOB_FAILED,   /* an attempt: there will be another, or the job is dead */
    MC_JOB_LATER     /* nothing was tried: it waits until retry_at_us, no attempt */
};

enum mc_method { MC_METHOD_TRIVIAL, MC_METHOD_BUILTIN, MC_METHOD_LLM, MC_METHOD_COUNT };

/* What becomes of a job. Everything in the arena of the batch. */
struct mc_outcome {
    enum mc_verdict verdict;
    struct mc_completion completion;    /* of MC_JOB_DONE */
    const struct mc_metadata *metadata; /* of MC_JOB_DONE: what the completion writes */
    enum mc_method method;              /* of MC_JOB_DONE: how it is counted, when it is final */
    bool reused;                        /* of MC_JOB_DONE: the answer was another message's */
    /*
     * Of MC_JOB_FAILED: the model was out of order, whatever it was asked. Counted as an error, but not
     * as an attempt of the job, so that it does not die of it; a back-off is added to retry_at_us, so that
     * other messages are tried before it.
     */
    bool excused;
    /*
     * MC_JOB_FAILED: why. MC_JOB_DONE: an attempt that failed before it was settled otherwise, counted as
     * an error; MC_OK: none. MC_JOB_LATER: what the job says it waits for, not counted.
     */
    struct mc_error error;
    int64_t
        retry_at_us; /* of MC_JOB_FAILED and MC_JOB_LATER: not before, wall clock; 0: no matter */
};

struct mc_work {
    const struct mc_job *jobs;
    struct mc_outcome *outcomes; /* one a job, zero: MC_JOB_RELEASED */
    size_t count;
    struct mc_arena *arena;
    /*
     * To be called about every second while a stage waits: keeps the jobs leased. False: stop what is
     * unfinished and leave it MC_JOB_RELEASED (the pool stops, or the jobs are another's by now).
     */
    bool (*keep)(void *context);
    void *keep_context;
    /* Set by a stage that can do nothing before: the worker takes no jobs until then. Monotonic, 0: no. */
    int64_t rest_until_us;
};

/*
 * Sets the outcome's completion: final, enriched, by the method that the metadata names. What it borrows
 * is in the arena, or in the result's.
 */
MC_MUST_CHECK enum mc_status mc_outcome_done(struct mc_outcome *outcome, const struct mc_job *job,
                                             const struct mc_enrichment_result *result,
                                             struct mc_arena *arena, struct mc_error *err);
void mc_outcome_fail(struct mc_outcome *outcome, const struct mc_error *error, int64_t retry_at_us);

#endif
