/* A result as people read it: any JSON value, sizes and durations. */
#ifndef MC_CLI_SHOW_H
#define MC_CLI_SHOW_H

#include "base/json.h"
#include "cli/output.h"

/* Any JSON value for people: aligned names and values, inner objects as sections, lists as tables.
 */
void mc_show_json(struct mc_out *out, const struct mc_json *value);

/* A list of {ok, detail, advice} and what was checked under the key: one line each, and what to do. */
void mc_show_checks(struct mc_out *out, const struct mc_json *checks, const char *key);

/* "3.4 MiB", "2 h 5 min", "0.8 ms". */
#define MC_HUMAN_SIZE 32
void mc_human_bytes(double bytes, char text[MC_HUMAN_SIZE]);
void mc_human_seconds(double seconds, char text[MC_HUMAN_SIZE]);

#endif
