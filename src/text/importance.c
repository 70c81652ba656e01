#include "text/importance.h"

#include <math.h>

#include "text/lexicon.h"

static uint32_t all_flags(const struct mc_tokens *tokens)
{
    uint32_t flags = 0;
    for (size_t i = 0; i < tokens->count; i++)
        flags |= mc_lexicon_entry(tokens->items[i].word)->flags;
    return flags;
}

static unsigned entity_types(const struct mc_entities *entities)
{
    unsigned types = 0;
    for (size_t i = 0; i < entities->count; i++)
        types |= 1U << entities->items[i].type;
    return types;
}

/* Personal facts, preferences, and what is to be remembered. */
static double of_person(const struct mc_cues *cues)
{
    bool personal = cues->points[MC_CUE_PERSONAL] > 0;
    bool preference = cues->points[MC_CUE_PREFERENCE] > 0;
    double sum = personal && preference ? 0.25 : personal ? 0.2 : preference ? 0.15 : 0;
    return sum + (cues->points[MC_CUE_REMEMBER] > 0 ? 0.2 : 0);
}

double mc_importance_of(const struct mc_importance_input *input)
{
    const struct mc_cues *cues = input->cues;
    uint32_t flags = all_flags(input->tokens);
    unsigned types = entity_types(input->entities);
    bool identified = types & (1U << MC_ENTITY_ORDER_ID | 1U << MC_ENTITY_INVOICE_ID |
                               1U << MC_ENTITY_TRACKING_NUMBER);
    bool contact = types & (1U << MC_ENTITY_EMAIL | 1U << MC_ENTITY_PHONE | 1U << MC_ENTITY_PERSON);
    bool upset = input->intent == MC_INTENT_COMPLAINT || input->sentiment->score <= -0.5;
    double sum = of_person(cues);
    sum += cues->points[MC_CUE_URGENT] > 0 ? 0.15 : 0;
    sum += cues->points[MC_CUE_DEADLINE] > 0 ? 0.1 : 0;
    sum += types & 1U << MC_ENTITY_AMOUNT ? 0.1 : 0;
    sum += identified ? 0.1 : 0;
    sum += contact ? 0.1 : 0;
    sum += input->intent == MC_INTENT_REQUEST_ACTION ? 0.08 : 0;
    sum += input->intent == MC_INTENT_ASK_QUESTION ? 0.04 : 0;
    sum += upset ? 0.1 : 0;
    sum += flags & MC_WORD_PROBLEM ? 0.06 : 0;
    if (sum == 0 && input->tokens->count < 4)
        sum -= 0.15;
    sum += input->tokens->count > 40 ? 0.05 : 0;
    if ((input->role == MC_ROLE_ASSISTANT || input->role == MC_ROLE_TOOL) && !identified)
        sum -= 0.05;
    double importance = MC_IMPORTANCE_DEFAULT + sum;
    importance = importance < 0.1 ? 0.1 : importance > 1 ? 1 : importance;
    return round(importance * 100) / 100;
}
