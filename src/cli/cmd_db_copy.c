/* mindcore db copy: everything into another database. */
#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/stop.h"

static void free_config(struct mc_config **config)
{
    mc_config_free(*config);
}

/* Whether the copy is of the source as it is now; says so if not. */
static bool is_current(const struct mc_cli *cli, const char *json)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    struct mc_error ignored;
    if (mc_json_parse(mc_str_of(json), &root, &ignored) != MC_OK ||
        !mc_json_boolean(mc_json_get(root, "source_changed")))
        return true;
    mc_cli_note(cli,
                "the source was changed during the copy: %lld new messages; stop what writes to it "
                "and run this again to take over what is new",
                (long long)mc_json_integer(mc_json_get(root, "new_messages")));
    return false;
}

int mc_cli_db_copy(struct mc_cli *cli)
{
    mc_auto(free_config) struct mc_config *from = NULL;
    mc_auto(free_config) struct mc_config *to = NULL;
    struct mc_error err = {0};
    struct mc_progress progress;
    char *json = NULL;
    enum mc_status status = mc_cli_config_for(cli, "from", &from, &err);
    if (status == MC_OK)
        status = mc_cli_config_for(cli, "to", &to, &err);
    if (status != MC_OK)
        return mc_cli_fail(&err);
    mc_stop_catch();
    mc_progress_start(&progress, "copy", "rows", cli->quiet);
    status = mc_database_copy(from, to, mc_stop_update, &progress, &json, &err);
    mc_progress_stop(&progress);
    bool current = status != MC_OK || is_current(cli, json);
    int result = mc_cli_result(cli, status, json, &err);
    return current ? result : MC_CLI_FAILED;
}
