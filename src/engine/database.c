/* What is done with a database that no engine has open. */
#include <mindcore/database.h>

#include "base/compiler.h"
#include "base/error.h"
#include "engine/settings.h"

enum mc_status mc_database_partition(const struct mc_config *config, int partitions,
                                     struct mc_error *err)
{
    if (partitions < MC_POSTGRES_PARTITIONS_MIN || partitions > MC_POSTGRES_PARTITIONS_MAX)
        return mc_fail_field(err, MC_INVALID, "shards",
                             "a database has %d to %d partitions, not %d",
                             MC_POSTGRES_PARTITIONS_MIN, MC_POSTGRES_PARTITIONS_MAX, partitions);
    mc_auto(mc_settings_fini) struct mc_settings settings = {0};
    enum mc_status status = mc_settings_read(config, &settings, err);
    if (status != MC_OK)
        return status;
    if (!settings.in_postgres)
        return mc_fail_field(err, MC_UNSUPPORTED, "database.backend",
                             "'%s' is a file of SQLite, which is not partitioned; name a "
                             "PostgreSQL database",
                             settings.database);
    return mc_postgres_partition(&settings.postgres, partitions, err);
}
