/*
 * DESIGN. inotify tells of every write to the log, this process's own among them. After a pause
 * that gathers a burst of them, the thread compares PRAGMA data_version on the writer connection,
 * which changes through commits of other processes alone. The last step of a commit, in shared
 * memory, causes no event and may come later than the write (an fsync lies between), so after a
 * burst it looks again a few times, then sleeps for good.
 */
#include "store/sqlite/watch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/time.h"
#include "store/sqlite/writer.h"

/* Looks after a burst of writes: milliseconds from one to the next. */
static const int looks_ms[] = {20, 200, 2000};

static void poke(struct mc_watch *watch)
{
    uint64_t one = 1;
    /* A full counter means that the thread is already told. */
    if (write(watch->signal, &one, sizeof(one)) < 0)
        return;
}

static void on_foreign(void *context)
{
    poke(context);
}

static void drain(int fd)
{
    char buffer[4096];
    while (read(fd, buffer, sizeof(buffer)) > 0)
        continue;
}

/* The thread sleeps here: true when the log has changed, false when the time is up or the signal
 * came. */
static bool log_changed(struct mc_watch *watch, int timeout_ms)
{
    struct pollfd fds[2] = {{.fd = watch->inotify, .events = POLLIN},
                            {.fd = watch->signal, .events = POLLIN}};
    if (poll(fds, 2, timeout_ms) <= 0)
        return false;
    if (fds[1].revents)
        drain(watch->signal);
    return fds[0].revents != 0;
}

static void look(struct mc_watch *watch)
{
    struct mc_error err;
    enum mc_status status = mc_writer_look(watch->writer, &err);
    if (status != MC_OK && status != MC_BUSY)
        mc_log(MC_LOG_WARNING, "store", "cannot look for other processes' changes: %s",
               err.message);
}

static void tell(struct mc_watch *watch)
{
    if (atomic_exchange(&watch->writer->foreign, false))
        watch->notify(watch->context);
}

static void *run(void *context)
{
    struct mc_watch *watch = context;
    size_t looks = mc_countof(looks_ms); /* made since the last change; at the end: sleep */
    while (!atomic_load(&watch->stop)) {
        bool idle = looks == mc_countof(looks_ms);
        if (log_changed(watch, idle ? -1 : looks_ms[looks])) {
            /* The first wake of a burst waits for the rest of it; stop must still be heard. */
            struct pollfd signal = {.fd = watch->signal, .events = POLLIN};
            poll(&signal, 1, looks_ms[0]);
            drain(watch->inotify);
            look(watch);
            looks = 1;
        } else if (!idle && !atomic_load(&watch->stop)) {
            look(watch);
            looks++;
        }
        tell(watch);
    }
    return NULL;
}

enum mc_status mc_watch_start(struct mc_watch *watch, const char *path, struct mc_writer *writer,
                              mc_foreign_change_fn notify, void *context, struct mc_error *err)
{
    *watch = (struct mc_watch){
        .inotify = -1, .signal = -1, .writer = writer, .notify = notify, .context = context};
    atomic_init(&watch->stop, false);
    char *log = NULL;
    if (asprintf(&log, "%s-wal", path) < 0)
        return mc_fail_memory(err);
    watch->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    watch->signal = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bool ready = watch->inotify >= 0 && watch->signal >= 0 &&
                 inotify_add_watch(watch->inotify, log, IN_MODIFY) >= 0;
    writer->on_foreign = on_foreign;
    writer->on_foreign_context = watch;
    enum mc_status status = MC_OK;
    if (!ready)
        status = mc_fail(err, MC_IO, "cannot watch '%s': %s; raise fs.inotify.max_user_instances",
                         log, strerror(errno));
    free(log);
    if (status == MC_OK)
        status = mc_thread_start(&watch->thread, "mc-watch", run, watch, err);
    if (status != MC_OK) {
        writer->on_foreign = NULL;
        if (watch->inotify >= 0)
            close(watch->inotify);
        if (watch->signal >= 0)
            close(watch->signal);
        return status;
    }
    watch->running = true;
    return MC_OK;
}

void mc_watch_stop(struct mc_watch *watch)
{
    if (!watch->running)
        return;
    atomic_store(&watch->stop, true);
    poke(watch);
    mc_thread_join(watch->thread);
    close(watch->inotify);
    close(watch->signal);
    watch->running = false;
}
