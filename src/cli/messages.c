#include "cli/messages.h"

#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"

/* How often a command looks whether waiting is of use. */
#define LOOK_MS 1000

static enum mc_style role_style(enum mc_role role)
{
    switch (role) {
    case MC_ROLE_USER:
        return MC_STYLE_GREEN;
    case MC_ROLE_ASSISTANT:
        return MC_STYLE_BLUE;
    case MC_ROLE_SYSTEM:
        return MC_STYLE_YELLOW;
    case MC_ROLE_TOOL:
        return MC_STYLE_CYAN;
    case MC_ROLE_COUNT:
        break;
    }
    return MC_STYLE_NONE;
}

void mc_messages_time(int64_t time_us, char text[MC_TIME_TEXT_SIZE])
{
    mc_time_format(time_us, text);
    text[10] = ' ';
    text[16] = '\0';
}

void mc_messages_print(struct mc_out *out, const struct mc_message *message)
{
    char time[MC_TIME_TEXT_SIZE];
    mc_messages_time(message->created_at_us, time);
    mc_out_print(out, MC_STYLE_DIM, "%s", time);
    fputs("  ", out->file);
    mc_out_print(out, role_style(message->role), "%-9s", mc_role_name(message->role));
    fputs("  ", out->file);
    mc_out_text(out, message->text);
    fputc('\n', out->file);
}

static int print_json(const struct mc_message_list *list)
{
    struct mc_error err = {0};
    fputs("{\"messages\":[", stdout);
    for (size_t i = 0; i < list->count; i++) {
        char *json = NULL;
        if (mc_message_to_json(list->items[i], &json, NULL, &err) != MC_OK)
            return mc_cli_fail(&err);
        printf("%s%s", i ? "," : "", json);
        mc_free(json);
    }
    fputs("]}\n", stdout);
    return MC_CLI_DONE;
}

int mc_messages_result(struct mc_cli *cli, enum mc_status status, struct mc_message_list *list,
                       bool newest_first, const struct mc_error *err)
{
    int result = MC_CLI_DONE;
    if (status != MC_OK)
        return mc_cli_fail(err);
    if (cli->json) {
        result = print_json(list);
    } else {
        for (size_t i = 0; i < list->count; i++)
            mc_messages_print(&cli->out, list->items[newest_first ? list->count - 1 - i : i]);
        if (!list->count)
            mc_cli_note(cli, "no messages");
    }
    mc_message_list_free(list);
    return result;
}

/* What workers/health says, NULL where it cannot be read; the caller frees it. */
static struct mc_json *read_health(struct mc_cli *cli)
{
    struct mc_error err = {0};
    struct mc_json *root = NULL;
    char *json = NULL;
    if (mc_workers_health(cli->engine, &json, &err) != MC_OK ||
        mc_json_parse(mc_str_of(json), &root, &err) != MC_OK)
        root = NULL;
    mc_free(json);
    return root;
}

/* What keeps messages from their enrichment, or from a model. */
static void note_issues(struct mc_cli *cli)
{
    mc_auto(mc_json_free_ptr) struct mc_json *health = read_health(cli);
    const struct mc_json *issues = mc_json_get(health, "issues");
    for (size_t i = 0; i < mc_json_count(issues); i++) {
        mc_str issue = mc_json_string(mc_json_at(issues, i));
        mc_cli_note(cli, "%.*s", MC_STR_ARG(issue));
    }
}

/* Whether there is something to wait for: the workers are well, or have completed more than *processed. */
static bool goes_on(struct mc_cli *cli, double *processed)
{
    mc_auto(mc_json_free_ptr) struct mc_json *health = read_health(cli);
    const struct mc_json *enrichment = mc_json_get(mc_json_get(health, "workers"), "enrichment");
    double now = mc_json_number(mc_json_get(mc_json_get(enrichment, "metrics"), "processed_count"));
    bool moved = now > *processed;
    *processed = now;
    return moved || mc_json_boolean(mc_json_get(health, "healthy"));
}

void mc_messages_settle(struct mc_cli *cli)
{
    struct mc_error err = {0};
    double processed = 0;
    if (mc_args_given(&cli->args, "no-wait"))
        return;
    enum mc_status status = MC_TIMEOUT;
    for (int64_t waited = 0; status == MC_TIMEOUT && waited < MC_CLI_DRAIN_MS; waited += LOOK_MS) {
        status = mc_engine_drain(cli->engine, LOOK_MS, &err);
        if (status == MC_TIMEOUT && !goes_on(cli, &processed))
            break;
    }
    if (status == MC_TIMEOUT)
        mc_cli_note(cli,
                    "some messages still wait for their enrichment; 'mindcore serve' or a later "
                    "command goes on with it");
    else if (status != MC_OK)
        mc_cli_note(cli, "waiting for the enrichment failed: %s", err.message);
    note_issues(cli);
}
