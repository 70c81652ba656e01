/* mindcore config, version, help, completion: what the program knows about itself. */
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/folder.h"
#include "cli/help.h"
#include "cli/libraries.h"
#include "http/server.h"

#define OPTION_BYTES ((size_t)1 << 20)
#define PATH_BYTES 4096
#define SHOW_BYTES ((size_t)4 << 20)

static const char *source_name(enum mc_source source)
{
    static const char *const names[] = {"default", "file", "environment", "command line"};
    return (size_t)source < mc_countof(names) ? names[source] : "unknown";
}

/* {"options": {KEY: {"value", "source"}}}; a secret shows only that it is set. */
static int show_json(const struct mc_config *config)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, SHOW_BYTES);
    struct mc_json_writer writer = mc_json_writer(&buf);
    mc_json_begin(&writer, '{');
    mc_json_key(&writer, "options");
    mc_json_begin(&writer, '{');
    for (size_t i = 0; i < mc_option_count(); i++) {
        const struct mc_option *option = mc_option_at(i);
        const char *value = mc_config_get(config, option->key);
        if (option->secret && value && value[0] && strcmp(value, "[]") != 0)
            value = "********";
        mc_json_key(&writer, option->key);
        mc_json_begin(&writer, '{');
        mc_json_member_text(&writer, "value", value);
        mc_json_member_text(&writer, "source", source_name(mc_config_source(config, option->key)));
        mc_json_end(&writer, '}');
    }
    mc_json_end(&writer, '}');
    mc_json_end(&writer, '}');
    printf("%.*s\n", MC_STR_ARG(mc_buf_str(&buf)));
    return MC_CLI_DONE;
}

static int print_text(struct mc_cli *cli, enum mc_status status, char *text,
                      const struct mc_error *err)
{
    if (status != MC_OK)
        return mc_cli_fail(err);
    mc_out_text(&cli->out, mc_str_of(text));
    mc_free(text);
    return MC_CLI_DONE;
}

int mc_cli_config_show(struct mc_cli *cli)
{
    struct mc_error err = {0};
    char *yaml = NULL;
    if (cli->json)
        return show_json(cli->config);
    enum mc_status status = mc_config_show(cli->config, &yaml, &err);
    return print_text(cli, status, yaml, &err);
}

/* One of the two addresses of the server. */
static enum mc_status try_server(const struct mc_config *config, bool metrics, struct mc_error *err)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    struct mc_http_options options = {0};
    mc_arena_init(&arena, OPTION_BYTES);
    enum mc_status status = mc_http_options_from_config(config, metrics, &arena, &options, err);
    if (status != MC_OK || (metrics && !options.listen))
        return status;
    return mc_http_check(&options, err);
}

/* Some options are only read when the engine opens: it is opened on a database of its own. */
static enum mc_status try_engine(struct mc_config *config, struct mc_error *err)
{
    char folder[PATH_BYTES];
    char path[PATH_BYTES + 16];
    struct mc_engine *engine = NULL;
    enum mc_status status = mc_folder_make("mindcore-check", folder, sizeof(folder), err);
    if (status != MC_OK)
        return status;
    snprintf(path, sizeof(path), "%s/check.db", folder);
    status = mc_config_set(config, "database.path", path, err);
    if (status == MC_OK)
        status = mc_config_set(config, "cache.dir", "", err);
    if (status == MC_OK)
        status = mc_engine_open(config, &engine, err);
    mc_engine_close(engine);
    mc_folder_remove(folder);
    return status;
}

#define STRAYS_MAX 32 /* variables that are named */
#define VARIABLE_SIZE 128

/* Variables that look like options and set none: misspelt, or a container's of its own. */
static size_t find_strays(char names[STRAYS_MAX][VARIABLE_SIZE])
{
    size_t count = 0;
    for (char **variable = environ; *variable && count < STRAYS_MAX; variable++) {
        mc_str rest = mc_str_of(*variable), name;
        if (!mc_str_split(&rest, '=', &name) || !mc_str_starts(name, MC_STR("MINDCORE_")) ||
            name.len >= VARIABLE_SIZE || mc_str_equal(name, MC_STR("MINDCORE_CONFIG")))
            continue;
        snprintf(names[count], VARIABLE_SIZE, "%.*s", MC_STR_ARG(name));
        count += mc_option_of_variable(names[count]) == NULL;
    }
    return count;
}

int mc_cli_config_check(struct mc_cli *cli)
{
    struct mc_error err = {0};
    const char *file = mc_args_operand(&cli->args, 0).data;
    enum mc_status status = MC_OK;
    if (file) {
        status = mc_config_new(&cli->config, &err);
        if (status == MC_OK)
            status = mc_config_load(cli->config, file, &err);
    } else {
        status = mc_cli_load_config(cli, &err);
    }
    if (status == MC_OK)
        status = try_server(cli->config, false, &err);
    if (status == MC_OK)
        status = try_server(cli->config, true, &err);
    if (status == MC_OK)
        status = try_engine(cli->config, &err);
    char strays[STRAYS_MAX][VARIABLE_SIZE];
    size_t stray_count = find_strays(strays);
    for (size_t i = 0; i < stray_count; i++)
        mc_cli_note(
            cli, "no option is set by the environment variable %s; docs/options.md has their names",
            strays[i]);
    if (cli->json) {
        mc_auto(mc_buf_fini) struct mc_buf buf;
        mc_buf_init(&buf, 8192);
        struct mc_json_writer writer = mc_json_writer(&buf);
        mc_json_begin(&writer, '{');
        mc_json_member_boolean(&writer, "ok", status == MC_OK);
        mc_json_member_text(&writer, "error", status == MC_OK ? NULL : err.message);
        mc_json_member_text(&writer, "field", status == MC_OK || !err.field[0] ? NULL : err.field);
        mc_json_key(&writer, "unknown_variables");
        mc_json_begin(&writer, '[');
        for (size_t i = 0; i < stray_count; i++)
            mc_json_put_string(&writer, mc_str_of(strays[i]));
        mc_json_end(&writer, ']');
        mc_json_end(&writer, '}');
        printf("%.*s\n", MC_STR_ARG(mc_buf_str(&buf)));
        return status == MC_OK ? MC_CLI_DONE : MC_CLI_FAILED;
    }
    if (status != MC_OK)
        return mc_cli_fail(&err);
    puts("the configuration is right");
    return MC_CLI_DONE;
}

int mc_cli_config_sample(struct mc_cli *cli)
{
    struct mc_error err = {0};
    char *yaml = NULL;
    enum mc_status status = mc_option_sample(&yaml, &err);
    return print_text(cli, status, yaml, &err);
}

int mc_cli_config_docs(struct mc_cli *cli)
{
    struct mc_error err = {0};
    char *markdown = NULL;
    enum mc_status status = mc_option_markdown(&markdown, &err);
    return print_text(cli, status, markdown, &err);
}

int mc_cli_version(struct mc_cli *cli)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, 65536);
    struct mc_json_writer writer = mc_json_writer(&buf);
    mc_json_begin(&writer, '{');
    mc_json_member_text(&writer, "version", mc_version());
    mc_json_member_text(&writer, "compiler", __VERSION__);
    mc_json_key(&writer, "libraries");
    mc_libraries_write(&writer);
    mc_json_end(&writer, '}');
    if (cli->json) {
        printf("%.*s\n", MC_STR_ARG(mc_buf_str(&buf)));
        return MC_CLI_DONE;
    }
    printf("mindcore %s\n", mc_version());
    mc_libraries_print(&cli->out);
    return MC_CLI_DONE;
}

int mc_cli_help(struct mc_cli *cli)
{
    const struct mc_args *args = &cli->args;
    mc_str first = mc_args_operand(args, 0);
    mc_str second = mc_args_operand(args, 1);
    if (mc_args_given(args, "markdown")) {
        mc_help_markdown(&cli->out);
        return MC_CLI_DONE;
    }
    if (!first.len) {
        mc_help_program(&cli->out);
        return MC_CLI_DONE;
    }
    char name[64];
    snprintf(name, sizeof(name), "%.*s%s%.*s", MC_STR_ARG(first), second.len ? " " : "",
             MC_STR_ARG(second));
    const struct mc_cli_command *command = mc_cli_command_find(mc_str_of(name));
    if (command)
        mc_help_command(&cli->out, command);
    else if (!second.len && mc_cli_family_exists(first))
        mc_help_family(&cli->out, first);
    else
        return mc_cli_usage(cli, "there is no command '%s'; 'mindcore help' lists them", name);
    return MC_CLI_DONE;
}

int mc_cli_completion(struct mc_cli *cli)
{
    mc_str shell = mc_args_operand(&cli->args, 0);
    if (!mc_str_equal(shell, MC_STR("bash")))
        return mc_cli_usage(cli, "completion is there for bash, not for '%.*s'", MC_STR_ARG(shell));
    mc_help_bash(&cli->out);
    return MC_CLI_DONE;
}
