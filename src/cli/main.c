/* The program: reads the command line, opens what the command needs, runs it, closes. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <unistd.h>

#include "base/audit.h"
#include "base/compiler.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/help.h"

/* A file opened as descriptor 0, 1 or 2 would be written to by printf. */
static void keep_standard_descriptors(void)
{
    for (int descriptor = 0; descriptor <= 2; descriptor++) {
        if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF)
            (void)!open("/dev/null", O_RDWR);
    }
}

/* What --help and --version ask for, which no command needs to be complete for. */
static int answer_at_once(struct mc_cli *cli)
{
    if (cli->args.version)
        return mc_cli_version(cli);
    if (cli->args.command)
        mc_help_command(&cli->out, cli->args.command);
    else if (cli->args.family.len)
        mc_help_family(&cli->out, cli->args.family);
    else
        mc_help_program(&cli->out);
    return MC_CLI_DONE;
}

/* The audit log's file when this command is noted there, else NULL. */
static const char *audit_path(const struct mc_cli *cli)
{
    const char *path = mc_config_get(cli->config, "logging.audit");
    return cli->args.command->flags & MC_CLI_AUDITED && path && *path ? path : NULL;
}

/* What the command made, or was told to act on. */
static mc_str audit_target(const struct mc_cli *cli)
{
    const mc_str targets[] = {
        cli->target[0] ? mc_str_of(cli->target) : MC_STR_NONE,
        mc_args_text(&cli->args, "user"),
        mc_args_operand(&cli->args, 0),
        mc_args_text(&cli->args, "message"),
        mc_args_text(&cli->args, "agent"),
    };
    size_t i = 0;
    while (i < mc_countof(targets) - 1 && !mc_str_given(targets[i]))
        i++;
    return targets[i];
}

static void audit(const struct mc_cli *cli, const char *path, int result)
{
    char login[LOGIN_NAME_MAX];
    bool known = getlogin_r(login, sizeof(login)) == 0;
    struct passwd *owner = known ? NULL : getpwuid(getuid());
    const struct mc_audit_act act = {
        .act = cli->args.command->name,
        .result = result == MC_CLI_DONE ? "done" : "failed",
        .target = audit_target(cli),
        .who = mc_str_of(known   ? login
                         : owner ? owner->pw_name
                                 : "unknown"),
        .from = MC_STR("command line"),
    };
    mc_audit_write(path, &act);
}

/* Its engine is open. */
static int run_noted(struct mc_cli *cli)
{
    struct mc_error err = {0};
    const char *path = audit_path(cli);
    if (path && mc_audit_check(path, &err) != MC_OK)
        return mc_cli_fail(&err);
    int result = cli->args.command->run(cli);
    if (path)
        audit(cli, path, result);
    return result;
}

static int run_command(struct mc_cli *cli)
{
    struct mc_error err = {0};
    enum mc_status status = MC_OK;
    if (cli->args.command->need == MC_CLI_NEEDS_CONFIG)
        status = mc_cli_load_config(cli, &err);
    else if (cli->args.command->need == MC_CLI_NEEDS_DATABASE)
        status = mc_cli_open_existing(cli, &err);
    else if (cli->args.command->need == MC_CLI_NEEDS_ENGINE)
        status = mc_cli_open(cli, &err);
    int result = MC_CLI_DONE;
    if (status == MC_OK)
        result = run_noted(cli);
    else
        result = mc_cli_fail(&err);
    mc_cli_close(cli);
    return result;
}

int main(int argc, char **argv)
{
    /* A command that does one thing should not wait for a model that it may not need. */
    struct mc_cli cli = {.program = argc > 0 ? argv[0] : "mindcore",
                         .opening = {.lazy_model = true}};
    struct mc_error err = {0};
    int result;
    keep_standard_descriptors();
    mc_out_init(&cli.out, stdout);
    enum mc_status status = mc_args_parse(&cli.args, argc, argv, &err);
    cli.json = status == MC_OK && mc_args_given(&cli.args, "json");
    cli.quiet = status == MC_OK && mc_args_given(&cli.args, "quiet");
    if (status != MC_OK)
        result = mc_cli_usage(&cli, "%s", err.message);
    else if (cli.args.help || cli.args.version)
        result = answer_at_once(&cli);
    else if (mc_cli_check_arguments(&cli, &err) != MC_OK)
        result = mc_cli_usage(&cli, "%s", err.message);
    else
        result = run_command(&cli);
    mc_args_fini(&cli.args);
    bool broken = ferror(stdout) != 0;
    if (fflush(stdout) != 0 || broken) {
        err = (struct mc_error){.status = MC_IO, .message = "cannot write the output"};
        result = mc_cli_fail(&err);
    }
    return result;
}
