/* The parts of the command line that work without an engine. */
#include <stdlib.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/args.h"
#include "cli/crash.h"
#include "cli/database_url.h"
#include "cli/lines.h"
#include "cli/output.h"
#include "cli/show.h"
#include "cli/table.h"
#include "tap.h"

#define DAY INT64_C(86400000000)
#define NOW (INT64_C(20000) * DAY)

/* What the parser says of words, "" for nothing. */
static const char *refusal(int argc, const char **argv)
{
    static struct mc_error err;
    struct mc_args args;
    err.message[0] = '\0';
    enum mc_status status = mc_args_parse(&args, argc, (char **)(uintptr_t)argv, &err);
    mc_args_fini(&args);
    return status == MC_OK ? "" : err.message;
}
#define REFUSAL(...)                                                                               \
    refusal((int)mc_countof(((const char *[]){"mindcore", __VA_ARGS__})),                          \
            (const char *[]){"mindcore", __VA_ARGS__, NULL})

static void test_args(void)
{
    const char *argv[] = {
        "mindcore", "-vq", "--db=sqlite:x", "search", "--user", "u",       "--topic", "a",
        "--topic",  "b",   "--limit=7",     "-vj",    "--",     "--words", NULL};
    struct mc_args args;
    struct mc_error err;
    is_status(mc_args_parse(&args, 14, (char **)(uintptr_t)argv, &err), MC_OK, &err, "parsed");
    is_str(args.command->name, "search", "the command");
    is_text(mc_args_text(&args, "db"), "sqlite:x", "an option before the command");
    is_int(mc_args_count(&args, "topic"), 2, "a repeated option");
    is_text(mc_args_at(&args, "topic", 1), "b", "its second value");
    is_int(mc_args_integer(&args, "limit", 20), 7, "a number");
    is_int(mc_args_count(&args, "verbose"), 2, "flags in one word");
    is_text(mc_args_operand(&args, 0), "--words", "an operand behind --");
    ok(!mc_str_given(mc_args_text(&args, "intent")), "an option not given is absent");
    mc_args_fini(&args);

    is_str(REFUSAL("queue", "--limit", "3"), "", "an option behind a family alone");
    is_str(REFUSAL("agents"), "", "a family with a command of its own");
    ok(strstr(REFUSAL("serch"), "did you mean 'search'"), "a near command");
    ok(strstr(REFUSAL("recent", "--thred", "x"), "did you mean '--thread'"), "a near option");
    ok(strstr(REFUSAL("--vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"), "unknown option"), "long");
    ok(strstr(REFUSAL("status", "-vvvvvvvvvvvvvvvvvvvvvvvvv"), "too many"), "too many letters");
    ok(strstr(REFUSAL("window", "--user", "u", "--thread", "t", "--min-importance", "nan"), "0..1"),
       "not a number");
    ok(strstr(REFUSAL("recent", "--user", "u", "--thread", "t", "--limit", "1001"), "1..1000"),
       "a number out of range");
    is_int(mc_args_distance(MC_STR("kitten"), MC_STR("sitting"), 5), 3, "distance");
    is_int(mc_args_distance(MC_STR("kitten"), MC_STR("sitting"), 2), 3, "distance over the limit");
    is_int(mc_args_distance(MC_STR(""), MC_STR(""), 2), 0, "distance of nothing");
}

static void test_time(void)
{
    const struct {
        const char *text;
        int64_t want; /* -1: refused */
    } cases[] = {{"7d", NOW - 7 * DAY},
                 {"12h", NOW - DAY / 2},
                 {"30m", NOW - DAY / 48},
                 {"0s", NOW},
                 {"1970-01-02", DAY},
                 {"1970-01-02T00:00:00Z", DAY},
                 {"99999999999999999d", -1},
                 {"-1d", -1},
                 {"7w", -1},
                 {"d", -1},
                 {"", -1},
                 {"2026-13-01", -1},
                 {"2026-02-30", -1},
                 {"yesterday!", -1}};
    for (size_t i = 0; i < mc_countof(cases); i++) {
        int64_t time_us = -1;
        bool good = mc_args_parse_time(mc_str_of(cases[i].text), NOW, &time_us);
        is_int(good ? time_us : -1, cases[i].want, "time '%s'", cases[i].text);
    }
}

static void test_escape(void)
{
    const struct {
        const char *text;
        const char *want;
    } cases[] = {{"plain \xc3\xa4 \xf0\x9f\x98\x80", "plain \xc3\xa4 \xf0\x9f\x98\x80"},
                 {"a\033[2Jb\a\x7f", "a\\x1b[2Jb\\x07\\x7f"},
                 {"\xc2\x9b"
                  "31m",
                  "\\x9b31m"},
                 {"\xe2\x80\xaeturned", "\\u{202e}turned"},
                 {"bad \xff byte", "bad \\xff byte"},
                 {"line\r\nnext\tx", "line next x"}};
    for (size_t i = 0; i < mc_countof(cases); i++) {
        mc_auto(mc_buf_fini) struct mc_buf buf;
        mc_buf_init(&buf, 256);
        mc_text_escape(&buf, mc_str_of(cases[i].text), false);
        is_text(mc_buf_str(&buf), cases[i].want, "escaped text %zu", i);
    }
    mc_auto(mc_buf_fini) struct mc_buf kept;
    mc_buf_init(&kept, 256);
    mc_text_escape(&kept, MC_STR("a\nb\r\nc\rd\te"), true);
    is_text(mc_buf_str(&kept), "a\nb\nc\\x0dd\te", "line breaks kept");
    is_int(mc_text_width(MC_STR("ab")), 2, "width of letters");
    is_int(mc_text_width(MC_STR("\xe6\x9d\xb1\xe4\xba\xac")), 4, "width of Chinese characters");
    is_int(mc_text_width(MC_STR("e\xcc\x81")), 1, "width of a letter with a mark");
}

static const char *url_value(const char *url, const char *key, struct mc_config **config)
{
    struct mc_error err;
    if (mc_config_new(config, &err) != MC_OK)
        bail_out("no configuration");
    if (mc_database_url_apply(*config, "db", mc_str_of(url), &err) != MC_OK)
        return "refused";
    return mc_config_get(*config, key);
}

static void test_url(void)
{
    static const char full[] = "postgresql://a%40b:p%2F:w@db.example:6432/memory?sslmode=require";
    const struct {
        const char *url;
        const char *key;
        const char *want;
    } cases[] = {{"sqlite:/x/y.db", "database.path", "/x/y.db"},
                 {"sqlite:a%20b.db", "database.path", "a%20b.db"},
                 {full, "database.backend", "postgresql"},
                 {full, "database.user", "a@b"},
                 {full, "database.password", "p/:w"},
                 {full, "database.host", "db.example"},
                 {full, "database.port", "6432"},
                 {full, "database.name", "memory"},
                 {full, "database.sslmode", "require"},
                 {"postgres://[::1]:7000/m", "database.host", "::1"},
                 {"postgres://[::1]:7000/m", "database.port", "7000"},
                 {"postgresql://h", "database.host", "h"},
                 {"postgresql://", "database.backend", "postgresql"},
                 {"postgresql://u%0@h/d", "database.user", "refused"},
                 {"postgresql://h/d?x=1", "database.user", "refused"},
                 {"sqlite:", "database.path", "refused"},
                 {"", "database.path", "refused"}};
    for (size_t i = 0; i < mc_countof(cases); i++) {
        struct mc_config *config = NULL;
        is_str(url_value(cases[i].url, cases[i].key, &config), cases[i].want, "%s: %s",
               cases[i].url, cases[i].key);
        mc_config_free(config);
    }
}

static void test_lines(void)
{
    int ends[2];
    static const char data[] = "one\r\n\n0123456789\n01234567890\nx\r\nlast";
    struct mc_lines lines;
    struct mc_error err;
    mc_str line;
    if (pipe(ends) != 0 || write(ends[1], data, sizeof(data) - 1) < 0)
        bail_out("no pipe");
    close(ends[1]);
    is_status(mc_lines_init(&lines, ends[0], 10, &err), MC_OK, &err, "lines");
    is_int(mc_lines_next(&lines, &line, &err), MC_LINE_TEXT, "a line");
    is_text(line, "one", "CR LF");
    is_int(mc_lines_next(&lines, &line, &err), MC_LINE_TEXT, "an empty line");
    is_int(line.len, 0, "it is empty");
    is_int(mc_lines_next(&lines, &line, &err), MC_LINE_TEXT, "a line of the maximum");
    is_text(line, "0123456789", "all of it");
    is_int(mc_lines_next(&lines, &line, &err), MC_LINE_TOO_LONG, "a line above it");
    is_int(lines.number, 4, "its number");
    is_int(mc_lines_next(&lines, &line, &err), MC_LINE_TEXT, "the next one");
    is_text(line, "x", "is not touched");
    is_int(mc_lines_next(&lines, &line, &err), MC_LINE_TEXT, "the last one");
    is_text(line, "last", "needs no end");
    is_int(mc_lines_next(&lines, &line, &err), MC_LINE_END, "the end");
    is_int(mc_lines_next(&lines, &line, &err), MC_LINE_END, "the end again");
    mc_lines_fini(&lines);
    close(ends[0]);
}

/* What print writes, as text that the caller frees. */
static char *printed(void (*print)(struct mc_out *out))
{
    char *text = NULL;
    size_t len = 0;
    struct mc_out out = {.file = open_memstream(&text, &len)};
    if (!out.file)
        bail_out("no memory stream");
    print(&out);
    fclose(out.file);
    return text;
}

static void print_table(struct mc_out *out)
{
    struct mc_table table;
    static const char *const cells[] = {"name", "n",  "text", "\xe6\x9d\xb1", "1", "a\nb",
                                        "xyz",  "20", ""};
    mc_table_init(&table);
    for (size_t i = 0; i < 3; i++)
        mc_table_head(&table, mc_str_of(cells[i]));
    for (size_t i = 3; i < mc_countof(cells); i++)
        mc_table_cell(&table, mc_str_of(cells[i]));
    mc_table_print(&table, out, 0);
    mc_table_fini(&table);
}

static void print_json(struct mc_out *out)
{
    static const char text[] =
        "{\"messages\":3,\"size_bytes\":2048,\"oldest_age_seconds\":90,\"hit_rate\":0.5,"
        "\"list\":[\"a\",\"b\"],\"empty\":[],\"nothing\":null,"
        "\"inner\":{\"healthy\":true},\"rows\":[{\"id\":\"x\\u001b\",\"n\":1},{\"id\":\"y\"}]}";
    struct mc_json *root = NULL;
    struct mc_error err;
    if (mc_json_parse(mc_str_of(text), &root, &err) != MC_OK)
        bail_out("%s", err.message);
    mc_show_json(out, root);
    mc_json_free(root);
}

static void test_show(void)
{
    char *text = printed(print_table);
    is_str(text, "name   n  text\n\xe6\x9d\xb1     1  a b\nxyz   20  \n", "a table");
    free(text);
    text = printed(print_json);
    is_str(text,
           "messages    3\n"
           "size        2.0 KiB\n"
           "oldest age  1 min 30 s\n"
           "hit rate    50.0 %\n"
           "list        a, b\n"
           "empty       none\n"
           "nothing     -\n"
           "\nInner\n  healthy  yes\n"
           "\nRows\n  id     n\n  x\\x1b  1\n  y      -\n",
           "a result");
    free(text);
}

static void test_crash_names(void)
{
    struct mc_crash_name name = {3, 1, 27};
    struct mc_crash_name parsed = {0};
    struct mc_crash_message one;
    struct mc_crash_message same;
    mc_crash_make(5, name, &one);
    mc_crash_make(5, name, &same);
    is_str(one.name, "r3-t1-s27", "a name");
    is_str(one.text, same.text, "the same name gives the same text");
    ok(mc_crash_parse(mc_str_of(one.name), &parsed) && parsed.run == 3 && parsed.thread == 1 &&
           parsed.sequence == 27,
       "a name is read back");
    static const char *const bad[] = {"", "r3", "r3-t1", "r3-t1-s", "r3-t1-s2-x", "r-t1-s2", "x"};
    for (size_t i = 0; i < mc_countof(bad); i++)
        ok(!mc_crash_parse(mc_str_of(bad[i]), &parsed), "not a name: '%s'", bad[i]);
}

int main(void)
{
    test_args();
    test_time();
    test_escape();
    test_url();
    test_lines();
    test_show();
    test_crash_names();
    return done_testing();
}
