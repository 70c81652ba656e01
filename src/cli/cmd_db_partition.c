/* mindcore db partition: prepares a PostgreSQL database in partitions. */
#include "base/str.h"
#include "cli/cli.h"

int mc_cli_db_partition(struct mc_cli *cli)
{
    struct mc_error err = {0};
    int shards = (int)mc_args_integer(&cli->args, "shards", 0);
    if (mc_database_partition(cli->config, shards, &err) != MC_OK)
        return mc_cli_fail(&err);
    if (cli->json)
        printf("{\"partitions\":%d}\n", shards);
    else
        printf("partitioned into %d\n", shards);
    return MC_CLI_DONE;
}
