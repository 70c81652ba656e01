/*
 * mindcore crashtest: the parent that starts writers, kills them and has the rest verified. DESIGN:
 * the work is done in rounds of a few kills on one database each. A round ends with a fresh process
 * that compares the database with what was acknowledged in it (crash_verify.c); the next round
 * begins with a new database, so that a database in the making is killed as well and the time stays
 * proportional to the number of kills. What a writer says is kept whole lines only: a torn line was
 * not acknowledged.
 *
 * A PostgreSQL database is the same in all rounds; who verifies a round erases what it wrote.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "base/time.h"
#include "cli/child.h"
#include "cli/cli.h"
#include "cli/crash.h"
#include "cli/crash_server.h"
#include "cli/folder.h"
#include "cli/progress.h"
#include "cli/random.h"

#define KILLS_A_ROUND 20
#define PATH_BYTES 3072
#define THREADS_MOST 64
#define READY_US (60 * MC_US_PER_SECOND)
#define VERIFY_BYTES 65536
/* Short, so that the jobs in hand of a killed worker are soon taken over. */
#define LEASE "500ms"
#define DELAY_MOST_US (150 * MC_US_PER_MS)
/* A commit of a server takes longer than one of a file. */
#define SERVER_SLOWER 4
/* Until a writer was ready for the first time: how long that may take. */
#define START_US (10 * MC_US_PER_MS)

struct counts {
    uint64_t kills;
    uint64_t early; /* killed before the writer was ready */
    uint64_t acknowledged;
    uint64_t unanswered; /* failed because the database was gone, and the writer went on */
    uint64_t messages;
    uint64_t verified;
    uint64_t lost;
    uint64_t duplicated;
    uint64_t altered;
    uint64_t stuck;
    uint64_t unsound;
    uint64_t failed; /* a process ended by itself or said that something is wrong */
};

struct test {
    struct mc_cli *cli;
    const char *db; /* a PostgreSQL database; NULL: a file in each round's folder */
    bool kills_database;
    struct mc_crash_server server; /* what is killed, if it is not killed by a command */
    char dir[PATH_BYTES];
    char round_dir[PATH_BYTES + 32];
    FILE *acknowledged;
    uint64_t seed;
    uint64_t random;
    unsigned run;
    unsigned threads;
    struct counts counts;
    struct mc_crash_name
        last[THREADS_MOST]; /* acknowledged last in this run; sequence 0 for none */
    struct mc_buf heard;    /* an unfinished line of the writer */
    bool ready;
    int64_t start_us; /* that the last writer took to be ready */
};

static bool is_empty_dir(const char *path)
{
    DIR *dir = opendir(path);
    size_t entries = 0;
    if (!dir)
        return false;
    while (readdir(dir))
        entries++;
    closedir(dir);
    return entries <= 2;
}

static enum mc_status make_dir(struct test *test, const char *wanted, struct mc_error *err)
{
    if (!wanted)
        return mc_folder_make("mindcore-crash", test->dir, sizeof(test->dir), err);
    int len = snprintf(test->dir, sizeof(test->dir), "%s", wanted);
    if (len < 0 || (size_t)len >= sizeof(test->dir))
        return mc_fail(err, MC_INVALID, "the name of the folder is too long");
    if (mkdir(wanted, 0700) != 0 && (errno != EEXIST || !is_empty_dir(wanted)))
        return mc_fail_field(err, MC_INVALID, "dir",
                             "'%s' is not an empty folder and cannot be made; name a new one",
                             wanted);
    return MC_OK;
}

/* What the writer and the verifier have in common. */
struct common {
    char db[PATH_BYTES + 64];
    char cache[PATH_BYTES + 64];
    char workers[48];
    char synchronous[48];
    char seed[32];
};

static void add_common(const struct test *test, const char *command, struct common *common,
                       struct mc_child_arguments *arguments)
{
    const struct mc_args *args = &test->cli->args;
    mc_str synchronous = mc_args_text(args, "synchronous");
    if (test->db)
        snprintf(common->db, sizeof(common->db), "%s", test->db);
    else
        snprintf(common->db, sizeof(common->db), "sqlite:%s/mindcore.db", test->round_dir);
    snprintf(common->cache, sizeof(common->cache), "cache.dir=%s/cache", test->round_dir);
    snprintf(common->workers, sizeof(common->workers), "enrichment.workers=%d",
             (int)mc_args_integer(args, "workers", 2));
    snprintf(common->synchronous, sizeof(common->synchronous), "database.synchronous=%.*s",
             MC_STR_ARG(mc_str_given(synchronous) ? synchronous : MC_STR("normal")));
    snprintf(common->seed, sizeof(common->seed), "%llu", (unsigned long long)test->seed);
    (void)mc_child_add(arguments, "mindcore", command, "--db", common->db, "--option",
                       common->cache, "--option", common->workers, "--option", common->synchronous,
                       "--option", "enrichment.lease=" LEASE, "--seed", common->seed, NULL);
    for (size_t i = 0; i < mc_args_count(args, "option") && i < 8; i++)
        (void)mc_child_add(arguments, "--option", mc_args_at(args, "option", i).data, NULL);
}

/* The last names of the run before, for the writer to send again. */
static void list_again(struct test *test, struct mc_buf *list)
{
    for (unsigned i = 0; i < test->threads; i++) {
        const struct mc_crash_name *last = &test->last[i];
        if (last->sequence)
            mc_buf_printf(list, "%sr%u-t%u-s%u", list->len ? "," : "", last->run, last->thread,
                          last->sequence);
    }
    memset(test->last, 0, sizeof(test->last));
}

static enum mc_status start_writer(struct test *test, struct mc_child *child, struct mc_error *err)
{
    const struct mc_args *args = &test->cli->args;
    struct mc_child_arguments arguments = {0};
    struct common common;
    char threads[16];
    char run[16];
    mc_auto(mc_buf_fini) struct mc_buf again;
    mc_buf_init(&again, THREADS_MOST * MC_CRASH_NAME_SIZE);
    list_again(test, &again);
    test->run++;
    snprintf(threads, sizeof(threads), "%u", test->threads);
    snprintf(run, sizeof(run), "%u", test->run);
    add_common(test, "crash-writer", &common, &arguments);
    (void)mc_child_add(&arguments, "--threads", threads, "--run", run, NULL);
    if (again.len)
        (void)mc_child_add(&arguments, "--again", again.data, NULL);
    if (mc_args_given(args, "batch"))
        (void)mc_child_add(&arguments, "--batch", NULL);
    if (test->kills_database)
        (void)mc_child_add(&arguments, "--patient", NULL);
    if (mc_args_given(args, "sabotage"))
        (void)mc_child_add(&arguments, "--sabotage", mc_args_text(args, "sabotage").data, NULL);
    return mc_child_start(child, &arguments, err);
}

static void hear_acknowledgement(struct test *test, mc_str line)
{
    mc_str rest = line;
    mc_str id;
    mc_str text;
    struct mc_crash_name name;
    test->counts.acknowledged++;
    fprintf(test->acknowledged, "%.*s\n", MC_STR_ARG(line));
    if (mc_str_split(&rest, ' ', &id) && mc_str_split(&rest, ' ', &text) &&
        mc_crash_parse(text, &name) && name.run == test->run && name.thread < THREADS_MOST)
        test->last[name.thread] = name;
}

static void hear_line(struct test *test, mc_str line)
{
    if (mc_str_equal(line, MC_STR("R"))) {
        test->ready = true;
    } else if (mc_str_starts(line, MC_STR("A "))) {
        hear_acknowledgement(test, (mc_str){line.data + 2, line.len - 2});
    } else if (mc_str_starts(line, MC_STR("F "))) {
        test->counts.unanswered++;
    } else {
        test->counts.failed++;
        fprintf(stderr, "the writer says: %.*s\n", MC_STR_ARG(line));
    }
}

/* Reads once; false at the end of what the writer says. */
static bool hear(struct test *test, const struct mc_child *child)
{
    char chunk[16384];
    ssize_t got = read(child->output, chunk, sizeof(chunk));
    if (got < 0 && errno == EINTR)
        return true;
    if (got <= 0)
        return false;
    mc_buf_append(&test->heard, (mc_str){chunk, (size_t)got});
    mc_str rest = mc_buf_str(&test->heard);
    const char *end;
    while ((end = rest.len ? memchr(rest.data, '\n', rest.len) : NULL)) {
        mc_str line = {rest.data, (size_t)(end - rest.data)};
        hear_line(test, line);
        rest = (mc_str){end + 1, rest.len - line.len - 1};
    }
    if (rest.len && rest.data != test->heard.data)
        memmove(test->heard.data, rest.data, rest.len);
    test->heard.len = rest.len;
    return true;
}

/* Listens until the deadline or, with until_ready, until the writer is ready; false when it ended.
 */
static bool listen_until(struct test *test, const struct mc_child *child, int64_t deadline_us,
                         bool until_ready)
{
    for (;;) {
        int64_t left = deadline_us - mc_time_monotonic_us();
        if (left <= 0 || (until_ready && test->ready))
            return true;
        struct pollfd ready = {.fd = child->output, .events = POLLIN};
        struct timespec limit = {.tv_sec = (time_t)(left / MC_US_PER_SECOND),
                                 .tv_nsec = (long)(left % MC_US_PER_SECOND * 1000)};
        int count = ppoll(&ready, 1, &limit, NULL);
        if (count > 0 && !hear(test, child))
            return false;
    }
}

static void end_writer(struct test *test, struct mc_child *child)
{
    mc_child_kill(child);
    while (hear(test, child))
        continue;
    int ended = mc_child_wait(child);
    if (!WIFSIGNALED(ended))
        fprintf(stderr, "the writer ended by itself with status %d\n", WEXITSTATUS(ended));
    else if (WTERMSIG(ended) != SIGKILL)
        fprintf(stderr, "the writer ended with signal %d\n", WTERMSIG(ended));
}

/* One writer from start to kill. */
static enum mc_status kill_one(struct test *test, struct mc_error *err)
{
    struct mc_child child = {0};
    test->ready = false;
    mc_buf_reset(&test->heard);
    int64_t started = mc_time_monotonic_us();
    enum mc_status status = start_writer(test, &child, err);
    if (status != MC_OK)
        return status;
    uint64_t choice = mc_random_next(&test->random);
    int64_t delay = (int64_t)(mc_random_next(&test->random) % DELAY_MOST_US) + MC_US_PER_MS;
    delay *= test->db ? SERVER_SLOWER : 1;
    bool early = choice % 5 == 0;
    bool alive;
    if (early) {
        delay = (int64_t)(mc_random_next(&test->random) % (uint64_t)test->start_us);
        alive = listen_until(test, &child, mc_time_monotonic_us() + delay, false);
    } else {
        alive = listen_until(test, &child, mc_time_monotonic_us() + READY_US, true);
        test->start_us = mc_time_monotonic_us() - started;
        if (alive && test->ready)
            alive = listen_until(test, &child, mc_time_monotonic_us() + delay, false);
        else if (alive)
            fprintf(stderr, "the writer does not become ready\n");
    }
    if (!alive || (!early && !test->ready))
        test->counts.failed++;
    end_writer(test, &child);
    test->counts.kills++;
    test->counts.early += !test->ready;
    return MC_OK;
}

/* ---- Killing the database ---- */

static enum mc_status run_command(const char *command, struct mc_error *err)
{
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    pid_t pid;
    int state = -1;
    int failure = posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ);
    if (failure)
        return mc_fail(err, MC_IO, "cannot start /bin/sh: %s", strerror(failure));
    while (waitpid(pid, &state, 0) < 0 && errno == EINTR)
        continue;
    if (state != 0)
        return mc_fail_field(err, MC_IO, "restart-command", "'%s' failed with status %d", command,
                             state);
    return MC_OK;
}

/* By SIGKILL or by an immediate stop, and starts it again after a while. */
static enum mc_status restart_database(struct test *test, const struct mc_child *writer,
                                       struct mc_error *err)
{
    uint64_t choice = mc_random_next(&test->random);
    mc_str command = mc_args_text(&test->cli->args, "restart-command");
    if (mc_str_given(command))
        return run_command(command.data, err);
    mc_crash_server_kill(&test->server, choice % 2);
    int64_t delay = (int64_t)(choice / 2 % DELAY_MOST_US);
    if (!listen_until(test, writer, mc_time_monotonic_us() + delay, false))
        test->counts.failed++;
    return mc_crash_server_start(&test->server, err);
}

/* Whether the writer, which must not end, stores something again. */
static bool recovers(struct test *test, const struct mc_child *writer)
{
    int64_t deadline = mc_time_monotonic_us() + READY_US;
    /* What it said before the restart does not count. */
    bool alive = listen_until(test, writer, mc_time_monotonic_us() + MC_US_PER_MS, false);
    uint64_t before = test->counts.acknowledged;
    while (alive && test->counts.acknowledged == before && mc_time_monotonic_us() < deadline)
        alive = listen_until(test, writer, mc_time_monotonic_us() + 10 * MC_US_PER_MS, false);
    if (!alive || test->counts.acknowledged == before)
        fprintf(stderr, "the writer does not go on after a restart of the database\n");
    return alive && test->counts.acknowledged > before;
}

/* One writer, and so many kills of its database. */
static enum mc_status kill_database(struct test *test, uint64_t kills, struct mc_progress *progress,
                                    uint64_t total, struct mc_error *err)
{
    struct mc_child writer = {0};
    test->ready = false;
    mc_buf_reset(&test->heard);
    enum mc_status status = start_writer(test, &writer, err);
    if (status != MC_OK)
        return status;
    bool alive = listen_until(test, &writer, mc_time_monotonic_us() + READY_US, true);
    for (uint64_t i = 0; status == MC_OK && alive && test->ready && i < kills; i++) {
        int64_t delay = (int64_t)(mc_random_next(&test->random) % DELAY_MOST_US);
        alive = listen_until(test, &writer, mc_time_monotonic_us() + delay, false);
        if (alive)
            status = restart_database(test, &writer, err);
        if (status == MC_OK)
            alive = recovers(test, &writer);
        test->counts.kills++;
        mc_progress_update(progress, test->counts.kills, total);
    }
    test->counts.failed += !alive || !test->ready;
    end_writer(test, &writer);
    return status;
}

static void read_output(const struct mc_child *child, struct mc_buf *output)
{
    char chunk[4096];
    ssize_t got;
    while ((got = read(child->output, chunk, sizeof(chunk))) > 0 || (got < 0 && errno == EINTR)) {
        if (got > 0)
            mc_buf_append(output, (mc_str){chunk, (size_t)got});
    }
}

static uint64_t violations(const struct counts *counts)
{
    return counts->lost + counts->duplicated + counts->altered + counts->stuck + counts->unsound +
           counts->failed;
}

static enum mc_status verify_round(struct test *test, struct mc_error *err)
{
    struct mc_child child = {0};
    struct mc_child_arguments arguments = {0};
    struct common common;
    char path[PATH_BYTES + 64];
    mc_auto(mc_buf_fini) struct mc_buf output;
    mc_auto(mc_json_free_ptr) struct mc_json *result = NULL;
    mc_buf_init(&output, VERIFY_BYTES);
    snprintf(path, sizeof(path), "%s/acknowledged", test->round_dir);
    add_common(test, "crash-verify", &common, &arguments);
    (void)mc_child_add(&arguments, "--acknowledged", path, NULL);
    if (test->db)
        (void)mc_child_add(&arguments, "--erase", NULL);
    enum mc_status status = mc_child_start(&child, &arguments, err);
    if (status != MC_OK)
        return status;
    read_output(&child, &output);
    int ended = mc_child_wait(&child);
    if (!WIFEXITED(ended) || WEXITSTATUS(ended) != MC_CLI_DONE ||
        mc_json_parse(mc_str_trim(mc_buf_str(&output)), &result, err) != MC_OK) {
        fprintf(stderr, "the verifier failed with status %d\n", ended);
        test->counts.failed++;
        return MC_OK;
    }
    struct counts *counts = &test->counts;
    counts->messages += (uint64_t)mc_json_integer(mc_json_get(result, "messages"));
    counts->verified += (uint64_t)mc_json_integer(mc_json_get(result, "verified"));
    counts->lost += (uint64_t)mc_json_integer(mc_json_get(result, "lost"));
    counts->duplicated += (uint64_t)mc_json_integer(mc_json_get(result, "duplicated"));
    counts->altered += (uint64_t)mc_json_integer(mc_json_get(result, "altered"));
    counts->stuck += (uint64_t)mc_json_integer(mc_json_get(result, "stuck"));
    counts->unsound += (uint64_t)mc_json_integer(mc_json_get(result, "unsound"));
    return MC_OK;
}

/* A new database, kills of them, and the verification. */
static enum mc_status run_round(struct test *test, unsigned round, uint64_t kills,
                                struct mc_progress *progress, uint64_t total, struct mc_error *err)
{
    char path[PATH_BYTES + 64];
    snprintf(test->round_dir, sizeof(test->round_dir), "%s/round-%u", test->dir, round);
    snprintf(path, sizeof(path), "%s/acknowledged", test->round_dir);
    if (mkdir(test->round_dir, 0700) != 0 || !(test->acknowledged = fopen(path, "we")))
        return mc_fail(err, MC_IO, "cannot write in '%s': %s", test->dir, strerror(errno));
    memset(test->last, 0, sizeof(test->last));
    enum mc_status status = MC_OK;
    if (test->kills_database)
        status = kill_database(test, kills, progress, total, err);
    for (uint64_t i = 0;
         !test->kills_database && status == MC_OK && i < kills && !test->counts.failed; i++) {
        status = kill_one(test, err);
        mc_progress_update(progress, test->counts.kills, total);
    }
    if (fclose(test->acknowledged) != 0 && status == MC_OK)
        status = mc_fail(err, MC_IO, "cannot write '%s': %s", path, strerror(errno));
    if (status == MC_OK)
        status = verify_round(test, err);
    if (status == MC_OK && !violations(&test->counts))
        mc_folder_remove(test->round_dir);
    return status;
}

static int report(const struct test *test, double seconds)
{
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {{"kills", test->counts.kills},
                {"killed_during_start", test->counts.early},
                {"acknowledged", test->counts.acknowledged},
                {"unanswered", test->counts.unanswered},
                {"stored", test->counts.messages},
                {"verified", test->counts.verified},
                {"lost", test->counts.lost},
                {"duplicated", test->counts.duplicated},
                {"altered", test->counts.altered},
                {"stuck", test->counts.stuck},
                {"unsound", test->counts.unsound},
                {"failed_processes", test->counts.failed},
                {"seed", test->seed}};
    bool json = test->cli->json;
    for (size_t i = 0; i < mc_countof(rows); i++)
        printf(json ? "%s\"%s\":%llu" : "%s%-20s %llu\n", json ? (i ? "," : "{") : "", rows[i].name,
               (unsigned long long)rows[i].value);
    printf(json ? ",\"seconds\":%.1f}\n" : "seconds              %.1f\n", seconds);
    return violations(&test->counts) ? MC_CLI_FAILED : MC_CLI_DONE;
}

static enum mc_status run_rounds(struct test *test, uint64_t kills, struct mc_error *err)
{
    struct mc_progress progress;
    enum mc_status status = MC_OK;
    mc_progress_start(&progress, "crashtest", "kills", test->cli->quiet);
    for (unsigned round = 1; status == MC_OK && test->counts.kills < kills; round++) {
        uint64_t left = kills - test->counts.kills;
        status = run_round(test, round, left < KILLS_A_ROUND ? left : KILLS_A_ROUND, &progress,
                           kills, err);
        if (violations(&test->counts))
            break;
    }
    mc_progress_stop(&progress);
    return status;
}

/* A child looks whether the database of --db is free. */
static enum mc_status check_database(struct test *test, struct mc_error *err)
{
    struct mc_child child = {0};
    struct mc_child_arguments arguments = {0};
    struct common common;
    mc_auto(mc_buf_fini) struct mc_buf output;
    mc_buf_init(&output, VERIFY_BYTES);
    snprintf(test->round_dir, sizeof(test->round_dir), "%s", test->dir);
    add_common(test, "crash-verify", &common, &arguments);
    (void)mc_child_add(&arguments, "--prepare", NULL);
    if (mc_args_given(&test->cli->args, "force"))
        (void)mc_child_add(&arguments, "--force", NULL);
    enum mc_status status = mc_child_start(&child, &arguments, err);
    test->round_dir[0] = '\0';
    if (status != MC_OK)
        return status;
    read_output(&child, &output);
    if (mc_child_wait(&child) != 0)
        return mc_fail(err, MC_CONFLICT, "the database cannot be used; nothing was changed");
    return MC_OK;
}

/* What is tested: nothing to do for a file. */
static enum mc_status choose_database(struct test *test, struct mc_error *err)
{
    const struct mc_args *args = &test->cli->args;
    test->kills_database = mc_args_given(args, "kill-database");
    if (mc_args_given(args, "db"))
        test->db = mc_args_text(args, "db").data;
    if (!test->kills_database || test->db)
        return test->db ? check_database(test, err) : MC_OK;
    enum mc_status status = mc_crash_server_make(&test->server, err);
    test->db = test->server.url;
    return status;
}

static const char *wrong_options(const struct mc_args *args)
{
    bool given = mc_args_given(args, "db"), kills = mc_args_given(args, "kill-database");
    bool command = mc_args_given(args, "restart-command");
    if (given && !mc_str_starts(mc_args_text(args, "db"), MC_STR("postgres")))
        return "crashtest makes SQLite files of its own; --db takes postgresql://...";
    if (command && !(given && kills))
        return "--restart-command needs --db and --kill-database";
    if (given && kills && !command)
        return "--kill-database with --db needs --restart-command";
    return NULL;
}

int mc_cli_crashtest(struct mc_cli *cli)
{
    const struct mc_args *args = &cli->args;
    struct mc_error err = {0};
    const char *wrong = wrong_options(args);
    if (wrong)
        return mc_cli_usage(cli, "%s", wrong);
    int64_t start = mc_time_monotonic_us();
    int64_t seed = mc_args_integer(args, "seed", start & 0xffffffff);
    struct test *test = calloc(1, sizeof(*test));
    if (!test)
        return MC_CLI_FAILED;
    test->cli = cli;
    test->seed = (uint64_t)seed;
    test->random = (uint64_t)seed;
    test->start_us = START_US;
    test->threads = (unsigned)mc_args_integer(args, "threads", 4);
    mc_buf_init(&test->heard, (size_t)1 << 20);
    enum mc_status status = make_dir(test, mc_args_text(args, "dir").data, &err);
    bool made = status == MC_OK; /* otherwise the folder is somebody else's */
    if (made)
        status = choose_database(test, &err);
    if (status == MC_OK)
        status = run_rounds(test, (uint64_t)mc_args_integer(args, "kills", 100), &err);
    int result = status == MC_OK ? report(test, (double)(mc_time_monotonic_us() - start) / 1e6)
                                 : mc_cli_fail(&err);
    if (made && (result == MC_CLI_DONE || !test->round_dir[0]))
        mc_folder_remove(test->dir);
    else if (made)
        fprintf(stderr, "what is left to look at: %s\n", test->round_dir);
    if (result != MC_CLI_DONE && test->server.folder[0]) {
        mc_crash_server_kill(&test->server, true);
        fprintf(stderr, "and the server's folder: %s\n", test->server.folder);
    } else {
        mc_crash_server_stop(&test->server);
    }
    mc_buf_fini(&test->heard);
    free(test);
    return result;
}
