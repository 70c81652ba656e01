/*
 * The fixed part of the vocabulary: intents, sentiments, entity types. Each is one table: the value
 * and its name in JSON.
 */
#ifndef MC_TEXT_NAMES_H
#define MC_TEXT_NAMES_H

#include <mindcore/types.h>

/* "none" is the absent intent. */
#define MC_INTENT_MAP(X)                                                                           \
    X(NONE, "none")                                                                                \
    X(ASK_QUESTION, "ask_question")                                                                \
    X(REQUEST_ACTION, "request_action")                                                            \
    X(PROVIDE_INFO, "provide_info")                                                                \
    X(EXPRESS_OPINION, "express_opinion")                                                          \
    X(COMPLAINT, "complaint")                                                                      \
    X(GREETING, "greeting")                                                                        \
    X(FAREWELL, "farewell")                                                                        \
    X(CONFIRMATION, "confirmation")                                                                \
    X(CLARIFICATION, "clarification")                                                              \
    X(FEEDBACK, "feedback")
#define MC_MOOD_MAP(X)                                                                             \
    X(NEUTRAL, "neutral") X(POSITIVE, "positive") X(NEGATIVE, "negative") X(MIXED, "mixed")
#define MC_ENTITY_MAP(X)                                                                           \
    X(ORDER_ID, "order_id")                                                                        \
    X(INVOICE_ID, "invoice_id")                                                                    \
    X(TRACKING_NUMBER, "tracking_number")                                                          \
    X(DATE, "date")                                                                                \
    X(AMOUNT, "amount")                                                                            \
    X(PRODUCT, "product")                                                                          \
    X(PERSON, "person")                                                                            \
    X(ORGANIZATION, "organization")                                                                \
    X(EMAIL, "email")                                                                              \
    X(PHONE, "phone")                                                                              \
    X(URL, "url")                                                                                  \
    X(CUSTOM, "custom")

#define MC_INTENT_ENUM(name, text) MC_INTENT_##name,
#define MC_MOOD_ENUM(name, text) MC_MOOD_##name,
#define MC_ENTITY_ENUM(name, text) MC_ENTITY_##name,
enum mc_intent { MC_INTENT_MAP(MC_INTENT_ENUM) MC_INTENT_COUNT };
enum mc_mood { MC_MOOD_MAP(MC_MOOD_ENUM) MC_MOOD_COUNT };
enum mc_entity_type { MC_ENTITY_MAP(MC_ENTITY_ENUM) MC_ENTITY_COUNT };
#undef MC_INTENT_ENUM
#undef MC_MOOD_ENUM
#undef MC_ENTITY_ENUM

/* The name as in JSON; of a value outside the enumeration "". */
mc_str mc_intent_name(enum mc_intent intent);
mc_str mc_mood_name(enum mc_mood mood);
mc_str mc_entity_name(enum mc_entity_type type);
/* The value of a name, ASCII case ignored. Unknown: NONE, NEUTRAL, CUSTOM. */
enum mc_intent mc_intent_of_name(mc_str name);
enum mc_mood mc_mood_of_name(mc_str name);
enum mc_entity_type mc_entity_of_name(mc_str name);

#endif
