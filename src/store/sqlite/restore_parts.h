/*
 * Inside of restore.c and restore_*.c. The steps are called in this order, each after the one before succeeded;
 * a failure of any leaves the database as it was.
 */
#ifndef MC_STORE_SQLITE_RESTORE_PARTS_H
#define MC_STORE_SQLITE_RESTORE_PARTS_H

#include <limits.h>
#include <sys/stat.h>

#include "store/sqlite/restore.h"

struct mc_restore {
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

#define MC_RESTORE_STOP "stop the server, and whatever else uses it, and restore again"

/* ---- Files (restore_file.c) ---- */

void mc_restore_close(int *fd); /* accepts -1, leaves it */
/* From errno. */
enum mc_status mc_restore_fail(struct mc_error *err, const char *doing, const char *path);

/* MC_BUSY with the advice: a connection of this process has the file open. Asked before the file is opened here. */
MC_MUST_CHECK enum mc_status mc_restore_unused_here(const struct stat *file, const char *path,
                                                    const char *advice, struct mc_error *err);
/* The same for one of any other process. */
MC_MUST_CHECK enum mc_status mc_restore_unused(int fd, const char *path, const char *advice,
                                               struct mc_error *err);
/* Takes every lock that a connection would need, until the file is closed; false when one is held. */
bool mc_restore_lock(int fd);

/* The folder of the database: written into the given place, or ".". */
const char *mc_restore_folder(const struct mc_restore *r, char folder[PATH_MAX]);
/* The write-ahead log of the database; all 0: there is none. */
void mc_restore_look_at_log(const struct mc_restore *r, struct stat *log);

/* ---- Looking (restore_check.c) ---- */

MC_MUST_CHECK enum mc_status mc_restore_open_backup(struct mc_restore *r, struct mc_error *err);
/* Finds what is there, and refuses to replace what must not be. */
MC_MUST_CHECK enum mc_status mc_restore_check_database(struct mc_restore *r, struct mc_error *err);

/* ---- The copy (restore_copy.c) ---- */

/* Makes it, checks it, and brings it to the disk with the owner that it is to have. */
MC_MUST_CHECK enum mc_status mc_restore_make_copy(struct mc_restore *r, struct mc_error *err);
/* Removes what belongs to the copy, and with it itself. */
void mc_restore_remove_copy(const struct mc_restore *r, bool itself);

#endif
