/* Messages of conversations with a support desk and an assistant, for benchmarks of enrichment. */
#ifndef MC_BENCH_MESSAGES_H
#define MC_BENCH_MESSAGES_H

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

#endif
