/* The feeling of sentences: words, negation, emphasis, contrast. */
#include "tap.h"

#include "base/arena.h"
#include "text/sentiment.h"

static struct mc_arena arena;

static struct mc_sentiment feel(const char *text)
{
    struct mc_tokens tokens = {0};
    struct mc_sentiment sentiment = {MC_MOOD_COUNT, 0};
    mc_arena_reset(&arena);
    if (mc_tokens_of(mc_str_of(text), 1000, &arena, &tokens))
        mc_sentiment_of(&tokens, &sentiment);
    return sentiment;
}

static void is_mood(const char *text, const char *want)
{
    struct mc_sentiment sentiment = feel(text);
    is_text(mc_mood_name(sentiment.overall), want, "%s (%.2f)", text, sentiment.score);
}

static void test_moods(void)
{
    is_mood("I love this product, it works perfectly!", "positive");
    is_mood("Great service and very friendly staff", "positive");
    is_mood("This is the worst experience I have ever had.", "negative");
    is_mood("My parcel arrived damaged and nobody helps me", "negative");
    is_mood("The app keeps crashing", "negative");
    is_mood("I am so disappointed with the quality", "negative");
    is_mood("This is disappointing", "negative");
    is_mood("What time do you open on Sunday?", "neutral");
    is_mood("My order number is 12345", "neutral");
    is_mood("Please send the invoice to this address", "neutral");
    is_mood("Can you cancel my subscription please?", "neutral");
    is_mood("It looks like a chair", "neutral");
    is_mood("I would like to order a chair", "neutral");
    is_mood("I like the new design", "positive");
    is_mood("The food is great but the service is horrible and slow", "mixed");
    is_mood("Nice design, terrible battery", "mixed");
    is_mood("", "neutral");
    is_mood("\xF0\x9F\x98\xA1\xF0\x9F\x98\xA1", "negative");
    is_mood("\xF0\x9F\x98\x8D", "positive");
}

static void test_negation(void)
{
    is_mood("This is not good", "negative");
    is_mood("it never works", "negative");
    is_mood("The login isn't working", "negative");
    is_mood("I am not happy with this", "negative");
    is_mood("not bad at all", "positive");
    is_mood("The setup was not difficult", "positive");
    is_mood("not only good but excellent", "positive");
    ok(feel("no. it is great").score > 0, "a negation ends with its sentence");
    ok(feel("I don't like it").score < 0, "don't like");
}

static void test_degree(void)
{
    ok(feel("very good").score > feel("good").score, "very");
    ok(feel("extremely bad").score < feel("bad").score, "extremely");
    ok(feel("slightly annoying").score > feel("annoying").score, "slightly");
    ok(feel("good!!!").score > feel("good").score, "exclamation marks");
    ok(feel("this is BAD again").score < feel("this is bad again").score, "capitals");
    is_double(feel("THIS IS BAD").score, feel("this is bad").score, 1e-9,
              "capitals throughout are no emphasis");
    ok(feel("slow but good").score > feel("good but slow").score, "what follows but counts more");
    struct mc_sentiment most =
        feel("amazing awesome excellent perfect great wonderful love best!!!!!!");
    ok(most.score > 0.9 && most.score <= 1, "at most 1: %.3f", most.score);
}

int main(void)
{
    mc_arena_init(&arena, (size_t)1024 * 1024);
    test_moods();
    test_negation();
    test_degree();
    mc_arena_fini(&arena);
    return done_testing();
}
