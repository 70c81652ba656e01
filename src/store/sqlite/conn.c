#include "store/sqlite/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/str.h"
#include "base/time.h"

/* Longest piece of text built in a connection's scratch buffer: an expression for the index. */
#define SCRATCH_MAX_BYTES (4U << 20)

/*
 * Waits for the lock of another process. SQLite's own handler sleeps up to 100 ms at a time, which
 * starves one of two busy processes; here waits grow to 10 ms.
 */
static int wait_for_lock(void *context, int count)
{
    struct mc_conn *conn = context;
    int64_t now = mc_time_monotonic_us();
    if (count == 0)
        conn->busy_since_us = now;
    if (now - conn->busy_since_us >= conn->busy_timeout_us || mc_conn_moved(conn))
        return 0;
    long wait_us = count < 20 ? 200L * (count + 1) : 10000L;
    struct timespec pause = {0, wait_us * 1000L};
    nanosleep(&pause, NULL);
    return 1;
}

static enum mc_status open_handle(struct mc_conn *conn, const char *path, bool create,
                                  struct mc_error *err)
{
    /* A name that begins with "file:" would be read as a URI. */
    char *plain = NULL;
    if (strncmp(path, "file:", 5) == 0) {
        size_t size = strlen(path) + 3;
        plain = malloc(size);
        if (!plain)
            return mc_fail_memory(err);
        memcpy(plain, "./", 2);
        memcpy(plain + 2, path, size - 2);
    }
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
    int code = sqlite3_open_v2(plain ? plain : path, &conn->db, flags, NULL);
    free(plain);
    if (!conn->db)
        return mc_fail_memory(err);
    sqlite3_extended_result_codes(conn->db, 1);
    if (code == SQLITE_OK)
        code = sqlite3_busy_handler(conn->db, wait_for_lock, conn);
    return code == SQLITE_OK ? MC_OK : mc_conn_fail(conn, code, err);
}

enum mc_status mc_conn_open(const char *path, int64_t busy_timeout_us, bool create,
                            struct mc_conn **conn, struct mc_error *err)
{
    mc_auto(mc_conn_close_ptr) struct mc_conn *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->path = path;
    made->busy_timeout_us = busy_timeout_us;
    mc_buf_init(&made->scratch, SCRATCH_MAX_BYTES);
    enum mc_status status = open_handle(made, path, create, err);
    if (status != MC_OK)
        return status;
    *conn = mc_steal(made);
    return MC_OK;
}

void mc_conn_close(struct mc_conn *conn)
{
    if (!conn)
        return;
    for (size_t i = 0; i < MC_CONN_STATEMENTS; i++)
        sqlite3_finalize(conn->cache[i].stmt);
    sqlite3_close(conn->db);
    mc_buf_fini(&conn->scratch);
    free(conn);
}

bool mc_conn_moved(struct mc_conn *conn)
{
    int moved = 0;
    return sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
           moved;
}

enum mc_status mc_conn_check_place(struct mc_conn *conn, struct mc_error *err)
{
    if (!mc_conn_moved(conn))
        return MC_OK;
    return mc_fail(err, MC_IO,
                   "'%s' was removed or replaced while it is in use: what would be stored now goes "
                   "into a file that has no name and is lost at the end; restart this program, "
                   "after restoring a backup if the file is gone",
                   conn->path);
}

/* ---- Errors ---- */

struct meaning {
    int code; /* primary */
    enum mc_status status;
    const char *advice;
};
static const struct meaning meanings[] = {
    {SQLITE_FULL, MC_DISK_FULL, "free some space; what was acknowledged is safe"},
    {SQLITE_BUSY, MC_BUSY,
     "another process holds the lock; try again, or raise database.busy_timeout"},
    {SQLITE_LOCKED, MC_BUSY, "another connection holds the lock; try again"},
    {SQLITE_NOMEM, MC_NO_MEMORY, "the process has no memory left"},
    {SQLITE_READONLY, MC_IO, "make the file and its folder writable for this user"},
    {SQLITE_PERM, MC_IO, "check the permissions of the file and its folder"},
    {SQLITE_AUTH, MC_IO, "check the permissions of the file and its folder"},
    {SQLITE_CANTOPEN, MC_IO, "check that the folder exists and that this user may write in it"},
    {SQLITE_IOERR, MC_IO, "check the disk and the folder's permissions"},
    {SQLITE_PROTOCOL, MC_BUSY, "too many processes wait for the file; try again"},
    {SQLITE_CORRUPT, MC_CORRUPT,
     "restore a backup, or save what is left with: sqlite3 FILE .recover"},
    {SQLITE_NOTADB, MC_CORRUPT, "this is not a database; give another database.path"},
    {SQLITE_TOOBIG, MC_TOO_LARGE, "a value is too large for the database"},
    {SQLITE_INTERRUPT, MC_CANCELLED, "stopped"},
};

static bool is_no_space(int number)
{
    return number == ENOSPC || number == EDQUOT || number == EFBIG;
}

/*
 * SQLite says FULL only for ENOSPC of a plain write; a quota, a limit on the size of files, or a
 * full disk met by fsync arrive as input or output errors. The reason is kept with the file that
 * had it.
 */
static bool out_of_space(const struct mc_conn *conn, int code)
{
    if ((code & 0xff) != SQLITE_IOERR)
        return false;
    int number = 0;
    sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_LAST_ERRNO, &number);
    if (is_no_space(number) || is_no_space(sqlite3_system_errno(conn->db)))
        return true;
    sqlite3_file *log = NULL;
    sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (log && log->pMethods)
        log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &number);
    return is_no_space(number);
}

enum mc_status mc_conn_fail(struct mc_conn *conn, int code, struct mc_error *err)
{
    conn->broken = true;
    int primary = out_of_space(conn, code) ? SQLITE_FULL : code & 0xff;
    for (size_t i = 0; i < mc_countof(meanings); i++)
        if (meanings[i].code == primary)
            return mc_fail(err, meanings[i].status, "database '%s': %s (SQLite %d): %s", conn->path,
                           sqlite3_errstr(code), code, meanings[i].advice);
    return mc_fail(err, MC_INTERNAL, "database '%s': %s (SQLite %d)", conn->path,
                   sqlite3_errmsg(conn->db), code);
}

/* ---- Statements ---- */

static size_t slot_of(const struct mc_conn *conn, const char *sql)
{
    uint64_t hash = (uint64_t)(uintptr_t)sql * UINT64_C(0x9e3779b97f4a7c15);
    size_t at = (size_t)(hash >> 56) % MC_CONN_STATEMENTS;
    for (size_t i = 0; i < MC_CONN_STATEMENTS; i++) {
        if (!conn->cache[at].sql || conn->cache[at].sql == sql)
            return at;
        at = (at + 1) % MC_CONN_STATEMENTS;
    }
    return MC_CONN_STATEMENTS;
}

static void bind_all(sqlite3_stmt *stmt, const struct mc_bind *binds)
{
    /* Static text needs no memory, so these calls fail only for a parameter that does not exist. */
    for (int i = 0; binds && binds[i].type; i++) {
        const struct mc_bind *b = &binds[i];
        if (b->type == 'i')
            sqlite3_bind_int64(stmt, i + 1, b->value.integer);
        else if (b->type == 'd')
            sqlite3_bind_double(stmt, i + 1, b->value.number);
        else if (b->type == 'b')
            sqlite3_bind_blob64(stmt, i + 1, b->value.text.data, b->value.text.len, SQLITE_STATIC);
        else
            sqlite3_bind_text64(stmt, i + 1, b->value.text.data, b->value.text.len, SQLITE_STATIC,
                                SQLITE_UTF8);
    }
}

enum mc_status mc_conn_start(struct mc_conn *conn, const char *sql, const struct mc_bind *binds,
                             sqlite3_stmt **stmt, struct mc_error *err)
{
    size_t at = slot_of(conn, sql);
    if (at == MC_CONN_STATEMENTS)
        return mc_fail(err, MC_INTERNAL, "too many statements; raise MC_CONN_STATEMENTS");
    if (!conn->cache[at].stmt) {
        int code = sqlite3_prepare_v3(conn->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                      &conn->cache[at].stmt, NULL);
        if (code != SQLITE_OK)
            return mc_conn_fail(conn, code, err);
        conn->cache[at].sql = sql;
    }
    *stmt = conn->cache[at].stmt;
    bind_all(*stmt, binds);
    return MC_OK;
}

enum mc_status mc_conn_step(struct mc_conn *conn, sqlite3_stmt *stmt, bool *row,
                            struct mc_error *err)
{
    int code = sqlite3_step(stmt);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return mc_conn_fail(conn, code, err);
    *row = code == SQLITE_ROW;
    return MC_OK;
}

enum mc_status mc_conn_exec(struct mc_conn *conn, const char *sql, const struct mc_bind *binds,
                            struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_conn_start(conn, sql, binds, &stmt, err);
    bool row = true;
    while (status == MC_OK && row)
        status = mc_conn_step(conn, stmt, &row, err);
    return status;
}

enum mc_status mc_conn_integer(struct mc_conn *conn, const char *sql, const struct mc_bind *binds,
                               bool *found, int64_t *value, struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_conn_start(conn, sql, binds, &stmt, err);
    bool row = false;
    if (status == MC_OK)
        status = mc_conn_step(conn, stmt, &row, err);
    if (status != MC_OK)
        return status;
    if (found)
        *found = row;
    *value = row ? mc_column_int(stmt, 0) : 0;
    return MC_OK;
}

enum mc_status mc_conn_script(struct mc_conn *conn, const char *sql, struct mc_error *err)
{
    int code = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? MC_OK : mc_conn_fail(conn, code, err);
}

/* ---- Snapshots ---- */

enum mc_status mc_snapshot_begin(struct mc_snapshot *snapshot, struct mc_conn *conn,
                                 struct mc_error *err)
{
    enum mc_status status = mc_conn_exec(conn, "BEGIN", MC_NO_BINDS, err);
    if (status == MC_OK)
        snapshot->conn = conn;
    return status;
}

void mc_snapshot_end(struct mc_snapshot *snapshot)
{
    struct mc_error ignored;
    /* Nothing was written, so there is nothing to lose if ending fails; the rollback cannot. */
    if (snapshot->conn && mc_conn_exec(snapshot->conn, "END", MC_NO_BINDS, &ignored) != MC_OK)
        sqlite3_exec(snapshot->conn->db, "ROLLBACK", NULL, NULL, NULL);
    snapshot->conn = NULL;
}
