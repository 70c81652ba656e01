/*
 * A load test while it runs: its phases and what is measured in them.
 *
 * The load is open: each operation has its time, and its latency counts from that time and not from when a thread was free
 * for it, so that a stall shows in every operation that it delays. What was not even begun five seconds after the
 * end is counted as not sent, and its wait so far as its latency.
 */
#ifndef MC_CLI_LOAD_RUN_H
#define MC_CLI_LOAD_RUN_H

#include <signal.h>

#include "base/thread.h"
#include "cli/load_histogram.h"
#include "cli/load_rate.h"
#include "cli/load_target.h"

#define MC_LOAD_FAILURES 16
#define MC_LOAD_METRICS_BYTES ((size_t)4 << 20)

struct mc_load_plan {
    const struct mc_load_profile *profile;
    double times;
    int64_t duration_us;
    unsigned clients;
    struct mc_load_talk talk;
};

struct mc_load_count {
    uint64_t scheduled, done, failed, not_sent; /* scheduled: due before the end */
    uint64_t in_time;                           /* of those done: before the end */
    struct mc_load_histogram latency;           /* of all of them */
};

/* Failures of one kind. */
struct mc_load_failure {
    enum mc_load_kind operation;
    char kind[60];
    char first[448]; /* the first one's message */
    uint64_t count;
};

struct mc_load_result {
    int64_t elapsed_us;
    int64_t late_most_us; /* how long after its time an operation was begun, or not even then */
    int64_t
        late_at_end_us; /* how long those had waited that were not begun at the end of the load */
    bool interrupted;
    unsigned users;
    struct mc_load_count counts[MC_LOAD_KINDS];
    struct mc_load_failure failures[MC_LOAD_FAILURES]; /* the last one takes what has no room */
    size_t failure_count;
    struct mc_buf before,
        after;       /* the metrics at the start and, as far as they could be read, at the end */
    bool unreadable; /* they could not be read at the end */
    double depth_most, depth_at_end, oldest_most_s;
    double resident_start, resident_half, resident_end, resident_most; /* bytes */
    int64_t drained_us;                   /* -1: not within the limit */
    struct mc_json *facts[MC_LOAD_FACTS]; /* NULL: could not be asked */
};

struct mc_load_run {
    const struct mc_load_plan *plan;
    struct mc_load_target *target;
    struct mc_cli *cli;
    const sigset_t *signals; /* that end it early; blocked */
    bool interrupted;
    mc_mutex mutex; /* guards the rest, and of the result counts, lateness and failures */
    mc_cond wake;
    struct mc_load_schedule schedule;
    int64_t start_us;
    int64_t end_us; /* of the load, since the start */
    bool stopped;
    unsigned running; /* threads */
    struct mc_load_result *result;
};

/*
 * The phases in order: earlier conversations are stored, which warms up; the load; waiting until the queue is empty; and
 * removing the users. An interruption ends the phase; the caller goes on with those that are to be gone through.
 */
MC_MUST_CHECK enum mc_status mc_load_warm(struct mc_load_run *run, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_load_drive(struct mc_load_run *run, struct mc_error *err);
void mc_load_drain(struct mc_load_run *run);
/* *left: users that are still there. */
MC_MUST_CHECK enum mc_status mc_load_clean(struct mc_load_run *run, unsigned *left,
                                           struct mc_error *err);
/* Looks for a signal, for at most so long; remembers it, and lets a second one end the program. */
bool mc_load_interrupted(struct mc_load_run *run, int64_t wait_us);

#endif
