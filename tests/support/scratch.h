/* What several tests need around a store: a folder that goes away, stores and messages in it, waiting. */
#ifndef MC_TESTS_SCRATCH_H
#define MC_TESTS_SCRATCH_H

#include "tap.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "base/time.h"
#include "store/sqlite/sqlite_store.h"

struct scratch {
    char dir[256];
};

/* A new folder under $TMPDIR. */
static inline void scratch_make(struct scratch *scratch)
{
    const char *base = getenv("TMPDIR");
    snprintf(scratch->dir, sizeof(scratch->dir), "%s/mindcore-test-XXXXXX",
             base && *base ? base : P_tmpdir);
    if (!mkdtemp(scratch->dir))
        bail_out("no folder %s", scratch->dir);
}

static inline void scratch_remove_tree(const char *dir)
{
    DIR *entries = opendir(dir);
    struct dirent *entry;
    while (entries && (entry = readdir(entries))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char path[2048];
        int len = snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
        if (len < 0 || (size_t)len >= sizeof(path))
            continue;
        struct stat st;
        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
            scratch_remove_tree(path);
        else
            unlink(path);
    }
    if (entries)
        closedir(entries);
    rmdir(dir);
}

/* Removes the folder and all in it. */
static inline void scratch_remove(struct scratch *scratch)
{
    scratch_remove_tree(scratch->dir);
}

/* dir/name, in one of eight turns of static memory; for the test's own thread. */
static inline const char *scratch_path(const struct scratch *scratch, const char *name)
{
    static char paths[8][512];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", scratch->dir, name);
    return path;
}

static inline struct mc_store *scratch_store(const struct scratch *scratch, const char *name)
{
    struct mc_sqlite_options options = {.path = scratch_path(scratch, name)};
    struct mc_store *store = NULL;
    struct mc_error err = {0};
    if (mc_sqlite_store_open(&options, &store, &err))
        bail_out("the store does not open: %s", err.message);
    return store;
}

/* A message ready to be put; the caller changes what matters to it. */
static inline struct mc_put scratch_put(const char *id, const char *text)
{
    return (struct mc_put){.message = {
                               .message_id = mc_str_of(id),
                               .user_id = MC_STR("u"),
                               .thread_id = MC_STR("t"),
                               .session_id = MC_STR("s"),
                               .agent_id = MC_STR(""),
                               .text = mc_str_of(text),
                               .metadata = MC_STR("{}"),
                               .created_at_us = mc_time_now_us(),
                               .importance = 0.5,
                           }};
}

/* Puts one message and lets go of its record; its row. */
static inline int64_t scratch_store_put(struct mc_store *store, struct mc_put *put)
{
    struct mc_error err = {0};
    if (store->ops->put(store, put, 1, &err) || put->status || !put->record)
        bail_out("a message was not stored: %s", err.message);
    int64_t row = put->record->row;
    mc_record_unref(put->record);
    put->record = NULL;
    return row;
}

/* One reference to a stored message, NULL when there is none. */
static inline struct mc_record *scratch_get(struct mc_store *store, const char *id)
{
    static const struct mc_reader everything = {.everything = true};
    struct mc_record *record = NULL;
    struct mc_error err = {0};
    enum mc_status status = store->ops->get(store, mc_str_of(id), &everything, &record, &err);
    if (status && status != MC_NOT_FOUND)
        bail_out("a message was not read: %s", err.message);
    return record;
}

static inline struct mc_queue_stats scratch_queue(struct mc_store *store)
{
    struct mc_queue_stats stats = {0};
    struct mc_error err = {0};
    if (store->ops->queue(store, mc_time_now_us(), &stats, &err))
        bail_out("the queue was not read: %s", err.message);
    return stats;
}

/* The dead jobs of a store: how many, and of the one told last its attempts and why. */
struct scratch_dead {
    int count, attempts;
    char error[400];
};

static inline bool scratch_keep_dead(void *context, mc_str message_id, mc_str user_id, int attempts,
                                     int64_t enqueued_us, int64_t died_us, mc_str error)
{
    (void)message_id;
    (void)user_id;
    struct scratch_dead *dead = context;
    dead->count += died_us >= enqueued_us;
    dead->attempts = attempts;
    snprintf(dead->error, sizeof(dead->error), "%.*s", MC_STR_ARG(error));
    return true;
}

static inline struct scratch_dead scratch_dead_jobs(struct mc_store *store)
{
    struct scratch_dead dead = {0};
    struct mc_error err = {0};
    if (store->ops->dead_jobs(store, 100, scratch_keep_dead, &dead, &err))
        bail_out("dead jobs: %s", err.message);
    return dead;
}

static inline void scratch_pause_ms(int ms)
{
    struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

/* Looks every few milliseconds until the condition holds or the time is over; whether it held. */
#define scratch_wait(condition, timeout_ms)                                                        \
    (__extension__({                                                                               \
        int64_t wait_until = mc_time_monotonic_us() + (int64_t)(timeout_ms)*MC_US_PER_MS;          \
        bool wait_held = (condition);                                                              \
        while (!wait_held && mc_time_monotonic_us() < wait_until) {                                \
            scratch_pause_ms(2);                                                                   \
            wait_held = (condition);                                                               \
        }                                                                                          \
        wait_held;                                                                                 \
    }))

#endif
