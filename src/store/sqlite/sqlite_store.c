/* Opening and closing, and the table of functions. */
#include "store/sqlite/sqlite_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/sqlite.h"

#define BUSY_TIMEOUT_US (5 * MC_US_PER_SECOND)
#define REOPEN_MAX 3
#define READERS_MIN 4
#define READERS_MAX 64

/*
 * The guide's settings. wal_autocheckpoint: with 100,000 messages a one-row transaction took on
 * average 201, 165, 140 and 118 us at 1000, 2000, 4000 and 8000 pages, its 99.9th percentile 23 to
 * 36 ms, growing; 4000 keep the log at about 16 MB. secure_delete: what is erased is overwritten.
 */
static const char pragmas[] = "PRAGMA cache_size = -64000;"
                              "PRAGMA temp_store = MEMORY;"
                              "PRAGMA wal_autocheckpoint = 4000;"
                              "PRAGMA journal_size_limit = 67108864;"
                              "PRAGMA secure_delete = ON;";

enum mc_status mc_sqlite_write(struct mc_sqlite *s, enum mc_write_class class, size_t weight,
                               enum mc_status (*apply)(struct mc_writer *writer, void *context,
                                                       struct mc_error *err),
                               void *context, struct mc_error *err)
{
    struct mc_write write;
    write.apply = apply;
    write.context = context;
    write.class = class;
    write.weight = weight;
    write.alone = false;
    enum mc_status status = mc_writer_run(&s->writer, &write, err);
    if (s->writer.metrics && mc_status_http(status) >= 500)
        mc_metrics_add(s->writer.metrics, MC_COUNT_ERROR_STORE, 1);
    return status;
}

static void close_store(struct mc_store *store)
{
    struct mc_sqlite *s = mc_sqlite_of(store);
    mc_watch_stop(&s->watch);
    mc_readers_fini(&s->readers);
    mc_writer_fini(&s->writer);
    mc_archive_free(s->archive);
    free(s->path);
    free(s);
}

static void close_store_ptr(struct mc_sqlite **s)
{
    if (*s)
        close_store(&(*s)->store);
}

static const struct mc_store_ops ops = {
    .name = "sqlite",
    .copy = &mc_sqlite_copy,
    .close = close_store,
    .put = mc_sqlite_put,
    .get = mc_sqlite_get,
    .rows = mc_sqlite_rows,
    .recent = mc_sqlite_recent,
    .turns = mc_sqlite_turns,
    .match = mc_sqlite_match,
    .thread = mc_sqlite_thread,
    .remove = mc_sqlite_remove,
    .claim = mc_sqlite_claim,
    .complete = mc_sqlite_complete,
    .fail = mc_sqlite_failed,
    .renew = mc_sqlite_renew,
    .twin = mc_sqlite_twin,
    .release = mc_sqlite_release,
    .queue = mc_sqlite_queue,
    .dead_jobs = mc_sqlite_dead_jobs,
    .retry = mc_sqlite_retry,
    .purge = mc_sqlite_purge,
    .preferences = mc_sqlite_preferences,
    .set_preferences = mc_sqlite_set_preferences,
    .add_signals = mc_sqlite_add_signals,
    .signals = mc_sqlite_signals,
    .add_usage = mc_sqlite_add_usage,
    .usage = mc_sqlite_usage,
    .vector_model = mc_sqlite_vector_model,
    .vector_models = mc_sqlite_vector_models,
    .claim_vectors = mc_sqlite_claim_vectors,
    .put_vectors = mc_sqlite_put_vectors,
    .fill_vectors = mc_sqlite_fill_vectors,
    .vectors = mc_sqlite_vectors,
    .put_agent = mc_sqlite_put_agent,
    .remove_agent = mc_sqlite_remove_agent,
    .agents = mc_sqlite_agents,
    .put_key = mc_sqlite_put_key,
    .remove_key = mc_sqlite_remove_key,
    .keys = mc_sqlite_keys,
    .agent_counts = mc_sqlite_agent_counts,
    .unsummarised = mc_sqlite_unsummarised,
    .put_summary = mc_sqlite_put_summary,
    .summaries = mc_sqlite_summaries,
    .migrate = mc_sqlite_migrate,
    .train = mc_sqlite_train,
    .pack = mc_sqlite_pack,
    .begin_run = mc_sqlite_begin_run,
    .end_run = mc_sqlite_end_run,
    .runs = mc_sqlite_runs,
    .empty_trash = mc_sqlite_empty_trash,
    .begin_undo = mc_sqlite_begin_undo,
    .undo = mc_sqlite_undo,
    .take_task = mc_sqlite_take_task,
    .set_task = mc_sqlite_set_task,
    .erase = mc_sqlite_erase,
    .generation = mc_sqlite_generation,
    .wipe = mc_sqlite_wipe,
    .export_user = mc_sqlite_export,
    .users = mc_sqlite_users,
    .list_users = mc_sqlite_list_users,
    .list_threads = mc_sqlite_list_threads,
    .stats = mc_sqlite_stats,
    .room = mc_sqlite_room,
    .ping = mc_sqlite_ping,
    .check = mc_sqlite_check,
    .backup = mc_sqlite_backup,
};

/* ---- Opening ---- */

static enum mc_status check_folder(const char *path, struct mc_error *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return MC_OK;
    char *folder = mc_str_dup((mc_str){path, (size_t)(slash - path)});
    if (!folder)
        return mc_fail_memory(err);
    struct stat info;
    enum mc_status status = MC_OK;
    if (stat(folder, &info) != 0)
        status = mc_fail_field(err, MC_IO, "database.path",
                               "cannot use folder '%s' for the database: %s%s", folder,
                               strerror(errno), errno == ENOENT ? "; create it first" : "");
    else if (!S_ISDIR(info.st_mode))
        status = mc_fail_field(err, MC_IO, "database.path", "'%s' is not a folder", folder);
    free(folder);
    return status;
}

/* What SQLite would report less plainly, or not at all. Makes the file, readable by its owner
 * alone. */
static enum mc_status check_path(const char *path, struct mc_error *err)
{
    if (!path || path[0] == '\0')
        return mc_fail_field(err, MC_INVALID, "database.path",
                             "the database needs the name of a file");
    if (strcmp(path, ":memory:") == 0)
        return mc_fail_field(
            err, MC_INVALID, "database.path",
            "a database in memory is not supported, since its connections would each "
            "see their own; give the name of a file (in /dev/shm, if it may be lost)");
    enum mc_status status = check_folder(path, err);
    if (status != MC_OK)
        return status;
    struct stat info;
    bool exists = stat(path, &info) == 0;
    if (exists && S_ISDIR(info.st_mode))
        return mc_fail_field(err, MC_IO, "database.path",
                             "'%s' is a folder; give the name of a file", path);
    /* An existing file must not be opened here: closing it again would drop this process's locks on
     * it. */
    int fd = exists ? -1 : open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    if (fd >= 0 || (exists ? access(path, R_OK | W_OK) == 0 : errno == EEXIST))
        return MC_OK;
    return mc_fail_field(
        err, errno == ENOSPC || errno == EDQUOT ? MC_DISK_FULL : MC_IO, "database.path",
        "cannot open '%s' for writing: %s; make the file and its folder writable for "
        "this user, or give another database.path",
        path, strerror(errno));
}

static enum mc_status open_prepared(struct mc_sqlite *s, int64_t busy_timeout_us,
                                    struct mc_conn **conn, struct mc_error *err)
{
    enum mc_status status = mc_conn_open(s->path, busy_timeout_us, true, conn, err);
    if (status != MC_OK)
        return status;
    (*conn)->archive = s->archive;
    if (sqlite3_db_readonly((*conn)->db, "main") == 1)
        return mc_fail_field(err, MC_IO, "database.path",
                             "'%s' is read-only; make the file and its folder writable", s->path);
    return mc_schema_prepare(*conn, err);
}

static enum mc_status open_writer(struct mc_sqlite *s, const struct mc_sqlite_options *options,
                                  int64_t busy_timeout_us, struct mc_error *err)
{
    mc_auto(mc_conn_close_ptr) struct mc_conn *conn = NULL;
    enum mc_status status = open_prepared(s, busy_timeout_us, &conn, err);
    /* A restore may have held the lock and put another file in its place. */
    for (int i = 0; i < REOPEN_MAX && status != MC_OK && conn && mc_conn_moved(conn); i++) {
        mc_conn_close(conn);
        conn = NULL;
        status = check_path(s->path, err);
        if (status == MC_OK)
            status = open_prepared(s, busy_timeout_us, &conn, err);
    }
    if (status == MC_OK)
        status = mc_conn_script(conn, pragmas, err);
    if (status == MC_OK)
        status = mc_conn_script(
            conn, s->synchronous_full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL",
            err);
    if (status == MC_OK)
        status = mc_writer_init(&s->writer, conn, options->metrics, err);
    if (status == MC_OK)
        conn = NULL; /* the writer's now */
    return status;
}

enum mc_status mc_sqlite_store_open(const struct mc_sqlite_options *options,
                                    struct mc_store **store, struct mc_error *err)
{
    enum mc_status status = check_path(options->path, err);
    if (status != MC_OK)
        return status;
    mc_auto(close_store_ptr) struct mc_sqlite *s = calloc(1, sizeof(*s));
    if (!s)
        return mc_fail_memory(err);
    s->store.ops = &ops;
    s->path = mc_str_dup(mc_str_of(options->path));
    if (!s->path)
        return mc_fail_memory(err);
    status = mc_archive_new(&s->archive, err);
    if (status != MC_OK)
        return status;
    s->synchronous_full = options->synchronous_full;
    int64_t timeout = options->busy_timeout_us > 0 ? options->busy_timeout_us : BUSY_TIMEOUT_US;
    int readers = options->readers;
    if (readers <= 0)
        readers = mc_core_count() > READERS_MIN ? mc_core_count() : READERS_MIN;
    mc_readers_init(&s->readers, s->path, s->archive, timeout,
                    readers < READERS_MAX ? readers : READERS_MAX);
    status = open_writer(s, options, timeout, err);
    /* By the name that SQLite uses: behind symbolic links, where it puts the log. */
    if (status == MC_OK && options->foreign_change)
        status = mc_watch_start(&s->watch, sqlite3_db_filename(s->writer.conn->db, "main"),
                                &s->writer, options->foreign_change, options->context, err);
    if (status == MC_OK)
        *store = &mc_steal(s)->store;
    return status;
}

/* ---- For tests ---- */

static void pragma_text(struct mc_conn *conn, const char *name, char *text, size_t size)
{
    char sql[96];
    snprintf(sql, sizeof(sql), "PRAGMA %s", name);
    sqlite3_stmt *stmt = NULL;
    text[0] = '\0';
    if (sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        snprintf(text, size, "%s", (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
}

enum mc_status mc_sqlite_store_pragma(struct mc_store *store, const char *name, bool of_reader,
                                      char *text, size_t size, struct mc_error *err)
{
    struct mc_sqlite *s = mc_sqlite_of(store);
    if (!of_reader) {
        pragma_text(s->writer.conn, name, text, size);
        return MC_OK;
    }
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    enum mc_status status = mc_reading_begin(&reading, &s->readers, err);
    if (status == MC_OK)
        pragma_text(reading.conn, name, text, size);
    return status;
}
