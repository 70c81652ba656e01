/*
 * DESIGN. The database is only ever seen whole: the copy grows under another name, and one rename puts it in place,
 * while the old file keeps its content under a second name (a hard link). A log that was left by a crash is written
 * back before, since SQLite would apply it to whatever file has the database's name.
 */
#include "store/sqlite/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/error.h"
#include "store/sqlite/restore_parts.h"

#define NAMES_MAX 100 /* for what was there, within one second */

static enum mc_status sync_folder(const struct mc_restore *r, struct mc_error *err)
{
    char folder[PATH_MAX];
    const char *kept = r->restored->kept;
    int fd = open(mc_restore_folder(r, folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    int number = errno;
    mc_restore_close(&fd);
    if (synced)
        return MC_OK;
    return mc_fail(err, MC_IO,
                   "'%s' is restored, but its folder cannot be synced: %s; after a power failure "
                   "the old one may be back%s%s%s",
                   r->database, strerror(number), *kept ? "; it is kept as '" : "", kept,
                   *kept ? "'" : "");
}

static enum mc_status fail_used(const struct mc_restore *r, struct mc_error *err)
{
    return mc_fail(err, MC_BUSY, "'%s' was used meanwhile; %s", r->database, MC_RESTORE_STOP);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Where there is none an empty one takes the name, so that there is something to lock. */
static enum mc_status open_database(struct mc_restore *r, struct mc_error *err)
{
    bool missing = r->old.st_ino == 0;
    struct stat now;
    enum mc_status status = MC_OK;
    if (!missing && stat(r->database, &now) == 0)
        status = mc_restore_unused_here(&now, r->database, MC_RESTORE_STOP, err);
    if (status != MC_OK)
        return status;
    r->database_fd = open(r->database, O_RDWR | O_CLOEXEC | (missing ? O_CREAT | O_EXCL : 0), 0600);
    if (r->database_fd >= 0)
        return MC_OK;
    return missing && errno == EEXIST ? fail_used(r, err)
                                      : mc_restore_fail(err, "write", r->database);
}

/* The copying took long: what is there, and locked, must still be what was looked at. */
static bool unchanged(const struct mc_restore *r)
{
    struct stat held, named, log;
    if (fstat(r->database_fd, &held) != 0 || stat(r->database, &named) != 0 ||
        !same_file(&held, &named))
        return false;
    if (r->old.st_ino == 0)
        return held.st_size == 0;
    mc_restore_look_at_log(r, &log);
    return same_file(&held, &r->old) && same_file(&log, &r->old_log);
}

/* Holds every lock that a connection would need, so that none is made meanwhile. */
static enum mc_status lock_database(struct mc_restore *r, struct mc_error *err)
{
    enum mc_status status = open_database(r, err);
    if (status != MC_OK)
        return status;
    if (!mc_restore_lock(r->database_fd)) {
        status = mc_restore_unused(r->database_fd, r->database, MC_RESTORE_STOP, err);
        return status != MC_OK ? status : fail_used(r, err);
    }
    if (!unchanged(r))
        return fail_used(r, err);
    r->created = r->old.st_ino == 0;
    return MC_OK;
}

/* A second name for the old file; where there are no hard links only the name is chosen. */
static enum mc_status keep_old(struct mc_restore *r, struct mc_error *err)
{
    char *kept = r->restored->kept;
    time_t now = time(NULL);
    struct tm utc;
    char stamp[32];
    if (!gmtime_r(&now, &utc) || !strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &utc))
        return mc_fail(err, MC_INTERNAL, "the time cannot be told");
    for (int i = 1; i <= NAMES_MAX; i++) {
        char number[16] = "";
        if (i > 1)
            snprintf(number, sizeof(number), "-%d", i);
        int len = snprintf(kept, sizeof(r->restored->kept), "%s.before-restore-%s%s", r->database,
                           stamp, number);
        if (len < 0 || (size_t)len >= sizeof(r->restored->kept))
            errno = ENAMETOOLONG;
        else
            r->linked = link(r->database, kept) == 0;
        if (r->linked)
            return MC_OK;
        if (errno != EEXIST)
            break;
    }
    if (errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK)
        return MC_OK;
    enum mc_status status = mc_restore_fail(err, "keep the old database as", kept);
    kept[0] = '\0';
    return status;
}

/* What SQLite would apply to the file of that name. What a damaged database left goes with it, and comes back with it. */
static enum mc_status move_leftovers(struct mc_restore *r, bool back, struct mc_error *err)
{
    static const char *const ends[] = {"-wal", "-journal", "-shm"};
    for (size_t i = 0; i < mc_countof(ends); i++) {
        char here[PATH_MAX + 16];
        char kept[sizeof(r->restored->kept) + 16];
        snprintf(here, sizeof(here), "%s%s", r->database, ends[i]);
        snprintf(kept, sizeof(kept), "%s%s", r->restored->kept, ends[i]);
        bool keep = r->restored->kept[0] && strcmp(ends[i], "-shm") != 0;
        int failed = 0;
        if (keep)
            failed = back ? rename(kept, here) : rename(here, kept);
        else if (!back)
            failed = unlink(here);
        if (failed && errno != ENOENT)
            return mc_restore_fail(err, "move", back ? kept : here);
    }
    return MC_OK;
}

/* Without a hard link the copy waits under the name that the old file is to have, and they change places. */
static enum mc_status exchange_names(struct mc_restore *r, struct mc_error *err)
{
    const char *kept = r->restored->kept;
    if (rename(r->copy, kept) != 0)
        return mc_restore_fail(err, "rename the copy to", kept);
    if (renameat2(AT_FDCWD, kept, AT_FDCWD, r->database, RENAME_EXCHANGE) == 0)
        return MC_OK;
    int number = errno;
    (void)rename(kept, r->copy);
    return mc_fail(err, MC_UNSUPPORTED,
                   "'%s' is on a file system that cannot keep the old one in the same step (%s); "
                   "rename it yourself, and restore again",
                   r->database, strerror(number));
}

static enum mc_status place_copy(struct mc_restore *r, struct mc_error *err)
{
    enum mc_status status = move_leftovers(r, false, err);
    if (status == MC_OK && r->restored->kept[0] && !r->linked)
        status = exchange_names(r, err);
    else if (status == MC_OK && rename(r->copy, r->database) != 0)
        status = mc_restore_fail(err, "rename the copy to", r->database);
    if (status == MC_OK) {
        r->copied = r->created = false;
        return MC_OK;
    }
    struct mc_error ignored;
    if (move_leftovers(r, true, &ignored) != MC_OK)
        return mc_fail_prefix(err, status, "what was there is kept as '%s'", r->restored->kept);
    if (r->linked)
        (void)unlink(r->restored->kept);
    return status;
}

static enum mc_status exchange(struct mc_restore *r, struct mc_error *err)
{
    enum mc_status status = lock_database(r, err);
    /* Under the lock: what runs before it may fill the cache again. */
    if (status == MC_OK && r->options->before)
        status = r->options->before(r->options->before_context, err);
    if (status == MC_OK && r->old.st_size > 0)
        status = keep_old(r, err);
    if (status == MC_OK)
        status = place_copy(r, err);
    return status == MC_OK ? sync_folder(r, err) : status;
}

static void end(struct mc_restore *r)
{
    if (r->copied)
        mc_restore_remove_copy(r, true);
    if (r->created)
        (void)unlink(r->database);
    mc_restore_close(&r->backup_fd);
    mc_restore_close(&r->copy_fd);
    mc_restore_close(&r->database_fd);
}

enum mc_status mc_sqlite_restore(const struct mc_restore_options *options,
                                 struct mc_restored *restored, struct mc_error *err)
{
    mc_auto(end) struct mc_restore r = {.options = options,
                                        .restored = restored,
                                        .backup_fd = -1,
                                        .copy_fd = -1,
                                        .database_fd = -1};
    memset(restored, 0, sizeof(*restored));
    enum mc_status status = mc_restore_open_backup(&r, err);
    if (status == MC_OK)
        status = mc_restore_check_database(&r, err);
    if (status == MC_OK)
        status = mc_restore_make_copy(&r, err);
    return status == MC_OK ? exchange(&r, err) : status;
}
