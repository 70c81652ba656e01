#include "text/when.h"

#include <math.h>

#include "base/compiler.h"
#include "base/str.h"
#include "base/time.h"
#include "text/lexicon.h"

#define AFTER_DAYS 21.0
#define BEFORE_DAYS 10.0
#define BEFORE_FIT 0.5
#define BEHIND_MONTH_DAYS 10
#define YEAR_LEAST 1900
#define YEAR_MOST 2199
/* From here on a number by itself is taken for a year. */
#define YEAR_PLAIN 2000
#define YEAR_PLAIN_MOST 2099
#define COUNT_MOST 1000
/* A leap day is at most so many years before the next: a century may have none. */
#define LEAP_YEARS 8
/* What "now" may be: the years 1 to 9999. */
#define NOW_LEAST INT64_C(-62135596800000000)
#define NOW_MOST INT64_C(253402300799999999)

struct reader {
    const struct mc_tokens *tokens;
    int year, month, day, weekday; /* of now; Monday is 1 */
    struct mc_when *when;
};

static const struct mc_token *token_at(const struct reader *r, size_t i)
{
    return i < r->tokens->count ? &r->tokens->items[i] : NULL;
}

static const struct mc_word *word_at(const struct reader *r, size_t i)
{
    const struct mc_token *token = token_at(r, i);
    return mc_lexicon_entry(token ? token->word : 0);
}

static bool is(const struct reader *r, size_t i, const char *word)
{
    const struct mc_token *token = token_at(r, i);
    return token && mc_token_is(token, word);
}

static bool is_any(const struct reader *r, size_t i, const char *const *words, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        if (is(r, i, words[k]))
            return true;
    }
    return false;
}

/* The digits that a token begins with, when nothing but an ordinal's ending follows; -1 otherwise. */
static int number_at(const struct reader *r, size_t i)
{
    const struct mc_token *token = token_at(r, i);
    if (!token || (token->kind != MC_TOKEN_NUMBER && token->kind != MC_TOKEN_CODE))
        return -1;
    int value = 0;
    size_t at = 0;
    mc_str text = token->folded;
    for (; at < text.len && at < 5 && text.data[at] >= '0' && text.data[at] <= '9'; at++)
        value = value * 10 + (text.data[at] - '0');
    mc_str rest = {text.data + at, text.len - at};
    bool ordinal = mc_str_equal(rest, MC_STR("st")) || mc_str_equal(rest, MC_STR("nd")) ||
                   mc_str_equal(rest, MC_STR("rd")) || mc_str_equal(rest, MC_STR("th"));
    return at > 0 && (rest.len == 0 || (ordinal && value <= 31)) ? value : -1;
}

static bool is_plain_number(const struct reader *r, size_t i)
{
    const struct mc_token *token = token_at(r, i);
    return token && token->kind == MC_TOKEN_NUMBER;
}

static int year_at(const struct reader *r, size_t i)
{
    int value = is_plain_number(r, i) ? number_at(r, i) : -1;
    return value >= YEAR_LEAST && value <= YEAR_MOST ? value : 0;
}

/* "this may be": the verb, which the month is not spelt as. */
static bool is_verb(const struct reader *r, size_t i)
{
    static const char *const verbs[] = {"be", "have", "not"};
    if (!is(r, i, "may") || (token_at(r, i)->flags & MC_TOKEN_CAPITAL))
        return false;
    return (i > 0 && is(r, i - 1, "this")) || is_any(r, i + 1, verbs, mc_countof(verbs));
}

static int month_at(const struct reader *r, size_t i)
{
    const struct mc_word *word = word_at(r, i);
    return (word->flags & MC_WORD_MONTH) && !is_verb(r, i) ? word->value : 0;
}

static int day_at(const struct reader *r, size_t i)
{
    int value = number_at(r, i);
    return value >= 1 && value <= 31 ? value : 0;
}

static bool found(const struct reader *r, size_t first, size_t last, int64_t from_us,
                  int64_t until_us)
{
    *r->when = (struct mc_when){
        .given = true, .from_us = from_us, .until_us = until_us, .first = first, .last = last};
    return true;
}

/* False for a day that no calendar has, such as 30 February. */
static bool found_day(const struct reader *r, size_t first, size_t last, int year, int month,
                      int day)
{
    int64_t from_us = mc_time_from_civil(year, month, day);
    int same_year, same_month, same_day, weekday;
    mc_time_civil(from_us, &same_year, &same_month, &same_day, &weekday);
    if (same_day != day || same_month != month)
        return false;
    return found(r, first, last, from_us, from_us + MC_US_PER_DAY);
}

/* The last such day that has begun: of 29 February one of a leap year. */
static bool found_last_day(const struct reader *r, size_t first, size_t last, int month, int day)
{
    bool ahead = month > r->month || (month == r->month && day > r->day);
    for (int year = r->year - ahead, least = year - LEAP_YEARS; year >= least; year--) {
        if (found_day(r, first, last, year, month, day))
            return true;
    }
    return false;
}

/* Months counted from January of the year 0. */
static int64_t begin_of_month(int months)
{
    int year = months >= 0 ? months / 12 : -((11 - months) / 12);
    return mc_time_from_civil(year, months - year * 12 + 1, 1);
}

/* `month` counted from January of the year, so that 0 is last December. */
static bool found_months(const struct reader *r, size_t first, size_t last, int year, int month,
                         int count)
{
    int begin = year * 12 + month - 1;
    return found(r, first, last, begin_of_month(begin), begin_of_month(begin + count));
}

/* ---- Dates ---- */

/* 2023-05-07 */
static bool read_iso(const struct reader *r, size_t i)
{
    int year = year_at(r, i), month = day_at(r, i + 1), day = day_at(r, i + 2);
    if (!year || month < 1 || month > 12 || !day)
        return false;
    const struct mc_token *a = token_at(r, i), *b = token_at(r, i + 1), *c = token_at(r, i + 2);
    bool joined = b->offset == a->offset + a->len + 1 && c->offset == b->offset + b->len + 1 &&
                  r->tokens->text.data[b->offset - 1] == '-' &&
                  r->tokens->text.data[c->offset - 1] == '-';
    return joined && found_day(r, i, i + 3, year, month, day);
}

/* 7 May 2023, the 7th of May */
static bool read_day_month(const struct reader *r, size_t i)
{
    int day = day_at(r, i);
    size_t at = i + 1 + is(r, i + 1, "of");
    int month = month_at(r, at);
    if (!day || !month)
        return false;
    int year = year_at(r, at + 1);
    return year ? found_day(r, i, at + 2, year, month, day)
                : found_last_day(r, i, at + 1, month, day);
}

/* "May I" is no month: one by itself needs a word that leads to a time. */
static bool leads_to_month(const struct reader *r, size_t i)
{
    static const char *const leads[] = {"in",     "during", "of",     "on",    "by",
                                        "until",  "since",  "early",  "late",  "mid",
                                        "around", "from",   "before", "after", "through"};
    return i > 0 && is_any(r, i - 1, leads, mc_countof(leads));
}

/* May 7, 2023; May 2023; in May */
static bool read_month(const struct reader *r, size_t i)
{
    int month = month_at(r, i);
    if (!month)
        return false;
    int year = year_at(r, i + 1), day = year ? 0 : day_at(r, i + 1);
    if (year)
        return found_months(r, i, i + 2, year, month, 1);
    if (is(r, i + 1, "of") && year_at(r, i + 2))
        return found_months(r, i, i + 3, year_at(r, i + 2), month, 1);
    if (day && year_at(r, i + 2))
        return found_day(r, i, i + 3, year_at(r, i + 2), month, day) ||
               found_months(r, i, i + 3, year_at(r, i + 2), month, 1);
    if (day)
        return found_last_day(r, i, i + 2, month, day);
    if (!leads_to_month(r, i))
        return false;
    *r->when = (struct mc_when){.given = true, .month = month, .first = i, .last = i + 1};
    return true;
}

static bool read_year(const struct reader *r, size_t i)
{
    int year = year_at(r, i);
    bool plain = year >= YEAR_PLAIN && year <= YEAR_PLAIN_MOST;
    return year && (plain || leads_to_month(r, i)) && found_months(r, i, i + 1, year, 1, 12);
}

/* ---- Relative to now ---- */

static int64_t today(const struct reader *r)
{
    return mc_time_from_civil(r->year, r->month, r->day);
}

static bool found_days(const struct reader *r, size_t first, size_t last, int64_t offset,
                       int64_t days)
{
    int64_t from_us = today(r) + offset * MC_US_PER_DAY;
    return found(r, first, last, from_us, from_us + days * MC_US_PER_DAY);
}

static bool read_named_day(const struct reader *r, size_t i)
{
    static const struct {
        const char *word;
        int offset;
    } days[] = {{"today", 0}, {"tonight", 0}, {"yesterday", -1}, {"tomorrow", 1}};
    for (size_t k = 0; k < mc_countof(days); k++) {
        if (is(r, i, days[k].word))
            return found_days(r, i, i + 1, days[k].offset, 1);
    }
    return false;
}

/* Months of a season on the northern half of the earth, December counted to the winter that follows. */
static int season_at(const struct reader *r, size_t i)
{
    static const struct {
        const char *word;
        int month;
    } seasons[] = {{"spring", 3}, {"summer", 6}, {"autumn", 9}, {"fall", 9}, {"winter", 12}};
    for (size_t k = 0; k < mc_countof(seasons); k++) {
        if (is(r, i, seasons[k].word))
            return seasons[k].month;
    }
    return 0;
}

/* The year of the last (step -1), present or running (0) or next (1) such span of months. */
static int year_of(const struct reader *r, int month, int count, int step)
{
    int now = r->year * 12 + r->month - 1, year = r->year;
    int begin = year * 12 + month - 1;
    /* In January the winter that began last year is this one, and the last one is before it. */
    bool runs = begin - 12 + count > now;
    if (step <= 0 && runs)
        year--;
    if (step < 0 && (runs || begin + count > now))
        year--;
    if (step > 0 && begin <= now)
        year++;
    return year;
}

/* last, this, next ... */
static bool read_period(const struct reader *r, size_t i)
{
    int step = is(r, i, "last") || is(r, i, "past") || is(r, i, "previous") ? -1
               : is(r, i, "next")                                           ? 1
               : is(r, i, "this")                                           ? 0
                                                                            : 2;
    if (step == 2)
        return false;
    size_t at = i + 1, last = i + 2;
    const struct mc_word *word = word_at(r, at);
    if (is(r, at, "night") || is(r, at, "morning") || is(r, at, "evening") ||
        is(r, at, "afternoon"))
        return found_days(r, i, last, step, 1);
    if (is(r, at, "week"))
        return found_days(r, i, last, 1 - r->weekday + 7 * step, 7);
    if (is(r, at, "weekend"))
        return found_days(r, i, last, 6 - r->weekday + 7 * step, 2);
    if (is(r, at, "month"))
        return found_months(r, i, last, r->year, r->month + step, 1);
    if (is(r, at, "year"))
        return found_months(r, i, last, r->year + step, 1, 12);
    if (word->flags & MC_WORD_WEEKDAY) {
        int offset = word->value - r->weekday;
        offset += (step < 0 && offset >= 0) ? -7 : (step > 0 && offset <= 0) ? 7 : 0;
        return found_days(r, i, last, offset, 1);
    }
    int month = month_at(r, at), season = season_at(r, at);
    if (month)
        return found_months(r, i, last, year_of(r, month, 1, step), month, 1);
    return season && found_months(r, i, last, year_of(r, season, 3, step), season, 3);
}

/* a week ago, two months ago, 10 days ago */
static bool read_ago(const struct reader *r, size_t i)
{
    const struct mc_word *word = word_at(r, i);
    int count = is(r, i, "a") || is(r, i, "an") ? 1
                : word->flags & MC_WORD_COUNT   ? word->value
                                                : number_at(r, i);
    if (count < 1 || count > COUNT_MOST || !is(r, i + 2, "ago"))
        return false;
    size_t at = i + 1, last = i + 3;
    if (is(r, at, "day") || is(r, at, "days"))
        return found_days(r, i, last, -count, 1);
    if (is(r, at, "week") || is(r, at, "weeks"))
        return found_days(r, i, last, -7 * count - 3, 7);
    if (is(r, at, "month") || is(r, at, "months"))
        return found_months(r, i, last, r->year, r->month - count, 1);
    if (is(r, at, "year") || is(r, at, "years"))
        return found_months(r, i, last, r->year - count, 1, 12);
    return false;
}

void mc_when_of(const struct mc_tokens *tokens, int64_t now_us, struct mc_when *when)
{
    static bool (*const readers[])(const struct reader *, size_t) = {
        read_iso, read_day_month, read_month, read_period, read_ago, read_named_day, read_year};
    struct reader r = {.tokens = tokens, .when = when};
    now_us = now_us < NOW_LEAST ? NOW_LEAST : now_us > NOW_MOST ? NOW_MOST : now_us;
    mc_time_civil(now_us, &r.year, &r.month, &r.day, &r.weekday);
    if (r.weekday == 0)
        r.weekday = 7;
    *when = (struct mc_when){.given = false};
    for (size_t i = 0; i < tokens->count; i++) {
        for (size_t k = 0; k < mc_countof(readers); k++) {
            if (readers[k](&r, i))
                return;
        }
    }
}

bool mc_when_span(const struct mc_when *when, int64_t now_us, int64_t *from_us, int64_t *until_us)
{
    if (!when->given)
        return false;
    *from_us = when->from_us;
    *until_us = when->until_us;
    if (!when->month)
        return true;
    int year, month, day, weekday;
    mc_time_civil(now_us, &year, &month, &day, &weekday);
    year -= when->month > month;
    *from_us = mc_time_from_civil(year, when->month, 1);
    *until_us = begin_of_month(year * 12 + when->month);
    return true;
}

/* ---- Fit ---- */

static double fit_month(int wanted, int64_t created_at_us)
{
    int year, month, day, weekday;
    mc_time_civil(created_at_us, &year, &month, &day, &weekday);
    if (month == wanted)
        return 1;
    return month == wanted % 12 + 1 && day <= BEHIND_MONTH_DAYS ? 0.5 : 0;
}

double mc_when_fit(const struct mc_when *when, int64_t created_at_us)
{
    if (!when->given)
        return 0;
    if (when->month)
        return fit_month(when->month, created_at_us);
    double day_us = (double)MC_US_PER_DAY;
    if (created_at_us >= when->until_us)
        return fmax(0, 1 - ((double)created_at_us - (double)when->until_us) / day_us / AFTER_DAYS);
    if (created_at_us < when->from_us)
        return fmax(0, BEFORE_FIT -
                           ((double)when->from_us - (double)created_at_us) / day_us / BEFORE_DAYS);
    return 1;
}
