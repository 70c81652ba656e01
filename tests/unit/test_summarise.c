/* Sentences and the extractive summary. */
#include "tap.h"

#include <time.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"
#include "text/sentence.h"
#include "text/summarise.h"

/* The sentences of a text joined by '|'. */
static const char *split(const char *text)
{
    static char joined[1024];
    size_t at = 0, len = 0;
    mc_str sentence;
    joined[0] = '\0';
    while (mc_sentence_next(mc_str_of(text), &at, &sentence))
        len += (size_t)snprintf(joined + len, sizeof(joined) - len, "%s%.*s", len ? "|" : "",
                                MC_STR_ARG(sentence));
    return joined;
}

static void test_sentences(void)
{
    is_str(split("One. Two! Three?"), "One.|Two!|Three?", "three ends");
    is_str(split("It costs 3.50 at 10.30. Fine."), "It costs 3.50 at 10.30.|Fine.", "numbers");
    is_str(split("Dr. Who met J. Smith, e.g. today. So did I. Yes."),
           "Dr. Who met J. Smith, e.g. today.|So did I.|Yes.", "abbreviations and initials");
    is_str(split("He said \"no.\" Then he left..."), "He said \"no.\"|Then he left...", "quotes");
    is_str(split("line one\nline two\r\n\r\nlast"), "line one|line two|last", "lines");
    is_str(split("\xe5\xa4\xa9\xe6\xb0\x97\xe3\x80\x82\xe9\x9b\xa8\xe3\x80\x82"),
           "\xe5\xa4\xa9\xe6\xb0\x97\xe3\x80\x82|\xe9\x9b\xa8\xe3\x80\x82", "CJK full stops");
    is_str(split("  \n "), "", "blank");
    is_str(split("www.example.com/a.b is up"), "www.example.com/a.b is up", "addresses");
}

/* Runs of marks that end no sentence, as long as a message may be: each mark is looked at once. */
static void test_marks(void)
{
    static const char *const marks[] = {".", "!", "?", "\xe2\x80\xa6", ".\"", "...'x"};
    for (size_t i = 0; i < mc_countof(marks); i++) {
        mc_auto(mc_buf_fini) struct mc_buf text;
        mc_buf_init(&text, 1U << 20);
        mc_buf_text(&text, "pizza ");
        for (int k = 0; k < 100000; k++)
            mc_buf_text(&text, marks[i]);
        mc_buf_text(&text, "x");
        size_t at = 0;
        mc_str sentence;
        clock_t begin = clock();
        ok(mc_sentence_next(mc_buf_str(&text), &at, &sentence) && sentence.len == text.len,
           "100,000 times %s in a word are one sentence", marks[i]);
        /* Some milliseconds; looked at again from every mark, minutes. */
        ok(clock() - begin < 5 * CLOCKS_PER_SEC, "at once");
    }
    is_str(split("Well...\" he said. \xe3\x80\x8cNo.\xe3\x80\x82Yes"),
           "Well...\"|he said.|\xe3\x80\x8cNo.\xe3\x80\x82|Yes",
           "a mark behind such a run ends one");
}

#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }
static const struct mc_utterance talk[] = {
    {TEXT("user"), TEXT("Hi there! I hope you are well."), 0.2},
    {TEXT("user"),
     TEXT("My order ORD-48213 of 3 May was charged twice, 49.90 EUR each. I want a refund."), 0.9},
    {TEXT("assistant"), TEXT("I am sorry about that. Which card was charged?"), 0.4},
    {TEXT("user"), TEXT("The Visa card ending in 4411. The refund for the order should go there."),
     0.8},
    {TEXT("assistant"), TEXT("The refund of 49.90 EUR for order ORD-48213 was issued on Monday."),
     0.8},
    {TEXT("user"), TEXT("Great, thanks."), 0.1},
};

static struct mc_extract summary(size_t max_bytes, struct mc_arena *arena)
{
    struct mc_error err;
    struct mc_extract extract;
    if (mc_summarise(talk, mc_countof(talk), max_bytes, arena, &extract, &err))
        bail_out("%s", err.message);
    return extract;
}

static bool contains(mc_str text, const char *part)
{
    return memmem(text.data, text.len, part, strlen(part)) != NULL;
}

static void test_summary(void)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, 64U << 20);
    struct mc_extract extract = summary(200, &arena);
    diag("%.*s", MC_STR_ARG(extract.text));
    ok(extract.text.len > 0 && extract.text.len <= 200, "%zu bytes", extract.text.len);
    ok(contains(extract.text, "refund"), "it says what it is about");
    ok(!contains(extract.text, "Hi there"), "and not the small talk");
    ok(contains(extract.text, "user: ") || contains(extract.text, "assistant: "),
       "and who said it");
    bool number = false;
    for (size_t i = 0; i < extract.fact_count; i++)
        number |= contains(extract.facts[i], "ORD-48213");
    ok(number && extract.fact_count <= 10, "%zu facts", extract.fact_count);
    for (size_t most = 0; most < 500; most += 7) {
        struct mc_extract some = summary(most, &arena);
        if (some.text.len > most)
            ok(false, "%zu bytes for %zu", some.text.len, most);
    }
    struct mc_extract all = summary(100000, &arena);
    const char *first = memmem(all.text.data, all.text.len, "charged twice", 13);
    const char *last = memmem(all.text.data, all.text.len, "issued on Monday", 16);
    ok(first && last && first < last, "sentences are in their order");
    struct mc_extract again = summary(100000, &arena);
    ok(mc_str_equal(all.text, again.text), "the same bytes again");
}

static void test_bounds(void)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, 256U << 20);
    struct mc_error err;
    struct mc_extract extract;
    is_status(mc_summarise(NULL, 0, 100, &arena, &extract, &err), MC_OK, &err, "no utterances");
    is_int(extract.text.len + extract.fact_count, 0, "an empty summary");

    enum { MANY = 5000 };
    static struct mc_utterance many[MANY];
    static char texts[MANY][64];
    for (size_t i = 0; i < MANY; i++) {
        snprintf(texts[i], sizeof(texts[i]), "Report %zu says the valve number %zu leaks.", i,
                 i % 97);
        many[i] = (struct mc_utterance){MC_STR("tool"), mc_str_of(texts[i]), 0.5};
    }
    is_status(mc_summarise(many, MANY, 1000, &arena, &extract, &err), MC_OK, &err,
              "many utterances");
    ok(extract.text.len > 500 && extract.text.len <= 1000, "%zu bytes", extract.text.len);
    is_int(extract.fact_count, 10, "ten facts");

    struct mc_buf long_text;
    mc_buf_init(&long_text, 1U << 20);
    for (int i = 0; i < 20000; i++)
        mc_buf_text(&long_text, "endless ");
    struct mc_utterance one = {MC_STR("user"), mc_buf_str(&long_text), 0.5};
    is_status(mc_summarise(&one, 1, 100, &arena, &extract, &err), MC_OK, &err,
              "an endless sentence");
    ok(extract.text.len > 0 && extract.text.len <= 100, "its beginning: %zu bytes",
       extract.text.len);
    mc_buf_fini(&long_text);
    struct mc_utterance odd = {MC_STR(""), MC_STR("\xff\xfe bytes. \xe5\xa4"), 0.5};
    is_status(mc_summarise(&odd, 1, 100, &arena, &extract, &err), MC_OK, &err, "bytes of no text");
}

int main(void)
{
    test_sentences();
    test_marks();
    test_summary();
    test_bounds();
    return done_testing();
}
