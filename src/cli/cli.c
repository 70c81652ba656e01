#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/database_url.h"
#include "cli/show.h"

#define KEY_SIZE 128
#define MESSAGE_SIZE 1024
#define WORDS_BYTES ((size_t)1 << 20)

/* One --option KEY=VALUE. */
static enum mc_status apply_option(struct mc_config *config, mc_str pair, struct mc_error *err)
{
    char key[KEY_SIZE];
    const char *equals = memchr(pair.data, '=', pair.len);
    size_t len = equals ? (size_t)(equals - pair.data) : 0;
    if (!len || len >= sizeof(key))
        return mc_fail_field(
            err, MC_INVALID, "option",
            "option --option takes KEY=VALUE, like enrichment.workers=4, not '%.*s'",
            MC_STR_ARG(pair));
    memcpy(key, pair.data, len);
    key[len] = '\0';
    enum mc_status status = mc_config_set(config, key, equals + 1, err);
    return status == MC_OK ? MC_OK : mc_fail_prefix(err, status, "option --option");
}

/* The database of that option, then each --option. */
static enum mc_status apply_arguments(const struct mc_args *args, const char *option,
                                      struct mc_config *config, struct mc_error *err)
{
    enum mc_status status = MC_OK;
    if (mc_args_given(args, option))
        status = mc_database_url_apply(config, option, mc_args_text(args, option), err);
    for (size_t i = 0; status == MC_OK && i < mc_args_count(args, "option"); i++)
        status = apply_option(config, mc_args_at(args, "option", i), err);
    return status;
}

enum mc_status mc_cli_check_arguments(const struct mc_cli *cli, struct mc_error *err)
{
    struct mc_config *config = NULL;
    enum mc_status status = mc_config_new(&config, err);
    if (status == MC_OK)
        status = apply_arguments(&cli->args, "db", config, err);
    mc_config_free(config);
    return status;
}

enum mc_status mc_cli_config_for(const struct mc_cli *cli, const char *option,
                                 struct mc_config **config, struct mc_error *err)
{
    enum mc_status status = mc_config_new(config, err);
    if (status == MC_OK)
        status = mc_config_load(*config, mc_args_text(&cli->args, "config").data, err);
    return status == MC_OK ? apply_arguments(&cli->args, option, *config, err) : status;
}

enum mc_status mc_cli_load_config(struct mc_cli *cli, struct mc_error *err)
{
    const struct mc_args *args = &cli->args;
    enum mc_status status = mc_cli_config_for(cli, "db", &cli->config, err);
    if (status == MC_OK && mc_args_given(args, "verbose"))
        mc_log_set(mc_log_stderr, NULL,
                   mc_args_count(args, "verbose") > 1 ? MC_LOG_DEBUG : MC_LOG_INFO);
    return status;
}

enum mc_status mc_cli_open(struct mc_cli *cli, struct mc_error *err)
{
    enum mc_status status = cli->config ? MC_OK : mc_cli_load_config(cli, err);
    return status == MC_OK ? mc_engine_open_with(cli->config, &cli->opening, &cli->engine, err)
                           : status;
}

enum mc_status mc_cli_open_existing(struct mc_cli *cli, struct mc_error *err)
{
    struct stat info;
    enum mc_status status = cli->config ? MC_OK : mc_cli_load_config(cli, err);
    if (status != MC_OK)
        return status;
    const char *backend = mc_config_get(cli->config, "database.backend");
    const char *path = mc_config_get(cli->config, "database.path");
    if ((!backend || strcmp(backend, "sqlite") == 0) && path && path[0] &&
        strcmp(path, ":memory:") != 0 && stat(path, &info) != 0 && errno == ENOENT)
        return mc_fail_field(err, MC_NOT_FOUND, "database.path",
                             "the database '%s' does not exist; name another with --db, or make it "
                             "with 'mindcore serve', 'ingest' or 'import'",
                             path);
    cli->opening.leave_models = true;
    return mc_cli_open(cli, err);
}

void mc_cli_close(struct mc_cli *cli)
{
    mc_buf_fini(&cli->words);
    mc_engine_close(mc_steal(cli->engine));
    mc_config_free(mc_steal(cli->config));
}

static void complain(const char *message)
{
    struct mc_out out;
    mc_out_init(&out, stderr);
    mc_out_print(&out, MC_STYLE_BOLD, "mindcore: ");
    mc_out_line(&out, mc_str_of(message), 0);
    fputc('\n', stderr);
}

int mc_cli_fail(const struct mc_error *err)
{
    fflush(stdout);
    complain(err->message[0] ? err->message : mc_status_text(err->status));
    return MC_CLI_FAILED;
}

int mc_cli_usage(const struct mc_cli *cli, const char *format, ...)
{
    char message[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    complain(message);
    const struct mc_cli_command *command = cli->args.command;
    if (command && !(command->flags & MC_CLI_HIDDEN))
        fprintf(stderr, "See 'mindcore %s --help'.\n", command->name);
    else if (cli->args.family.len && mc_cli_family_exists(cli->args.family))
        fprintf(stderr, "See 'mindcore %.*s --help'.\n", MC_STR_ARG(cli->args.family));
    else
        fputs("See 'mindcore --help'.\n", stderr);
    return MC_CLI_USAGE;
}

void mc_cli_note(const struct mc_cli *cli, const char *format, ...)
{
    char message[MESSAGE_SIZE];
    va_list args;
    if (cli->quiet)
        return;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    complain(message);
}

int mc_cli_result(struct mc_cli *cli, enum mc_status status, char *json, const struct mc_error *err)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    struct mc_error local;
    if (status != MC_OK)
        return mc_cli_fail(err);
    if (cli->json) {
        puts(json);
    } else if (mc_json_parse(mc_str_of(json), &root, &local) == MC_OK) {
        mc_show_json(&cli->out, root);
    } else {
        mc_free(json);
        return mc_cli_fail(&local);
    }
    mc_free(json);
    return MC_CLI_DONE;
}

mc_str mc_cli_query(struct mc_cli *cli)
{
    const struct mc_args *args = &cli->args;
    mc_str query = mc_args_text(args, "query");
    if (mc_str_given(query) || args->operand_count <= 1)
        return mc_str_given(query) ? query : mc_args_operand(args, 0);
    mc_buf_fini(&cli->words);
    mc_buf_init(&cli->words, WORDS_BYTES);
    for (size_t i = 0; i < args->operand_count; i++) {
        if (i)
            mc_buf_char(&cli->words, ' ');
        mc_buf_append(&cli->words, mc_args_operand(args, i));
    }
    return mc_buf_str(&cli->words);
}

bool mc_cli_confirm(const char *format, ...)
{
    char answer[16] = "";
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs(" [y/N] ", stderr);
    fflush(stderr);
    if (!fgets(answer, sizeof(answer), stdin))
        return false;
    mc_str text = mc_str_trim(mc_str_of(answer));
    return mc_str_equal_nocase(text, MC_STR("y")) || mc_str_equal_nocase(text, MC_STR("yes"));
}
