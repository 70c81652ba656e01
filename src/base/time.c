/*
 * See base/time.h. The conversion between days and dates is Howard Hinnant's ("chrono-compatible
 * low-level date algorithms"): years start in March, so that the leap day is the last of a year,
 * and 400 years are one era of 146097 days.
 */
#include "base/time.h"

#include <stdio.h>
#include <time.h>

static int64_t clock_us(clockid_t clock)
{
    struct timespec now = {0, 0};
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * MC_US_PER_SECOND + now.tv_nsec / 1000;
}

int64_t mc_time_now_us(void)
{
    return clock_us(CLOCK_REALTIME);
}
int64_t mc_time_monotonic_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

void mc_time_civil(int64_t time_us, int *year, int *month, int *day, int *weekday)
{
    int64_t days = floor_div(time_us, MC_US_PER_DAY);
    int64_t shifted = days + 719468; /* since 0000-03-01 */
    int64_t era = floor_div(shifted, 146097);
    int64_t of_era = shifted - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t from_march = (5 * of_year + 2) / 153;
    int64_t the_month = from_march < 10 ? from_march + 3 : from_march - 9;
    if (year)
        *year = (int)(year_of_era + era * 400 + (the_month <= 2 ? 1 : 0));
    if (month)
        *month = (int)the_month;
    if (day)
        *day = (int)(of_year - (153 * from_march + 2) / 5 + 1);
    if (weekday)
        *weekday = (int)(days + 4 - floor_div(days + 4, 7) * 7); /* 1970-01-01 was a Thursday */
}

int64_t mc_time_from_civil(int year, int month, int day)
{
    int64_t shifted_year = (int64_t)year - (month <= 2 ? 1 : 0);
    int64_t era = floor_div(shifted_year, 400);
    int64_t year_of_era = shifted_year - era * 400;
    int64_t from_march = month > 2 ? month - 3 : month + 9;
    int64_t of_year = (153 * from_march + 2) / 5 + day - 1;
    int64_t of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    int64_t time_us;
    if (__builtin_mul_overflow(era * 146097 + of_era - 719468, MC_US_PER_DAY, &time_us))
        return year < 0 ? INT64_MIN : INT64_MAX;
    return time_us;
}

void mc_time_format(int64_t time_us, char text[MC_TIME_TEXT_SIZE])
{
    int year, month, day;
    mc_time_civil(time_us, &year, &month, &day, NULL);
    int64_t of_day = time_us % MC_US_PER_DAY;
    of_day += of_day < 0 ? MC_US_PER_DAY : 0;
    unsigned second = (unsigned)(of_day / MC_US_PER_SECOND);
    /* The reductions change nothing; they bound the width for the compiler. */
    snprintf(text, MC_TIME_TEXT_SIZE, "%04d-%02u-%02uT%02u:%02u:%02u.%06uZ", year % 1000000,
             (unsigned)month % 100, (unsigned)day % 100, second / 3600 % 24, second / 60 % 60,
             second % 60, (unsigned)(of_day % MC_US_PER_SECOND));
}

/* Takes exactly count digits off the text. */
static bool take_digits(mc_str *text, size_t count, int *value)
{
    int sum = 0;
    if (text->len < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (text->data[i] < '0' || text->data[i] > '9')
            return false;
        sum = sum * 10 + (text->data[i] - '0');
    }
    text->data += count;
    text->len -= count;
    *value = sum;
    return true;
}

static bool take_char(mc_str *text, const char *any)
{
    if (text->len == 0 || text->data[0] == '\0' || !strchr(any, text->data[0]))
        return false;
    text->data++;
    text->len--;
    return true;
}

static bool take_date(mc_str *text, int *year, int *month, int *day)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (!take_digits(text, 4, year) || !take_char(text, "-") || !take_digits(text, 2, month) ||
        !take_char(text, "-") || !take_digits(text, 2, day))
        return false;
    if (*month < 1 || *month > 12)
        return false;
    bool leap = *year % 4 == 0 && (*year % 100 != 0 || *year % 400 == 0);
    int last = lengths[*month - 1] + (*month == 2 && leap ? 1 : 0);
    return *day >= 1 && *day <= last;
}

/* One to nine digits behind a point; what is finer than a microsecond is dropped. */
static bool take_fraction(mc_str *text, int64_t *micros)
{
    int64_t scale = MC_US_PER_SECOND;
    size_t count = 0;
    int digit;
    *micros = 0;
    if (!take_char(text, "."))
        return true;
    for (; take_digits(text, 1, &digit); count++) {
        scale /= 10;
        *micros += digit * scale;
    }
    return count >= 1 && count <= 9;
}

/* "Z" or "+hh:mm", to the end of the text. */
static bool take_offset(mc_str *text, int64_t *offset_us)
{
    *offset_us = 0;
    if (take_char(text, "Zz"))
        return text->len == 0;
    bool west = text->len > 0 && text->data[0] == '-';
    int hours, minutes;
    if (!take_char(text, "+-") || !take_digits(text, 2, &hours) || !take_char(text, ":") ||
        !take_digits(text, 2, &minutes) || text->len != 0 || hours > 23 || minutes > 59)
        return false;
    *offset_us = (west ? -1 : 1) * (hours * 60 + minutes) * 60 * MC_US_PER_SECOND;
    return true;
}

bool mc_time_parse(mc_str text, int64_t *time_us)
{
    int year, month, day, hour, minute, second;
    int64_t micros, offset_us;
    if (!take_date(&text, &year, &month, &day) || !take_char(&text, "Tt ") ||
        !take_digits(&text, 2, &hour) || !take_char(&text, ":") ||
        !take_digits(&text, 2, &minute) || !take_char(&text, ":") ||
        !take_digits(&text, 2, &second) || !take_fraction(&text, &micros) ||
        !take_offset(&text, &offset_us))
        return false;
    if (hour > 23 || minute > 59 || second > 60)
        return false;
    int64_t seconds = hour * 3600 + minute * 60 + second;
    int64_t base_us = mc_time_from_civil(year, month, day) + seconds * MC_US_PER_SECOND - offset_us;
    /* A leap second stands only at the end of a day of UTC, and reads as the start of the next. */
    if (second == 60 && base_us % MC_US_PER_DAY != 0)
        return false;
    *time_us = base_us + micros;
    return true;
}
