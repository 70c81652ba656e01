/* In the place of the store when the program is built without libpq. */
#include "base/error.h"
#include "store/postgres/postgres_store.h"

bool mc_postgres_built(void)
{
    return false;
}

static enum mc_status absent(struct mc_error *err)
{
    return mc_fail_field(err, MC_UNSUPPORTED, "database.backend",
                         "this build has no PostgreSQL: install libpq-dev and build it again with "
                         "-Dpostgresql=enabled, or set database.backend to sqlite");
}

enum mc_status mc_postgres_store_open(const struct mc_postgres_options *options,
                                      struct mc_store **store, struct mc_error *err)
{
    (void)options;
    (void)store;
    return absent(err);
}

enum mc_status mc_postgres_partition(const struct mc_postgres_options *options, int partitions,
                                     struct mc_error *err)
{
    (void)options;
    (void)partitions;
    return absent(err);
}
