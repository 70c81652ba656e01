#include "enrich/settle.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/str.h"
#include "base/time.h"

#define METADATA_MAX ((size_t)1 << 20)

static const enum mc_histogram METHOD_TIME[] = {
    [MC_METHOD_TRIVIAL] = MC_TIME_ENRICH_TRIVIAL,
    [MC_METHOD_BUILTIN] = MC_TIME_ENRICH_BUILTIN,
    [MC_METHOD_LLM] = MC_TIME_ENRICH_LLM,
};
static const enum mc_counter METHOD_COUNT[] = {
    [MC_METHOD_TRIVIAL] = MC_COUNT_ENRICHED_TRIVIAL,
    [MC_METHOD_BUILTIN] = MC_COUNT_ENRICHED_BUILTIN,
    [MC_METHOD_LLM] = MC_COUNT_ENRICHED_LLM,
};

/* Those of a batch with one verdict: parallel arrays in the batch's arena. */
struct group {
    const struct mc_job **jobs;
    const struct mc_outcome **outcomes;
    struct mc_completion *completions;
    size_t count;
};

/* A failure that passes by itself, or that says nothing about the one message. */
static bool of_store(enum mc_status status)
{
    return status == MC_BUSY || status == MC_DISK_FULL || status == MC_IO ||
           status == MC_UNAVAILABLE || status == MC_TIMEOUT || status == MC_NO_MEMORY;
}

/* ---- Failures ---- */

/* Exponential with full jitter in its upper half: between half and all of min * 2^(attempt - 1). */
static int64_t back_off_us(const struct mc_settler *s, int attempts)
{
    int64_t wait = s->options->retry_min_us;
    for (int i = 1; i < attempts && wait < s->options->retry_max_us; i++)
        wait *= 2;
    if (wait > s->options->retry_max_us)
        wait = s->options->retry_max_us;
    return wait / 2 + (int64_t)((double)(wait / 2) * rand_r(s->jitter) / RAND_MAX);
}

/* The metadata that the message has, with the reason why there will be no better. */
static enum mc_status write_obituary(const struct mc_settler *s, const struct mc_job *job,
                                     mc_str reason, mc_str *text, struct mc_error *err)
{
    struct mc_metadata metadata;
    struct mc_error ignored; /* metadata that cannot be read may be why the job failed */
    if (mc_metadata_parse(job->record->m.metadata, s->arena, &metadata, &ignored))
        mc_metadata_init(&metadata);
    metadata.enrichment_failed = true;
    metadata.enrichment_error = reason;
    struct mc_buf json;
    mc_buf_init(&json, METADATA_MAX);
    mc_metadata_write(&metadata, &json);
    *text = json.failed ? MC_STR_NONE : mc_arena_copy(s->arena, mc_buf_str(&json));
    mc_buf_fini(&json);
    return text->data ? MC_OK : mc_fail_memory(err);
}

static bool is_dead(const struct mc_settler *s, const struct mc_job *job,
                    const struct mc_outcome *outcome)
{
    return outcome->verdict == MC_JOB_FAILED && !outcome->excused &&
           job->attempts >= s->options->max_attempts;
}

static enum mc_status describe_failure(const struct mc_settler *s, const struct mc_job *job,
                                       const struct mc_outcome *outcome, struct mc_failure *failure,
                                       struct mc_error *err)
{
    int64_t now = mc_time_now_us();
    *failure =
        (struct mc_failure){.row = job->record->row,
                            .error = mc_str_of(outcome->error.message),
                            .no_attempt = outcome->verdict == MC_JOB_LATER || outcome->excused};
    if (is_dead(s, job, outcome))
        return write_obituary(s, job, failure->error, &failure->metadata, err);
    int64_t wait_us = outcome->verdict == MC_JOB_LATER ? 0 : back_off_us(s, job->attempts);
    int64_t least_us = outcome->retry_at_us + (outcome->excused ? wait_us : 0);
    failure->retry_at_us = now + wait_us > least_us ? now + wait_us : least_us;
    return MC_OK;
}

/* Puts the jobs back or buries them, in one transaction, and tells of those that are dead. */
static enum mc_status write_failures(const struct mc_settler *s, const struct group *group,
                                     struct mc_error *err)
{
    if (group->count == 0)
        return MC_OK;
    struct mc_failure *failures = mc_arena_array(s->arena, group->count, sizeof(*failures));
    if (!failures)
        return mc_fail_memory(err);
    enum mc_status status = MC_OK;
    for (size_t i = 0; i < group->count && !status; i++)
        status = describe_failure(s, group->jobs[i], group->outcomes[i], &failures[i], err);
    struct mc_store *store = s->options->store;
    if (!status)
        status = store->ops->fail(store, s->lease, failures, group->count, err);
    if (status)
        return status;
    for (size_t i = 0; i < group->count; i++) {
        if (failures[i].no_attempt)
            continue;
        bool dead = failures[i].retry_at_us == 0;
        mc_metrics_add(s->options->metrics,
                       dead ? MC_COUNT_ENRICHMENT_DEAD : MC_COUNT_ENRICHMENT_RETRY, 1);
        if (dead && s->options->died)
            s->options->died(s->options->context, &group->jobs[i]->record->m);
    }
    return MC_OK;
}

/* ---- Completions ---- */

static void announce(const struct mc_settler *s, const struct mc_job *job,
                     const struct mc_outcome *outcome, const struct mc_completion *completion)
{
    struct mc_message fields = job->record->m;
    fields.metadata = completion->metadata;
    fields.importance = completion->importance;
    fields.enrichment_state = completion->state;
    struct mc_record *record = NULL;
    struct mc_error error;
    if (mc_record_new(&fields, job->record->row, MC_STR_NONE, &record, &error)) {
        s->note(s->context, &error);
        return;
    }
    s->options->enriched(s->options->context, record, outcome->metadata,
                         completion->thread_version);
    mc_record_unref(record);
}

/* Completes jobs in one transaction, and tells of each that was applied. */
static enum mc_status complete(const struct mc_settler *s, const struct group *group, size_t first,
                               size_t count, struct mc_error *err)
{
    struct mc_store *store = s->options->store;
    struct mc_completion *items = group->completions + first;
    enum mc_status status = store->ops->complete(store, s->lease, items, count, err);
    if (status)
        return status;
    struct mc_metrics *metrics = s->options->metrics;
    /* One after the other in the first stage, side by side in the model's. */
    int64_t each_us = (mc_time_monotonic_us() - s->claimed_us) /
                      (s->options->stage == MC_STAGE_FIRST ? (int64_t)count : 1);
    bool handed_on = false;
    for (size_t i = 0; i < count; i++) {
        const struct mc_outcome *outcome = group->outcomes[first + i];
        if (!items[i].applied)
            continue;
        handed_on = handed_on || items[i].next_stage;
        if (!items[i].next_stage) {
            mc_metrics_add(metrics, METHOD_COUNT[outcome->method], 1);
            mc_metrics_observe_us(metrics, METHOD_TIME[outcome->method], each_us);
        }
        if (outcome->reused)
            mc_metrics_add(metrics, MC_COUNT_ENRICHMENT_REUSED, 1);
        announce(s, group->jobs[first + i], outcome, &items[i]);
    }
    if (handed_on && s->options->next)
        mc_pool_wake(s->options->next);
    return MC_OK;
}

/* When the batch as a whole is refused, each job stands for itself, so that one cannot block others. */
static enum mc_status complete_each(const struct mc_settler *s, const struct group *group,
                                    struct mc_error *err)
{
    for (size_t i = 0; i < group->count; i++) {
        struct mc_error reason;
        enum mc_status status = complete(s, group, i, 1, &reason);
        if (!status)
            continue;
        if (of_store(status)) {
            if (err)
                *err = reason;
            return status;
        }
        s->note(s->context, &reason);
        struct mc_outcome outcome;
        mc_outcome_fail(&outcome, &reason, 0);
        const struct mc_outcome *outcomes[] = {&outcome};
        struct group one = {&group->jobs[i], outcomes, NULL, 1};
        status = write_failures(s, &one, err);
        if (status)
            return status;
    }
    return MC_OK;
}

/* ---- The batch ---- */

static enum mc_status make_group(const struct mc_settler *s, size_t room, struct group *group,
                                 struct mc_error *err)
{
    *group = (struct group){
        .jobs = mc_arena_array(s->arena, room, sizeof(void *)),
        .outcomes = mc_arena_array(s->arena, room, sizeof(void *)),
        .completions = mc_arena_array(s->arena, room, sizeof(*group->completions)),
    };
    return group->jobs && group->outcomes && group->completions ? MC_OK : mc_fail_memory(err);
}

static void put_in(struct group *group, const struct mc_job *job, const struct mc_outcome *outcome)
{
    group->jobs[group->count] = job;
    group->outcomes[group->count] = outcome;
    group->completions[group->count++] = outcome->completion;
}

enum mc_status mc_settle(const struct mc_settler *s, const struct mc_job *jobs,
                         const struct mc_outcome *outcomes, size_t count, struct mc_error *err)
{
    struct group done, failed;
    enum mc_status status = make_group(s, count, &done, err);
    if (!status)
        status = make_group(s, count, &failed, err);
    if (status)
        return status;
    size_t released = 0;
    for (size_t i = 0; i < count; i++) {
        const struct mc_outcome *outcome = &outcomes[i];
        if (outcome->verdict == MC_JOB_FAILED ||
            (outcome->verdict == MC_JOB_DONE && outcome->error.status))
            s->note(s->context, &outcome->error);
        if (outcome->verdict == MC_JOB_RELEASED)
            released++;
        else
            put_in(outcome->verdict == MC_JOB_DONE ? &done : &failed, &jobs[i], outcome);
    }
    status = write_failures(s, &failed, err);
    if (!status && done.count > 0) {
        status = complete(s, &done, 0, done.count, err);
        if (status && !of_store(status))
            status = complete_each(s, &done, err);
    }
    struct mc_store *store = s->options->store;
    if (!status && released > 0)
        status = store->ops->release(store, s->lease, err);
    return status;
}
