/*
 * Databases as a whole, without an engine: how they are laid out.
 *
 * No engine may have the database open.
 */
#ifndef MINDCORE_DATABASE_H
#define MINDCORE_DATABASE_H

#include <mindcore/config.h>

#ifdef __cplusplus
extern "C" {
#endif

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

#ifdef __cplusplus
}
#endif
#endif
