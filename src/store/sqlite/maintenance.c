/* What looks at the database as a whole: export, counts, proof of life, check, copy. */
#include "store/sqlite/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "store/sqlite/schema.h"

/* ---- Export ---- */

#define EXPORT_PAGE 256

struct row_list {
    int64_t *items;
    size_t count, capacity;
};

static void row_list_fini(struct row_list *list)
{
    free(list->items);
}

/* The user's rows, oldest message first: eight bytes each, so that pages need no connection in
 * between. */
static enum mc_status list_rows(struct mc_sqlite *s, mc_str user_id, struct row_list *list,
                                struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_reading_begin(&reading, &s->readers, err);
    if (status == MC_OK)
        status = mc_conn_start(reading.conn,
                               "SELECT m.id FROM users u JOIN messages m ON m.user_no = u.user_no"
                               " WHERE u.user_id = ?1 ORDER BY m.created_at, m.id",
                               MC_BINDS(mc_bind_str(user_id)), &stmt, err);
    while (mc_conn_next(reading.conn, stmt, &status, err)) {
        if (list->count == list->capacity) {
            size_t capacity = list->capacity > 0 ? list->capacity * 2 : 1024;
            int64_t *items = realloc(list->items, capacity * sizeof(*items));
            if (!items)
                return mc_fail_memory(err);
            list->items = items;
            list->capacity = capacity;
        }
        list->items[list->count++] = mc_column_int(stmt, 0);
    }
    return status;
}

enum mc_status mc_sqlite_export(struct mc_store *store, mc_str user_id,
                                const struct mc_reader *reader, mc_record_fn each, void *context,
                                struct mc_error *err)
{
    mc_auto(row_list_fini) struct row_list list = {0};
    enum mc_status status = list_rows(mc_sqlite_of(store), user_id, &list, err);
    struct mc_load load = {.memory = NULL};
    struct mc_reader bounded = *reader;
    for (size_t at = 0, most = EXPORT_PAGE; status == MC_OK && at < list.count;) {
        mc_auto(mc_records_fini) struct mc_records page = {0};
        size_t count = list.count - at < most ? list.count - at : most;
        bounded.load = count > 1 ? &load : NULL;
        mc_load_rewind(&load, 0);
        mc_load_begin(&load, MC_READ_PAGE_BYTES);
        status = mc_sqlite_rows(store, list.items + at, count, &bounded, &page, err);
        if (status == MC_OK && count > 1 && load.full) {
            most = count / 2;
            continue;
        }
        at += count;
        for (size_t i = 0; status == MC_OK && i < page.count; i++)
            if (!each(context, page.items[i]))
                return mc_fail(err, MC_CANCELLED, "the export was stopped");
    }
    return status;
}

/* ---- Users and counts ---- */

enum mc_status mc_sqlite_users(struct mc_store *store, mc_name_fn each, void *context,
                               struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_conn_start(reading.conn, "SELECT user_id FROM users ORDER BY user_id",
                               MC_NO_BINDS, &stmt, err);
    bool more = true;
    while (more && mc_conn_next(reading.conn, stmt, &status, err)) {
        more = each(context, mc_column_str(stmt, 0));
    }
    return status;
}

static enum mc_status count_tiers(struct mc_conn *conn, int64_t by_tier[MC_TIER_COUNT],
                                  struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_conn_start(conn, "SELECT tier, count(*) FROM messages GROUP BY tier",
                                          MC_NO_BINDS, &stmt, err);
    while (mc_conn_next(conn, stmt, &status, err)) {
        int64_t tier = mc_column_int(stmt, 0);
        if (tier >= 0 && tier < MC_TIER_COUNT)
            by_tier[tier] = mc_column_int(stmt, 1);
    }
    return status;
}

/* Of those without which a frequent question would read a whole table. */
static enum mc_status list_missing_indexes(struct mc_conn *conn, char names[MC_INDEX_NAMES],
                                           struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_conn_start(
        conn,
        "SELECT coalesce(group_concat(column1, ', '), '') FROM (VALUES ('messages_thread'),"
        " ('messages_tier'), ('jobs_due'), ('summaries_user')) WHERE column1 NOT IN"
        " (SELECT name FROM sqlite_master WHERE type = 'index')",
        MC_NO_BINDS, &stmt, err);
    while (mc_conn_next(conn, stmt, &status, err))
        snprintf(names, MC_INDEX_NAMES, "%.*s", MC_STR_ARG(mc_column_str(stmt, 0)));
    return status;
}

enum mc_status mc_sqlite_stats(struct mc_store *store, struct mc_store_stats *stats,
                               struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_snapshot_end) struct mc_snapshot snapshot = {0};
    struct mc_store_stats got = {.schema_version = mc_schema_version()};
    /* Every pending message has a job, so the queue knows how many there are without a pass over
     * all. */
    struct {
        const char *sql;
        int64_t *value;
    } questions[] = {
        {"SELECT count(*) FROM users", &got.users},
        {"SELECT count(*) FROM threads", &got.threads},
        {"SELECT coalesce(sum(messages), 0) FROM users", &got.messages},
        {"SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()", &got.bytes},
        {"SELECT count(*) FROM jobs j CROSS JOIN messages m ON m.id = j.id WHERE m.state = 0",
         &got.by_state[MC_ENRICHMENT_PENDING]},
        {"SELECT count(*) FROM messages WHERE state = 2", &got.by_state[MC_ENRICHMENT_FAILED]},
    };
    enum mc_status status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_snapshot_begin(&snapshot, reading.conn, err);
    for (size_t i = 0; status == MC_OK && i < mc_countof(questions); i++)
        status = mc_conn_integer(reading.conn, questions[i].sql, MC_NO_BINDS, NULL,
                                 questions[i].value, err);
    if (status == MC_OK)
        status = count_tiers(reading.conn, got.by_tier, err);
    if (status == MC_OK)
        status = list_missing_indexes(reading.conn, got.missing_indexes, err);
    if (status != MC_OK)
        return status;
    got.by_state[MC_ENRICHMENT_ENRICHED] =
        got.messages - got.by_state[MC_ENRICHMENT_PENDING] - got.by_state[MC_ENRICHMENT_FAILED];
    *stats = got;
    return MC_OK;
}

static int64_t file_bytes(const char *path, const char *suffix)
{
    char name[PATH_MAX];
    struct stat file;
    int len = snprintf(name, sizeof(name), "%s%s", path, suffix);
    return len < (int)sizeof(name) && stat(name, &file) == 0 ? file.st_size : 0;
}

enum mc_status mc_sqlite_room(struct mc_store *store, struct mc_store_room *room,
                              struct mc_error *err)
{
    const char *path = mc_sqlite_of(store)->path;
    struct statvfs disk;
    if (statvfs(path, &disk) != 0)
        return mc_fail(err, MC_IO, "cannot ask for the disk of '%s': %s", path, strerror(errno));
    *room = (struct mc_store_room){
        .bytes = file_bytes(path, "") + file_bytes(path, "-wal") + file_bytes(path, "-shm"),
        .disk_bytes = (int64_t)(disk.f_blocks * disk.f_frsize),
        .free_bytes = (int64_t)(disk.f_bavail * disk.f_frsize),
    };
    return MC_OK;
}

/* ---- Proof of life ---- */

/* Less than this is a full disk for a transaction of a few messages. */
#define FREE_BYTES_MIN (1U << 20)

/* What SQLite does not notice by itself: that only the smallest of changes still fits. */
static enum mc_status check_space(struct mc_conn *conn, struct mc_error *err)
{
    struct statvfs disk;
    if (statvfs(conn->path, &disk) != 0 || disk.f_blocks == 0)
        return MC_OK;
    uint64_t bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (bytes < FREE_BYTES_MIN)
        return mc_fail(err, MC_DISK_FULL,
                       "the disk of '%s' is full: %" PRIu64 " bytes are free; make room",
                       conn->path, bytes);
    return MC_OK;
}

static enum mc_status apply_ping(struct mc_writer *writer, void *context, struct mc_error *err)
{
    (void)context;
    enum mc_status status = check_space(writer->conn, err);
    if (status != MC_OK)
        return status;
    /* A change that changes nothing still needs the lock and a page of the log. */
    return mc_conn_exec(writer->conn, "UPDATE state SET last_row = last_row", MC_NO_BINDS, err);
}

enum mc_status mc_sqlite_ping(struct mc_store *store, struct mc_error *err)
{
    struct mc_sqlite *s = mc_sqlite_of(store);
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    int64_t value;
    enum mc_status status = mc_reading_begin(&reading, &s->readers, err);
    if (status == MC_OK)
        status = mc_conn_integer(reading.conn, "SELECT last_row FROM state", MC_NO_BINDS, NULL,
                                 &value, err);
    mc_reading_end(&reading);
    if (status == MC_OK)
        status = mc_sqlite_write(s, MC_WRITE_OTHER, 1, apply_ping, NULL, err);
    return status;
}

/* ---- Check ---- */

struct rule {
    const char *sql; /* how many break it */
    const char *text;
};
static const struct rule rules[] = {
    {"SELECT count(*) FROM jobs WHERE id NOT IN (SELECT id FROM messages)",
     "jobs without a message"},
    {"SELECT count(*) FROM messages WHERE state = 0 AND id NOT IN (SELECT id FROM jobs)",
     "messages that wait for enrichment without a job"},
    {"SELECT count(*) FROM messages m LEFT JOIN threads t ON t.thread_no = m.thread_no"
     " WHERE t.user_no IS NOT m.user_no",
     "messages in a thread of another user"},
    {"SELECT count(*) FROM threads WHERE user_no NOT IN (SELECT user_no FROM users)",
     "threads without a user"},
    {"SELECT count(*) FROM users u WHERE messages <>"
     " (SELECT count(*) FROM messages m WHERE m.user_no = u.user_no)",
     "users with a wrong count of messages"},
    {"SELECT count(*) FROM threads t WHERE messages <> (SELECT count(*) FROM messages m"
     " WHERE m.user_no = t.user_no AND m.thread_no = t.thread_no)",
     "threads with a wrong count of messages"},
    {"SELECT count(*) FROM twins WHERE row NOT IN (SELECT id FROM messages)",
     "content hashes without a message"},
    {"SELECT count(*) FROM vectors WHERE row NOT IN (SELECT id FROM messages)",
     "vectors without a message"},
    {"SELECT count(*) FROM vector_jobs WHERE row NOT IN (SELECT id FROM messages)",
     "waiting for a vector without a message"},
    {"SELECT count(*) FROM vector_models m WHERE vectors <>"
     " (SELECT count(*) FROM vectors v WHERE v.model = m.number)",
     "models with a wrong count of vectors"},
    {"SELECT count(*) FROM summaries WHERE thread_no NOT IN (SELECT thread_no FROM threads)",
     "summaries without a thread"},
    {"SELECT count(*) FROM messages WHERE packed IS NOT NULL AND (tier <> 3 OR text <> ''"
     " OR terms IS NOT NULL OR NOT EXISTS(SELECT 1 FROM dictionaries))",
     "compressed messages that are not in the archive, or without a dictionary"},
    {"SELECT count(*) FROM trash WHERE run NOT IN (SELECT number FROM tier_runs)",
     "messages in the trash that no run of tier migration has deleted"},
    {"SELECT count(*) FROM trash r LEFT JOIN threads t ON t.thread_no = r.thread_no"
     " WHERE t.user_no IS NOT r.user_no",
     "messages in the trash without a thread of their user"},
    {"SELECT count(*) FROM trash WHERE id IN (SELECT id FROM messages)",
     "messages that are stored and in the trash"},
};

struct report {
    mc_name_fn problem;
    void *context;
    bool more;
};

static void report(struct report *r, mc_str text)
{
    if (r->more)
        r->more = r->problem(r->context, text);
}

static enum mc_status check_file(struct mc_conn *conn, struct report *r, struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_conn_start(conn, "PRAGMA quick_check(20)", MC_NO_BINDS, &stmt, err);
    while (mc_conn_next(conn, stmt, &status, err)) {
        mc_str text = mc_column_str(stmt, 0);
        if (!mc_str_equal(text, MC_STR("ok")))
            report(r, text);
    }
    return status;
}

static enum mc_status check_rules(struct mc_conn *conn, struct report *r, struct mc_error *err)
{
    for (size_t i = 0; i < mc_countof(rules); i++) {
        int64_t count;
        enum mc_status status = mc_conn_integer(conn, rules[i].sql, MC_NO_BINDS, NULL, &count, err);
        if (status != MC_OK)
            return status;
        char text[128];
        int len = snprintf(text, sizeof(text), "%" PRId64 " %s", count, rules[i].text);
        if (count > 0)
            report(r, (mc_str){text, (size_t)len});
    }
    return MC_OK;
}

/*
 * The index holds no rows to compare with. Reading all of it through its vocabulary shows damage in
 * its structure; the newest messages must be found by their first term.
 */
static enum mc_status check_index(struct mc_conn *conn, struct report *r, struct mc_error *err)
{
    int64_t terms;
    enum mc_status status = mc_conn_script(
        conn,
        "CREATE VIRTUAL TABLE temp.index_terms USING fts5vocab('main', 'messages_fts', 'row')",
        err);
    if (status == MC_OK)
        status = mc_conn_integer(conn, "SELECT count(*) FROM temp.index_terms", MC_NO_BINDS, NULL,
                                 &terms, err);
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    if (status == MC_OK)
        status = mc_conn_start(conn,
                               "SELECT id, user_no, thread_no FROM messages WHERE terms IS NOT NULL"
                               " ORDER BY id DESC LIMIT 1000",
                               MC_NO_BINDS, &stmt, err);
    int64_t missing = 0;
    while (mc_conn_next(conn, stmt, &status, err)) {
        mc_buf_reset(&conn->scratch);
        mc_buf_char(&conn->scratch, '"');
        mc_fts_thread_token(&conn->scratch, mc_column_int(stmt, 1), mc_column_int(stmt, 2));
        mc_buf_char(&conn->scratch, '"');
        int64_t found;
        status = mc_conn_integer(
            conn, "SELECT count(*) FROM messages_fts WHERE messages_fts MATCH ?1 AND rowid = ?2",
            MC_BINDS(mc_bind_str(mc_buf_str(&conn->scratch)), mc_bind_int(mc_column_int(stmt, 0))),
            NULL, &found, err);
        missing += status == MC_OK && found == 0;
    }
    char text[96];
    int len = snprintf(text, sizeof(text),
                       "%" PRId64 " of the newest messages missing in the index", missing);
    if (missing > 0)
        report(r, (mc_str){text, (size_t)len});
    return status;
}

enum mc_status mc_sqlite_check(struct mc_store *store, mc_name_fn problem, void *context,
                               struct mc_error *err)
{
    struct mc_sqlite *s = mc_sqlite_of(store);
    struct report r = {problem, context, true};
    mc_auto(mc_conn_close_ptr) struct mc_conn *conn = NULL;
    mc_auto(mc_snapshot_end) struct mc_snapshot snapshot = {0};
    enum mc_status status = mc_conn_open(s->path, s->readers.busy_timeout_us, false, &conn, err);
    if (status == MC_OK)
        status = mc_conn_script(conn, "PRAGMA temp_store = MEMORY", err);
    if (status == MC_OK)
        status = mc_snapshot_begin(&snapshot, conn, err);
    if (status == MC_OK)
        status = check_file(conn, &r, err);
    if (status == MC_OK)
        status = check_rules(conn, &r, err);
    if (status == MC_OK)
        status = check_index(conn, &r, err);
    if (status == MC_CORRUPT && err) {
        /* Damage is what the check is for: a finding, not a failure. */
        report(&r, mc_str_of(err->message));
        return MC_OK;
    }
    return status;
}

/* ---- Backup ---- */

#define BACKUP_PAGES 1024

static enum mc_status create_target(const char *path, struct mc_error *err)
{
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
        return MC_OK;
    }
    if (errno == EEXIST)
        return mc_fail_field(err, MC_CONFLICT, "path", "'%s' exists; give the name of a new file",
                             path);
    return mc_fail_field(err, errno == ENOSPC ? MC_DISK_FULL : MC_IO, "path",
                         "cannot create '%s': %s", path, strerror(errno));
}

static enum mc_status copy_pages(sqlite3_backup *copy, struct mc_conn *to, mc_progress_fn progress,
                                 void *context, struct mc_error *err)
{
    for (;;) {
        int code = sqlite3_backup_step(copy, BACKUP_PAGES);
        if (code != SQLITE_OK && code != SQLITE_DONE)
            return mc_conn_fail(to, code, err);
        uint64_t total = (uint64_t)sqlite3_backup_pagecount(copy);
        uint64_t left = (uint64_t)sqlite3_backup_remaining(copy);
        if (progress && !progress(context, total - left, total))
            return mc_fail(err, MC_CANCELLED, "the backup was stopped");
        if (code == SQLITE_DONE)
            return MC_OK;
    }
}

/* From one snapshot of a connection of its own, so that writers neither wait nor make it begin
 * again. */
static enum mc_status copy_database(struct mc_sqlite *s, const char *path, mc_progress_fn progress,
                                    void *context, struct mc_error *err)
{
    mc_auto(mc_conn_close_ptr) struct mc_conn *from = NULL;
    mc_auto(mc_conn_close_ptr) struct mc_conn *to = NULL;
    mc_auto(mc_snapshot_end) struct mc_snapshot snapshot = {0};
    int64_t value;
    enum mc_status status = mc_conn_open(s->path, s->readers.busy_timeout_us, false, &from, err);
    if (status == MC_OK)
        status = mc_conn_open(path, s->readers.busy_timeout_us, false, &to, err);
    if (status == MC_OK)
        status = mc_snapshot_begin(&snapshot, from, err);
    if (status == MC_OK)
        status =
            mc_conn_integer(from, "SELECT last_row FROM state", MC_NO_BINDS, NULL, &value, err);
    if (status != MC_OK)
        return status;
    sqlite3_backup *copy = sqlite3_backup_init(to->db, "main", from->db, "main");
    if (!copy)
        return mc_conn_fail(to, sqlite3_extended_errcode(to->db), err);
    status = copy_pages(copy, to, progress, context, err);
    int code = sqlite3_backup_finish(copy);
    if (status == MC_OK && code != SQLITE_OK)
        status = mc_conn_fail(to, code, err);
    return status;
}

enum mc_status mc_sqlite_backup(struct mc_store *store, const char *path, mc_progress_fn progress,
                                void *context, struct mc_error *err)
{
    enum mc_status status = create_target(path, err);
    if (status != MC_OK)
        return status;
    status = copy_database(mc_sqlite_of(store), path, progress, context, err);
    if (status != MC_OK)
        unlink(path);
    return status;
}
