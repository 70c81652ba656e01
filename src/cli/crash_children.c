/* The processes that crashtest starts: the writer, what it says until it is killed, and the verifier. */
#include <errno.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "base/time.h"
#include "cli/crash_test.h"

#define VERIFY_BYTES 65536
/* Short, so that the jobs in hand of a killed worker are soon taken over. */
#define LEASE "500ms"

/* What the writer and the verifier have in common. */
struct common {
    char db[MC_CRASH_PATH_BYTES + 64];
    char cache[MC_CRASH_PATH_BYTES + 64];
    char workers[48];
    char synchronous[48];
    char seed[32];
};

static void add_common(const struct mc_crash_test *test, const char *command, struct common *common,
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
static void list_again(struct mc_crash_test *test, struct mc_buf *list)
{
    for (unsigned i = 0; i < test->threads; i++) {
        const struct mc_crash_name *last = &test->last[i];
        if (last->sequence)
            mc_buf_printf(list, "%sr%u-t%u-s%u", list->len ? "," : "", last->run, last->thread,
                          last->sequence);
    }
    memset(test->last, 0, sizeof(test->last));
}

enum mc_status mc_crash_writer_start(struct mc_crash_test *test, struct mc_child *child,
                                     struct mc_error *err)
{
    const struct mc_args *args = &test->cli->args;
    struct mc_child_arguments arguments = {0};
    struct common common;
    char threads[16];
    char run[16];
    mc_auto(mc_buf_fini) struct mc_buf again;
    mc_buf_init(&again, MC_CRASH_THREADS_MOST * MC_CRASH_NAME_SIZE);
    list_again(test, &again);
    test->run++;
    test->ready = false;
    mc_buf_reset(&test->heard);
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

static void hear_acknowledgement(struct mc_crash_test *test, mc_str line)
{
    mc_str rest = line;
    mc_str id;
    mc_str text;
    struct mc_crash_name name;
    test->counts.acknowledged++;
    fprintf(test->acknowledged, "%.*s\n", MC_STR_ARG(line));
    if (mc_str_split(&rest, ' ', &id) && mc_str_split(&rest, ' ', &text) &&
        mc_crash_parse(text, &name) && name.run == test->run && name.thread < MC_CRASH_THREADS_MOST)
        test->last[name.thread] = name;
}

static void hear_line(struct mc_crash_test *test, mc_str line)
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
static bool hear(struct mc_crash_test *test, const struct mc_child *child)
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

bool mc_crash_writer_listen(struct mc_crash_test *test, const struct mc_child *child,
                            int64_t deadline_us, bool until_ready)
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

void mc_crash_writer_end(struct mc_crash_test *test, struct mc_child *child)
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

/* Starts the verifier and waits for its end; the status of waitpid. */
static enum mc_status run_verifier(const struct mc_child_arguments *arguments,
                                   struct mc_buf *output, int *ended, struct mc_error *err)
{
    struct mc_child child = {0};
    char chunk[4096];
    ssize_t got;
    enum mc_status status = mc_child_start(&child, arguments, err);
    if (status != MC_OK)
        return status;
    while ((got = read(child.output, chunk, sizeof(chunk))) > 0 || (got < 0 && errno == EINTR)) {
        if (got > 0)
            mc_buf_append(output, (mc_str){chunk, (size_t)got});
    }
    *ended = mc_child_wait(&child);
    return MC_OK;
}

enum mc_status mc_crash_round_verify(struct mc_crash_test *test, struct mc_error *err)
{
    struct mc_child_arguments arguments = {0};
    struct common common;
    char path[MC_CRASH_PATH_BYTES + 64];
    mc_auto(mc_buf_fini) struct mc_buf output;
    mc_auto(mc_json_free_ptr) struct mc_json *result = NULL;
    mc_buf_init(&output, VERIFY_BYTES);
    snprintf(path, sizeof(path), "%s/acknowledged", test->round_dir);
    add_common(test, "crash-verify", &common, &arguments);
    (void)mc_child_add(&arguments, "--acknowledged", path, NULL);
    if (test->db)
        (void)mc_child_add(&arguments, "--erase", NULL);
    int ended = 0;
    enum mc_status status = run_verifier(&arguments, &output, &ended, err);
    if (status != MC_OK)
        return status;
    if (!WIFEXITED(ended) || WEXITSTATUS(ended) != MC_CLI_DONE ||
        mc_json_parse(mc_str_trim(mc_buf_str(&output)), &result, err) != MC_OK) {
        fprintf(stderr, "the verifier failed with status %d\n", ended);
        test->counts.failed++;
        return MC_OK;
    }
    struct mc_crash_counts *counts = &test->counts;
    counts->messages += (uint64_t)mc_json_integer(mc_json_get(result, "messages"));
    counts->verified += (uint64_t)mc_json_integer(mc_json_get(result, "verified"));
    counts->lost += (uint64_t)mc_json_integer(mc_json_get(result, "lost"));
    counts->duplicated += (uint64_t)mc_json_integer(mc_json_get(result, "duplicated"));
    counts->altered += (uint64_t)mc_json_integer(mc_json_get(result, "altered"));
    counts->stuck += (uint64_t)mc_json_integer(mc_json_get(result, "stuck"));
    counts->unsound += (uint64_t)mc_json_integer(mc_json_get(result, "unsound"));
    return MC_OK;
}

enum mc_status mc_crash_database_check(struct mc_crash_test *test, struct mc_error *err)
{
    struct mc_child_arguments arguments = {0};
    struct common common;
    mc_auto(mc_buf_fini) struct mc_buf output;
    mc_buf_init(&output, VERIFY_BYTES);
    snprintf(test->round_dir, sizeof(test->round_dir), "%s", test->dir);
    add_common(test, "crash-verify", &common, &arguments);
    (void)mc_child_add(&arguments, "--prepare", NULL);
    if (mc_args_given(&test->cli->args, "force"))
        (void)mc_child_add(&arguments, "--force", NULL);
    int ended = 0;
    enum mc_status status = run_verifier(&arguments, &output, &ended, err);
    test->round_dir[0] = '\0';
    if (status == MC_OK && ended != 0)
        return mc_fail(err, MC_CONFLICT, "the database cannot be used; nothing was changed");
    return status;
}
