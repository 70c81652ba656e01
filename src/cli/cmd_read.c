/* mindcore search, recent, window: reading messages. */
#include "base/buf.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/messages.h"
#include "cli/table.h"

#define NAMES 64
#define HIT_BYTES ((size_t)8 << 20)

/* {"hits": [{"score", "message"}]}, as over HTTP. */
static int print_hits_json(const struct mc_hit_list *hits)
{
    struct mc_error err = {0};
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, HIT_BYTES);
    fputs("{\"hits\":[", stdout);
    for (size_t i = 0; i < hits->count; i++) {
        char *json = NULL;
        size_t len = 0;
        if (mc_message_to_json(hits->items[i].message, &json, &len, &err) != MC_OK)
            return mc_cli_fail(&err);
        mc_buf_reset(&buf);
        struct mc_json_writer writer = mc_json_writer(&buf);
        mc_json_begin(&writer, '{');
        mc_json_member_number(&writer, "score", hits->items[i].score);
        mc_json_key(&writer, "message");
        mc_json_put_raw(&writer, (mc_str){json, len});
        mc_json_end(&writer, '}');
        mc_free(json);
        printf("%s%.*s", i ? "," : "", MC_STR_ARG(mc_buf_str(&buf)));
    }
    fputs("]}\n", stdout);
    return MC_CLI_DONE;
}

static void print_hits(struct mc_cli *cli, const struct mc_hit_list *hits)
{
    mc_auto(mc_table_fini) struct mc_table table;
    static const char *const heads[] = {"score", "time", "role", "thread", "text"};
    mc_table_init(&table);
    for (size_t i = 0; i < mc_countof(heads); i++)
        mc_table_head(&table, mc_str_of(heads[i]));
    for (size_t i = 0; i < hits->count; i++) {
        const struct mc_message *message = hits->items[i].message;
        char time[MC_TIME_TEXT_SIZE];
        mc_messages_time(message->created_at_us, time);
        mc_table_printf(&table, "%.3f", hits->items[i].score);
        mc_table_cell(&table, mc_str_of(time));
        mc_table_cell(&table, mc_str_of(mc_role_name(message->role)));
        mc_table_cell(&table, message->thread_id);
        mc_table_cell(&table, message->text);
    }
    if (hits->count)
        mc_table_print(&table, &cli->out, 0);
    else
        mc_cli_note(cli, "no hits");
}

static size_t collect(const struct mc_args *args, const char *name, mc_str *names)
{
    size_t count = mc_args_count(args, name);
    for (size_t i = 0; i < count && i < NAMES; i++)
        names[i] = mc_args_at(args, name, i);
    return count;
}

int mc_cli_search(struct mc_cli *cli)
{
    const struct mc_args *args = &cli->args;
    struct mc_error err = {0};
    struct mc_hit_list *hits = NULL;
    mc_str topics[NAMES];
    mc_str categories[NAMES];
    struct mc_search_query query = {
        .user_id = mc_args_text(args, "user"),
        .agent_id = mc_args_text(args, "agent"),
        .text = mc_cli_query(cli),
        .thread_id = mc_args_text(args, "thread"),
        .topics = topics,
        .topic_count = collect(args, "topic", topics),
        .categories = categories,
        .category_count = collect(args, "category", categories),
        .intent = mc_args_text(args, "intent"),
        .since_us = mc_args_time(args, "since"),
        .until_us = mc_args_time(args, "until"),
        .limit = (size_t)mc_args_integer(args, "limit", 0),
    };
    if (query.topic_count > NAMES || query.category_count > NAMES)
        return mc_cli_usage(cli, "at most %d topics and categories", NAMES);
    if (mc_args_given(args, "query") && args->operand_count)
        return mc_cli_usage(cli, "give the words once: as --query or as an argument");
    if (!mc_str_given(query.text) && !query.topic_count && !query.category_count &&
        !mc_str_given(query.intent))
        return mc_cli_usage(cli, "'search' needs WORDS, --topic, --category or --intent");
    if (mc_search(cli->engine, &query, &hits, &err) != MC_OK)
        return mc_cli_fail(&err);
    int result = MC_CLI_DONE;
    if (cli->json)
        result = print_hits_json(hits);
    else
        print_hits(cli, hits);
    mc_hit_list_free(hits);
    return result;
}

int mc_cli_recent(struct mc_cli *cli)
{
    const struct mc_args *args = &cli->args;
    struct mc_error err = {0};
    struct mc_message_list *list = NULL;
    struct mc_recent_query query = {
        .user_id = mc_args_text(args, "user"),
        .thread_id = mc_args_text(args, "thread"),
        .agent_id = mc_args_text(args, "agent"),
        .before = mc_args_text(args, "before"),
        .limit = (size_t)mc_args_integer(args, "limit", 0),
    };
    enum mc_status status = mc_message_recent(cli->engine, &query, &list, &err);
    return mc_messages_result(cli, status, list, true, &err);
}

int mc_cli_window(struct mc_cli *cli)
{
    const struct mc_args *args = &cli->args;
    struct mc_error err = {0};
    struct mc_message_list *list = NULL;
    struct mc_window_query query = {
        .user_id = mc_args_text(args, "user"),
        .thread_id = mc_args_text(args, "thread"),
        .agent_id = mc_args_text(args, "agent"),
        .max_messages = (size_t)mc_args_integer(args, "max-messages", 0),
        .max_tokens = (size_t)mc_args_integer(args, "max-tokens", 0),
        .min_importance = mc_args_number(args, "min-importance", 0),
    };
    enum mc_status status = mc_message_window(cli->engine, &query, &list, &err);
    return mc_messages_result(cli, status, list, false, &err);
}
