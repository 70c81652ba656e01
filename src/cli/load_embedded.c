/* The engine in this process as what a load test drives. */
#include "cli/load_target.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "cli/folder.h"

#define LINES_MOST 64
#define PATH_SIZE 512

struct embedded {
    struct mc_load_target base;
    struct mc_cli *cli;
    struct mc_engine *engine;
    char folder[PATH_SIZE]; /* of the temporary database; "" when it is one of --db */
};

static struct embedded *embedded_of(struct mc_load_target *target)
{
    return mc_container_of(target, struct embedded, base);
}

/* Names the kind of a failure. */
static enum mc_status told(enum mc_status status, struct mc_error *err)
{
    if (status != MC_OK)
        snprintf(err->field, sizeof(err->field), "%s", mc_status_text(status));
    return status;
}

static struct mc_message_input input_of(const struct mc_load_target *target,
                                        const struct mc_load_line *line)
{
    return (struct mc_message_input){.user_id = mc_str_of(line->user_id),
                                     .thread_id = mc_str_of(line->thread_id),
                                     .session_id = mc_str_of(line->session_id),
                                     .role = mc_str_of(line->role),
                                     .text = mc_str_of(line->text),
                                     .agent_id = target->agent_id};
}

static enum mc_status store(struct mc_load_target *target, const struct mc_load_line *lines,
                            size_t count, struct mc_error *err)
{
    struct mc_message_input inputs[LINES_MOST];
    struct mc_ingest_result results[LINES_MOST];
    struct mc_engine *engine = embedded_of(target)->engine;
    if (count == 0 || count > LINES_MOST)
        return mc_fail(err, MC_INVALID, "1 to %d messages at once", LINES_MOST);
    inputs[0] = input_of(target, lines);
    if (count == 1)
        return told(mc_message_ingest(engine, inputs, NULL, NULL, err), err);
    for (size_t i = 1; i < count; i++)
        inputs[i] = input_of(target, lines + i);
    enum mc_status status = mc_message_ingest_batch(engine, inputs, count, results, NULL, err);
    for (size_t i = 0; status == MC_OK && i < count; i++) {
        status = results[i].status;
        if (status != MC_OK)
            *err = results[i].error;
    }
    return told(status, err);
}

static enum mc_status context(struct mc_load_target *target, const struct mc_load_line *line,
                              struct mc_error *err)
{
    struct mc_context *found = NULL;
    const struct mc_context_query query = {.user_id = mc_str_of(line->user_id),
                                           .thread_id = mc_str_of(line->thread_id),
                                           .query = mc_str_of(line->text),
                                           .agent_id = target->agent_id};
    enum mc_status status = mc_context_assemble(embedded_of(target)->engine, &query, &found, err);
    mc_context_free(found);
    return told(status, err);
}

static enum mc_status search(struct mc_load_target *target, const struct mc_load_line *line,
                             struct mc_error *err)
{
    struct mc_hit_list *hits = NULL;
    const struct mc_search_query query = {.user_id = mc_str_of(line->user_id),
                                          .text = mc_str_of(line->text),
                                          .agent_id = target->agent_id};
    enum mc_status status = mc_search(embedded_of(target)->engine, &query, &hits, err);
    mc_hit_list_free(hits);
    return told(status, err);
}

static enum mc_status recent(struct mc_load_target *target, const struct mc_load_line *line,
                             struct mc_error *err)
{
    struct mc_message_list *found = NULL;
    const struct mc_recent_query query = {.user_id = mc_str_of(line->user_id),
                                          .thread_id = mc_str_of(line->thread_id),
                                          .agent_id = target->agent_id};
    enum mc_status status = mc_message_recent(embedded_of(target)->engine, &query, &found, err);
    mc_message_list_free(found);
    return told(status, err);
}

static enum mc_status erase(struct mc_load_target *target, const char *user_id,
                            struct mc_error *err)
{
    char *receipt = NULL;
    if (embedded_of(target)->folder[0]) /* goes away with its folder */
        return MC_OK;
    enum mc_status status =
        mc_user_erase(embedded_of(target)->engine, mc_str_of(user_id), &receipt, err);
    mc_free(receipt);
    return told(status, err);
}

static enum mc_status scrape(struct mc_load_target *target, struct mc_buf *text,
                             struct mc_error *err)
{
    char *metrics = NULL;
    enum mc_status status = mc_metrics_prometheus(embedded_of(target)->engine, &metrics, err);
    if (status != MC_OK)
        return told(status, err);
    mc_buf_reset(text);
    mc_buf_text(text, metrics);
    mc_free(metrics);
    return text->failed ? mc_fail_memory(err) : MC_OK;
}

static enum mc_status fact(struct mc_load_target *target, enum mc_load_fact which,
                           struct mc_json **json, struct mc_error *err)
{
    struct mc_engine *engine = embedded_of(target)->engine;
    char *text = NULL;
    enum mc_status status = which == MC_LOAD_STATUS    ? mc_engine_status(engine, &text, err)
                            : which == MC_LOAD_WORKERS ? mc_workers_health(engine, &text, err)
                                                       : mc_cache_stats(engine, &text, err);
    if (status == MC_OK)
        status = mc_json_parse(mc_str_of(text), json, err);
    mc_free(text);
    return told(status, err);
}

static void close_embedded(struct mc_load_target *target)
{
    struct embedded *e = embedded_of(target);
    mc_engine_close(mc_steal(e->cli->engine));
    if (e->folder[0])
        mc_folder_remove(e->folder);
    free(e);
}

/* Neither the database nor the cache of the configuration. */
static enum mc_status use_temporary(struct embedded *e, struct mc_config *config,
                                    struct mc_error *err)
{
    char path[PATH_SIZE + 16];
    char folder[PATH_SIZE];
    enum mc_status status = mc_folder_make("mindcore-loadtest", folder, sizeof(folder), err);
    if (status != MC_OK)
        return status;
    memcpy(e->folder, folder, sizeof(folder));
    status = mc_config_set(config, "database.backend", "sqlite", err);
    snprintf(path, sizeof(path), "%s/mindcore.db", e->folder);
    if (status == MC_OK)
        status = mc_config_set(config, "database.path", path, err);
    snprintf(path, sizeof(path), "%s/cache", e->folder);
    return status == MC_OK ? mc_config_set(config, "cache.dir", path, err) : status;
}

/* A database that is new knows no agent. */
static enum mc_status register_agent(struct embedded *e, struct mc_error *err)
{
    const struct mc_agent_input agent = {.agent_id = e->base.agent_id, .name = MC_STR("load test")};
    char *json = NULL;
    if (!e->folder[0] || !mc_str_given(agent.agent_id))
        return MC_OK;
    enum mc_status status = mc_agent_register(e->cli->engine, &agent, &json, err);
    mc_free(json);
    return status;
}

enum mc_status mc_load_embedded_open(struct mc_cli *cli, struct mc_load_target **target,
                                     struct mc_error *err)
{
    static const struct mc_load_target_ops ops = {store, context, search, recent,
                                                  erase, scrape,  fact,   close_embedded};
    bool named = mc_args_given(&cli->args, "db");
    struct embedded *e = calloc(1, sizeof(*e));
    if (!e)
        return mc_fail_memory(err);
    e->base = (struct mc_load_target){.ops = &ops, .agent_id = mc_args_text(&cli->args, "agent")};
    e->cli = cli;
    cli->opening = (struct mc_open_options){.lazy_model = false};
    enum mc_status status = mc_cli_load_config(cli, err);
    if (status == MC_OK && !named)
        status = use_temporary(e, cli->config, err);
    if (status == MC_OK)
        status = mc_cli_open(cli, err);
    if (status == MC_OK)
        status = register_agent(e, err);
    if (status != MC_OK) {
        close_embedded(&e->base);
        return status;
    }
    e->engine = cli->engine;
    e->base.config = cli->config;
    snprintf(e->base.where, sizeof(e->base.where), "%s, %s",
             named ? "the database of --db" : "a temporary database", mc_engine_backend(e->engine));
    *target = &e->base;
    return MC_OK;
}
