/*
 * The libraries that the program was built with (docs/dependencies.md), each with its version, as
 * the build found them.
 */
#ifndef MC_CLI_LIBRARIES_H
#define MC_CLI_LIBRARIES_H

#include "base/json.h"
#include "cli/output.h"

/* An object {name: version}. */
void mc_libraries_write(struct mc_json_writer *writer);
/* One line each. */
void mc_libraries_print(struct mc_out *out);

#endif
