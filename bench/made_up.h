/*
 * Text for benchmarks: words of a made-up language, frequent ones often, with some of the vocabulary's.
 * The same for the same state.
 */
#ifndef MC_BENCH_MADE_UP_H
#define MC_BENCH_MADE_UP_H

#include <inttypes.h>
#include <stdio.h>

#define WORDS 6000

static uint64_t state = 88172645463325252ULL;

static uint64_t any(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

static const char *const known[] = {"order",    "refund", "invoice", "password",
                                    "shipping", "garden", "holiday", "budget",
                                    "meeting",  "report", "broken",  "please"};
#define KNOWN (sizeof(known) / sizeof(known[0]))

/* Word number n is frequent when n is small, as in a real language. */
static void word(uint64_t n, char text[16])
{
    static const char *const heads[] = {"ba",  "ko", "ri",  "ten", "sol",
                                        "mar", "vi", "dun", "pel", "gra"};
    if (n % 40 == 7) {
        snprintf(text, 16, "%s", known[n / 40 % KNOWN]);
        return;
    }
    size_t len = 0;
    for (uint64_t rest = n + 10; rest > 0; rest /= 10)
        len += (size_t)snprintf(text + len, 16 - len, "%s", heads[rest % 10]);
}

static uint64_t any_word(void)
{
    uint64_t a = any(WORDS), b = any(WORDS), c = any(WORDS);
    return a * b / WORDS * c / WORDS;
}

static void sentence(char *text, size_t size, unsigned words)
{
    size_t len = 0;
    for (unsigned i = 0; i < words && len + 20 < size; i++) {
        char one[16];
        word(any_word(), one);
        len += (size_t)snprintf(text + len, size - len, "%s%s%s", i ? " " : "",
                                any(5) ? "" : "the ", one);
    }
    if (any(8) == 0)
        snprintf(text + len, size - len, " ORD-%05u", (unsigned)any(100000));
}

#endif
