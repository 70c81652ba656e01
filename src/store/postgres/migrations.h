/* The tables, as the statements that bring a database from each version to the next. */
#ifndef MC_STORE_POSTGRES_MIGRATIONS_H
#define MC_STORE_POSTGRES_MIGRATIONS_H

#include <mindcore/types.h>

/* Before the storage options of a table. */
#define MC_PG_STORAGE " WITH ("

/* The version that this program writes. */
int mc_pg_schema_version(void);
/* Statements, NULL behind the last, that bring a database from the version, from 0 on, to the next. */
const char *const *mc_pg_migration(int64_t version);

#endif
