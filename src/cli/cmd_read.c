/* mindcore search, recent, window: reading messages. */
#include "base/buf.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/messages.h"
#include "cli/table.h"

#define NAMES 64
#define REASONS_BYTES ((size_t)4096)

/* {"hits": [{"message", "score", "why"}], "meaning"}, as over HTTP. */
static int print_hits_json(const struct mc_hit_list *hits)
{
    struct mc_error err = {0};
    fputs("{\"hits\":[", stdout);
    for (size_t i = 0; i < hits->count; i++) {
        char *json = NULL;
        size_t len = 0;
        if (mc_hit_to_json(&hits->items[i], &json, &len, &err) != MC_OK)
            return mc_cli_fail(&err);
        printf("%s%.*s", i ? "," : "", (int)len, json);
        mc_free(json);
    }
    printf("],\"meaning\":\"%s\"}\n", hits->meaning);
    return MC_CLI_DONE;
}

/* "words 0.62, session 0.20". */
static void add_reasons(struct mc_table *table, const struct mc_hit *hit)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, REASONS_BYTES);
    for (size_t i = 0; i < hit->why_count; i++)
        mc_buf_printf(&buf, "%s%.*s %.2f", i ? ", " : "", MC_STR_ARG(hit->why[i].feature),
                      hit->why[i].share);
    mc_table_cell(table, mc_buf_str(&buf));
}

static void print_hits(struct mc_cli *cli, const struct mc_hit_list *hits)
{
    mc_auto(mc_table_fini) struct mc_table table;
    static const char *const heads[] = {"score", "time", "role", "thread", "why", "text"};
    bool explained = hits->count > 0 && hits->items[0].why;
    mc_table_init(&table);
    table.cut = true;
    for (size_t i = 0; i < mc_countof(heads); i++)
        if (explained || strcmp(heads[i], "why") != 0)
            mc_table_head(&table, mc_str_of(heads[i]));
    for (size_t i = 0; i < hits->count; i++) {
        const struct mc_message *message = hits->items[i].message;
        char time[MC_TIME_TEXT_SIZE];
        mc_messages_time(message->created_at_us, time);
        mc_table_printf(&table, "%.3f", hits->items[i].score);
        mc_table_cell(&table, mc_str_of(time));
        mc_table_cell(&table, mc_str_of(mc_role_name(message->role)));
        mc_table_cell(&table, message->thread_id);
        if (explained)
            add_reasons(&table, &hits->items[i]);
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
        .explain = mc_args_given(args, "explain"),
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

int mc_cli_messages_get(struct mc_cli *cli)
{
    struct mc_error err = {0};
    struct mc_message_list *list = NULL;
    char *json = NULL;
    enum mc_status status = mc_message_get(cli->engine, mc_args_operand(&cli->args, 0),
                                           mc_args_text(&cli->args, "agent"), &list, &err);
    if (status == MC_OK)
        status = mc_message_to_json(list->items[0], &json, NULL, &err);
    mc_message_list_free(list);
    return mc_cli_result(cli, status, json, &err);
}

int mc_cli_messages_delete(struct mc_cli *cli)
{
    struct mc_error err = {0};
    mc_str id = mc_args_operand(&cli->args, 0);
    if (mc_message_delete(cli->engine, id, mc_args_text(&cli->args, "agent"), &err) != MC_OK)
        return mc_cli_fail(&err);
    if (cli->json)
        printf("{\"deleted\":\"%.*s\"}\n", MC_STR_ARG(id));
    else
        printf("deleted %.*s\n", MC_STR_ARG(id));
    return MC_CLI_DONE;
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
