/* Folders to work in that are removed with everything in them. */
#ifndef MC_CLI_FOLDER_H
#define MC_CLI_FOLDER_H

#include <mindcore/types.h>

/* Makes a folder of that prefix in TMPDIR, else in /tmp, and writes its path. */
MC_MUST_CHECK enum mc_status mc_folder_make(const char *prefix, char *path, size_t size,
                                            struct mc_error *err);
void mc_folder_remove(const char *path);

#endif
