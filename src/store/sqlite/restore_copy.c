/* The copy of the backup: made next to the database, and checked in full. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "store/sqlite/restore_parts.h"
#include "store/sqlite/sqlite.h"

#define COPY_BYTES ((size_t)1 << 20)

/* Removes what belongs to the copy, and with it itself. */
void mc_restore_remove_copy(const struct mc_restore *r, bool itself)
{
    static const char *const ends[] = {"-wal", "-shm", "-journal", ""};
    for (size_t i = 0; i < mc_countof(ends) - !itself; i++) {
        char path[PATH_MAX + 16];
        snprintf(path, sizeof(path), "%s%s", r->copy, ends[i]);
        (void)unlink(path);
    }
}

/* A copy that an earlier run left is taken over, but not one that another run is making. */
static enum mc_status open_copy(struct mc_restore *r, struct mc_error *err)
{
    struct stat opened, named;
    r->copy_fd = open(r->copy, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (r->copy_fd < 0)
        return mc_restore_fail(err, "create", r->copy);
    if (flock(r->copy_fd, LOCK_EX | LOCK_NB) != 0 || fstat(r->copy_fd, &opened) != 0 ||
        stat(r->copy, &named) != 0 || opened.st_ino != named.st_ino ||
        opened.st_dev != named.st_dev)
        return mc_fail(err, MC_BUSY, "another process restores '%s' now", r->database);
    r->copied = true;
    mc_restore_remove_copy(r, false); /* its log is not the new one's */
    return ftruncate(r->copy_fd, 0) == 0 ? MC_OK : mc_restore_fail(err, "write", r->copy);
}

static enum mc_status write_all(int fd, const char *data, size_t len, const char *path,
                                struct mc_error *err)
{
    while (len > 0) {
        ssize_t written = write(fd, data, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return mc_restore_fail(err, "write", path);
        data += written;
        len -= (size_t)written;
    }
    return MC_OK;
}

static enum mc_status tell_progress(const struct mc_restore *r, uint64_t done, struct mc_error *err)
{
    if (!r->options->progress ||
        r->options->progress(r->options->context, done, (uint64_t)r->backup.st_size))
        return MC_OK;
    return mc_fail(err, MC_CANCELLED, "the restore was stopped; the database is as it was");
}

static enum mc_status copy_bytes(struct mc_restore *r, char *buffer, struct mc_error *err)
{
    uint64_t done = 0;
    for (;;) {
        ssize_t len = read(r->backup_fd, buffer, COPY_BYTES);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return mc_restore_fail(err, "read", r->options->backup);
        if (len == 0)
            return fsync(r->copy_fd) == 0 ? MC_OK : mc_restore_fail(err, "write", r->copy);
        enum mc_status status = write_all(r->copy_fd, buffer, (size_t)len, r->copy, err);
        done += (uint64_t)len;
        if (status == MC_OK)
            status = tell_progress(r, done, err);
        if (status != MC_OK)
            return status;
    }
}

static enum mc_status write_copy(struct mc_restore *r, struct mc_error *err)
{
    enum mc_status status = open_copy(r, err);
    if (status != MC_OK)
        return status;
    char *buffer = malloc(COPY_BYTES);
    if (!buffer)
        return mc_fail_memory(err);
    status = copy_bytes(r, buffer, err);
    free(buffer);
    return status;
}

struct findings {
    int count;
    char first[200];
};

static bool note_finding(void *context, mc_str problem)
{
    struct findings *found = context;
    if (found->count++ == 0)
        snprintf(found->first, sizeof(found->first), "%.*s", MC_STR_ARG(problem));
    return true;
}

static void close_store(struct mc_store **store)
{
    if (*store)
        (*store)->ops->close(*store);
}

static enum mc_status examine_copy(struct mc_restore *r, struct mc_error *err)
{
    mc_auto(close_store) struct mc_store *store = NULL;
    struct mc_sqlite_options options = {.path = r->copy, .readers = 1};
    struct mc_store_stats stats = {0};
    struct findings found = {0};
    enum mc_status status = mc_sqlite_store_open(&options, &store, err);
    if (status == MC_OK)
        status = store->ops->check(store, note_finding, &found, err);
    if (status == MC_OK && found.count == 0)
        status = store->ops->stats(store, &stats, err);
    if (status == MC_OK && found.count == 0) /* caches of what was there before are of no use */
        status = mc_sqlite_change_generation(store, err);
    if (status == MC_CORRUPT || found.count > 0)
        return mc_fail(err, MC_CORRUPT,
                       "'%s' is damaged: %s; use another backup, or save what is left with: "
                       "sqlite3 FILE .recover",
                       r->options->backup,
                       found.count > 0 ? found.first : "pages of it cannot be read");
    r->restored->messages = stats.messages;
    r->restored->users = stats.users;
    return status == MC_OK ? MC_OK : mc_fail_prefix(err, status, "the copy could not be checked");
}

/* Also what the copy's own log holds must be in the file that is renamed. */
static enum mc_status check_copy(struct mc_restore *r, struct mc_error *err)
{
    char log[PATH_MAX + 16];
    struct stat info;
    enum mc_status status = examine_copy(r, err);
    if (status != MC_OK)
        return status;
    snprintf(log, sizeof(log), "%s-wal", r->copy);
    if (stat(log, &info) == 0 && info.st_size > 0)
        return mc_fail(err, MC_IO,
                       "'%s' could not be written back into the copy; see that the disk has room "
                       "and nothing else opens it, and restore again",
                       log);
    return tell_progress(r, (uint64_t)r->backup.st_size, err);
}

/* As the old file, or as the folder when there is none, so that root can restore what a service opens. */
static void give_to_owner(const struct mc_restore *r)
{
    struct stat owner = r->old;
    char folder[PATH_MAX];
    if (owner.st_ino == 0 && stat(mc_restore_folder(r, folder), &owner) != 0)
        return;
    if (r->old.st_ino != 0)
        (void)fchmod(r->copy_fd, r->old.st_mode & 0777);
    if (geteuid() == 0)
        (void)!fchown(r->copy_fd, owner.st_uid, owner.st_gid);
}

enum mc_status mc_restore_make_copy(struct mc_restore *r, struct mc_error *err)
{
    enum mc_status status = write_copy(r, err);
    if (status == MC_OK)
        status = check_copy(r, err);
    if (status != MC_OK)
        return status;
    give_to_owner(r);
    return fsync(r->copy_fd) == 0 ? MC_OK : mc_restore_fail(err, "write", r->copy);
}
