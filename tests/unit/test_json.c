/* JSON: what is refused and how, the tree, the writer. */
#include "tap.h"

#include <float.h>
#include <locale.h>
#include <math.h>

#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"

static void test_refused(void)
{
    static const struct {
        mc_str text;
        const char *where;
    } rows[] = {
        {{"", 0}, "line 1"},
        {{NULL, 0}, "line 1"},
        {{"{\"a\":1,\n\"a\":2}", 14}, "line 2, column 3: duplicate object key"},
        {{"[1,\n 2,]", 8}, "line 2"},
        {{"[1] x", 5}, "line 1, column 5: end of file expected"},
        {{"\"\\u0000\"", 8}, "\\u0000 is not allowed"},
        {{"{\"a\\u0000b\":1}", 14}, "NUL byte in object key"},
        {{"\"a\0b\"", 5}, "line 1"},
        {{"\"\xED\xA0\x80\"", 5}, "line 1"},
        {{"\"\xC0\xAF\"", 4}, "unable to decode byte 0xc0"},
        {{"\"\\ud800\"", 8}, "Unicode"},
        {{"1e999", 5}, "overflow"},
        {{"123456789012345678901234567890", 30}, "too big integer"},
        {{"{\"a\":}", 6}, "line 1"},
        {{"{a:1}", 5}, "line 1"},
        {{"'a'", 3}, "line 1"},
        {{"[01]", 4}, "line 1"},
        {{"NaN", 3}, "line 1"},
        {{"\"\n\"", 3}, "line"},
        {{"\"", 1}, "line 1"},
        {{"\"\\", 2}, "line 1"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mc_json *root = NULL;
        struct mc_error err = {0};
        is_status(mc_json_parse(rows[i].text, &root, &err), MC_INVALID, &err, "bad text %zu", i);
        ok(strstr(err.message, rows[i].where) != NULL, "says '%s': %s", rows[i].where, err.message);
        ok(!root, "output untouched");
        mc_json_free(root);
    }
    struct mc_json *root = NULL;
    ok(mc_json_parse(MC_STR("{"), &root, NULL) == MC_INVALID, "no error wanted");
}

static enum mc_status parse_nested(size_t levels, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    mc_buf_init(&buf, 1 << 20);
    mc_buf_text(&buf, "{\"[[[\\\"[\":\n");
    for (size_t i = 1; i < levels; i++)
        mc_buf_char(&buf, '[');
    for (size_t i = 1; i < levels; i++)
        mc_buf_char(&buf, ']');
    mc_buf_char(&buf, '}');
    return mc_json_parse(mc_buf_str(&buf), &root, err);
}

static void test_null_character(void)
{
    struct mc_json *root = NULL;
    struct mc_error err;
    is_int(mc_json_parse(MC_STR("[\n\"a\\u0000b\"]"), &root, &err), MC_INVALID, "a NUL is refused");
    ok(strstr(err.message, "JSON, line 2, column ") &&
           mc_str_ends(mc_str_of(err.message), MC_STR(": \\u0000 is not allowed")),
       "in words of ours: %s", err.message);
}

static void test_depth(void)
{
    struct mc_error err = {0};
    is_status(parse_nested(MC_JSON_DEPTH, &err), MC_OK, &err, "the deepest");
    is_status(parse_nested(MC_JSON_DEPTH + 1, &err), MC_INVALID, &err, "one deeper");
    is_str(err.message, "JSON, line 2, column 64: more than 64 levels deep", "where");
    is_status(parse_nested(500000, &err), MC_INVALID, &err, "very deep");
    struct mc_json *root = NULL;
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, 1 << 20);
    mc_buf_char(&buf, '[');
    for (int i = 0; i < 1000; i++)
        mc_buf_text(&buf, i ? ",[{}]" : "[{}]");
    mc_buf_char(&buf, ']');
    is_status(mc_json_parse(mc_buf_str(&buf), &root, &err), MC_OK, &err, "wide is not deep");
    is_int(mc_json_count(root), 1000, "elements");
    mc_json_free(root);
}

static void test_tree(void)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    struct mc_error err = {0};
    mc_str text = MC_STR(" {\"z\": [1, -2.5, true, null, \"\\u00e9\\ud83d\\ude00\"], \"a\": {}, "
                         "\"m\": -9223372036854775808, "
                         "\"f\": false, \"e\": 1E2} ");
    if (!ok(mc_json_parse(text, &root, &err) == MC_OK, "parse: %s", err.message))
        return;
    const struct mc_json *list = mc_json_get(root, "z");
    is_int(mc_json_type(root), MC_JSON_OBJECT, "object");
    is_int(mc_json_count(root), 5, "members");
    is_int(mc_json_count(list), 5, "elements");
    is_int(mc_json_integer(mc_json_at(list, 0)), 1, "integer");
    is_double(mc_json_number(mc_json_at(list, 0)), 1, 0, "integer as number");
    is_double(mc_json_number(mc_json_at(list, 1)), -2.5, 0, "number");
    is_int(mc_json_integer(mc_json_at(list, 1)), 0, "number is no integer");
    ok(mc_json_boolean(mc_json_at(list, 2)) && !mc_json_boolean(mc_json_get(root, "f")), "boolean");
    is_int(mc_json_type(mc_json_at(list, 3)), MC_JSON_NULL, "null");
    is_text(mc_json_string(mc_json_at(list, 4)), "é😀", "escapes");
    ok(!mc_json_at(list, 5) && !mc_json_at(root, 0) && !mc_json_at(NULL, 0), "no such element");
    ok(!mc_json_get(root, "b") && !mc_json_get(list, "z") && !mc_json_get(NULL, "z"),
       "no such member");
    ok(mc_json_integer(mc_json_get(root, "m")) == INT64_MIN, "smallest integer");
    is_int(mc_json_type(mc_json_get(root, "e")), MC_JSON_NUMBER, "an exponent makes a number");
    is_int(mc_json_type(NULL), MC_JSON_NULL, "NULL reads as null");
    ok(!mc_json_string(NULL).data && !mc_json_string(root).data, "string of another type");
    ok(mc_json_count(NULL) == 0 && !mc_json_boolean(NULL) && mc_json_integer(NULL) == 0, "of NULL");
    static const char *const keys[] = {"z", "a", "m", "f", "e"};
    void *cursor = NULL;
    mc_str key;
    const struct mc_json *value;
    size_t i = 0;
    for (; mc_json_next(root, &cursor, &key, &value) && i < 5; i++) {
        is_text(key, keys[i], "key %zu in order", i);
        ok(value == mc_json_get(root, keys[i]), "its value");
    }
    is_int(i, 5, "all members");
    cursor = NULL;
    ok(!mc_json_next(list, &cursor, &key, &value) && !mc_json_next(NULL, &cursor, &key, &value),
       "a list has no members");
    mc_auto(mc_buf_fini) struct mc_buf out;
    mc_buf_init(&out, 1000);
    mc_json_dump(root, &out);
    is_text(mc_buf_str(&out),
            "{\"z\":[1,-2.5,true,null,\"é😀\"],\"a\":{},\"m\":-9223372036854775808,\"f\":false,"
            "\"e\":100}",
            "dump");
    is_str(mc_json_type_name(MC_JSON_INTEGER), "integer", "name of a type");
}

static void is_string(mc_str text, const char *want)
{
    mc_auto(mc_buf_fini) struct mc_buf out;
    mc_buf_init(&out, 1000);
    struct mc_json_writer w = mc_json_writer(&out);
    mc_json_put_string(&w, text);
    is_text(mc_buf_str(&out), want, "escaped");
}

static void test_escapes(void)
{
    is_string(MC_STR_NONE, "\"\"");
    is_string(MC_STR("12345678\"2345678\\"), "\"12345678\\\"2345678\\\\\"");
    is_string(MC_STR("\b\f\n\r\t\x01\x1f\x7f/\0!"),
              "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f/\\u0000!\"");
    is_string(MC_STR("abcdefgé世😀"), "\"abcdefgé世😀\"");
    is_string(MC_STR("\xFF"
                     "a\xE2\x82"
                     "b\xED\xA0\x80"),
              "\"\xEF\xBF\xBD"
              "a\xEF\xBF\xBD\xEF\xBF\xBD"
              "b\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
    /* Each byte at each place of a word comes back as it was. */
    size_t wrong = 0;
    for (unsigned c = 1; c < 128; c++) {
        for (size_t at = 0; at < 17; at++) {
            char text[17];
            memset(text, 'x', sizeof(text));
            text[at] = (char)c;
            mc_auto(mc_buf_fini) struct mc_buf out;
            mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
            mc_buf_init(&out, 1000);
            struct mc_json_writer w = mc_json_writer(&out);
            mc_json_put_string(&w, (mc_str){text, sizeof(text)});
            wrong += mc_json_parse(mc_buf_str(&out), &root, NULL) != MC_OK ||
                     !mc_str_equal(mc_json_string(root), (mc_str){text, sizeof(text)});
        }
    }
    is_int(wrong, 0, "all of ASCII reads back");
}

static void is_number(double value, const char *want)
{
    mc_auto(mc_buf_fini) struct mc_buf out;
    mc_buf_init(&out, 1000);
    struct mc_json_writer w = mc_json_writer(&out);
    mc_json_put_number(&w, value);
    is_text(mc_buf_str(&out), want, "number");
}

static void is_fixed(double value, int decimals, const char *want)
{
    mc_auto(mc_buf_fini) struct mc_buf out;
    mc_buf_init(&out, 1000);
    struct mc_json_writer w = mc_json_writer(&out);
    mc_json_put_fixed(&w, value, decimals);
    is_text(mc_buf_str(&out), want, "fixed number");
}

static void test_numbers(void)
{
    is_number(0.1, "0.1");
    is_number(0.1 + 0.2, "0.30000000000000004");
    is_number(100, "100");
    is_number(-0.0, "-0.0");
    is_number(1e21, "1e+21");
    is_number(DBL_MAX, "1.7976931348623157e+308");
    is_number(DBL_TRUE_MIN, "4.94065645841247e-324");
    is_number((double)NAN, "null");
    is_number((double)-INFINITY, "null");
    is_fixed(0.5, 3, "0.500");
    is_fixed(-0.0001, 3, "0.000");
    is_fixed(-0.0, 0, "0");
    is_fixed(-1.5, 1, "-1.5");
    is_fixed(2, -1, "2");
    is_fixed((double)NAN, 2, "null");
    mc_auto(mc_buf_fini) struct mc_buf out;
    mc_buf_init(&out, 1000);
    struct mc_json_writer w = mc_json_writer(&out);
    mc_json_put_fixed(&w, -DBL_MAX, 99);
    is_int(out.len, 1 + 309 + 1 + 17, "the longest fixed number");
    size_t wrong = 0;
    uint64_t random = 88172645463325252U;
    for (int i = 0; i < 20000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        double value, back = 0;
        memcpy(&value, &random, sizeof(value));
        if (!isfinite(value))
            continue;
        mc_buf_reset(&out);
        w = mc_json_writer(&out);
        mc_json_put_number(&w, value);
        wrong +=
            !mc_str_to_double(mc_buf_str(&out), &back) || memcmp(&back, &value, sizeof(back)) != 0;
    }
    is_int(wrong, 0, "random numbers read back the same");
    if (setlocale(LC_NUMERIC, "de_DE.UTF-8") || setlocale(LC_NUMERIC, "fr_FR.UTF-8")) {
        double value = 0;
        is_number(1.25, "1.25");
        is_fixed(-1.25, 2, "-1.25");
        ok(mc_str_to_double(MC_STR("1.25"), &value) && value > 1.2, "read under another locale");
        setlocale(LC_NUMERIC, "C");
    } else {
        skip("no locale with a decimal comma is installed");
    }
}

static void test_writer(void)
{
    mc_auto(mc_buf_fini) struct mc_buf out;
    mc_buf_init(&out, 2000);
    struct mc_json_writer w = mc_json_writer(&out);
    mc_json_begin(&w, '{');
    mc_json_member_integer(&w, "min", INT64_MIN);
    mc_json_member_string(&w, "quote\"", MC_STR("x"));
    mc_json_member_text(&w, "none", NULL);
    mc_json_member_number(&w, "n", 1.5);
    mc_json_member_fixed(&w, "x", 1, 2);
    mc_json_member_boolean(&w, "b", true);
    mc_json_key(&w, "list");
    mc_json_begin(&w, '[');
    mc_json_put_null(&w);
    mc_json_begin(&w, '[');
    mc_json_end(&w, ']');
    mc_json_begin(&w, '{');
    mc_json_end(&w, '}');
    mc_json_put_boolean(&w, false);
    mc_json_put_raw(&w, MC_STR("{\"r\":1}"));
    mc_json_put_time(&w, 0);
    mc_json_put_integer(&w, 0);
    mc_json_end(&w, ']');
    mc_json_key_str(&w, (mc_str){"endless", 3});
    mc_json_put_text(&w, "end");
    mc_json_end(&w, '}');
    is_text(
        mc_buf_str(&out),
        "{\"min\":-9223372036854775808,\"quote\\\"\":\"x\",\"none\":null,\"n\":1.5,\"x\":1.00,"
        "\"b\":true,"
        "\"list\":[null,[],{},false,{\"r\":1},\"1970-01-01T00:00:00.000000Z\",0],\"end\":\"end\"}",
        "everything");
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    struct mc_error err = {0};
    is_status(mc_json_parse(mc_buf_str(&out), &root, &err), MC_OK, &err, "and it is JSON");
}

int main(void)
{
    test_refused();
    test_null_character();
    test_depth();
    test_tree();
    test_escapes();
    test_numbers();
    test_writer();
    mc_json_free(NULL);
    return done_testing();
}
