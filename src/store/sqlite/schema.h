/* The schema and its versions. */
#ifndef MC_STORE_SQLITE_SCHEMA_H
#define MC_STORE_SQLITE_SCHEMA_H

#include "store/sqlite/conn.h"

/*
 * Makes sure that the file is a database of Mindcore in the present version, migrating it when it
 * is older, in one transaction; any number of processes may do so at once. MC_CORRUPT: another
 * program's file. MC_VERSION: a newer version's. Switches the file to write-ahead logging.
 */
MC_MUST_CHECK enum mc_status mc_schema_prepare(struct mc_conn *conn, struct mc_error *err);

/* "Mind" in ASCII: what `file` and PRAGMA application_id show. */
#define MC_SCHEMA_APPLICATION 1298755172

/* The version that this program writes. */
int mc_schema_version(void);

#endif
