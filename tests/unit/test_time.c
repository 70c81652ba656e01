/* Times as text and civil dates. */
#include "tap.h"

#include "base/str.h"
#include "base/time.h"

static void test_format(void)
{
    static const struct {
        int64_t time_us;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {INT64_C(951782400000001), "2000-02-29T00:00:00.000001Z"},
        {INT64_C(1767225599999999), "2025-12-31T23:59:59.999999Z"},
        {INT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z"},
        {INT64_C(-62167219200000000), "0000-01-01T00:00:00.000000Z"},
        {INT64_C(4107542400000000), "2100-03-01T00:00:00.000000Z"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[MC_TIME_TEXT_SIZE];
        int64_t back = 0;
        mc_time_format(rows[i].time_us, text);
        is_str(text, rows[i].text, "format of %" PRId64, rows[i].time_us);
        ok(mc_time_parse(mc_str_of(text), &back), "and back");
        is_int(back, rows[i].time_us, "to the same");
    }
    char text[MC_TIME_TEXT_SIZE];
    mc_time_format(INT64_MAX, text);
    is_str(text, "294247-01-10T04:00:54.775807Z", "last time");
    mc_time_format(INT64_MIN, text);
    is_str(text, "-290308-12-21T19:59:05.224192Z", "first time");
}

static void test_parse(void)
{
    static const struct {
        const char *text;
        int64_t time_us;
    } good[] = {
        {"2026-01-31T12:00:00Z", INT64_C(1769860800000000)},
        {"2026-01-31 12:00:00z", INT64_C(1769860800000000)},
        {"2026-01-31t14:30:00+02:30", INT64_C(1769860800000000)},
        {"2026-01-31T00:00:00-12:00", INT64_C(1769860800000000)},
        {"2026-01-31T12:00:00.5Z", INT64_C(1769860800500000)},
        {"2026-01-31T12:00:00.123456789Z", INT64_C(1769860800123456)},
        {"2026-01-31T12:00:00-00:00", INT64_C(1769860800000000)},
        {"2016-12-31T23:59:60Z", INT64_C(1483228800000000)},
        {"2017-01-01T00:59:60+01:00", INT64_C(1483228800000000)},
        {"2024-02-29T00:00:00Z", INT64_C(1709164800000000)},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t time_us = 0;
        ok(mc_time_parse(mc_str_of(good[i].text), &time_us), "%s", good[i].text);
        is_int(time_us, good[i].time_us, "value of %s", good[i].text);
    }
    static const char *const bad[] = {"",
                                      "2026",
                                      "2026-01-31",
                                      "2026-01-31T12:00:00",
                                      "2026-01-31T12:00Z",
                                      "2026-1-31T12:00:00Z",
                                      "2026-02-29T00:00:00Z",
                                      "1900-02-29T00:00:00Z",
                                      "2026-04-31T00:00:00Z",
                                      "2026-00-10T00:00:00Z",
                                      "2026-13-10T00:00:00Z",
                                      "2026-01-00T00:00:00Z",
                                      "2026-01-01T24:00:00Z",
                                      "2026-01-01T00:60:00Z",
                                      "2026-01-01T00:00:61Z",
                                      "2026-01-01T12:00:60Z",
                                      "2026-01-01T00:00:00.Z",
                                      "2026-01-01T00:00:00.1234567890Z",
                                      "2026-01-01T00:00:00+0200",
                                      "2026-01-01T00:00:00+24:00",
                                      "2026-01-01T00:00:00+02:60",
                                      "2026-01-01T00:00:00Zx",
                                      "2026-01-01T00:00:00+02:00x",
                                      "+026-01-01T00:00:00Z",
                                      "2026-01-01_00:00:00Z",
                                      " 2026-01-01T00:00:00Z",
                                      "12026-01-01T00:00:00Z"};
    int64_t time_us = 5;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ok(!mc_time_parse(mc_str_of(bad[i]), &time_us), "refused: '%s'", bad[i]);
    ok(!mc_time_parse(MC_STR("2026-01-01\00000:00:00Z"), &time_us), "a NUL is no separator");
    ok(!mc_time_parse(MC_STR_NONE, &time_us), "absent");
    is_int(time_us, 5, "output untouched");
}

static void test_civil(void)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t want = mc_time_from_civil(1600, 1, 1);
    int day_of_week = 6; /* 1600-01-01 was a Saturday */
    size_t wrong = 0;
    for (int year = 1600; year <= 2400; year++) {
        bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        for (int month = 1; month <= 12; month++) {
            for (int day = 1; day <= lengths[month - 1] + (leap && month == 2); day++) {
                int y, m, d, w;
                mc_time_civil(want + MC_US_PER_DAY - 1, &y, &m, &d, &w);
                wrong += y != year || m != month || d != day || w != day_of_week;
                wrong += mc_time_from_civil(year, month, day) != want;
                want += MC_US_PER_DAY;
                day_of_week = (day_of_week + 1) % 7;
            }
        }
    }
    is_int(wrong, 0, "every day of 800 years");
    ok(mc_time_from_civil(2000000000, 1, 1) == INT64_MAX, "too far ahead is the last time");
    ok(mc_time_from_civil(-2000000000, 1, 1) == INT64_MIN, "too far back is the first");
    mc_time_civil(0, NULL, NULL, NULL, NULL);
}

int main(void)
{
    test_format();
    test_parse();
    test_civil();
    ok(mc_time_now_us() > mc_time_from_civil(2024, 1, 1), "the wall clock is set");
    int64_t before = mc_time_monotonic_us();
    ok(mc_time_monotonic_us() >= before, "the monotonic clock does not go back");
    return done_testing();
}
