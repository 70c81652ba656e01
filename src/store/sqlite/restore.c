/*
 * DESIGN. The database is only ever seen whole: the copy grows under another name, and one rename puts it in place,
 * while the old file keeps its content under a second name (a hard link). A log that was left by a crash is written
 * back before, since SQLite would apply it to whatever file has the database's name.
 *
 * Whether a process has a database open is asked of the locks on its bytes: a connection in WAL mode holds a shared
 * one until it is closed. Asked like this it needs no sound database, and names the process. The locks that are
 * taken belong to the open file, so that they count against connections of this process too; that one of those is
 * there is seen from its open files, since to close another descriptor of the file would end its locks.
 */
#include "store/sqlite/restore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "store/sqlite/conn.h"
#include "store/sqlite/schema.h"

/* Of SQLite's file format: what it locks, and the header. */
#define LOCK_START 0x40000000
#define LOCK_BYTES 512
#define HEADER_BYTES 100
#define MAGIC "SQLite format 3"

#define COPY_BYTES ((size_t)1 << 20)
#define PROBE_TIMEOUT_US (500 * MC_US_PER_MS)
#define NAMES_MAX 100 /* for what was there, within one second */

struct restore {
    const struct mc_restore_options *options;
    struct mc_restored *restored;
    char database[PATH_MAX]; /* symbolic links resolved */
    char copy[PATH_MAX];
    int backup_fd, copy_fd, database_fd; /* the last: -1 when there is none */
    struct stat backup, old, old_log;    /* the last two all 0: there is none */
    bool copied;                         /* the copy is there and ours */
    bool created;                        /* the database is empty and ours */
    bool linked;                         /* the old file has both names */
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static enum mc_status fail_file(struct mc_error *err, const char *doing, const char *path)
{
    int number = errno;
    bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;
    return mc_fail(err,
                   full               ? MC_DISK_FULL
                   : number == ENOENT ? MC_NOT_FOUND
                                      : MC_IO,
                   "cannot %s '%s': %s%s", doing, path, strerror(number),
                   full ? "; free some space, the database is as it was" : "");
}

/* What a connection locks, as the system wants it for locks of an open file. */
static struct flock connection_lock(void)
{
    return (struct flock){
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_START, .l_len = LOCK_BYTES};
}

static bool open_here(const struct stat *file)
{
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return false;
    bool found = false;
    struct stat info;
    for (struct dirent *entry; !found && (entry = readdir(folder));)
        found = fstatat(dirfd(folder), entry->d_name, &info, 0) == 0 &&
                info.st_dev == file->st_dev && info.st_ino == file->st_ino;
    closedir(folder);
    return found;
}

/* Before the file is opened here. */
static enum mc_status check_unused_here(const struct stat *file, const char *path,
                                        const char *advice, struct mc_error *err)
{
    if (!open_here(file))
        return MC_OK;
    return mc_fail(err, MC_BUSY, "this process has '%s' open; %s", path, advice);
}

static enum mc_status check_unused(int fd, const char *path, const char *advice,
                                   struct mc_error *err)
{
    struct flock lock = connection_lock();
    if (fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK)
        return MC_OK;
    if (lock.l_pid <= 0)
        return mc_fail(err, MC_BUSY, "another process has '%s' open; %s", path, advice);
    return mc_fail(err, MC_BUSY, "process %d has '%s' open; %s", lock.l_pid, path, advice);
}

/* ---- The backup ---- */

static uint64_t big_endian(const unsigned char *bytes, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* What can be told of the file without opening it as a database, which names it and costs nothing. */
static enum mc_status check_header(struct restore *r, struct mc_error *err)
{
    unsigned char h[HEADER_BYTES] = {0};
    const char *path = r->options->backup;
    ssize_t len = pread(r->backup_fd, h, sizeof(h), 0);
    if (len < 0)
        return fail_file(err, "read", path);
    if (len < HEADER_BYTES || memcmp(h, MAGIC, sizeof(MAGIC)) != 0)
        return mc_fail(err, MC_CORRUPT,
                       "'%s' is not a database; name a file that 'mindcore backup' wrote", path);
    if (big_endian(h + 68, 4) != MC_SCHEMA_APPLICATION)
        return mc_fail(err, MC_CORRUPT,
                       "'%s' is a database of another program; name a file that 'mindcore backup' "
                       "wrote",
                       path);
    uint64_t version = big_endian(h + 60, 4);
    if (version > (uint64_t)mc_schema_version())
        return mc_fail(err, MC_VERSION,
                       "'%s' was written by a newer version of Mindcore (schema %" PRIu64
                       ", this one knows %d); restore it with that version",
                       path, version, mc_schema_version());
    uint64_t page = big_endian(h + 16, 2);
    uint64_t needed = (page == 1 ? 65536 : page) * big_endian(h + 28, 4);
    /* The count of pages is only good when the same change wrote both. */
    if (big_endian(h + 24, 4) == big_endian(h + 92, 4) && (uint64_t)r->backup.st_size < needed)
        return mc_fail(err, MC_CORRUPT,
                       "'%s' is cut off: it has %lld of %" PRIu64 " bytes; use another backup",
                       path, (long long)r->backup.st_size, needed);
    return MC_OK;
}

static const char no_backup[] = "what is in use is no backup: make one with 'mindcore backup'";

static enum mc_status open_backup(struct restore *r, struct mc_error *err)
{
    const char *path = r->options->backup;
    char log[PATH_MAX];
    struct stat info;
    enum mc_status status = MC_OK;
    if (stat(path, &info) == 0)
        status = check_unused_here(&info, path, no_backup, err);
    if (status != MC_OK)
        return status;
    r->backup_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r->backup_fd < 0 || fstat(r->backup_fd, &r->backup) != 0)
        return fail_file(err, "open the backup", path);
    if (!S_ISREG(r->backup.st_mode))
        return mc_fail(err, MC_INVALID, "'%s' is not a file; name one that 'mindcore backup' wrote",
                       path);
    status = check_header(r, err);
    if (status == MC_OK)
        status = check_unused(r->backup_fd, path, no_backup, err);
    if (status != MC_OK)
        return status;
    int len = snprintf(log, sizeof(log), "%s-wal", path);
    if (len > 0 && (size_t)len < sizeof(log) && stat(log, &info) == 0 && info.st_size > 0)
        return mc_fail(err, MC_INVALID,
                       "'%s' belongs to '%s' and holds a part of it; make one whole file of both "
                       "with 'mindcore backup --db sqlite:%s NEW', and restore that",
                       log, path, path);
    return MC_OK;
}

/* ---- What is there now ---- */

static enum mc_status ask_database(struct mc_conn *conn, int64_t *has, struct mc_error *err)
{
    static const char *const tables[] = {"messages", "preferences", "agents", "keys"};
    int64_t ours = 0;
    enum mc_status status =
        mc_conn_integer(conn, "PRAGMA application_id", MC_NO_BINDS, NULL, &ours, err);
    *has = ours != 0 && ours != MC_SCHEMA_APPLICATION;
    for (size_t i = 0; status == MC_OK && !*has && i < mc_countof(tables); i++) {
        char sql[96];
        int64_t there = 0;
        status = mc_conn_integer(conn, "SELECT count(*) FROM sqlite_master WHERE name = ?1",
                                 MC_BINDS(mc_bind_str(mc_str_of(tables[i]))), NULL, &there, err);
        snprintf(sql, sizeof(sql), "SELECT EXISTS (SELECT 1 FROM %s)", tables[i]);
        if (status == MC_OK && there > 0)
            status = mc_conn_integer(conn, sql, MC_NO_BINDS, NULL, has, err);
    }
    return status;
}

/*
 * Whether the database holds anything, which one that cannot be read may. Closing it again writes a log that a crash
 * left into the file.
 */
static bool has_data(const char *path)
{
    mc_auto(mc_conn_close_ptr) struct mc_conn *conn = NULL;
    struct mc_error ignored;
    int64_t has = 1;
    if (mc_conn_open(path, PROBE_TIMEOUT_US, false, &conn, &ignored) != MC_OK ||
        ask_database(conn, &has, &ignored) != MC_OK)
        return true;
    return has != 0;
}

static const char stop_it[] = "stop the server, and whatever else uses it, and restore again";

/* The name behind symbolic links. One that leads nowhere may be of a disk that is not mounted. */
static enum mc_status find_name(struct restore *r, struct mc_error *err)
{
    const char *path = r->options->database;
    char target[PATH_MAX];
    if (!path || !*path || strcmp(path, ":memory:") == 0)
        return mc_fail_field(err, MC_INVALID, "database.path",
                             "a backup is restored into a file; name it with --db sqlite:PATH");
    if (!realpath(path, r->database)) {
        ssize_t len = readlink(path, target, sizeof(target));
        if (len >= 0)
            return mc_fail_field(err, MC_NOT_FOUND, "database.path",
                                 "'%s' is a link to '%.*s', which is not there; mount its disk, or "
                                 "restore to the name that it leads to",
                                 path, (int)len, target);
        snprintf(r->database, sizeof(r->database), "%s", path);
    }
    int len = snprintf(r->copy, sizeof(r->copy), "%s.restoring", r->database);
    return len > 0 && (size_t)len < sizeof(r->copy)
               ? MC_OK
               : mc_fail_field(err, MC_INVALID, "database.path",
                               "the name of the database is too long");
}

static enum mc_status find_database(struct restore *r, struct mc_error *err)
{
    struct stat info;
    enum mc_status status = find_name(r, err);
    if (status != MC_OK)
        return status;
    if (stat(r->database, &info) != 0)
        return errno == ENOENT ? MC_OK : fail_file(err, "use", r->database);
    if (!S_ISREG(info.st_mode))
        return mc_fail_field(err, MC_INVALID, "database.path", "'%s' is not a file", r->database);
    if (info.st_dev == r->backup.st_dev && info.st_ino == r->backup.st_ino)
        return mc_fail_field(err, MC_INVALID, "database.path",
                             "'%s' is the database itself; name the backup", r->options->backup);
    status = check_unused_here(&info, r->database, stop_it, err);
    if (status != MC_OK)
        return status;
    r->old = info;
    r->database_fd = open(r->database, O_RDWR | O_CLOEXEC);
    return r->database_fd < 0 ? fail_file(err, "write", r->database) : MC_OK;
}

static void look_at_log(const struct restore *r, struct stat *log)
{
    char path[PATH_MAX + 16];
    snprintf(path, sizeof(path), "%s-wal", r->database);
    if (stat(path, log) != 0)
        memset(log, 0, sizeof(*log));
}

static enum mc_status check_database(struct restore *r, struct mc_error *err)
{
    enum mc_status status = find_database(r, err);
    if (status != MC_OK || r->database_fd < 0)
        return status;
    status = check_unused(r->database_fd, r->database, stop_it, err);
    if (status != MC_OK)
        return status;
    close_fd(&r->database_fd); /* before SQLite opens it: its locks would end with ours */
    if (r->old.st_size > 0 && has_data(r->database) && !r->options->replace)
        return mc_fail(
            err, MC_CONFLICT,
            "'%s' holds data; give --force to put the backup in its place, what is there "
            "now is kept under another name",
            r->database);
    look_at_log(r, &r->old_log);
    return stat(r->database, &r->old) == 0 ? MC_OK : fail_file(err, "use", r->database);
}

/* ---- The copy ---- */

/* Removes what belongs to the copy, and with it itself. */
static void remove_copy(const struct restore *r, bool itself)
{
    static const char *const ends[] = {"-wal", "-shm", "-journal", ""};
    for (size_t i = 0; i < mc_countof(ends) - !itself; i++) {
        char path[PATH_MAX + 16];
        snprintf(path, sizeof(path), "%s%s", r->copy, ends[i]);
        (void)unlink(path);
    }
}

/* A copy that an earlier run left is taken over, but not one that another run is making. */
static enum mc_status open_copy(struct restore *r, struct mc_error *err)
{
    struct stat opened, named;
    r->copy_fd = open(r->copy, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (r->copy_fd < 0)
        return fail_file(err, "create", r->copy);
    if (flock(r->copy_fd, LOCK_EX | LOCK_NB) != 0 || fstat(r->copy_fd, &opened) != 0 ||
        stat(r->copy, &named) != 0 || opened.st_ino != named.st_ino ||
        opened.st_dev != named.st_dev)
        return mc_fail(err, MC_BUSY, "another process restores '%s' now", r->database);
    r->copied = true;
    remove_copy(r, false); /* its log is not the new one's */
    return ftruncate(r->copy_fd, 0) == 0 ? MC_OK : fail_file(err, "write", r->copy);
}

static enum mc_status write_all(int fd, const char *data, size_t len, const char *path,
                                struct mc_error *err)
{
    while (len > 0) {
        ssize_t written = write(fd, data, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return fail_file(err, "write", path);
        data += written;
        len -= (size_t)written;
    }
    return MC_OK;
}

static enum mc_status tell_progress(const struct restore *r, uint64_t done, struct mc_error *err)
{
    if (!r->options->progress ||
        r->options->progress(r->options->context, done, (uint64_t)r->backup.st_size))
        return MC_OK;
    return mc_fail(err, MC_CANCELLED, "the restore was stopped; the database is as it was");
}

static enum mc_status copy_bytes(struct restore *r, char *buffer, struct mc_error *err)
{
    uint64_t done = 0;
    for (;;) {
        ssize_t len = read(r->backup_fd, buffer, COPY_BYTES);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return fail_file(err, "read", r->options->backup);
        if (len == 0)
            return fsync(r->copy_fd) == 0 ? MC_OK : fail_file(err, "write", r->copy);
        enum mc_status status = write_all(r->copy_fd, buffer, (size_t)len, r->copy, err);
        done += (uint64_t)len;
        if (status == MC_OK)
            status = tell_progress(r, done, err);
        if (status != MC_OK)
            return status;
    }
}

static enum mc_status make_copy(struct restore *r, struct mc_error *err)
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

static enum mc_status examine_copy(struct restore *r, struct mc_error *err)
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
static enum mc_status check_copy(struct restore *r, struct mc_error *err)
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
static void give_to_owner(const struct restore *r)
{
    struct stat owner = r->old;
    char folder[PATH_MAX];
    snprintf(folder, sizeof(folder), "%s", r->database);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    if (owner.st_ino == 0 && stat(slash ? folder : ".", &owner) != 0)
        return;
    if (r->old.st_ino != 0)
        (void)fchmod(r->copy_fd, r->old.st_mode & 0777);
    if (geteuid() == 0)
        (void)!fchown(r->copy_fd, owner.st_uid, owner.st_gid);
}

/* ---- The change ---- */

static enum mc_status sync_folder(const struct restore *r, struct mc_error *err)
{
    char folder[PATH_MAX];
    const char *kept = r->restored->kept;
    snprintf(folder, sizeof(folder), "%s", r->database);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    int number = errno;
    close_fd(&fd);
    if (synced)
        return MC_OK;
    return mc_fail(err, MC_IO,
                   "'%s' is restored, but its folder cannot be synced: %s; after a power failure "
                   "the old one may be back%s%s%s",
                   r->database, strerror(number), *kept ? "; it is kept as '" : "", kept,
                   *kept ? "'" : "");
}

static enum mc_status fail_used(const struct restore *r, struct mc_error *err)
{
    return mc_fail(err, MC_BUSY, "'%s' was used meanwhile; %s", r->database, stop_it);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Where there is none an empty one takes the name, so that there is something to lock. */
static enum mc_status open_database(struct restore *r, struct mc_error *err)
{
    bool missing = r->old.st_ino == 0;
    struct stat now;
    enum mc_status status = MC_OK;
    if (!missing && stat(r->database, &now) == 0)
        status = check_unused_here(&now, r->database, stop_it, err);
    if (status != MC_OK)
        return status;
    r->database_fd = open(r->database, O_RDWR | O_CLOEXEC | (missing ? O_CREAT | O_EXCL : 0), 0600);
    if (r->database_fd >= 0)
        return MC_OK;
    return missing && errno == EEXIST ? fail_used(r, err) : fail_file(err, "write", r->database);
}

/* The copying took long: what is there, and locked, must still be what was looked at. */
static bool unchanged(const struct restore *r)
{
    struct stat held, named, log;
    if (fstat(r->database_fd, &held) != 0 || stat(r->database, &named) != 0 ||
        !same_file(&held, &named))
        return false;
    if (r->old.st_ino == 0)
        return held.st_size == 0;
    look_at_log(r, &log);
    return same_file(&held, &r->old) && same_file(&log, &r->old_log);
}

/* Holds every lock that a connection would need, so that none is made meanwhile. */
static enum mc_status lock_database(struct restore *r, struct mc_error *err)
{
    struct flock lock = connection_lock();
    enum mc_status status = open_database(r, err);
    if (status != MC_OK)
        return status;
    if (fcntl(r->database_fd, F_OFD_SETLK, &lock) != 0) {
        status = check_unused(r->database_fd, r->database, stop_it, err);
        return status != MC_OK ? status : fail_used(r, err);
    }
    if (!unchanged(r))
        return fail_used(r, err);
    r->created = r->old.st_ino == 0;
    return MC_OK;
}

/* A second name for the old file; where there are no hard links only the name is chosen. */
static enum mc_status keep_old(struct restore *r, struct mc_error *err)
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
    enum mc_status status = fail_file(err, "keep the old database as", kept);
    kept[0] = '\0';
    return status;
}

/* What SQLite would apply to the file of that name. What a damaged database left goes with it, and comes back with it. */
static enum mc_status move_leftovers(struct restore *r, bool back, struct mc_error *err)
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
            return fail_file(err, "move", back ? kept : here);
    }
    return MC_OK;
}

/* Without a hard link the copy waits under the name that the old file is to have, and they change places. */
static enum mc_status exchange_names(struct restore *r, struct mc_error *err)
{
    const char *kept = r->restored->kept;
    if (rename(r->copy, kept) != 0)
        return fail_file(err, "rename the copy to", kept);
    if (renameat2(AT_FDCWD, kept, AT_FDCWD, r->database, RENAME_EXCHANGE) == 0)
        return MC_OK;
    int number = errno;
    (void)rename(kept, r->copy);
    return mc_fail(err, MC_UNSUPPORTED,
                   "'%s' is on a file system that cannot keep the old one in the same step (%s); "
                   "rename it yourself, and restore again",
                   r->database, strerror(number));
}

static enum mc_status place_copy(struct restore *r, struct mc_error *err)
{
    enum mc_status status = move_leftovers(r, false, err);
    if (status == MC_OK && r->restored->kept[0] && !r->linked)
        status = exchange_names(r, err);
    else if (status == MC_OK && rename(r->copy, r->database) != 0)
        status = fail_file(err, "rename the copy to", r->database);
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

static enum mc_status exchange(struct restore *r, struct mc_error *err)
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

static void end(struct restore *r)
{
    if (r->copied)
        remove_copy(r, true);
    if (r->created)
        (void)unlink(r->database);
    close_fd(&r->backup_fd);
    close_fd(&r->copy_fd);
    close_fd(&r->database_fd);
}

enum mc_status mc_sqlite_restore(const struct mc_restore_options *options,
                                 struct mc_restored *restored, struct mc_error *err)
{
    mc_auto(end) struct restore r = {.options = options,
                                     .restored = restored,
                                     .backup_fd = -1,
                                     .copy_fd = -1,
                                     .database_fd = -1};
    memset(restored, 0, sizeof(*restored));
    enum mc_status status = open_backup(&r, err);
    if (status == MC_OK)
        status = check_database(&r, err);
    if (status == MC_OK)
        status = make_copy(&r, err);
    if (status == MC_OK)
        status = check_copy(&r, err);
    if (status != MC_OK)
        return status;
    give_to_owner(&r);
    if (fsync(r.copy_fd) != 0)
        return fail_file(err, "write", r.copy);
    return exchange(&r, err);
}
