/* Threads, mutexes and conditions over POSIX, with failures that cannot happen turned into aborts. */
#ifndef MC_BASE_THREAD_H
#define MC_BASE_THREAD_H

#include <pthread.h>

#include <mindcore/types.h>

typedef pthread_mutex_t mc_mutex;
typedef pthread_cond_t mc_cond; /* waits on the monotonic clock */

void mc_mutex_init(mc_mutex *mutex);
void mc_mutex_fini(mc_mutex *mutex);
void mc_mutex_lock(mc_mutex *mutex);
void mc_mutex_unlock(mc_mutex *mutex);
void mc_cond_init(mc_cond *cond);
void mc_cond_fini(mc_cond *cond);
void mc_cond_wait(mc_cond *cond, mc_mutex *mutex);
/* Waits until signalled or the monotonic time; false when the time came. */
bool mc_cond_wait_until(mc_cond *cond, mc_mutex *mutex, int64_t monotonic_us);
void mc_cond_signal(mc_cond *cond);
void mc_cond_broadcast(mc_cond *cond);

/* All signals are blocked in the thread, so that the program's own handlers run in its own threads. name: at most 15 bytes. */
MC_MUST_CHECK enum mc_status mc_thread_start(pthread_t *thread, const char *name,
                                             void *(*run)(void *), void *context,
                                             struct mc_error *err);
void mc_thread_join(pthread_t thread);
/* Cores that this process may use, at least 1. */
int mc_core_count(void);

#endif
