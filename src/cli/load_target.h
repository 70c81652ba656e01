/*
 * What a load test drives: the engine in this process, or a server over HTTP. Any thread may call each function
 * but close.
 *
 * When a call fails, err->field says what kind of failure it was, for counting: "timed out", "HTTP 503",
 * "connection".
 */
#ifndef MC_CLI_LOAD_TARGET_H
#define MC_CLI_LOAD_TARGET_H

#include "base/buf.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/load_talk.h"

enum mc_load_fact { MC_LOAD_STATUS, MC_LOAD_WORKERS, MC_LOAD_CACHE, MC_LOAD_FACTS };

struct mc_load_target;
struct mc_load_target_ops {
    /* Stores messages of one user. */
    enum mc_status (*store)(struct mc_load_target *target, const struct mc_load_line *lines,
                            size_t count, struct mc_error *err);
    enum mc_status (*context)(struct mc_load_target *target, const struct mc_load_line *line,
                              struct mc_error *err);
    enum mc_status (*search)(struct mc_load_target *target, const struct mc_load_line *line,
                             struct mc_error *err);
    enum mc_status (*recent)(struct mc_load_target *target, const struct mc_load_line *line,
                             struct mc_error *err);
    enum mc_status (*erase)(struct mc_load_target *target, const char *user_id,
                            struct mc_error *err);
    /* Replaces the text by the metrics for Prometheus. */
    enum mc_status (*scrape)(struct mc_load_target *target, struct mc_buf *text,
                             struct mc_error *err);
    /* *json is the caller's, of mc_engine_status, mc_workers_health, mc_cache_stats. */
    enum mc_status (*fact)(struct mc_load_target *target, enum mc_load_fact fact,
                           struct mc_json **json, struct mc_error *err);
    void (*close)(struct mc_load_target *target);
};

/* The generic part; the first member of each. */
struct mc_load_target {
    const struct mc_load_target_ops *ops;
    mc_str agent_id;                /* the agent that writes and reads; absent: none */
    const struct mc_config *config; /* NULL: a server's, which it does not tell */
    char where[256];                /* for people */
};

/* Opens the engine on --db, else on a temporary database. */
MC_MUST_CHECK enum mc_status mc_load_embedded_open(struct mc_cli *cli,
                                                   struct mc_load_target **target,
                                                   struct mc_error *err);
/* The server of --url, asked by so many threads. */
MC_MUST_CHECK enum mc_status mc_load_remote_open(const struct mc_cli *cli, unsigned clients,
                                                 struct mc_load_target **target,
                                                 struct mc_error *err);

#endif
