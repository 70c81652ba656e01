#include "base/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/time.h"

#define LINE_MAX_BYTES ((size_t)16 * 1024)

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

enum mc_status mc_audit_check(const char *path, struct mc_error *err)
{
    int fd = open_file(path);
    if (fd < 0)
        return mc_fail_field(err, MC_CONFIG, "logging.audit",
                             "logging.audit: nothing can be added to '%s': %s", path,
                             strerror(errno));
    close(fd);
    return MC_OK;
}

static void put(struct mc_json_writer *w, const char *member, mc_str text)
{
    if (text.len > 0)
        mc_json_member_string(w, member, text);
}

/* One call for the whole line: lines of several processes stay whole. */
static bool append(const char *path, mc_str line)
{
    int fd = open_file(path);
    if (fd < 0)
        return false;
    ssize_t written = write(fd, line.data, line.len);
    int reason = errno;
    close(fd);
    errno = written < 0 ? reason : ENOSPC;
    return written == (ssize_t)line.len;
}

void mc_audit_write(const char *path, const struct mc_audit_act *act)
{
    mc_auto(mc_buf_fini) struct mc_buf line;
    mc_buf_init(&line, LINE_MAX_BYTES);
    struct mc_json_writer w = mc_json_writer(&line);
    mc_json_begin(&w, '{');
    mc_json_key(&w, "time");
    mc_json_put_time(&w, mc_time_now_us());
    mc_json_member_text(&w, "act", act->act);
    mc_json_member_text(&w, "result", act->result);
    put(&w, "target", act->target);
    put(&w, "who", act->who);
    put(&w, "from", act->from);
    put(&w, "request_id", act->request_id);
    mc_json_end(&w, '}');
    mc_buf_char(&line, '\n');
    if (line.failed)
        mc_log(MC_LOG_ERROR, "audit", "%s is not in the audit log: out of memory", act->act);
    else if (!append(path, mc_buf_str(&line)))
        mc_log(MC_LOG_ERROR, "audit", "%s is not in '%s': %s", act->act, path, strerror(errno));
}
