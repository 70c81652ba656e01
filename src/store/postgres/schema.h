/* Making and migrating the tables (migrations.h). */
#ifndef MC_STORE_POSTGRES_SCHEMA_H
#define MC_STORE_POSTGRES_SCHEMA_H

#include "store/postgres/conn.h"

/*
 * Makes sure that the database is Mindcore's in the present version, migrating it when it is older, in one
 * transaction; any number of servers may do so at once. MC_CORRUPT: another program's. MC_VERSION: a newer
 * version's. MC_CONFIG: not UTF-8, or no right to make tables. *partitions: into how many the tables are
 * partitioned, 0 when they are not.
 */
MC_MUST_CHECK enum mc_status mc_pg_schema_prepare(struct mc_pg_conn *conn, int *partitions,
                                                  struct mc_error *err);

/*
 * Makes all tables of an empty database, those that have a shard in partitions; what later migrations make
 * there is partitioned alike. MC_CONFLICT: it is in use.
 */
MC_MUST_CHECK enum mc_status mc_pg_schema_partition(struct mc_pg_conn *conn, int partitions,
                                                    struct mc_error *err);

/*
 * Held by a transaction that changes tables, in place of any other. The number is "Mind" in ASCII.
 */
#define MC_PG_SCHEMA_LOCK "SELECT pg_advisory_xact_lock(1298755172)"
#define MC_PG_TRY_SCHEMA_LOCK "SELECT pg_try_advisory_xact_lock(1298755172)"

#endif
