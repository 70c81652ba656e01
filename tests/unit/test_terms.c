/* Index terms: what a query must find again. */
#include "tap.h"

#include "base/arena.h"
#include "base/str.h"
#include "text/terms.h"

static struct mc_arena arena;

static const char *terms(const char *text)
{
    static char joined[8192];
    struct mc_terms found;
    joined[0] = '\0';
    mc_arena_reset(&arena);
    if (!mc_terms_of(mc_str_of(text), &arena, &found))
        return "out of memory";
    size_t len = 0;
    for (size_t i = 0; i < found.count && len < sizeof(joined) - 100; i++) {
        len += (size_t)snprintf(joined + len, sizeof(joined) - len, "%s%.*s", i ? " " : "",
                                (int)found.items[i].text.len, found.items[i].text.data);
        if (found.items[i].count > 1)
            len +=
                (size_t)snprintf(joined + len, sizeof(joined) - len, ":%u", found.items[i].count);
    }
    return joined;
}

/* Every term of the query is a term of the text. */
static bool finds(const char *query, const char *text)
{
    struct mc_terms q, t;
    mc_arena_reset(&arena);
    if (!mc_terms_of(mc_str_of(query), &arena, &q) || !mc_terms_of(mc_str_of(text), &arena, &t))
        return false;
    size_t hits = 0;
    for (size_t i = 0; i < q.count; i++) {
        for (size_t j = 0; j < t.count; j++)
            hits += mc_str_equal(q.items[i].text, t.items[j].text);
    }
    return q.count > 0 && hits == q.count;
}

static void test_terms(void)
{
    is_str(terms("The orders were shipped, and the order arrived."), "order:2 ship arriv",
           "stop words left out, stems counted");
    is_str(terms("ORD-12345"), "ord 12345 ord12345", "a code whole and in parts");
    is_str(terms("ord12345"), "ord12345 ord 12345", "the same typed together");
    is_str(terms("follow-up"), "follow followup", "hyphenated");
    is_str(terms("1,299.00"), "1 299 00 129900", "an amount");
    is_str(terms("caf\xC3\xA9 na\xC3\xAFve"), "cafe naiv", "accents dropped");
    is_str(terms("L'appareil O'Brien we'll"), "appareil obrien", "clitics");
    is_str(terms("\xE6\x9D\xB1\xE4\xBA\xAC\xE9\x83\xBD"),
           "\xE6\x9D\xB1\xE4\xBA\xAC \xE4\xBA\xAC\xE9\x83\xBD", "pairs of ideographs");
    is_str(terms("\xE7\x8C\xAB ok"), "\xE7\x8C\xAB", "a lone ideograph");
    is_str(terms("the of and"), "", "stop words only");
    is_str(terms("\xFF\xFE"), "", "bad bytes only");
    is_str(terms("and/or end.Next"), "end next", "words are not joined by . and /");
}

/* Letters whose folding brings a space or a sign with it: a term must stay one word. */
static void test_folding(void)
{
    is_str(terms("\xCD\xBAn"), "\xCE\xB9n", "U+037A folds to a space and an iota");
}

static void test_finding(void)
{
    ok(finds("ORD-12345", "Where is ord12345?"), "code and joined code");
    ok(finds("12345", "order ORD-12345"), "the number alone");
    ok(finds("children bought", "The child buys toys"), "irregular forms");
    ok(finds("CAFE", "un caf\xC3\xA9"), "without accent");
    ok(finds("shipping", "it was shipped"), "another form");
    ok(finds("\xE4\xBA\xAC\xE9\x83\xBD", "\xE6\x9D\xB1\xE4\xBA\xAC\xE9\x83\xBD\xE3\x81\xAB"),
       "part of a run of ideographs");
    ok(finds("\xEF\xBC\xA1pi", "API"), "full-width letters");
    ok(!finds("refund", "the invoice"), "another word is not found");
}

/* The terms of the words one after another, those of stop words as '-'. */
static const char *one_by_one(const char *text)
{
    static char joined[1024];
    struct mc_tokenizer tokenizer;
    struct mc_token token;
    struct mc_term_reader reader;
    size_t len = 0;
    joined[0] = '\0';
    mc_tokenizer_init(&tokenizer, mc_str_of(text));
    mc_term_reader_init(&reader);
    while (mc_token_next(&tokenizer, &token)) {
        mc_str term = mc_term_next(&reader, &token);
        len += (size_t)snprintf(joined + len, sizeof(joined) - len, "%s%.*s", len ? " " : "",
                                term.len ? (int)term.len : 1, term.len ? term.data : "-");
    }
    return joined;
}

static void test_one_by_one(void)
{
    static const char *const rows[][2] = {
        {"The children of ORD-12345 were shipped", "- child - ord 12345 - ship"},
        {"ord12345", "ord12345"},
        {"un caf\xC3\xA9 \xC3\xA0 Besan\xC3\xA7on", "un cafe a besancon"},
        {"L'appareil we'll O'Brien", "appareil - obrien"},
        {"\xE6\x9D\xB1\xE4\xBA\xAC\xE9\x83\xBD",
         "\xE6\x9D\xB1 \xE6\x9D\xB1\xE4\xBA\xAC \xE4\xBA\xAC\xE9\x83\xBD"},
        {"\xE6\x9D\xB1 \xE4\xBA\xAC ok\xE9\x83\xBD", "\xE6\x9D\xB1 \xE4\xBA\xAC - \xE9\x83\xBD"},
        {"nice \xF0\x9F\x99\x82", "nice -"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        is_str(one_by_one(rows[i][0]), rows[i][1], "word by word: %s", rows[i][0]);
    /* Each of them is a term of the text, but for the first character of a run. */
    static const char text[] =
        "L'\xC3\x89t\xC3\xA9 went to xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "xxxxxxxxxxxxxxx d\xC3\xA9j\xC3\xA0 500 sev1 isn't O'Neill's Stra\xC3\x9F"
        "e 2026-03-03";
    struct mc_terms all;
    struct mc_tokenizer tokenizer;
    struct mc_token token;
    struct mc_term_reader reader;
    mc_arena_reset(&arena);
    ok(mc_terms_of(mc_str_of(text), &arena, &all), "terms");
    mc_tokenizer_init(&tokenizer, mc_str_of(text));
    mc_term_reader_init(&reader);
    while (mc_token_next(&tokenizer, &token)) {
        mc_str term = mc_term_next(&reader, &token);
        bool found = term.len == 0;
        for (size_t i = 0; i < all.count; i++)
            found |= mc_str_equal(all.items[i].text, term);
        ok(found, "'%.*s' is a term", (int)term.len, term.data);
    }
}

static void test_limits(void)
{
    size_t size = 400000, len = 0;
    char *text = malloc(size);
    if (!ok(text != NULL, "memory"))
        return;
    for (unsigned i = 0; len < size - 20; i++)
        len += (size_t)snprintf(text + len, size - len, "w%ux ", i);
    struct mc_terms found;
    mc_arena_reset(&arena);
    ok(mc_terms_of((mc_str){text, len}, &arena, &found), "many words");
    is_int(found.count, MC_TERMS_MAX, "at most the maximum");
    ok(found.total > 20000, "all are counted");
    memset(text, 'x', size);
    ok(mc_terms_of((mc_str){text, size}, &arena, &found), "one long word");
    is_int(found.items[0].text.len, MC_TERM_BYTES, "is cut");
    for (size_t i = 0; i < size; i++)
        text[i] = i % 2 ? '-' : 'a';
    ok(mc_terms_of((mc_str){text, size}, &arena, &found), "a chain without end");
    free(text);
    struct mc_arena small;
    mc_arena_init(&small, 16);
    ok(!mc_terms_of(mc_str_of("refund invoice"), &small, &found), "out of memory is told");
    mc_arena_fini(&small);
}

int main(void)
{
    mc_arena_init(&arena, (size_t)32 * 1024 * 1024);
    test_terms();
    test_folding();
    test_finding();
    test_one_by_one();
    test_limits();
    mc_arena_fini(&arena);
    return done_testing();
}
