/*
 * mindcore import: reads what export wrote. DESIGN: a message keeps its id, so that importing again
 * is a harmless repeat; what enrichment found is found anew, and the caller's own metadata, which
 * export has under "extra", goes back in. Messages go in batches; a batch ends before a line of
 * another type, so that the order of the file is kept.
 */
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
#define VALUE_BYTES ((size_t)1 << 20)
/* An exported message carries its enrichment beside what was ingested. */
#define LINE_BYTES (MC_CLI_LINE_BYTES + ((size_t)1 << 20))

struct import {
    struct mc_cli *cli;
    struct mc_arena arena;
    struct mc_message_input inputs[MC_CLI_BATCH];
    uint64_t numbers[MC_CLI_BATCH];
    struct mc_ingest_result results[MC_CLI_BATCH];
    size_t count;
    bool failed; /* a copy ran out of memory */
    uint64_t stored;
    uint64_t repeated;
    uint64_t preferences;
    uint64_t summaries; /* left out: they are made anew */
    uint64_t signals;   /* left out: they are learned anew from the messages */
    uint64_t refused;
};

static void refuse(struct import *import, uint64_t number, const struct mc_error *err)
{
    struct mc_out out;
    mc_out_init(&out, stderr);
    import->refused++;
    fprintf(stderr, "line %llu: ", (unsigned long long)number);
    mc_out_line(&out, mc_str_of(err->message), 0);
    fputc('\n', stderr);
}

static enum mc_status flush_messages(struct import *import, struct mc_error *err)
{
    if (!import->count) {
        mc_arena_reset(&import->arena); /* of lines that were refused */
        return MC_OK;
    }
    memset(import->results, 0, sizeof(import->results));
    enum mc_status status = mc_message_ingest_batch(import->cli->engine, import->inputs,
                                                    import->count, import->results, NULL, err);
    if (status != MC_OK)
        return mc_fail_prefix(err, status, "nothing from line %llu on was imported",
                              (unsigned long long)import->numbers[0]);
    for (size_t i = 0; i < import->count; i++) {
        if (import->results[i].status != MC_OK)
            refuse(import, import->numbers[i], &import->results[i].error);
        else if (import->results[i].created)
            import->stored++;
        else
            import->repeated++;
    }
    import->count = 0;
    mc_arena_reset(&import->arena);
    return MC_OK;
}

/* A string member copied into the arena; absent when there is none or it is empty. */
static mc_str copy_member(struct import *import, const struct mc_json *object, const char *key)
{
    mc_str text = mc_json_string(mc_json_get(object, key));
    mc_str copy = text.len ? mc_arena_copy(&import->arena, text) : MC_STR_NONE;
    import->failed = import->failed || (text.len && !copy.data);
    return copy;
}

static enum mc_status copy_groups(struct import *import, const struct mc_json *list,
                                  struct mc_message_input *input, struct mc_error *err)
{
    size_t count = mc_json_count(list);
    if (!count || mc_json_type(list) != MC_JSON_ARRAY)
        return MC_OK;
    if (count > GROUPS)
        return mc_fail_field(err, MC_INVALID, "sharing_groups", "more than %d sharing groups",
                             GROUPS);
    mc_str *groups = mc_arena_array(&import->arena, count, sizeof(*groups));
    if (!groups)
        return mc_fail_memory(err);
    for (size_t i = 0; i < count; i++) {
        groups[i] = mc_arena_copy(&import->arena, mc_json_string(mc_json_at(list, i)));
        import->failed = import->failed || !groups[i].data;
    }
    input->sharing_groups = groups;
    input->sharing_group_count = count;
    return MC_OK;
}

static enum mc_status copy_extra(struct import *import, const struct mc_json *message,
                                 struct mc_message_input *input, struct mc_error *err)
{
    const struct mc_json *extra = mc_json_get(mc_json_get(message, "metadata"), "extra");
    if (mc_json_type(extra) != MC_JSON_OBJECT || !mc_json_count(extra))
        return MC_OK;
    mc_auto(mc_buf_fini) struct mc_buf text;
    mc_buf_init(&text, VALUE_BYTES);
    mc_json_dump(extra, &text);
    if (text.failed)
        return mc_fail_field(err, MC_TOO_LARGE, "metadata", "the metadata is too long");
    input->metadata = mc_arena_copy(&import->arena, mc_buf_str(&text));
    return input->metadata.data ? MC_OK : mc_fail_memory(err);
}

static enum mc_status take_message(struct import *import, const struct mc_json *message,
                                   uint64_t number, struct mc_error *err)
{
    struct mc_message_input input = {
        .user_id = copy_member(import, message, "user_id"),
        .thread_id = copy_member(import, message, "thread_id"),
        .session_id = copy_member(import, message, "session_id"),
        .role = copy_member(import, message, "role"),
        .text = copy_member(import, message, "raw_text"),
        .message_id = copy_member(import, message, "message_id"),
        .agent_id = copy_member(import, message, "agent_id"),
        .visibility = copy_member(import, message, "visibility"),
    };
    mc_str created = mc_json_string(mc_json_get(message, "created_at"));
    if (!input.message_id.len)
        return mc_fail_field(err, MC_INVALID, "message_id", "the message has no message_id");
    if (!mc_time_parse(created, &input.created_at_us))
        return mc_fail_field(err, MC_INVALID, "created_at", "the message has no valid created_at");
    enum mc_status status =
        copy_groups(import, mc_json_get(message, "sharing_groups"), &input, err);
    if (status == MC_OK)
        status = copy_extra(import, message, &input, err);
    if (status == MC_OK && import->failed)
        status = mc_fail_memory(err);
    if (status != MC_OK)
        return status;
    import->inputs[import->count] = input;
    import->numbers[import->count++] = number;
    return MC_OK;
}

/* Given fields of the preferences, those without a value left out, as one patch. */
static enum mc_status take_preferences(struct import *import, const struct mc_json *object,
                                       struct mc_error *err)
{
    const struct mc_json *preferences = mc_json_get(object, "preferences");
    mc_str user = mc_json_string(mc_json_get(object, "user_id"));
    mc_auto(mc_buf_fini) struct mc_buf patch;
    mc_buf_init(&patch, VALUE_BYTES);
    if (mc_json_type(preferences) != MC_JSON_OBJECT || !user.len)
        return mc_fail_field(err, MC_INVALID, "preferences",
                             "preferences need a user_id and an object 'preferences'");
    void *cursor = NULL;
    mc_str key;
    const struct mc_json *value;
    struct mc_json_writer writer = mc_json_writer(&patch);
    mc_json_begin(&writer, '{');
    while (mc_json_next(preferences, &cursor, &key, &value)) {
        if (mc_json_type(value) == MC_JSON_NULL || mc_str_equal(key, MC_STR("user_id")) ||
            mc_str_equal(key, MC_STR("updated_at")))
            continue;
        mc_auto(mc_buf_fini) struct mc_buf text;
        mc_buf_init(&text, VALUE_BYTES);
        mc_json_dump(value, &text);
        mc_json_key_str(&writer, key);
        mc_json_put_raw(&writer, mc_buf_str(&text));
    }
    mc_json_end(&writer, '}');
    if (patch.failed)
        return mc_fail_memory(err);
    char *json = NULL;
    enum mc_status status =
        mc_preferences_patch(import->cli->engine, user, mc_buf_str(&patch), &json, err);
    mc_free(json);
    if (status == MC_OK)
        import->preferences++;
    return status;
}

/* A line that is at fault is refused; what the store cannot do ends the import. */
static bool is_refusal(enum mc_status status)
{
    return status == MC_INVALID || status == MC_TOO_LARGE || status == MC_CONFLICT ||
           status == MC_FORBIDDEN || status == MC_NOT_FOUND;
}

static enum mc_status dispatch(struct import *import, mc_str line, uint64_t number,
                               struct mc_error *err)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    enum mc_status status = mc_json_parse(line, &root, err);
    if (status != MC_OK)
        return status;
    mc_str type = mc_json_string(mc_json_get(root, "type"));
    if (mc_str_equal(type, MC_STR("message"))) {
        const struct mc_json *message = mc_json_get(root, "message");
        return take_message(import, message ? message : root, number, err);
    }
    if (mc_str_equal(type, MC_STR("preferences"))) {
        status = flush_messages(import, err);
        return status == MC_OK ? take_preferences(import, root, err) : status;
    }
    if (mc_str_equal(type, MC_STR("summary"))) {
        import->summaries++;
        return MC_OK;
    }
    if (mc_str_equal(type, MC_STR("signal"))) {
        import->signals++;
        return MC_OK;
    }
    return mc_fail_field(
        err, MC_INVALID, "type",
        "not a line of 'mindcore export' (type message, preferences, summary or signal); "
        "plain messages go through 'mindcore ingest'");
}

static enum mc_status read_all(struct import *import, struct mc_lines *lines,
                               struct mc_progress *progress, struct mc_error *err)
{
    for (;;) {
        mc_str line;
        enum mc_status status = MC_OK;
        switch (mc_lines_next(lines, &line, err)) {
        case MC_LINE_END:
            return flush_messages(import, err);
        case MC_LINE_FAILED:
            return err->status;
        case MC_LINE_TOO_LONG:
            status = mc_fail(err, MC_TOO_LARGE, "the line is longer than %zu bytes", LINE_BYTES);
            break;
        case MC_LINE_TEXT:
            line = mc_str_trim(line);
            if (line.len)
                status = dispatch(import, line, lines->number, err);
            break;
        }
        if (is_refusal(status)) {
            refuse(import, lines->number, err);
            status = MC_OK;
        }
        if (status == MC_OK &&
            (import->count == MC_CLI_BATCH || import->arena.used_bytes >= MC_CLI_BATCH_BYTES))
            status = flush_messages(import, err);
        if (status != MC_OK)
            return status;
        mc_progress_update(progress, lines->bytes, lines->size);
    }
}

static int report(const struct import *import)
{
    printf(import->cli->json
               ? "{\"stored\":%llu,\"repeated\":%llu,\"preferences\":%llu,"
                 "\"summaries_left_out\":%llu,\"signals_left_out\":%llu,\"refused\":%llu}\n"
               : "stored %llu, repeated %llu, preferences %llu, summaries left out %llu, "
                 "signals left out %llu, refused %llu\n",
           (unsigned long long)import->stored, (unsigned long long)import->repeated,
           (unsigned long long)import->preferences, (unsigned long long)import->summaries,
           (unsigned long long)import->signals, (unsigned long long)import->refused);
    return import->refused ? MC_CLI_FAILED : MC_CLI_DONE;
}

static void import_fini(struct import *import)
{
    mc_arena_fini(&import->arena);
}

int mc_cli_import(struct mc_cli *cli)
{
    mc_auto(import_fini) struct import import = {.cli = cli};
    mc_auto(mc_lines_fini) struct mc_lines lines = {0};
    struct mc_progress progress;
    struct mc_error err = {0};
    mc_arena_init(&import.arena, (size_t)64 << 20);
    enum mc_status status =
        mc_lines_open(&lines, mc_args_operand(&cli->args, 0).data, LINE_BYTES, &err);
    if (status != MC_OK)
        return mc_cli_fail(&err);
    mc_progress_start(&progress, "import", "B", cli->quiet);
    status = read_all(&import, &lines, &progress, &err);
    mc_progress_stop(&progress);
    int result = report(&import);
    fflush(stdout);
    if (import.stored)
        mc_messages_settle(cli);
    return status == MC_OK ? result : mc_cli_fail(&err);
}
