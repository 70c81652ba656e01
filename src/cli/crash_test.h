/*
 * A run of crashtest in the parent, and the processes that it starts (crash_children.c): the writer, whose words it
 * hears until it kills it, and the verifier.
 */
#ifndef MC_CLI_CRASH_TEST_H
#define MC_CLI_CRASH_TEST_H

#include <stdio.h>

#include "base/buf.h"
#include "cli/child.h"
#include "cli/cli.h"
#include "cli/crash.h"
#include "cli/crash_server.h"

#define MC_CRASH_PATH_BYTES 3072
#define MC_CRASH_THREADS_MOST 64

struct mc_crash_counts {
    uint64_t kills;
    uint64_t early; /* killed before the writer was ready */
    uint64_t acknowledged;
    uint64_t unanswered; /* failed because the database was gone, and the writer went on */
    uint64_t messages;
    uint64_t verified;
    uint64_t lost;
    uint64_t duplicated;
    uint64_t altered;
    uint64_t stuck;
    uint64_t unsound;
    uint64_t failed; /* a process ended by itself or said that something is wrong */
};

struct mc_crash_test {
    struct mc_cli *cli;
    const char *db; /* a PostgreSQL database; NULL: a file in each round's folder */
    bool kills_database;
    struct mc_crash_server server; /* what is killed, if it is not killed by a command */
    char dir[MC_CRASH_PATH_BYTES];
    char round_dir[MC_CRASH_PATH_BYTES + 32];
    FILE *acknowledged;
    uint64_t seed;
    uint64_t random;
    unsigned run;
    unsigned threads;
    struct mc_crash_counts counts;
    /* Of each thread: acknowledged last in this run; sequence 0 for none. */
    struct mc_crash_name last[MC_CRASH_THREADS_MOST];
    struct mc_buf heard; /* an unfinished line of the writer */
    bool ready;
    int64_t start_us; /* that the last writer took to be ready */
};

/* Starts the writer of the next run, which mc_crash_writer_end ends. */
MC_MUST_CHECK enum mc_status mc_crash_writer_start(struct mc_crash_test *test,
                                                   struct mc_child *writer, struct mc_error *err);
/* Listens until the deadline or, with until_ready, until the writer is ready; false when it ended. */
bool mc_crash_writer_listen(struct mc_crash_test *test, const struct mc_child *writer,
                            int64_t deadline_us, bool until_ready);
/* Kills it, and hears what it said until then. */
void mc_crash_writer_end(struct mc_crash_test *test, struct mc_child *writer);

/* Adds to the counts what became of the messages of the round; a verifier that fails is counted, too. */
MC_MUST_CHECK enum mc_status mc_crash_round_verify(struct mc_crash_test *test,
                                                   struct mc_error *err);
/* MC_CONFLICT: the database of --db is not free. */
MC_MUST_CHECK enum mc_status mc_crash_database_check(struct mc_crash_test *test,
                                                     struct mc_error *err);

#endif
