#include "memory/pace.h"

#include <errno.h>
#include <time.h>

#include "base/time.h"

/* A step: about so long, of so many messages. */
#define STEP_US 1500
#define STEP_ROWS_MIN 10
#define STEP_ROWS_MAX 500
#define REST 2 /* after a step, so many times as long */
#define REST_MAX_US 250000

static void rest(int64_t time_us)
{
    struct timespec left = {time_us / MC_US_PER_SECOND, time_us % MC_US_PER_SECOND * 1000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

void mc_pace(size_t *batch, int64_t began_us, int64_t messages)
{
    int64_t took_us = mc_time_monotonic_us() - began_us;
    rest(took_us * REST < REST_MAX_US ? took_us * REST : REST_MAX_US);
    if (messages == 0)
        return;
    /* Not more than twice or half as many: one step may have met a slow moment. */
    double fitting = (double)messages * STEP_US / (double)(took_us > 0 ? took_us : 1);
    double least = (double)*batch / 2, most = (double)*batch * 2;
    fitting = fitting < least ? least : fitting > most ? most : fitting;
    *batch = fitting < STEP_ROWS_MIN   ? STEP_ROWS_MIN
             : fitting > STEP_ROWS_MAX ? STEP_ROWS_MAX
                                       : (size_t)fitting;
}
