/*
 * What a load test says of the tuning guide's "Performance Checklist" and "Troubleshooting": each point decided from
 * what was measured and what is configured, with the option to change.
 *
 * fail: something suffered under this load. warn: the guide recommends otherwise, nothing measured suffered.
 * skipped: it cannot be told from here, or does not concern this load; the detail says why.
 */
#ifndef MC_CLI_LOAD_CHECK_H
#define MC_CLI_LOAD_CHECK_H

#include "cli/load_run.h"

enum mc_load_verdict { MC_LOAD_PASS, MC_LOAD_WARN, MC_LOAD_FAIL, MC_LOAD_SKIPPED };
const char *mc_load_verdict_name(enum mc_load_verdict verdict); /* "pass" */

struct mc_load_check {
    const char *name;
    enum mc_load_verdict verdict;
    char detail[256];
    char advice[256]; /* "" where nothing is to be done */
};

#define MC_LOAD_CHECKS 24
struct mc_load_checks {
    struct mc_load_check items[MC_LOAD_CHECKS];
    size_t count;
    bool failed; /* one of them did */
};

void mc_load_check_all(const struct mc_load_plan *plan, const struct mc_load_result *result,
                       const struct mc_load_target *target, struct mc_load_checks *checks);

#endif
