/*
 * The table of commands: one row a command, from which come the parser, the help texts, the shell
 * completion and docs/cli.md.
 *
 * A command of a family is named with a blank, "queue list". All strings are static.
 */
#ifndef MC_CLI_COMMANDS_H
#define MC_CLI_COMMANDS_H

#include <mindcore/types.h>

struct mc_cli;

/* Exit status of the program. */
enum mc_cli_exit { MC_CLI_DONE = 0, MC_CLI_FAILED = 1, MC_CLI_USAGE = 2 };

enum mc_cli_type {
    MC_CLI_FLAG, /* takes no argument */
    MC_CLI_TEXT,
    MC_CLI_INTEGER, /* range "1..1000" */
    MC_CLI_NUMBER,  /* range "0..1" */
    MC_CLI_TIME,    /* RFC 3339, a date, or an age as in 7d, 12h, 30m */
    MC_CLI_CHOICE   /* range "private|shared|public" */
};

struct mc_cli_option {
    const char *name;     /* without the two hyphens; NULL ends a list */
    const char *argument; /* as the help shows it: "ID" */
    const char *range;    /* see the type; NULL for any */
    const char *help;     /* one sentence without the full stop */
    enum mc_cli_type type;
    char letter; /* short form, 0 for none */
    bool required;
    bool repeat;
    bool hidden;
};

/* What must be open before a command's handler runs. */
enum mc_cli_need {
    MC_CLI_NEEDS_NOTHING,
    MC_CLI_NEEDS_CONFIG,
    MC_CLI_NEEDS_DATABASE, /* the engine over a database that exists */
    MC_CLI_NEEDS_ENGINE    /* the engine; a missing database is made */
};

enum mc_cli_flag {
    MC_CLI_FALLBACK = 1, /* runs when only the family is named */
    MC_CLI_HIDDEN = 2,
    MC_CLI_AUDITED = 4 /* an administrative act, noted in logging.audit */
};

struct mc_cli_command {
    const char *name;
    const char *summary; /* one line */
    const char *text;    /* paragraphs of the help; NULL for none */
    const char *operand; /* "FILE"; NULL when there is none */
    int operands_least;
    int operands_most;
    const struct mc_cli_option *options; /* ends with a row without a name; NULL for none */
    const char *const *examples;         /* ends with NULL; NULL for none */
    int (*run)(struct mc_cli *cli);      /* gives an mc_cli_exit */
    enum mc_cli_need need;
    unsigned flags; /* of enum mc_cli_flag */
};

/* Rows in the order of the help; the row at an index, NULL beyond the end. */
const struct mc_cli_command *mc_cli_command_at(size_t index);
/* The row of that full name, NULL when there is none. */
const struct mc_cli_command *mc_cli_command_find(mc_str name);
/* True when the name is the first word of commands of two. */
bool mc_cli_family_exists(mc_str name);
/* The first word of a command's name. */
mc_str mc_cli_family_of(const struct mc_cli_command *command);
/* The options that every command takes; ends with a row without a name. */
const struct mc_cli_option *mc_cli_common_options(void);

/* Handlers, one for each row. */
int mc_cli_serve(struct mc_cli *cli);
int mc_cli_ingest(struct mc_cli *cli);
int mc_cli_context(struct mc_cli *cli);
int mc_cli_search(struct mc_cli *cli);
int mc_cli_messages_get(struct mc_cli *cli);
int mc_cli_messages_delete(struct mc_cli *cli);
int mc_cli_recent(struct mc_cli *cli);
int mc_cli_window(struct mc_cli *cli);
int mc_cli_status(struct mc_cli *cli);
int mc_cli_workers(struct mc_cli *cli);
int mc_cli_queue_list(struct mc_cli *cli);
int mc_cli_queue_retry(struct mc_cli *cli);
int mc_cli_queue_purge(struct mc_cli *cli);
int mc_cli_tiers_migrate(struct mc_cli *cli);
int mc_cli_tiers_runs(struct mc_cli *cli);
int mc_cli_tiers_undo(struct mc_cli *cli);
int mc_cli_cache_stats(struct mc_cli *cli);
int mc_cli_cache_invalidate(struct mc_cli *cli);
int mc_cli_keys_list(struct mc_cli *cli);
int mc_cli_keys_create(struct mc_cli *cli);
int mc_cli_keys_revoke(struct mc_cli *cli);
int mc_cli_agents_list(struct mc_cli *cli);
int mc_cli_agents_get(struct mc_cli *cli);
int mc_cli_agents_register(struct mc_cli *cli);
int mc_cli_agents_unregister(struct mc_cli *cli);
int mc_cli_agents_stats(struct mc_cli *cli);
int mc_cli_preferences_get(struct mc_cli *cli);
int mc_cli_preferences_set(struct mc_cli *cli);
int mc_cli_preferences_signals(struct mc_cli *cli);
int mc_cli_preferences_apply(struct mc_cli *cli);
int mc_cli_export(struct mc_cli *cli);
int mc_cli_import(struct mc_cli *cli);
int mc_cli_erase(struct mc_cli *cli);
int mc_cli_backup(struct mc_cli *cli);
int mc_cli_restore(struct mc_cli *cli);
int mc_cli_db_partition(struct mc_cli *cli);
int mc_cli_doctor(struct mc_cli *cli);
int mc_cli_models(struct mc_cli *cli);
int mc_cli_config_show(struct mc_cli *cli);
int mc_cli_config_check(struct mc_cli *cli);
int mc_cli_config_sample(struct mc_cli *cli);
int mc_cli_config_docs(struct mc_cli *cli);
int mc_cli_bench_recall(struct mc_cli *cli);
int mc_cli_db_copy(struct mc_cli *cli);
int mc_cli_loadtest(struct mc_cli *cli);
int mc_cli_crashtest(struct mc_cli *cli);
int mc_cli_crash_writer(struct mc_cli *cli);
int mc_cli_crash_verify(struct mc_cli *cli);
int mc_cli_version(struct mc_cli *cli);
int mc_cli_help(struct mc_cli *cli);
int mc_cli_completion(struct mc_cli *cli);

#endif
