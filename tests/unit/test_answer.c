/* From a model's answer to metadata: what is kept, mapped, clamped, dropped and refused. */
#include "tap.h"

#include <math.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"
#include "enrich/answer.h"
#include "enrich/builtin.h"

static struct mc_arena arena;
static struct mc_vocabulary *vocabulary;
static struct mc_metadata builtin;

static const char TEXT[] = "Hello, my Order ORD-48213 from Blue  Harbour GmbH arrived broken, "
                           "please refund 89.90 EUR to my "
                           "card before Friday! Anna Schmidt, anna@example.com";

static enum mc_status read_call(const char *text, struct mc_llm_call *call, struct mc_metadata *out,
                                struct mc_error *err)
{
    memset(err, 0, sizeof(*err));
    if (!mc_builtin_enrich(vocabulary, mc_str_of(text), MC_ROLE_USER, &arena, &builtin))
        bail_out("out of memory");
    return mc_answer_read(vocabulary, mc_str_of(text), &builtin, call, &arena, out, err);
}

/* What becomes of an answer about TEXT, which must be accepted. */
static struct mc_metadata read_of(const char *answer)
{
    struct mc_llm_call call = {
        .answer = mc_str_of(answer), .confidence = -1, .model = MC_STR("m-1")};
    struct mc_metadata out = {0};
    struct mc_error err;
    is_status(read_call(TEXT, &call, &out, &err), MC_OK, &err, "%.60s", answer);
    return out;
}

static const char *joined(const mc_str *items, size_t count)
{
    static char texts[4][512];
    static unsigned turn;
    char *text = texts[turn++ % 4];
    int len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        len += snprintf(text + len, sizeof(texts[0]) - (size_t)len, "%s%.*s", i ? "|" : "",
                        MC_STR_ARG(items[i]));
    return text;
}

static const char *entities_of(const struct mc_metadata *m)
{
    static char text[1024];
    int len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < m->entity_count; i++)
        len += snprintf(text + len, sizeof(text) - (size_t)len, "%s%.*s=%.*s", i ? "|" : "",
                        MC_STR_ARG(m->entities[i].type), MC_STR_ARG(m->entities[i].value));
    return text;
}

static void test_good(void)
{
    struct mc_metadata m =
        read_of("{\"topics\":[\"refund\",\"order\"],\"categories\":[\"billing\",\"orders\"],"
                "\"intent\":\"request_action\",\"sentiment\":\"negative\",\"sentiment_score\":-6,"
                "\"importance\":8,\"entities\":[{\"type\":\"product\",\"value\":\"card\"}],"
                "\"key_phrases\":[\"arrived broken\"]}");
    is_str(joined(m.topics, m.topic_count), "refund|order", "topics");
    is_str(joined(m.categories, m.category_count), "billing|orders", "categories");
    is_str(joined(&m.intent, 1), "request_action", "intent");
    is_str(joined(&m.sentiment, 1), "negative", "sentiment");
    is_double(m.sentiment_score, -0.6, 1e-9, "its score");
    is_double(m.importance, 0.8, 1e-9, "importance");
    is_str(joined(&m.method, 1), "llm", "method");
    is_str(joined(&m.model, 1), "m-1", "model");
    is_str(joined(m.tags, m.tag_count), joined(builtin.tags, builtin.tag_count),
           "tags of the built-in enricher");
    is_str(joined(m.key_phrases, 1), "arrived broken", "the model's phrase comes first");
    ok(m.key_phrase_count > 1, "built-in ones fill up");
    ok(!m.truncated && !m.enrichment_failed, "neither cut nor failed");
}

/* A model that repeats itself without end: what it lists is compared with the text, which takes time. */
static void test_endless_lists(void)
{
    struct mc_buf answer;
    mc_buf_init(&answer, 1 << 20);
    mc_buf_text(&answer, "{\"topics\":[\"order\"],\"entities\":[");
    for (int i = 0; i < 1000; i++)
        mc_buf_printf(&answer, "{\"type\":\"product\",\"value\":\"none %d\"},", i);
    mc_buf_text(&answer, "{\"type\":\"product\",\"value\":\"card\"}],\"key_phrases\":[");
    for (int i = 0; i < 1000; i++)
        mc_buf_printf(&answer, "\"none %d\",", i);
    mc_buf_text(&answer, "\"arrived broken\"]}");
    struct mc_metadata m = read_of(answer.data);
    ok(!strstr(entities_of(&m), "=card"), "entities far behind are not looked for");
    ok(!strstr(joined(m.key_phrases, 1), "arrived broken"), "nor phrases");
    mc_buf_fini(&answer);
}

static void test_lenient(void)
{
    struct mc_metadata m = read_of(
        "{\"topics\":[\"Shipment\",\"pwd\",\"unicorns\",7,null,\" ORDER \",\"password\"],"
        "\"categories\":[\"Billing\",\"kitchen\"],\"intent\":\"world_domination\","
        "\"sentiment\":\"grumpy\",\"sentiment_score\":-400,\"importance\":77.5,\"entities\":\"x\","
        "\"key_phrases\":{}}");
    is_str(joined(m.topics, m.topic_count), "shipping|password|order",
           "synonyms are mapped, each topic once, strangers dropped");
    is_str(joined(m.categories, m.category_count), "billing", "unknown categories are dropped");
    is_int(m.intent.len, 0, "an unknown intent is none");
    is_str(joined(&m.sentiment, 1), "neutral", "an unknown sentiment is neutral");
    is_double(m.sentiment_score, -1, 1e-9, "the score is clamped");
    is_double(m.importance, 1, 1e-9, "and so is the importance");
    m = read_of(
        "{\"topics\":[\"unicorns\"],\"categories\":[],\"intent\":\"none\",\"importance\":-3}");
    is_str(joined(m.topics, m.topic_count), "general", "no topic left: general");
    is_str(joined(m.categories, m.category_count), "general", "no category left: general");
    is_int(m.intent.len, 0, "none is no intent");
    is_double(m.importance, 0, 1e-9, "not below 0");
    is_str(joined(&m.sentiment, 1), joined(&builtin.sentiment, 1),
           "a missing sentiment is the built-in one");
    m = read_of("{\"sentiment\":\"Positive\"}");
    is_str(joined(m.topics, m.topic_count), joined(builtin.topics, builtin.topic_count),
           "missing topics are the built-in ones");
    is_str(joined(m.categories, m.category_count),
           joined(builtin.categories, builtin.category_count), "and categories");
    is_str(joined(&m.intent, 1), joined(&builtin.intent, 1), "and the intent");
    is_double(m.importance, builtin.importance, 1e-9, "and the importance");
    is_str(joined(&m.sentiment, 1), "positive", "case does not matter");
    is_double(m.sentiment_score, 0.5, 1e-9, "a feeling without a score is half of it");
    m = read_of(
        "{\"intent\":\"complaint\",\"topics\":[\"refund\",\"order\",\"billing\",\"payment\","
        "\"invoice\",\"receipt\",\"charge\",\"pricing\"]}");
    is_int(m.topic_count, 6, "no more topics than the built-in enricher gives");
}

static void test_no_invention(void)
{
    read_of("{\"intent\":\"none\"}");
    char own[1024];
    snprintf(own, sizeof(own), "%s", entities_of(&builtin));
    struct mc_metadata m = read_of(
        "{\"topics\":[],\"entities\":[{\"type\":\"person\",\"value\":\"Bob Miller\"},"
        "{\"type\":\"order_id\",\"value\":\"ORD-4821\"},{\"type\":\"order_id\",\"value\":\"48213\"}"
        ","
        "{\"type\":\"order_id\",\"value\":\"\"},{\"type\":\"date\"},7,{\"value\":\"friday\"},"
        "{\"type\":\"date\",\"value\":9}],"
        "\"key_phrases\":[\"a great day\",\"roken\",5,\"\",\" \"]}");
    is_str(entities_of(&m), own, "what does not stand in the text, or is known, adds nothing");
    is_str(joined(m.key_phrases, m.key_phrase_count),
           joined(builtin.key_phrases, builtin.key_phrase_count), "nor do such phrases");
    m = read_of(
        "{\"topics\":[],\"entities\":[{\"type\":\"gadget\",\"value\":\"CARD\"}],"
        "\"key_phrases\":[\"blue harbour gmbh\",\"Blue\\n Harbour\",\"BLUE HARBOUR GMBH\"]}");
    ok(strstr(entities_of(&m), "custom=card"),
       "an unknown type is custom, written as in the text: %s", entities_of(&m));
    ok(strncmp(entities_of(&m), own, strlen(own)) == 0, "behind what rules found");
    ok(m.key_phrase_count >= 2 && mc_str_equal(m.key_phrases[0], MC_STR("blue harbour gmbh")) &&
           mc_str_equal(m.key_phrases[1], MC_STR("blue harbour")),
       "white space and case do not matter: %s", joined(m.key_phrases, m.key_phrase_count));
    ok(m.key_phrase_count < 3 || !mc_str_equal(m.key_phrases[2], m.key_phrases[0]), "each once");
}

static void test_foreign_scripts(void)
{
    struct mc_llm_call call = {
        .answer = MC_STR("{\"topics\":[\"order\"],\"entities\":[{\"type\":\"person\",\"value\":"
                         "\"\\u00c4NNE M\\u00dcLLER\"},{\"type\":\"product\",\"value\":"
                         "\"\\u6ce8\\u6587\"}]}"),
        .confidence = 0.875,
        .truncated = true,
        .model = MC_STR("m")};
    struct mc_metadata m = {0};
    struct mc_error err;
    is_status(read_call("\xc3\x84nne M\xc3\xbcller \xe6\xb3\xa8\xe6\x96\x87\xe5\x8f\xb7", &call, &m,
                        &err),
              MC_OK, &err, "other scripts");
    ok(strstr(entities_of(&m), "product=\xe6\xb3\xa8\xe6\x96\x87"),
       "a part of a text without spaces");
    ok(strstr(entities_of(&m), "M\xc3\x9cLLER") || strstr(entities_of(&m), "M\xc3\xbcller"),
       "a name in other letters: %s", entities_of(&m));
    is_double(m.confidence, 0.875, 1e-9, "the model's own confidence");
    ok(m.truncated, "says that the text was cut");
}

static void test_confidence(void)
{
    struct mc_metadata m = read_of("{\"topics\":[\"unicorns\"],\"intent\":\"farewell\","
                                   "\"sentiment\":\"mixed\"}");
    is_double(m.confidence, 0.6, 1e-9, "no agreement with the built-in enricher");
    char answer[256];
    snprintf(answer, sizeof(answer),
             "{\"topics\":[\"%.*s\"],\"intent\":\"%.*s\",\"sentiment\":\"%.*s\"}",
             MC_STR_ARG(builtin.topics[0]), MC_STR_ARG(builtin.intent),
             MC_STR_ARG(builtin.sentiment));
    m = read_of(answer);
    is_double(m.confidence, 0.9, 1e-9, "full agreement");
    struct mc_llm_call call = {.answer = MC_STR("{\"topics\":[]}"), .confidence = 7};
    struct mc_error err;
    is_status(read_call("x", &call, &m, &err), MC_OK, &err, "a confidence of 7");
    is_double(m.confidence, 1, 1e-9, "is 1");
    call.confidence = (double)NAN;
    is_status(read_call("x", &call, &m, &err), MC_OK, &err, "no number");
    ok(m.confidence >= 0.6, "is none");
}

static void test_refused(void)
{
    static const char BAD[][96] = {
        "",
        "null",
        "[]",
        "7",
        "{}",
        "{\"importance\":3,\"entities\":[]}",
        "{\"topics\":\"refund\",\"intent\":null,\"sentiment\":{\"overall\":\"mixed\"}}",
        "{\"topics\":[}",
        "\xff\xfe",
        "{\"intent\":\"none\"} trailing",
    };
    for (size_t i = 0; i < mc_countof(BAD); i++) {
        struct mc_error err = {0};
        is_status(mc_answer_accept(NULL, mc_str_of(BAD[i]), &err), MC_INVALID, &err, "refused: %s",
                  BAD[i]);
        struct mc_llm_call call = {.answer = mc_str_of(BAD[i]), .confidence = -1};
        struct mc_metadata out = {.importance = 42};
        is_status(read_call("x", &call, &out, &err), MC_INVALID, &err, "and not read");
        is_double(out.importance, 42, 0, "the output is untouched");
    }
    struct mc_error err = {0};
    is_status(mc_answer_accept(NULL, MC_STR("{\"topics\":[]}"), &err), MC_OK, &err,
              "a list is enough");
    is_status(mc_answer_accept(NULL, MC_STR("{\"intent\":\"x\"}"), &err), MC_OK, &err,
              "an intent is");
}

static void test_no_memory(void)
{
    struct mc_llm_call call = {
        .answer = MC_STR("{\"topics\":[\"order\"],\"key_phrases\":[\"order\"],\"entities\":"
                         "[{\"type\":\"product\",\"value\":\"card\"}]}"),
        .confidence = -1,
        .model = MC_STR("m")};
    if (!mc_builtin_enrich(vocabulary, mc_str_of(TEXT), MC_ROLE_USER, &arena, &builtin))
        bail_out("out of memory");
    int failed = 0;
    bool done = false;
    for (size_t max = 1; max < 65536 && !done; max *= 2) {
        struct mc_arena small;
        mc_arena_init(&small, max);
        struct mc_metadata out;
        struct mc_error err;
        enum mc_status status =
            mc_answer_read(vocabulary, mc_str_of(TEXT), &builtin, &call, &small, &out, &err);
        failed += status == MC_NO_MEMORY;
        done = status == MC_OK;
        mc_arena_fini(&small);
    }
    ok(failed > 0 && done, "too little memory is an error (%d times)", failed);
}

int main(void)
{
    struct mc_error err = {0};
    mc_arena_init(&arena, (size_t)16 << 20);
    if (mc_vocabulary_new(&vocabulary, &err))
        bail_out("no vocabulary: %s", err.message);
    test_good();
    test_lenient();
    test_endless_lists();
    test_no_invention();
    test_foreign_scripts();
    test_confidence();
    test_refused();
    test_no_memory();
    mc_vocabulary_free(vocabulary);
    mc_arena_fini(&arena);
    return done_testing();
}
