#include "cli/load_rate.h"

#include "base/compiler.h"
#include "base/str.h"
#include "base/time.h"

#define MESSAGES_A_TURN (2 + MC_LOAD_TOOL_SHARE)

/*
 * The guide gives the highest level no upper end; it speaks of 10,000 conversations a day in production, which at ten
 * messages each are 100,000.
 */
static const struct mc_load_profile profiles[] = {
    {"hobbyist", 1000, 1, false, false, false, false},
    {"small", 10000, 2, true, false, false, false},
    {"medium", 50000, 4, true, true, true, false},
    {"high", 100000, 8, true, true, true, true},
};

const char *mc_load_kind_name(enum mc_load_kind kind)
{
    static const char *const names[] = {"ingest", "context", "search", "recent"};
    return names[kind];
}

const struct mc_load_profile *mc_load_profile_find(mc_str name)
{
    for (size_t i = 0; i < mc_countof(profiles); i++) {
        if (mc_str_equal(mc_str_of(profiles[i].name), name))
            return &profiles[i];
    }
    return NULL;
}

double mc_load_turn_rate(const struct mc_load_profile *profile, double times)
{
    double messages_per_second =
        (double)profile->messages_per_day * MC_LOAD_PEAK_HOUR / 3600 * times;
    return messages_per_second / MESSAGES_A_TURN;
}

double mc_load_kind_rate(enum mc_load_kind kind, double turns_per_second)
{
    static const double a_turn[] = {MESSAGES_A_TURN, 1, MC_LOAD_SEARCH_SHARE, MC_LOAD_RECENT_SHARE};
    return a_turn[kind] * turns_per_second;
}

bool mc_load_parse_duration(mc_str text, int64_t *duration_us)
{
    static const struct {
        char letter;
        double seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}};
    double unit = 1, number;
    mc_str digits = text;
    for (size_t i = 0; text.len > 0 && i < mc_countof(units); i++) {
        if (text.data[text.len - 1] == units[i].letter) {
            unit = units[i].seconds;
            digits.len = text.len - 1;
        }
    }
    if (!mc_str_to_double(digits, &number) || !(number * unit >= 1) || number * unit > 86400)
        return false;
    *duration_us = (int64_t)(number * unit * (double)MC_US_PER_SECOND);
    return true;
}
