/*
 * A child process of this same program with a pipe from its standard output. The environment goes
 * along without MINDCORE_* and OPENAI_*, so that a configuration of the user does not reach it; but for the
 * password of a database that the arguments name.
 */
#ifndef MC_CLI_CHILD_H
#define MC_CLI_CHILD_H

#include <sys/types.h>

#include <mindcore/types.h>

struct mc_child {
    pid_t pid;  /* 0 when none runs */
    int output; /* the read end of the pipe */
};

#define MC_CHILD_ARGUMENTS 64
struct mc_child_arguments {
    const char *items[MC_CHILD_ARGUMENTS];
    size_t count;
};
/* Adds arguments up to a NULL; false when there is no room. */
bool mc_child_add(struct mc_child_arguments *arguments, ...) __attribute__((sentinel));

MC_MUST_CHECK enum mc_status mc_child_start(struct mc_child *child,
                                            const struct mc_child_arguments *arguments,
                                            struct mc_error *err);
/* Sends SIGKILL. */
void mc_child_kill(const struct mc_child *child);
/* Closes the pipe and waits; the status of waitpid. */
int mc_child_wait(struct mc_child *child);

#endif
