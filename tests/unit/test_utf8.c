/* UTF-8: well-formedness, walking, cutting, classes, folding. */
#include "tap.h"

#include "base/buf.h"
#include "base/str.h"
#include "base/utf8.h"

static void test_every_code_point(void)
{
    size_t wrong = 0;
    for (int32_t code = 0; code <= 0x10FFFF; code++) {
        char text[4];
        bool surrogate = code >= 0xD800 && code <= 0xDFFF;
        size_t len = mc_utf8_put(code, text), offset = 0, characters = 0;
        int32_t back = mc_utf8_next((mc_str){text, len}, &offset);
        wrong += back != (surrogate ? 0xFFFD : code) || offset != len;
        wrong += !mc_utf8_check((mc_str){text, len}, &characters, NULL) || characters != 1;
        for (size_t cut = 1; cut < len; cut++) /* every shorter piece is malformed */
            wrong += mc_utf8_check((mc_str){text, cut}, NULL, NULL);
    }
    is_int(wrong, 0, "every code point there and back");
    char text[4];
    is_int(mc_utf8_put(0x110000, text), 3, "beyond Unicode becomes U+FFFD");
    is_int(mc_utf8_put(-1, text), 3, "negative becomes U+FFFD");
}

static void test_malformed(void)
{
    static const struct {
        mc_str text;
        size_t bad;
    } rows[] = {
        {{"\xC0\xAF", 2}, 0},         {{"a\xC1\xBF", 3}, 1},        {{"\xE0\x9F\xBF", 3}, 0},
        {{"\xF0\x8F\xBF\xBF", 4}, 0}, {{"\xED\xA0\x80", 3}, 0},     {{"\xED\xBF\xBF", 3}, 0},
        {{"\xF4\x90\x80\x80", 4}, 0}, {{"\xF5\x80\x80\x80", 4}, 0}, {{"\xFF", 1}, 0},
        {{"12345678\x80", 9}, 8},     {{"1234567\xE2\x82", 9}, 7},  {{"\xC3\xA9\xC3", 3}, 2},
        {{"\xE2\x28\xA1", 3}, 0},     {{"\xF0\x9F\x98", 3}, 0},     {{"\xF0\x9F\x41\x80", 4}, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t bad = 99, characters = 99;
        ok(!mc_utf8_check(rows[i].text, &characters, &bad), "malformed text %zu", i);
        is_int(bad, rows[i].bad, "first bad byte of it");
        is_int(characters, 99, "count untouched");
    }
    size_t offset = 0, characters = 0;
    mc_str text = {"\xE2\x82x", 3};
    ok(mc_utf8_next(text, &offset) == -1 && offset == 1, "a bad byte moves one");
    ok(mc_utf8_next(text, &offset) == -1 && offset == 2, "the next too");
    ok(mc_utf8_next(text, &offset) == 'x' && offset == 3, "then the good one");
    ok(mc_utf8_next(text, &offset) == -1 && offset == 3, "the end stays");
    ok(mc_utf8_check(MC_STR_NONE, &characters, NULL) && characters == 0, "nothing is valid");
    ok(mc_utf8_check(MC_STR("a\0b"), &characters, NULL) && characters == 3, "NUL is a character");
    ok(mc_utf8_check(MC_STR("Grüße, 世界 😀 and more"), &characters, NULL) && characters == 20,
       "characters are counted: %zu", characters);
}

static void test_cut(void)
{
    mc_str text = MC_STR("aé世😀"); /* 1 + 2 + 3 + 4 bytes */
    static const size_t want[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
    for (size_t max = 0; max < sizeof(want) / sizeof(want[0]); max++)
        is_int(mc_utf8_cut(text, max).len, want[max], "cut to %zu bytes", max);
    is_int(mc_utf8_cut((mc_str){"\x80\x80\x80\x80\x80\x80", 6}, 5).len, 5,
           "not UTF-8: the maximum");
    char line[8];
    is_int(mc_utf8_line(MC_STR("a\nb\tc"), line, sizeof(line)), 5, "line");
    is_str(line, "a b c", "control characters are spaces");
    mc_utf8_line(MC_STR("12345é😀"), line, sizeof(line));
    is_str(line, "12345é", "line cut at a character");
    mc_utf8_line(MC_STR("a\xFFz\xC2\x85"), line, sizeof(line));
    is_str(line, "a\xEF\xBF\xBDz ", "bad byte and C1 control");
    line[0] = 'q';
    is_int(mc_utf8_line(MC_STR("a"), line, 0), 0, "no room");
    ok(line[0] == 'q', "nothing written");
    mc_utf8_line(MC_STR("a"), line, 1);
    is_str(line, "", "room for the NUL");
}

static void test_classes(void)
{
    ok(mc_utf8_is_letter('z') && mc_utf8_is_letter(0xE9) && mc_utf8_is_letter(0x4E16), "letters");
    ok(!mc_utf8_is_letter('@') && !mc_utf8_is_letter('[') && !mc_utf8_is_letter(0x301),
       "no letters");
    ok(mc_utf8_is_digit('7') && mc_utf8_is_digit(0x0664) && !mc_utf8_is_digit(0xBD), "digits");
    ok(mc_utf8_is_space(' ') && mc_utf8_is_space(0xA0) && mc_utf8_is_space(0x3000), "spaces");
    ok(!mc_utf8_is_space(0x200B) && !mc_utf8_is_space(0) && !mc_utf8_is_space(-1), "no spaces");
    ok(mc_utf8_is_mark(0x301) && !mc_utf8_is_mark('a'), "marks");
    ok(mc_utf8_is_emoji(0x1F600) && mc_utf8_is_emoji(0x2764) && mc_utf8_is_emoji(0x1F1E9) &&
           mc_utf8_is_emoji(0x200D) && mc_utf8_is_emoji(0xFE0F) && mc_utf8_is_emoji(0x1F3FD),
       "emoji");
    ok(!mc_utf8_is_emoji('1') && !mc_utf8_is_emoji(0x4E16) && !mc_utf8_is_emoji(-1), "no emoji");
    is_int(mc_utf8_lower(0xC9), 0xE9, "lower É");
    is_int(mc_utf8_lower('['), '[', "lower [");
    is_int(mc_utf8_lower(0x10FFFF), 0x10FFFF, "lower of nothing");
    ok(!mc_utf8_is_letter(-1) && !mc_utf8_is_mark(0x7FFFFFFF), "outside of Unicode");
    ok(mc_utf8_is_blank(MC_STR(" \t\xC2\xA0\xE3\x80\x80")) && mc_utf8_is_blank(MC_STR_NONE),
       "blank");
    ok(!mc_utf8_is_blank(MC_STR("  .")) && !mc_utf8_is_blank(MC_STR("\xFF")), "not blank");
    ok(mc_utf8_is_blank(MC_STR("\u200B\u200D \uFEFF\u2060\u00AD\u202E\u3164")), "of no width");
    ok(!mc_utf8_is_blank(MC_STR("\u200Ba")) && !mc_utf8_is_blank(MC_STR("\u0301")), "but not all");
}

static void test_fold(void)
{
    static const char *const rows[][2] = {
        {"Hello WORLD 123", "hello world 123"},
        {"STRASSE", "strasse"},
        {"Straße", "strasse"},
        {"ﬁn", "fin"},
        {"Ｆｕｌｌ", "full"},
        {"e\xCC\x81", "é"},
        {"ÀÉ", "àé"},
        {"a\xC2\xAD"
         "b",
         "ab"},
        {"", ""},
    };
    struct mc_buf buf;
    mc_buf_init(&buf, 4096);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        mc_buf_reset(&buf);
        ok(mc_utf8_fold(mc_str_of(rows[i][0]), &buf), "fold %s", rows[i][0]);
        is_text(mc_buf_str(&buf), rows[i][1], "result");
    }
    ok(!mc_utf8_fold(MC_STR("a\xFF"), &buf) && !buf.failed, "bad UTF-8");
    mc_buf_fini(&buf);
    mc_buf_init(&buf, 4);
    ok(!mc_utf8_fold(MC_STR("hello"), &buf) && buf.failed, "too long, ASCII");
    mc_buf_reset(&buf);
    ok(!mc_utf8_fold(MC_STR("éééé"), &buf) && buf.failed, "too long, not ASCII");
    mc_buf_fini(&buf);
    char ascii[1000];
    memset(ascii, 'X', sizeof(ascii));
    mc_buf_init(&buf, 4096);
    ok(mc_utf8_fold((mc_str){ascii, sizeof(ascii)}, &buf) && buf.len == 1000, "long ASCII");
    ok(strspn(buf.data, "x") == 1000, "folded to its end");
    mc_buf_fini(&buf);
}

int main(void)
{
    test_every_code_point();
    test_malformed();
    test_cut();
    test_classes();
    test_fold();
    return done_testing();
}
