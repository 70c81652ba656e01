/* mindcore context: what an agent needs to know now, and why each part is there. */
#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/show.h"

#define AGENTS 32

static void explain(struct mc_out *out, const struct mc_context *context)
{
    mc_auto(mc_json_free_ptr) struct mc_json *metadata = NULL;
    struct mc_error err;
    fputc('\n', out->file);
    mc_out_print(out, MC_STYLE_BOLD, "Why\n");
    if (mc_json_parse(context->metadata, &metadata, &err) == MC_OK)
        mc_show_json(out, metadata);
}

static int print_json(const struct mc_context *context)
{
    struct mc_error err = {0};
    char *json = NULL;
    if (mc_context_to_json(context, &json, NULL, &err) != MC_OK)
        return mc_cli_fail(&err);
    puts(json);
    mc_free(json);
    return MC_CLI_DONE;
}

int mc_cli_context(struct mc_cli *cli)
{
    const struct mc_args *args = &cli->args;
    struct mc_error err = {0};
    struct mc_context *context = NULL;
    mc_str agents[AGENTS];
    size_t agent_count = mc_args_count(args, "from-agent");
    mc_str question = mc_cli_query(cli);
    if (!mc_str_given(question))
        return mc_cli_usage(cli, "'context' needs what is asked: --query TEXT");
    if (mc_args_given(args, "query") && args->operand_count)
        return mc_cli_usage(cli, "give the question once: as --query or as a word of its own");
    if (agent_count > AGENTS)
        return mc_cli_usage(cli, "at most %d agents with --from-agent", AGENTS);
    for (size_t i = 0; i < agent_count; i++)
        agents[i] = mc_args_at(args, "from-agent", i);
    struct mc_context_query query = {
        .user_id = mc_args_text(args, "user"),
        .thread_id = mc_args_text(args, "thread"),
        .query = question,
        .max_messages = (size_t)mc_args_integer(args, "max-messages", 0),
        .max_tokens = (size_t)mc_args_integer(args, "max-tokens", 0),
        .agent_id = mc_args_text(args, "agent"),
        .agent_ids = agents,
        .agent_id_count = agent_count,
        .exclude_shared = mc_args_given(args, "exclude-shared"),
        .exclude_public = mc_args_given(args, "exclude-public"),
        .additional_context = mc_args_text(args, "additional-context"),
        .now_us = mc_args_time(args, "now"),
    };
    if (mc_args_given(args, "mode"))
        (void)mc_context_mode_parse(mc_args_text(args, "mode"), &query.mode);
    if (mc_context_assemble(cli->engine, &query, &context, &err) != MC_OK)
        return mc_cli_fail(&err);
    int result = MC_CLI_DONE;
    if (cli->json) {
        result = print_json(context);
    } else {
        mc_out_text(&cli->out, context->assembled_context);
        if (!mc_str_ends(context->assembled_context, MC_STR("\n")))
            putchar('\n');
        if (mc_args_given(args, "explain"))
            explain(&cli->out, context);
    }
    mc_context_free(context);
    return result;
}
