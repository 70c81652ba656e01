/* See base/thread.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/time.h"

#define NAME_SIZE 16 /* of the kernel, with the NUL */

/* For calls that fail only through a mistake of ours. */
static void must(int code)
{
    if (code != 0)
        abort();
}

void mc_mutex_init(mc_mutex *mutex)
{
    must(pthread_mutex_init(mutex, NULL));
}
void mc_mutex_fini(mc_mutex *mutex)
{
    must(pthread_mutex_destroy(mutex));
}
void mc_mutex_lock(mc_mutex *mutex)
{
    must(pthread_mutex_lock(mutex));
}
void mc_mutex_unlock(mc_mutex *mutex)
{
    must(pthread_mutex_unlock(mutex));
}

void mc_cond_init(mc_cond *cond)
{
    pthread_condattr_t attributes;
    must(pthread_condattr_init(&attributes));
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
    must(pthread_cond_init(cond, &attributes));
    must(pthread_condattr_destroy(&attributes));
}

void mc_cond_fini(mc_cond *cond)
{
    must(pthread_cond_destroy(cond));
}
void mc_cond_wait(mc_cond *cond, mc_mutex *mutex)
{
    must(pthread_cond_wait(cond, mutex));
}
void mc_cond_signal(mc_cond *cond)
{
    must(pthread_cond_signal(cond));
}
void mc_cond_broadcast(mc_cond *cond)
{
    must(pthread_cond_broadcast(cond));
}

bool mc_cond_wait_until(mc_cond *cond, mc_mutex *mutex, int64_t monotonic_us)
{
    int64_t until_us = monotonic_us > 0 ? monotonic_us : 0;
    struct timespec until = {.tv_sec = (time_t)(until_us / MC_US_PER_SECOND),
                             .tv_nsec = (long)(until_us % MC_US_PER_SECOND) * 1000};
    int code = pthread_cond_timedwait(cond, mutex, &until);
    if (code != ETIMEDOUT)
        must(code);
    return code == 0;
}

/* All but what the thread itself raises by a fault: blocked, those would end the process
 * unreported. */
static void foreign_signals(sigset_t *set)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigfillset(set);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        sigdelset(set, own[i]);
}

enum mc_status mc_thread_start(pthread_t *thread, const char *name, void *(*run)(void *),
                               void *context, struct mc_error *err)
{
    sigset_t blocked, before;
    pthread_t started;
    foreign_signals(&blocked);
    must(pthread_sigmask(SIG_SETMASK, &blocked, &before)); /* the new thread inherits the mask */
    int code = pthread_create(&started, NULL, run, context);
    must(pthread_sigmask(SIG_SETMASK, &before, NULL));
    if (code != 0)
        return mc_fail(err, MC_NO_MEMORY,
                       "cannot start thread '%s': %s; raise the limit of processes or memory", name,
                       code == EAGAIN ? "resources exhausted" : "not permitted");
    char short_name[NAME_SIZE];
    snprintf(short_name, sizeof(short_name), "%.15s", name);
    (void)pthread_setname_np(started, short_name); /* only a help for people who look on */
    *thread = started;
    return MC_OK;
}

void mc_thread_join(pthread_t thread)
{
    must(pthread_join(thread, NULL));
}

int mc_core_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN); /* more cores than a cpu_set_t holds */
    return online > 0 ? (int)online : 1;
}
