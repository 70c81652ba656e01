/* mindcore keys: API keys of the HTTP interface. */
#include "base/buf.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"
#include "base/time.h"
#include "cli/cli.h"

#define DEFINITION_BYTES ((size_t)1 << 20)

static void put_list(struct mc_json_writer *w, const struct mc_args *args, const char *option,
                     const char *member)
{
    size_t count = mc_args_count(args, option);
    if (count == 0)
        return;
    mc_json_key(w, member);
    mc_json_begin(w, '[');
    for (size_t i = 0; i < count; i++)
        mc_json_put_string(w, mc_args_at(args, option, i));
    mc_json_end(w, ']');
}

/* The id of the key, for the audit log. */
static void set_target(struct mc_cli *cli, const char *json)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    struct mc_error err;
    if (mc_json_parse(mc_str_of(json), &root, &err) != MC_OK)
        return;
    mc_str key_id = mc_json_string(mc_json_get(root, "key_id"));
    snprintf(cli->target, sizeof(cli->target), "%.*s", MC_STR_ARG(key_id));
}

int mc_cli_keys_create(struct mc_cli *cli)
{
    const struct mc_args *args = &cli->args;
    struct mc_error err = {0};
    char *json = NULL;
    mc_auto(mc_buf_fini) struct mc_buf object;
    mc_buf_init(&object, DEFINITION_BYTES);
    struct mc_json_writer w = mc_json_writer(&object);
    mc_json_begin(&w, '{');
    mc_json_member_string(&w, "name", mc_args_text(args, "name"));
    put_list(&w, args, "scope", "scopes");
    put_list(&w, args, "user", "user_ids");
    put_list(&w, args, "agent", "agent_ids");
    if (mc_args_given(args, "rate-limit"))
        mc_json_member_number(&w, "rate_limit", mc_args_number(args, "rate-limit", 0));
    if (mc_args_given(args, "days")) {
        mc_json_key(&w, "expires_at");
        mc_json_put_time(&w, mc_time_now_us() + mc_args_integer(args, "days", 0) * MC_US_PER_DAY);
    }
    mc_json_end(&w, '}');
    enum mc_status status = mc_key_create(cli->engine, mc_buf_str(&object), &json, &err);
    if (status == MC_OK)
        set_target(cli, json);
    int exit_status = mc_cli_result(cli, status, json, &err);
    if (exit_status == MC_CLI_DONE && !cli->json)
        mc_cli_note(cli, "keep the key now: it is not shown again");
    return exit_status;
}

int mc_cli_keys_list(struct mc_cli *cli)
{
    struct mc_error err = {0};
    char *json = NULL;
    enum mc_status status = mc_key_list(cli->engine, &json, &err);
    return mc_cli_result(cli, status, json, &err);
}

int mc_cli_keys_revoke(struct mc_cli *cli)
{
    struct mc_error err = {0};
    mc_str key_id = mc_args_operand(&cli->args, 0);
    if (mc_key_revoke(cli->engine, key_id, &err) != MC_OK)
        return mc_cli_fail(&err);
    if (cli->json)
        printf("{\"revoked\":\"%.*s\"}\n", MC_STR_ARG(key_id));
    else
        printf("revoked %.*s\n", MC_STR_ARG(key_id));
    return MC_CLI_DONE;
}
