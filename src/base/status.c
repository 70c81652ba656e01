/* The table of outcomes and the making of errors. Pure but for the error that the caller owns. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/compiler.h"
#include "base/utf8.h"

struct status_row {
    const char *name;
    const char *text;
    const char *exception;
    int http;
};

static const struct status_row status_rows[] = {
#define X(name, http, exception, text) {#name, text, exception, http},
    MC_STATUS_MAP(X)
#undef X
};

static const struct status_row *status_row(enum mc_status status)
{
    size_t index = (size_t)status;
    return &status_rows[index < mc_countof(status_rows) ? index : (size_t)MC_INTERNAL];
}

const char *mc_status_name(enum mc_status status)
{
    return status_row(status)->name;
}
const char *mc_status_text(enum mc_status status)
{
    return status_row(status)->text;
}
int mc_status_http(enum mc_status status)
{
    return status_row(status)->http;
}
const char *mc_status_exception(enum mc_status status)
{
    return status_row(status)->exception;
}

/*
 * Formats into text as one clean line. The raw text is longer than any destination, so that its own
 * end, which may be in the middle of a character, is never reached.
 */
MC_PRINTF(3, 0)
static void format_line(char *text, size_t size, const char *format, va_list args)
{
    char raw[2 * sizeof(((struct mc_error *)0)->message)];
    int len = vsnprintf(raw, sizeof(raw), format, args);
    (void)mc_utf8_line(mc_str_of(len < 0 ? format : raw), text, size);
}

enum mc_status mc_fail(struct mc_error *err, enum mc_status status, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        format_line(err->message, sizeof(err->message), format, args);
        va_end(args);
        err->field[0] = '\0';
        err->status = status;
    }
    return status;
}

enum mc_status mc_fail_field(struct mc_error *err, enum mc_status status, const char *field,
                             const char *format, ...)
{
    if (err) {
        char clean[sizeof(err->field)];
        (void)mc_utf8_line(mc_str_of(field), clean, sizeof(clean));
        va_list args;
        va_start(args, format);
        format_line(err->message, sizeof(err->message), format, args);
        va_end(args);
        memcpy(err->field, clean, sizeof(clean));
        err->status = status;
    }
    return status;
}

enum mc_status mc_fail_memory(struct mc_error *err)
{
    return mc_fail(err, MC_NO_MEMORY, "out of memory");
}

enum mc_status mc_fail_prefix(struct mc_error *err, enum mc_status status, const char *format, ...)
{
    if (err) {
        char prefix[sizeof(err->message)];
        char joined[2 * sizeof(err->message) + 2];
        va_list args;
        va_start(args, format);
        format_line(prefix, sizeof(prefix), format, args);
        va_end(args);
        snprintf(joined, sizeof(joined), "%s%s%s", prefix, err->message[0] ? ": " : "",
                 err->message);
        (void)mc_utf8_line(mc_str_of(joined), err->message, sizeof(err->message));
        err->status = status;
    }
    return status;
}
