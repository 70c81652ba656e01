/* The cache: one contract over both back-ends, and what only the one on disk can do. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/entry.h"
#include "cache_contract.h"

static char scratch[64]; /* this run's folder */
static char cache_dir[96];

static struct mc_cache *open_memory(size_t max_size, int64_t ttl_us, size_t max_bytes)
{
    struct mc_cache_options options = {NULL, max_size, ttl_us, max_bytes};
    struct mc_cache *cache;
    struct mc_error err;
    if (mc_cache_memory_open(&options, &cache, &err) != MC_OK)
        bail_out("memory cache: %s", err.message);
    return cache;
}

static struct mc_cache *open_at(const char *dir, size_t max_size, int64_t ttl_us, size_t max_bytes)
{
    struct mc_cache_options options = {dir, max_size, ttl_us, max_bytes};
    struct mc_cache *cache;
    struct mc_error err;
    if (mc_cache_lmdb_open(&options, &cache, &err) != MC_OK)
        bail_out("disk cache: %s", err.message);
    return cache;
}

/* A folder that is not there yet, with a parent that is not there either. */
static struct mc_cache *open_lmdb(size_t max_size, int64_t ttl_us, size_t max_bytes)
{
    static int number;
    snprintf(cache_dir, sizeof(cache_dir), "%s/%d/cache", scratch, ++number);
    return open_at(cache_dir, max_size, ttl_us, max_bytes);
}

static struct mc_cache *reopen(void)
{
    return open_at(cache_dir, 50, 0, 8 * MIB);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void data_path(char path[160])
{
    snprintf(path, 160, "%s/mindcore-cache.mdb", cache_dir);
}

/* ---- Restarts ---- */

static void case_reopen(void)
{
    struct mc_cache *cache = open_lmdb(50, 0, 8 * MIB);
    fill_rows(cache, "u", "t", 30, 20, false, NOW);
    append_row(cache, "u", "t", 31);
    append_row(cache, "u", "one", 1);
    cache->ops->close(cache);
    cache = reopen();
    struct mc_cache_read read;
    is_str(rows_of(cache, "u", "t", 3, &read), "31 30 29", "there after closing and opening");
    is_int(read.version, 31, "with its version");
    ok(!read.verified, "to be compared with the store");
    cache->ops->confirm(cache, MC_STR("u"), MC_STR("t"), 31);
    rows_of(cache, "u", "t", 3, &read);
    ok(read.verified, "compared");
    is_int(stats_of(cache).threads, 2, "threads");
    is_int(stats_of(cache).messages, 22, "messages");
    cache->ops->close(cache);

    cache = reopen();
    is_str(rows_of(cache, "u", "one", 3, NULL), "1", "after an opening that only read");
    struct mc_cache *second = reopen();
    append_row(second, "u", "one", 2);
    is_str(rows_of(cache, "u", "one", 3, NULL), "2 1", "two openings in one process are one");
    cache->ops->close(cache);
    is_str(rows_of(second, "u", "one", 3, NULL), "2 1", "until the last is closed");
    second->ops->close(second);
    cache = open_at(cache_dir, 50, 0, 1);
    is_int(stats_of(cache).threads, 0, "opened with a small bound it shrinks");
    cache->ops->close(cache);
    cache = open_at(cache_dir, 50, 0, 256 * MIB);
    append_row(cache, "u", "t", 1);
    is_str(rows_of(cache, "u", "t", 3, NULL), "1", "and with a large one it grows");
    cache->ops->close(cache);
    struct stat info;
    char path[160];
    data_path(path);
    ok(stat(path, &info) == 0 && (info.st_mode & 077) == 0, "the file is for its owner only");
    ok(stat(cache_dir, &info) == 0 && (info.st_mode & 077) == 0, "the folder too");
}

static void case_bad_options(void)
{
    struct mc_cache *cache;
    struct mc_error err;
    struct mc_cache_options options = {cache_dir, 0, 0, MIB};
    is_int(mc_cache_memory_open(&options, &cache, &err), MC_INVALID, "max_size 0");
    ok(strstr(err.message, "cache.max_size"), "named: %s", err.message);
    options.max_size = 10001;
    is_int(mc_cache_lmdb_open(&options, &cache, &err), MC_INVALID, "max_size 10001");
    options = (struct mc_cache_options){cache_dir, 1, -1, MIB};
    is_int(mc_cache_memory_open(&options, &cache, &err), MC_INVALID, "negative ttl");
    options = (struct mc_cache_options){cache_dir, 1, 0, 0};
    is_int(mc_cache_memory_open(&options, &cache, NULL), MC_INVALID, "max_bytes 0");
    options = (struct mc_cache_options){"", 1, 0, MIB};
    is_int(mc_cache_lmdb_open(&options, &cache, &err), MC_INVALID, "no folder");
    options.dir = "/dev/null/cache";
    is_int(mc_cache_lmdb_open(&options, &cache, &err), MC_IO, "a folder in a file");
    ok(strstr(err.message, "/dev/null"), "named: %s", err.message);
    char missing[160];
    snprintf(missing, sizeof(missing), "%s/no/such/folder/here", scratch);
    options.dir = missing;
    is_int(mc_cache_lmdb_open(&options, &cache, &err), MC_IO, "too many folders missing");
    ok(strstr(err.message, "/no/such/folder"), "named: %s", err.message);
}

/* ---- Damage ---- */

static uint64_t random_state = 88172645463325252U;
static uint64_t random_number(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void write_at(const char *path, off_t at, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    if (fd < 0 || pwrite(fd, bytes, len, at) != (ssize_t)len)
        bail_out("cannot write %s", path);
    close(fd);
}

static void fill_many(struct mc_cache *cache)
{
    char thread[16];
    for (int i = 0; i < 300; i++) {
        snprintf(thread, sizeof(thread), "t%d", i);
        fill_rows(cache, "u", thread, 20, 20, true, NOW);
    }
    fill_big(cache, "big", 30000, NOW);
    for (int i = 0; i < 300; i += 3) {
        snprintf(thread, sizeof(thread), "t%d", i);
        drop(cache, "u", thread);
    }
}

/* Reads and writes all over; the number of hits. Wrong content fails the test. */
static int use_all(struct mc_cache *cache, const char *what)
{
    char thread[16];
    int hits = 0;
    for (int i = 0; i < 300; i++) {
        snprintf(thread, sizeof(thread), "t%d", i);
        struct mc_records out = {0};
        struct mc_cache_read read;
        if (cache->ops->get(cache, MC_STR("u"), mc_str_of(thread), 20, NOW, &out, &read)) {
            hits++;
            for (size_t k = 0; k < out.count; k++) {
                char text[32];
                snprintf(text, sizeof(text), "text %d", 20 - (int)k);
                if (!mc_str_equal(out.items[k]->m.text, mc_str_of(text)))
                    ok(false, "%s: message %zu of %s reads '%.*s'", what, k, thread,
                       MC_STR_ARG(out.items[k]->m.text));
            }
        }
        mc_records_fini(&out);
        append_row(cache, "u", thread, 21);
    }
    drop_topic(cache, "x");
    fill_rows(cache, "u", "after", 5, 5, true, NOW);
    if (strcmp(rows_of(cache, "u", "after", 2, NULL), "5 4") != 0)
        ok(false, "%s: does not keep a thread any more", what);
    return hits;
}

/* A child that fills a cache and dies without closing it. */
static void fill_and_die(void)
{
    pid_t child = fork();
    if (child == 0) {
        fill_many(reopen());
        raise(SIGKILL);
        _exit(1);
    }
    int status;
    waitpid(child, &status, 0);
}

static void fresh_dir(void)
{
    struct mc_cache *cache = open_lmdb(50, 0, 8 * MIB);
    cache->ops->close(cache);
}

static void case_damage(void)
{
    fresh_dir();
    fill_and_die();
    struct mc_cache *cache = reopen();
    is_int(use_all(cache, "killed"), 200, "a killed process leaves a warm cache");
    cache->ops->close(cache);
    char path[160];
    data_path(path);
    int warm = 0, cold = 0;
    for (int round = 0; round < 60; round++) {
        struct stat info;
        /* As it is after a kill, when only the pages can tell. */
        fill_and_die();
        if (stat(path, &info) != 0)
            bail_out("no data");
        uint64_t noise[64];
        for (size_t i = 0; i < 64; i++)
            noise[i] = random_number();
        size_t len = round % 3 == 0 ? 1 : round % 3 == 1 ? 16 : sizeof(noise);
        for (int spots = round % 4 == 3 ? 20 : 1; spots > 0; spots--) {
            size_t pages = (size_t)info.st_size / 4096;
            off_t at = (off_t)(random_number() % pages * 4096 +
                               (round % 2 ? random_number() % 3500 : random_number() % 24));
            write_at(path, at, noise, len);
        }
        cache = reopen();
        use_all(cache, "damaged") > 0 ? warm++ : cold++;
        cache->ops->close(cache);
    }
    ok(true, "sixty kinds of damage: %d times still warm, %d times cold", warm, cold);

    cache = reopen();
    fill_many(cache);
    cache->ops->close(cache);
    if (truncate(path, 40960) != 0)
        bail_out("truncate");
    cache = reopen();
    is_int(use_all(cache, "cut short"), 0, "a file that was cut short is made anew");
    cache->ops->close(cache);
    if (truncate(path, 0) != 0)
        bail_out("truncate");
    cache = reopen();
    is_int(use_all(cache, "emptied"), 0, "an empty one");
    cache->ops->close(cache);
    write_at(path, 0, "This is not a database, whatever its name says.", 47);
    cache = reopen();
    is_int(use_all(cache, "foreign"), 0, "a foreign one");
    cache->ops->close(cache);
    char state[160];
    snprintf(state, sizeof(state), "%s/mindcore-cache.state", cache_dir);
    write_at(state, 9, "xx", 2);
    cache = reopen();
    is_int(use_all(cache, "state"), 0, "a damaged state");
    cache->ops->close(cache);
    cache = reopen();
    fill_many(cache);
    cache->ops->close(cache);
    cache = reopen();
    is_int(use_all(cache, "sound"), 200, "and warm again after a good closing");
    cache->ops->close(cache);
}

/* ---- Processes ---- */

#define STARTED_FD 3 /* of a child: the other end is the parent's */

/* Appends to ten threads in turn until it is killed; says when all have their first message. */
__attribute__((noreturn)) static void write_for_ever(void)
{
    struct mc_cache *cache = reopen();
    char thread[16];
    for (int64_t row = 1;; row++) {
        if (row == 2 && write(STARTED_FD, "", 1) != 1)
            _exit(1);
        for (int i = 0; i < 10; i++) {
            snprintf(thread, sizeof(thread), "k%d", i);
            if (row == 1 || row % 1000 == 0)
                fill_rows(cache, "u", thread, row, row < 20 ? 1 : 20, row == 1, NOW);
            else
                append_row(cache, "u", thread, row);
        }
    }
}

/* Starts this program again with an argument that says what to do. */
static pid_t start_self(const char *what)
{
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "test_cache", what, cache_dir, (char *)NULL);
        _exit(127);
    }
    return child;
}

/* Lets another process write for so long, once it does, and kills it. */
static void write_and_die(useconds_t time_us)
{
    int started[2];
    char byte;
    if (pipe(started) != 0)
        bail_out("no pipe");
    pid_t child = fork();
    if (child == 0) {
        if (dup2(started[1], STARTED_FD) == STARTED_FD)
            execl("/proc/self/exe", "test_cache", "write", cache_dir, (char *)NULL);
        _exit(127);
    }
    close(started[1]);
    if (read(started[0], &byte, 1) != 1)
        bail_out("a child does not write");
    close(started[0]);
    usleep(time_us);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void case_kill(void)
{
    fresh_dir();
    int warm = 0, wrong = 0;
    for (int round = 0; round < 30; round++) {
        write_and_die((useconds_t)(random_number() % 30000));
        struct mc_cache *cache = reopen();
        for (int i = 0; i < 10; i++) {
            char thread[16];
            struct mc_records out = {0};
            struct mc_cache_read read;
            snprintf(thread, sizeof(thread), "k%d", i);
            if (cache->ops->get(cache, MC_STR("u"), mc_str_of(thread), 1, NOW, &out, &read)) {
                warm++;
                mc_records_fini(&out);
                size_t limit = read.version < 40 ? (size_t)read.version : 20;
                bool found =
                    cache->ops->get(cache, MC_STR("u"), mc_str_of(thread), limit, NOW, &out, &read);
                wrong += !found || out.count != limit;
                for (size_t k = 0; k < out.count; k++)
                    wrong += out.items[k]->row != read.version - (int64_t)k;
            }
            mc_records_fini(&out);
        }
        wrong += stats_of(cache).errors > 0;
        cache->ops->close(cache);
    }
    is_int(wrong, 0, "thirty kills while writing: every thread as it was at its version");
    ok(warm > 100, "and still there (%d of 300)", warm);
}

/* Several processes tell the same history of the same threads and read it. */
static int tell_history(void)
{
    struct mc_cache *cache = reopen();
    int wrong = 0;
    for (int64_t row = 1; row <= 400; row++) {
        append_row(cache, "u", "history", row);
        if (row % 40 == 0)
            fill_rows(cache, "u", "history", row, 10, false, NOW);
        struct mc_records out = {0};
        struct mc_cache_read read;
        if (cache->ops->get(cache, MC_STR("u"), MC_STR("history"), 10, NOW, &out, &read)) {
            for (size_t k = 0; k < out.count; k++)
                wrong += out.items[k]->row != read.version - (int64_t)k;
            if (!read.verified)
                cache->ops->confirm(cache, MC_STR("u"), MC_STR("history"), read.version);
        }
        mc_records_fini(&out);
    }
    wrong += stats_of(cache).errors > 0;
    cache->ops->close(cache);
    return wrong != 0;
}

static void case_processes(void)
{
    fresh_dir();
    struct mc_cache *cache = reopen();
    pid_t children[4];
    for (int i = 0; i < 4; i++)
        children[i] = start_self("tell");
    int failed = 0;
    for (int i = 0; i < 4; i++) {
        int status;
        waitpid(children[i], &status, 0);
        failed += status != 0;
    }
    is_int(failed, 0, "four processes read nothing wrong");
    struct mc_cache_read read;
    is_str(rows_of(cache, "u", "history", 3, &read), "400 399 398", "a fifth sees what they left");
    cache->ops->confirm(cache, MC_STR("u"), MC_STR("history"), 400);
    rows_of(cache, "u", "history", 3, &read);
    ok(read.verified, "verified here");
    children[0] = start_self("next");
    waitpid(children[0], NULL, 0);
    is_str(rows_of(cache, "u", "history", 3, &read), "401 400 399", "another process went on");
    ok(!read.verified, "which this one has to compare first");
    write_and_die(30000);
    append_row(cache, "u", "history", 402);
    is_str(rows_of(cache, "u", "history", 1, NULL), "402", "a killed one hinders nobody");
    is_int(stats_of(cache).errors, 0, "no errors");
    cache->ops->close(cache);
    cache = reopen();
    is_str(rows_of(cache, "u", "history", 1, NULL), "402", "the last to close declares it whole");
    cache->ops->close(cache);
}

static void case_other_boot(void)
{
    fresh_dir();
    fill_and_die();
    /* The state's boot id begins at byte 16; the check sum is its last word and covers it. */
    char state[160], bytes[256];
    snprintf(state, sizeof(state), "%s/mindcore-cache.state", cache_dir);
    int fd = open(state, O_RDONLY);
    ssize_t len = pread(fd, bytes, sizeof(bytes), 0);
    close(fd);
    ok(len > 64 && bytes[16] != 0, "the state names this boot");
    bytes[16] = bytes[16] == 'a' ? 'b' : 'a';
    uint64_t sum = mc_entry_hash(1, bytes, (size_t)len - sizeof(sum));
    memcpy(bytes + len - sizeof(sum), &sum, sizeof(sum));
    write_at(state, 0, bytes, (size_t)len);
    struct mc_cache *cache = reopen();
    is_int(stats_of(cache).threads, 0, "not closed before the machine was restarted: empty");
    is_int(use_all(cache, "other boot"), 0, "and usable");
    cache->ops->close(cache);
}

/* ---- Trouble with the disk ---- */

static void case_permission(void)
{
    fresh_dir();
    struct mc_cache *cache;
    struct mc_error err;
    if (geteuid() == 0) {
        pid_t child = fork();
        if (child == 0) {
            struct mc_cache_options options = {cache_dir, 50, 0, MIB};
            if (setgid(65534) != 0 || setuid(65534) != 0)
                _exit(3);
            enum mc_status status = mc_cache_lmdb_open(&options, &cache, &err);
            _exit(status == MC_IO && strstr(err.message, "ermission") &&
                          strstr(err.message, cache_dir)
                      ? 0
                      : 1);
        }
        int status;
        waitpid(child, &status, 0);
        is_int(status, 0, "another user: an error that names the folder");
        return;
    }
    chmod(cache_dir, 0500);
    struct mc_cache_options options = {cache_dir, 50, 0, MIB};
    char path[160];
    data_path(path);
    unlink(path);
    is_int(mc_cache_lmdb_open(&options, &cache, &err), MC_IO, "a folder without permission");
    chmod(cache_dir, 0700);
}

static void case_full_disk(void)
{
    char dir[160];
    snprintf(dir, sizeof(dir), "%s/small", scratch);
    mkdir(dir, 0700);
    if (geteuid() != 0 || mount("tmpfs", dir, "tmpfs", 0, "size=1m") != 0) {
        skip("a full disk: needs to mount a small file system");
        return;
    }
    struct mc_cache *cache = open_at(dir, 50, 0, 16 * MIB);
    char thread[16];
    for (int i = 0; i < 200; i++) {
        snprintf(thread, sizeof(thread), "t%d", i);
        fill_big(cache, thread, 20000, NOW + i);
    }
    struct mc_cache_stats stats = stats_of(cache);
    ok(stats.errors > 0, "a full disk is counted: %llu", (unsigned long long)stats.errors);
    ok(!hit(cache, "u", "t199", 1, NOW), "what was not kept is a miss");
    struct mc_cache_read read;
    ok(strcmp(rows_of(cache, "u", "t0", 1, &read), "1") == 0 && !read.verified,
       "what was kept before is there, in doubt");
    append_row(cache, "u", "t0", 2);
    drop(cache, "u", NULL);
    /* Space returns. */
    ok(mount("tmpfs", dir, "tmpfs", MS_REMOUNT, "size=8m") == 0, "the disk grows");
    fill_rows(cache, "u", "again", 5, 5, true, NOW);
    is_str(rows_of(cache, "u", "again", 5, NULL), "5 4 3 2 1", "and the cache goes on");
    uint64_t left = stats_of(cache).threads;
    is_int(drop(cache, NULL, NULL), left, "and can be emptied");
    cache->ops->close(cache);
    umount(dir);
}

/* More than fits in the map: the room must come from eviction. */
static void case_churn(void)
{
    struct mc_cache *cache = open_lmdb(50, 0, 2 * MIB);
    char thread[16];
    for (int i = 0; i < 3000; i++) {
        snprintf(thread, sizeof(thread), "t%d", i);
        fill_big(cache, thread, 1000 + random_number() % 60000, NOW + i * SECOND);
    }
    struct mc_cache_stats stats = stats_of(cache);
    is_int(stats.errors, 0, "a hundred megabytes through two: no errors");
    ok(stats.bytes <= 2 * MIB, "within the bound");
    ok(hit(cache, "u", "t2999", 1, NOW), "the last one is there");
    struct stat info;
    char path[160];
    data_path(path);
    long long size = stat(path, &info) == 0 ? (long long)info.st_size : -1;
    ok(size > 0 && size <= (long long)(8 * MIB), "the file stays small: %lld", size);
    cache->ops->close(cache);
}

/* ---- Nothing is left in the file ---- */

static int words_in_file(const char *word)
{
    char path[160];
    data_path(path);
    FILE *file = fopen(path, "rb");
    struct stat info;
    if (!file || fstat(fileno(file), &info) != 0)
        bail_out("cannot read %s", path);
    size_t size = (size_t)info.st_size, len = strlen(word);
    char *bytes = malloc(size);
    if (!bytes || fread(bytes, 1, size, file) != size)
        bail_out("cannot read %s", path);
    fclose(file);
    int found = 0;
    for (const char *at = bytes; (at = memmem(at, size - (size_t)(at - bytes), word, len)); at++)
        found++;
    free(bytes);
    return found;
}

static void case_wipe(void)
{
    struct mc_cache *cache = open_lmdb(50, 0, 8 * MIB);
    fill_many(cache);
    for (int i = 0; i < 200; i++) {
        char thread[16], text[3000];
        snprintf(thread, sizeof(thread), "w%d", i % 40);
        snprintf(text, sizeof(text), "a SECRETWORD %0*d", 10 + i * 13, i);
        struct mc_record *record = record_full("gone", thread, i / 40 + 1, NOW + i, text, "{}");
        cache->ops->append(cache, record, i / 40 + 1, i / 40 + 1, NOW);
        mc_record_unref(record);
    }
    ok(words_in_file("SECRETWORD") > 0, "the file holds what was said");
    is_int(cache->ops->drop(cache, MC_STR("gone"), MC_STR_NONE, NOW), 40, "dropped");
    ok(words_in_file("SECRETWORD") > 0, "which leaves it in the file");
    struct mc_cache *second = reopen();
    ok(cache->ops->wipe(cache, NOW), "wiped");
    is_int(words_in_file("SECRETWORD"), 0, "nothing is left in the file");
    is_int(stats_of(cache).threads, 0, "nor in the cache");
    is_int(stats_of(cache).messages, 0, "nor anything else");
    append_row(second, "u", "t", 1);
    is_str(rows_of(cache, "u", "t", 3, NULL), "1", "it is used as before");
    struct stat before, after;
    char path[160];
    data_path(path);
    stat(path, &before);
    for (int i = 0; i < 50; i++)
        ok(cache->ops->wipe(cache, NOW), "again");
    stat(path, &after);
    ok(after.st_size < before.st_size + 4 * (1 << 20), "and again; it does not grow: %ld, %ld",
       (long)before.st_size, (long)after.st_size);
    is_int(stats_of(cache).errors, 0, "no errors");
    second->ops->close(second);
    cache->ops->close(cache);
    cache = reopen();
    append_row(cache, "u", "t", 1);
    is_str(rows_of(cache, "u", "t", 3, NULL), "1", "also after a restart");
    cache->ops->close(cache);
}

static void case_generation(void)
{
    struct mc_cache *cache = open_lmdb(50, 0, 8 * MIB), *second = reopen();
    is_int(cache->ops->generation(cache), 0, "none is noted");
    cache->ops->set_generation(cache, INT64_MIN + 5);
    is_int(second->ops->generation(second), INT64_MIN + 5, "noted for all that have it open");
    second->ops->close(second);
    append_row(cache, "u", "t", 1);
    cache->ops->close(cache);
    cache = reopen();
    is_int(cache->ops->generation(cache), INT64_MIN + 5, "also after a restart");
    is_str(rows_of(cache, "u", "t", 3, NULL), "1", "which leaves the rest as it was");
    cache->ops->close(cache);
    char path[160];
    data_path(path);
    unlink(path);
    cache = reopen();
    is_int(cache->ops->generation(cache), 0, "a file made anew has none");
    cache->ops->close(cache);
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        snprintf(cache_dir, sizeof(cache_dir), "%s", argv[2]);
        if (strcmp(argv[1], "write") == 0)
            write_for_ever();
        if (strcmp(argv[1], "tell") == 0)
            return tell_history();
        struct mc_cache *cache = reopen();
        append_row(cache, "u", "history", 401);
        cache->ops->close(cache);
        return 0;
    }
    const char *tmp = getenv("TMPDIR");
    snprintf(scratch, sizeof(scratch), "%.32s/mindcore-cache-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(scratch))
        bail_out("no scratch folder");
    static const struct subject subjects[] = {{"memory", open_memory}, {"lmdb", open_lmdb}};
    for (size_t i = 0; i < 2; i++)
        run_contract(&subjects[i]);
    case_reopen();
    case_bad_options();
    case_damage();
    case_kill();
    case_processes();
    case_other_boot();
    case_permission();
    case_full_disk();
    case_churn();
    case_wipe();
    case_generation();
    nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return done_testing();
}
