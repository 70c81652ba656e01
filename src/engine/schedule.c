#include "engine/schedule.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/thread.h"
#include "base/time.h"

struct mc_schedule {
    int64_t first_us, period_us;
    mc_scheduled_fn work;
    void *context;
    pthread_t thread;
    mc_mutex mutex; /* for the condition */
    mc_cond ended;
    atomic_bool ending;
};

bool mc_schedule_ending(struct mc_schedule *schedule)
{
    return atomic_load(&schedule->ending);
}

/* Sleeps until the time; false when the schedule is ending. */
static bool sleep_until(struct mc_schedule *schedule, int64_t monotonic_us)
{
    mc_mutex_lock(&schedule->mutex);
    bool early = true;
    while (early && !mc_schedule_ending(schedule))
        early = mc_cond_wait_until(&schedule->ended, &schedule->mutex, monotonic_us);
    mc_mutex_unlock(&schedule->mutex);
    return !mc_schedule_ending(schedule);
}

static void *run(void *context)
{
    struct mc_schedule *schedule = context;
    int64_t due = mc_time_monotonic_us() + schedule->first_us;
    while (sleep_until(schedule, due)) {
        schedule->work(schedule->context, schedule);
        due = mc_time_monotonic_us() + schedule->period_us;
    }
    return NULL;
}

enum mc_status mc_schedule_start(int64_t first_us, int64_t period_us, mc_scheduled_fn work,
                                 void *context, struct mc_schedule **schedule, struct mc_error *err)
{
    struct mc_schedule *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->first_us = first_us;
    made->period_us = period_us;
    made->work = work;
    made->context = context;
    atomic_init(&made->ending, false);
    mc_mutex_init(&made->mutex);
    mc_cond_init(&made->ended);
    enum mc_status status = mc_thread_start(&made->thread, "mc-schedule", run, made, err);
    if (status) {
        mc_cond_fini(&made->ended);
        mc_mutex_fini(&made->mutex);
        free(made);
        return status;
    }
    *schedule = made;
    return MC_OK;
}

void mc_schedule_stop(struct mc_schedule *schedule)
{
    if (!schedule)
        return;
    mc_mutex_lock(&schedule->mutex);
    atomic_store(&schedule->ending, true);
    mc_cond_broadcast(&schedule->ended);
    mc_mutex_unlock(&schedule->mutex);
    mc_thread_join(schedule->thread);
    mc_cond_fini(&schedule->ended);
    mc_mutex_fini(&schedule->mutex);
    free(schedule);
}
