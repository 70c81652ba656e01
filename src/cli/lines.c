#include "cli/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

#define CHUNK_BYTES ((size_t)64 << 10)

enum mc_status mc_lines_init(struct mc_lines *lines, int descriptor, size_t max_bytes,
                             struct mc_error *err)
{
    memset(lines, 0, sizeof(*lines));
    lines->descriptor = descriptor;
    lines->max_bytes = max_bytes;
    mc_buf_init(&lines->line, max_bytes + 2);
    lines->chunk = malloc(CHUNK_BYTES);
    return lines->chunk ? MC_OK : mc_fail_memory(err);
}

enum mc_status mc_lines_open(struct mc_lines *lines, const char *path, size_t max_bytes,
                             struct mc_error *err)
{
    struct stat info;
    int descriptor = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return mc_fail(err, errno == ENOENT ? MC_NOT_FOUND : MC_IO, "cannot read '%s': %s", path,
                       strerror(errno));
    enum mc_status status = mc_lines_init(lines, descriptor, max_bytes, err);
    lines->opened = true;
    if (fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode))
        lines->size = (uint64_t)info.st_size;
    return status;
}

void mc_lines_fini(struct mc_lines *lines)
{
    if (lines->opened)
        close(lines->descriptor);
    lines->opened = false;
    mc_buf_fini(&lines->line);
    free(lines->chunk);
    lines->chunk = NULL;
}

/* False at the end of the input or when it failed. */
static bool refill(struct mc_lines *lines, enum mc_status *status, struct mc_error *err)
{
    ssize_t got;
    do
        got = read(lines->descriptor, lines->chunk, CHUNK_BYTES);
    while (got < 0 && errno == EINTR);
    lines->chunk_at = 0;
    lines->chunk_len = got > 0 ? (size_t)got : 0;
    lines->bytes += lines->chunk_len;
    if (got < 0)
        *status = mc_fail(err, MC_IO, "cannot read the input: %s", strerror(errno));
    return got > 0;
}

static enum mc_line finish(struct mc_lines *lines, mc_str *line, bool too_long,
                           struct mc_error *err)
{
    mc_str text = mc_buf_str(&lines->line);
    if (text.len && text.data[text.len - 1] == '\r')
        text.len--;
    if (lines->line.failed) {
        (void)mc_fail_memory(err);
        return MC_LINE_FAILED;
    }
    *line = text;
    return too_long || text.len > lines->max_bytes ? MC_LINE_TOO_LONG : MC_LINE_TEXT;
}

enum mc_line mc_lines_next(struct mc_lines *lines, mc_str *line, struct mc_error *err)
{
    enum mc_status status = MC_OK;
    bool any = false;
    bool too_long = false;
    mc_buf_reset(&lines->line);
    while (!lines->ended) {
        if (lines->chunk_at == lines->chunk_len && !refill(lines, &status, err)) {
            lines->ended = true;
            break;
        }
        if (!any)
            lines->number++;
        any = true;
        const char *start = lines->chunk + lines->chunk_at;
        size_t left = lines->chunk_len - lines->chunk_at;
        const char *end = memchr(start, '\n', left);
        size_t len = end ? (size_t)(end - start) : left;
        if (lines->line.len + len > lines->max_bytes + 1)
            too_long = true;
        if (!too_long)
            mc_buf_append(&lines->line, (mc_str){start, len});
        lines->chunk_at += len + (end ? 1 : 0);
        if (end)
            return finish(lines, line, too_long, err);
    }
    if (status != MC_OK)
        return MC_LINE_FAILED;
    return any ? finish(lines, line, too_long, err) : MC_LINE_END;
}
