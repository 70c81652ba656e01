/* mindcore models: which models there are, what they were asked, whether they answer. */
#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"
#include "base/time.h"
#include "cli/cli.h"
#include "cli/show.h"
#include "cli/table.h"

/* How long one model may take to answer the question of --check, loading it included. */
#define CHECK_MS 120000

static mc_str text_of(const struct mc_json *object, const char *key)
{
    mc_str text = mc_json_string(mc_json_get(object, key));
    return text.len > 0 ? text : MC_STR("-");
}

/* A number, or "-" where there is none. */
static void number_cell(struct mc_table *table, const struct mc_json *object, const char *key,
                        int decimals)
{
    const struct mc_json *value = mc_json_get(object, key);
    if (mc_json_type(value) == MC_JSON_NULL)
        mc_table_cell(table, MC_STR("-"));
    else
        mc_table_printf(table, "%.*f", decimals, mc_json_number(value));
}

/* The embeddings model in the same columns; its progress is the detail. */
static void add_embeddings(struct mc_table *table, const struct mc_json *e)
{
    if (!mc_json_boolean(mc_json_get(e, "enabled")))
        return;
    mc_str issue = mc_json_string(mc_json_get(e, "issue"));
    mc_table_cell(table, MC_STR("embeddings"));
    mc_table_cell(table, text_of(e, "state"));
    mc_table_cell(table, text_of(e, "model"));
    for (int i = 0; i < 4; i++) /* --usage tells what was asked */
        mc_table_cell(table, MC_STR("-"));
    mc_table_printf(table, "%lld vectors, %lld of a model before, %lld messages wait%s%.*s",
                    (long long)mc_json_integer(mc_json_get(e, "vectors")),
                    (long long)mc_json_integer(mc_json_get(e, "old_vectors")),
                    (long long)mc_json_integer(mc_json_get(e, "waiting")), issue.len ? "; " : "",
                    MC_STR_ARG(issue));
}

static int print_models(struct mc_cli *cli, const struct mc_json *root)
{
    static const char *const HEADS[] = {"provider", "state",       "model",     "context",
                                        "tokens/s", "calls today", "USD today", "detail"};
    mc_auto(mc_table_fini) struct mc_table table;
    mc_table_init(&table);
    for (size_t i = 0; i < mc_countof(HEADS); i++)
        mc_table_head(&table, mc_str_of(HEADS[i]));
    const struct mc_json *models = mc_json_get(root, "models");
    for (size_t i = 0; i < mc_json_count(models); i++) {
        const struct mc_json *model = mc_json_at(models, i);
        mc_table_cell(&table, text_of(model, "provider"));
        mc_table_cell(&table, text_of(model, "state"));
        mc_table_cell(&table, text_of(model, "model"));
        number_cell(&table, model, "context_tokens", 0);
        number_cell(&table, model, "tokens_per_second", 1);
        number_cell(&table, model, "calls_today", 0);
        number_cell(&table, model, "cost_today_usd", 4);
        mc_str detail = mc_json_string(mc_json_get(model, "detail"));
        mc_str error = mc_json_string(mc_json_get(model, "last_error"));
        mc_table_cell(&table, detail.len > 0 ? detail : error);
    }
    add_embeddings(&table, mc_json_get(root, "embeddings"));
    if (table.failed)
        return mc_cli_fail(&(struct mc_error){.status = MC_NO_MEMORY});
    mc_table_print(&table, &cli->out, 0);
    const struct mc_json *caps = mc_json_get(root, "caps");
    if (mc_json_boolean(mc_json_get(caps, "reached")))
        mc_cli_note(cli,
                    "a daily cap is reached: remote models are asked again after midnight UTC");
    return MC_CLI_DONE;
}

static int list_models(struct mc_cli *cli)
{
    struct mc_error err = {0};
    char *json = NULL;
    if (mc_models_list(cli->engine, &json, &err) != MC_OK)
        return mc_cli_fail(&err);
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    int result = MC_CLI_DONE;
    if (cli->json)
        puts(json);
    else if (mc_json_parse(mc_str_of(json), &root, &err) == MC_OK)
        result = print_models(cli, root);
    else
        result = mc_cli_fail(&err);
    mc_free(json);
    return result;
}

/* The day of a time option as text, absent when it was not given. */
static mc_str day_of(const struct mc_cli *cli, const char *option, char text[MC_TIME_TEXT_SIZE])
{
    if (!mc_args_given(&cli->args, option))
        return MC_STR_NONE;
    mc_time_format(mc_args_time(&cli->args, option), text);
    return (mc_str){text, strlen("2026-11-22")};
}

static int show_usage(struct mc_cli *cli)
{
    struct mc_error err = {0};
    char *json = NULL, since[MC_TIME_TEXT_SIZE], until[MC_TIME_TEXT_SIZE];
    const struct mc_usage_query query = {.first_day = day_of(cli, "since", since),
                                         .last_day = day_of(cli, "until", until)};
    enum mc_status status = mc_usage(cli->engine, &query, &json, &err);
    return mc_cli_result(cli, status, json, &err);
}

static int check_models(struct mc_cli *cli)
{
    struct mc_error err = {0};
    char *json = NULL;
    bool ok = false;
    if (mc_models_ask(cli->engine, CHECK_MS, &ok, &json, &err) != MC_OK)
        return mc_cli_fail(&err);
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    if (cli->json) {
        puts(json);
    } else if (mc_json_parse(mc_str_of(json), &root, &err) == MC_OK) {
        const struct mc_json *checks = mc_json_get(root, "checks");
        mc_show_checks(&cli->out, checks, "provider");
        if (mc_json_count(checks) == 0)
            mc_cli_note(cli, "no model is configured; the rules that are built in enrich");
    }
    mc_free(json);
    return ok ? MC_CLI_DONE : MC_CLI_FAILED;
}

int mc_cli_models(struct mc_cli *cli)
{
    const struct mc_args *args = &cli->args;
    bool usage = mc_args_given(args, "usage"), check = mc_args_given(args, "check");
    if (usage && check)
        return mc_cli_usage(cli, "give --usage or --check, not both");
    if (!usage && (mc_args_given(args, "since") || mc_args_given(args, "until")))
        return mc_cli_usage(cli, "--since and --until belong to --usage");
    if (usage)
        return show_usage(cli);
    return check ? check_models(cli) : list_models(cli);
}
