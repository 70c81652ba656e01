#include "cli/crash_server.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/time.h"
#include "cli/folder.h"

#define START_US (60 * MC_US_PER_SECOND)
#define LOOK_NS 5000000
#define PATH_SIZE 512
#define SOCKET "/.s.PGSQL.5432" /* the port is part of its name only */

static bool find_programs(struct mc_crash_server *server)
{
    static const char *const PLACES[] = {"/usr/lib/postgresql/17/bin", "/usr/lib/postgresql/16/bin",
                                         "/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/14/bin",
                                         "/usr/local/pgsql/bin",       "/usr/bin"};
    const char *given = getenv("MINDCORE_TEST_POSTGRES");
    for (size_t i = 0; i <= mc_countof(PLACES); i++) {
        const char *place = i == 0 ? given : PLACES[i - 1];
        char path[PATH_SIZE];
        if (!place)
            continue;
        snprintf(path, sizeof(path), "%s/initdb", place);
        snprintf(server->programs, sizeof(server->programs), "%s", place);
        if (access(path, X_OK) == 0)
            return true;
    }
    return false;
}

/* Who the server runs as, which refuses to be root; NULL: as this process. */
static const struct passwd *other_user(void)
{
    if (geteuid() != 0)
        return NULL;
    const struct passwd *user = getpwnam("postgres");
    return user ? user : getpwnam("nobody");
}

/* In the child: becomes the program, its output in the folder's file `log`. */
static void become(const struct mc_crash_server *server, const struct passwd *user,
                   const char *const argv[])
{
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%s/log", server->folder);
    int log = open(path, O_CREAT | O_APPEND | O_WRONLY, 0666);
    if (log < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
        _exit(126);
    if (user && (setgroups(0, NULL) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    setenv("LC_ALL", "C", 1);
    execv(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static pid_t spawn(const struct mc_crash_server *server, const char *const argv[])
{
    const struct passwd *user = other_user();
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        become(server, user, argv);
    return pid;
}

static bool wait_for(pid_t pid, int *state)
{
    while (waitpid(pid, state, 0) < 0)
        if (errno != EINTR)
            return false;
    return true;
}

static enum mc_status make_cluster(const struct mc_crash_server *server, struct mc_error *err)
{
    char program[PATH_SIZE], data[PATH_SIZE];
    int state = -1;
    snprintf(program, sizeof(program), "%s/initdb", server->programs);
    snprintf(data, sizeof(data), "%s/data", server->folder);
    const char *const argv[] = {program, "-D", data,   "-U",         "postgres",  "-A",
                                "trust", "-E", "UTF8", "--locale=C", "--no-sync", NULL};
    pid_t pid = spawn(server, argv);
    if (pid < 0 || !wait_for(pid, &state) || state != 0)
        return mc_fail(err, MC_IO, "initdb failed; see '%s/log'", server->folder);
    return MC_OK;
}

static bool takes_connections(const struct mc_crash_server *server)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int len = snprintf(address.sun_path, sizeof(address.sun_path), "%.90s" SOCKET, server->folder);
    if (len < 0 || (size_t)len >= sizeof(address.sun_path))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool taken = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    if (fd >= 0)
        close(fd);
    return taken;
}

enum mc_status mc_crash_server_start(struct mc_crash_server *server, struct mc_error *err)
{
    char program[PATH_SIZE], data[PATH_SIZE];
    snprintf(program, sizeof(program), "%s/postgres", server->programs);
    snprintf(data, sizeof(data), "%s/data", server->folder);
    /* What is written survives the death of processes without fsync. */
    const char *const argv[] = {program,
                                "-D",
                                data,
                                "-k",
                                server->folder,
                                "-p",
                                "5432",
                                "-c",
                                "listen_addresses=",
                                "-c",
                                "fsync=off",
                                "-c",
                                "shared_buffers=32MB",
                                NULL};
    int64_t until_us = mc_time_monotonic_us() + START_US;
    while (mc_time_monotonic_us() < until_us) {
        int state;
        /* It refuses to start while processes of the one that was killed are still there. */
        if (server->pid == 0)
            server->pid = spawn(server, argv);
        if (server->pid < 0)
            break;
        if (waitpid(server->pid, &state, WNOHANG) == server->pid)
            server->pid = 0;
        else if (takes_connections(server))
            return MC_OK;
        nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
    }
    if (server->pid < 0)
        server->pid = 0;
    return mc_fail(err, MC_IO, "PostgreSQL does not start; see '%s/log'", server->folder);
}

enum mc_status mc_crash_server_make(struct mc_crash_server *server, struct mc_error *err)
{
    const struct passwd *user = other_user();
    *server = (struct mc_crash_server){.pid = 0};
    if (!find_programs(server))
        return mc_fail(err, MC_NOT_FOUND,
                       "PostgreSQL's server is not installed; install it, or name the folder of "
                       "initdb and postgres in MINDCORE_TEST_POSTGRES");
    enum mc_status status =
        mc_folder_make("mindcore-crash-pg", server->folder, sizeof(server->folder), err);
    if (status != MC_OK)
        return status;
    if (user && chown(server->folder, user->pw_uid, user->pw_gid) != 0)
        return mc_fail(err, MC_IO, "cannot give '%s' to %s: %s", server->folder, user->pw_name,
                       strerror(errno));
    size_t len = (size_t)snprintf(server->url, sizeof(server->url), "postgresql://postgres@");
    for (const char *c = server->folder; *c && len + 12 < sizeof(server->url); c++)
        len += (size_t)snprintf(server->url + len, sizeof(server->url) - len, "%%%02X",
                                (unsigned)(unsigned char)*c);
    snprintf(server->url + len, sizeof(server->url) - len, "/postgres");
    status = make_cluster(server, err);
    return status == MC_OK ? mc_crash_server_start(server, err) : status;
}

void mc_crash_server_kill(struct mc_crash_server *server, bool in_order)
{
    int state;
    if (server->pid <= 0)
        return;
    kill(server->pid, in_order ? SIGQUIT : SIGKILL);
    wait_for(server->pid, &state);
    server->pid = 0;
}

void mc_crash_server_stop(struct mc_crash_server *server)
{
    mc_crash_server_kill(server, true);
    if (server->folder[0])
        mc_folder_remove(server->folder);
    server->folder[0] = '\0';
}
