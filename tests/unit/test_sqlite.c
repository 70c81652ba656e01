/* What only the store on SQLite does: its file, its pragmas, other processes, a full disk. */
#include "support/scratch.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/thread.h"
#include "store/sqlite/sqlite.h"

static struct scratch scratch;
static const struct mc_reader everything = {.everything = true};

static void expect_open(const char *path, enum mc_status want, const char *says, const char *what)
{
    struct mc_sqlite_options options = {.path = path, .busy_timeout_us = 100000};
    struct mc_store *store = NULL;
    struct mc_error err = {0};
    is_status(mc_sqlite_store_open(&options, &store, &err), want, &err, "%s", what);
    if (want != MC_OK)
        ok(strstr(err.message, says) != NULL, "the error says '%s': %s", says, err.message);
    if (store)
        store->ops->close(store);
}

static void write_file(const char *path, long offset, const void *bytes, size_t len)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0 || pwrite(fd, bytes, len, offset) != (ssize_t)len)
        bail_out("cannot write %s", path);
    close(fd);
}

/* Stores messages PREFIX0, PREFIX1, ... until one fails; how many were acknowledged. */
static int put_some(struct mc_store *store, const char *prefix, int count, size_t text_len,
                    enum mc_status *status, struct mc_error *err)
{
    char id[64];
    char *text = malloc(text_len + 1);
    if (!text)
        bail_out("no memory");
    memset(text, 'x', text_len);
    text[text_len] = '\0';
    int done = 0;
    for (*status = MC_OK; done < count; done++) {
        snprintf(id, sizeof(id), "%s%d", prefix, done);
        struct mc_put put = scratch_put(id, text);
        *status = store->ops->put(store, &put, 1, err);
        if (*status != MC_OK)
            break;
        mc_record_unref(put.record);
    }
    free(text);
    return done;
}

static int count_found(struct mc_store *store, const char *prefix, int count)
{
    int found = 0;
    for (int i = 0; i < count; i++) {
        char id[64];
        snprintf(id, sizeof(id), "%s%d", prefix, i);
        struct mc_record *record = scratch_get(store, id);
        found += record != NULL;
        mc_record_unref(record);
    }
    return found;
}

static int64_t message_count(struct mc_store *store)
{
    struct mc_store_stats stats = {0};
    struct mc_error err = {0};
    is_status(store->ops->stats(store, &stats, &err), MC_OK, &err, "stats");
    return stats.messages;
}

/* ---- The file ---- */

static void pragmas(void)
{
    static const struct {
        const char *name, *writer, *reader;
    } want[] = {
        {"journal_mode", "wal", "wal"}, {"cache_size", "-64000", "-2000"},
        {"temp_store", "2", "2"},       {"query_only", "0", "1"},
        {"secure_delete", "1", NULL},   {"application_id", "1298755172", NULL},
    };
    for (int full = 0; full < 2; full++) {
        struct mc_sqlite_options options = {.path = scratch_path(&scratch, "pragmas.db"),
                                            .synchronous_full = full != 0};
        struct mc_store *store = NULL;
        struct mc_error err = {0};
        char text[64];
        is_status(mc_sqlite_store_open(&options, &store, &err), MC_OK, &err, "open");
        is_status(mc_sqlite_store_pragma(store, "synchronous", false, text, sizeof(text), &err),
                  MC_OK, &err, "pragma");
        is_str(text, full ? "2" : "1", "synchronous is %s", full ? "full" : "normal");
        for (size_t i = 0; i < mc_countof(want); i++)
            for (int reader = 0; reader < 2; reader++) {
                const char *value = reader ? want[i].reader : want[i].writer;
                is_status(mc_sqlite_store_pragma(store, want[i].name, reader != 0, text,
                                                 sizeof(text), &err),
                          MC_OK, &err, "pragma");
                if (value)
                    is_str(text, value, "%s of the %s", want[i].name, reader ? "reader" : "writer");
            }
        store->ops->close(store);
    }
}

/* The pragmas that the performance tuning guide promises, and no other one, are those of the writer. */
static void pragmas_of_the_guide(void)
{
    static const struct {
        const char *line, *name, *value;
    } said[] = {
        {"PRAGMA journal_mode = WAL;", "journal_mode", "wal"},
        {"PRAGMA synchronous = NORMAL;", "synchronous", "1"},
        {"PRAGMA cache_size = -64000;", "cache_size", "-64000"},
        {"PRAGMA temp_store = MEMORY;", "temp_store", "2"},
    };
    const char *root = getenv("MINDCORE_SOURCE");
    char path[1000], line[1000], text[64];
    snprintf(path, sizeof(path), "%s/tests/data/performance-tuning-guide.md", root ? root : ".");
    FILE *guide = fopen(path, "r");
    if (!ok(guide != NULL, "open %s", path))
        return;
    struct mc_sqlite_options options = {.path = scratch_path(&scratch, "guide.db")};
    struct mc_store *store = NULL;
    struct mc_error err = {0};
    is_status(mc_sqlite_store_open(&options, &store, &err), MC_OK, &err, "open");
    size_t lines = 0, known = 0;
    while (fgets(line, sizeof(line), guide)) {
        lines += strncmp(line, "PRAGMA ", 7) == 0;
        for (size_t i = 0; i < mc_countof(said); i++) {
            if (strncmp(line, said[i].line, strlen(said[i].line)) != 0)
                continue;
            known++;
            is_status(mc_sqlite_store_pragma(store, said[i].name, false, text, sizeof(text), &err),
                      MC_OK, &err, "pragma");
            is_str(text, said[i].value, "%s", said[i].line);
        }
    }
    is_int((int)lines, (int)mc_countof(said), "pragmas in the guide");
    is_int((int)known, (int)mc_countof(said), "of these are known here");
    store->ops->close(store);
    fclose(guide);
}

static void bad_paths(void)
{
    expect_open("", MC_INVALID, "name of a file", "no path");
    expect_open(":memory:", MC_INVALID, "memory", "memory");
    expect_open(scratch_path(&scratch, "no/such/x.db"), MC_IO, "create it", "a missing folder");
    expect_open(scratch.dir, MC_IO, "is a folder", "a folder");
    const char *text = scratch_path(&scratch, "letter.txt");
    write_file(text, 0, "Dear Sir or Madam, this is a letter and not a database. Yours truly.", 68);
    expect_open(text, MC_CORRUPT, "letter.txt", "a text file");
    char odd[300];
    snprintf(odd, sizeof(odd), "%s/odd ?name#%%20'\".db", scratch.dir);
    expect_open(odd, MC_OK, "", "a name with odd characters");
    ok(access(odd, F_OK) == 0, "is the name of the file");
    const char *empty = scratch_path(&scratch, "empty.db");
    write_file(empty, 0, "", 0);
    expect_open(empty, MC_OK, "", "an empty file becomes a database");
    struct stat info = {0};
    const char *fresh = scratch_path(&scratch, "fresh.db");
    expect_open(fresh, MC_OK, "", "a new file");
    ok(stat(fresh, &info) == 0 && (info.st_mode & 077) == 0, "is its owner's alone");
}

static void foreign_files(void)
{
    const char *path = scratch_path(&scratch, "foreign.db");
    expect_open(path, MC_OK, "", "a database");
    const unsigned char newer[4] = {0, 0, 3, 0xe7}, other[4] = {1, 2, 3, 4}, none[4] = {0};
    unsigned char saved[40];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || pread(fd, saved, sizeof(saved), 60) != sizeof(saved))
        bail_out("cannot read %s", path);
    close(fd);
    /* The header of the file: user_version at 60, application_id at 68. */
    write_file(path, 60, newer, 4);
    expect_open(path, MC_VERSION, "newer version", "of a newer version");
    write_file(path, 60, saved, 4);
    write_file(path, 68, other, 4);
    expect_open(path, MC_CORRUPT, "another program", "of another program");
    write_file(path, 68, none, 4);
    expect_open(path, MC_CORRUPT, "another program", "with tables of nobody's");
    write_file(path, 68, saved + 8, 4);
    expect_open(path, MC_OK, "", "and as it was");
}

/* Runs a check in a child process as a user without rights; its exit status. */
static int as_nobody(int (*check)(void))
{
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
            _exit(99);
        _exit(check());
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char *checked_path;

static int open_refused(void)
{
    struct mc_sqlite_options options = {.path = checked_path, .busy_timeout_us = 100000};
    struct mc_store *store = NULL;
    struct mc_error err = {0};
    enum mc_status status = mc_sqlite_store_open(&options, &store, &err);
    return status == MC_IO && strstr(err.message, checked_path) && strstr(err.message, "writable")
               ? 0
               : 1;
}

static void read_only(void)
{
    char dir[300], path[340];
    snprintf(dir, sizeof(dir), "%s/closed", scratch.dir);
    snprintf(path, sizeof(path), "%s/x.db", dir);
    if (mkdir(dir, 0755) != 0 || chmod(scratch.dir, 0755) != 0)
        bail_out("no folder");
    checked_path = path;
    if (geteuid() != 0)
        chmod(dir, 0555);
    is_int(as_nobody(open_refused), 0, "a folder that is closed to the user is refused");
    chmod(dir, 0755);
    expect_open(path, MC_OK, "", "its owner makes a database");
    chmod(path, 0444);
    is_int(as_nobody(open_refused), 0, "a file that is read-only is refused");
    chmod(path, 0666);
    if (geteuid() != 0)
        chmod(dir, 0555);
    is_int(as_nobody(open_refused), 0, "a writable file in a closed folder is refused");
    chmod(dir, 0755);
}

static bool see_problem(void *context, mc_str text)
{
    (void)text;
    ++*(int *)context;
    return true;
}

/* Garbage in the middle of the file is an error or a finding, never a crash. */
static void damaged(void)
{
    const char *path = scratch_path(&scratch, "damaged.db");
    struct mc_store *store = scratch_store(&scratch, "damaged.db");
    struct mc_error err = {0};
    enum mc_status status;
    is_int(put_some(store, "d", 400, 500, &status, &err), 400, "400 messages");
    store->ops->close(store);
    struct stat info = {0};
    char noise[512];
    memset(noise, 0xa5, sizeof(noise));
    if (stat(path, &info) != 0)
        bail_out("no file");
    for (long at = 8192; at + 512 < info.st_size; at += 4096)
        write_file(path, at, noise, sizeof(noise));
    struct mc_sqlite_options options = {.path = path};
    status = mc_sqlite_store_open(&options, &store, &err);
    if (status != MC_OK) {
        is_status(status, MC_CORRUPT, &err, "a damaged file is refused");
        return;
    }
    struct mc_record *record = NULL;
    status = store->ops->get(store, MC_STR("d7"), &everything, &record, &err);
    ok(status == MC_CORRUPT || status == MC_NOT_FOUND || status == MC_OK, "a read says %s",
       mc_status_name(status));
    mc_record_unref(record);
    struct mc_put put = scratch_put("new", "x");
    status = store->ops->put(store, &put, 1, &err);
    is_status(status, MC_CORRUPT, &err, "a write says so");
    int problems = 0;
    is_status(store->ops->check(store, see_problem, &problems, &err), MC_OK, &err, "check");
    ok(problems > 0, "finds %d problems", problems);
    store->ops->close(store);
}

/* ---- Locks and other processes ---- */

/* Another process's write lock, as SQLite takes it: byte 120 of the shared-memory file. */
static void locked(void)
{
    struct mc_sqlite_options options = {.path = scratch_path(&scratch, "locked.db"),
                                        .busy_timeout_us = 200 * MC_US_PER_MS};
    struct mc_store *store = NULL;
    struct mc_error err = {0};
    enum mc_status status;
    is_status(mc_sqlite_store_open(&options, &store, &err), MC_OK, &err, "open");
    is_int(put_some(store, "a", 1, 10, &status, &err), 1, "a message before");
    char shm[600];
    snprintf(shm, sizeof(shm), "%s-shm", options.path);
    int ready[2], finish[2];
    if (pipe(ready) || pipe(finish))
        bail_out("no pipe");
    pid_t child = fork();
    if (child == 0) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 120, .l_len = 1};
        int fd = open(shm, O_RDWR);
        char byte = fcntl(fd, F_SETLK, &lock) == 0 ? 'y' : 'n';
        if (write(ready[1], &byte, 1) != 1 || read(finish[0], &byte, 1) != 1)
            _exit(1);
        _exit(0);
    }
    char byte = 0;
    ok(read(ready[0], &byte, 1) == 1 && byte == 'y', "another process has the lock");
    int64_t start_us = mc_time_monotonic_us();
    struct mc_put put = scratch_put("b", "x");
    is_status(store->ops->put(store, &put, 1, &err), MC_BUSY, &err, "a write is refused");
    int64_t waited_us = mc_time_monotonic_us() - start_us;
    ok(waited_us >= 190 * MC_US_PER_MS && waited_us < 5 * MC_US_PER_SECOND, "after the time-out");
    ok(strstr(err.message, "database.busy_timeout") != NULL, "the error names the option");
    ok(scratch_get(store, "b") == NULL, "nothing was written");
    is_int(count_found(store, "a", 1), 1, "reads go on");
    is_int(write(finish[1], "x", 1), 1, "the lock is let go");
    waitpid(child, NULL, 0);
    is_status(store->ops->put(store, &put, 1, &err), MC_OK, &err, "the write succeeds");
    mc_record_unref(put.record);
    close(ready[0]);
    close(ready[1]);
    close(finish[0]);
    close(finish[1]);
    store->ops->close(store);
}

/* Runs `work` in a child process that opens the store itself. */
static pid_t in_child(const char *name, int (*work)(struct mc_store *store))
{
    const char *path = scratch_path(&scratch, name);
    pid_t child = fork();
    if (child != 0)
        return child;
    struct mc_sqlite_options options = {.path = path};
    struct mc_store *store = NULL;
    struct mc_error err;
    if (mc_sqlite_store_open(&options, &store, &err) != MC_OK) {
        fprintf(stderr, "child: %s\n", err.message);
        _exit(2);
    }
    int result = work(store);
    store->ops->close(store);
    _exit(result);
}

static int exit_of(pid_t child)
{
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

static int child_puts(struct mc_store *store)
{
    enum mc_status status;
    struct mc_error err;
    int done = put_some(store, "child", 300, 50, &status, &err);
    if (status != MC_OK)
        fprintf(stderr, "child: %s\n", err.message);
    return done == 300 ? 0 : 1;
}

static int nothing(struct mc_store *store)
{
    (void)store;
    return 0;
}

static void several_open(void)
{
    pid_t children[8];
    for (int i = 0; i < 8; i++)
        children[i] = in_child("together.db", nothing);
    int good = 0;
    for (int i = 0; i < 8; i++)
        good += exit_of(children[i]) == 0;
    is_int(good, 8, "eight processes make the same database at once");
}

static atomic_int foreign_changes;

static void on_foreign_change(void *context)
{
    (void)context;
    atomic_fetch_add(&foreign_changes, 1);
}

static struct mc_store *open_watched(const char *name)
{
    struct mc_sqlite_options options = {.path = scratch_path(&scratch, name),
                                        .foreign_change = on_foreign_change};
    struct mc_store *store = NULL;
    struct mc_error err = {0};
    if (mc_sqlite_store_open(&options, &store, &err))
        bail_out("no store: %s", err.message);
    return store;
}

static int child_one(struct mc_store *store)
{
    struct mc_put put = scratch_put("late", "x");
    struct mc_error err;
    enum mc_status status = store->ops->put(store, &put, 1, &err);
    mc_record_unref(put.record);
    return status == MC_OK ? 0 : 1;
}

static void two_processes(void)
{
    /* Children come before the parent's store: connections must not cross a fork. */
    pid_t child = in_child("shared.db", child_puts);
    struct mc_store *store = open_watched("shared.db");
    enum mc_status status;
    struct mc_error err = {0};
    is_int(put_some(store, "parent", 300, 50, &status, &err), 300, "the parent writes: %s",
           err.message);
    is_int(exit_of(child), 0, "the child writes at the same time");
    is_int(count_found(store, "child", 300), 300, "all of the child's are here");
    is_int(count_found(store, "parent", 300), 300, "all of the parent's too");
    is_int(message_count(store), 600, "and no more");
    store->ops->close(store);
}

/* Context switches of the watching thread, -1 when it is not found. */
static long watcher_wakes(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    long wakes = -1;
    while (tasks && (entry = readdir(tasks))) {
        char path[320], line[128];
        snprintf(path, sizeof(path), "/proc/self/task/%.200s/status", entry->d_name);
        FILE *file = fopen(path, "r");
        bool is_it = false;
        while (file && fgets(line, sizeof(line), file)) {
            if (strncmp(line, "Name:\tmc-watch", 14) == 0)
                is_it = true;
            if (is_it && strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
                wakes = strtol(line + 24, NULL, 10);
        }
        if (file)
            fclose(file);
    }
    if (tasks)
        closedir(tasks);
    return wakes;
}

static bool watcher_sleeps(int ms)
{
    long before = watcher_wakes();
    scratch_pause_ms(ms);
    return before >= 0 && watcher_wakes() == before;
}

static void watching(void)
{
    int go[2];
    if (pipe(go))
        bail_out("no pipe");
    const char *path = scratch_path(&scratch, "watched.db");
    pid_t child = fork();
    if (child == 0) {
        char byte;
        if (read(go[0], &byte, 1) != 1)
            _exit(3);
        struct mc_sqlite_options options = {.path = path};
        struct mc_store *store = NULL;
        struct mc_error err;
        if (mc_sqlite_store_open(&options, &store, &err) != MC_OK)
            _exit(2);
        int result = child_one(store);
        store->ops->close(store);
        _exit(result);
    }
    struct mc_store *store = open_watched("watched.db");
    enum mc_status status;
    struct mc_error err = {0};
    atomic_store(&foreign_changes, 0);
    put_some(store, "own", 50, 50, &status, &err);
    scratch_pause_ms(100);
    is_int(atomic_load(&foreign_changes), 0, "own changes are not foreign");
    is_int(write(go[1], "x", 1), 1, "another process writes");
    int64_t start_us = mc_time_monotonic_us();
    ok(scratch_wait(atomic_load(&foreign_changes) > 0, 60000), "which is noticed");
    diag("after %" PRId64 " ms", (mc_time_monotonic_us() - start_us) / MC_US_PER_MS);
    is_int(exit_of(child), 0, "the other is done");
    struct mc_record *record = scratch_get(store, "late");
    ok(record != NULL, "its message is here");
    mc_record_unref(record);
    ok(scratch_wait(watcher_sleeps(300), 60000), "an idle watcher sleeps");
    close(go[0]);
    close(go[1]);
    store->ops->close(store);
}

/* What was acknowledged survives a kill. */
static int child_put_and_die(struct mc_store *store)
{
    enum mc_status status;
    struct mc_error err;
    if (put_some(store, "kept", 100, 50, &status, &err) == 100)
        kill(getpid(), SIGKILL);
    return 1;
}

static void killed(void)
{
    is_int(exit_of(in_child("killed.db", child_put_and_die)), 100 + SIGKILL, "a writer is killed");
    struct mc_store *store = scratch_store(&scratch, "killed.db");
    is_int(count_found(store, "kept", 100), 100, "all that it had acknowledged is there");
    is_int(scratch_queue(store).ready, 100, "with the jobs");
    store->ops->close(store);
}

/* ---- A full disk ---- */

static void fill(const char *name, void (*give_space)(void))
{
    struct mc_store *store = scratch_store(&scratch, name);
    struct mc_error err = {0};
    enum mc_status status;
    int stored = put_some(store, "f", 100000, 4000, &status, &err);
    is_status(status, MC_DISK_FULL, &err, "the disk is full after %d messages", stored);
    ok(strstr(err.message, "free some space") != NULL, "the error says what to do");
    ok(stored > 10, "some were stored");
    struct mc_put put = scratch_put("big", "x");
    enum mc_status again = store->ops->put(store, &put, 1, &err);
    if (again == MC_OK)
        mc_record_unref(put.record);
    ok(again == MC_OK || again == MC_DISK_FULL, "another write is stored or says the same");
    is_int(count_found(store, "f", stored), stored, "reads go on, nothing acknowledged is lost");
    give_space();
    struct mc_put after = scratch_put("after", "x");
    is_status(store->ops->put(store, &after, 1, &err), MC_OK, &err, "with space it goes on");
    mc_record_unref(after.record);
    int problems = 0;
    is_status(store->ops->check(store, see_problem, &problems, &err), MC_OK, &err, "check");
    is_int(problems, 0, "the data is sound");
    store->ops->close(store);
    store = scratch_store(&scratch, name);
    is_int(count_found(store, "f", stored), stored, "nothing is lost after opening again");
    store->ops->close(store);
}

static void set_file_limit(rlim_t bytes)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0) {
        limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
        setrlimit(RLIMIT_FSIZE, &limit);
    }
}

static void lift_limit(void)
{
    set_file_limit(RLIM_INFINITY);
}

static void file_limit(void)
{
    signal(SIGXFSZ, SIG_IGN);
    set_file_limit(3 << 20);
    fill("limited.db", lift_limit);
    lift_limit();
}

static char ballast[300];

static void drop_ballast(void)
{
    unlink(ballast);
}

static void full_disk(void)
{
    char dir[280];
    snprintf(dir, sizeof(dir), "%s/small", scratch.dir);
    if (mkdir(dir, 0700) != 0 || mount("none", dir, "tmpfs", 0, "size=6m") != 0) {
        skip("a small file system needs the right to mount");
        return;
    }
    snprintf(ballast, sizeof(ballast), "%s/ballast", dir);
    static const char block[2 << 20];
    write_file(ballast, 0, block, sizeof(block));
    fill("small/full.db", drop_ballast);
    umount2(dir, MNT_DETACH);
}

/* ---- Copies ---- */

static bool count_progress(void *context, uint64_t done, uint64_t total)
{
    ++*(int *)context;
    return done <= total;
}

static bool stop_progress(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    (void)done;
    (void)total;
    return false;
}

static void backups(void)
{
    struct mc_store *store = scratch_store(&scratch, "original.db");
    enum mc_status status;
    struct mc_error err = {0};
    put_some(store, "m", 200, 2000, &status, &err);
    const char *copy = scratch_path(&scratch, "copy.db");
    int calls = 0;
    is_status(store->ops->backup(store, copy, count_progress, &calls, &err), MC_OK, &err, "backup");
    ok(calls > 0, "tells how far it is");
    is_status(store->ops->backup(store, copy, NULL, NULL, &err), MC_CONFLICT, &err,
              "a file that is there is not overwritten");
    const char *stopped = scratch_path(&scratch, "stopped.db");
    is_status(store->ops->backup(store, stopped, stop_progress, NULL, &err), MC_CANCELLED, &err,
              "stopped");
    ok(access(stopped, F_OK) != 0, "leaves nothing behind");
    is_status(store->ops->backup(store, scratch_path(&scratch, "no/where.db"), NULL, NULL, &err),
              MC_IO, &err, "a missing folder");
    store->ops->close(store);
    store = scratch_store(&scratch, "copy.db");
    is_int(count_found(store, "m", 200), 200, "the copy has all messages");
    int problems = 0;
    is_status(store->ops->check(store, see_problem, &problems, &err), MC_OK, &err, "check");
    is_int(problems, 0, "and is sound");
    store->ops->close(store);
}

/* ---- What is erased is not in the files any more ---- */

static int words_in(const char *name, const char *word)
{
    FILE *file = fopen(scratch_path(&scratch, name), "rb");
    if (!file)
        return 0;
    mc_auto(mc_buf_fini) struct mc_buf bytes;
    mc_buf_init(&bytes, 1U << 30);
    char part[65536];
    for (size_t n; (n = fread(part, 1, sizeof(part), file)) > 0;)
        mc_buf_append(&bytes, (mc_str){part, n});
    fclose(file);
    if (bytes.failed)
        bail_out("no memory");
    int found = 0;
    size_t len = strlen(word);
    for (const char *at = bytes.data; at; found++) {
        at = memmem(at, bytes.len - (size_t)(at - bytes.data), word, len);
        if (!at)
            break;
        at++;
    }
    return found;
}

static void complete_all(struct mc_store *store)
{
    struct mc_error err = {0};
    for (;;) {
        mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
        if (store->ops->claim(store, MC_STR("l"), MC_STAGE_FIRST, mc_time_now_us(), 1000000000, 64,
                              &jobs, &err))
            bail_out("claim: %s", err.message);
        if (jobs.count == 0)
            return;
        struct mc_completion done[64];
        for (size_t i = 0; i < jobs.count; i++)
            done[i] = (struct mc_completion){
                .row = jobs.items[i].record->row,
                .user_id = jobs.items[i].record->m.user_id,
                .metadata = jobs.items[i].record->m.metadata,
                .terms = mc_str_equal(jobs.items[i].record->m.user_id, MC_STR("gone"))
                             ? MC_STR("all indexedsecret zebra")
                             : MC_STR("all others"),
                .state = MC_ENRICHMENT_ENRICHED,
            };
        if (store->ops->complete(store, MC_STR("l"), done, jobs.count, &err))
            bail_out("complete: %s", err.message);
    }
}

static void erased_words(void)
{
    struct mc_sqlite_options options = {.path = scratch_path(&scratch, "words.db")};
    struct mc_store *store = NULL;
    struct mc_error err = {0};
    is_status(mc_sqlite_store_open(&options, &store, &err), MC_OK, &err, "open");
    for (int i = 0; i < 600; i++) {
        char id[16], text[3000];
        snprintf(id, sizeof(id), "m%d", i);
        snprintf(text, sizeof(text), "a %s %0*d", i % 3 ? "STOREDSECRET" : "word", 5 + i * 4, i);
        struct mc_put put = scratch_put(id, text);
        put.message.user_id = i % 3 ? MC_STR("gone") : MC_STR("stays");
        put.message.metadata = i % 3 ? MC_STR("{\"topics\":[\"METASECRET\"]}") : MC_STR("{}");
        scratch_store_put(store, &put);
        if (i % 50 == 49)
            complete_all(store);
    }
    is_status(store->ops->set_preferences(store, MC_STR("gone"), MC_STR(""),
                                          MC_STR("{\"a\":\"PREFSECRET\"}"), false, &err),
              MC_OK, &err, "preferences");
    static const char *const words[] = {"STOREDSECRET", "METASECRET", "PREFSECRET",
                                        "indexedsecret"};
    struct mc_erased erased;
    is_status(store->ops->erase(store, MC_STR("gone"), &erased, &err), MC_OK, &err, "erase");
    is_int(erased.messages, 400, "all messages");
    ok(erased.verified && store->ops->wipe(store), "verified and wiped");
    for (size_t i = 0; i < mc_countof(words); i++) {
        is_int(words_in("words.db", words[i]), 0, "%s is not in the file", words[i]);
        is_int(words_in("words.db-wal", words[i]), 0, "nor in the log");
    }
    ok(words_in("words.db", "word 0") > 0, "what others said is");

    sqlite3 *reader = NULL;
    struct mc_put put = scratch_put("late", "text");
    scratch_store_put(store, &put);
    if (sqlite3_open(scratch_path(&scratch, "words.db"), &reader) ||
        sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM messages", NULL, NULL, NULL))
        bail_out("reader");
    is_status(store->ops->erase(store, put.message.user_id, &erased, &err), MC_OK, &err,
              "while another process reads");
    ok(erased.verified && !store->ops->wipe(store), "the log cannot be emptied, and that is told");
    sqlite3_close(reader);
    is_status(store->ops->erase(store, put.message.user_id, &erased, &err), MC_OK, &err, "again");
    ok(store->ops->wipe(store), "later it can");
    store->ops->close(store);
}

/* ---- Group commit ---- */

struct member {
    struct mc_sqlite *s;
    atomic_bool *hold; /* waits for it to be cleared, first */
    atomic_bool *running;
    mc_str user;
    bool fails;
    int runs;
    enum mc_status status;
    struct mc_error err;
    pthread_t thread;
};

static enum mc_status apply_member(struct mc_writer *writer, void *context, struct mc_error *err)
{
    struct member *m = context;
    m->runs++;
    atomic_store(m->running, true);
    while (m->hold && atomic_load(m->hold))
        usleep(1000);
    enum mc_status status =
        mc_conn_exec(writer->conn, "INSERT INTO preferences(user_id, preferences) VALUES(?1, '{}')",
                     MC_BINDS(mc_bind_str(m->user)), err);
    return status == MC_OK && m->fails ? mc_fail(err, MC_INVALID, "half-way") : status;
}

static void *write_member(void *context)
{
    struct member *m = context;
    m->status = mc_sqlite_write(m->s, MC_WRITE_OTHER, 1, apply_member, m, &m->err);
    return NULL;
}

/* Writes that queue for the writer. */
static size_t waiting_for(struct mc_sqlite *s)
{
    size_t count = 0;
    mc_mutex_lock(&s->writer.lock);
    for (int i = 0; i < MC_WRITE_CLASSES; i++)
        for (struct mc_list *at = s->writer.waiting[i].next; at != &s->writer.waiting[i];
             at = at->next)
            count++;
    mc_mutex_unlock(&s->writer.lock);
    return count;
}

struct putter {
    struct mc_store *store;
    int number, done;
    pthread_t thread;
};

static void *put_in_thread(void *context)
{
    struct putter *p = context;
    char prefix[16];
    enum mc_status status;
    struct mc_error err;
    snprintf(prefix, sizeof(prefix), "p%d-", p->number);
    p->done = put_some(p->store, prefix, 50, 50, &status, &err);
    return NULL;
}

static void group_commit(void)
{
    struct mc_metrics *metrics = mc_metrics_new();
    struct mc_sqlite_options options = {
        .path = scratch_path(&scratch, "group.db"), .synchronous_full = true, .metrics = metrics};
    struct mc_store *store = NULL;
    struct mc_error err = {0};
    is_status(mc_sqlite_store_open(&options, &store, &err), MC_OK, &err, "open");
    /* All wait behind a first write, to begin with. */
    atomic_bool hold = true, running = false;
    struct member first = {
        .s = mc_sqlite_of(store), .hold = &hold, .running = &running, .user = MC_STR("first")};
    if (mc_thread_start(&first.thread, "member", write_member, &first, &err) ||
        !scratch_wait(atomic_load(&running), 60000))
        bail_out("the first does not begin");
    struct putter putters[16];
    for (int i = 0; i < 16; i++) {
        putters[i] = (struct putter){.store = store, .number = i};
        if (mc_thread_start(&putters[i].thread, "putter", put_in_thread, &putters[i], &err))
            bail_out("no thread");
    }
    ok(scratch_wait(waiting_for(mc_sqlite_of(store)) == 16, 60000), "sixteen callers wait");
    atomic_store(&hold, false);
    mc_thread_join(first.thread);
    int done = 0;
    for (int i = 0; i < 16; i++) {
        mc_thread_join(putters[i].thread);
        done += putters[i].done;
    }
    is_int(done, 800, "sixteen callers stored all");
    uint64_t commits = mc_metrics_count(metrics, MC_COUNT_COMMITS);
    is_int(mc_metrics_count(metrics, MC_COUNT_COMMIT_MEMBERS), 801, "each write was counted");
    ok(commits <= 801 - 15, "they shared commits: %d", (int)commits);
    store->ops->close(store);
    mc_metrics_free(metrics);
}

/* One write of a group fails half-way. */
static void group_with_failure(void)
{
    struct mc_sqlite_options options = {.path = scratch_path(&scratch, "failing.db")};
    struct mc_store *store = NULL;
    struct mc_error err = {0};
    is_status(mc_sqlite_store_open(&options, &store, &err), MC_OK, &err, "open");
    atomic_bool hold = true;
    atomic_bool running = false;
    static const char *const users[] = {"first", "a", "b", "bad", "c", "d"};
    struct member members[mc_countof(users)];
    for (size_t i = 0; i < mc_countof(users); i++) {
        members[i] = (struct member){.s = mc_sqlite_of(store),
                                     .hold = i == 0 ? &hold : NULL,
                                     .running = &running,
                                     .user = mc_str_of(users[i]),
                                     .fails = strcmp(users[i], "bad") == 0};
        if (mc_thread_start(&members[i].thread, "member", write_member, &members[i], &err))
            bail_out("no thread");
        if (!scratch_wait(atomic_load(&running), 60000))
            bail_out("the first does not begin");
    }
    ok(scratch_wait(waiting_for(mc_sqlite_of(store)) == mc_countof(users) - 1, 60000),
       "they all wait behind the first");
    atomic_store(&hold, false);
    int most = 0;
    for (size_t i = 0; i < mc_countof(users); i++) {
        struct member *m = &members[i];
        mc_thread_join(m->thread);
        most = m->runs > most ? m->runs : most;
        is_status(m->status, m->fails ? MC_INVALID : MC_OK, &m->err, "%s", users[i]);
        mc_auto(mc_buf_fini) struct mc_buf json;
        mc_buf_init(&json, 1024);
        is_status(store->ops->preferences(store, m->user, &json, &err), MC_OK, &err, "read");
        is_int(json.len > 0, !m->fails, "what %s wrote is there unless it failed", users[i]);
    }
    is_int(most, 2, "they were in one transaction first");
    store->ops->close(store);
}

int main(void)
{
    scratch_make(&scratch);
    pragmas();
    pragmas_of_the_guide();
    bad_paths();
    foreign_files();
    read_only();
    damaged();
    locked();
    several_open();
    two_processes();
    watching();
    killed();
    file_limit();
    full_disk();
    backups();
    group_commit();
    group_with_failure();
    erased_words();
    scratch_remove(&scratch);
    return done_testing();
}
