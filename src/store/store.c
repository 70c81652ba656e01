#include "store/store.h"

#include <stdlib.h>

void mc_jobs_fini(struct mc_jobs *jobs)
{
    for (size_t i = 0; i < jobs->count; i++)
        mc_record_unref(jobs->items[i].record);
    free(jobs->items);
    *jobs = (struct mc_jobs){0};
}

void mc_match_result_fini(struct mc_match_result *result)
{
    free(result->items);
    *result = (struct mc_match_result){0};
}
