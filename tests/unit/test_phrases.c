/* Key phrases by RAKE. */
#include "tap.h"

#include "base/arena.h"
#include "base/str.h"
#include "text/phrases.h"

static struct mc_arena arena;

static struct mc_phrases phrases_of(const char *text)
{
    struct mc_tokens tokens;
    struct mc_phrases phrases = {.count = 99};
    mc_arena_reset(&arena);
    if (mc_tokens_of(mc_str_of(text), 5000, &arena, &tokens) &&
        !mc_phrases_of(&tokens, &arena, &phrases))
        phrases.count = 98;
    return phrases;
}

static bool has(const struct mc_phrases *phrases, const char *text)
{
    for (size_t i = 0; i < phrases->count; i++) {
        if (mc_str_equal(phrases->items[i], mc_str_of(text)))
            return true;
    }
    return false;
}

int main(void)
{
    mc_arena_init(&arena, (size_t)8 * 1024 * 1024);
    /* The abstract that the paper itself uses. */
    struct mc_phrases phrases = phrases_of(
        "Compatibility of systems of linear constraints over the set of natural numbers. "
        "Criteria of compatibility of a system of linear Diophantine equations, strict "
        "inequations, and nonstrict inequations are considered.");
    is_int(phrases.count, 5, "five phrases");
    is_text(phrases.items[0], "linear diophantine equations", "the best is the paper's");
    ok(has(&phrases, "linear constraints") && has(&phrases, "natural numbers"), "and its next");
    phrases = phrases_of("My credit card was declined. The credit card is valid!");
    is_text(phrases.items[0], "credit card", "a phrase once");
    phrases = phrases_of("the of and is");
    is_int(phrases.count, 0, "stop words only");
    phrases = phrases_of("");
    is_int(phrases.count, 0, "nothing");
    phrases = phrases_of("12 13 14");
    is_int(phrases.count, 0, "numbers only");
    phrases = phrases_of("alpha beta gamma delta epsilon zeta");
    is_text(phrases.items[0], "alpha beta gamma delta", "at most four words");
    char text[30000];
    size_t len = 0;
    for (unsigned i = 0; len < sizeof(text) - 20; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "word%c%c%c, ", 'a' + (int)(i % 26),
                                'a' + (int)(i / 26 % 26), 'a' + (int)(i / 676 % 26));
    phrases = phrases_of(text);
    is_int(phrases.count, 5, "a long text");
    struct mc_tokens tokens;
    struct mc_arena small;
    mc_arena_init(&small, 1);
    mc_arena_reset(&arena);
    ok(mc_tokens_of(MC_STR("credit card"), 10, &arena, &tokens), "tokens");
    ok(!mc_phrases_of(&tokens, &small, &phrases), "out of memory is told");
    mc_arena_fini(&small);
    mc_arena_fini(&arena);
    return done_testing();
}
