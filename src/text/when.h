/*
 * The time that a question names: "on 7 May 2023", "in March", "last week", "two months ago". English.
 * Pure.
 *
 * Understood: ISO dates; day, month and year in either order, parts of it (a day without a year is the
 * last one that has begun); a month by itself after a word such as "in" or "last"; a year; today,
 * yesterday, tomorrow; last, this or next day of the week, week, weekend, month, year, month by name and
 * season; a number of days, weeks, months or years ago.
 */
#ifndef MC_TEXT_WHEN_H
#define MC_TEXT_WHEN_H

#include "text/token.h"

struct mc_when {
    bool given;
    int64_t from_us,
        until_us;       /* the span named, until exclusive; both 0 when only the month is known */
    int month;          /* 1..12 of any year, when neither a year nor a day is told; else 0 */
    size_t first, last; /* the tokens that name it, last exclusive */
};

/* The first time that the words name; relative ones count from now. tokens: of mc_tokens_of. */
void mc_when_of(const struct mc_tokens *tokens, int64_t now_us, struct mc_when *when);

/* The span named, of a month of any year the last that has begun; false when no time is named. */
bool mc_when_span(const struct mc_when *when, int64_t now_us, int64_t *from_us, int64_t *until_us);

/*
 * How well a message of that time fits, 0..1: 1 inside of the span; less and less over three weeks after
 * it, because what happened is told afterwards, and from a half over five days before it, when it is
 * planned. For a month of any year 1 inside, a half in the ten days behind it.
 */
double mc_when_fit(const struct mc_when *when, int64_t created_at_us);

#endif
