/* What a restore looks at before it changes anything: the backup, and what is there now. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "store/sqlite/conn.h"
#include "store/sqlite/restore_parts.h"
#include "store/sqlite/schema.h"

/* Of SQLite's file format. */
#define HEADER_BYTES 100
#define MAGIC "SQLite format 3"

#define PROBE_TIMEOUT_US (500 * MC_US_PER_MS)

/* ---- The backup ---- */

static uint64_t big_endian(const unsigned char *bytes, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* What can be told of the file without opening it as a database, which names it and costs nothing. */
static enum mc_status check_header(struct mc_restore *r, struct mc_error *err)
{
    unsigned char h[HEADER_BYTES] = {0};
    const char *path = r->options->backup;
    ssize_t len = pread(r->backup_fd, h, sizeof(h), 0);
    if (len < 0)
        return mc_restore_fail(err, "read", path);
    if (len < HEADER_BYTES || memcmp(h, MAGIC, sizeof(MAGIC)) != 0)
        return mc_fail(err, MC_CORRUPT,
                       "'%s' is not a database; name a file that 'mindcore backup' wrote", path);
    if (big_endian(h + 68, 4) != MC_SCHEMA_APPLICATION)
        return mc_fail(err, MC_CORRUPT,
                       "'%s' is a database of another program; name a file that 'mindcore backup' "
                       "wrote",
                       path);
    uint64_t version = big_endian(h + 60, 4);
    if (version > (uint64_t)mc_schema_version())
        return mc_fail(err, MC_VERSION,
                       "'%s' was written by a newer version of Mindcore (schema %" PRIu64
                       ", this one knows %d); restore it with that version",
                       path, version, mc_schema_version());
    uint64_t page = big_endian(h + 16, 2);
    uint64_t needed = (page == 1 ? 65536 : page) * big_endian(h + 28, 4);
    /* The count of pages is only good when the same change wrote both. */
    if (big_endian(h + 24, 4) == big_endian(h + 92, 4) && (uint64_t)r->backup.st_size < needed)
        return mc_fail(err, MC_CORRUPT,
                       "'%s' is cut off: it has %lld of %" PRIu64 " bytes; use another backup",
                       path, (long long)r->backup.st_size, needed);
    return MC_OK;
}

static const char no_backup[] = "what is in use is no backup: make one with 'mindcore backup'";

enum mc_status mc_restore_open_backup(struct mc_restore *r, struct mc_error *err)
{
    const char *path = r->options->backup;
    char log[PATH_MAX];
    struct stat info;
    enum mc_status status = MC_OK;
    if (stat(path, &info) == 0)
        status = mc_restore_unused_here(&info, path, no_backup, err);
    if (status != MC_OK)
        return status;
    r->backup_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r->backup_fd < 0 || fstat(r->backup_fd, &r->backup) != 0)
        return mc_restore_fail(err, "open the backup", path);
    if (!S_ISREG(r->backup.st_mode))
        return mc_fail(err, MC_INVALID, "'%s' is not a file; name one that 'mindcore backup' wrote",
                       path);
    status = check_header(r, err);
    if (status == MC_OK)
        status = mc_restore_unused(r->backup_fd, path, no_backup, err);
    if (status != MC_OK)
        return status;
    int len = snprintf(log, sizeof(log), "%s-wal", path);
    if (len > 0 && (size_t)len < sizeof(log) && stat(log, &info) == 0 && info.st_size > 0)
        return mc_fail(err, MC_INVALID,
                       "'%s' belongs to '%s' and holds a part of it; make one whole file of both "
                       "with 'mindcore backup --db sqlite:%s NEW', and restore that",
                       log, path, path);
    return MC_OK;
}

/* ---- What is there now ---- */

static enum mc_status ask_database(struct mc_conn *conn, int64_t *has, struct mc_error *err)
{
    static const char *const tables[] = {"messages", "preferences", "agents", "keys"};
    int64_t ours = 0;
    enum mc_status status =
        mc_conn_integer(conn, "PRAGMA application_id", MC_NO_BINDS, NULL, &ours, err);
    *has = ours != 0 && ours != MC_SCHEMA_APPLICATION;
    for (size_t i = 0; status == MC_OK && !*has && i < mc_countof(tables); i++) {
        char sql[96];
        int64_t there = 0;
        status = mc_conn_integer(conn, "SELECT count(*) FROM sqlite_master WHERE name = ?1",
                                 MC_BINDS(mc_bind_str(mc_str_of(tables[i]))), NULL, &there, err);
        snprintf(sql, sizeof(sql), "SELECT EXISTS (SELECT 1 FROM %s)", tables[i]);
        if (status == MC_OK && there > 0)
            status = mc_conn_integer(conn, sql, MC_NO_BINDS, NULL, has, err);
    }
    return status;
}

/*
 * Whether the database holds anything, which one that cannot be read may. Closing it again writes a log that a crash
 * left into the file.
 */
static bool has_data(const char *path)
{
    mc_auto(mc_conn_close_ptr) struct mc_conn *conn = NULL;
    struct mc_error ignored;
    int64_t has = 1;
    if (mc_conn_open(path, PROBE_TIMEOUT_US, false, &conn, &ignored) != MC_OK ||
        ask_database(conn, &has, &ignored) != MC_OK)
        return true;
    return has != 0;
}

/* The name behind symbolic links. One that leads nowhere may be of a disk that is not mounted. */
static enum mc_status find_name(struct mc_restore *r, struct mc_error *err)
{
    const char *path = r->options->database;
    char target[PATH_MAX];
    if (!path || !*path || strcmp(path, ":memory:") == 0)
        return mc_fail_field(err, MC_INVALID, "database.path",
                             "a backup is restored into a file; name it with --db sqlite:PATH");
    if (!realpath(path, r->database)) {
        ssize_t len = readlink(path, target, sizeof(target));
        if (len >= 0)
            return mc_fail_field(err, MC_NOT_FOUND, "database.path",
                                 "'%s' is a link to '%.*s', which is not there; mount its disk, or "
                                 "restore to the name that it leads to",
                                 path, (int)len, target);
        snprintf(r->database, sizeof(r->database), "%s", path);
    }
    int len = snprintf(r->copy, sizeof(r->copy), "%s.restoring", r->database);
    return len > 0 && (size_t)len < sizeof(r->copy)
               ? MC_OK
               : mc_fail_field(err, MC_INVALID, "database.path",
                               "the name of the database is too long");
}

static enum mc_status find_database(struct mc_restore *r, struct mc_error *err)
{
    struct stat info;
    enum mc_status status = find_name(r, err);
    if (status != MC_OK)
        return status;
    if (stat(r->database, &info) != 0)
        return errno == ENOENT ? MC_OK : mc_restore_fail(err, "use", r->database);
    if (!S_ISREG(info.st_mode))
        return mc_fail_field(err, MC_INVALID, "database.path", "'%s' is not a file", r->database);
    if (info.st_dev == r->backup.st_dev && info.st_ino == r->backup.st_ino)
        return mc_fail_field(err, MC_INVALID, "database.path",
                             "'%s' is the database itself; name the backup", r->options->backup);
    status = mc_restore_unused_here(&info, r->database, MC_RESTORE_STOP, err);
    if (status != MC_OK)
        return status;
    r->old = info;
    r->database_fd = open(r->database, O_RDWR | O_CLOEXEC);
    return r->database_fd < 0 ? mc_restore_fail(err, "write", r->database) : MC_OK;
}

enum mc_status mc_restore_check_database(struct mc_restore *r, struct mc_error *err)
{
    enum mc_status status = find_database(r, err);
    if (status != MC_OK || r->database_fd < 0)
        return status;
    status = mc_restore_unused(r->database_fd, r->database, MC_RESTORE_STOP, err);
    if (status != MC_OK)
        return status;
    mc_restore_close(&r->database_fd); /* before SQLite opens it: its locks would end with ours */
    if (r->old.st_size > 0 && has_data(r->database) && !r->options->replace)
        return mc_fail(
            err, MC_CONFLICT,
            "'%s' holds data; give --force to put the backup in its place, what is there "
            "now is kept under another name",
            r->database);
    mc_restore_look_at_log(r, &r->old_log);
    return stat(r->database, &r->old) == 0 ? MC_OK : mc_restore_fail(err, "use", r->database);
}
