/*
 * One run of the program: its command line, configuration, engine and output, as handlers see it.
 *
 * Handlers write results to standard output and everything else to standard error, and return an
 * mc_cli_exit.
 */
#ifndef MC_CLI_CLI_H
#define MC_CLI_CLI_H

#include <mindcore/mindcore.h>

#include "cli/args.h"
#include "cli/output.h"

struct mc_cli {
    struct mc_args args;
    struct mc_out out; /* standard output */
    bool json;
    bool quiet;
    struct mc_config *config;
    struct mc_open_options opening; /* how mc_cli_open opens the engine */
    struct mc_engine *engine;
    struct mc_buf words; /* of mc_cli_query */
    char target[64]; /* id of what the command made, for the audit log; "": it has another target */
    const char *program; /* argv[0] */
};

/* Whether --db and --option can be applied, whatever file and environment hold: else the command line is wrong. */
MC_MUST_CHECK enum mc_status mc_cli_check_arguments(const struct mc_cli *cli, struct mc_error *err);
/* Configuration of file, environment, --db and --option, in this order. */
MC_MUST_CHECK enum mc_status mc_cli_load_config(struct mc_cli *cli, struct mc_error *err);
/*
 * The same with the database of that option in the place of --db. *config is freed with mc_config_free, after a
 * failure too.
 */
MC_MUST_CHECK enum mc_status mc_cli_config_for(const struct mc_cli *cli, const char *option,
                                               struct mc_config **config, struct mc_error *err);
/* As mc_cli_load_config, then the engine; both stay in cli until mc_cli_close. */
MC_MUST_CHECK enum mc_status mc_cli_open(struct mc_cli *cli, struct mc_error *err);
/* The same, but MC_NOT_FOUND when there is no database yet. */
MC_MUST_CHECK enum mc_status mc_cli_open_existing(struct mc_cli *cli, struct mc_error *err);
void mc_cli_close(struct mc_cli *cli);

/* Says on standard error why the command failed; MC_CLI_FAILED. */
int mc_cli_fail(const struct mc_error *err);
/* The same for a wrong command line, with a pointer to the help; MC_CLI_USAGE. */
int mc_cli_usage(const struct mc_cli *cli, const char *format, ...) MC_PRINTF(2, 3);
/* A remark on standard error, none with --quiet. */
void mc_cli_note(const struct mc_cli *cli, const char *format, ...) MC_PRINTF(2, 3);

/*
 * Prints the JSON result of a call, unchanged with --json, readable without, and frees it. status
 * and err are those of the call, so that a handler ends with: return mc_cli_result(cli, mc_...(),
 * json, &err).
 */
int mc_cli_result(struct mc_cli *cli, enum mc_status status, char *json,
                  const struct mc_error *err);

/* The words to look for: --query, or the operands with a blank between them; absent when neither is
 * given. Valid until mc_cli_close. */
mc_str mc_cli_query(struct mc_cli *cli);

/* Asks on the terminal; true for yes. */
bool mc_cli_confirm(const char *format, ...) MC_PRINTF(1, 2);

#endif
