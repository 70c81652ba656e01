/*
 * The walk through a shape: what may follow at each place, byte for byte; and for random schemas, that
 * exactly the texts that have the shape can be written.
 */
#include "tap.h"

#include "base/buf.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"
#include "llm/schema.h"

#define SCHEMAS 400
#define WALKS 6
#define TEXT_MAX 8 /* maxLength of random schemas */

static void free_schema(struct mc_schema **schema)
{
    mc_schema_free(*schema);
}

static void free_scratch(struct mc_walk_scratch **scratch)
{
    mc_walk_scratch_free(*scratch);
}

static struct mc_schema *make(const char *members)
{
    mc_auto(mc_buf_fini) struct mc_buf text;
    struct mc_schema *schema = NULL;
    struct mc_error err = {0};
    mc_buf_init(&text, 65536);
    mc_buf_printf(&text, "{\"type\":\"object\",\"properties\":{%s}}", members);
    if (mc_schema_new(mc_buf_str(&text), &schema, &err) != MC_OK)
        bail_out("%s: %s", members, err.message);
    return schema;
}

/* What may follow, as text: `=fixed`, `?choice|choice`, `"left,need`, `.` at the end. */
static mc_str show_next(const struct mc_walk *walk, struct mc_walk_scratch *scratch,
                        struct mc_buf *out)
{
    struct mc_next next;
    mc_walk_next(walk, scratch, &next);
    mc_buf_reset(out);
    switch (next.kind) {
    case MC_NEXT_FIXED:
        mc_buf_char(out, '=');
        mc_buf_append(out, next.fixed);
        break;
    case MC_NEXT_CHOICE:
        for (size_t i = 0; i < next.choice_count; i++) {
            mc_buf_char(out, i > 0 ? '|' : '?');
            mc_buf_append(out, next.choices[i]);
        }
        break;
    case MC_NEXT_TEXT:
        mc_buf_printf(out, "\"%zu,%zu", next.text_left, next.text_need);
        break;
    case MC_NEXT_DONE:
        mc_buf_char(out, '.');
        break;
    }
    return mc_buf_str(out);
}

/* What follows after each of the texts, one after the other; a NULL text ends the list. */
static void is_course(const char *members, const char *const course[][2])
{
    mc_auto(free_schema) struct mc_schema *schema = make(members);
    mc_auto(free_scratch) struct mc_walk_scratch *scratch = mc_walk_scratch_new();
    mc_auto(mc_buf_fini) struct mc_buf shown;
    struct mc_walk walk;
    mc_buf_init(&shown, 65536);
    mc_walk_start(&walk, schema);
    for (size_t i = 0; course[i][0]; i++) {
        ok(mc_walk_may(&walk, mc_str_of(course[i][0])) &&
               mc_walk_feed(&walk, mc_str_of(course[i][0])),
           "'%s' is taken", course[i][0]);
        is_text(show_next(&walk, scratch, &shown), course[i][1], "what follows it");
    }
    mc_str end = show_next(&walk, scratch, &shown);
    ok(walk.finished == mc_str_equal(end, MC_STR(".")), "finished or not");
}

static void test_courses(void)
{
    is_course("", (const char *const[][2]){{"", "={}"}, {"{", "=}"}, {"}", "."}, {NULL, NULL}});
    is_course("\"topics\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":2,\"uniqueItems\":true,"
              "\"items\":{\"enum\":[\"foot\",\"food\",\"art\"]}}",
              (const char *const[][2]){{"", "={\"topics\":[\""},
                                       {"{\"top", "=ics\":[\""},
                                       {"ics\":[", "=\""},
                                       {"\"", "?art\"|food\"|foot\""},
                                       {"f", "?ood\"|oot\""},
                                       {"oo", "?d\"|t\""},
                                       {"t", "=\""},
                                       {"\"", "?,|]"},
                                       {",", "=\""},
                                       {"\"", "?art\"|food\""},
                                       {"fo", "=od\"]}"},
                                       {"od\"]}", "."},
                                       {NULL, NULL}});
    is_course("\"all\":{\"type\":\"array\",\"maxItems\":9,\"uniqueItems\":true,"
              "\"items\":{\"type\":\"boolean\"}}",
              (const char *const[][2]){{"{\"all\":[", "?]|false|true"},
                                       {"true", "?,|]"},
                                       {",", "=false]}"},
                                       {"f", "=alse]}"},
                                       {"alse", "=]}"},
                                       {"]}", "."},
                                       {NULL, NULL}});
    is_course("\"n\":{\"type\":\"integer\",\"minimum\":-1,\"maximum\":11},\"m\":{\"enum\":[1,12]}",
              (const char *const[][2]){{"", "={\"n\":"},
                                       {"{\"n\":", "?-1|0|1,|10|11|2|3|4|5|6|7|8|9"},
                                       {"1", "?,|0|1"},
                                       {"1", "=,\"m\":"},
                                       {",\"m\":", "?1}|12"},
                                       {"1", "?}|2"},
                                       {"}", "."},
                                       {NULL, NULL}});
    is_course("\"n\":{\"type\":\"array\",\"maxItems\":2,\"items\":{\"enum\":[1,12]}}",
              (const char *const[][2]){{"{\"n\":[", "?]|1,|1]|12"},
                                       {"1", "?,|]|2"},
                                       {",", "?1]|12"},
                                       {"12", "=]}"},
                                       {"]}", "."},
                                       {NULL, NULL}});
    is_course("\"n\":{\"type\":\"array\",\"maxItems\":3,\"uniqueItems\":true,"
              "\"items\":{\"enum\":[1,12]}}",
              (const char *const[][2]){{"{\"n\":[12,", "=1]}"}, {"1]", "=}"}, {NULL, NULL}});
}

static void test_more_courses(void)
{
    is_course("\"a\":{\"type\":\"array\",\"maxItems\":0,\"items\":{\"const\":1}},"
              "\"b\":{\"type\":\"array\",\"minItems\":2,\"maxItems\":2,\"items\":{\"const\":null}}",
              (const char *const[][2]){{"", "={\"a\":[],\"b\":[null,null]}"},
                                       {"{\"a\":[],\"b\":[null,null]}", "."},
                                       {"", "."},
                                       {NULL, NULL}});
    is_course("\"x\":{\"type\":\"array\",\"maxItems\":2,\"items\":{\"anyOf\":["
              "{\"type\":\"object\",\"properties\":{\"kind\":{\"const\":\"note\"},"
              "\"text\":{\"type\":\"string\",\"maxLength\":3}}},"
              "{\"type\":\"object\",\"properties\":{\"kind\":{\"const\":\"none\"}}}]}}",
              (const char *const[][2]){{"", "={\"x\":["},
                                       {"{\"x\":[", "?]|{"},
                                       {"{", "=\"kind\":\""},
                                       {"\"kind\":\"", "?none\"|note\""},
                                       {"none\"", "=}"},
                                       {"},{\"kind\":\"not", "=e\",\"text\":\""},
                                       {"e\",\"text\":\"ab", "\"1,0"},
                                       {"c", "=\"}]}"},
                                       {"\"}]}", "."},
                                       {NULL, NULL}});
    is_course("\"x\":{\"anyOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"const\":\"1\"}}},"
              "{\"type\":\"object\",\"properties\":{\"b\":{\"const\":\"1\"}}}]}",
              (const char *const[][2]){{"", "={\"x\":{\""},
                                       {"{\"x\":{\"", "?a\":\"1\"|b\":\"1\""},
                                       {"b", "=\":\"1\"}}"},
                                       {NULL, NULL}});
    is_course(
        "\"x\":{\"enum\":[\"a\",null,\"\",7]}",
        (const char *const[][2]){
            {"{\"x\":", "?\"\"|\"a\"|7|null"}, {"\"", "?\"|a\""}, {"\"}", "."}, {NULL, NULL}});
    is_course("\"x\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":3}",
              (const char *const[][2]){{"{\"x\":\"", "\"3,1"},
                                       {"\\", "\"3,1"},
                                       {"ud83d", "\"3,1"},
                                       {"\\ude0", "\"3,1"},
                                       {"0", "\"2,0"},
                                       {"\xF0\x9F", "\"2,0"},
                                       {"\x98", "\"2,0"},
                                       {"\x80"
                                        "b",
                                        "=\"}"},
                                       {NULL, NULL}});
    is_course(
        "\"x\":{\"type\":\"string\",\"maxLength\":0},\"y\":{\"const\":\"\\u0001\xC3\xA4\"}",
        (const char *const[][2]){{"", "={\"x\":\"\",\"y\":\"\\u0001\xC3\xA4\"}"}, {NULL, NULL}});
}

/* A fixed text longer than the room for it comes in parts. */
static void test_long_fixed(void)
{
    mc_auto(mc_buf_fini) struct mc_buf members;
    mc_auto(mc_buf_fini) struct mc_buf written;
    mc_buf_init(&members, 65536);
    mc_buf_init(&written, 65536);
    mc_buf_text(&members, "\"x\":{\"const\":\"");
    for (int i = 0; i < 10000; i++)
        mc_buf_char(&members, (char)('a' + i % 26));
    mc_buf_text(&members, "\"}");
    mc_auto(free_schema) struct mc_schema *schema = make(members.data);
    mc_auto(free_scratch) struct mc_walk_scratch *scratch = mc_walk_scratch_new();
    struct mc_walk walk;
    struct mc_next next;
    size_t parts = 0;
    mc_walk_start(&walk, schema);
    for (mc_walk_next(&walk, scratch, &next); next.kind == MC_NEXT_FIXED; parts++) {
        mc_buf_append(&written, next.fixed);
        if (!mc_walk_feed(&walk, next.fixed))
            bail_out("a fixed text is refused");
        mc_walk_next(&walk, scratch, &next);
    }
    ok(next.kind == MC_NEXT_DONE && parts == 3, "%zu parts", parts);
    is_int(written.len, mc_schema_longest(schema), "all of it");
    is_status(mc_schema_check(schema, mc_buf_str(&written), NULL), MC_OK, NULL, "and it is right");
}

/* Strings */

static struct mc_walk in_string(const struct mc_schema *schema)
{
    struct mc_walk walk;
    mc_walk_start(&walk, schema);
    if (!mc_walk_feed(&walk, MC_STR("{\"x\":\"")))
        bail_out("the beginning is refused");
    return walk;
}

/* Every sequence of up to four bytes of these, against the reference of base/utf8.h. */
static void test_characters(void)
{
    static const unsigned char bytes[] = {'a',  0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
                                          0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED,
                                          0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF};
    mc_auto(free_schema) struct mc_schema *schema =
        make("\"x\":{\"type\":\"string\",\"maxLength\":4}");
    const struct mc_walk start = in_string(schema);
    size_t count = mc_countof(bytes), total = count * count * count * count, wrong = 0, good = 0;
    for (size_t i = 0; i < total; i++) {
        char text[5];
        for (size_t k = 0, rest = i; k < 4; k++, rest /= count)
            text[k] = (char)bytes[rest % count];
        text[4] = '"';
        bool valid = mc_utf8_check((mc_str){text, 4}, NULL, NULL);
        struct mc_walk walk = start;
        wrong += mc_walk_may(&walk, (mc_str){text, 5}) != valid ? 1 : 0;
        good += valid ? 1 : 0;
    }
    ok(wrong == 0 && good > 0, "%zu of %zu sequences wrong, %zu are right ones", wrong, total,
       good);
    for (unsigned c = 0; c < 256; c++) {
        char text[1] = {(char)c};
        bool may = (c >= 0x20 && c < 0x80) || (c >= 0xC2 && c <= 0xF4);
        wrong += mc_walk_may(&start, (mc_str){text, 1}) != may ? 1 : 0;
        char escape[2] = {'\\', (char)c};
        may = c > 0 && strchr("\"\\/bfnrtu", (int)c);
        wrong += mc_walk_may(&start, (mc_str){escape, 2}) != may ? 1 : 0;
    }
    is_int(wrong, 0, "single bytes and short escapes");
}

/* Whether a unit is refused only where no digits make it right, and taken otherwise. */
static void test_escapes(void)
{
    mc_auto(free_schema) struct mc_schema *schema =
        make("\"x\":{\"type\":\"string\",\"maxLength\":1}");
    const struct mc_walk start = in_string(schema);
    size_t wrong = 0;
    struct mc_walk waits = start;
    ok(mc_walk_feed(&waits, MC_STR("\\uD83d")), "a high half");
    for (unsigned code = 0; code < 0x10000; code++) {
        char text[8];
        snprintf(text, sizeof(text), code % 2 ? "\\u%04x" : "\\u%04X", code);
        bool low = code >= 0xDC00 && code < 0xE000;
        bool high = code >= 0xD800 && code < 0xDC00;
        mc_str whole = {text, 6};
        wrong += mc_walk_may(&start, whole) != (code != 0 && !low) ? 1 : 0;
        wrong += mc_walk_may(&waits, whole) != low ? 1 : 0;
        text[6] = '"';
        wrong += mc_walk_may(&start, (mc_str){text, 7}) != (code != 0 && !low && !high) ? 1 : 0;
        /* Three digits of zero may become U+0001; two of DC can become nothing. */
        wrong += mc_walk_may(&start, (mc_str){text, 5}) != !low ? 1 : 0;
        wrong += mc_walk_may(&waits, (mc_str){text, 4}) != low ? 1 : 0;
        wrong +=
            mc_walk_may(&waits, (mc_str){text, 3}) != (code >= 0xD000 && code < 0xE000) ? 1 : 0;
    }
    is_int(wrong, 0, "units of UTF-16");
    for (unsigned c = 0; c < 256; c++) {
        char text[2] = {'\\', (char)c};
        wrong += mc_walk_may(&waits, (mc_str){text + 1, 1}) != (c == '\\') ? 1 : 0;
        wrong += mc_walk_may(&waits, (mc_str){text, 2}) != (c == 'u') ? 1 : 0;
    }
    is_int(wrong, 0, "a high half waits for its low half");
    ok(!mc_walk_may(&start, MC_STR("\\u00g0")), "no digit");
}

static void test_close(void)
{
    static const char *const cases[][2] = {
        {"", "\""},
        {"ab", "\""},
        {"a\\", "n\""},
        {"\\u", "0020\""},
        {"\\u0", "020\""},
        {"\\u000", "a\""},
        {"\\u00", "20\""},
        {"\\uD", "020\""},
        {"\\uD8", "20\\udc00\""},
        {"\\ud83d", "\\udc00\""},
        {"\\ud83d\\", "udc00\""},
        {"\\ud83d\\uD", "c00\""},
        {"\\ud83d\\uDE", "00\""},
        {"\xC3", "\x80\""},
        {"\xE0", "\xA0\x80\""},
        {"\xED\x9F", "\x80\""},
        {"\xF0", "\x90\x80\x80\""},
        {"\xF4", "\x80\x80\x80\""},
        {"abcd", "\""},
    };
    mc_auto(free_schema) struct mc_schema *schema =
        make("\"x\":{\"type\":\"string\",\"maxLength\":4}");
    mc_auto(free_schema) struct mc_schema *two =
        make("\"x\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":4}");
    for (size_t i = 0; i < mc_countof(cases); i++) {
        struct mc_walk walk = in_string(schema);
        char text[16];
        ok(mc_walk_feed(&walk, mc_str_of(cases[i][0])), "text %zu", i);
        size_t len = mc_walk_close_text(&walk, text);
        is_text(((mc_str){text, len}), cases[i][1], "its shortest end");
        ok(mc_walk_feed(&walk, (mc_str){text, len}) && mc_walk_feed(&walk, MC_STR("}")) &&
               walk.finished && mc_walk_close_text(&walk, text) == 0,
           "which is taken");
    }
    struct mc_walk walk = in_string(two);
    char text[16];
    ok(mc_walk_feed(&walk, MC_STR("a")), "too short yet");
    is_int(mc_walk_close_text(&walk, text), 0, "cannot be closed");
    ok(mc_walk_feed(&walk, MC_STR("\\")), "the second character begins");
    is_int(mc_walk_close_text(&walk, text), 2, "can be closed");
    mc_walk_start(&walk, two);
    is_int(mc_walk_close_text(&walk, text), 0, "not in a string");
}

static void test_all_or_nothing(void)
{
    mc_auto(free_schema) struct mc_schema *schema =
        make("\"x\":{\"type\":\"string\",\"maxLength\":4},\"y\":{\"enum\":[1,12]}");
    struct mc_walk walk = in_string(schema), before;
    memcpy(&before, &walk, sizeof(before)); /* with its padding, which is compared too */
    static const char refused[][16] = {"abcde", "ab\",\"z", "ab\",\"y\":13",
                                       "a\n",   "\"}",      "a\",\"y\":1}}"};
    for (size_t i = 0; i < mc_countof(refused); i++) {
        ok(!mc_walk_may(&walk, mc_str_of(refused[i])), "'%s' may not follow", refused[i]);
        ok(!mc_walk_feed(&walk, mc_str_of(refused[i])), "and is refused");
        ok(memcmp(&walk, &before, sizeof(walk)) == 0, "and changes nothing");
    }
    struct mc_walk copy = walk;
    ok(mc_walk_feed(&copy, MC_STR("abcd\",\"y\":12}")) && copy.finished, "over all parts at once");
    ok(mc_walk_feed(&copy, MC_STR("")) && !mc_walk_feed(&copy, MC_STR(" ")), "then nothing more");
    ok(!walk.finished && mc_walk_feed(&walk, MC_STR("x")), "a copy is a place of its own");
}

/* Random schemas */

static uint64_t seed = 88172645463325252;

static size_t pick(size_t count)
{
    seed ^= seed << 13U;
    seed ^= seed >> 7U;
    seed ^= seed << 17U;
    return (size_t)(seed % count);
}

static const char *const words[] = {
    "a",        "ab",
    "abc",      "b\\\"c",
    "\\\\",     "\\u0001",
    "\xC3\xA4", "\xF0\x9F\x98\x80",
    "",         "food and drink",
    "food",     "\\n",
    "1",        "a]",
};
static const char *const literals[] = {"null", "true", "false", "1",    "12",  "123",  "-1",
                                       "-12",  "1.5",  "0",     "1e21", "0.1", "1.25", "-0.0"};

static void write_enum(struct mc_buf *out)
{
    size_t words_count = pick(3) > 0 ? mc_countof(words) : 0;
    size_t literals_count = words_count == 0 || pick(3) == 0 ? mc_countof(literals) : 0;
    size_t written = 0;
    mc_buf_text(out, "{\"enum\":[");
    for (size_t i = 0; i < words_count + literals_count; i++) {
        bool last = i + 1 == words_count + literals_count && written == 0;
        if (!last && pick(3) > 0)
            continue;
        mc_buf_text(out, written++ > 0 ? "," : "");
        if (i < words_count)
            mc_buf_printf(out, "\"%s\"", words[i]);
        else
            mc_buf_text(out, literals[i - words_count]);
    }
    mc_buf_text(out, "]}");
}

static void write_value(struct mc_buf *out, size_t depth);

static void write_object(struct mc_buf *out, size_t depth, const char *tag)
{
    size_t count = pick(4);
    mc_buf_text(out, "{\"type\":\"object\",\"properties\":{");
    if (tag)
        mc_buf_printf(out, "\"%s\":{\"const\":\"%s\"}%s", pick(4) > 0 ? "kind" : tag, tag,
                      count > 0 ? "," : "");
    for (size_t i = 0; i < count; i++) {
        mc_buf_printf(out, "%s\"m%zu\\\"\":", i > 0 ? "," : "", i);
        write_value(out, depth + 1);
    }
    mc_buf_text(out, "},\"additionalProperties\":false}");
}

static void write_array(struct mc_buf *out, size_t depth)
{
    size_t min = pick(3);
    bool is_enum = pick(2) == 0, unique = is_enum && pick(2) == 0;
    mc_buf_printf(out, "{\"type\":\"array\",\"minItems\":%zu,\"maxItems\":%zu,\"items\":",
                  unique ? 0 : min, min + pick(4));
    if (is_enum)
        write_enum(out);
    else
        write_value(out, depth + 1);
    mc_buf_text(out, unique ? ",\"uniqueItems\":true}" : "}");
}

static void write_value(struct mc_buf *out, size_t depth)
{
    size_t low = pick(20), min = pick(3);
    switch (pick(depth < 4 ? 8 : 4)) {
    case 0:
        mc_buf_text(out, "{\"type\":\"boolean\"}");
        break;
    case 1:
        mc_buf_printf(out, "{\"type\":\"integer\",\"minimum\":%d,\"maximum\":%zu}", (int)low - 12,
                      low + pick(120));
        break;
    case 2:
        mc_buf_printf(out, "{\"type\":\"string\",\"minLength\":%zu,\"maxLength\":%zu}", min,
                      min + pick(TEXT_MAX - 2));
        break;
    case 3:
        write_enum(out);
        break;
    case 4:
        write_object(out, depth, NULL);
        break;
    case 5:
        mc_buf_text(out, "{\"anyOf\":[");
        write_object(out, depth, "aa");
        for (size_t i = pick(3); i > 0; i--) {
            mc_buf_char(out, ',');
            write_object(out, depth, i == 1 ? "ab" : "\\u00e4");
        }
        mc_buf_text(out, "]}");
        break;
    default:
        write_array(out, depth);
        break;
    }
}

/* The first property that does not hold, in words; NULL so far. */
struct trial {
    const struct mc_schema *schema;
    struct mc_walk_scratch *scratch;
    struct mc_buf answer;
    const char *wrong;
};

static void expect(struct trial *trial, bool holds, const char *what)
{
    if (!holds && !trial->wrong)
        trial->wrong = what;
}

/* The bytes that may follow are those that `next` says. */
static void expect_bytes(struct trial *trial, const struct mc_walk *walk,
                         const struct mc_next *next)
{
    bool may[256] = {false};
    for (size_t i = 0; i < next->choice_count; i++)
        may[(unsigned char)next->choices[i].data[0]] = true;
    if (next->kind == MC_NEXT_FIXED)
        may[(unsigned char)next->fixed.data[0]] = true;
    for (unsigned c = 0x20; next->kind == MC_NEXT_TEXT && c <= 0xF4; c++)
        may[c] = c == '"' ? next->text_need == 0 : c < 0x80 || c >= 0xC2;
    for (unsigned c = 0; c < 256; c++) {
        char byte[1] = {(char)c};
        expect(trial, mc_walk_may(walk, (mc_str){byte, 1}) == may[c], "a byte next does not say");
    }
}

static void expect_choices(struct trial *trial, const struct mc_walk *walk,
                           const struct mc_next *next)
{
    expect(trial, next->choice_count >= 2, "a choice of less than two");
    for (size_t i = 0; i < next->choice_count; i++) {
        expect(trial, next->choices[i].len > 0, "an empty choice");
        expect(trial, mc_walk_may(walk, next->choices[i]), "a choice is refused");
        for (size_t k = 0; k < next->choice_count; k++)
            expect(trial, i == k || !mc_str_starts(next->choices[i], next->choices[k]),
                   "a choice begins another");
    }
}

/* A text as the writer of JSON would write it, and its quotation mark. */
static void write_text(struct mc_buf *out, const struct mc_next *next)
{
    static const char *const pieces[] = {
        "a",    " ",       "\xC3\xA4", "\\n",          "\\\"", "\xF0\x9F\x98\x80",
        "\\\\", "\\u001f", "]",        "\xEF\xBF\xBF", "/",    "\x7F"};
    size_t count = next->text_need + pick(next->text_left - next->text_need + 1);
    for (size_t i = 0; i < count; i++)
        mc_buf_text(out, pieces[pick(mc_countof(pieces))]);
    mc_buf_char(out, '"');
}

static void write_answer(struct trial *trial)
{
    struct mc_walk walk;
    struct mc_next next = {0};
    mc_walk_start(&walk, trial->schema);
    mc_buf_reset(&trial->answer);
    while (!trial->wrong && next.kind != MC_NEXT_DONE) {
        mc_walk_next(&walk, trial->scratch, &next);
        expect_bytes(trial, &walk, &next);
        size_t from = trial->answer.len;
        if (next.kind == MC_NEXT_FIXED) {
            mc_buf_append(&trial->answer, next.fixed);
        } else if (next.kind == MC_NEXT_CHOICE) {
            expect_choices(trial, &walk, &next);
            mc_buf_append(&trial->answer, next.choices[pick(next.choice_count)]);
        } else if (next.kind == MC_NEXT_TEXT) {
            write_text(&trial->answer, &next);
        }
        mc_str part = {mc_buf_str(&trial->answer).data + from, trial->answer.len - from};
        expect(trial, mc_walk_feed(&walk, part), "what next says is refused");
    }
    expect(trial, walk.finished, "not finished at the end");
    expect(trial, trial->answer.len <= mc_schema_longest(trial->schema), "longer than the longest");
}

static bool is_canonical(mc_str text)
{
    mc_auto(mc_json_free_ptr) struct mc_json *json = NULL;
    mc_auto(mc_buf_fini) struct mc_buf dump;
    mc_buf_init(&dump, SIZE_MAX);
    if (mc_json_parse(text, &json, NULL) != MC_OK)
        return false;
    mc_json_dump(json, &dump);
    return mc_str_equal(mc_buf_str(&dump), text);
}

/* The text in pieces of up to `most` bytes; whether all were taken and it is a whole answer. */
static bool take(struct trial *trial, mc_str text, size_t most)
{
    struct mc_walk walk;
    mc_walk_start(&walk, trial->schema);
    for (size_t at = 0; at < text.len;) {
        size_t len = 1 + pick(most);
        mc_str piece = {text.data + at, len < text.len - at ? len : text.len - at};
        bool may = mc_walk_may(&walk, piece);
        bool fed = mc_walk_feed(&walk, piece);
        expect(trial, may == fed, "may and feed differ");
        if (!fed)
            return false;
        at += piece.len;
    }
    return walk.finished;
}

/* A changed byte: taken only what has the shape, and of canonical texts all that has. */
static void expect_changed(struct trial *trial)
{
    static const char bytes[] = "\"\\,]}:12a{[\x80 ";
    mc_str answer = mc_buf_str(&trial->answer);
    char *changed = malloc(answer.len);
    if (!changed)
        bail_out("out of memory");
    for (size_t i = 0; i < 20; i++) {
        memcpy(changed, answer.data, answer.len);
        changed[pick(answer.len)] = bytes[pick(sizeof(bytes) - 1)];
        mc_str text = {changed, answer.len};
        bool taken = take(trial, text, 5);
        bool right = mc_schema_check(trial->schema, text, NULL) == MC_OK;
        expect(trial, !taken || right, "a wrong answer was taken");
        expect(trial, taken || !right || !is_canonical(text), "a right answer was refused");
    }
    free(changed);
}

static void test_random(void)
{
    mc_auto(free_scratch) struct mc_walk_scratch *scratch = mc_walk_scratch_new();
    mc_auto(mc_buf_fini) struct mc_buf text;
    struct trial trial = {.scratch = scratch};
    size_t bytes = 0;
    mc_buf_init(&text, SIZE_MAX);
    mc_buf_init(&trial.answer, SIZE_MAX);
    for (size_t i = 0; i < SCHEMAS && !trial.wrong; i++) {
        mc_auto(free_schema) struct mc_schema *schema = NULL;
        struct mc_error err = {0};
        mc_buf_reset(&text);
        write_object(&text, 1, NULL);
        if (!is_status(mc_schema_new(mc_buf_str(&text), &schema, &err), MC_OK, &err, "schema %zu",
                       i))
            continue;
        trial.schema = schema;
        for (size_t k = 0; k < WALKS && !trial.wrong; k++) {
            write_answer(&trial);
            mc_str answer = mc_buf_str(&trial.answer);
            bytes += answer.len;
            expect(&trial, is_canonical(answer), "not canonical");
            expect(&trial, mc_schema_check(schema, answer, &err) == MC_OK, "the check refuses it");
            expect(&trial, take(&trial, answer, 1), "byte by byte it is refused");
            expect(&trial, take(&trial, answer, 9), "in pieces it is refused");
            expect(&trial, take(&trial, answer, answer.len), "in few pieces it is refused");
            expect_changed(&trial);
        }
    }
    if (!ok(!trial.wrong, "random answers: %s", trial.wrong ? trial.wrong : "all right"))
        diag("schema %.*s, answer %.*s", MC_STR_ARG(mc_buf_str(&text)),
             MC_STR_ARG(mc_buf_str(&trial.answer)));
    ok(bytes > 10000, "%zu bytes of answers", bytes);
    mc_buf_fini(&trial.answer);
}

int main(void)
{
    test_courses();
    test_more_courses();
    test_long_fixed();
    test_characters();
    test_escapes();
    test_close();
    test_all_or_nothing();
    test_random();
    return done_testing();
}
