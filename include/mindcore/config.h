/*
 * Options: defaults, then a YAML file, then the environment, then values set by the program. The table
 * behind them also generates --help, docs/options.md and the sample file.
 *
 * A configuration is built by one thread, then only read. mc_engine_open copies what it needs.
 */
#ifndef MINDCORE_CONFIG_H
#define MINDCORE_CONFIG_H

#include <mindcore/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mc_config;

/* Where a value came from; a later source wins over an earlier one, in whatever order they are applied. */
enum mc_source { MC_SOURCE_DEFAULT, MC_SOURCE_FILE, MC_SOURCE_ENVIRONMENT, MC_SOURCE_PROGRAM };

/* One row of the options table. All strings are static. */
struct mc_option {
    const char *key;         /* "enrichment.workers" */
    const char *environment; /* "MINDCORE_ENRICHMENT_WORKERS" */
    const char *
        type; /* "integer", "number", "boolean", "text", "path", "secret", "duration", "choice", "list", "map" */
    const char *fallback; /* the default as text, "" for none */
    const char *range;    /* "1..16", "sqlite|postgresql", "" for any */
    const char *unit;     /* "s", "bytes", "messages", "" */
    const char *help;     /* one sentence */
    bool secret;          /* programs show "********" instead of the value */
};

/* A configuration of defaults; free with mc_config_free, which accepts NULL. */
MC_API MC_MUST_CHECK enum mc_status mc_config_new(struct mc_config **config, struct mc_error *err);
MC_API void mc_config_free(struct mc_config *config);

/*
 * Merges a YAML file. Errors name the file, line, column and key: MC_NOT_FOUND when the file does not
 * exist, MC_CONFIG for an unknown key, a wrong type, a value out of range or an undefined ${VAR}.
 */
MC_API MC_MUST_CHECK enum mc_status mc_config_load_file(struct mc_config *config, const char *path,
                                                        struct mc_error *err);

/* The same from text in memory; name stands for the file in errors. */
MC_API MC_MUST_CHECK enum mc_status mc_config_load_text(struct mc_config *config, mc_str yaml,
                                                        const char *name, struct mc_error *err);

/* Takes every MINDCORE_* and OPENAI_* variable that the table names; an error names the variable. */
MC_API MC_MUST_CHECK enum mc_status mc_config_load_environment(struct mc_config *config,
                                                               struct mc_error *err);

/* Sets one option from text; lists and maps are given as JSON. */
MC_API MC_MUST_CHECK enum mc_status mc_config_set(struct mc_config *config, const char *key,
                                                  const char *value, struct mc_error *err);

/*
 * The usual order in one call: file (NULL: MINDCORE_CONFIG when set, else none), then environment. A
 * `database` section in the file or the environment that names a host, or backend postgresql, selects
 * PostgreSQL.
 */
MC_API MC_MUST_CHECK enum mc_status mc_config_load(struct mc_config *config, const char *path,
                                                   struct mc_error *err);

/*
 * Value in force as text (NULL when it has none or the key is unknown), and its source. Secrets are
 * returned as they are. Valid until the configuration changes.
 */
MC_API const char *mc_config_get(const struct mc_config *config, const char *key);
MC_API enum mc_source mc_config_source(const struct mc_config *config, const char *key);

/* Typed reads for keys of that type; durations are in microseconds. */
MC_API int64_t mc_config_integer(const struct mc_config *config, const char *key);
MC_API double mc_config_number(const struct mc_config *config, const char *key);
MC_API bool mc_config_boolean(const struct mc_config *config, const char *key);
MC_API int64_t mc_config_duration_us(const struct mc_config *config, const char *key);

/* Everything in force as YAML, secrets as "********", with the source of each value as a comment. Free with mc_free. */
MC_API MC_MUST_CHECK enum mc_status mc_config_show(const struct mc_config *config, char **yaml,
                                                   struct mc_error *err);

/*
 * The vocabulary that the section `vocabulary` describes, with what is built in, as JSON: {topics: [], categories:
 * [], synonyms: {words: topic}}, of which synonyms are the built-in ones. MC_CONFIG: a name in the section is none. Free with mc_free.
 */
MC_API MC_MUST_CHECK enum mc_status mc_config_vocabulary(const struct mc_config *config,
                                                         char **json, struct mc_error *err);

/* The options table: count, and the row at an index (NULL beyond the end). */
MC_API size_t mc_option_count(void);
MC_API const struct mc_option *mc_option_at(size_t index);

/* The row of the option that an environment variable of that name sets; NULL when it sets none. */
MC_API const struct mc_option *mc_option_of_variable(const char *name);

/* A commented sample file, and the table as Markdown. Free with mc_free. */
MC_API MC_MUST_CHECK enum mc_status mc_option_sample(char **yaml, struct mc_error *err);
MC_API MC_MUST_CHECK enum mc_status mc_option_markdown(char **markdown, struct mc_error *err);

#ifdef __cplusplus
}
#endif
#endif
