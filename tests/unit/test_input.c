/* What a caller may store: every limit, every kind of bad input, and the field that each error names. */
#include "tap.h"

#include "base/compiler.h"
#include "base/str.h"
#include "base/time.h"
#include "message/input.h"

#define NOW INT64_C(1767225600000000)

static struct mc_message_input good(void)
{
    return (struct mc_message_input){
        .user_id = MC_STR("u1"),
        .thread_id = MC_STR("t1"),
        .session_id = MC_STR("s1"),
        .role = MC_STR("user"),
        .text = MC_STR("hello"),
    };
}

static enum mc_status check(const struct mc_message_input *input, struct mc_message *m,
                            struct mc_error *err)
{
    memset(err, 0, sizeof(*err));
    return mc_input_check(input, MC_VISIBILITY_PRIVATE, NOW, m, err);
}

/* The input is refused with that status and field, the message untouched. */
static void refused(const struct mc_message_input *input, enum mc_status status, const char *field,
                    const char *what)
{
    struct mc_message m = {.importance = -7};
    struct mc_error err;
    is_status(check(input, &m, &err), status, &err, "%s is refused", what);
    is_str(err.field, field, "%s: the error names %s (%s)", what, field, err.message);
    is_double(m.importance, -7, 0, "%s: the output is untouched", what);
}

static void accepted(const struct mc_message_input *input, const char *what)
{
    struct mc_message m;
    struct mc_error err;
    is_status(check(input, &m, &err), MC_OK, &err, "%s is accepted", what);
}

static void test_good(void)
{
    struct mc_message_input input = good();
    struct mc_message m;
    struct mc_error err;
    is_status(check(&input, &m, &err), MC_OK, &err, "the least message");
    is_int(m.role, MC_ROLE_USER, "role");
    is_int(m.visibility, MC_VISIBILITY_PRIVATE, "the default visibility");
    is_int(m.created_at_us, NOW, "now");
    is_double(m.importance, 0.5, 0, "importance to begin with");
    is_int(m.enrichment_state, MC_ENRICHMENT_PENDING, "pending");
    is_int(m.tier, MC_TIER_SHORT, "short term");
    is_int(m.metadata.len, 0, "metadata left to the caller");
    ok(m.text.data == input.text.data, "strings are borrowed");

    is_status(mc_input_check(&input, MC_VISIBILITY_PUBLIC, NOW, &m, &err), MC_OK, &err, "again");
    is_int(m.visibility, MC_VISIBILITY_PUBLIC, "another default visibility");
    input.visibility = MC_STR("shared");
    is_status(check(&input, &m, &err), MC_OK, &err, "with a visibility");
    is_int(m.visibility, MC_VISIBILITY_SHARED, "which counts");
    static const char *const ROLES[] = {"user", "assistant", "system", "tool"};
    for (size_t i = 0; i < mc_countof(ROLES); i++) {
        input.role = mc_str_of(ROLES[i]);
        is_status(check(&input, &m, &err), MC_OK, &err, "role %s", ROLES[i]);
        is_int(m.role, (int)i, "is role %zu", i);
    }
}

/* Every id field, with the same list of good and bad ids. */
static void test_ids(void)
{
    char longest[MC_ID_MAX_BYTES + 2];
    memset(longest, 'a', sizeof(longest));
    static const struct {
        const char *field;
        size_t offset;
        bool optional;
    } FIELDS[] = {
        {"user_id", offsetof(struct mc_message_input, user_id), false},
        {"thread_id", offsetof(struct mc_message_input, thread_id), false},
        {"session_id", offsetof(struct mc_message_input, session_id), false},
        {"message_id", offsetof(struct mc_message_input, message_id), true},
        {"agent_id", offsetof(struct mc_message_input, agent_id), true},
    };
    static const struct {
        const char *what;
        mc_str id;
    } BAD[] = {
        {"an empty id", {"", 0}},       {"a blank", {" ", 1}},
        {"a space inside", {"a b", 3}}, {"a slash", {"a/b", 3}},
        {"a NUL", {"a\0b", 3}},         {"a line break", {"a\nb", 3}},
        {"an umlaut", {"\xc3\xa4", 2}}, {"a lone byte", {"a\xff", 2}},
        {"a quote", {"a'b", 3}},        {"a percent sign", {"a%20b", 5}},
        {"a path", {"../x", 4}},        {"a control byte", {"a\x1b", 2}},
        {"a backslash", {"a\\b", 3}},   {"a comma", {"a,b", 3}},
    };
    for (size_t f = 0; f < mc_countof(FIELDS); f++) {
        struct mc_message_input input = good();
        mc_str *slot = (mc_str *)(void *)((char *)&input + FIELDS[f].offset);
        for (size_t b = 0; b < mc_countof(BAD); b++) {
            *slot = BAD[b].id;
            refused(&input, MC_INVALID, FIELDS[f].field, BAD[b].what);
        }
        *slot = (mc_str){longest, MC_ID_MAX_BYTES + 1};
        refused(&input, MC_INVALID, FIELDS[f].field, "256 bytes");
        *slot = (mc_str){longest, MC_ID_MAX_BYTES};
        accepted(&input, "255 bytes");
        *slot = MC_STR("Az09_-:.@");
        accepted(&input, "every kind of allowed character");
        *slot = MC_STR_NONE;
        if (FIELDS[f].optional)
            accepted(&input, "an absent optional id");
        else
            refused(&input, MC_INVALID, FIELDS[f].field, "an absent id");
    }
}

static char *repeated(const char *unit, size_t count, size_t *len)
{
    size_t size = strlen(unit);
    char *text = malloc(size * count);
    if (!text)
        bail_out("out of memory");
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * size, unit, size);
    *len = size * count;
    return text;
}

static void test_text(void)
{
    static const struct {
        const char *what;
        mc_str text;
    } BAD[] = {
        {"no text", {NULL, 0}},
        {"empty text", {"", 0}},
        {"spaces and line breaks", {" \t\r\n ", 5}},
        {"a no-break space", {"\xc2\xa0", 2}},
        {"an ideographic space", {"\xe3\x80\x80", 3}},
        {"a NUL inside", {"a\0b", 3}},
        {"a NUL at the end", {"ab\0", 3}},
        {"a lone continuation byte", {"a\x80", 2}},
        {"a cut character", {"a\xc3", 2}},
        {"an overlong form", {"\xc0\xaf", 2}},
        {"an overlong form of three bytes", {"\xe0\x80\xaf", 3}},
        {"a surrogate", {"\xed\xa0\x80", 3}},
        {"beyond Unicode", {"\xf4\x90\x80\x80", 4}},
        {"byte FF", {"\xff", 1}},
        {"Latin-1",
         {"Gr\xfc\xdf"
          "e",
          5}},
    };
    struct mc_message_input input = good();
    for (size_t i = 0; i < mc_countof(BAD); i++) {
        input.text = BAD[i].text;
        refused(&input, MC_INVALID, "text", BAD[i].what);
    }
    struct mc_error err = {0};
    is_status(mc_input_check_text("query", MC_STR("abc\xff"), &err), MC_INVALID, &err,
              "another name for the text");
    is_str(err.field, "query", "is the one in the error");
    ok(strstr(err.message, "byte 4") != NULL, "which says where: %s", err.message);

    /* Characters are counted, not bytes. */
    size_t len;
    char *text = repeated("\xf0\x9f\x98\x80", MC_TEXT_MAX_CHARACTERS, &len);
    input.text = (mc_str){text, len};
    accepted(&input, "100,000 characters of four bytes");
    free(text);
    text = repeated("x", MC_TEXT_MAX_CHARACTERS + 1, &len);
    input.text = (mc_str){text, len};
    refused(&input, MC_TOO_LARGE, "text", "100,001 characters");
    input.text.len--;
    accepted(&input, "100,000 characters");
    free(text);
    input.text = MC_STR("x");
    accepted(&input, "one character");
    input.text =
        MC_STR("\xef\xbb\xbfhello \xe2\x80\x8d \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb");
    accepted(&input, "a byte order mark, joiners and emoji");
    input.text = MC_STR("'; DROP TABLE messages; -- \x01 %s %n {\"a\":1}");
    accepted(&input, "text that means something elsewhere");
}

static void test_enums(void)
{
    static const char *const ROLES[] = {"", "User", "bot", "USER", "user ", "developer", "\xff"};
    struct mc_message_input input = good();
    for (size_t i = 0; i < mc_countof(ROLES); i++) {
        input.role = mc_str_of(ROLES[i]);
        refused(&input, MC_INVALID, "role", ROLES[i][0] ? "an unknown role" : "an empty role");
    }
    input.role = MC_STR_NONE;
    refused(&input, MC_INVALID, "role", "no role");
    size_t len;
    char *text = repeated("x", 5000, &len);
    input.role = (mc_str){text, len};
    refused(&input, MC_INVALID, "role", "an endless role");
    free(text);
    input = good();
    input.visibility = MC_STR("secret");
    refused(&input, MC_INVALID, "visibility", "an unknown visibility");
    input.visibility = MC_STR("");
    refused(&input, MC_INVALID, "visibility", "an empty visibility");
}

static void test_groups(void)
{
    mc_str groups[MC_SHARING_GROUPS_MAX + 1];
    for (size_t i = 0; i < mc_countof(groups); i++)
        groups[i] = MC_STR("sales");
    struct mc_message_input input = good();
    input.sharing_groups = groups;
    input.sharing_group_count = MC_SHARING_GROUPS_MAX;
    accepted(&input, "32 groups");
    input.sharing_group_count = MC_SHARING_GROUPS_MAX + 1;
    refused(&input, MC_INVALID, "sharing_groups", "33 groups");
    input.sharing_group_count = 2;
    groups[1] = MC_STR("two words");
    refused(&input, MC_INVALID, "sharing_groups", "a group that is no id");
    groups[1] = MC_STR("");
    refused(&input, MC_INVALID, "sharing_groups", "an empty group");
}

static char *object_of(size_t len)
{
    char *text = malloc(len);
    if (!text)
        bail_out("out of memory");
    memset(text, 'x', len);
    memcpy(text, "{\"a\":\"", 6);
    memcpy(text + len - 2, "\"}", 2);
    return text;
}

static void test_metadata(void)
{
    static const struct {
        const char *what;
        const char *json;
    } BAD[] = {
        {"a list", "[1]"},
        {"a string", "\"x\""},
        {"null", "null"},
        {"no JSON", "hello"},
        {"cut short", "{\"a\":1"},
        {"something behind", "{} {}"},
        {"a key twice", "{\"a\":1,\"a\":2}"},
        {"bad UTF-8", "{\"a\":\"\xff\"}"},
        {"a NUL escape", "{\"a\":\"\\u0000\"}"},
        {"blank", "  "},
    };
    struct mc_message_input input = good();
    for (size_t i = 0; i < mc_countof(BAD); i++) {
        input.metadata = mc_str_of(BAD[i].json);
        refused(&input, MC_INVALID, "metadata", BAD[i].what);
    }
    char deep[300];
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    char nested[310];
    snprintf(nested, sizeof(nested), "{\"a\":%.200s}", deep);
    input.metadata = mc_str_of(nested);
    refused(&input, MC_INVALID, "metadata", "a hundred levels");
    input.metadata = MC_STR("{\"order\":{\"id\":17,\"tags\":[\"x\",null,true]}}");
    accepted(&input, "an object");
    input.metadata = MC_STR("");
    accepted(&input, "empty metadata");
    char *text = object_of(MC_METADATA_MAX_BYTES + 1);
    input.metadata = (mc_str){text, MC_METADATA_MAX_BYTES + 1};
    refused(&input, MC_TOO_LARGE, "metadata", "a byte more than 64 KiB");
    free(text);
    text = object_of(MC_METADATA_MAX_BYTES);
    input.metadata = (mc_str){text, MC_METADATA_MAX_BYTES};
    accepted(&input, "64 KiB");
    free(text);
}

static void test_time(void)
{
    struct mc_message_input input = good();
    input.created_at_us = NOW + 365 * MC_US_PER_DAY;
    accepted(&input, "a year ahead");
    input.created_at_us++;
    refused(&input, MC_INVALID, "created_at", "more than a year ahead");
    input.created_at_us = INT64_MAX;
    refused(&input, MC_INVALID, "created_at", "the end of time");
    input.created_at_us = -1;
    refused(&input, MC_INVALID, "created_at", "before 1970");
    input.created_at_us = 1;
    accepted(&input, "the first microsecond");
}

/* ---- From JSON ---- */

#define IDS "\"user_id\":\"u\",\"thread_id\":\"t\",\"session_id\":\"s\""
#define BASE IDS ",\"role\":\"user\",\"text\":\"hi\""

static enum mc_status from_json(const char *text, struct mc_arena *arena, struct mc_json **root,
                                struct mc_message_input *input, struct mc_error *err)
{
    memset(err, 0, sizeof(*err));
    enum mc_status status = mc_json_parse(mc_str_of(text), root, err);
    return status ? status : mc_input_from_json(*root, arena, input, err);
}

static void test_from_json(void)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, 1 << 20);
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    struct mc_message_input input;
    struct mc_error err;
    is_status(
        from_json("{" BASE ",\"message_id\":\"m\",\"agent_id\":\"a\",\"visibility\":\"shared\","
                  "\"sharing_groups\":[\"x\",\"y\"],\"created_at\":\"2026-01-31T12:00:00.5+02:00\","
                  "\"metadata\":{\"b\": 1, \"a\": [true, null]}}",
                  &arena, &root, &input, &err),
        MC_OK, &err, "every field");
    is_text(input.user_id, "u", "user_id");
    is_text(input.thread_id, "t", "thread_id");
    is_text(input.session_id, "s", "session_id");
    is_text(input.role, "user", "role");
    is_text(input.text, "hi", "text");
    is_text(input.message_id, "m", "message_id");
    is_text(input.agent_id, "a", "agent_id");
    is_text(input.visibility, "shared", "visibility");
    is_int(input.sharing_group_count, 2, "groups");
    is_text(input.sharing_groups[1], "y", "the second one");
    int64_t expected;
    ok(mc_time_parse(MC_STR("2026-01-31T10:00:00.5Z"), &expected), "(a time)");
    is_int(input.created_at_us, expected, "created_at in UTC");
    is_text(input.metadata, "{\"b\":1,\"a\":[true,null]}", "metadata compact, in its order");

    mc_json_free(mc_steal(root));
    is_status(from_json("{" BASE ",\"message_id\":null,\"agent_id\":null,\"visibility\":null,"
                        "\"sharing_groups\":null,\"created_at\":null,\"metadata\":null}",
                        &arena, &root, &input, &err),
              MC_OK, &err, "null stands for not given");
    ok(!mc_str_given(input.message_id) && !mc_str_given(input.agent_id) &&
           !mc_str_given(input.visibility) && input.sharing_group_count == 0 &&
           input.created_at_us == 0 && !mc_str_given(input.metadata),
       "for each of them");
    mc_json_free(mc_steal(root));
    is_status(from_json("{" BASE ",\"created_at\":\"1970-01-01T00:00:00Z\"}", &arena, &root, &input,
                        &err),
              MC_OK, &err, "the epoch itself");
    is_int(input.created_at_us, 1, "is not taken for \"not given\"");
}

static void test_bad_json(void)
{
    static const struct {
        const char *json;
        const char *field;
    } BAD[] = {
        {"{\"thread_id\":\"t\",\"session_id\":\"s\",\"role\":\"user\",\"text\":\"x\"}", "user_id"},
        {"{\"user_id\":\"u\",\"session_id\":\"s\",\"role\":\"user\",\"text\":\"x\"}", "thread_id"},
        {"{\"user_id\":\"u\",\"thread_id\":\"t\",\"role\":\"user\",\"text\":\"x\"}", "session_id"},
        {"{" IDS ",\"text\":\"x\"}", "role"},
        {"{" IDS ",\"role\":\"user\"}", "text"},
        {"{" IDS ",\"role\":\"user\",\"text\":null}", "text"},
        {"{" IDS ",\"role\":\"user\",\"text\":5}", "text"},
        {"{" IDS ",\"role\":\"user\",\"text\":[\"x\"]}", "text"},
        {"{" IDS ",\"role\":1,\"text\":\"x\"}", "role"},
        {"{" BASE ",\"message_id\":17}", "message_id"},
        {"{" BASE ",\"agent_id\":{}}", "agent_id"},
        {"{" BASE ",\"visibility\":true}", "visibility"},
        {"{" BASE ",\"sharing_groups\":\"sales\"}", "sharing_groups"},
        {"{" BASE ",\"sharing_groups\":[\"a\",1]}", "sharing_groups"},
        {"{" BASE ",\"sharing_groups\":{\"a\":1}}", "sharing_groups"},
        {"{" BASE ",\"created_at\":1767225600}", "created_at"},
        {"{" BASE ",\"created_at\":\"yesterday\"}", "created_at"},
        {"{" BASE ",\"created_at\":\"2026-02-30T00:00:00Z\"}", "created_at"},
        {"{" BASE ",\"metadata\":[]}", "metadata"},
        {"{" BASE ",\"metadata\":\"{}\"}", "metadata"},
        {"{" BASE ",\"raw_text\":\"x\"}", "raw_text"},
        {"{" BASE ",\"User_id\":\"x\"}", "User_id"},
        {"{" BASE ",\"\":1}", ""},
        {"["
         "]",
         ""},
        {"\"text\"", ""},
        {"null", ""},
        {"17", ""},
    };
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < mc_countof(BAD); i++) {
        struct mc_json *root = NULL;
        struct mc_message_input input = {.created_at_us = -7};
        struct mc_error err;
        is_status(from_json(BAD[i].json, &arena, &root, &input, &err), MC_INVALID, &err,
                  "refused: %s", BAD[i].json);
        is_str(err.field, BAD[i].field, "names \"%s\": %s", BAD[i].field, err.message);
        is_int(input.created_at_us, -7, "the output is untouched");
        mc_json_free(root);
    }
}

static void test_bad_json_sizes(void)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, 8 << 20);
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_buf_init(&json, 8 << 20);
    mc_buf_text(&json, "{" BASE ",\"sharing_groups\":[");
    for (int i = 0; i < 33; i++)
        mc_buf_printf(&json, "%s\"g%d\"", i ? "," : "", i);
    mc_buf_text(&json, "]}");
    struct mc_json *root = NULL;
    struct mc_message_input input;
    struct mc_error err;
    is_status(from_json(json.data, &arena, &root, &input, &err), MC_INVALID, &err, "33 groups");
    is_str(err.field, "sharing_groups", "named");
    mc_json_free(root);
    root = NULL;

    mc_buf_reset(&json);
    mc_buf_text(&json, "{" BASE ",\"metadata\":{\"a\":\"");
    for (int i = 0; i < 70000; i++)
        mc_buf_char(&json, 'x');
    mc_buf_text(&json, "\"}}");
    is_status(from_json(json.data, &arena, &root, &input, &err), MC_TOO_LARGE, &err,
              "metadata of 70,000 bytes");
    is_str(err.field, "metadata", "named");
    mc_json_free(root);
    root = NULL;

    mc_buf_reset(&json);
    mc_buf_text(&json, "{" BASE ",\"");
    for (int i = 0; i < 5000; i++)
        mc_buf_text(&json, "\xc3\xa4");
    mc_buf_text(&json, "\":1}");
    is_status(from_json(json.data, &arena, &root, &input, &err), MC_INVALID, &err,
              "an endless unknown field");
    ok(strlen(err.field) > 50 && strlen(err.field) < sizeof(err.field) &&
           strlen(err.field) % 2 == 0,
       "is cut between characters");
    mc_json_free(root);
}

/* ---- To JSON ---- */

static void test_write(void)
{
    static const mc_str groups[] = {{"a", 1}, {"b", 1}};
    struct mc_message m = {
        .message_id = MC_STR("m"),
        .user_id = MC_STR("u"),
        .thread_id = MC_STR("t"),
        .session_id = MC_STR("s"),
        .text = MC_STR("say \"hi\"\n\t\x01 \xc3\xa4"),
        .metadata = MC_STR("{\"topics\":[]}"),
        .sharing_groups = groups,
        .sharing_group_count = 2,
        .created_at_us = NOW,
        .role = MC_ROLE_ASSISTANT,
        .visibility = MC_VISIBILITY_SHARED,
        .tier = MC_TIER_MID,
        .enrichment_state = MC_ENRICHMENT_ENRICHED,
    };
    char *json = NULL;
    size_t len = 0;
    struct mc_error err = {0};
    is_status(mc_message_to_json(&m, &json, &len, &err), MC_OK, &err, "written");
    is_str(json,
           "{\"message_id\":\"m\",\"user_id\":\"u\",\"thread_id\":\"t\",\"session_id\":\"s\","
           "\"role\":\"assistant\",\"raw_text\":\"say \\\"hi\\\"\\n\\t\\u0001 \xc3\xa4\","
           "\"created_at\":\"2026-01-01T00:00:00.000000Z\",\"agent_id\":null,"
           "\"visibility\":\"shared\",\"sharing_groups\":[\"a\",\"b\"],\"tier\":\"mid\","
           "\"enrichment_state\":\"enriched\",\"metadata\":{\"topics\":[]}}",
           "as the interface says");
    is_int(len, strlen(json), "with its length");
    mc_free(json);
    m.agent_id = MC_STR("a1");
    json = NULL;
    is_status(mc_message_to_json(&m, &json, NULL, NULL), MC_OK, NULL, "no length asked for");
    ok(json && strstr(json, "\"agent_id\":\"a1\""), "with its agent");
    mc_free(json);
}

int main(void)
{
    test_good();
    test_ids();
    test_text();
    test_enums();
    test_groups();
    test_metadata();
    test_time();
    test_from_json();
    test_bad_json();
    test_bad_json_sizes();
    test_write();
    return done_testing();
}
