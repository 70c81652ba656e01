/* Stems: examples of Porter's paper, irregular forms, stop words, the lexicon. */
#include "tap.h"

#include "text/lexicon.h"
#include "text/stem.h"
#include "text/token.h"

static void is_stem(const char *word, const char *want)
{
    char room[MC_STEM_BYTES];
    is_text(mc_stem(mc_str_of(word), room), want, "%s", word);
}

static void test_paper(void)
{
    static const char *const rows[][2] = {
        {"caresses", "caress"},
        {"ponies", "poni"},
        {"ties", "ti"},
        {"caress", "caress"},
        {"cats", "cat"},
        {"agreed", "agre"},
        {"plastered", "plaster"},
        {"bled", "bleed"},
        {"motoring", "motor"},
        {"sing", "sing"},
        {"conflated", "conflat"},
        {"troubled", "troubl"},
        {"sized", "size"},
        {"hopping", "hop"},
        {"tanned", "tan"},
        {"falling", "fall"},
        {"hissing", "hiss"},
        {"fizzed", "fizz"},
        {"failing", "fail"},
        {"filing", "file"},
        {"happy", "happi"},
        {"sky", "sky"},
        {"relational", "relat"},
        {"conditional", "condit"},
        {"rational", "ration"},
        {"valenci", "valenc"},
        {"digitizer", "digit"},
        {"conformabli", "conform"},
        {"radicalli", "radic"},
        {"differentli", "differ"},
        {"vileli", "vile"},
        {"analogousli", "analog"},
        {"vietnamization", "vietnam"},
        {"predication", "predic"},
        {"operator", "oper"},
        {"feudalism", "feudal"},
        {"decisiveness", "decis"},
        {"hopefulness", "hope"},
        {"callousness", "callous"},
        {"formaliti", "formal"},
        {"sensitiviti", "sensit"},
        {"sensibiliti", "sensibl"},
        {"triplicate", "triplic"},
        {"formative", "form"},
        {"formalize", "formal"},
        {"electriciti", "electr"},
        {"electrical", "electr"},
        {"hopeful", "hope"},
        {"goodness", "good"},
        {"revival", "reviv"},
        {"allowance", "allow"},
        {"inference", "infer"},
        {"airliner", "airlin"},
        {"gyroscopic", "gyroscop"},
        {"adjustable", "adjust"},
        {"defensible", "defens"},
        {"irritant", "irrit"},
        {"replacement", "replac"},
        {"adjustment", "adjust"},
        {"dependent", "depend"},
        {"adoption", "adopt"},
        {"homologou", "homolog"},
        {"communism", "commun"},
        {"activate", "activ"},
        {"angulariti", "angular"},
        {"homologous", "homolog"},
        {"effective", "effect"},
        {"bowdlerize", "bowdler"},
        {"probate", "probat"},
        {"rate", "rate"},
        {"cease", "ceas"},
        {"controll", "control"},
        {"roll", "roll"},
        {"generalizations", "gener"},
        {"oscillators", "oscil"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        is_stem(rows[i][0], rows[i][1]);
}

static void test_irregular(void)
{
    is_stem("went", "go");
    is_stem("children", "child");
    is_stem("bought", "bui");
    is_stem("buying", "bui");
    is_stem("buys", "bui");
    is_stem("paid", "pai");
    is_stem("mice", "mous");
    is_text(mc_stem_irregular(mc_str_of("table")), "table", "a regular word stays");
    ok(mc_lexicon_irregular_count >= 110, "%zu irregular verbs and nouns",
       mc_lexicon_irregular_count);
}

static void test_edges(void)
{
    is_stem("", "");
    is_stem("a", "a");
    is_stem("as", "as");
    is_stem("s", "s");
    is_stem("yyyyyyyyyyy", "yyyyyyyyyyi");
    is_stem("caf\xC3\xA9s", "caf\xC3\xA9s");
    is_stem("x9ing", "x9ing");
    char longest[MC_STEM_BYTES * 2];
    char room[MC_STEM_BYTES];
    memset(longest, 'b', sizeof(longest));
    is_int(mc_stem((mc_str){longest, sizeof(longest)}, room).len, sizeof(longest),
           "a word beyond the room stays");
    is_int(mc_stem((mc_str){longest, MC_STEM_BYTES - 1}, room).len, MC_STEM_BYTES - 1,
           "the longest");
}

static void test_lexicon(void)
{
    static const char *const stops[] = {"the", "and", "don't", "i'm", "couldn't", "thanks"};
    for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++)
        ok(mc_stem_is_stop(mc_str_of(stops[i])), "%s is a stop word", stops[i]);
    ok(!mc_stem_is_stop(mc_str_of("refund")), "refund is none");
    size_t feelings = 0;
    for (uint16_t i = 1; mc_lexicon_entry(i)->text.len > 0; i++) {
        const struct mc_word *word = mc_lexicon_entry(i);
        feelings += word->weight != 0;
        if (mc_lexicon_find(word->text, mc_word_hash(word->text)) != i)
            ok(false, "%.*s is found", (int)word->text.len, word->text.data);
    }
    ok(feelings >= 400, "%zu words have a weight", feelings);
    is_int(mc_lexicon_find(mc_str_of("xyzzy"), mc_word_hash(mc_str_of("xyzzy"))), 0, "unknown");
    is_int(mc_lexicon_entry(60000)->flags, 0, "an entry outside the table is empty");
}

int main(void)
{
    test_paper();
    test_irregular();
    test_edges();
    test_lexicon();
    return done_testing();
}
