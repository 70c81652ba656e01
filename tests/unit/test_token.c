/* Words of a text: folding, offsets, gaps, scripts, bounds. */
#include "tap.h"

#include "base/arena.h"
#include "text/token.h"

static struct mc_arena arena;

/* Folded words with '|' between. */
static const char *words(const char *text, size_t max)
{
    static char joined[4096];
    struct mc_tokens tokens;
    joined[0] = '\0';
    mc_arena_reset(&arena);
    if (!mc_tokens_of(mc_str_of(text), max, &arena, &tokens))
        return "out of memory";
    size_t len = 0;
    for (size_t i = 0; i < tokens.count; i++)
        len += (size_t)snprintf(joined + len, sizeof(joined) - len, "%s%.*s", i ? "|" : "",
                                (int)tokens.items[i].folded.len, tokens.items[i].folded.data);
    return joined;
}

static void test_words(void)
{
    is_str(words("Hello, World!", 100), "hello|world", "punctuation separates");
    is_str(words("", 100), "", "nothing");
    is_str(words("  ...  ", 100), "", "punctuation only");
    is_str(words("don't can\xE2\x80\x99t", 100), "don't|can't", "apostrophes of both kinds");
    is_str(words("John's 'quoted' it's", 100), "john|quoted|it", "possessive and quotes");
    is_str(words("ORD-12345 v2 3rd", 100), "ord|12345|v2|3rd", "codes");
    is_str(words("STRASSE Stra\xC3\x9F"
                 "e",
                 100),
           "strasse|strasse", "sharp s folds");
    is_str(words("\xC3\x89t\xC3\xA9 e\xCC\x81t\xC3\xA9", 100),
           "\xC3\xA9t\xC3\xA9|\xC3\xA9t\xC3\xA9", "composed and decomposed are one");
    is_str(words("\xEF\xBC\xA1\xEF\xBC\xA2\xEF\xBC\xA3", 100), "abc", "full-width letters");
    is_str(words("\xE4\xBD\xA0\xE5\xA5\xBD ok", 100), "\xE4\xBD\xA0|\xE5\xA5\xBD|ok",
           "ideographs one by one");
    is_str(words("good \xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD", 100), "good|\xF0\x9F\x91\x8D",
           "emoji without its skin tone");
    is_str(words("\xD0\x9F\xD0\xA0\xD0\x98", 100), "\xD0\xBF\xD1\x80\xD0\xB8", "Cyrillic folds");
    is_str(words("a\xFF"
                 "b \xC3",
                 100),
           "a|b", "bad bytes separate");
    is_str(words("one two three", 2), "one|two", "maximum");
}

static void test_tokens(void)
{
    struct mc_tokens tokens;
    mc_str text = mc_str_of("Stop! NASA's 12 x9, why?");
    ok(mc_tokens_of(text, 100, &arena, &tokens), "read");
    is_int(tokens.count, 5, "five words");
    is_int(tokens.items[1].offset, 6, "offset");
    is_int(tokens.items[1].len, 6, "length in the text with the possessive");
    ok(tokens.items[1].gap & MC_GAP_EXCLAIM, "exclamation before");
    ok(tokens.items[1].flags & MC_TOKEN_OWNER, "possessive");
    ok(tokens.items[0].flags & MC_TOKEN_CAPITAL && !(tokens.items[0].flags & MC_TOKEN_UPPER),
       "capital");
    is_int(tokens.items[2].kind, MC_TOKEN_NUMBER, "number");
    is_int(tokens.items[3].kind, MC_TOKEN_CODE, "code");
    ok(tokens.items[4].gap & MC_GAP_PAUSE, "comma before");
    ok(tokens.tail & MC_GAP_QUESTION, "question at the end");
    is_int(tokens.exclaims, 1, "one exclamation mark");
    ok(mc_tokens_of(mc_str_of("see a.com/?q=1 now"), 100, &arena, &tokens), "read");
    unsigned gaps = 0;
    for (size_t i = 0; i < tokens.count; i++)
        gaps |= tokens.items[i].gap;
    ok(!(gaps & (MC_GAP_QUESTION | MC_GAP_STOP)), "marks inside an address end no sentence");
}

static void test_bounds(void)
{
    char *text = malloc(100000);
    struct mc_tokens tokens;
    if (!ok(text != NULL, "memory"))
        return;
    memset(text, 'a', 100000);
    ok(mc_tokens_of((mc_str){text, 100000}, 10, &arena, &tokens), "one long word");
    is_int(tokens.count, 1, "is one word");
    is_int(tokens.items[0].folded.len, MC_TOKEN_BYTES, "cut");
    is_int(tokens.items[0].len, 100000, "its run is known");
    for (size_t i = 0; i < 100000; i += 2)
        text[i] = ' ';
    ok(mc_tokens_of((mc_str){text, 100000}, 1000, &arena, &tokens), "many words");
    is_int(tokens.count, 1000, "at most the maximum");
    ok(tokens.cut, "and says so");
    free(text);
    struct mc_arena small;
    mc_arena_init(&small, 64);
    ok(!mc_tokens_of(mc_str_of("one two three four five six seven"), 100, &small, &tokens),
       "out of memory is told");
    mc_arena_fini(&small);
}

int main(void)
{
    mc_arena_init(&arena, (size_t)16 * 1024 * 1024);
    test_words();
    test_tokens();
    test_bounds();
    mc_arena_fini(&arena);
    return done_testing();
}
