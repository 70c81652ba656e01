/*
 * Restoring through the C interface, at the instants that no other program can hit: what happens to the database
 * while the backup is copied and checked, and steps of the exchange that fail.
 *
 * link, rename and fsync are replaced in this program.
 */
#include "store/sqlite/conn.h"
#include "tap.h"

#include <mindcore/database.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/engine.h"

static bool no_links;           /* as on file systems without them */
static const char *not_renamed; /* the name that nothing can be renamed to */
static bool folders_do_not_sync;

int link(const char *from, const char *to)
{
    if (no_links) {
        errno = EPERM;
        return -1;
    }
    return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int rename(const char *from, const char *to)
{
    if (not_renamed && strcmp(to, not_renamed) == 0) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int fsync(int fd)
{
    struct stat info;
    if (folders_do_not_sync && fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

/* ---- One restore ---- */

/* What happens during it. */
struct events {
    const struct scratch *scratch;
    const char *database;
    void (*copied)(struct events *events); /* once every byte is copied, before the check */
    int stop_at; /* false for the call of this number with all bytes; 0: never */
    int told;    /* calls with all bytes */
    sqlite3 *holder;
};

struct outcome {
    enum mc_status status;
    struct mc_error err;
    char kept[4096];
};

static bool on_progress(void *context, uint64_t done, uint64_t total)
{
    struct events *events = context;
    if (done < total)
        return true;
    if (++events->told == 1 && events->copied)
        events->copied(events);
    return events->told != events->stop_at;
}

static struct outcome restore(const struct scratch *scratch, const char *database, bool replace,
                              struct events *events)
{
    struct outcome out = {0};
    struct mc_config *config = NULL;
    char backup[512];
    char *json = NULL;
    snprintf(backup, sizeof(backup), "%s", scratch_path(scratch, "backup.db"));
    if (mc_config_new(&config, &out.err) ||
        mc_config_set(config, "database.path", scratch_path(scratch, database), &out.err) ||
        mc_config_set(config, "cache.persistent", "false", &out.err))
        bail_out("no configuration: %s", out.err.message);
    events->scratch = scratch;
    events->database = database;
    out.status = mc_database_restore(config, backup, replace, on_progress, events, &json, &out.err);
    mc_config_free(config);
    const char *kept = json ? strstr(json, "\"kept\":\"") : NULL;
    if (kept)
        sscanf(kept, "\"kept\":\"%4095[^\"]", out.kept);
    mc_free(json);
    return out;
}

static struct mc_engine *opened; /* by what happens meanwhile */

static struct mc_engine *open_named(const struct scratch *scratch, const char *name)
{
    return engine_open(scratch, OPTIONS("database.path", scratch_path(scratch, name)));
}

static void store(const struct scratch *scratch, const char *name, const char *id)
{
    struct mc_engine *engine = open_named(scratch, name);
    say(engine, id, "The payment failed");
    mc_engine_close(engine);
}

static void holds(const struct scratch *scratch, const char *name, const char *expected,
                  const char *what)
{
    char ids[256];
    struct mc_engine *engine = open_named(scratch, name);
    is_str(recent_ids(engine, NULL, ids, sizeof(ids)), expected, "%s", what);
    mc_engine_close(engine);
}

static bool is_there(const struct scratch *scratch, const char *name)
{
    struct stat info;
    return stat(scratch_path(scratch, name), &info) == 0;
}

/* backup.db with the message "saved", e.db with "old". */
static void make(struct scratch *scratch)
{
    scratch_make(scratch);
    struct mc_error err = {0};
    struct mc_engine *engine = open_named(scratch, "source.db");
    say(engine, "saved", "The payment failed");
    is_status(mc_engine_backup(engine, scratch_path(scratch, "backup.db"), NULL, NULL, &err), MC_OK,
              &err, "a backup");
    mc_engine_close(engine);
    store(scratch, "e.db", "old");
}

/* ---- While it copies ---- */

static void use_it(struct events *events)
{
    store(events->scratch, events->database, "acknowledged");
}

static void keep_open(struct events *events)
{
    opened = open_named(events->scratch, events->database);
    say(opened, "acknowledged", "The payment failed");
}

static void test_used_meanwhile(void)
{
    struct scratch scratch;
    make(&scratch);
    struct outcome out = restore(&scratch, "new.db", false, &(struct events){.copied = use_it});
    is_status(out.status, MC_BUSY, &out.err, "a database that was not there before");
    holds(&scratch, "new.db", "acknowledged", "nothing acknowledged is lost");

    out = restore(&scratch, "open.db", false, &(struct events){.copied = keep_open});
    is_status(out.status, MC_BUSY, &out.err, "one that is in use by now");
    say(opened, "later", "And again");
    mc_engine_close(opened);
    holds(&scratch, "open.db", "later acknowledged", "it goes on");

    FILE *file = fopen(scratch_path(&scratch, "empty.db"), "w");
    if (!file || fclose(file))
        bail_out("no file");
    out = restore(&scratch, "empty.db", false, &(struct events){.copied = use_it});
    is_status(out.status, MC_BUSY, &out.err, "one that was empty");
    holds(&scratch, "empty.db", "acknowledged", "nothing acknowledged is lost");

    out = restore(&scratch, "e.db", true, &(struct events){.copied = use_it});
    is_status(out.status, MC_BUSY, &out.err, "one that has changed");
    holds(&scratch, "e.db", "acknowledged old", "nothing acknowledged is lost");
    ok(!is_there(&scratch, "e.db.restoring"), "no copy is left");

    out = restore(&scratch, "e.db", true, &(struct events){0});
    is_status(out.status, MC_OK, &out.err, "in peace");
    holds(&scratch, "e.db", "saved", "it is restored");
    scratch_remove(&scratch);
}

static void test_stopped_during_the_check(void)
{
    struct scratch scratch;
    make(&scratch);
    struct events events = {.stop_at = 2};
    struct outcome out = restore(&scratch, "e.db", true, &events);
    is_status(out.status, MC_CANCELLED, &out.err, "after the last byte");
    holds(&scratch, "e.db", "old", "the database is as it was");
    ok(!is_there(&scratch, "e.db.restoring"), "no copy is left");
    out = restore(&scratch, "new.db", false, &(struct events){.stop_at = 2});
    is_status(out.status, MC_CANCELLED, &out.err, "where there was none");
    ok(!is_there(&scratch, "new.db"), "there is none");
    scratch_remove(&scratch);
}

/* Another connection keeps the log of the copy from being written back. */
static void hold_copy(struct events *events)
{
    if (sqlite3_open(scratch_path(events->scratch, "e.db.restoring"), &events->holder) ||
        sqlite3_exec(events->holder,
                     "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;"
                     "UPDATE state SET last_row = last_row + 1;",
                     NULL, NULL, NULL))
        bail_out("the copy cannot be held: %s", sqlite3_errmsg(events->holder));
}

static void test_log_of_the_copy(void)
{
    struct scratch scratch;
    make(&scratch);
    struct events events = {.copied = hold_copy};
    struct outcome out = restore(&scratch, "e.db", true, &events);
    is_status(out.status, MC_IO, &out.err, "a copy that is not whole without its log");
    sqlite3_close(events.holder);
    holds(&scratch, "e.db", "old", "the database is as it was");
    scratch_remove(&scratch);
}

/* ---- Engines of this process ---- */

/* Whether another process would find a lock on the file. */
static bool is_locked(const char *path)
{
    int told;
    pid_t pid = fork();
    if (pid == 0) {
        struct flock lock = {
            .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0x40000000, .l_len = 512};
        int fd = open(path, O_RDWR | O_CLOEXEC);
        _exit(fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK);
    }
    return pid > 0 && waitpid(pid, &told, 0) == pid && WIFEXITED(told) && WEXITSTATUS(told) == 1;
}

static void test_engine_of_this_process(void)
{
    struct scratch scratch;
    make(&scratch);
    struct mc_engine *engine = engine_open(&scratch, NULL);
    ok(is_locked(scratch_path(&scratch, "e.db")), "the engine holds its lock");
    struct outcome out = restore(&scratch, "e.db", true, &(struct events){0});
    is_status(out.status, MC_BUSY, &out.err, "an engine has it open");
    ok(is_locked(scratch_path(&scratch, "e.db")), "and still holds its lock");
    say(engine, "later", "And again");
    mc_engine_close(engine);
    engine = open_named(&scratch, "backup.db");
    out = restore(&scratch, "e.db", true, &(struct events){0});
    is_status(out.status, MC_BUSY, &out.err, "an engine has the backup open");
    ok(is_locked(scratch_path(&scratch, "backup.db")), "and still holds its lock");
    mc_engine_close(engine);
    holds(&scratch, "e.db", "later old", "the database is as it was");
    scratch_remove(&scratch);
}

/* ---- An engine that opens the file while it is exchanged ---- */

// By path, since looking at a descriptor that another thread is opening is a race.
static int count_open(const char *path)
{
    int count = 0;
    struct stat file, info;
    if (stat(path, &file))
        return 0;
    for (int fd = 3; fd < 1024; fd++) {
        char name[32];
        snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
        count += stat(name, &info) == 0 && info.st_ino == file.st_ino && info.st_dev == file.st_dev;
    }
    return count;
}

static void *open_old(void *context)
{
    opened = engine_open(context, NULL);
    return NULL;
}

static void test_opened_during_the_exchange(void)
{
    struct scratch scratch;
    make(&scratch);
    char path[512], backup[512];
    snprintf(path, sizeof(path), "%s", scratch_path(&scratch, "e.db"));
    snprintf(backup, sizeof(backup), "%s", scratch_path(&scratch, "backup.db"));
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0x40000000, .l_len = 512};
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) != 0)
        bail_out("no lock");
    pthread_t thread;
    if (pthread_create(&thread, NULL, open_old, &scratch))
        bail_out("no thread");
    ok(scratch_wait(count_open(path) == 2, 20000), "it waits for the lock of the old file");
    if (rename(backup, path))
        bail_out("no renaming");
    lock.l_type = F_UNLCK;
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0)
        bail_out("no unlocking");
    pthread_join(thread, NULL);
    close(fd);
    char ids[256];
    is_str(recent_ids(opened, NULL, ids, sizeof(ids)), "saved", "it has the new file");
    say(opened, "later", "And again");
    mc_engine_close(opened);
    holds(&scratch, "e.db", "later saved", "and stores into it");
    scratch_remove(&scratch);
}

/* ---- Steps that fail ---- */

static void test_without_links(void)
{
    struct scratch scratch;
    make(&scratch);
    no_links = true;
    struct outcome out = restore(&scratch, "e.db", true, &(struct events){0});
    no_links = false;
    is_status(out.status, MC_OK, &out.err, "a file system without hard links");
    holds(&scratch, "e.db", "saved", "it is restored");
    const char *kept = strrchr(out.kept, '/');
    ok(kept != NULL, "the old one is kept");
    if (kept)
        holds(&scratch, kept + 1, "old", "with what it held");
    ok(!is_there(&scratch, "e.db.restoring"), "no copy is left");
    scratch_remove(&scratch);
}

static void write_file(const struct scratch *scratch, const char *name)
{
    FILE *file = fopen(scratch_path(scratch, name), "w");
    if (!file || fputs("no database", file) < 0 || fclose(file))
        bail_out("no file");
}

static void leave_journal(struct events *events)
{
    write_file(events->scratch, "bad.db-journal");
}

/* A database that cannot be read, and what SQLite left of it: both must be there afterwards. */
static void test_last_step(void)
{
    struct scratch scratch;
    make(&scratch);
    write_file(&scratch, "bad.db");
    char path[512];
    snprintf(path, sizeof(path), "%s", scratch_path(&scratch, "bad.db"));
    not_renamed = path;
    struct outcome out =
        restore(&scratch, "bad.db", true, &(struct events){.copied = leave_journal});
    not_renamed = NULL;
    is_status(out.status, MC_IO, &out.err, "the last step");
    ok(is_there(&scratch, "bad.db") && is_there(&scratch, "bad.db-journal"),
       "the database and its journal are as they were");
    out = restore(&scratch, "bad.db", true, &(struct events){.copied = leave_journal});
    is_status(out.status, MC_OK, &out.err, "once more");
    ok(strstr(out.kept, "bad.db.before-restore-") && !strstr(out.kept, "Z-2"),
       "no other name was left behind: %s", out.kept);
    char journal[4200];
    struct stat info;
    snprintf(journal, sizeof(journal), "%s-journal", out.kept);
    ok(stat(journal, &info) == 0, "the journal goes with the old one");
    holds(&scratch, "bad.db", "saved", "it is restored");
    scratch_remove(&scratch);
}

static void test_folder_not_synced(void)
{
    struct scratch scratch;
    make(&scratch);
    folders_do_not_sync = true;
    struct outcome out = restore(&scratch, "e.db", true, &(struct events){0});
    folders_do_not_sync = false;
    is_status(out.status, MC_IO, &out.err, "a folder that cannot be synced");
    ok(strstr(out.err.message, "is restored") && strstr(out.err.message, "before-restore-"),
       "it is said that it is restored, and what is kept: %s", out.err.message);
    holds(&scratch, "e.db", "saved", "it is restored");
    scratch_remove(&scratch);
}

int main(void)
{
    test_used_meanwhile();
    test_stopped_during_the_check();
    test_log_of_the_copy();
    test_engine_of_this_process();
    test_opened_during_the_exchange();
    test_without_links();
    test_last_step();
    test_folder_not_synced();
    return done_testing();
}
