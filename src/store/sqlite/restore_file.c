/*
 * Files of a restore: who has one open, and what goes wrong with them.
 *
 * DESIGN. Whether a process has a database open is asked of the locks on its bytes: a connection in WAL mode holds a
 * shared one until it is closed. Asked like this it needs no sound database, and names the process. The locks that are
 * taken belong to the open file, so that they count against connections of this process too; that one of those is
 * there is seen from its open files, since to close another descriptor of the file would end its locks.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "store/sqlite/restore_parts.h"

/* Of SQLite's file format: what it locks. */
#define LOCK_START 0x40000000
#define LOCK_BYTES 512

void mc_restore_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

enum mc_status mc_restore_fail(struct mc_error *err, const char *doing, const char *path)
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

enum mc_status mc_restore_unused_here(const struct stat *file, const char *path, const char *advice,
                                      struct mc_error *err)
{
    if (!open_here(file))
        return MC_OK;
    return mc_fail(err, MC_BUSY, "this process has '%s' open; %s", path, advice);
}

enum mc_status mc_restore_unused(int fd, const char *path, const char *advice, struct mc_error *err)
{
    struct flock lock = connection_lock();
    if (fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK)
        return MC_OK;
    if (lock.l_pid <= 0)
        return mc_fail(err, MC_BUSY, "another process has '%s' open; %s", path, advice);
    return mc_fail(err, MC_BUSY, "process %d has '%s' open; %s", lock.l_pid, path, advice);
}

bool mc_restore_lock(int fd)
{
    struct flock lock = connection_lock();
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

const char *mc_restore_folder(const struct mc_restore *r, char folder[PATH_MAX])
{
    snprintf(folder, PATH_MAX, "%s", r->database);
    char *slash = strrchr(folder, '/');
    if (!slash)
        return ".";
    slash[slash == folder] = '\0';
    return folder;
}

void mc_restore_look_at_log(const struct mc_restore *r, struct stat *log)
{
    char path[PATH_MAX + 16];
    snprintf(path, sizeof(path), "%s-wal", r->database);
    if (stat(path, log) != 0)
        memset(log, 0, sizeof(*log));
}
