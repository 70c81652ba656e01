/* The vocabulary: names of the contract, synonyms, stems, extension, errors. */
#include "tap.h"

#include "base/str.h"
#include "text/names.h"
#include "text/token.h"
#include "vocabulary/vocabulary.h"

static struct mc_vocabulary *vocabulary;
static struct mc_error err;

static void is_topic(const char *word, const char *want)
{
    mc_str topic = mc_vocabulary_topic(vocabulary, mc_str_of(word));
    if (want)
        is_text(topic, want, "%s", word);
    else
        ok(!mc_str_given(topic), "%s is no topic", word);
}

static void test_contract(void)
{
    static const char topics[] =
        "greeting farewell thanks help feedback issue bug error problem complaint billing payment "
        "refund cancellation orders order purchase delivery shipping tracking invoice subscription "
        "charge receipt feature product service pricing demo api integration setup configuration "
        "documentation account login password settings profile security general other unknown";
    mc_str rest = MC_STR("");
    rest = mc_str_of(topics);
    mc_str name;
    size_t count = 0;
    while (mc_str_split(&rest, ' ', &name)) {
        mc_str topic = mc_vocabulary_topic(vocabulary, name);
        ok(mc_str_equal(topic, name), "topic %.*s", (int)name.len, name.data);
        count++;
    }
    is_int(mc_vocabulary_topic_count(vocabulary), count, "and no others");
    rest = mc_str_of("support billing orders technical account product feedback general urgent");
    while (mc_str_split(&rest, ' ', &name))
        ok(mc_str_equal(mc_vocabulary_category(vocabulary, name), name), "category %.*s",
           (int)name.len, name.data);
    is_int(mc_vocabulary_category_count(vocabulary), 9, "nine categories");
    for (size_t i = 0; i < mc_vocabulary_topic_count(vocabulary); i++)
        ok(mc_vocabulary_topic_categories(vocabulary, i) != 0, "topic %zu has a category", i);
}

static void test_words(void)
{
    is_topic("ship", "shipping");
    is_topic("pwd", "password");
    is_topic("return", "refund");
    is_topic("docs", "documentation");
    is_topic("Refunding", "refund");
    is_topic("REFUNDS", "refund");
    is_topic("sign in", "login");
    is_topic("Credit Card", "payment");
    is_topic("deliveries", "delivery");
    is_topic("price", "pricing");
    is_topic("passwords", "password");
    is_topic("invoicing", "invoice");
    is_topic(" billing ", "billing");
    is_topic("production", NULL);
    is_topic("accounting", NULL);
    is_topic("banana", NULL);
    is_topic("set", NULL);
    is_topic("", NULL);
    is_topic("sign in now", NULL);
}

static void test_names(void)
{
    is_text(mc_intent_name(MC_INTENT_ASK_QUESTION), "ask_question", "intent");
    is_int(mc_intent_of_name(MC_STR("Complaint")), MC_INTENT_COMPLAINT, "case ignored");
    is_int(mc_intent_of_name(MC_STR("dance")), MC_INTENT_NONE, "unknown intent becomes none");
    is_int(mc_mood_of_name(MC_STR("mixed")), MC_MOOD_MIXED, "mood");
    is_int(mc_mood_of_name(MC_STR("sour")), MC_MOOD_NEUTRAL, "unknown sentiment becomes neutral");
    is_int(mc_entity_of_name(MC_STR("order_id")), MC_ENTITY_ORDER_ID, "entity");
    is_int(mc_entity_of_name(MC_STR("color")), MC_ENTITY_CUSTOM, "unknown entity becomes custom");
    is_text(mc_entity_name(MC_ENTITY_COUNT), "", "outside");
}

static void test_extend(void)
{
    mc_str json = MC_STR(
        "{\"synonyms\":{\"gizmo\":\"gadgets\",\"flux capacitor\":\"gadgets\",\"ship\":\"gadgets\"},"
        "\"topics\":[\"gadgets\",\"refund\"],\"categories\":[\"toys\"],"
        "\"topic_categories\":{\"gadgets\":[\"toys\",\"product\"]}}");
    is_status(mc_vocabulary_extend_json(vocabulary, json, &err), MC_OK, &err, "extend");
    is_topic("gizmos", "gadgets");
    is_topic("Flux Capacitor", "gadgets");
    is_topic("gadget", "gadgets");
    is_topic("ship", "gadgets");
    is_text(mc_vocabulary_category(vocabulary, MC_STR("toys")), "toys", "category");
    size_t last = mc_vocabulary_topic_count(vocabulary) - 1;
    is_text(mc_vocabulary_topic_at(vocabulary, last), "gadgets", "added once at the end");
    uint64_t bits = mc_vocabulary_topic_categories(vocabulary, last);
    is_int(__builtin_popcountll(bits), 2, "two categories");
}

static void test_errors(void)
{
    static const struct {
        const char *json;
        const char *says;
    } rows[] = {
        {"{\"topics\":[\"Upper\"]}", "\"Upper\" is no name"},
        {"{\"topics\":[\"\"]}", "is no name"},
        {"{\"topics\":[\"a  b\"]}", "is no name"},
        {"{\"topics\":[\" a\"]}", "is no name"},
        {"{\"topics\":\"a\"}", "vocabulary.topics must be a list"},
        {"{\"topics\":[1]}", "not integer"},
        {"{\"categories\":[\"a/b\"]}", "no name of a category"},
        {"{\"synonyms\":{\"x\":\"nowhere\"}}", "there is no topic \"nowhere\""},
        {"{\"synonyms\":[]}", "vocabulary.synonyms"},
        {"{\"topic_categories\":{\"refund\":[\"nowhere\"]}}", "there is no category"},
        {"{\"topic_categories\":{\"refund\":\"billing\"}}", "lists of categories"},
        {"{\"colours\":[]}", "no member \"colours\""},
        {"[]", "must be an object"},
        {"{", "not JSON"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum mc_status status =
            mc_vocabulary_extend_json(vocabulary, mc_str_of(rows[i].json), &err);
        ok(status == MC_CONFIG || status == MC_INVALID, "refused: %s", rows[i].json);
        ok(strstr(err.message, rows[i].says) != NULL, "says: %s", err.message);
    }
    char name[80];
    memset(name, 'a', sizeof(name));
    is_int(mc_vocabulary_add_topic(vocabulary, (mc_str){name, 65}, &err), MC_CONFIG, "65 bytes");
    is_status(mc_vocabulary_add_topic(vocabulary, (mc_str){name, 64}, &err), MC_OK, &err,
              "64 bytes");
    enum mc_status status = MC_OK;
    size_t added = 0;
    for (; status == MC_OK && added < 1000; added++) {
        snprintf(name, sizeof(name), "topic-%zu", added);
        status = mc_vocabulary_add_topic(vocabulary, mc_str_of(name), &err);
    }
    is_int(status, MC_CONFIG, "there is a maximum of topics");
    is_int(mc_vocabulary_topic_count(vocabulary), MC_VOCABULARY_TOPICS, "and it is reached");
}

static void test_builtin(void)
{
    ok(mc_vocabulary_is_builtin(MC_STR("refund")), "a topic of the tables");
    ok(!mc_vocabulary_is_builtin(MC_STR("refun")), "a part of one");
    ok(!mc_vocabulary_is_builtin(MC_STR("beekeeping")), "another");
    ok(!mc_vocabulary_is_builtin(MC_STR("")), "none");
}

int main(void)
{
    is_status(mc_vocabulary_new(&vocabulary, &err), MC_OK, &err, "new");
    test_contract();
    test_words();
    test_names();
    test_extend();
    test_errors();
    mc_vocabulary_free(vocabulary);
    mc_vocabulary_free(NULL);
    test_builtin();
    return done_testing();
}
