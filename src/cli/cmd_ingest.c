/* mindcore ingest: one message from options, or many from a file or standard input. */
#include <unistd.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/messages.h"
#include "cli/progress.h"

#define GROUPS 32

/* Lines collected for one call, and the counts so far. */
struct stream {
    struct mc_cli *cli;
    struct mc_arena arena;
    mc_str objects[MC_CLI_BATCH];
    uint64_t numbers[MC_CLI_BATCH];
    struct mc_ingest_result results[MC_CLI_BATCH];
    size_t count;
    size_t bytes;
    uint64_t stored;
    uint64_t repeated;
    uint64_t refused;
    struct mc_buf report; /* --json: the refused lines as members of an array */
    struct mc_json_writer writer;
};

static void refuse(struct stream *stream, uint64_t number, const struct mc_error *err)
{
    stream->refused++;
    if (!stream->report.failed && stream->cli->json) {
        mc_json_begin(&stream->writer, '{');
        mc_json_member_integer(&stream->writer, "line", (int64_t)number);
        mc_json_member_text(&stream->writer, "error", err->message);
        if (err->field[0])
            mc_json_member_text(&stream->writer, "field", err->field);
        mc_json_end(&stream->writer, '}');
    }
    struct mc_out out;
    mc_out_init(&out, stderr);
    fprintf(stderr, "line %llu: ", (unsigned long long)number);
    mc_out_line(&out, mc_str_of(err->message), 0);
    fputc('\n', stderr);
}

static enum mc_status flush_lines(struct stream *stream, struct mc_error *err)
{
    if (!stream->count)
        return MC_OK;
    memset(stream->results, 0, sizeof(stream->results));
    enum mc_status status = mc_message_ingest_json(stream->cli->engine, stream->objects,
                                                   stream->count, stream->results, NULL, err);
    if (status != MC_OK)
        return mc_fail_prefix(err, status, "nothing from line %llu on was stored",
                              (unsigned long long)stream->numbers[0]);
    for (size_t i = 0; i < stream->count; i++) {
        const struct mc_ingest_result *result = &stream->results[i];
        if (result->status != MC_OK)
            refuse(stream, stream->numbers[i], &result->error);
        else if (result->created)
            stream->stored++;
        else
            stream->repeated++;
    }
    stream->count = 0;
    stream->bytes = 0;
    mc_arena_reset(&stream->arena);
    return MC_OK;
}

static enum mc_status take_line(struct stream *stream, mc_str line, uint64_t number,
                                struct mc_error *err)
{
    line = mc_str_trim(line);
    if (!line.len)
        return MC_OK;
    mc_str copy = mc_arena_copy(&stream->arena, line);
    if (!copy.data)
        return mc_fail_memory(err);
    stream->objects[stream->count] = copy;
    stream->numbers[stream->count] = number;
    stream->bytes += line.len;
    stream->count++;
    if (stream->count == MC_CLI_BATCH || stream->bytes >= MC_CLI_BATCH_BYTES)
        return flush_lines(stream, err);
    return MC_OK;
}

static enum mc_status read_stream(struct stream *stream, struct mc_lines *lines,
                                  struct mc_progress *progress, struct mc_error *err)
{
    for (;;) {
        mc_str line;
        enum mc_status status = MC_OK;
        struct mc_error refusal = {0};
        switch (mc_lines_next(lines, &line, err)) {
        case MC_LINE_END:
            return flush_lines(stream, err);
        case MC_LINE_FAILED:
            if (flush_lines(stream, &refusal) != MC_OK)
                *err = refusal;
            return err->status;
        case MC_LINE_TOO_LONG:
            (void)mc_fail(&refusal, MC_TOO_LARGE, "the line is longer than %zu bytes",
                          MC_CLI_LINE_BYTES);
            status = flush_lines(stream, err); /* reports stay in the order of the lines */
            if (status == MC_OK)
                refuse(stream, lines->number, &refusal);
            break;
        case MC_LINE_TEXT:
            status = take_line(stream, line, lines->number, err);
            break;
        }
        if (status != MC_OK)
            return status;
        mc_progress_update(progress, lines->bytes, lines->size);
    }
}

static void print_counts(const struct stream *stream)
{
    if (!stream->cli->json) {
        printf("stored %llu, repeated %llu, refused %llu\n", (unsigned long long)stream->stored,
               (unsigned long long)stream->repeated, (unsigned long long)stream->refused);
        return;
    }
    printf("{\"stored\":%llu,\"repeated\":%llu,\"refused\":%.*s]}\n",
           (unsigned long long)stream->stored, (unsigned long long)stream->repeated,
           MC_STR_ARG(mc_buf_str(&stream->report)));
}

static void stream_fini(struct stream *stream)
{
    mc_arena_fini(&stream->arena);
    mc_buf_fini(&stream->report);
}

static int ingest_stream(struct mc_cli *cli, const char *path)
{
    mc_auto(mc_lines_fini) struct mc_lines lines = {0};
    mc_auto(stream_fini) struct stream stream = {.cli = cli};
    struct mc_progress progress;
    struct mc_error err = {0};
    mc_arena_init(&stream.arena, 2 * (MC_CLI_BATCH_BYTES + MC_CLI_LINE_BYTES));
    mc_buf_init(&stream.report, (size_t)16 << 20);
    stream.writer = mc_json_writer(&stream.report);
    mc_json_begin(&stream.writer, '[');
    enum mc_status status = mc_lines_open(&lines, path, MC_CLI_LINE_BYTES, &err);
    if (status != MC_OK)
        return mc_cli_fail(&err);
    mc_progress_start(&progress, "ingest", "B", cli->quiet);
    status = read_stream(&stream, &lines, &progress, &err);
    mc_progress_stop(&progress);
    print_counts(&stream);
    fflush(stdout);
    if (stream.stored)
        mc_messages_settle(cli);
    if (status != MC_OK)
        return mc_cli_fail(&err);
    return stream.refused ? MC_CLI_FAILED : MC_CLI_DONE;
}

static int ingest_one(struct mc_cli *cli)
{
    static const char *const needed[] = {"user", "thread", "session", "role", "text"};
    const struct mc_args *args = &cli->args;
    struct mc_error err = {0};
    for (size_t i = 0; i < mc_countof(needed); i++) {
        if (!mc_args_given(args, needed[i]))
            return mc_cli_usage(cli, "a message from options needs --%s too", needed[i]);
    }
    mc_str groups[GROUPS];
    size_t group_count = mc_args_count(args, "group");
    if (group_count > GROUPS)
        return mc_cli_usage(cli, "at most %d sharing groups", GROUPS);
    for (size_t i = 0; i < group_count; i++)
        groups[i] = mc_args_at(args, "group", i);
    struct mc_message_input input = {
        .user_id = mc_args_text(args, "user"),
        .thread_id = mc_args_text(args, "thread"),
        .session_id = mc_args_text(args, "session"),
        .role = mc_args_text(args, "role"),
        .text = mc_args_text(args, "text"),
        .message_id = mc_args_text(args, "message-id"),
        .agent_id = mc_args_text(args, "agent"),
        .visibility = mc_args_text(args, "visibility"),
        .sharing_groups = groups,
        .sharing_group_count = group_count,
        .created_at_us = mc_args_time(args, "created-at"),
        .metadata = mc_args_text(args, "metadata"),
    };
    struct mc_message_list *stored = NULL;
    bool created = false;
    enum mc_status status = mc_message_ingest(cli->engine, &input, &stored, &created, &err);
    if (status != MC_OK)
        return mc_cli_fail(&err);
    mc_messages_settle(cli);
    int result = MC_CLI_DONE;
    char *json = NULL;
    if (!cli->json)
        printf("%s %.*s\n", created ? "stored" : "repeated",
               MC_STR_ARG(stored->items[0]->message_id));
    else if (mc_message_to_json(stored->items[0], &json, NULL, &err) == MC_OK)
        puts(json);
    else
        result = mc_cli_fail(&err);
    mc_free(json);
    mc_message_list_free(stored);
    return result;
}

int mc_cli_ingest(struct mc_cli *cli)
{
    static const char *const parts[] = {"user",  "thread",     "session", "role",
                                        "text",  "message-id", "agent",   "visibility",
                                        "group", "created-at", "metadata"};
    for (size_t i = 0; i < mc_countof(parts); i++) {
        if (!mc_args_given(&cli->args, parts[i]))
            continue;
        if (cli->args.operand_count > 0)
            return mc_cli_usage(cli, "give a file or --%s, not both", parts[i]);
        return ingest_one(cli);
    }
    if (cli->args.operand_count > 0)
        return ingest_stream(cli, mc_args_operand(&cli->args, 0).data);
    if (isatty(STDIN_FILENO) == 1)
        return mc_cli_usage(cli, "give a message with --user, --thread, --session, --role and "
                                 "--text, or a file of JSON Lines");
    return ingest_stream(cli, "-");
}
