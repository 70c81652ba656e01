/* The result of a load test as a table for people, or as one JSON object. */
#ifndef MC_CLI_LOAD_REPORT_H
#define MC_CLI_LOAD_REPORT_H

#include "cli/load_check.h"

struct mc_load_outcome {
    const struct mc_load_plan *plan;
    const struct mc_load_result *result;
    const struct mc_load_target *target;
    const struct mc_load_checks *checks;
};

void mc_load_report_table(const struct mc_load_outcome *outcome, struct mc_out *out);
MC_MUST_CHECK enum mc_status mc_load_report_json(const struct mc_load_outcome *outcome,
                                                 struct mc_error *err);

#endif
