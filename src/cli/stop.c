#include "cli/stop.h"

#include <signal.h>

#include "cli/progress.h"

static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

void mc_stop_catch(void)
{
    struct sigaction action = {.sa_handler = stop, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool mc_stop_update(void *context, uint64_t done, uint64_t total)
{
    return mc_progress_update(context, done, total) && !stopped;
}
