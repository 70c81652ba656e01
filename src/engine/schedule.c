#include "engine/schedule.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/thread.h"
#include "base/time.h"

struct mc_schedule {
    int64_t period_us;
    mc_scheduled_fn work;
    void *context;
    pthread_t thread;
    atomic_bool ending;
    mc_mutex mutex;          /* guards what follows */
    mc_cond sooner;          /* the time was changed, or the schedule is ending */
    int64_t due_us, done_us; /* monotonic: the next time, and when it was last done */
};

bool mc_schedule_ending(struct mc_schedule *schedule)
{
    return atomic_load(&schedule->ending);
}

/* Sleeps until it is due; false when the schedule is ending. */
static bool await(struct mc_schedule *schedule)
{
    mc_mutex_lock(&schedule->mutex);
    while (!mc_schedule_ending(schedule) && mc_time_monotonic_us() < schedule->due_us)
        (void)mc_cond_wait_until(&schedule->sooner, &schedule->mutex, schedule->due_us);
    schedule->due_us = INT64_MAX; /* who is in a hurry from now on wants it done once more */
    mc_mutex_unlock(&schedule->mutex);
    return !mc_schedule_ending(schedule);
}

static void due_by(struct mc_schedule *schedule, int64_t due_us)
{
    if (due_us < schedule->due_us)
        schedule->due_us = due_us;
}

static void *run(void *context)
{
    struct mc_schedule *schedule = context;
    while (await(schedule)) {
        schedule->work(schedule->context, schedule);
        mc_mutex_lock(&schedule->mutex);
        schedule->done_us = mc_time_monotonic_us();
        due_by(schedule, schedule->done_us + schedule->period_us);
        mc_mutex_unlock(&schedule->mutex);
    }
    return NULL;
}

enum mc_status mc_schedule_start(int64_t first_us, int64_t period_us, mc_scheduled_fn work,
                                 void *context, struct mc_schedule **schedule, struct mc_error *err)
{
    struct mc_schedule *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->due_us = mc_time_monotonic_us() + first_us;
    made->period_us = period_us;
    made->work = work;
    made->context = context;
    atomic_init(&made->ending, false);
    mc_mutex_init(&made->mutex);
    mc_cond_init(&made->sooner);
    enum mc_status status = mc_thread_start(&made->thread, "mc-schedule", run, made, err);
    if (status) {
        mc_schedule_free(made);
        return status;
    }
    *schedule = made;
    return MC_OK;
}

void mc_schedule_hurry(struct mc_schedule *schedule, int64_t spacing_us)
{
    if (!schedule)
        return;
    mc_mutex_lock(&schedule->mutex);
    due_by(schedule, schedule->done_us + spacing_us);
    mc_cond_broadcast(&schedule->sooner);
    mc_mutex_unlock(&schedule->mutex);
}

void mc_schedule_stop(struct mc_schedule *schedule)
{
    if (!schedule)
        return;
    mc_mutex_lock(&schedule->mutex);
    atomic_store(&schedule->ending, true);
    mc_cond_broadcast(&schedule->sooner);
    mc_mutex_unlock(&schedule->mutex);
    mc_thread_join(schedule->thread);
}

void mc_schedule_free(struct mc_schedule *schedule)
{
    if (!schedule)
        return;
    mc_cond_fini(&schedule->sooner);
    mc_mutex_fini(&schedule->mutex);
    free(schedule);
}
