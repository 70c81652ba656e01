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
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "cli/crash_test.h"
#include "cli/folder.h"
#include "cli/progress.h"
#include "cli/random.h"

#define KILLS_A_ROUND 20
#define READY_US (60 * MC_US_PER_SECOND)
#define DELAY_MOST_US (150 * MC_US_PER_MS)
/* A commit of a server takes longer than one of a file. */
#define SERVER_SLOWER 4
/* Until a writer was ready for the first time: how long that may take. */
#define START_US (10 * MC_US_PER_MS)

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

static enum mc_status make_dir(struct mc_crash_test *test, const char *wanted, struct mc_error *err)
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

/* One writer from start to kill. */
static enum mc_status kill_one(struct mc_crash_test *test, struct mc_error *err)
{
    struct mc_child child = {0};
    int64_t started = mc_time_monotonic_us();
    enum mc_status status = mc_crash_writer_start(test, &child, err);
    if (status != MC_OK)
        return status;
    uint64_t choice = mc_random_next(&test->random);
    int64_t delay = (int64_t)(mc_random_next(&test->random) % DELAY_MOST_US) + MC_US_PER_MS;
    delay *= test->db ? SERVER_SLOWER : 1;
    bool early = choice % 5 == 0;
    bool alive;
    if (early) {
        delay = (int64_t)(mc_random_next(&test->random) % (uint64_t)test->start_us);
        alive = mc_crash_writer_listen(test, &child, mc_time_monotonic_us() + delay, false);
    } else {
        alive = mc_crash_writer_listen(test, &child, mc_time_monotonic_us() + READY_US, true);
        test->start_us = mc_time_monotonic_us() - started;
        if (alive && test->ready)
            alive = mc_crash_writer_listen(test, &child, mc_time_monotonic_us() + delay, false);
        else if (alive)
            fprintf(stderr, "the writer does not become ready\n");
    }
    if (!alive || (!early && !test->ready))
        test->counts.failed++;
    mc_crash_writer_end(test, &child);
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
static enum mc_status restart_database(struct mc_crash_test *test, const struct mc_child *writer,
                                       struct mc_error *err)
{
    uint64_t choice = mc_random_next(&test->random);
    mc_str command = mc_args_text(&test->cli->args, "restart-command");
    if (mc_str_given(command))
        return run_command(command.data, err);
    mc_crash_server_kill(&test->server, choice % 2);
    int64_t delay = (int64_t)(choice / 2 % DELAY_MOST_US);
    if (!mc_crash_writer_listen(test, writer, mc_time_monotonic_us() + delay, false))
        test->counts.failed++;
    return mc_crash_server_start(&test->server, err);
}

/* Whether the writer, which must not end, stores something again. */
static bool recovers(struct mc_crash_test *test, const struct mc_child *writer)
{
    int64_t deadline = mc_time_monotonic_us() + READY_US;
    /* What it said before the restart does not count. */
    bool alive = mc_crash_writer_listen(test, writer, mc_time_monotonic_us() + MC_US_PER_MS, false);
    uint64_t before = test->counts.acknowledged;
    while (alive && test->counts.acknowledged == before && mc_time_monotonic_us() < deadline)
        alive =
            mc_crash_writer_listen(test, writer, mc_time_monotonic_us() + 10 * MC_US_PER_MS, false);
    if (!alive || test->counts.acknowledged == before)
        fprintf(stderr, "the writer does not go on after a restart of the database\n");
    return alive && test->counts.acknowledged > before;
}

/* One writer, and so many kills of its database. */
static enum mc_status kill_database(struct mc_crash_test *test, uint64_t kills,
                                    struct mc_progress *progress, uint64_t total,
                                    struct mc_error *err)
{
    struct mc_child writer = {0};
    enum mc_status status = mc_crash_writer_start(test, &writer, err);
    if (status != MC_OK)
        return status;
    bool alive = mc_crash_writer_listen(test, &writer, mc_time_monotonic_us() + READY_US, true);
    for (uint64_t i = 0; status == MC_OK && alive && test->ready && i < kills; i++) {
        int64_t delay = (int64_t)(mc_random_next(&test->random) % DELAY_MOST_US);
        alive = mc_crash_writer_listen(test, &writer, mc_time_monotonic_us() + delay, false);
        if (alive)
            status = restart_database(test, &writer, err);
        if (status == MC_OK)
            alive = recovers(test, &writer);
        test->counts.kills++;
        mc_progress_update(progress, test->counts.kills, total);
    }
    test->counts.failed += !alive || !test->ready;
    mc_crash_writer_end(test, &writer);
    return status;
}

static uint64_t violations(const struct mc_crash_counts *counts)
{
    return counts->lost + counts->duplicated + counts->altered + counts->stuck + counts->unsound +
           counts->failed;
}

/* A new database, kills of them, and the verification. */
static enum mc_status run_round(struct mc_crash_test *test, unsigned round, uint64_t kills,
                                struct mc_progress *progress, uint64_t total, struct mc_error *err)
{
    char path[MC_CRASH_PATH_BYTES + 64];
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
        status = mc_crash_round_verify(test, err);
    if (status == MC_OK && !violations(&test->counts))
        mc_folder_remove(test->round_dir);
    return status;
}

static int report(const struct mc_crash_test *test, double seconds)
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

static enum mc_status run_rounds(struct mc_crash_test *test, uint64_t kills, struct mc_error *err)
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

/* What is tested: nothing to do for a file. */
static enum mc_status choose_database(struct mc_crash_test *test, struct mc_error *err)
{
    const struct mc_args *args = &test->cli->args;
    test->kills_database = mc_args_given(args, "kill-database");
    if (mc_args_given(args, "db"))
        test->db = mc_args_text(args, "db").data;
    if (!test->kills_database || test->db)
        return test->db ? mc_crash_database_check(test, err) : MC_OK;
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
    struct mc_crash_test *test = calloc(1, sizeof(*test));
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
