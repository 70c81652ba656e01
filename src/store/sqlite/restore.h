/* Puts a copy of a backup in the place of a database that no process has open. */
#ifndef MC_STORE_SQLITE_RESTORE_H
#define MC_STORE_SQLITE_RESTORE_H

#include "store/sqlite/sqlite_store.h"

struct mc_restore_options {
    const char *backup;
    const char *database;
    bool replace;            /* a database that holds something; it is kept under another name */
    mc_progress_fn progress; /* bytes, all of them once more after the check; may be NULL */
    void *context;
    /* Called when the copy is sound and is about to become the database; a failure ends the restore. */
    enum mc_status (*before)(void *before_context, struct mc_error *err);
    void *before_context;
};

struct mc_restored {
    char kept[4096]; /* where what was there is now; empty: there was nothing */
    int64_t messages, users;
};

/*
 * Copies the backup next to the database, checks the copy in full (an older schema is brought to the present one) and
 * renames it: whatever ends it before that leaves the database as it was. No connection of this process may be opened
 * to either file meanwhile.
 *
 * MC_NOT_FOUND: there is no backup, or the database is a link that leads nowhere. MC_INVALID: the backup is the database
 * itself. MC_CORRUPT: it is damaged, cut off, or none of Mindcore. MC_VERSION: a newer version wrote it. MC_CONFLICT:
 * the database holds something, and replace is not set. MC_BUSY: a process has either open, has used the database
 * meanwhile, or restores already. MC_UNSUPPORTED: the file system has neither hard links nor an exchange of names.
 * MC_DISK_FULL, MC_IO. MC_CANCELLED: progress said so.
 */
MC_MUST_CHECK enum mc_status mc_sqlite_restore(const struct mc_restore_options *options,
                                               struct mc_restored *restored, struct mc_error *err);

#endif
