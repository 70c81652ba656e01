/* Importance: each part of the documented formula, order, bounds. */
#include "tap.h"

#include "base/arena.h"
#include "text/importance.h"
#include "text/intent.h"

static struct mc_arena arena;

static double importance(const char *text, enum mc_role role)
{
    struct mc_tokens tokens;
    struct mc_cues cues;
    struct mc_sentiment sentiment;
    struct mc_entities entities;
    mc_arena_reset(&arena);
    if (!mc_tokens_of(mc_str_of(text), 1000, &arena, &tokens))
        return -1;
    mc_cues_of(&tokens, &cues);
    mc_sentiment_of(&tokens, &sentiment);
    mc_entities_of(&tokens, &entities);
    struct mc_importance_input input = {
        &tokens, &cues, &entities, &sentiment, mc_intent_of(&tokens, &cues, &sentiment), role};
    return mc_importance_of(&input);
}

static void is_important(const char *text, double want)
{
    is_double(importance(text, MC_ROLE_USER), want, 0.001, "%s", text);
}

int main(void)
{
    mc_arena_init(&arena, (size_t)1024 * 1024);
    is_important("The chair stands in the garden", 0.5);
    is_important("blue chair", 0.35);
    is_important("", 0.35);
    is_important("What colour is the chair?", 0.54);
    is_important("Please paint the chair in the garden", 0.58);
    is_important("The chair in the garden costs $49.99", 0.6);
    is_important("The chair belongs to order #12345", 0.6);
    is_important("The chair belongs to bob@example.com", 0.6);
    is_important("The chair is needed urgently in the garden", 0.65);
    is_important("The chair is not urgently needed in the garden", 0.5);
    is_important("The chair in the garden is not very urgent", 0.5);
    is_important("My wife has a chair", 0.7);
    is_important("I prefer wooden chairs", 0.65);
    is_important("Please remember that the chair is wooden", 0.7);
    ok(importance("I'm allergic to peanuts", MC_ROLE_USER) >= 0.7, "an allergy");
    ok(importance("Production is down, we lose $5000 an hour, fix it ASAP! Order ORD-991",
                  MC_ROLE_USER) >= 0.9,
       "an emergency");
    is_double(importance("The chair stands in the garden", MC_ROLE_ASSISTANT), 0.45, 0.001,
              "an assistant's small talk");
    is_double(importance("Your order #12345 is on its way", MC_ROLE_ASSISTANT),
              importance("Your order #12345 is on its way", MC_ROLE_USER), 0.001,
              "an assistant's message with a number");
    double most = importance(
        "URGENT! My name is Bob, remember that I prefer email bob@x.com: order #12345 for $99 "
        "arrived broken, this is unacceptable, refund by Friday please!",
        MC_ROLE_USER);
    is_double(most, 1.0, 0.001, "never above 1");
    mc_arena_fini(&arena);
    return done_testing();
}
