/* Help texts, docs/cli.md and shell completion, all from the table of commands. */
#ifndef MC_CLI_HELP_H
#define MC_CLI_HELP_H

#include "cli/commands.h"
#include "cli/output.h"

void mc_help_program(struct mc_out *out);
void mc_help_family(struct mc_out *out, mc_str family);
void mc_help_command(struct mc_out *out, const struct mc_cli_command *command);
/* The whole of docs/cli.md. */
void mc_help_markdown(struct mc_out *out);
/* A completion script for bash. */
void mc_help_bash(struct mc_out *out);

#endif
