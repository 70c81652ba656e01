/*
 * What the three processes of crashtest share: the parent that kills (cmd_crashtest.c), the writer
 * that is killed (crash_writer.c), the verifier (crash_verify.c).
 *
 * Every message is a pure function of seed, run, thread and sequence, so that the verifier knows
 * what must be stored without being told. Its session id is its name, "r3-t1-s27": two messages
 * with the same name are one message stored twice.
 *
 * The writer prints lines on standard output: "R" once it is ready; "A MESSAGE_ID NAME HASH" when
 * an ingest has returned; "F NAME: TEXT" when one failed because the database was not there, and "V TEXT"
 * when something is wrong. The parent keeps the A lines in a file
 * that the verifier reads; it prints a JSON object of counts.
 */
#ifndef MC_CLI_CRASH_H
#define MC_CLI_CRASH_H

#include <mindcore/message.h>

#define MC_CRASH_ID_SIZE 96
#define MC_CRASH_USERS "crashtest-" /* how the ids of all its users begin */
#define MC_CRASH_NAME_SIZE 64
#define MC_CRASH_TEXT_SIZE 1024

struct mc_crash_name {
    unsigned run;
    unsigned thread;
    unsigned sequence;
};

struct mc_crash_message {
    char name[MC_CRASH_NAME_SIZE];
    char message_id[MC_CRASH_ID_SIZE]; /* "" where the engine gives the id */
    char user_id[MC_CRASH_ID_SIZE];
    char thread_id[MC_CRASH_ID_SIZE];
    char text[MC_CRASH_TEXT_SIZE];
    const char *role;
};

/* The message of a name. */
void mc_crash_make(uint64_t seed, struct mc_crash_name name, struct mc_crash_message *message);
/* "r3-t1-s27" back into its parts. */
bool mc_crash_parse(mc_str text, struct mc_crash_name *name);

#endif
