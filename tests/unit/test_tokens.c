/* The estimate of tokens: never far below a tokenizer, additive over lines, exact when it cuts. */
#include "tap.h"

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"
#include "base/utf8.h"
#include "context/context.h"
#include "context/tokens.h"

static size_t tokens(const char *text)
{
    return mc_tokens_estimate(mc_str_of(text));
}

/* Counts of cl100k_base (GPT-4) that are published or follow from its rules; the estimate must not
 * be lower. */
static void test_floor(void)
{
    static const struct {
        const char *text;
        size_t least, most;
    } cases[] = {
        {"", 0, 0},
        {"hello world", 2, 4},
        {"The quick brown fox jumps over the lazy dog.", 10, 14},
        {"tiktoken is great!", 6, 8},
        {"antidisestablishmentarianism", 6, 9},
        {"2 + 2 = 4", 7, 7}, /* Llama gives each sign one */
        {"1234567890", 10, 10},
        {"\xe3\x81\x8a\xe8\xaa\x95\xe7\x94\x9f\xe6\x97\xa5\xe3\x81\x8a\xe3\x82\x81\xe3\x81\xa7\xe3"
         "\x81\xa8\xe3\x81\x86",
         9, 16},
        {"\xf0\x9f\x98\x80", 2, 4},
        {"don't", 2, 2},
        {"\n\n\n", 1, 3},
    };
    for (size_t i = 0; i < mc_countof(cases); i++) {
        size_t got = tokens(cases[i].text);
        ok(got >= cases[i].least && got <= cases[i].most, "case %zu: %zu within %zu..%zu", i, got,
           cases[i].least, cases[i].most);
    }
    ok(tokens("HELLO") > tokens("hello"), "capitals cost more");
    ok(tokens("getElementByIdentifier") > tokens("getelementbyidentifier"), "so does camel case");
    ok(tokens("\xff\xfe") >= 2, "bytes that are no UTF-8 count");
}

static unsigned state = 1;
static unsigned any(unsigned below)
{
    state = state * 1103515245U + 12345U;
    return (state >> 8) % below;
}

static void random_text(struct mc_buf *buf, unsigned parts)
{
    static const char *const pieces[] = {
        "a",
        "Zebra",
        "'",
        "''s",
        " ",
        "   ",
        "42",
        "!",
        "\xc3\xa9",
        "\xe5\xa4\xa9",
        "\xf0\x9f\x98\x80",
        "\n",
        "\t",
        "internationalisation",
        "\xe2\x80\xa6",
        "\xff",
        "n't",
        "XML",
    };
    mc_buf_reset(buf);
    for (unsigned i = 0; i < parts; i++)
        mc_buf_text(buf, pieces[any(mc_countof(pieces))]);
}

static void test_properties(void)
{
    mc_auto(mc_buf_fini) struct mc_buf one, two, both;
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_buf_init(&one, 1U << 16);
    mc_buf_init(&two, 1U << 16);
    mc_buf_init(&both, 1U << 17);
    mc_arena_init(&arena, 64U << 20);
    int not_additive = 0, over = 0, not_longest = 0, not_prefix = 0, cut_over = 0, torn = 0,
        runs_differ = 0;
    for (int round = 0; round < 3000; round++) {
        random_text(&one, any(40));
        random_text(&two, any(40));
        mc_str a = mc_buf_str(&one), b = mc_buf_str(&two);
        mc_buf_reset(&both);
        mc_buf_append(&both, a);
        mc_buf_char(&both, '\n');
        mc_buf_append(&both, b);
        not_additive += mc_tokens_units(mc_buf_str(&both)) !=
                        mc_tokens_units(a) + mc_tokens_units(MC_STR("\n")) + mc_tokens_units(b);
        /* Counting letter by letter gives the same as counting runs. */
        runs_differ += mc_tokens_prefix(a, mc_tokens_units(a)).len != a.len;
        size_t fewer = mc_tokens_units(a);
        runs_differ += fewer > 0 && mc_tokens_prefix(a, fewer - 1).len == a.len;
        size_t max = any(120);
        mc_str prefix = mc_tokens_prefix(a, max);
        over += mc_tokens_units(prefix) > max;
        not_prefix += prefix.len > a.len;
        not_longest += mc_tokens_units(a) <= max && prefix.len < a.len && a.data[a.len - 1] != '\'';
        mc_str cut = mc_tokens_cut(a, max, &arena);
        cut_over += mc_tokens_units(cut) > max;
        torn += mc_utf8_check(a, NULL, NULL) && !mc_utf8_check(cut, NULL, NULL);
    }
    is_int(not_additive, 0, "units of lines add up");
    is_int(runs_differ, 0, "a text needs its units, and not one less");
    is_int(over, 0, "a prefix is never above its budget");
    is_int(not_prefix, 0, "nor longer than the text");
    is_int(not_longest, 0, "a text that fits is kept whole");
    is_int(cut_over, 0, "a cut text with its mark is within the budget");
    is_int(torn, 0, "no character is torn");
    is_text(mc_tokens_cut(MC_STR("alpha beta gamma delta"), 4 * 4, &arena),
            "alpha beta" MC_TOKENS_CUT_MARK, "cut where it is full");
    is_text(mc_tokens_cut(MC_STR("alpha"), 0, &arena), "", "no room");
}

int main(void)
{
    test_floor();
    test_properties();
    return done_testing();
}
