/*
 * How many messages a second one core enriches without a model: trivial detection, metadata, its
 * JSON, and the index terms, over a mix of support messages.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/time.h"
#include "enrich/builtin.h"
#include "text/terms.h"

static const char *const messages[] = {
    "Hi there!",
    "My order #12345 arrived damaged and I want a refund of $49.99 as soon as possible.",
    "How do I reset my password? The reset link in the email doesn't work.",
    "ok thanks",
    "Can you please cancel my subscription before next Friday? I don't need it anymore.",
    "I was charged twice for invoice INV-2024-001, this is unacceptable!",
    "Hi, my name is Anna Schmidt and my email is anna.schmidt@example.com.",
    "The tracking number is 1Z999AA10123456784 but UPS says it doesn't exist.",
    "I love the new dashboard, it's fast and really intuitive. Great job!",
    "It would be great if the API supported webhooks with retries and a signature header.",
    "yes please",
    "Our production server is down since yesterday, we are losing money, please escalate ASAP!",
    "What is the price of the premium plan for 20 users? Is there a discount for non-profits?",
    "I'm allergic to peanuts and I prefer vegetarian restaurants. Remember that for next time.",
    "The product is good but the delivery was terribly slow and nobody answered my emails.",
    "Call me at +49 30 1234567 or (555) 123-4567 tomorrow between 9 and 11.",
    "I work at Acme Widgets GmbH in Berlin and we use your Slack integration.",
    "No, the blue one. I meant the large size.",
    "We paid 1,299.00 EUR on March 3rd, 2026 but the receipt shows another amount.",
    "Sure, I can help with that. Could you tell me your order number and the email address of the "
    "account?",
    "I tried to install the latest version on Ubuntu and got an error: connection refused on port "
    "5432. "
    "The logs say the database is not reachable, although psql works from the same machine.",
    "\xF0\x9F\x91\x8D",
    "Your refund of $24.50 was issued on 2026-01-15; it takes three to five business days to "
    "arrive.",
    "The app keeps crashing when I open the settings page on my phone. I already reinstalled it "
    "twice.",
    "Where is my package? It was supposed to be delivered last Tuesday and there is no update.",
    "Thank you so much for your help, have a great day!",
    "Please change the shipping address of order ORD-99812 to 5 Main Street, Springfield.",
    "I would like to upgrade from the basic plan to the pro plan. What happens to the remaining "
    "days?",
    "Is there documentation about rate limits of the API? We send about 2000 requests per minute.",
    "Two-factor authentication does not accept my code and now I am locked out of my account.",
};
#define MESSAGE_COUNT (sizeof(messages) / sizeof(messages[0]))

struct work {
    struct mc_vocabulary *vocabulary;
    struct mc_trivial_detector *trivial;
    struct mc_arena arena;
    struct mc_buf json;
    bool with_terms;
};

static bool one(struct work *work, mc_str text, bool *trivial)
{
    struct mc_metadata metadata;
    enum mc_trivial category;
    mc_arena_reset(&work->arena);
    mc_buf_reset(&work->json);
    *trivial = mc_trivial_detect(work->trivial, MC_ROLE_USER, text, &category);
    if (*trivial)
        mc_builtin_trivial(category, &metadata);
    else if (!mc_builtin_enrich(work->vocabulary, text, MC_ROLE_USER, &work->arena, &metadata))
        return false;
    mc_metadata_write(&metadata, &work->json);
    struct mc_terms terms;
    return !work->json.failed && (!work->with_terms || mc_terms_of(text, &work->arena, &terms));
}

/* Messages a second over about a second, the best of three. */
static double measure(struct work *work, size_t *trivials)
{
    double best = 0;
    for (int round = 0; round < 3; round++) {
        size_t done = 0;
        int64_t start = mc_time_monotonic_us();
        int64_t now = start;
        while (now - start < 700000) {
            *trivials = 0;
            for (size_t i = 0; i < MESSAGE_COUNT; i++) {
                bool trivial;
                if (!one(work, mc_str_of(messages[i]), &trivial))
                    exit(1);
                *trivials += trivial;
            }
            done += MESSAGE_COUNT;
            now = mc_time_monotonic_us();
        }
        double rate = (double)done * 1e6 / (double)(now - start);
        best = rate > best ? rate : best;
    }
    return best;
}

int main(void)
{
    struct mc_error err;
    struct work work = {0};
    mc_arena_init(&work.arena, (size_t)16 * 1024 * 1024);
    mc_buf_init(&work.json, (size_t)1024 * 1024);
    if (mc_vocabulary_new(&work.vocabulary, &err) != MC_OK ||
        mc_trivial_new(&work.trivial, (mc_str){0}, &err) != MC_OK) {
        fprintf(stderr, "bench_enrich: %s\n", err.message);
        return 1;
    }
    size_t trivials = 0;
    double metadata = measure(&work, &trivials);
    work.with_terms = true;
    double all = measure(&work, &trivials);
    printf("messages %zu, trivial %zu\n", MESSAGE_COUNT, trivials);
    printf("metadata with JSON       %9.0f messages/s/core\n", metadata);
    printf("and index terms          %9.0f messages/s/core\n", all);
    printf("limit 50000: %s\n", metadata >= 50000 ? "reached" : "NOT reached");
    mc_trivial_free(work.trivial);
    mc_vocabulary_free(work.vocabulary);
    mc_buf_fini(&work.json);
    mc_arena_fini(&work.arena);
    return metadata >= 50000 ? 0 : 1;
}
