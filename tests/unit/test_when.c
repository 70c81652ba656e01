/* The times that questions name, and how well messages fit them. */
#include "tap.h"

#include "base/arena.h"
#include "base/compiler.h"
#include "base/str.h"
#include "base/time.h"
#include "text/when.h"

static struct mc_when when_of(const char *text, int64_t now_us)
{
    struct mc_arena arena;
    struct mc_tokens tokens;
    struct mc_when when;
    mc_arena_init(&arena, 1U << 20);
    if (!mc_tokens_of(mc_str_of(text), 2048, &arena, &tokens))
        bail_out("out of memory");
    mc_when_of(&tokens, now_us, &when);
    mc_arena_fini(&arena);
    return when;
}

/* "2026-03-18" and a span as "2026-03-01 2026-04-01"; "-" for no time; "month 5" for one of any year. */
static int64_t day_us(const char *text)
{
    int year = 0, month = 0, day = 0;
    if (sscanf(text, "%d-%d-%d", &year, &month, &day) != 3)
        bail_out("bad date in a test: %s", text);
    return mc_time_from_civil(year, month, day);
}

static void describe(const struct mc_when *when, char text[64])
{
    char from[MC_TIME_TEXT_SIZE], until[MC_TIME_TEXT_SIZE];
    if (!when->given) {
        snprintf(text, 64, "-");
    } else if (when->month) {
        snprintf(text, 64, "month %d", when->month);
    } else {
        mc_time_format(when->from_us, from);
        mc_time_format(when->until_us, until);
        snprintf(text, 64, "%.10s %.10s", from, until);
    }
}

struct row {
    const char *text, *now, *want;
};

static void test_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char got[64];
        struct mc_when when = when_of(rows[i].text, day_us(rows[i].now) + MC_US_PER_DAY / 2);
        describe(&when, got);
        is_str(got, rows[i].want, "%s (on %s)", rows[i].text, rows[i].now);
    }
}

/* A Wednesday. */
#define NOW "2026-03-18"

static void test_dates(void)
{
    static const struct row rows[] = {
        {"what did we plan on 2023-05-07?", NOW, "2023-05-07 2023-05-08"},
        {"what happened on 7 May 2023", NOW, "2023-05-07 2023-05-08"},
        {"what happened on May 7, 2023", NOW, "2023-05-07 2023-05-08"},
        {"on the 7th of May, 2023, what rained?", NOW, "2023-05-07 2023-05-08"},
        {"where was I on 1st January 2024", NOW, "2024-01-01 2024-01-02"},
        {"the trip of 29 February 2024", NOW, "2024-02-29 2024-03-01"},
        {"the trip of 2024-02-29", NOW, "2024-02-29 2024-03-01"},
        {"the trip of 30 February 2023", NOW, "2023-02-01 2023-03-01"},
        {"the trip of 2023-02-29", NOW, "2023-01-01 2024-01-01"},
        {"the trip of February 30, 2023", NOW, "2023-02-01 2023-03-01"},
        {"New Year's Eve was 31 December 1999", NOW, "1999-12-31 2000-01-01"},
        {"what did I read in May 2023?", NOW, "2023-05-01 2023-06-01"},
        {"what did I read in December of 2023?", NOW, "2023-12-01 2024-01-01"},
        {"what did I read in May?", NOW, "month 5"},
        {"what did I do on 7 May?", NOW, "2025-05-07 2025-05-08"},
        {"what did I do on May 7?", NOW, "2025-05-07 2025-05-08"},
        {"what did I do on the 18th of March?", NOW, "2026-03-18 2026-03-19"},
        {"what did I do on March 19?", NOW, "2025-03-19 2025-03-20"},
        {"what did I say on February 29?", "2026-11-23", "2024-02-29 2024-03-01"},
        {"what did I say on 29 February?", "2024-02-29", "2024-02-29 2024-03-01"},
        {"what did I say on 29 February?", "2024-02-28", "2020-02-29 2020-03-01"},
        {"what did I say on 29 February?", "1903-05-01", "1896-02-29 1896-03-01"},
        {"what did I say on February 30?", NOW, "-"},
        {"what did I say on April 31?", NOW, "-"},
        {"what did I say on 31 April?", NOW, "-"},
        {"who won in 2023?", NOW, "2023-01-01 2024-01-01"},
        {"the 2023 budget", NOW, "2023-01-01 2024-01-01"},
        {"who was born in 1984?", NOW, "1984-01-01 1985-01-01"},
        {"room 1984", NOW, "-"},
        {"order 20231", NOW, "-"},
        {"in 2500", NOW, "-"},
        {"2023-13-01 is no date", NOW, "2023-01-01 2024-01-01"},
        {"the 32nd of May", NOW, "month 5"},
    };
    test_rows(rows, mc_countof(rows));
}

static void test_relative(void)
{
    static const struct row rows[] = {
        {"what did I eat today?", NOW, "2026-03-18 2026-03-19"},
        {"what did I eat yesterday?", NOW, "2026-03-17 2026-03-18"},
        {"yesterday", "2024-03-01", "2024-02-29 2024-03-01"},
        {"yesterday", "2026-01-01", "2025-12-31 2026-01-01"},
        {"what is planned for tomorrow?", NOW, "2026-03-19 2026-03-20"},
        {"last night", NOW, "2026-03-17 2026-03-18"},
        {"this morning", NOW, "2026-03-18 2026-03-19"},
        {"last week", NOW, "2026-03-09 2026-03-16"},
        {"this week", NOW, "2026-03-16 2026-03-23"},
        {"next week", NOW, "2026-03-23 2026-03-30"},
        {"last week", "2026-03-16", "2026-03-09 2026-03-16"}, /* a Monday */
        {"last week", "2026-03-22", "2026-03-09 2026-03-16"}, /* a Sunday */
        {"last weekend", NOW, "2026-03-14 2026-03-16"},
        {"last weekend", "2026-03-22", "2026-03-14 2026-03-16"},
        {"this weekend", "2026-03-22", "2026-03-21 2026-03-23"},
        {"last Monday", NOW, "2026-03-16 2026-03-17"},
        {"last Wednesday", NOW, "2026-03-11 2026-03-12"},
        {"last Friday", NOW, "2026-03-13 2026-03-14"},
        {"next Wednesday", NOW, "2026-03-25 2026-03-26"},
        {"this Friday", NOW, "2026-03-20 2026-03-21"},
        {"last month", NOW, "2026-02-01 2026-03-01"},
        {"last month", "2026-01-31", "2025-12-01 2026-01-01"},
        {"next month", "2025-12-31", "2026-01-01 2026-02-01"},
        {"last year", NOW, "2025-01-01 2026-01-01"},
        {"this May", NOW, "2026-05-01 2026-06-01"},
        {"last may", NOW, "2025-05-01 2025-06-01"},
        {"last March", NOW, "2025-03-01 2025-04-01"},
        {"last February", NOW, "2026-02-01 2026-03-01"},
        {"next March", NOW, "2027-03-01 2027-04-01"},
        {"this summer", NOW, "2026-06-01 2026-09-01"},
        {"last summer", NOW, "2025-06-01 2025-09-01"},
        {"last summer", "2026-07-01", "2025-06-01 2025-09-01"},
        {"last winter", NOW, "2025-12-01 2026-03-01"},
        {"last winter", "2026-01-10", "2024-12-01 2025-03-01"},
        {"this winter", "2026-01-10", "2025-12-01 2026-03-01"},
        {"next winter", "2026-01-10", "2026-12-01 2027-03-01"},
        {"10 days ago", NOW, "2026-03-08 2026-03-09"},
        {"a week ago", NOW, "2026-03-08 2026-03-15"},
        {"two months ago", NOW, "2026-01-01 2026-02-01"},
        {"three months ago", NOW, "2025-12-01 2026-01-01"},
        {"a year ago", NOW, "2025-01-01 2026-01-01"},
        {"5000 days ago", NOW, "-"},
        {"0 days ago", NOW, "-"},
    };
    test_rows(rows, mc_countof(rows));
}

static void test_no_time(void)
{
    static const struct row rows[] = {
        {"", NOW, "-"},
        {"May I have your number?", NOW, "-"},
        {"may we march on?", NOW, "-"},
        {"I think this may be broken, what is up with the toaster?", NOW, "-"},
        {"why this may not work", NOW, "-"},
        {"this may", NOW, "-"},
        {"what I told you before may be wrong", NOW, "-"},
        {"7 may be enough", NOW, "-"},
        {"the last thing you said", NOW, "-"},
        {"what did she say next", NOW, "-"},
        {"who lives in room 12?", NOW, "-"},
        {"10 days", NOW, "-"},
        /* Other languages: words are not read, numbers of years are. */
        {"Was habe ich letzte Woche gegessen?", NOW, "-"},
        {"qu'est-ce que j'ai lu hier ?", NOW, "-"},
        {"先週何を食べましたか", NOW, "-"},
        {"Was geschah im Sommer 2023?", NOW, "2023-01-01 2024-01-01"},
    };
    test_rows(rows, mc_countof(rows));
    struct mc_when when = when_of("who came last week, and who in May?", day_us(NOW));
    is_int(when.first, 2, "the first time counts, from its first word");
    is_int(when.last, 4, "to its last");
}

/* Whatever "now" and the numbers are, a span has a beginning before its end. */
static void test_extremes(void)
{
    static const int64_t nows[] = {INT64_MIN, INT64_MIN + 1, -1, 0, INT64_MAX - 1, INT64_MAX};
    static const char *const texts[] = {
        "last week",       "next week",   "tomorrow",     "last year",      "1000 years ago",
        "1000 months ago", "next winter", "last weekend", "1000 weeks ago", "next Monday",
    };
    static const int64_t created[] = {INT64_MIN, 0, INT64_MAX};
    int bad = 0;
    for (size_t i = 0; i < mc_countof(nows); i++) {
        for (size_t k = 0; k < mc_countof(texts); k++) {
            struct mc_when when = when_of(texts[k], nows[i]);
            bad += !when.given || when.from_us >= when.until_us;
            for (size_t c = 0; c < mc_countof(created); c++) {
                double fit = mc_when_fit(&when, created[c]);
                bad += !(fit >= 0 && fit <= 1);
            }
        }
    }
    is_int(bad, 0, "spans and fits at the ends of time");
}

static void test_fit(void)
{
    const int64_t hour_us = MC_US_PER_DAY / 24;
    struct mc_when when = when_of("on 7 May 2023", 0), none = when_of("hello", 0);
    int64_t from_us = day_us("2023-05-07"), until_us = day_us("2023-05-08");
    is_double(mc_when_fit(&none, from_us), 0, 0, "no time, no fit");
    is_double(mc_when_fit(&when, from_us), 1, 0, "its first moment");
    is_double(mc_when_fit(&when, until_us - 1), 1, 0, "its last");
    is_double(mc_when_fit(&when, until_us), 1, 0, "what happened is told afterwards");
    is_double(mc_when_fit(&when, until_us + 21 * 12 * hour_us), 0.5, 1e-9, "ten days later half");
    is_double(mc_when_fit(&when, until_us + 21 * MC_US_PER_DAY), 0, 1e-9, "three weeks: nothing");
    is_double(mc_when_fit(&when, until_us + 400 * MC_US_PER_DAY), 0, 0, "nor later");
    is_double(mc_when_fit(&when, from_us - 1), 0.5, 1e-6, "before it, a half");
    is_double(mc_when_fit(&when, from_us - 60 * hour_us), 0.25, 1e-9, "two days before, a quarter");
    is_double(mc_when_fit(&when, from_us - 5 * MC_US_PER_DAY), 0, 1e-9, "five days: nothing");
    is_double(mc_when_fit(&when, from_us - 400 * MC_US_PER_DAY), 0, 0, "nor earlier");

    struct mc_when day = when_of("on May 7?", day_us("2026-11-23"));
    is_double(mc_when_fit(&day, day_us("2026-05-07")), 1, 0,
              "of a day without a year the last one");
    ok(mc_when_fit(&day, day_us("2026-05-29")) < 0.1, "the end of the month is not that day");
    is_double(mc_when_fit(&day, day_us("2025-05-07")), 0, 0, "nor is the same day of another year");

    struct mc_when month = when_of("in December", 0);
    is_double(mc_when_fit(&month, day_us("2019-12-01")), 1, 0, "December of any year");
    is_double(mc_when_fit(&month, day_us("2024-01-01") - 1), 1, 0, "to its end");
    is_double(mc_when_fit(&month, day_us("2024-01-10")), 0.5, 0, "the ten days behind it");
    is_double(mc_when_fit(&month, day_us("2024-01-11")), 0, 0, "and no more");
    is_double(mc_when_fit(&month, day_us("2024-11-30")), 0, 0, "nothing before it");
}

static void test_span(void)
{
    static const struct row rows[] = {
        {"what happened last week", "2026-03-18", "2026-03-09 2026-03-16"},
        {"on 3 November", "2026-03-18", "2025-11-03 2025-11-04"},
        {"on February 29", "2026-03-18", "2024-02-29 2024-03-01"},
        {"on March 3", "2026-03-18", "2026-03-03 2026-03-04"},
        {"on March 18", "2026-03-18", "2026-03-18 2026-03-19"},
        {"in May", "2026-03-18", "2025-05-01 2025-06-01"},
        {"in December", "2026-03-18", "2025-12-01 2026-01-01"},
        {"in March", "2026-03-18", "2026-03-01 2026-04-01"},
    };
    for (size_t i = 0; i < mc_countof(rows); i++) {
        struct mc_when when = when_of(rows[i].text, day_us(rows[i].now));
        struct mc_when span = {.given = true};
        char text[64] = "-";
        if (mc_when_span(&when, day_us(rows[i].now), &span.from_us, &span.until_us))
            describe(&span, text);
        is_str(text, rows[i].want, "%s", rows[i].text);
    }
    struct mc_when none = {.given = false};
    int64_t from_us = 7, until_us = 7;
    ok(!mc_when_span(&none, 0, &from_us, &until_us) && from_us == 7, "none where none is named");
}

int main(void)
{
    test_dates();
    test_relative();
    test_no_time();
    test_extremes();
    test_span();
    test_fit();
    return done_testing();
}
