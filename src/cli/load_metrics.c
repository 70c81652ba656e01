#include "cli/load_metrics.h"

#include <math.h>
#include <stdio.h>

#include "base/metrics_table.h"
#include "base/str.h"

#define UNKNOWN ((double)NAN)

/* True when the labels, which stand in braces, hold the label. */
static bool has_label(mc_str labels, mc_str label)
{
    for (size_t i = 0; i + label.len <= labels.len; i++) {
        if (memcmp(labels.data + i, label.data, label.len) == 0)
            return true;
    }
    return false;
}

double mc_load_metric(mc_str text, const char *name, const char *label)
{
    mc_str line, wanted = mc_str_of(name);
    double sum = UNKNOWN;
    while (text.len > 0 && mc_str_split(&text, '\n', &line)) {
        double value;
        if (!mc_str_starts(line, wanted))
            continue;
        mc_str rest = {line.data + wanted.len, line.len - wanted.len};
        mc_str labels = {rest.data, 0};
        while (labels.len < rest.len && rest.data[labels.len] != ' ')
            labels.len++;
        mc_str number = {rest.data + labels.len, rest.len - labels.len};
        if ((labels.len > 0 && labels.data[0] != '{') || !has_label(labels, mc_str_of(label)) ||
            !mc_str_to_double(mc_str_trim(number), &value))
            continue;
        sum = isnan(sum) ? value : sum + value;
    }
    return sum;
}

double mc_load_grown(mc_str before, mc_str after, const char *name, const char *label)
{
    double first = mc_load_metric(before, name, label);
    double last = mc_load_metric(after, name, label);
    if (isnan(last))
        return 0;
    return isnan(first) || last < first ? last : last - first;
}

double mc_load_quantile(mc_str before, mc_str after, const char *name, double q)
{
#define X(seconds, us) {"le=\"" seconds "\"", (double)(us) / 1e6},
    static const struct {
        const char *label;
        double seconds;
    } bounds[] = {MC_METRIC_BOUND_MAP(X)};
#undef X
    char count[128], bucket[128];
    snprintf(count, sizeof(count), "%s_count", name);
    snprintf(bucket, sizeof(bucket), "%s_bucket", name);
    double all = mc_load_grown(before, after, count, "");
    double below = 0, from = 0;
    if (!(all > 0))
        return UNKNOWN;
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        double upto = mc_load_grown(before, after, bucket, bounds[i].label);
        if (upto >= q * all)
            return from + (bounds[i].seconds - from) * (q * all - below) /
                              (upto > below ? upto - below : 1);
        below = upto;
        from = bounds[i].seconds;
    }
    return from;
}
