/*
 * See base/log.h. The level is checked without a lock, so that a silent program pays one load; the
 * listener is copied under the mutex and called outside of it.
 */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "base/time.h"
#include "base/utf8.h"

#define MESSAGE_SIZE 1024
#define MODULE_SIZE 256
#define LINE_MAX_BYTES 4096
#define SILENT (MC_LOG_ERROR + 1)

static pthread_mutex_t listener_mutex = PTHREAD_MUTEX_INITIALIZER; /* guards listener */
static struct {
    mc_log_fn log;
    void *context;
} listener;
static _Atomic int least_level = SILENT;

void mc_log_set(mc_log_fn log, void *context, enum mc_log_level least)
{
    pthread_mutex_lock(&listener_mutex);
    listener.log = log;
    listener.context = context;
    atomic_store_explicit(&least_level, log ? (int)least : SILENT, memory_order_relaxed);
    pthread_mutex_unlock(&listener_mutex);
}

void mc_log(enum mc_log_level level, const char *module, const char *format, ...)
{
    if ((int)level < atomic_load_explicit(&least_level, memory_order_relaxed))
        return;
    pthread_mutex_lock(&listener_mutex);
    mc_log_fn log = listener.log;
    void *context = listener.context;
    pthread_mutex_unlock(&listener_mutex);
    if (!log)
        return;
    char raw[2 * MESSAGE_SIZE];
    char message[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(raw, sizeof(raw), format, args);
    va_end(args);
    (void)mc_utf8_line(mc_str_of(len < 0 ? format : raw), message, sizeof(message));
    log(context, level, module, message);
}

static const char *level_name(enum mc_log_level level)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    return (unsigned)level <= MC_LOG_ERROR ? names[level] : "error";
}

static size_t add_text(char *line, size_t len, size_t room, const char *text)
{
    size_t add = strlen(text);
    add = add < room - len ? add : room - len;
    memcpy(line + len, text, add);
    return len + add;
}

/* A whole line reaches the descriptor in one call, so that lines of threads and processes stay
 * whole. */
static void write_line(const char *line, size_t len)
{
    while (len > 0) {
        ssize_t written = write(STDERR_FILENO, line, len);
        if (written < 0 && errno != EINTR)
            return;
        if (written > 0) {
            line += written;
            len -= (size_t)written;
        }
    }
}

/* Around the parts of a line; the last closes it. */
struct format {
    const char *time, *level, *module, *message, *end;
};

/* A part of a line is one line of UTF-8 without control characters: only quotes need care. */
static size_t add_quoted(char *line, size_t len, size_t room, const char *text)
{
    for (const char *c = text; *c && len + 2 <= room; c++) {
        if (*c == '"' || *c == '\\')
            line[len++] = '\\';
        line[len++] = *c;
    }
    return len;
}

static void write_formatted(const struct format *format, enum mc_log_level level,
                            const char *module, const char *message)
{
    char line[LINE_MAX_BYTES];
    char clean_module[MODULE_SIZE], clean[MESSAGE_SIZE];
    char time[MC_TIME_TEXT_SIZE];
    const size_t room = sizeof(line) - 4; /* behind it the end */
    mc_time_format(mc_time_now_us(), time);
    (void)mc_utf8_line(mc_str_of(module && *module ? module : "mindcore"), clean_module,
                       sizeof(clean_module));
    (void)mc_utf8_line(mc_str_of(message), clean, sizeof(clean));
    const char *parts[] = {format->time, time, format->level, level_name(level), format->module};
    size_t len = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        len = add_text(line, len, room, parts[i]);
    len = add_quoted(line, len, room, clean_module);
    len = add_text(line, len, room, format->message);
    len = add_quoted(line, len, room, clean);
    len = add_text(line, len, sizeof(line), format->end);
    write_line(line, len);
}

void mc_log_stderr(void *context, enum mc_log_level level, const char *module, const char *message)
{
    static const struct format LOGFMT = {"ts=", " level=", " module=", " msg=\"", "\"\n"};
    (void)context;
    write_formatted(&LOGFMT, level, module, message);
}

void mc_log_stderr_json(void *context, enum mc_log_level level, const char *module,
                        const char *message)
{
    static const struct format JSON = {"{\"ts\":\"", "\",\"level\":\"", "\",\"module\":\"",
                                       "\",\"msg\":\"", "\"}\n"};
    (void)context;
    write_formatted(&JSON, level, module, message);
}
