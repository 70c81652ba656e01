/* Reports to a listener, and the line on stderr. */
#include "tap.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"

struct seen {
    int count;
    enum mc_log_level level;
    char module[32];
    char message[2048];
};

static void listen_to(void *context, enum mc_log_level level, const char *module,
                      const char *message)
{
    struct seen *seen = context;
    seen->count++;
    seen->level = level;
    snprintf(seen->module, sizeof(seen->module), "%s", module);
    snprintf(seen->message, sizeof(seen->message), "%s", message);
}

static void test_listener(void)
{
    static struct seen seen;
    mc_log(MC_LOG_ERROR, "store", "nobody listens");
    mc_log_set(listen_to, &seen, MC_LOG_WARNING);
    mc_log(MC_LOG_INFO, "store", "below the level");
    is_int(seen.count, 0, "nothing heard yet");
    mc_log(MC_LOG_WARNING, "store", "line %d\nnext\x01\xFF", 1);
    is_int(seen.count, 1, "heard");
    is_int(seen.level, MC_LOG_WARNING, "level");
    is_str(seen.module, "store", "module");
    is_str(seen.message, "line 1 next \xEF\xBF\xBD", "one line of UTF-8");
    mc_log(MC_LOG_ERROR, "store", "%05000d", 1);
    is_int(strlen(seen.message), 1023, "long messages are cut");
    mc_log_set(NULL, NULL, MC_LOG_DEBUG);
    mc_log(MC_LOG_ERROR, "store", "nobody listens any more");
    is_int(seen.count, 2, "silent again");
}

/* What mc_log_stderr writes. */
static void capture_by(mc_log_fn log, char text[8192], const char *module, const char *message)
{
    int ends[2];
    int saved = dup(STDERR_FILENO);
    if (saved < 0 || pipe(ends) != 0)
        bail_out("no pipe");
    dup2(ends[1], STDERR_FILENO);
    log(NULL, MC_LOG_INFO, module, message);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    ssize_t len = read(ends[0], text, 8191);
    text[len > 0 ? len : 0] = '\0';
    close(ends[0]);
}

static void capture(char text[8192], const char *module, const char *message)
{
    capture_by(mc_log_stderr, text, module, message);
}

/* The members of one JSON line; ends the program when it is none. */
static void is_json_line(const char *module, const char *message, const char *want_module,
                         const char *want)
{
    char text[8192];
    capture_by(mc_log_stderr_json, text, module, message);
    size_t len = strlen(text);
    ok(len > 0 && len <= 4096 && strchr(text, '\n') == text + len - 1, "one line");
    struct mc_json *root = NULL;
    struct mc_error err = {0};
    if (mc_json_parse(mc_str_of(text), &root, &err))
        bail_out("no JSON: %s: %s", err.message, text);
    is_text(mc_json_string(mc_json_get(root, "level")), "info", "level");
    is_text(mc_json_string(mc_json_get(root, "module")), want_module, "module");
    if (want)
        is_text(mc_json_string(mc_json_get(root, "msg")), want, "message");
    ok(mc_json_string(mc_json_get(root, "ts")).len > 20, "time");
    mc_json_free(root);
}

static void test_json(void)
{
    is_json_line("enrich", "said \"no\" \\ twice\nhere \x01\xFF ä", "enrich",
                 "said \"no\" \\ twice here  \xEF\xBF\xBD ä");
    is_json_line(NULL, "", "mindcore", "");
    is_json_line("a\"b", "x", "a\"b", "x");
    char quotes[8192];
    memset(quotes, '"', sizeof(quotes) - 1);
    quotes[sizeof(quotes) - 1] = '\0';
    is_json_line("m", quotes, "m", NULL);
}

static void test_stderr(void)
{
    char text[8192], want[8192];
    capture(text, "enrich", "said \"no\" \\ twice\nhere");
    ok(strncmp(text, "ts=20", 5) == 0, "starts with the time: %s", text);
    is_str(strchr(text, ' '), " level=info module=enrich msg=\"said \\\"no\\\" \\\\ twice here\"\n",
           "line");
    capture(text, NULL, "x");
    is_str(strchr(text, ' '), " level=info module=mindcore msg=\"x\"\n", "no module");
    memset(want, '"', sizeof(want) - 1);
    want[sizeof(want) - 1] = '\0';
    capture(text, "m", want);
    size_t len = strlen(text);
    ok(len > 2000 && len < 4096 && strcmp(text + len - 3, "\"\"\n") == 0,
       "a long line is cut and closed");
    ok(strchr(text, '\n') == text + len - 1, "and is one");
    memset(want, 'm', sizeof(want) - 1);
    capture(text, want, "message");
    ok(strlen(text) <= 4096 && text[strlen(text) - 1] == '\n', "a long module too");
}

static void *log_much(void *context)
{
    for (int i = 0; i < 2000; i++)
        mc_log(MC_LOG_INFO, "thread", "%d", i);
    return context;
}

static void count_up(void *context, enum mc_log_level level, const char *module,
                     const char *message)
{
    (void)level, (void)module, (void)message;
    __atomic_add_fetch((int *)context, 1, __ATOMIC_RELAXED);
}

static void test_threads(void)
{
    static int count;
    pthread_t threads[2];
    mc_log_set(count_up, &count, MC_LOG_DEBUG);
    for (size_t i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, log_much, NULL);
    for (int i = 0; i < 100; i++)
        mc_log_set(count_up, &count, MC_LOG_DEBUG);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    is_int(count, 4000, "nothing is lost while the listener is set again");
    mc_log_set(NULL, NULL, MC_LOG_DEBUG);
}

int main(void)
{
    test_listener();
    test_stderr();
    test_json();
    test_threads();
    return done_testing();
}
