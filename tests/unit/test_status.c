/* Outcomes and errors. */
#include "tap.h"

#include <mindcore/engine.h>

#include "base/error.h"
#include "base/utf8.h"

static void test_table(void)
{
    is_str(mc_status_name(MC_NOT_FOUND), "NOT_FOUND", "name");
    is_str(mc_status_text(MC_NOT_FOUND), "not found", "text");
    is_int(mc_status_http(MC_NOT_FOUND), 404, "HTTP status");
    is_str(mc_status_exception(MC_NOT_FOUND), "NotFoundError", "exception");
    is_str(mc_status_name((enum mc_status)999), "INTERNAL", "unknown");
    is_str(mc_status_name((enum mc_status) - 1), "INTERNAL", "negative");
    is_int(mc_status_http(MC_DISK_FULL), 507, "last");
    ok(mc_version()[0] >= '0' && strchr(mc_version(), '.'), "version %s", mc_version());
}

static void test_errors(void)
{
    struct mc_error err = {0};
    is_int(mc_fail_field(&err, MC_INVALID, "text", "must be %d bytes\nat most", 5), MC_INVALID,
           "field");
    is_str(err.field, "text", "field");
    is_str(err.message, "must be 5 bytes at most", "one line");
    is_int(err.status, MC_INVALID, "status");
    is_int(mc_fail_prefix(&err, MC_INVALID, "cannot store '%s'", "m1"), MC_INVALID, "prefix");
    is_str(err.message, "cannot store 'm1': must be 5 bytes at most", "prefixed");
    is_str(err.field, "text", "a prefix keeps the field");
    is_int(mc_fail(&err, MC_IO, "(%s)", err.message), MC_IO, "the error itself is an argument");
    is_str(err.message, "(cannot store 'm1': must be 5 bytes at most)",
           "read before it is written");
    is_str(err.field, "", "no field");
    is_int(mc_fail_memory(&err), MC_NO_MEMORY, "memory");
    is_str(err.message, "out of memory", "memory");
    err = (struct mc_error){0};
    is_int(mc_fail_prefix(&err, MC_IO, "cannot open"), MC_IO, "prefix of nothing");
    is_str(err.message, "cannot open", "no colon");
    is_int(err.status, MC_IO, "status");
    is_int(mc_fail(NULL, MC_BUSY, "x"), MC_BUSY, "no error wanted");
    is_int(mc_fail_field(NULL, MC_BUSY, "f", "x"), MC_BUSY, "no error wanted, field");
    is_int(mc_fail_memory(NULL), MC_NO_MEMORY, "no error wanted, memory");
    is_int(mc_fail_prefix(NULL, MC_BUSY, "x"), MC_BUSY, "no error wanted, prefix");
    is_int(mc_fail_field(&err, MC_INVALID, NULL, "x"), MC_INVALID, "no field");
    is_str(err.field, "", "empty field");
}

static void test_long_messages(void)
{
    char text[2001];
    struct mc_error err;
    size_t wrong = 0;
    /* A character of three bytes at each phase of the cut. */
    for (size_t lead = 0; lead < 3; lead++) {
        memset(text, 'x', sizeof(text));
        for (size_t i = lead; i + 3 < sizeof(text); i += 3)
            memcpy(text + i, "\xE4\xB8\x96", 3);
        text[sizeof(text) - 1] = '\0';
        mc_fail_field(&err, MC_INVALID, text, "%s", text);
        wrong += !mc_utf8_check(mc_str_of(err.message), NULL, NULL);
        wrong += !mc_utf8_check(mc_str_of(err.field), NULL, NULL);
        wrong += strlen(err.message) < sizeof(err.message) - 3;
        wrong += strlen(err.field) < sizeof(err.field) - 3;
        mc_fail_prefix(&err, MC_INVALID, "%s", text);
        wrong += !mc_utf8_check(mc_str_of(err.message), NULL, NULL);
    }
    is_int(wrong, 0, "long text is cut at a character");
    mc_fail(&err, MC_INVALID, "bad \xFF byte \x7F");
    is_str(err.message, "bad \xEF\xBF\xBD byte  ", "always valid UTF-8");
}

int main(void)
{
    test_table();
    test_errors();
    test_long_messages();
    return done_testing();
}
