/*
 * The shared libraries that the program runs with, as the loader found them: those that Mindcore
 * chose (docs/dependencies.md), each with the version in the name of its file.
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
