/* mindcore export, erase, backup, restore: what leaves the memory as a whole, and comes back. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/stop.h"

#define USERS_BYTES ((size_t)256 << 20)

/* Where an export goes, and how far it is. */
struct sink {
    FILE *file;
    struct mc_progress progress;
    uint64_t lines;
    int error; /* errno of the write that failed */
};

static bool write_part(void *context, const char *data, size_t len)
{
    struct sink *sink = context;
    if (fwrite(data, 1, len, sink->file) != len) {
        sink->error = errno ? errno : EIO;
        return false;
    }
    for (const char *at = data; (at = memchr(at, '\n', len - (size_t)(at - data))); at++)
        sink->lines++;
    return mc_progress_update(&sink->progress, sink->lines, 0);
}

/* The user ids are read first: a walk must not stay open while each user is written. */
struct users {
    struct mc_arena arena;
    mc_str *ids;
    size_t count;
    size_t capacity;
    bool failed;
};

static bool add_user(void *context, mc_str user_id)
{
    struct users *users = context;
    if (users->count == users->capacity) {
        size_t capacity = users->capacity ? users->capacity * 2 : 256;
        mc_str *ids = realloc(users->ids, capacity * sizeof(*ids));
        if (!ids)
            return !(users->failed = true);
        users->ids = ids;
        users->capacity = capacity;
    }
    mc_str copy = mc_arena_copy(&users->arena, user_id);
    if (!copy.data)
        return !(users->failed = true);
    users->ids[users->count++] = copy;
    return true;
}

static void users_fini(struct users *users)
{
    free(users->ids);
    mc_arena_fini(&users->arena);
}

static enum mc_status export_all(struct mc_cli *cli, mc_str agent, struct sink *sink,
                                 struct mc_error *err)
{
    mc_auto(users_fini) struct users users = {0};
    mc_arena_init(&users.arena, USERS_BYTES);
    enum mc_status status = mc_user_each(cli->engine, add_user, &users, err);
    if (users.failed)
        return mc_fail_memory(err);
    for (size_t i = 0; status == MC_OK && i < users.count; i++)
        status = mc_user_export(cli->engine, users.ids[i], agent, write_part, sink, err);
    return status;
}

/* A new file that only its owner can read: it holds everything said. */
static enum mc_status open_output(const char *path, FILE **file, struct mc_error *err)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0 && errno == EEXIST)
        return mc_fail_field(err, MC_CONFLICT, "output",
                             "'%s' exists; name a new file, an existing one is not overwritten",
                             path);
    *file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    return *file ? MC_OK
                 : mc_fail_field(err, MC_IO, "output", "cannot write '%s': %s", path,
                                 strerror(errno));
}

int mc_cli_export(struct mc_cli *cli)
{
    const struct mc_args *args = &cli->args;
    const char *path = mc_args_text(args, "output").data;
    mc_str agent = mc_args_text(args, "agent");
    struct mc_error err = {0};
    struct sink sink = {.file = stdout};
    if (mc_args_given(args, "user") == mc_args_given(args, "all"))
        return mc_cli_usage(cli, "say whom to export with --user ID or --all");
    if (path && open_output(path, &sink.file, &err) != MC_OK)
        return mc_cli_fail(&err);
    mc_progress_start(&sink.progress, "export", "lines",
                      cli->quiet || (!path && cli->out.terminal));
    enum mc_status status = mc_args_given(args, "all")
                                ? export_all(cli, agent, &sink, &err)
                                : mc_user_export(cli->engine, mc_args_text(args, "user"), agent,
                                                 write_part, &sink, &err);
    mc_progress_stop(&sink.progress);
    if (fflush(sink.file) != 0 || (path && fsync(fileno(sink.file)) != 0))
        sink.error = sink.error ? sink.error : errno;
    if (path)
        fclose(sink.file);
    if (sink.error)
        status = mc_fail(&err, sink.error == ENOSPC ? MC_DISK_FULL : MC_IO,
                         "cannot write the export: %s", strerror(sink.error));
    if (status == MC_OK && path)
        mc_cli_note(cli, "%llu lines written to %s", (unsigned long long)sink.lines, path);
    if (status == MC_OK)
        return MC_CLI_DONE;
    if (path)
        unlink(path);
    return mc_cli_fail(&err);
}

int mc_cli_erase(struct mc_cli *cli)
{
    mc_str user = mc_args_text(&cli->args, "user");
    struct mc_error err = {0};
    char *json = NULL;
    if (!mc_args_given(&cli->args, "yes")) {
        if (isatty(STDIN_FILENO) != 1)
            return mc_cli_usage(cli, "erasing cannot be undone; where nobody can be asked, "
                                     "--yes must be given");
        if (!mc_cli_confirm("Erase everything kept of user '%.*s'? This cannot be undone.",
                            MC_STR_ARG(user))) {
            mc_cli_note(cli, "nothing was erased");
            return MC_CLI_FAILED;
        }
    }
    enum mc_status status = mc_user_erase(cli->engine, user, &json, &err);
    return mc_cli_result(cli, status, json, &err);
}

int mc_cli_backup(struct mc_cli *cli)
{
    const char *path = mc_args_operand(&cli->args, 0).data;
    struct mc_error err = {0};
    struct mc_progress progress;
    mc_progress_start(&progress, "backup", "pages", cli->quiet);
    enum mc_status status =
        mc_engine_backup(cli->engine, path, mc_progress_update, &progress, &err);
    mc_progress_stop(&progress);
    if (status != MC_OK)
        return mc_cli_fail(&err);
    if (cli->json) {
        mc_auto(mc_buf_fini) struct mc_buf buf;
        mc_buf_init(&buf, 65536);
        struct mc_json_writer writer = mc_json_writer(&buf);
        mc_json_begin(&writer, '{');
        mc_json_member_text(&writer, "backup", path);
        mc_json_end(&writer, '}');
        printf("%.*s\n", MC_STR_ARG(mc_buf_str(&buf)));
    } else {
        printf("backup written to %s\n", path);
    }
    return MC_CLI_DONE;
}

int mc_cli_restore(struct mc_cli *cli)
{
    struct mc_error err = {0};
    struct mc_progress progress;
    char *json = NULL;
    mc_stop_catch();
    mc_progress_start(&progress, "restore", "B", cli->quiet);
    enum mc_status status = mc_database_restore(cli->config, mc_args_operand(&cli->args, 0).data,
                                                mc_args_given(&cli->args, "force"), mc_stop_update,
                                                &progress, &json, &err);
    mc_progress_stop(&progress);
    return mc_cli_result(cli, status, json, &err);
}
