/*
 * The command line, checked against the table of commands: names, types and ranges are right once
 * mc_args_parse has succeeded.
 *
 * Options are written --name VALUE or --name=VALUE, or by their letter; they may stand before and
 * after the command. "--" ends them.
 */
#ifndef MC_CLI_ARGS_H
#define MC_CLI_ARGS_H

#include "cli/commands.h"

struct mc_args_value {
    const struct mc_cli_option *option;
    const char *text; /* "" for a flag */
};

struct mc_args {
    const struct mc_cli_command *command; /* NULL when only help was asked for */
    mc_str family;                        /* first word of the command, as far as it was given */
    struct mc_args_value *values;
    size_t value_count;
    const char **operands;
    size_t operand_count;
    bool help;
    bool version;
};

/* Borrows argv. MC_INVALID with a sentence for people. mc_args_fini in any case. */
MC_MUST_CHECK enum mc_status mc_args_parse(struct mc_args *args, int argc, char **argv,
                                           struct mc_error *err);
void mc_args_fini(struct mc_args *args);

/* The value of an option (the first one where it repeats), absent when it was not given. */
mc_str mc_args_text(const struct mc_args *args, const char *name);
bool mc_args_given(const struct mc_args *args, const char *name);
int64_t mc_args_integer(const struct mc_args *args, const char *name, int64_t fallback);
double mc_args_number(const struct mc_args *args, const char *name, double fallback);
/* Microseconds since the epoch; 0 when not given. */
int64_t mc_args_time(const struct mc_args *args, const char *name);
/* Value index of a repeatable option, absent beyond the last; and how often it was given. */
mc_str mc_args_at(const struct mc_args *args, const char *name, size_t index);
size_t mc_args_count(const struct mc_args *args, const char *name);
mc_str mc_args_operand(const struct mc_args *args, size_t index);

/* A time as people write it: RFC 3339, a date (midnight UTC), or an age before now: 7d, 12h, 30m.
 */
bool mc_args_parse_time(mc_str text, int64_t now_us, int64_t *time_us);

/* Changes of one character that turn a into b, for suggestions; at most limit + 1. */
size_t mc_args_distance(mc_str a, mc_str b, size_t limit);

#endif
