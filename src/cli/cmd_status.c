/* mindcore status, workers, doctor: how it is going. */
#include <time.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/show.h"

static int show_once(struct mc_cli *cli)
{
    struct mc_error err = {0};
    char *json = NULL;
    enum mc_status status = mc_engine_status(cli->engine, &json, &err);
    return mc_cli_result(cli, status, json, &err);
}

int mc_cli_status(struct mc_cli *cli)
{
    if (!mc_args_given(&cli->args, "watch"))
        return show_once(cli);
    double interval = mc_args_number(&cli->args, "interval", 2);
    struct timespec pause = {.tv_sec = (time_t)interval,
                             .tv_nsec = (long)((interval - (double)(time_t)interval) * 1e9)};
    for (;;) {
        if (cli->out.terminal)
            fputs("\033[H\033[2J", stdout);
        int result = show_once(cli);
        if (result != MC_CLI_DONE || fflush(stdout) != 0)
            return result;
        nanosleep(&pause, NULL);
    }
}

int mc_cli_workers(struct mc_cli *cli)
{
    struct mc_error err = {0};
    char *json = NULL;
    enum mc_status status = mc_workers_health(cli->engine, &json, &err);
    return mc_cli_result(cli, status, json, &err);
}

/* A memory that does not open is a finding, not an error of the doctor. */
static enum mc_status failed_open(const struct mc_error *cause, char **json, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, 4096);
    struct mc_json_writer writer = mc_json_writer(&buf);
    mc_json_begin(&writer, '{');
    mc_json_member_boolean(&writer, "ok", false);
    mc_json_key(&writer, "checks");
    mc_json_begin(&writer, '[');
    mc_json_begin(&writer, '{');
    mc_json_member_text(&writer, "name", "open");
    mc_json_member_boolean(&writer, "ok", false);
    mc_json_member_text(&writer, "detail", cause->message);
    mc_json_member_text(
        &writer, "advice",
        cause->status == MC_CORRUPT   ? "restore a backup, or name another file with --db"
        : cause->status == MC_BUSY    ? "end the program that holds the file"
        : cause->status == MC_VERSION ? "use the newer version of mindcore that wrote it"
                                      : "correct what is said and run 'mindcore doctor' again");
    mc_json_end(&writer, '}');
    mc_json_end(&writer, ']');
    mc_json_end(&writer, '}');
    *json = mc_buf_take(&buf, NULL);
    if (*json)
        return MC_OK;
    *err = (struct mc_error){.status = MC_NO_MEMORY, .message = "out of memory"};
    return MC_NO_MEMORY;
}

int mc_cli_doctor(struct mc_cli *cli)
{
    struct mc_error err = {0};
    struct mc_error cause = {0};
    bool ok = false;
    char *json = NULL;
    enum mc_status status = mc_cli_open_existing(cli, &cause);
    status = status == MC_OK ? mc_engine_doctor(cli->engine, &ok, &json, &err)
                             : failed_open(&cause, &json, &err);
    if (status != MC_OK)
        return mc_cli_fail(&err);
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    if (cli->json)
        puts(json);
    else if (mc_json_parse(mc_str_of(json), &root, &err) == MC_OK)
        mc_show_checks(&cli->out, mc_json_get(root, "checks"), "name");
    mc_free(json);
    return ok ? MC_CLI_DONE : MC_CLI_FAILED;
}
