#include "cli/load_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/error.h"
#include "base/time.h"
#include "cli/load_metrics.h"
#include "cli/progress.h"

#define PAST_MESSAGES 20                      /* of each user before the load */
#define WARM_DRAIN_US (60 * MC_US_PER_SECOND) /* a slow model may go on working under the load */
#define DRAIN_US (120 * MC_US_PER_SECOND)
#define AWAY_US (10 * MC_US_PER_SECOND) /* a target that does not answer is not waited for */
#define GRACE_US (5 * MC_US_PER_SECOND)
#define LOOK_US (100 * MC_US_PER_MS)
#define SAMPLE_US (500 * MC_US_PER_MS)

/* ---- Looking at the target ---- */

static double at_least(double a, double b)
{
    return isnan(b) || a > b ? a : b;
}

/* Reads the metrics into `after`, which stays as it is when they cannot be read. */
static bool look(struct mc_load_run *run)
{
    struct mc_load_result *result = run->result;
    struct mc_buf text;
    struct mc_error ignored;
    mc_buf_init(&text, MC_LOAD_METRICS_BYTES);
    result->unreadable = run->target->ops->scrape(run->target, &text, &ignored) != MC_OK;
    if (result->unreadable) {
        mc_buf_fini(&text);
        return false;
    }
    mc_buf_fini(&result->after);
    result->after = text;
    mc_str now = mc_buf_str(&text);
    double depth = mc_load_metric(now, "mindcore_enrichment_queue_depth", "");
    double resident = mc_load_metric(now, "process_resident_memory_bytes", "");
    result->depth_most = at_least(result->depth_most, depth);
    result->oldest_most_s =
        at_least(result->oldest_most_s,
                 mc_load_metric(now, "mindcore_enrichment_oldest_job_age_seconds", ""));
    result->resident_end = resident;
    result->resident_most = at_least(result->resident_most, resident);
    return true;
}

static double depth_now(const struct mc_load_run *run)
{
    return mc_load_metric(mc_buf_str(&run->result->after), "mindcore_enrichment_queue_depth", "");
}

/* Workers count what they did after the queue has it no more. */
static double busy_now(const struct mc_load_run *run)
{
    return mc_load_metric(mc_buf_str(&run->result->after), "mindcore_busy_workers", "");
}

bool mc_load_interrupted(struct mc_load_run *run, int64_t wait_us)
{
    const struct timespec wait = {.tv_sec = wait_us / MC_US_PER_SECOND,
                                  .tv_nsec = wait_us % MC_US_PER_SECOND * 1000};
    int number = sigtimedwait(run->signals, NULL, &wait);
    if (number > 0) {
        run->interrupted = true;
        pthread_sigmask(SIG_UNBLOCK, run->signals, NULL);
    }
    return run->interrupted;
}

/* Waits until the queue is empty: the time that took, -1 beyond the limit, unreadable or interrupted. */
static int64_t wait_for_queue(struct mc_load_run *run, const char *what, int64_t limit_us)
{
    struct mc_progress progress;
    int64_t start_us = mc_time_monotonic_us(), took_us = 0, seen_us = 0;
    double most = 0;
    bool empty = false;
    mc_progress_start(&progress, what, "jobs", run->cli->quiet);
    while (!empty && took_us < limit_us && took_us - seen_us < AWAY_US) {
        if (mc_load_interrupted(run, took_us == 0 ? 0 : LOOK_US))
            break;
        bool seen = look(run);
        empty = seen && depth_now(run) <= 0 && !(busy_now(run) > 0);
        took_us = mc_time_monotonic_us() - start_us;
        seen_us = seen ? took_us : seen_us;
        double depth = depth_now(run);
        most = at_least(most, depth);
        mc_progress_update(&progress, isnan(depth) ? 0 : (uint64_t)(most - depth), (uint64_t)most);
    }
    mc_progress_stop(&progress);
    return empty ? took_us : -1;
}

/* ---- Before ---- */

static enum mc_status store_past(struct mc_load_run *run, unsigned slot, struct mc_error *err)
{
    struct mc_load_line lines[PAST_MESSAGES];
    for (unsigned i = 0; i < PAST_MESSAGES; i++)
        mc_load_talk_past(&run->plan->talk, slot, i, &lines[i]);
    return run->target->ops->store(run->target, lines, PAST_MESSAGES, err);
}

enum mc_status mc_load_warm(struct mc_load_run *run, struct mc_error *err)
{
    struct mc_progress progress;
    enum mc_status status = MC_OK;
    struct mc_load_result *result = run->result;
    double rate = mc_load_turn_rate(run->plan->profile, run->plan->times);
    unsigned slots = mc_load_slots(rate);
    mc_progress_start(&progress, "warm up", "users", run->cli->quiet);
    while (status == MC_OK && result->users < slots && !mc_load_interrupted(run, 0)) {
        result->users++;
        status = store_past(run, result->users - 1, err);
        mc_progress_update(&progress, result->users, slots);
    }
    mc_progress_stop(&progress);
    if (status == MC_OK)
        (void)wait_for_queue(run, "warm up: enriching", WARM_DRAIN_US);
    if (status != MC_OK || !run->interrupted)
        return status;
    return mc_fail(err, MC_CANCELLED, "interrupted before anything was measured");
}

/* ---- The load ---- */

static void note_failure(struct mc_load_result *result, enum mc_load_kind operation,
                         const struct mc_error *err)
{
    for (size_t i = 0; i < result->failure_count; i++) {
        struct mc_load_failure *known = &result->failures[i];
        if (i + 1 == MC_LOAD_FAILURES ||
            (known->operation == operation && strcmp(known->kind, err->field) == 0)) {
            known->count++;
            return;
        }
    }
    struct mc_load_failure *failure = &result->failures[result->failure_count++];
    failure->operation = operation;
    failure->count = 1;
    snprintf(failure->kind, sizeof(failure->kind), "%s", err->field);
    snprintf(failure->first, sizeof(failure->first), "%s", err->message);
}

static enum mc_status perform(struct mc_load_run *run, const struct mc_load_op *op,
                              struct mc_error *err)
{
    const struct mc_load_target_ops *ops = run->target->ops;
    const struct mc_load_talk *talk = &run->plan->talk;
    struct mc_load_line line;
    if (op->kind == MC_LOAD_SEARCH) {
        mc_load_talk_search(talk, op->slot, op->turn, &line);
        return ops->search(run->target, &line, err);
    }
    mc_load_talk_say(talk, op->slot, op->turn, op->part, &line);
    return op->kind == MC_LOAD_INGEST    ? ops->store(run->target, &line, 1, err)
           : op->kind == MC_LOAD_CONTEXT ? ops->context(run->target, &line, err)
                                         : ops->recent(run->target, &line, err);
}

/* With the mutex: takes the next operation and waits for its time; false at the end. */
static bool take(struct mc_load_run *run, struct mc_load_op *op)
{
    if (run->stopped || !mc_load_schedule_next(&run->schedule, op))
        return false;
    int64_t due_us = run->start_us + op->at_us;
    while (!run->stopped && mc_time_monotonic_us() < due_us)
        (void)mc_cond_wait_until(&run->wake, &run->mutex, due_us);
    return mc_time_monotonic_us() >= due_us;
}

/* With the mutex: an operation was not begun before that time since the start. */
static void note_wait(struct mc_load_run *run, const struct mc_load_op *op, int64_t begun_us)
{
    struct mc_load_result *result = run->result;
    int64_t late_us = begun_us - op->at_us;
    int64_t late_at_end_us = begun_us > run->end_us ? run->end_us - op->at_us : 0;
    if (late_us > result->late_most_us)
        result->late_most_us = late_us;
    if (late_at_end_us > result->late_at_end_us)
        result->late_at_end_us = late_at_end_us;
}

static void *drive_thread(void *context)
{
    struct mc_load_run *run = context;
    struct mc_load_op op;
    mc_mutex_lock(&run->mutex);
    while (take(run, &op)) {
        struct mc_error err = {.field = ""};
        struct mc_load_count *count = &run->result->counts[op.kind];
        count->scheduled++;
        note_wait(run, &op, mc_time_monotonic_us() - run->start_us);
        mc_mutex_unlock(&run->mutex);
        enum mc_status status = perform(run, &op, &err);
        int64_t ended_us = mc_time_monotonic_us() - run->start_us;
        mc_mutex_lock(&run->mutex);
        mc_load_histogram_add(&count->latency, ended_us - op.at_us);
        count->done += status == MC_OK;
        count->in_time += status == MC_OK && ended_us <= run->end_us;
        count->failed += status != MC_OK;
        if (status != MC_OK)
            note_failure(run->result, op.kind, &err);
    }
    run->running--;
    mc_mutex_unlock(&run->mutex);
    return NULL;
}

/* What was due and not begun when the threads ended. */
static void count_not_sent(struct mc_load_run *run)
{
    struct mc_load_op op;
    int64_t now_us = mc_time_monotonic_us() - run->start_us;
    while (mc_load_schedule_next(&run->schedule, &op) && op.at_us < run->end_us) {
        struct mc_load_count *count = &run->result->counts[op.kind];
        count->scheduled++;
        count->not_sent++;
        note_wait(run, &op, now_us);
        mc_load_histogram_add(&count->latency, run->end_us - op.at_us);
    }
}

struct shown {
    struct mc_progress progress;
    char what[96];
    uint64_t expected; /* operations */
    bool told;         /* of the first failure */
};

static void show(struct mc_load_run *run, struct shown *shown)
{
    uint64_t done = 0, failed = 0;
    mc_mutex_lock(&run->mutex);
    for (int i = 0; i < MC_LOAD_KINDS; i++) {
        done += run->result->counts[i].done;
        failed += run->result->counts[i].failed;
    }
    mc_mutex_unlock(&run->mutex);
    double depth = depth_now(run);
    snprintf(shown->what, sizeof(shown->what), "loadtest: queue %.0f, %llu errors",
             isnan(depth) ? 0 : depth, (unsigned long long)failed);
    mc_progress_update(&shown->progress, done + failed, shown->expected);
    if (failed == 0 || shown->told)
        return;
    /* The first failure stays as it is from now on. */
    const struct mc_load_failure *first = &run->result->failures[0];
    mc_progress_stop(&shown->progress);
    mc_cli_note(run->cli, "%s failed: %s: %s", mc_load_kind_name(first->operation), first->kind,
                first->first);
    shown->told = true;
}

static uint64_t expected_operations(const struct mc_load_plan *plan)
{
    double a_second = 0, turns = mc_load_turn_rate(plan->profile, plan->times);
    for (int i = 0; i < MC_LOAD_KINDS; i++)
        a_second += mc_load_kind_rate((enum mc_load_kind)i, turns);
    return (uint64_t)(a_second * (double)plan->duration_us / 1e6);
}

/* Until the load has ended, by itself or by a signal, which moves its end. */
static void watch(struct mc_load_run *run)
{
    struct shown shown = {.expected = expected_operations(run->plan)};
    int64_t duration_us = run->plan->duration_us, sampled_us = 0;
    mc_progress_start(&shown.progress, shown.what, "operations", run->cli->quiet);
    for (unsigned running = 1; running > 0;) {
        bool interrupted = mc_load_interrupted(run, LOOK_US);
        int64_t elapsed_us = mc_time_monotonic_us() - run->start_us;
        if (elapsed_us - sampled_us >= SAMPLE_US) {
            sampled_us = elapsed_us;
            (void)look(run);
            if (isnan(run->result->resident_half) && elapsed_us >= duration_us / 2)
                run->result->resident_half = run->result->resident_end;
        }
        show(run, &shown);
        mc_mutex_lock(&run->mutex);
        if (interrupted && elapsed_us < run->end_us)
            run->end_us = elapsed_us;
        run->stopped = interrupted || elapsed_us > duration_us + GRACE_US;
        if (run->stopped)
            mc_cond_broadcast(&run->wake);
        running = run->running;
        mc_mutex_unlock(&run->mutex);
    }
    mc_progress_stop(&shown.progress);
}

static enum mc_status start_threads(struct mc_load_run *run, pthread_t *threads, unsigned *started,
                                    struct mc_error *err)
{
    enum mc_status status = MC_OK;
    while (status == MC_OK && *started < run->plan->clients) {
        mc_mutex_lock(&run->mutex);
        run->running++;
        mc_mutex_unlock(&run->mutex);
        status = mc_thread_start(&threads[*started], "mc-load", drive_thread, run, err);
        if (status == MC_OK) {
            (*started)++;
            continue;
        }
        mc_mutex_lock(&run->mutex);
        run->running--;
        run->stopped = true;
        mc_cond_broadcast(&run->wake);
        mc_mutex_unlock(&run->mutex);
    }
    return status;
}

/* What is measured begins here. */
static enum mc_status begin(struct mc_load_run *run, struct mc_error *err)
{
    struct mc_load_result *result = run->result;
    double rate = mc_load_turn_rate(run->plan->profile, run->plan->times);
    enum mc_status status = mc_load_schedule_init(&run->schedule, run->plan->talk.seed, rate,
                                                  run->plan->duration_us, err);
    if (status == MC_OK)
        status = run->target->ops->scrape(run->target, &result->before, err);
    if (status != MC_OK)
        return status;
    mc_buf_reset(&result->after);
    mc_buf_append(&result->after, mc_buf_str(&result->before));
    result->resident_start =
        mc_load_metric(mc_buf_str(&result->before), "process_resident_memory_bytes", "");
    result->resident_end = result->resident_most = result->resident_start;
    result->resident_half = (double)NAN;
    result->depth_most = result->oldest_most_s = 0;
    run->end_us = run->plan->duration_us;
    run->start_us = mc_time_monotonic_us();
    return MC_OK;
}

enum mc_status mc_load_drive(struct mc_load_run *run, struct mc_error *err)
{
    struct mc_load_result *result = run->result;
    unsigned started = 0;
    pthread_t *threads = calloc(run->plan->clients, sizeof(*threads));
    enum mc_status status = threads ? begin(run, err) : mc_fail_memory(err);
    if (status == MC_OK)
        status = start_threads(run, threads, &started, err);
    if (status == MC_OK)
        watch(run);
    for (unsigned i = 0; i < started; i++)
        mc_thread_join(threads[i]);
    free(threads);
    if (status == MC_OK) {
        (void)look(run);
        result->depth_at_end = depth_now(run);
        result->elapsed_us = run->end_us;
        count_not_sent(run);
        result->interrupted = run->interrupted;
        if (run->schedule.failed)
            status = mc_fail_memory(err);
    }
    mc_load_schedule_fini(&run->schedule);
    return status;
}

/* ---- After ---- */

void mc_load_drain(struct mc_load_run *run)
{
    bool interrupted = run->interrupted;
    run->result->drained_us = -1;
    if (interrupted) /* only a look */
        run->result->drained_us = look(run) && depth_now(run) <= 0 ? 0 : -1;
    else
        run->result->drained_us = wait_for_queue(run, "waiting for the queue", DRAIN_US);
}

enum mc_status mc_load_clean(struct mc_load_run *run, unsigned *left, struct mc_error *err)
{
    struct mc_progress progress;
    enum mc_status status = MC_OK;
    unsigned users = run->result->users;
    mc_progress_start(&progress, "removing", "users", run->cli->quiet);
    for (*left = users; status == MC_OK && *left > 0; (*left)--) {
        char user_id[MC_LOAD_ID_SIZE];
        mc_load_talk_user(&run->plan->talk, *left - 1, user_id);
        status = run->target->ops->erase(run->target, user_id, err);
        if (status != MC_OK)
            break;
        mc_progress_update(&progress, users - *left, users);
    }
    mc_progress_stop(&progress);
    return status;
}
