/* Shapes of answers: what is understood of JSON Schema, what is refused and how, and the check. */
#include "tap.h"

#include "base/buf.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"
#include "llm/schema.h"

#define OBJECT(members) "{\"type\":\"object\",\"properties\":{" members "}}"

static void free_schema(struct mc_schema **schema)
{
    mc_schema_free(*schema);
}

static const char whole[] =
    OBJECT("\"topics\":{\"type\":\"array\",\"items\":{\"enum\":[\"food\",\"travel\",\"art\"]},"
           "\"minItems\":1,\"maxItems\":2,\"uniqueItems\":true},"
           "\"score\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":10},"
           "\"title\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":4,"
           "\"description\":\"in \\u00e4 few words\"},"
           "\"odd\":{\"enum\":[null,true,1.5,\"x\\n\"]},"
           "\"items\":{\"type\":\"array\",\"maxItems\":2,\"items\":{\"anyOf\":["
           "{\"type\":\"object\",\"properties\":{\"kind\":{\"const\":\"a\"},\"n\":{\"type\":"
           "\"boolean\"}},\"required\":[\"kind\",\"n\"],\"additionalProperties\":false},"
           "{\"type\":\"object\",\"properties\":{\"kind\":{\"const\":\"b\"}}}]}}");

static void test_texts(void)
{
    mc_auto(free_schema) struct mc_schema *schema = NULL;
    struct mc_error err = {0};
    if (!is_status(mc_schema_new(mc_str_of(whole), &schema, &err), MC_OK, &err, "a schema"))
        return;
    is_str(mc_schema_text(schema).data, whole, "the text as it was given");
    is_str(mc_schema_portable(schema).data,
           "{\"type\":\"object\",\"properties\":{"
           "\"topics\":{\"type\":\"array\",\"items\":{\"enum\":[\"food\",\"travel\",\"art\"]},"
           "\"minItems\":1,\"maxItems\":2},"
           "\"score\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":10},"
           "\"title\":{\"type\":\"string\",\"description\":\"in \xC3\xA4 few words\"},"
           "\"odd\":{\"enum\":[null,true,1.5,\"x\\n\"]},"
           "\"items\":{\"type\":\"array\",\"maxItems\":2,\"items\":{\"anyOf\":["
           "{\"type\":\"object\",\"properties\":{\"kind\":{\"const\":\"a\"},\"n\":{\"type\":"
           "\"boolean\"}},\"required\":[\"kind\",\"n\"],\"additionalProperties\":false},"
           "{\"type\":\"object\",\"properties\":{\"kind\":{\"const\":\"b\"}},"
           "\"required\":[\"kind\"],\"additionalProperties\":false}]}}},"
           "\"required\":[\"topics\",\"score\",\"title\",\"odd\",\"items\"],"
           "\"additionalProperties\":false}",
           "the text for strict servers");
    mc_schema_free(NULL);
}

static void test_portable_names(void)
{
    mc_auto(free_schema) struct mc_schema *schema = NULL;
    struct mc_error err = {0};
    const char *text = OBJECT("\"maxLength\":{\"const\":1},\"required\":{\"const\":2}");
    is_status(mc_schema_new(mc_str_of(text), &schema, &err), MC_OK, &err, "members like keywords");
    is_str(mc_schema_portable(schema).data,
           "{\"type\":\"object\",\"properties\":{\"maxLength\":{\"const\":1},"
           "\"required\":{\"const\":2}},\"required\":[\"maxLength\",\"required\"],"
           "\"additionalProperties\":false}",
           "they stay");
}

static void test_refused(void)
{
    static const struct {
        const char *schema, *field, *message;
    } cases[] = {
        {"[", "", "JSON, line 1"},
        {"[]", "", "a schema is an object"},
        {"{}", "", "type must be"},
        {"{\"const\":\"x\"}", "", "the whole must be an object"},
        {"{\"type\":\"array\",\"maxItems\":1,\"items\":{\"const\":1}}", "", "the whole must be"},
        {OBJECT("\"a\":{\"type\":\"number\"}"), "a", "type must be"},
        {OBJECT("\"a\":{\"type\":[\"string\",\"null\"],\"maxLength\":1}"), "a", "type must be"},
        {OBJECT("\"a\":{\"pattern\":\"x\"}"), "a", "'pattern' is not supported"},
        {OBJECT("\"a\":{\"type\":\"string\"}"), "a", "maxLength is missing"},
        {OBJECT("\"a\":{\"type\":\"string\",\"maxLength\":4097}"), "a", "0 to 4096"},
        {OBJECT("\"a\":{\"type\":\"string\",\"maxLength\":-1}"), "a", "0 to 4096"},
        {OBJECT("\"a\":{\"type\":\"string\",\"maxLength\":1.5}"), "a", "0 to 4096"},
        {OBJECT("\"a\":{\"type\":\"string\",\"maxLength\":1,\"minLength\":2}"), "a",
         "minLength is more"},
        {OBJECT("\"a\":{\"type\":\"string\",\"maxLength\":1,\"maxItems\":2}"), "a",
         "'maxItems' is not supported for a string"},
        {OBJECT("\"a\":{\"type\":\"boolean\",\"minimum\":2}"), "a", "for a boolean"},
        {OBJECT("\"a\":{\"type\":\"integer\"}"), "a", "minimum and maximum"},
        {OBJECT("\"a\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":256}"), "a", "at most 256"},
        {OBJECT("\"a\":{\"type\":\"integer\",\"minimum\":-9223372036854775808,"
                "\"maximum\":9223372036854775807}"),
         "a", "at most 256"},
        {OBJECT("\"a\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":0}"), "a", "is more than"},
        {OBJECT("\"a\":{\"enum\":[]}"), "a", "1 to 512"},
        {OBJECT("\"a\":{\"enum\":\"x\"}"), "a", "1 to 512"},
        {OBJECT("\"a\":{\"enum\":[\"x\",\"x\"]}"), "a", "\"x\" is there twice"},
        {OBJECT("\"a\":{\"enum\":[1,1.0]}"), "a", "1 is there twice"},
        {OBJECT("\"a\":{\"enum\":[[]]}"), "a", "may not be an array"},
        {OBJECT("\"a\":{\"type\":\"string\",\"enum\":[\"x\",1]}"), "a", "not of the given type"},
        {OBJECT("\"a\":{\"enum\":[1],\"const\":1}"), "a", "'const' is not supported for an enum"},
        {OBJECT("\"a\":{\"type\":\"array\",\"items\":{\"const\":1}}"), "a", "maxItems is missing"},
        {OBJECT("\"a\":{\"type\":\"array\",\"maxItems\":2}"), "a", "items is missing"},
        {OBJECT("\"a\":{\"type\":\"array\",\"maxItems\":65,\"items\":{\"const\":1}}"), "a", "64"},
        {OBJECT("\"a\":{\"type\":\"array\",\"maxItems\":2,\"items\":{\"x\":1}}"), "a.items", "'x'"},
        {OBJECT("\"a\":{\"type\":\"array\",\"maxItems\":2,\"uniqueItems\":true,\"items\":"
                "{\"type\":\"string\",\"maxLength\":2}}"),
         "a", "only of items with an enum"},
        {OBJECT("\"a\":{\"type\":\"array\",\"minItems\":2,\"maxItems\":2,\"uniqueItems\":true,"
                "\"items\":{\"const\":1}}"),
         "a", "than there are values"},
        {"{\"type\":\"object\"}", "", "needs properties"},
        {"{\"type\":\"object\",\"properties\":{},\"additionalProperties\":true}", "", "be false"},
        {"{\"type\":\"object\",\"properties\":{},\"required\":[\"a\"]}", "", "no property"},
        {"{\"type\":\"object\",\"properties\":{},\"required\":\"a\"}", "", "array of names"},
        {"{\"anyOf\":[]}", "", "array of 1"},
        {"{\"anyOf\":[{\"const\":\"x\"}]}", "anyOf[0]", "first member"},
        {"{\"anyOf\":[" OBJECT("\"k\":{\"const\":\"x\"}") "," OBJECT("\"k\":{\"const\":1}") "]}",
         "anyOf[1]", "first member"},
        {"{\"anyOf\":[" OBJECT("\"k\":{\"const\":\"x\"}") "," OBJECT(
             "\"k\":{\"const\":\"x\"}") "]}",
         "", "there twice"},
    };
    for (size_t i = 0; i < mc_countof(cases); i++) {
        struct mc_schema *schema = NULL;
        struct mc_error err = {0};
        is_status(mc_schema_new(mc_str_of(cases[i].schema), &schema, &err), MC_INVALID, &err,
                  "refused: %s", cases[i].schema);
        ok(!schema && strstr(err.message, cases[i].message), "it says '%s' in '%s'",
           cases[i].message, err.message);
        is_str(err.field, cases[i].field, "and where");
    }
}

/* `depth` arrays around a constant, in an object. */
static enum mc_status new_nested(size_t depth, struct mc_schema **schema, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf text;
    mc_buf_init(&text, 65536);
    mc_buf_text(&text, "{\"type\":\"object\",\"properties\":{\"a\":");
    for (size_t i = 0; i < depth; i++)
        mc_buf_text(&text, "{\"type\":\"array\",\"maxItems\":64,\"items\":");
    mc_buf_text(&text, "{\"const\":1}");
    for (size_t i = 0; i < depth; i++)
        mc_buf_char(&text, '}');
    mc_buf_text(&text, "}}");
    return mc_schema_new(mc_buf_str(&text), schema, err);
}

static void test_limits(void)
{
    mc_auto(free_schema) struct mc_schema *schema = NULL;
    mc_auto(free_schema) struct mc_schema *many = NULL;
    mc_auto(mc_buf_fini) struct mc_buf text;
    struct mc_error err = {0};
    is_status(new_nested(MC_SCHEMA_DEPTH - 1, &schema, &err), MC_OK, &err, "as deep as may be");
    is_status(new_nested(MC_SCHEMA_DEPTH, &many, &err), MC_INVALID, &err, "deeper");
    ok(strstr(err.message, "8 levels"), "%s", err.message);
    mc_buf_init(&text, SIZE_MAX);
    mc_buf_text(&text, "{\"type\":\"object\",\"properties\":{");
    for (int i = 0; i < MC_SCHEMA_VALUES / 256 + 1; i++)
        mc_buf_printf(&text, "%s\"k%d\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":255}",
                      i > 0 ? "," : "", i);
    mc_buf_text(&text, "}}");
    is_status(mc_schema_new(mc_buf_str(&text), &many, &err), MC_INVALID, &err, "too many values");
    ok(strstr(err.message, "16384"), "%s", err.message);
    while (text.len <= MC_SCHEMA_BYTES)
        mc_buf_text(&text, "                                ");
    is_status(mc_schema_new(mc_buf_str(&text), &many, &err), MC_TOO_LARGE, &err, "too long");
    ok(!many, "nothing was made of them");
}

static void is_longest(const char *members, size_t longest)
{
    mc_auto(free_schema) struct mc_schema *schema = NULL;
    mc_auto(mc_buf_fini) struct mc_buf text;
    struct mc_error err = {0};
    mc_buf_init(&text, 65536);
    mc_buf_printf(&text, "{\"type\":\"object\",\"properties\":{%s}}", members);
    if (is_status(mc_schema_new(mc_buf_str(&text), &schema, &err), MC_OK, &err, "%s", members))
        is_int((int64_t)mc_schema_longest(schema), (int64_t)longest, "its longest answer");
}

static void test_longest(void)
{
    is_longest("", strlen("{}"));
    is_longest("\"a\":{\"enum\":[1,\"\\u00e4\\n\",null]}", strlen("{\"a\":\"xx\\n\"}"));
    is_longest("\"a\":{\"type\":\"string\",\"maxLength\":1}", strlen("{\"a\":\"\\ud83d\\ude00\"}"));
    is_longest("\"a\":{\"type\":\"array\",\"maxItems\":0,\"items\":{\"const\":1}}",
               strlen("{\"a\":[]}"));
    is_longest("\"a\":{\"type\":\"array\",\"maxItems\":3,\"items\":{\"enum\":[1,22]}},"
               "\"b\":{\"type\":\"boolean\"}",
               strlen("{\"a\":[22,22,22],\"b\":false}"));
    is_longest("\"a\":{\"anyOf\":[" OBJECT("\"k\":{\"const\":\"aa\"}") "," OBJECT(
                   "\"k\":{\"const\":\"b\"},\"n\":{\"const\":1}") "]}",
               strlen("{\"a\":{\"k\":\"b\",\"n\":1}}"));
}

/* An answer and, where it is refused, the member at fault. */
static void test_check(void)
{
#define REST ",\"score\":3,\"title\":\"abc\",\"odd\":null,\"items\":[]}"
#define TOPICS "{\"topics\":[\"art\"],"
    static const struct {
        const char *answer, *field, *message;
    } cases[] = {
        {"{\"topics\":[\"food\",\"art\"]" REST, NULL, NULL},
        {" { \"odd\" : 15e-1 , \"items\":[ {\"n\":true,\"kind\":\"a\"},{\"kind\":\"b\"}],"
         "\n\"title\":\"\\u00e4\xF0\x9F\x98\x80\",\"score\":10.0,\"topics\":[\"\\u0061rt\"]} ",
         NULL, NULL},
        {"{\"topics\":[\"art\"]" REST "x", "", "JSON"},
        {"[]", "", "must be of type object, not array"},
        {"{\"topics\":[]" REST, "topics", "0 elements"},
        {"{\"topics\":[\"art\",\"food\",\"travel\"]" REST, "topics", "3 elements"},
        {"{\"topics\":[\"art\",\"art\"]" REST, "topics[1]", "same value"},
        {"{\"topics\":[\"art\",\"Art\"]" REST, "topics[1]", "\"Art\" is not an allowed value"},
        {"{\"topics\":[[]]" REST, "topics[0]", "may not be an array"},
        {"{\"topics\":\"art\"" REST, "topics", "not string"},
        {TOPICS "\"score\":11,\"title\":\"a\",\"odd\":null,\"items\":[]}", "score", "11 is not"},
        {TOPICS "\"score\":true,\"title\":\"a\",\"odd\":null,\"items\":[]}", "score", "true is"},
        {TOPICS "\"score\":1,\"title\":\"\",\"odd\":null,\"items\":[]}", "title", "0 characters"},
        {TOPICS "\"score\":1,\"title\":\"\xC3\xA4"
                "bcde\",\"odd\":null,\"items\":[]}",
         "title", "5 characters"},
        {TOPICS "\"score\":1,\"title\":null,\"odd\":null,\"items\":[]}", "title", "not null"},
        {TOPICS "\"score\":1,\"title\":\"a\",\"items\":[]}", "odd", "is missing"},
        {TOPICS "\"score\":1,\"title\":\"a\",\"odd\":null,\"items\":[],\"more\":1}", "more",
         "no member"},
        {TOPICS "\"score\":1,\"title\":\"a\",\"odd\":null,\"items\":[{\"kind\":\"b\"},"
                "{\"kind\":\"a\"}]}",
         "items[1].n", "is missing"},
        {TOPICS "\"score\":1,\"title\":\"a\",\"odd\":null,\"items\":[{\"kind\":\"c\"}]}",
         "items[0].kind", "names no kind"},
        {TOPICS "\"score\":1,\"title\":\"a\",\"odd\":null,\"items\":[{}]}", "items[0].kind",
         "is missing"},
    };
#undef REST
#undef TOPICS
    mc_auto(free_schema) struct mc_schema *schema = NULL;
    struct mc_error err = {0};
    if (!is_status(mc_schema_new(mc_str_of(whole), &schema, &err), MC_OK, &err, "the schema"))
        return;
    for (size_t i = 0; i < mc_countof(cases); i++) {
        err = (struct mc_error){0};
        enum mc_status status = mc_schema_check(schema, mc_str_of(cases[i].answer), &err);
        is_status(status, cases[i].message ? MC_INVALID : MC_OK, &err, "%s", cases[i].answer);
        if (!cases[i].message)
            continue;
        ok(strstr(err.message, cases[i].message), "it says '%s' in '%s'", cases[i].message,
           err.message);
        is_str(err.field, cases[i].field, "and where");
    }
}

int main(void)
{
    test_texts();
    test_portable_names();
    test_refused();
    test_limits();
    test_longest();
    test_check();
    return done_testing();
}
