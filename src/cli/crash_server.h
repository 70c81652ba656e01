/*
 * A PostgreSQL server of crashtest's own, in a temporary folder and on a socket there, that is killed and started
 * again. It ends with this process, whatever becomes of it. As root it runs as `postgres` or `nobody`.
 */
#ifndef MC_CLI_CRASH_SERVER_H
#define MC_CLI_CRASH_SERVER_H

#include <sys/types.h>

#include <mindcore/types.h>

struct mc_crash_server {
    char folder[96]; /* "" before it is made; short, as it names the socket */
    char programs[256];
    char url[384]; /* for --db */
    pid_t pid;     /* 0 when it does not run */
};

/* Makes a cluster and starts it. MC_NOT_FOUND: no server is installed. Ended with mc_crash_server_stop in any case. */
MC_MUST_CHECK enum mc_status mc_crash_server_make(struct mc_crash_server *server,
                                                  struct mc_error *err);
/* Kills it: with SIGKILL, or at once and in order (`pg_ctl stop -m immediate`). */
void mc_crash_server_kill(struct mc_crash_server *server, bool in_order);
/* Starts it again after that; returns when its socket takes connections. */
MC_MUST_CHECK enum mc_status mc_crash_server_start(struct mc_crash_server *server,
                                                   struct mc_error *err);
/* Ends it and removes the folder. Accepts one that is all zero. */
void mc_crash_server_stop(struct mc_crash_server *server);

#endif
