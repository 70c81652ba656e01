#include "message/decay.h"

#include <math.h>

double mc_importance_at(double importance, int64_t created_at_us, int64_t half_life_us,
                        int64_t now_us)
{
    if (now_us <= created_at_us || half_life_us <= 0)
        return importance;
    double age = (double)now_us - (double)created_at_us;
    double decayed = importance * exp2(-age / (double)half_life_us);
    return fmax(decayed, fmin(importance, MC_IMPORTANCE_FLOOR));
}
