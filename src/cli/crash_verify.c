/*
 * The process that checks for crashtest, through the public interface alone: opens the database
 * that a killed writer left, lets the workers finish, and compares what is stored with what was
 * acknowledged.
 */
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/map.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/crash.h"
#include "cli/lines.h"

#define DRAIN_MS 60000
#define LINE_BYTES ((size_t)1 << 20)
#define SHOWN 10
#define DEAD_MOST 1000
#define USERS 64
/* A clear statement counts as so many observations (docs/preferences.md). */
#define OBSERVATIONS 3

/* A message found in the store. */
struct found {
    mc_str message_id;
    uint64_t hash;
    unsigned times;
};

struct verify {
    struct mc_cli *cli;
    uint64_t seed;
    struct mc_arena arena;
    struct mc_map names; /* of struct found */
    struct mc_buf line;  /* of an export, in the making */
    mc_str users[USERS];
    size_t user_count;
    int64_t wishes; /* messages of the user at hand from which one signal is learned */
    uint64_t messages;
    uint64_t verified;
    uint64_t lost;
    uint64_t duplicated;
    uint64_t altered;
    uint64_t stuck;
    uint64_t unsound;
    unsigned shown;
    bool failed;
};

static void violation(struct verify *verify, uint64_t *counter, const char *format, ...)
    MC_PRINTF(3, 4);
static void violation(struct verify *verify, uint64_t *counter, const char *format, ...)
{
    va_list args;
    (*counter)++;
    if (verify->shown++ >= SHOWN)
        return;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static mc_str member(const struct mc_json *object, const char *key)
{
    return mc_json_string(mc_json_get(object, key));
}

/* The stored message against the one that its name stands for. */
static void check_content(struct verify *verify, const struct mc_json *stored,
                          const struct mc_crash_message *expected)
{
    const struct {
        const char *key;
        const char *value;
    } parts[] = {{"user_id", expected->user_id},
                 {"thread_id", expected->thread_id},
                 {"role", expected->role},
                 {"raw_text", expected->text},
                 {"message_id", expected->message_id}};
    for (size_t i = 0; i < mc_countof(parts); i++) {
        if (parts[i].value[0] &&
            !mc_str_equal(member(stored, parts[i].key), mc_str_of(parts[i].value)))
            violation(verify, &verify->altered, "%s: stored with another %s", expected->name,
                      parts[i].key);
    }
    mc_str method = member(mc_json_get(stored, "metadata"), "method");
    if (!mc_str_equal(member(stored, "enrichment_state"), MC_STR("enriched")) || !method.len)
        violation(verify, &verify->stuck, "%s: not enriched, and no job will", expected->name);
}

/* True for a message from which a wish for short answers is learned (crash.c). */
static bool is_wish(const struct mc_crash_message *message)
{
    return strcmp(message->role, "user") == 0 && strstr(message->text, "short answers");
}

static void check_message(struct verify *verify, const struct mc_json *stored)
{
    struct mc_crash_name name;
    struct mc_crash_message expected;
    mc_str session = member(stored, "session_id");
    verify->messages++;
    if (!mc_crash_parse(session, &name)) {
        violation(verify, &verify->altered, "a message of unknown session %.*s",
                  MC_STR_ARG(session));
        return;
    }
    mc_crash_make(verify->seed, name, &expected);
    check_content(verify, stored, &expected);
    verify->wishes += is_wish(&expected);
    struct found *found = mc_map_get(&verify->names, session);
    if (found) {
        found->times++;
        violation(verify, &verify->duplicated, "%s: stored %u times", expected.name, found->times);
        return;
    }
    found = mc_arena_alloc(&verify->arena, sizeof(*found));
    mc_str key = mc_arena_copy(&verify->arena, session);
    if (!found || !key.data || !mc_map_put(&verify->names, key, found)) {
        verify->failed = true;
        return;
    }
    found->message_id = mc_arena_copy(&verify->arena, member(stored, "message_id"));
    found->hash = mc_str_hash(member(stored, "raw_text"));
    found->times = 1;
}

static void check_line(struct verify *verify)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    struct mc_error err;
    if (mc_json_parse(mc_buf_str(&verify->line), &root, &err) != MC_OK)
        violation(verify, &verify->unsound, "a line of the export is not JSON: %s", err.message);
    else if (mc_str_equal(member(root, "type"), MC_STR("message")))
        check_message(verify, mc_json_get(root, "message"));
    mc_buf_reset(&verify->line);
}

static bool take_export(void *context, const char *data, size_t len)
{
    struct verify *verify = context;
    while (len) {
        const char *end = memchr(data, '\n', len);
        size_t part = end ? (size_t)(end - data) : len;
        mc_buf_append(&verify->line, (mc_str){data, part});
        if (end)
            check_line(verify);
        part += end ? 1 : 0;
        data += part;
        len -= part;
    }
    return !verify->failed;
}

/* A signal counted more often than it was said was learned twice from one message. */
static enum mc_status check_signals(struct verify *verify, mc_str user, struct mc_error *err)
{
    char *json = NULL;
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    enum mc_status status = mc_preferences_signals(verify->cli->engine, user, &json, err);
    if (status == MC_OK)
        status = mc_json_parse(mc_str_of(json), &root, err);
    mc_free(json);
    const struct mc_json *signals = mc_json_get(root, "signals");
    for (size_t i = 0; i < mc_json_count(signals); i++) {
        const struct mc_json *signal = mc_json_at(signals, i);
        int64_t count = mc_json_integer(mc_json_get(signal, "count"));
        if (mc_str_equal(member(signal, "field"), MC_STR("communication_style")) &&
            count > OBSERVATIONS * verify->wishes)
            violation(verify, &verify->duplicated, "%.*s: a signal counts %lld, of %lld messages",
                      MC_STR_ARG(user), (long long)count, (long long)verify->wishes);
    }
    return status;
}

static enum mc_status check_user(struct verify *verify, mc_str user, struct mc_error *err)
{
    verify->wishes = 0;
    enum mc_status status =
        mc_user_export(verify->cli->engine, user, MC_STR_NONE, take_export, verify, err);
    return status == MC_OK ? check_signals(verify, user, err) : status;
}

static bool take_user(void *context, mc_str user_id)
{
    struct verify *verify = context;
    if (!mc_str_starts(user_id, MC_STR(MC_CRASH_USERS)))
        return true;
    if (verify->user_count == USERS)
        return false;
    verify->users[verify->user_count] = mc_arena_copy(&verify->arena, user_id);
    return verify->users[verify->user_count++].data != NULL;
}

/* An acknowledged message, read by its id as an application would. */
static void check_acknowledged(struct verify *verify, mc_str id, mc_str name, uint64_t hash)
{
    struct mc_message_list *list = NULL;
    struct mc_error err = {0};
    const struct found *found = mc_map_get(&verify->names, name);
    if (!found || !mc_str_equal(found->message_id, id)) {
        violation(verify, &verify->lost, "%.*s (%.*s): acknowledged, not exported", MC_STR_ARG(id),
                  MC_STR_ARG(name));
    } else if (mc_message_get(verify->cli->engine, id, MC_STR_NONE, &list, &err) != MC_OK) {
        violation(verify, &verify->lost, "%.*s (%.*s): acknowledged, but: %s", MC_STR_ARG(id),
                  MC_STR_ARG(name), err.message);
    } else if (found->hash != hash || mc_str_hash(list->items[0]->text) != hash) {
        violation(verify, &verify->altered, "%.*s (%.*s): not what was acknowledged",
                  MC_STR_ARG(id), MC_STR_ARG(name));
    } else {
        verify->verified++;
    }
    mc_message_list_free(list);
}

static enum mc_status read_acknowledged(struct verify *verify, const char *path,
                                        struct mc_error *err)
{
    mc_auto(mc_lines_fini) struct mc_lines lines = {0};
    enum mc_status status = mc_lines_open(&lines, path, LINE_BYTES, err);
    mc_str line;
    enum mc_line read = MC_LINE_END;
    while (status == MC_OK && (read = mc_lines_next(&lines, &line, err)) == MC_LINE_TEXT) {
        char digits[17] = "";
        mc_str id;
        mc_str name;
        if (!mc_str_split(&line, ' ', &id) || !mc_str_split(&line, ' ', &name) || line.len != 16)
            continue;
        memcpy(digits, line.data, 16);
        check_acknowledged(verify, id, name, strtoull(digits, NULL, 16));
    }
    return read == MC_LINE_FAILED ? err->status : status;
}

static enum mc_status check_queue(struct verify *verify, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status = mc_engine_drain(verify->cli->engine, DRAIN_MS, err);
    if (status == MC_TIMEOUT)
        violation(verify, &verify->stuck, "the queue does not become empty: %s", err->message);
    else if (status != MC_OK)
        return status;
    status = mc_queue_status(verify->cli->engine, DEAD_MOST, &json, err);
    if (status != MC_OK)
        return status;
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    status = mc_json_parse(mc_str_of(json), &root, err);
    const struct mc_json *dead = mc_json_get(root, "dead_jobs");
    bool own = false;
    for (size_t i = 0; i < mc_json_count(dead); i++)
        own = own || mc_str_starts(member(mc_json_at(dead, i), "user_id"), MC_STR(MC_CRASH_USERS));
    if (mc_json_integer(mc_json_get(root, "depth")) || own)
        violation(verify, &verify->stuck, "jobs are left: %s", json);
    mc_free(json);
    return status;
}

static enum mc_status check_soundness(struct verify *verify, struct mc_error *err)
{
    bool ok = false;
    char *json = NULL;
    enum mc_status status = mc_engine_doctor(verify->cli->engine, &ok, &json, err);
    if (status == MC_OK && !ok)
        violation(verify, &verify->unsound, "the doctor says: %s", json);
    mc_free(json);
    return status;
}

static enum mc_status check_all(struct verify *verify, const char *acknowledged,
                                struct mc_error *err)
{
    enum mc_status status = check_queue(verify, err);
    if (status == MC_OK)
        status = mc_user_each(verify->cli->engine, take_user, verify, err);
    for (size_t i = 0; status == MC_OK && i < verify->user_count; i++)
        status = check_user(verify, verify->users[i], err);
    if (verify->failed || verify->line.failed)
        return mc_fail_memory(err);
    if (status == MC_OK)
        status = read_acknowledged(verify, acknowledged, err);
    return status == MC_OK ? check_soundness(verify, err) : status;
}

/* ---- A database that is not crashtest's own ---- */

struct census {
    size_t users, own;
};

static bool count_user(void *context, mc_str user_id)
{
    struct census *census = context;
    census->users++;
    census->own += mc_str_starts(user_id, MC_STR(MC_CRASH_USERS));
    return true;
}

/* Whether crashtest may write there. */
static int check_free(const struct mc_cli *cli)
{
    struct census census = {0};
    struct mc_error err = {0};
    enum mc_status status = mc_user_each(cli->engine, count_user, &census, &err);
    if (status == MC_OK && census.own > 0)
        status = mc_fail(&err, MC_CONFLICT,
                         "the database holds %zu users of another crashtest; erase those whose ids "
                         "begin with " MC_CRASH_USERS,
                         census.own);
    else if (status == MC_OK && census.users > 0 && !mc_args_given(&cli->args, "force"))
        status = mc_fail(&err, MC_CONFLICT,
                         "the database holds %zu users; name an empty one, or say --force to work "
                         "beside them",
                         census.users);
    return status == MC_OK ? MC_CLI_DONE : mc_cli_fail(&err);
}

static enum mc_status erase_users(const struct verify *verify, struct mc_error *err)
{
    enum mc_status status = MC_OK;
    for (size_t i = 0; status == MC_OK && i < verify->user_count; i++) {
        char *receipt = NULL;
        status = mc_user_erase(verify->cli->engine, verify->users[i], &receipt, err);
        mc_free(receipt);
    }
    return status;
}

static bool is_clean(const struct verify *verify)
{
    return verify->lost + verify->duplicated + verify->altered + verify->stuck + verify->unsound ==
           0;
}

int mc_cli_crash_verify(struct mc_cli *cli)
{
    if (mc_args_given(&cli->args, "prepare"))
        return check_free(cli);

    const char *acknowledged = mc_args_text(&cli->args, "acknowledged").data;
    struct mc_error err = {0};
    struct verify verify = {.cli = cli, .seed = (uint64_t)mc_args_integer(&cli->args, "seed", 1)};
    if (!acknowledged)
        return mc_cli_usage(cli, "--acknowledged is missing");
    mc_arena_init(&verify.arena, (size_t)1 << 30);
    mc_buf_init(&verify.line, LINE_BYTES);
    mc_map_init(&verify.names);
    enum mc_status status = check_all(&verify, acknowledged, &err);
    if (status == MC_OK && is_clean(&verify) && mc_args_given(&cli->args, "erase"))
        status = erase_users(&verify, &err);
    if (status == MC_OK)
        printf("{\"messages\":%llu,\"verified\":%llu,\"lost\":%llu,\"duplicated\":%llu,"
               "\"altered\":%llu,\"stuck\":%llu,\"unsound\":%llu}\n",
               (unsigned long long)verify.messages, (unsigned long long)verify.verified,
               (unsigned long long)verify.lost, (unsigned long long)verify.duplicated,
               (unsigned long long)verify.altered, (unsigned long long)verify.stuck,
               (unsigned long long)verify.unsound);
    mc_map_fini(&verify.names);
    mc_buf_fini(&verify.line);
    mc_arena_fini(&verify.arena);
    return status == MC_OK ? MC_CLI_DONE : mc_cli_fail(&err);
}
