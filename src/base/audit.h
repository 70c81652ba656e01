/*
 * The audit log: who did what that only an administrator may do, one JSON object a line, in a file that is
 * only added to. The file is opened for each line, so that it may be moved away at any time. Thread-safe;
 * processes may share a file.
 */
#ifndef MC_BASE_AUDIT_H
#define MC_BASE_AUDIT_H

#include <mindcore/types.h>

/* Strings are borrowed; absent ones are left out. */
struct mc_audit_act {
    const char *act;    /* "eraseUser"; "erase" of the command line */
    const char *result; /* "done", "refused", "failed" */
    mc_str target;      /* what it was done to: "/v1/users/ann", or an operand */
    mc_str who;         /* the id of a key, or the name of the user who ran the command */
    mc_str from;        /* address of the client */
    mc_str request_id;
};

/* MC_CONFIG naming the option logging.audit when nothing can be added to the file. */
MC_MUST_CHECK enum mc_status mc_audit_check(const char *path, struct mc_error *err);
/* A line that cannot be written goes to the log as an error. */
void mc_audit_write(const char *path, const struct mc_audit_act *act);

#endif
