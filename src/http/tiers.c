/* Tiers: the age and the end of messages. */
#include "http/routes.h"

const struct mc_http_field mc_http_migrate_fields[MC_HTTP_MIGRATE_COUNT] = {
    [MC_HTTP_MIGRATE_USER] = {.name = "user_id",
                              .type = MC_HTTP_STRING,
                              .help = "Only this user; all when not given"},
    [MC_HTTP_MIGRATE_DRY_RUN] = {.name = "dry_run",
                                 .type = MC_HTTP_BOOLEAN,
                                 .help = "Count, change nothing"},
};

const struct mc_http_field mc_http_undo_fields[MC_HTTP_UNDO_COUNT] = {
    [MC_HTTP_UNDO_RUN] = {.name = "run",
                          .type = MC_HTTP_INTEGER,
                          .min = 1,
                          .max = 1e12,
                          .help = "This run and all later ones; the last one when not given"},
    [MC_HTTP_UNDO_DRY_RUN] = {.name = "dry_run",
                              .type = MC_HTTP_BOOLEAN,
                              .help = "Count, change nothing"},
};

static bool go_on(void *context, uint64_t done, uint64_t total)
{
    const struct mc_http_request *req = context;
    (void)done;
    (void)total;
    return !atomic_load_explicit(req->stopping, memory_order_relaxed);
}

enum mc_status mc_http_tiers_migrate(struct mc_http_request *req, struct mc_error *err)
{
    const struct mc_http_value *values = req->fields;
    char *json = NULL;
    enum mc_status status =
        mc_tiers_migrate(req->engine, values[MC_HTTP_MIGRATE_USER].text,
                         values[MC_HTTP_MIGRATE_DRY_RUN].boolean, go_on, req, &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}

enum mc_status mc_http_tiers_runs(struct mc_http_request *req, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status = mc_tiers_runs(req->engine, &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}

enum mc_status mc_http_tiers_undo(struct mc_http_request *req, struct mc_error *err)
{
    const struct mc_http_value *values = req->fields;
    char *json = NULL;
    enum mc_status status =
        mc_tiers_undo(req->engine, values[MC_HTTP_UNDO_RUN].integer,
                      values[MC_HTTP_UNDO_DRY_RUN].boolean, go_on, req, &json, err);
    return status == MC_OK ? mc_http_answer_json(req, 200, json) : status;
}
