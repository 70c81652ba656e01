/* What messages are for. */
#include "tap.h"

#include "base/arena.h"
#include "text/intent.h"

int main(void)
{
    static const char *const rows[][2] = {
        {"How do I reset my password?", "ask_question"},
        {"What is the price of the pro plan?", "ask_question"},
        {"is there a discount for students", "ask_question"},
        {"I was wondering if you ship to Canada", "ask_question"},
        {"When will my order arrive?", "ask_question"},
        {"Does the API support webhooks?", "ask_question"},
        {"Can you cancel my subscription?", "request_action"},
        {"Please send me the invoice for March", "request_action"},
        {"Cancel my order", "request_action"},
        {"I want a refund", "request_action"},
        {"Hi, could you please update my address?", "request_action"},
        {"I need help with the installation", "request_action"},
        {"My order number is 12345", "provide_info"},
        {"I am using version 2.3 on Ubuntu", "provide_info"},
        {"My name is Anna and I live in Berlin", "provide_info"},
        {"I love the new dashboard, it is fantastic", "express_opinion"},
        {"I think the old design was nicer", "express_opinion"},
        {"I hate the new layout", "express_opinion"},
        {"This is unacceptable, I have been waiting for three weeks!", "complaint"},
        {"Worst service ever, I am furious", "complaint"},
        {"My package arrived damaged and nobody answers, this is ridiculous", "complaint"},
        {"It would be great if you added dark mode", "feedback"},
        {"Feature request: export to CSV", "feedback"},
        {"What do you mean by that?", "clarification"},
        {"No, the blue one", "clarification"},
        {"I meant the other order", "clarification"},
        {"Yes, that one", "confirmation"},
        {"Yes, the second option", "confirmation"},
        {"weather in Paris", "none"},
        {"", "none"},
    };
    struct mc_arena arena;
    mc_arena_init(&arena, (size_t)1024 * 1024);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mc_tokens tokens;
        struct mc_cues cues;
        struct mc_sentiment sentiment;
        mc_arena_reset(&arena);
        if (!ok(mc_tokens_of(mc_str_of(rows[i][0]), 1000, &arena, &tokens), "tokens"))
            break;
        mc_cues_of(&tokens, &cues);
        mc_sentiment_of(&tokens, &sentiment);
        is_text(mc_intent_name(mc_intent_of(&tokens, &cues, &sentiment)), rows[i][1], "%s",
                rows[i][0]);
    }
    mc_arena_fini(&arena);
    return done_testing();
}
