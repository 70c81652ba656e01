/*
 * How much load a profile means: the levels of the tuning guide, and how a day becomes a rate.
 *
 * A day is not even. The rate is that of its busiest hour, which carries MC_LOAD_PEAK_HOUR of the day's messages:
 * telephone networks, whose users sleep as those of agents do, are planned with a busy hour of 10 to 20 % of the day.
 *
 * A turn of a conversation is a message of the user, a context that the agent reads before it answers, and the answer. Some
 * turns also show the newest messages of the thread, search, or store what a tool said.
 */
#ifndef MC_CLI_LOAD_RATE_H
#define MC_CLI_LOAD_RATE_H

#include <mindcore/types.h>

#define MC_LOAD_PEAK_HOUR 0.15
#define MC_LOAD_TOOL_SHARE 0.1   /* of turns */
#define MC_LOAD_RECENT_SHARE 0.5 /* of turns: the application opens the thread */
#define MC_LOAD_SEARCH_SHARE 0.2 /* of turns: the agent looks something up */

enum mc_load_kind {
    MC_LOAD_INGEST,
    MC_LOAD_CONTEXT,
    MC_LOAD_SEARCH,
    MC_LOAD_RECENT,
    MC_LOAD_KINDS
};
const char *mc_load_kind_name(enum mc_load_kind kind); /* "ingest" */

/* A level of the guide: its upper end, and what "Load-Specific Configurations" recommends for it. */
struct mc_load_profile {
    const char *name;
    int64_t messages_per_day;
    int workers;
    bool persistent_cache;
    bool postgres;
    bool monitoring;
    bool high; /* what the guide adds for high load */
};
const struct mc_load_profile *mc_load_profile_find(mc_str name); /* NULL when there is none */

/* Turns a second in the busiest hour; and operations of a kind. */
double mc_load_turn_rate(const struct mc_load_profile *profile, double times);
double mc_load_kind_rate(enum mc_load_kind kind, double turns_per_second);

/* "90", "90s", "1.5m", "2h" in microseconds, 1 s to 24 h; false for anything else. */
bool mc_load_parse_duration(mc_str text, int64_t *duration_us);

#endif
