#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"

bool mc_child_add(struct mc_child_arguments *arguments, ...)
{
    va_list args;
    const char *item;
    bool fits = true;
    va_start(args, arguments);
    while ((item = va_arg(args, const char *))) {
        if (arguments->count + 1 < MC_CHILD_ARGUMENTS)
            arguments->items[arguments->count++] = item;
        else
            fits = false;
    }
    va_end(args);
    return fits;
}

/* An array of the variables that a child gets; the strings are those of environ. */
static char **child_environment(void)
{
    size_t count = 0;
    while (environ[count])
        count++;
    char **kept = calloc(count + 1, sizeof(*kept));
    for (size_t i = 0, n = 0; kept && i < count; i++) {
        mc_str variable = mc_str_of(environ[i]);
        if (mc_str_starts(variable, MC_STR("MINDCORE_DB_PASSWORD=")) ||
            (!mc_str_starts(variable, MC_STR("MINDCORE_")) &&
             !mc_str_starts(variable, MC_STR("OPENAI_"))))
            kept[n++] = environ[i];
    }
    return kept;
}

enum mc_status mc_child_start(struct mc_child *child, const struct mc_child_arguments *arguments,
                              struct mc_error *err)
{
    int ends[2];
    posix_spawn_file_actions_t actions;
    char **variables = child_environment();
    if (!variables)
        return mc_fail_memory(err);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        free(variables);
        return mc_fail(err, MC_IO, "cannot make a pipe: %s", strerror(errno));
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    /* posix_spawn takes the arguments as char *const [] and does not change them. */
    int failure = posix_spawn(&child->pid, "/proc/self/exe", &actions, NULL,
                              (char *const *)(uintptr_t)arguments->items, variables);
    posix_spawn_file_actions_destroy(&actions);
    free(variables);
    close(ends[1]);
    if (failure) {
        close(ends[0]);
        child->pid = 0;
        return mc_fail(err, MC_IO, "cannot start a child process: %s", strerror(failure));
    }
    child->output = ends[0];
    return MC_OK;
}

void mc_child_kill(const struct mc_child *child)
{
    if (child->pid > 0)
        kill(child->pid, SIGKILL);
}

int mc_child_wait(struct mc_child *child)
{
    int status = 0;
    if (child->pid <= 0)
        return -1;
    close(child->output);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    child->pid = 0;
    return status;
}
