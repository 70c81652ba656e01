/* Databases as a whole, without an engine; none may have them open where it is not said otherwise. */
#ifndef MINDCORE_DATABASE_H
#define MINDCORE_DATABASE_H

#include <mindcore/config.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Copies everything that the database of one configuration holds into that of another, of the same or another
 * kind, and compares both at the end. The source is only read (one of an older version is first brought to
 * this one). The target must be empty, or hold what an earlier call has copied from the same source: then it
 * goes on behind that, whatever ended it. No engine may have the target open; one that writes to the source
 * meanwhile makes the copy show an earlier state of it, and a further call takes over what is new.
 *
 * progress (may be NULL) gets rows of all tables, read for copying and for comparing; false stops.
 *
 * *json: {from, to, resumed, restarted, source_changed, new_messages, tables: [{name, copied, rows}],
 * seconds, copy_seconds, messages_per_second}, freed with mc_free. `copied` counts this call's rows, `rows`
 * those in the target. source_changed: the source holds something else by now, new_messages among it.
 *
 * MC_CONFLICT: the target holds something else or was used since; nothing was changed. MC_INVALID: both
 * are the same database. MC_NOT_FOUND: there is no source, or nothing in it. MC_CORRUPT: what arrived is not
 * what was read. MC_CANCELLED: stopped. Others as for mc_engine_open, of either database.
 */
MC_API MC_MUST_CHECK enum mc_status mc_database_copy(const struct mc_config *from,
                                                     const struct mc_config *to,
                                                     mc_progress_fn progress, void *context,
                                                     char **json, struct mc_error *err);

/*
 * Makes the tables of an empty PostgreSQL database, those of all data partitioned by hash of their shard into
 * `partitions`, 2 to 256. Nothing else changes: engines open it as any other, and what later versions add is
 * partitioned alike. The configuration (NULL: the defaults) names the database and may be freed at once.
 *
 * MC_INVALID: partitions is out of range. MC_UNSUPPORTED: the database is not PostgreSQL. MC_CONFLICT: it is not
 * empty any more. MC_CORRUPT: it is another program's. Nothing is changed then.
 */
MC_API MC_MUST_CHECK enum mc_status mc_database_partition(const struct mc_config *config,
                                                          int partitions, struct mc_error *err);

/*
 * Puts a file that mc_engine_backup wrote in the place of the SQLite database of the configuration. It is copied next
 * to it, checked in full and then renamed, so that whatever ends this before leaves the database as it was; when the
 * process is killed in the last step, the log of one that cannot be opened may already have the other name, and an
 * empty file may be where there was none. A database that holds something is only replaced with
 * `replace`, and kept under another name. The disk cache is emptied. No engine of this process may open either file
 * meanwhile.
 *
 * progress (may be NULL) gets bytes, all of them once more after the check; false stops. *json: {restored, database,
 * messages, users, kept}, freed with mc_free; kept: the other name, null when nothing was there.
 *
 * MC_BUSY: a process, this one too, has the database or the backup open, or has used the database since this call began.
 * MC_CONFLICT: it holds something. MC_CORRUPT: the backup is damaged, cut off or none; MC_VERSION: a newer version wrote
 * it. MC_NOT_FOUND: there is no backup, or the database is a link that leads nowhere. MC_UNSUPPORTED: the database is
 * PostgreSQL, or its file system cannot keep the old file; the message names the way. MC_IO: also when it is restored
 * but its folder cannot be synced, which the message says.
 */
MC_API MC_MUST_CHECK enum mc_status mc_database_restore(const struct mc_config *config,
                                                        const char *path, bool replace,
                                                        mc_progress_fn progress, void *context,
                                                        char **json, struct mc_error *err);

#ifdef __cplusplus
}
#endif
#endif
