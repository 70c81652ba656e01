/* Threads, conditions on the monotonic clock. */
#include "tap.h"

#include <signal.h>

#include "base/thread.h"
#include "base/time.h"

struct meeting {
    mc_mutex mutex; /* guards what follows */
    mc_cond changed;
    int arrived;
    bool go;
    bool term_blocked;
    bool segv_blocked;
    char name[16];
};

static void *arrive(void *context)
{
    struct meeting *meeting = context;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    mc_mutex_lock(&meeting->mutex);
    meeting->term_blocked = sigismember(&mask, SIGTERM) == 1;
    meeting->segv_blocked = sigismember(&mask, SIGSEGV) == 1;
    meeting->arrived++;
    mc_cond_broadcast(&meeting->changed);
    while (!meeting->go)
        mc_cond_wait(&meeting->changed, &meeting->mutex);
    mc_mutex_unlock(&meeting->mutex);
    return NULL;
}

static void test_meeting(void)
{
    static struct meeting meeting;
    pthread_t threads[3];
    struct mc_error err = {0};
    mc_mutex_init(&meeting.mutex);
    mc_cond_init(&meeting.changed);
    for (size_t i = 0; i < 3; i++)
        is_status(
            mc_thread_start(&threads[i], "a-name-longer-than-fifteen", arrive, &meeting, &err),
            MC_OK, &err, "start");
    mc_mutex_lock(&meeting.mutex);
    int64_t until_us = mc_time_monotonic_us() + 30 * MC_US_PER_SECOND;
    bool in_time = true;
    while (meeting.arrived < 3 && in_time)
        in_time = mc_cond_wait_until(&meeting.changed, &meeting.mutex, until_us);
    is_int(meeting.arrived, 3, "all arrived");
    pthread_getname_np(threads[0], meeting.name, sizeof(meeting.name));
    meeting.go = true;
    mc_cond_broadcast(&meeting.changed);
    mc_mutex_unlock(&meeting.mutex);
    for (size_t i = 0; i < 3; i++)
        mc_thread_join(threads[i]);
    is_str(meeting.name, "a-name-longer-t", "the name is cut");
    ok(meeting.term_blocked, "signals to the program are not handled here");
    ok(!meeting.segv_blocked, "a fault is still reported");
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    ok(sigismember(&mask, SIGTERM) == 0, "the starter's own signals are as before");
    mc_cond_fini(&meeting.changed);
    mc_mutex_fini(&meeting.mutex);
}

static void test_timeout(void)
{
    mc_mutex mutex;
    mc_cond cond;
    mc_mutex_init(&mutex);
    mc_cond_init(&cond);
    mc_mutex_lock(&mutex);
    int64_t start_us = mc_time_monotonic_us();
    bool signalled;
    do
        signalled = mc_cond_wait_until(&cond, &mutex, start_us + 30000);
    while (signalled);
    int64_t waited_us = mc_time_monotonic_us() - start_us;
    ok(waited_us >= 30000, "waited %" PRId64 " us", waited_us);
    ok(!mc_cond_wait_until(&cond, &mutex, start_us - 1), "a time that has passed");
    ok(!mc_cond_wait_until(&cond, &mutex, INT64_MIN), "a time before time");
    mc_cond_signal(&cond);
    mc_mutex_unlock(&mutex);
    mc_cond_fini(&cond);
    mc_mutex_fini(&mutex);
}

int main(void)
{
    test_meeting();
    test_timeout();
    ok(mc_core_count() >= 1, "%d cores", mc_core_count());
    return done_testing();
}
