/* The parts of a load test that work without an engine: rates, schedule, conversations, histogram, metrics. */
#include <math.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "base/utf8.h"
#include "cli/load_histogram.h"
#include "cli/load_metrics.h"
#include "cli/load_rate.h"
#include "cli/load_schedule.h"
#include "cli/load_talk.h"
#include "cli/random.h"
#include "message/input.h"
#include "tap.h"
#include "text/trivial.h"

#define SECOND MC_US_PER_SECOND

static bool close_to(double value, double wanted, double tolerance)
{
    return fabs(value - wanted) <= tolerance * wanted;
}

static void test_rates(void)
{
    const struct mc_load_profile *high = mc_load_profile_find(MC_STR("high"));
    double turns = mc_load_turn_rate(high, 10);
    double messages = mc_load_kind_rate(MC_LOAD_INGEST, turns);
    ok(close_to(messages, 100000 * 10 * MC_LOAD_PEAK_HOUR / 3600, 1e-9),
       "the busiest hour carries its share of the day: %g", messages);
    ok(close_to(mc_load_kind_rate(MC_LOAD_CONTEXT, turns), turns, 1e-9), "a context a turn");
    ok(!mc_load_profile_find(MC_STR("huge")), "an unknown profile");
    int last = 0;
    static const char *const names[] = {"hobbyist", "small", "medium", "high"};
    for (size_t i = 0; i < mc_countof(names); i++) {
        const struct mc_load_profile *profile = mc_load_profile_find(mc_str_of(names[i]));
        ok(profile && profile->workers > last, "%s has more workers than those below", names[i]);
        last = profile ? profile->workers : 0;
    }
}

static void test_durations(void)
{
    const struct {
        const char *text;
        int64_t want_us; /* -1: refused */
    } cases[] = {{"90", 90 * SECOND},
                 {"1s", SECOND},
                 {"1.5m", 90 * SECOND},
                 {"2h", 7200 * SECOND},
                 {"24h", 86400 * SECOND},
                 {"25h", -1},
                 {"0s", -1},
                 {"", -1},
                 {"s", -1},
                 {"5y", -1},
                 {"-5s", -1},
                 {"nan", -1}};
    for (size_t i = 0; i < mc_countof(cases); i++) {
        int64_t got_us = -1;
        bool good = mc_load_parse_duration(mc_str_of(cases[i].text), &got_us);
        is_int(good ? got_us : -1, cases[i].want_us, "a duration of '%s'", cases[i].text);
    }
}

struct tally {
    uint64_t kinds[MC_LOAD_KINDS], replies, tools;
    bool ordered, inside;
    uint64_t print; /* of everything */
};

static struct tally tally_of(uint64_t seed, double turn_rate, int64_t duration_us)
{
    struct mc_load_schedule schedule;
    struct mc_error err;
    struct mc_load_op op;
    struct tally tally = {.ordered = true, .inside = true};
    int64_t last_us = 0;
    if (mc_load_schedule_init(&schedule, seed, turn_rate, duration_us, &err) != MC_OK)
        bail_out("%s", err.message);
    while (mc_load_schedule_next(&schedule, &op)) {
        tally.kinds[op.kind]++;
        tally.replies += op.kind == MC_LOAD_INGEST && op.part == MC_LOAD_REPLY;
        tally.tools += op.kind == MC_LOAD_INGEST && op.part == MC_LOAD_TOOL;
        tally.ordered = tally.ordered && op.at_us >= last_us;
        tally.inside =
            tally.inside && op.at_us >= 0 && op.at_us < duration_us && op.slot < schedule.slots;
        tally.print = tally.print * 31 + (uint64_t)op.at_us + op.slot * 7 + op.turn * 3 + op.kind;
        last_us = op.at_us;
    }
    ok(!schedule.failed, "the schedule ended by itself");
    mc_load_schedule_fini(&schedule);
    return tally;
}

static void test_schedule(void)
{
    double turns = 50, seconds = 400;
    struct tally tally = tally_of(7, turns, (int64_t)seconds * SECOND);
    for (int i = 0; i < MC_LOAD_KINDS; i++) {
        double wanted = mc_load_kind_rate((enum mc_load_kind)i, turns) * seconds;
        ok(close_to((double)tally.kinds[i], wanted, 0.05), "%s: %llu of about %.0f",
           mc_load_kind_name((enum mc_load_kind)i), (unsigned long long)tally.kinds[i], wanted);
    }
    ok(close_to((double)tally.replies, turns * seconds, 0.05), "an answer a turn");
    ok(close_to((double)tally.tools, turns * seconds * MC_LOAD_TOOL_SHARE, 0.15), "tools speak");
    ok(tally.ordered && tally.inside, "in order of time, none outside");
    ok(tally_of(7, turns, (int64_t)seconds * SECOND).print == tally.print, "the same for a seed");
    ok(tally_of(8, turns, (int64_t)seconds * SECOND).print != tally.print, "another for another");
    tally = tally_of(3, 0.001, SECOND);
    ok(tally.ordered && tally.inside, "a rate at which nothing happens ends");
    is_int(mc_load_slots(0.001), 2, "few users");
    ok(mc_load_slots(1e9) <= 5000, "never too many users");
}

/* Checked as the engine checks what it is given. */
static bool is_message(const struct mc_load_line *line)
{
    const struct mc_message_input input = {.user_id = mc_str_of(line->user_id),
                                           .thread_id = mc_str_of(line->thread_id),
                                           .session_id = mc_str_of(line->session_id),
                                           .role = mc_str_of(line->role),
                                           .text = mc_str_of(line->text)};
    struct mc_error err;
    enum mc_role role;
    return mc_role_parse(input.role, &role) && input.text.len > 0 &&
           mc_utf8_check(input.text, NULL, NULL) &&
           !strchr(line->text, '{') == (role != MC_ROLE_TOOL) &&
           mc_input_check_id("user_id", input.user_id, &err) == MC_OK &&
           mc_input_check_id("thread_id", input.thread_id, &err) == MC_OK &&
           mc_input_check_id("session_id", input.session_id, &err) == MC_OK;
}

static void test_talk(void)
{
    const struct mc_load_talk talk = {.seed = 11, .run = "abc"};
    struct mc_load_line line, again;
    struct mc_error err;
    struct mc_trivial_detector *detector = NULL;
    unsigned good = 0, trivial = 0, all = 0;
    is_status(mc_trivial_new(&detector, MC_STR_NONE, &err), MC_OK, &err, "a detector");
    for (unsigned slot = 0; slot < 20; slot++) {
        for (unsigned turn = 0; turn < 50; turn++) {
            mc_load_talk_say(&talk, slot, turn, MC_LOAD_TOOL, &line);
            good += is_message(&line);
            for (int part = MC_LOAD_SAID; part <= MC_LOAD_REPLY; part += MC_LOAD_REPLY) {
                mc_load_talk_say(&talk, slot, turn, (enum mc_load_part)part, &line);
                good += is_message(&line);
                all++;
                trivial += mc_trivial_detect(detector, MC_ROLE_USER, mc_str_of(line.text), NULL);
            }
        }
    }
    mc_trivial_free(detector);
    is_int(good, 3 * 20 * 50, "every line can be stored");
    ok(trivial * 10 > 2 * all && trivial * 10 < 3 * all, "20 to 30 %% are trivial: %u of %u",
       trivial, all);
    mc_load_talk_say(&talk, 3, 9, MC_LOAD_SAID, &line);
    mc_load_talk_say(&talk, 3, 9, MC_LOAD_SAID, &again);
    is_str(line.text, again.text, "the same again");
    is_str(line.user_id, MC_LOAD_USERS "abc-3", "users of a run are named apart");
    is_str(line.thread_id, "talk-1", "the second conversation");
    mc_load_talk_search(&talk, 3, 9, &line);
    ok(line.text[0] && !strchr(line.text, '{'), "words to search for: %s", line.text);
    mc_load_talk_past(&talk, 3, 0, &line);
    ok(is_message(&line) && strcmp(line.role, "user") == 0, "an earlier conversation begins");
    mc_load_talk_past(&talk, 3, 1, &line);
    ok(is_message(&line) && strcmp(line.role, "assistant") == 0, "and is answered");
}

static int compare(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void test_histogram(void)
{
    enum { COUNT = 20000 };
    static struct mc_load_histogram histogram, small;
    static int64_t values[COUNT];
    static const double quantiles[] = {0, 0.01, 0.5, 0.95, 0.99, 0.999, 1};
    uint64_t state = 5;
    is_int(mc_load_histogram_quantile_us(&histogram, 0.5), 0, "of nothing");
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = (int64_t)exp(mc_random_unit(&state) * 20);
        mc_load_histogram_add(&histogram, values[i]);
    }
    qsort(values, COUNT, sizeof(values[0]), compare);
    for (size_t i = 0; i < mc_countof(quantiles); i++) {
        double rank = ceil(quantiles[i] * COUNT);
        int64_t truth = values[rank < 1 ? 0 : (size_t)rank - 1];
        int64_t got = mc_load_histogram_quantile_us(&histogram, quantiles[i]);
        ok(got >= truth && (double)got <= (double)truth * (1 + 1.0 / 64),
           "quantile %g: %lld for %lld", quantiles[i], (long long)got, (long long)truth);
    }
    is_int(mc_load_histogram_quantile_us(&histogram, 1), values[COUNT - 1],
           "the greatest is exact");
    for (int64_t us = 0; us < 128; us++)
        mc_load_histogram_add(&small, us);
    is_int(mc_load_histogram_quantile_us(&small, 0.5), 63, "short ones are exact");
    mc_load_histogram_add(&small, -5);
    mc_load_histogram_add(&small, INT64_MAX);
    is_int((int64_t)small.count, 130, "what is out of range is counted");
    is_int(small.max_us, (INT64_C(1) << MC_LOAD_LAST_BIT) - 1, "as the longest");
}

static void test_metrics(void)
{
    const mc_str before =
        MC_STR("# HELP x y\ndepth 3\nn_total{a=\"1\"} 5\nn_total{a=\"2\"} 1\n"
               "t_seconds_bucket{m=\"x\",le=\"0.001\"} 10\n"
               "t_seconds_bucket{m=\"x\",le=\"0.0025\"} 10\n"
               "t_seconds_bucket{m=\"x\",le=\"2.0\"} 10\nt_seconds_count{m=\"x\"} 10\n");
    const mc_str after =
        MC_STR("depth 3.5\ndepths 9\nn_total{a=\"1\"} 9\nn_total{a=\"2\"} 1\n"
               "t_seconds_bucket{m=\"x\",le=\"0.001\"} 10\n"
               "t_seconds_bucket{m=\"x\",le=\"0.0025\"} 20\n"
               "t_seconds_bucket{m=\"x\",le=\"2.0\"} 30\nt_seconds_count{m=\"x\"} 30\n");
    ok(close_to(mc_load_metric(after, "depth", ""), 3.5, 1e-9), "a gauge");
    ok(close_to(mc_load_metric(after, "n_total", ""), 10, 1e-9), "a sum of series");
    ok(close_to(mc_load_metric(after, "n_total", "a=\"1\""), 9, 1e-9), "one of them");
    ok(isnan(mc_load_metric(after, "n", "")), "no such metric");
    ok(close_to(mc_load_grown(before, after, "n_total", ""), 4, 1e-9), "what has grown");
    ok(close_to(mc_load_grown(after, before, "n_total", ""), 6, 1e-9), "after a restart");
    is_int((int64_t)mc_load_grown(before, after, "none", ""), 0, "what is not there");
    ok(close_to(mc_load_quantile(before, after, "t_seconds", 0.5), 0.0025, 1e-9), "the median");
    ok(isnan(mc_load_quantile(after, after, "t_seconds", 0.5)), "of nothing");
}

int main(void)
{
    test_rates();
    test_durations();
    test_schedule();
    test_talk();
    test_histogram();
    test_metrics();
    return done_testing();
}
