/* mindcore queue, tiers, cache: upkeep of what is stored. */
#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/progress.h"

/* {"retried": 3}, or "retried 3". */
static int print_count(const struct mc_cli *cli, enum mc_status status, const char *name,
                       const char *what, uint64_t count, const struct mc_error *err)
{
    if (status != MC_OK)
        return mc_cli_fail(err);
    if (cli->json)
        printf("{\"%s\":%llu}\n", name, (unsigned long long)count);
    else
        printf("%s %llu %s\n", name, (unsigned long long)count, what);
    return MC_CLI_DONE;
}

int mc_cli_queue_list(struct mc_cli *cli)
{
    struct mc_error err = {0};
    char *json = NULL;
    size_t limit = (size_t)mc_args_integer(&cli->args, "limit", 20);
    enum mc_status status = mc_queue_status(cli->engine, limit, &json, &err);
    return mc_cli_result(cli, status, json, &err);
}

int mc_cli_queue_retry(struct mc_cli *cli)
{
    struct mc_error err = {0};
    uint64_t count = 0;
    mc_str message = mc_args_text(&cli->args, "message");
    enum mc_status status = mc_queue_retry(cli->engine, message, &count, &err);
    if (status == MC_OK && mc_str_given(message) && count == 0)
        status = mc_fail(&err, MC_NOT_FOUND, "there is no dead job of message '%.*s'",
                         MC_STR_ARG(message));
    return print_count(cli, status, "retried", "jobs", count, &err);
}

int mc_cli_queue_purge(struct mc_cli *cli)
{
    struct mc_error err = {0};
    uint64_t count = 0;
    enum mc_status status = mc_queue_purge(cli->engine, &count, &err);
    return print_count(cli, status, "purged", "dead jobs", count, &err);
}

int mc_cli_tiers_migrate(struct mc_cli *cli)
{
    struct mc_error err = {0};
    struct mc_progress progress;
    char *json = NULL;
    mc_progress_start(&progress, "migrate", "messages", cli->quiet);
    enum mc_status status = mc_tiers_migrate(cli->engine, mc_args_text(&cli->args, "user"),
                                             mc_args_given(&cli->args, "dry-run"),
                                             mc_progress_update, &progress, &json, &err);
    mc_progress_stop(&progress);
    return mc_cli_result(cli, status, json, &err);
}

int mc_cli_tiers_runs(struct mc_cli *cli)
{
    struct mc_error err = {0};
    char *json = NULL;
    enum mc_status status = mc_tiers_runs(cli->engine, &json, &err);
    return mc_cli_result(cli, status, json, &err);
}

int mc_cli_tiers_undo(struct mc_cli *cli)
{
    struct mc_error err = {0};
    struct mc_progress progress;
    char *json = NULL;
    mc_progress_start(&progress, "undo", "messages", cli->quiet);
    enum mc_status status = mc_tiers_undo(cli->engine, mc_args_integer(&cli->args, "run", 0),
                                          mc_args_given(&cli->args, "dry-run"), mc_progress_update,
                                          &progress, &json, &err);
    mc_progress_stop(&progress);
    return mc_cli_result(cli, status, json, &err);
}

int mc_cli_cache_stats(struct mc_cli *cli)
{
    struct mc_error err = {0};
    char *json = NULL;
    enum mc_status status = mc_cache_stats(cli->engine, &json, &err);
    return mc_cli_result(cli, status, json, &err);
}

int mc_cli_cache_invalidate(struct mc_cli *cli)
{
    static const char *const ways[] = {"topic", "max-age", "user", "all"};
    const struct mc_args *args = &cli->args;
    struct mc_error err = {0};
    uint64_t count = 0;
    size_t given = 0;
    for (size_t i = 0; i < mc_countof(ways); i++)
        given += mc_args_given(args, ways[i]);
    if (given != 1)
        return mc_cli_usage(cli, "say what to drop with one of --topic, --max-age, --user, --all");
    if (mc_args_given(args, "thread") && !mc_args_given(args, "user"))
        return mc_cli_usage(cli, "--thread needs --user");
    enum mc_status status;
    if (mc_args_given(args, "topic"))
        status = mc_cache_drop_topic(cli->engine, mc_args_text(args, "topic"), &count, &err);
    else if (mc_args_given(args, "max-age"))
        status = mc_cache_drop_stale(cli->engine, mc_args_number(args, "max-age", 0), &count, &err);
    else
        status = mc_cache_clear(cli->engine, mc_args_text(args, "user"),
                                mc_args_text(args, "thread"), &count, &err);
    return print_count(cli, status, "invalidated", "threads", count, &err);
}
