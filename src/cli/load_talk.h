/*
 * What users and agents of a load test say: conversations about a few subjects, in which names, numbers, products and days
 * stay the same from turn to turn. A pure function of seed, slot and turn, so nothing of it is kept.
 *
 * About a quarter of the messages is trivial ("ok, thanks!"), as the tuning guide expects. A conversation has
 * MC_LOAD_TALK_TURNS turns; then its user begins another in a new thread and session.
 */
#ifndef MC_CLI_LOAD_TALK_H
#define MC_CLI_LOAD_TALK_H

#include "cli/load_schedule.h"

#define MC_LOAD_TALK_TURNS 8
#define MC_LOAD_USERS "loadtest-" /* how the ids of all users begin */
#define MC_LOAD_RUN_SIZE 16
#define MC_LOAD_ID_SIZE 64
#define MC_LOAD_TEXT_SIZE 640

struct mc_load_talk {
    uint64_t seed;
    char run[MC_LOAD_RUN_SIZE]; /* part of the users' ids, so that two runs do not meet */
};

struct mc_load_line {
    char user_id[MC_LOAD_ID_SIZE];
    char thread_id[MC_LOAD_ID_SIZE];
    char session_id[MC_LOAD_ID_SIZE];
    const char *role;
    char text[MC_LOAD_TEXT_SIZE]; /* of a message */
};

/* A message of a turn. */
void mc_load_talk_say(const struct mc_load_talk *talk, unsigned slot, unsigned turn,
                      enum mc_load_part part, struct mc_load_line *line);
/* The words that the agent searches for in a turn, in place of a message. */
void mc_load_talk_search(const struct mc_load_talk *talk, unsigned slot, unsigned turn,
                         struct mc_load_line *line);
/* A message of an earlier conversation of the slot's user; nth 0, 1, ... are one thread, user and agent by turns. */
void mc_load_talk_past(const struct mc_load_talk *talk, unsigned slot, unsigned nth,
                       struct mc_load_line *line);
/* The id of the slot's user. */
void mc_load_talk_user(const struct mc_load_talk *talk, unsigned slot, char id[MC_LOAD_ID_SIZE]);

#endif
