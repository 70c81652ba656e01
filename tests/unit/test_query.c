/* What is read of a query: of a long one both ends, of many words those of both ends first. */
#include "tap.h"

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"
#include "base/time.h"
#include "base/utf8.h"
#include "context/query.h"

#define NOW INT64_C(1767225600000000)

static struct mc_vocabulary *vocabulary;
static struct mc_arena arena;

static void must(enum mc_status status, const struct mc_error *err)
{
    if (status)
        bail_out("%s", err->message);
}

static struct mc_query read_query(mc_str text)
{
    struct mc_error err;
    struct mc_query query;
    mc_arena_reset(&arena);
    must(mc_query_read(text, vocabulary, NOW, &arena, &query, &err), &err);
    return query;
}

static bool has(const struct mc_query *query, const char *term)
{
    return mc_query_word(query, mc_str_of(term)) < query->word_count;
}

/* Words that are all different, and as many numbers, which say more than words. */
static void paste(struct mc_buf *text, size_t bytes)
{
    for (int i = 0; text->len < bytes; i++)
        mc_buf_printf(text, "%c%c%cpasted%c is %d, ", 'b' + i % 20, 'a' + i / 20 % 20,
                      'b' + i / 400, 'b' + i % 7, 1000 + i);
}

static const char ASKED[] = "What did Zora say of the CURTAINS of linen on 7 May 2023?";

static void is_asked(mc_str text, const char *how)
{
    struct mc_query query = read_query(text);
    ok(has(&query, "zora") && has(&query, "curtain") && has(&query, "linen"),
       "%s its words are looked up", how);
    ok(query.word_count <= MC_QUERY_WORDS_MAX && query.term_count <= MC_MATCH_TERMS_MAX,
       "%s no more than can be", how);
    ok(query.when.given && query.when.from_us == mc_time_from_civil(2023, 5, 7),
       "%s its time is read", how);
}

static void test_pasted(void)
{
    static const size_t sizes[] = {100, 1000, 5000, 9000, 300000};
    for (size_t i = 0; i < mc_countof(sizes); i++) {
        char how[64];
        mc_auto(mc_buf_fini) struct mc_buf text;
        mc_buf_init(&text, 1U << 20);
        paste(&text, sizes[i]);
        mc_buf_printf(&text, "then:\n\n%s", ASKED);
        snprintf(how, sizeof(how), "asked behind %zu bytes", sizes[i]);
        is_asked(mc_buf_str(&text), how);
        mc_buf_reset(&text);
        mc_buf_printf(&text, "%s\n\n", ASKED);
        paste(&text, sizes[i]);
        snprintf(how, sizeof(how), "asked before %zu bytes", sizes[i]);
        is_asked(mc_buf_str(&text), how);
    }
}

/* 20,000 different pairs of characters, then two more: \u7a97\u5e18, curtains. */
static void test_without_spaces(void)
{
    mc_auto(mc_buf_fini) struct mc_buf text;
    mc_buf_init(&text, 1U << 20);
    for (int32_t i = 0; i < 20000; i++) {
        char bytes[4];
        mc_buf_append(&text, (mc_str){bytes, mc_utf8_put(0x4E00 + i, bytes)});
    }
    mc_buf_text(&text, "\u3002\u7a97\u5e18");
    struct mc_query query = read_query(mc_buf_str(&text));
    ok(has(&query, "\u7a97\u5e18"), "the last pair");
    ok(has(&query, "\u4e00\u4e01"), "and the first one");
}

static void test_ends(void)
{
    static const struct {
        const char *text;
        size_t max_bytes;
        const char *want;
    } rows[] = {
        {"", 8, ""},
        {"one two", 8, "one two"},
        {"one two!", 8, "one two!"},
        {"one two three four", 12, "one\nfour"},
        {"one two three four", 17, "one two\nfour"},
        {"one\ntwo three\nfour", 12, "one\nfour"},
        {"abcdefghijklmnopqrst", 9, "abcd\nqrst"},
        {"\u62a4\u7167\u53f7\u7801\u5728", 11, "\u62a4\n\u5728"},
    };
    for (size_t i = 0; i < mc_countof(rows); i++) {
        struct mc_error err;
        mc_str ends;
        mc_arena_reset(&arena);
        must(mc_query_ends(mc_str_of(rows[i].text), rows[i].max_bytes, &arena, &ends, &err), &err);
        is_text(ends, rows[i].want, "%zu bytes of '%s'", rows[i].max_bytes, rows[i].text);
    }
    char bytes[200];
    int bad = 0;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(0x80 + i % 64);
    for (size_t most = 2; most < 202; most++) {
        struct mc_error err;
        mc_str ends;
        mc_arena_reset(&arena);
        must(mc_query_ends((mc_str){bytes, sizeof(bytes)}, most, &arena, &ends, &err), &err);
        bad += ends.len > most;
    }
    is_int(bad, 0, "never more, of whatever bytes");
}

/* The words of a date weigh less, also those of one that is written in one piece. */
static void test_date(void)
{
    struct mc_query query = read_query(MC_STR("What did I say on 2023-05-07?"));
    ok(mc_query_is_time(&query), "an ISO date alone names a time and nothing else");
    query = read_query(MC_STR("What did I say of curtains on 2023-05-07?"));
    ok(!mc_query_is_time(&query), "beside a word it does not");
    size_t word = mc_query_word(&query, MC_STR("20230507"));
    ok(word < query.word_count && query.weights[word] < 0.5, "its digits say little");
    word = mc_query_word(&query, MC_STR("curtain"));
    is_double(query.weights[word], 1.0, 1e-9, "the word all");
}

int main(void)
{
    struct mc_error err;
    mc_arena_init(&arena, 64U << 20);
    must(mc_vocabulary_new(&vocabulary, &err), &err);
    test_ends();
    test_pasted();
    test_without_spaces();
    test_date();
    mc_vocabulary_free(vocabulary);
    mc_arena_fini(&arena);
    return done_testing();
}
