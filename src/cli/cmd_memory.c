/* mindcore agents, preferences: what is remembered beside messages. */
#include "base/buf.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/cli.h"

#define GROUPS 32
#define VALUE_BYTES ((size_t)1 << 20)

int mc_cli_agents_list(struct mc_cli *cli)
{
    struct mc_error err = {0};
    char *json = NULL;
    enum mc_status status = mc_agent_list(cli->engine, &json, &err);
    return mc_cli_result(cli, status, json, &err);
}

int mc_cli_agents_get(struct mc_cli *cli)
{
    struct mc_error err = {0};
    char *json = NULL;
    enum mc_status status = mc_agent_get(cli->engine, mc_args_operand(&cli->args, 0), &json, &err);
    return mc_cli_result(cli, status, json, &err);
}

int mc_cli_agents_register(struct mc_cli *cli)
{
    const struct mc_args *args = &cli->args;
    struct mc_error err = {0};
    char *json = NULL;
    mc_str groups[GROUPS];
    size_t count = mc_args_count(args, "group");
    if (count > GROUPS)
        return mc_cli_usage(cli, "at most %d sharing groups", GROUPS);
    for (size_t i = 0; i < count; i++)
        groups[i] = mc_args_at(args, "group", i);
    struct mc_agent_input agent = {
        .agent_id = mc_args_text(args, "agent"),
        .name = mc_args_text(args, "name"),
        .description = mc_args_text(args, "description"),
        .sharing_groups = groups,
        .sharing_group_count = count,
        .default_visibility = mc_args_text(args, "visibility"),
        .cannot_read_public = mc_args_given(args, "no-read-public"),
        .can_write_public = mc_args_given(args, "write-public"),
        .metadata = mc_args_text(args, "metadata"),
    };
    enum mc_status status = mc_agent_register(cli->engine, &agent, &json, &err);
    return mc_cli_result(cli, status, json, &err);
}

int mc_cli_agents_unregister(struct mc_cli *cli)
{
    struct mc_error err = {0};
    mc_str agent = mc_args_operand(&cli->args, 0);
    if (mc_agent_unregister(cli->engine, agent, &err) != MC_OK)
        return mc_cli_fail(&err);
    if (cli->json)
        printf("{\"unregistered\":\"%.*s\"}\n", MC_STR_ARG(agent));
    else
        printf("unregistered %.*s\n", MC_STR_ARG(agent));
    return MC_CLI_DONE;
}

int mc_cli_agents_stats(struct mc_cli *cli)
{
    struct mc_error err = {0};
    char *json = NULL;
    enum mc_status status = mc_agent_stats(cli->engine, &json, &err);
    return mc_cli_result(cli, status, json, &err);
}

int mc_cli_preferences_get(struct mc_cli *cli)
{
    struct mc_error err = {0};
    char *json = NULL;
    enum mc_status status =
        mc_preferences_get(cli->engine, mc_args_text(&cli->args, "user"), &json, &err);
    return mc_cli_result(cli, status, json, &err);
}

/* The value as JSON: itself when it is JSON, else a string of it. */
static mc_str value_as_json(mc_str value, struct mc_buf *room)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    struct mc_error err;
    if (!mc_str_given(value) || mc_json_parse(value, &root, &err) == MC_OK)
        return value;
    struct mc_json_writer writer = mc_json_writer(room);
    mc_json_put_string(&writer, value);
    return mc_buf_str(room);
}

int mc_cli_preferences_set(struct mc_cli *cli)
{
    const struct mc_args *args = &cli->args;
    struct mc_error err = {0};
    char *json = NULL;
    enum mc_preference_action action = MC_PREFERENCE_SET;
    mc_str user = mc_args_text(args, "user");
    if (mc_args_given(args, "patch") == mc_args_given(args, "field"))
        return mc_cli_usage(cli, "say what to change with --field and --value, or with --patch");
    if (mc_args_given(args, "patch")) {
        mc_str patch = mc_args_text(args, "patch");
        enum mc_status status = mc_preferences_patch(cli->engine, user, patch, &json, &err);
        return mc_cli_result(cli, status, json, &err);
    }
    if (mc_args_given(args, "action"))
        (void)mc_preference_action_parse(mc_args_text(args, "action"), &action);
    if (action != MC_PREFERENCE_CLEAR && !mc_args_given(args, "value"))
        return mc_cli_usage(cli, "'preferences set' needs --value VALUE");
    mc_auto(mc_buf_fini) struct mc_buf room;
    mc_buf_init(&room, VALUE_BYTES);
    enum mc_status status = mc_preferences_update(cli->engine, user, mc_args_text(args, "field"),
                                                  value_as_json(mc_args_text(args, "value"), &room),
                                                  action, &json, &err);
    return mc_cli_result(cli, status, json, &err);
}

int mc_cli_preferences_signals(struct mc_cli *cli)
{
    struct mc_error err = {0};
    char *json = NULL;
    enum mc_status status =
        mc_preferences_signals(cli->engine, mc_args_text(&cli->args, "user"), &json, &err);
    return mc_cli_result(cli, status, json, &err);
}

int mc_cli_preferences_apply(struct mc_cli *cli)
{
    struct mc_error err = {0};
    char *json = NULL;
    enum mc_status status =
        mc_preferences_apply(cli->engine, mc_args_text(&cli->args, "user"), &json, &err);
    return mc_cli_result(cli, status, json, &err);
}
