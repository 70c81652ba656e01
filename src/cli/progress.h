/*
 * A progress bar on standard error: only on a terminal, only for work that takes longer than half a
 * second, drawn at most ten times a second. One thread at a time.
 */
#ifndef MC_CLI_PROGRESS_H
#define MC_CLI_PROGRESS_H

#include <mindcore/types.h>

struct mc_progress {
    const char *what; /* "import" */
    const char *unit; /* "messages", "B" */
    bool shown;       /* the terminal takes it */
    bool drawn;
    int64_t start_us;
    int64_t last_us;
};

void mc_progress_start(struct mc_progress *progress, const char *what, const char *unit,
                       bool quiet);
/* An mc_progress_fn whose context is a struct mc_progress; total 0 when unknown. Always true. */
bool mc_progress_update(void *context, uint64_t done, uint64_t total);
/* Clears the line. */
void mc_progress_stop(struct mc_progress *progress);

#endif
