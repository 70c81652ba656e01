/*
 * TAP for the unit and contract tests: each check prints one line, done_testing prints the plan.
 *
 *     int main(void)
 *     {
 *         is_int(mc_thing_count(thing), 2, "two things");
 *         return done_testing();
 *     }
 *
 * Every check returns whether it passed, so that a test can stop where going on makes no sense.
 * Checks may be called from any thread.
 */
#ifndef MC_TESTS_TAP_H
#define MC_TESTS_TAP_H

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mindcore/types.h>

struct tap_state {
    pthread_mutex_t lock; /* guards the two counts and the order of the output */
    int run;
    int failed;
};

static struct tap_state tap = {PTHREAD_MUTEX_INITIALIZER, 0, 0};

/* One line without line breaks or '#', which TAP reads as a directive. */
MC_PRINTF(1, 0)
static inline void tap_describe(const char *format, va_list args)
{
    char text[512];
    vsnprintf(text, sizeof(text), format, args);
    for (char *c = text; *c; c++)
        putchar(*c == '\n' || *c == '\r' || *c == '#' ? ' ' : *c);
    putchar('\n');
}

MC_PRINTF(6, 0)
static inline bool tap_vreport(bool passed, const char *file, int line, const char *got,
                               const char *want, const char *format, va_list args)
{
    pthread_mutex_lock(&tap.lock);
    printf("%s %d - ", passed ? "ok" : "not ok", ++tap.run);
    tap_describe(format, args);
    if (!passed) {
        tap.failed++;
        printf("# failed at %s:%d\n", file, line);
        if (got)
            printf("#   got:  %s\n#   want: %s\n", got, want);
    }
    fflush(stdout);
    pthread_mutex_unlock(&tap.lock);
    return passed;
}

MC_PRINTF(4, 5)
static inline bool tap_ok(bool passed, const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tap_vreport(passed, file, line, NULL, NULL, format, args);
    va_end(args);
    return passed;
}

MC_PRINTF(5, 6)
static inline bool tap_is_int(int64_t got, int64_t want, const char *file, int line,
                              const char *format, ...)
{
    char got_text[32], want_text[32];
    snprintf(got_text, sizeof(got_text), "%" PRId64, got);
    snprintf(want_text, sizeof(want_text), "%" PRId64, want);
    va_list args;
    va_start(args, format);
    bool passed = tap_vreport(got == want, file, line, got_text, want_text, format, args);
    va_end(args);
    return passed;
}

MC_PRINTF(6, 7)
static inline bool tap_is_double(double got, double want, double tolerance, const char *file,
                                 int line, const char *format, ...)
{
    char got_text[64], want_text[96];
    snprintf(got_text, sizeof(got_text), "%.17g", got);
    snprintf(want_text, sizeof(want_text), "%.17g within %g", want, tolerance);
    va_list args;
    va_start(args, format);
    bool passed =
        tap_vreport(fabs(got - want) <= tolerance, file, line, got_text, want_text, format, args);
    va_end(args);
    return passed;
}

/* A printable form of bytes, at most about 200 of them. Not shared between threads. */
static inline const char *tap_quote(const char *data, size_t len, char text[1024])
{
    if (!data)
        return "(none)";
    size_t at = 0;
    text[at++] = '"';
    for (size_t i = 0; i < len && at < 1000; i++) {
        unsigned char c = (unsigned char)data[i];
        if (c < 0x20 || c == 0x7f)
            at += (size_t)snprintf(text + at, 1024 - at, "\\x%02x", (unsigned)c);
        else
            text[at++] = (char)c;
    }
    snprintf(text + at, 1024 - at, "\" (%zu bytes)", len);
    return text;
}

MC_PRINTF(7, 8)
static inline bool tap_is_bytes(const char *got, size_t got_len, const char *want, size_t want_len,
                                const char *file, int line, const char *format, ...)
{
    bool same = (!got && !want) || (got && want && got_len == want_len &&
                                    (got_len == 0 || memcmp(got, want, got_len) == 0));
    char got_text[1024], want_text[1024];
    va_list args;
    va_start(args, format);
    bool passed = tap_vreport(same, file, line, tap_quote(got, got_len, got_text),
                              tap_quote(want, want_len, want_text), format, args);
    va_end(args);
    return passed;
}

static inline const char *tap_status_detail(enum mc_status status, const struct mc_error *err,
                                            char text[640])
{
    bool described = err && status != MC_OK;
    snprintf(text, 640, "%s%s%s%s%s", mc_status_name(status), described ? ": " : "",
             described ? err->message : "", described && err->field[0] ? ", field " : "",
             described ? err->field : "");
    return text;
}

MC_PRINTF(6, 7)
static inline bool tap_is_status(enum mc_status got, enum mc_status want,
                                 const struct mc_error *err, const char *file, int line,
                                 const char *format, ...)
{
    char got_text[640], want_text[640];
    va_list args;
    va_start(args, format);
    bool passed = tap_vreport(got == want, file, line, tap_status_detail(got, err, got_text),
                              tap_status_detail(want, NULL, want_text), format, args);
    va_end(args);
    return passed;
}

#define TAP_HERE __FILE__, __LINE__

/* ok(condition, "what %s", ...) */
#define ok(condition, ...) tap_ok((condition) ? true : false, TAP_HERE, __VA_ARGS__)
/* is_int(got, want, "what"): integers of any type that int64_t holds. */
#define is_int(got, want, ...) tap_is_int((int64_t)(got), (int64_t)(want), TAP_HERE, __VA_ARGS__)
/* is_double(got, want, tolerance, "what") */
#define is_double(got, want, tolerance, ...)                                                       \
    tap_is_double((got), (want), (tolerance), TAP_HERE, __VA_ARGS__)
/* is_str(got, want, "what"): NUL-terminated strings, NULL equals only NULL. */
#define is_str(got, want, ...) tap_is_str((got), (want), TAP_HERE, __VA_ARGS__)
/* is_text(mc_str got, "want", "what") */
#define is_text(got, want, ...) tap_is_text((got), (want), TAP_HERE, __VA_ARGS__)
/* is_status(call(..., &err), MC_OK, &err, "what"): shows the error when it differs; err may be
 * NULL. */
#define is_status(got, want, err, ...) tap_is_status((got), (want), (err), TAP_HERE, __VA_ARGS__)
/* Not run, and why. */
#define skip(...) tap_skip(__VA_ARGS__)
/* A line of explanation. */
#define diag(...) tap_diag(__VA_ARGS__)

MC_PRINTF(5, 6)
static inline bool tap_is_str(const char *got, const char *want, const char *file, int line,
                              const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return tap_is_bytes(got, got ? strlen(got) : 0, want, want ? strlen(want) : 0, file, line, "%s",
                        text);
}

MC_PRINTF(5, 6)
static inline bool tap_is_text(mc_str got, const char *want, const char *file, int line,
                               const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    /* An empty string and an absent one are the same text here. */
    return tap_is_bytes(got.data ? got.data : "", got.len, want ? want : "",
                        want ? strlen(want) : 0, file, line, "%s", text);
}

MC_PRINTF(1, 2)
static inline void tap_skip(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    pthread_mutex_lock(&tap.lock);
    printf("ok %d # SKIP %s\n", ++tap.run, text);
    pthread_mutex_unlock(&tap.lock);
}

MC_PRINTF(1, 2)
static inline void tap_diag(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    pthread_mutex_lock(&tap.lock);
    fputs("# ", stdout);
    tap_describe(format, args);
    pthread_mutex_unlock(&tap.lock);
    va_end(args);
}

/* Ends the program for a reason that makes every further check senseless. */
MC_PRINTF(1, 2) __attribute__((noreturn)) static inline void bail_out(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("Bail out! ", stdout);
    tap_describe(format, args);
    va_end(args);
    fflush(stdout);
    exit(1);
}

/* Prints the plan; the value for main to return. */
static inline int done_testing(void)
{
    printf("1..%d\n", tap.run);
    fflush(stdout);
    return tap.failed ? 1 : 0;
}

#endif
