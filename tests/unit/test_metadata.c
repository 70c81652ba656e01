/* Metadata as JSON: fixed form, there and back, damaged input. */
#include "tap.h"

#include "base/str.h"
#include "message/metadata.h"

static struct mc_arena arena;
static struct mc_buf json;

static const char *written(const struct mc_metadata *metadata)
{
    mc_buf_reset(&json);
    mc_metadata_write(metadata, &json);
    return json.data;
}

static void test_form(void)
{
    struct mc_metadata metadata;
    mc_metadata_init(&metadata);
    metadata.method = MC_STR("builtin");
    is_str(written(&metadata),
           "{\"topics\":[],\"categories\":[],\"importance\":0.5,\"sentiment\":{\"overall\":"
           "\"neutral\","
           "\"score\":0},\"intent\":null,\"tags\":[],\"entities\":[],\"key_phrases\":[],\"method\":"
           "\"builtin\",\"model\":null,\"confidence\":0,\"enrichment_failed\":false,"
           "\"enrichment_error\":null}",
           "nothing known");
    static const struct {
        double value;
        const char *text;
    } numbers[] = {{0.05, "0.05,"}, {1, "1,"},         {0.123456, "0.123,"}, {0.1, "0.1,"},
                   {0.9999, "1,"},  {0.005, "0.005,"}, {0.85, "0.85,"},      {0.0001, "0,"},
                   {0.25, "0.25,"}, {0.305, "0.305,"}, {0.99, "0.99,"}};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        metadata.importance = numbers[i].value;
        const char *at = strstr(written(&metadata), "importance\":");
        ok(at && strncmp(at + 12, numbers[i].text, strlen(numbers[i].text)) == 0, "%s in %.20s",
           numbers[i].text, at);
    }
    metadata.sentiment_score = -0.05;
    ok(strstr(written(&metadata), "\"score\":-0.05}") != NULL, "a negative number");
    metadata.sentiment_score = -0.0001;
    ok(strstr(written(&metadata), "\"score\":0}") != NULL, "no negative zero");
}

static void test_there_and_back(void)
{
    const char text[] =
        "{\"topics\":[\"order\",\"refund\"],\"categories\":[\"orders\"],\"importance\":0.85,"
        "\"sentiment\":{"
        "\"overall\":\"mixed\",\"score\":-0.125},\"intent\":\"complaint\",\"tags\":[\"urgent\"],"
        "\"entities\":[{\"type\":\"order_id\",\"value\":\"a\\\"b\"}],\"key_phrases\":[\"blue "
        "chair\"],"
        "\"method\":\"llm\",\"model\":\"m-1\",\"confidence\":0.9,\"enrichment_failed\":true,"
        "\"enrichment_error\":\"timed "
        "out\",\"fallback_reason\":\"it was "
        "slow\",\"truncated\":true,\"trivial_category\":\"thanks\",\"extra\":{\"a\":[1,{\"b\":null}"
        "]}}";
    struct mc_metadata metadata;
    struct mc_error err;
    is_status(mc_metadata_parse(mc_str_of(text), &arena, &metadata, &err), MC_OK, &err, "parse");
    is_int(metadata.topic_count, 2, "topics");
    is_text(metadata.topics[1], "refund", "the second");
    is_text(metadata.entities[0].value, "a\"b", "entity");
    ok(metadata.enrichment_failed, "failed");
    ok(metadata.truncated, "truncated");
    is_text(metadata.fallback_reason, "it was slow", "why no model answered");
    is_str(written(&metadata), text, "the same bytes again");
    is_status(mc_metadata_parse(MC_STR("{}"), &arena, &metadata, &err), MC_OK, &err, "empty");
    is_double(metadata.importance, 0.5, 0, "default importance");
    is_int(metadata.topic_count, 0, "no topics");
    is_status(mc_metadata_parse(
                  MC_STR("{\"importance\":7,\"confidence\":-1,\"new\":[1],\"intent\":null}"),
                  &arena, &metadata, &err),
              MC_OK, &err, "unknown members, numbers out of range");
    is_double(metadata.importance, 1, 0, "brought into range");
    is_double(metadata.confidence, 0, 0, "brought into range");
}

static void test_damaged(void)
{
    static const struct {
        const char *json;
        const char *field;
    } rows[] = {
        {"{\"topics\":3}", "topics"},
        {"{\"topics\":[3]}", "topics"},
        {"{\"importance\":\"high\"}", "importance"},
        {"{\"sentiment\":\"good\"}", "sentiment"},
        {"{\"sentiment\":{\"score\":\"x\"}}", "score"},
        {"{\"entities\":[{\"type\":\"x\"}]}", "entities"},
        {"{\"entities\":[1]}", "entities"},
        {"{\"enrichment_failed\":1}", "enrichment_failed"},
        {"{\"truncated\":\"yes\"}", "truncated"},
        {"{\"fallback_reason\":7}", "fallback_reason"},
        {"{\"extra\":[]}", "extra"},
        {"{\"intent\":{}}", "intent"},
        {"[]", "metadata"},
    };
    struct mc_error err;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mc_metadata metadata = {.importance = 42};
        is_status(mc_metadata_parse(mc_str_of(rows[i].json), &arena, &metadata, &err), MC_CORRUPT,
                  &err, "%s", rows[i].json);
        is_str(err.field, rows[i].field, "names it");
        is_double(metadata.importance, 42, 0, "output untouched");
    }
    struct mc_metadata metadata;
    is_int(mc_metadata_parse(MC_STR("{\"a\""), &arena, &metadata, &err), MC_INVALID, "not JSON");
    struct mc_arena small;
    mc_arena_init(&small, 1);
    is_int(mc_metadata_parse(MC_STR("{\"topics\":[\"a\"]}"), &small, &metadata, &err), MC_NO_MEMORY,
           "out of memory");
    mc_arena_fini(&small);
}

static void test_many(void)
{
    struct mc_buf text;
    struct mc_metadata metadata;
    struct mc_error err;
    mc_buf_init(&text, 100000);
    mc_buf_text(&text, "{\"tags\":[\"t\"");
    for (int i = 0; i < 500; i++)
        mc_buf_text(&text, ",\"t\"");
    mc_buf_text(&text, "]}");
    is_status(mc_metadata_parse(mc_buf_str(&text), &arena, &metadata, &err), MC_OK, &err,
              "500 tags");
    is_int(metadata.tag_count, MC_METADATA_LIST, "no more than the maximum are read");
    mc_buf_fini(&text);
}

int main(void)
{
    mc_arena_init(&arena, (size_t)4 * 1024 * 1024);
    mc_buf_init(&json, 100000);
    test_form();
    test_there_and_back();
    test_damaged();
    test_many();
    mc_buf_fini(&json);
    mc_arena_fini(&arena);
    return done_testing();
}
