/* The built-in enricher as a whole: believable messages, vocabulary, determinism, threads, bad
 * input. */
#include "tap.h"

#include "base/str.h"
#include "enrich/builtin.h"
#include "text/importance.h"

static struct mc_vocabulary *vocabulary;
static struct mc_arena arena;

static struct mc_metadata enrich(const char *text)
{
    struct mc_metadata metadata = {.method = MC_STR("failed")};
    mc_arena_reset(&arena);
    if (!mc_builtin_enrich(vocabulary, mc_str_of(text), MC_ROLE_USER, &arena, &metadata))
        metadata.method = MC_STR("out of memory");
    return metadata;
}

static bool has(const mc_str *list, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++) {
        if (mc_str_equal(list[i], mc_str_of(word)))
            return true;
    }
    return false;
}

static void test_messages(void)
{
    static const struct {
        const char *text, *topic, *category, *mood, *intent;
    } rows[] = {
        {"My order #12345 arrived damaged and I want a refund as soon as possible.", "refund",
         "urgent", "negative", "request_action"},
        {"How do I reset my password?", "password", "account", "neutral", "ask_question"},
        {"I can't sign in to the website", "login", "account", "neutral", "provide_info"},
        {"I was charged twice on my credit card, this is unacceptable!", "payment", "billing",
         "negative", "complaint"},
        {"Where is my package? It should have been shipped last week", "shipping", "orders",
         "neutral", "ask_question"},
        {"The app crashes when I open it", "bug", "technical", "negative", "provide_info"},
        {"It would be great if the API had webhooks", "api", "technical", "positive", "feedback"},
        {"How much is the premium plan?", "pricing", "billing", "neutral", "ask_question"},
        {"Please cancel my subscription", "cancellation", "billing", "neutral", "request_action"},
        {"I love your support team, they are wonderful!", "help", "support", "positive",
         "express_opinion"},
        {"Somebody hacked my account", "security", "account", "negative", "provide_info"},
        {"Could you point me to the docs for the setup?", "documentation", "technical", "neutral",
         "request_action"},
        {"The weather in Paris was fine", "general", "general", NULL, NULL},
        {"", "general", "general", "neutral", NULL},
        {"\xFF\xFE\xC3", "general", "general", "neutral", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mc_metadata m = enrich(rows[i].text);
        is_text(m.method, "builtin", "%s", rows[i].text);
        ok(has(m.topics, m.topic_count, rows[i].topic), "topic %s", rows[i].topic);
        ok(has(m.categories, m.category_count, rows[i].category), "category %s", rows[i].category);
        if (rows[i].mood)
            is_text(m.sentiment, rows[i].mood, "mood (%.2f)", m.sentiment_score);
        if (rows[i].intent)
            is_text(m.intent, rows[i].intent, "intent");
        for (size_t t = 0; t < m.topic_count; t++)
            ok(mc_str_equal(mc_vocabulary_topic(vocabulary, m.topics[t]), m.topics[t]),
               "%.*s is of the vocabulary", (int)m.topics[t].len, m.topics[t].data);
        ok(m.importance >= 0.1 && m.importance <= 1 && m.confidence > 0 && m.confidence < 1,
           "ranges");
    }
}

/* What is frozen is not always broken. */
static void test_frozen(void)
{
    static const struct {
        const char *text;
        bool bug;
    } rows[] = {
        {"The app freezes when I open it", true},
        {"My screen is frozen again", true},
        {"The page froze twice", true},
        {"It keeps freezing", true},
        {"I bought a frozen pizza and put it into the freezer", false},
        {"Can I freeze the soup?", false},
        {"It is freezing outside", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mc_metadata m = enrich(rows[i].text);
        ok(has(m.topics, m.topic_count, "bug") == rows[i].bug, "%s: %s",
           rows[i].bug ? "a bug" : "no bug", rows[i].text);
    }
    is_text(enrich("I bought a frozen pizza").sentiment, "neutral", "nor is it a pity");
}

static void test_urgency(void)
{
    static const struct {
        const char *text;
        bool urgent;
    } rows[] = {
        {"The chair is urgently needed in the garden", true},
        {"We need the chair as soon as possible", true},
        {"No, this is urgent", true},
        {"It is not a joke. Very urgent!", true},
        {"not only urgent, but also heavy", true},
        {"I do not know how urgent it is", true},
        {"this is not urgent", false},
        {"This is not very urgent.", false},
        {"It isn't really urgent", false},
        {"The chair isn't really all that urgent", false},
        {"this is no longer a priority", false},
        {"The chair in the garden is not very important", false},
        {"There is no rush with the chair", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mc_metadata m = enrich(rows[i].text);
        ok(has(m.categories, m.category_count, "urgent") == rows[i].urgent &&
               has(m.tags, m.tag_count, "urgent") == rows[i].urgent,
           "%surgent: %s", rows[i].urgent ? "" : "not ", rows[i].text);
    }
}

static void test_details(void)
{
    struct mc_metadata m = enrich("my orders");
    ok(has(m.topics, m.topic_count, "order") && has(m.topics, m.topic_count, "orders"),
       "order and orders go together");
    m = enrich("production is fine");
    ok(!has(m.topics, m.topic_count, "product"), "a stranger of the same stem");
    static const char *const idioms[] = {
        "I did it in order to save time", "the events arrive out of order",
        "we plan to visit my aunt", "I want to plan a trip to Rome",
        "a returning customer bought soap"};
    for (size_t i = 0; i < sizeof(idioms) / sizeof(idioms[0]); i++) {
        m = enrich(idioms[i]);
        ok(!has(m.topics, m.topic_count, "order") &&
               !has(m.topics, m.topic_count, "subscription") &&
               !has(m.topics, m.topic_count, "refund"),
           "an idiom is no topic: %s", idioms[i]);
    }
    m = enrich("put my order in order");
    ok(has(m.topics, m.topic_count, "order"), "but the word by itself is");
    m = enrich("which plan do I have?");
    is_text(m.topics[0], "subscription", "a plan");
    m = enrich("see https://example.com/invoice/docs for more");
    is_text(m.topics[0], "general", "words of an address are no topic");
    m = enrich("refund refund shipping");
    is_text(m.topics[0], "refund", "the most mentioned first");
    m = enrich("My name is Ann, remember that I prefer email. It costs $5 on Friday?");
    ok(has(m.tags, m.tag_count, "personal") && has(m.tags, m.tag_count, "preference") &&
           has(m.tags, m.tag_count, "remember") && has(m.tags, m.tag_count, "amount") &&
           has(m.tags, m.tag_count, "question") && has(m.tags, m.tag_count, "date"),
       "tags");
    struct mc_error err;
    is_status(mc_vocabulary_extend_json(
                  vocabulary,
                  MC_STR("{\"topics\":[\"gadgets\"],\"synonyms\":{\"flux capacitor\":"
                         "\"gadgets\"},\"categories\":[\"toys\"],\"topic_categories\":"
                         "{\"gadgets\":[\"toys\"]}}"),
                  &err),
              MC_OK, &err, "extend");
    m = enrich("I need a new Flux-Capacitor");
    ok(has(m.topics, m.topic_count, "gadgets") && has(m.categories, m.category_count, "toys"),
       "a configured topic of two words");
}

static void test_trivial(void)
{
    struct mc_metadata m;
    for (int i = 1; i < MC_TRIVIAL_COUNT; i++) {
        mc_builtin_trivial((enum mc_trivial)i, &m);
        is_text(m.method, "trivial", "method");
        is_text(m.trivial_category, mc_trivial_name((enum mc_trivial)i), "category");
        is_double(m.importance, MC_IMPORTANCE_TRIVIAL, 1e-9, "importance");
        is_int(m.topic_count, 1, "one topic");
    }
    mc_builtin_trivial(MC_TRIVIAL_GREETING, &m);
    is_text(m.topics[0], "greeting", "topic of a greeting");
    is_text(m.intent, "greeting", "intent of a greeting");
}

static void test_limits(void)
{
    size_t size = 400000;
    char *text = malloc(size);
    if (!ok(text != NULL, "memory"))
        return;
    for (size_t i = 0; i < size; i++)
        text[i] = "refund my order now! "[i % 21];
    struct mc_metadata m;
    mc_arena_reset(&arena);
    ok(mc_builtin_enrich(vocabulary, (mc_str){text, size}, MC_ROLE_USER, &arena, &m), "long text");
    ok(has(m.topics, m.topic_count, "refund"), "its topic");
    free(text);
    size_t refused = 0;
    for (size_t limit = 0; limit < 20000; limit += 16) {
        struct mc_arena small;
        mc_arena_init(&small, limit);
        struct mc_metadata untouched = {.importance = 42};
        if (!mc_builtin_enrich(vocabulary, MC_STR("refund order #123 for Bob Smith, $5"),
                               MC_ROLE_USER, &small, &untouched)) {
            refused++;
            if (untouched.importance < 42)
                ok(false, "output untouched at %zu", limit);
        }
        mc_arena_fini(&small);
    }
    ok(refused > 10 && refused < 1000, "out of memory is told, %zu times", refused);
}

static void *in_thread(void *argument)
{
    struct mc_arena own;
    struct mc_buf json;
    mc_arena_init(&own, (size_t)1024 * 1024);
    mc_buf_init(&json, 100000);
    for (int i = 0; i < 200; i++) {
        struct mc_metadata m;
        mc_arena_reset(&own);
        mc_buf_reset(&json);
        if (mc_builtin_enrich(vocabulary, MC_STR("My order #12345 of $5 was not shipped, help!"),
                              MC_ROLE_USER, &own, &m))
            mc_metadata_write(&m, &json);
    }
    snprintf(argument, 2000, "%s", json.data ? json.data : "");
    mc_buf_fini(&json);
    mc_arena_fini(&own);
    return NULL;
}

static void test_threads(void)
{
    static char results[4][2000];
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, in_thread, results[i]);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ok(strlen(results[0]) > 100, "result: %s", results[0]);
    for (size_t i = 1; i < 4; i++)
        is_str(results[i], results[0], "the same in every thread");
}

int main(void)
{
    struct mc_error err;
    mc_arena_init(&arena, (size_t)16 * 1024 * 1024);
    is_status(mc_vocabulary_new(&vocabulary, &err), MC_OK, &err, "vocabulary");
    test_threads();
    test_messages();
    test_frozen();
    test_urgency();
    test_details();
    test_trivial();
    test_limits();
    mc_vocabulary_free(vocabulary);
    mc_arena_fini(&arena);
    return done_testing();
}
