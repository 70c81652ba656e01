/*
 * Notices commits of other processes: a thread that sleeps until the log file of the database
 * changes, then asks the writer connection whether somebody else committed, and tells so. Idle, it
 * does not wake.
 */
#ifndef MC_STORE_SQLITE_WATCH_H
#define MC_STORE_SQLITE_WATCH_H

#include <pthread.h>

#include "store/store.h"

struct mc_writer;
struct mc_watch {
    bool running;
    pthread_t thread;
    int inotify;
    int signal; /* eventfd: stop, or the writer has noticed a foreign commit */
    atomic_bool stop;
    struct mc_writer *writer;
    mc_foreign_change_fn notify;
    void *context;
};

/* path: the database's. MC_IO when the system offers no more watches. */
MC_MUST_CHECK enum mc_status mc_watch_start(struct mc_watch *watch, const char *path,
                                            struct mc_writer *writer, mc_foreign_change_fn notify,
                                            void *context, struct mc_error *err);
/* Does nothing when it is not running. */
void mc_watch_stop(struct mc_watch *watch);

#endif
