#include "enrich/builtin.h"

#include "base/compiler.h"
#include "base/str.h"
#include "text/cue.h"
#include "text/entity.h"
#include "text/importance.h"
#include "text/intent.h"
#include "text/phrases.h"
#include "text/sentiment.h"
#include "vocabulary/match.h"

#define TOPICS_SEEN 32 /* distinct topics of a message that are counted */
#define TAGS_MAX 10

/* Topics in the order of their first mention. */
struct tally {
    uint16_t topics[TOPICS_SEEN];
    uint16_t mentions[TOPICS_SEEN];
    size_t count;
};

static void mention(struct tally *tally, const uint16_t *topics, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (at < tally->count && tally->topics[at] != topics[i])
            at++;
        if (at == TOPICS_SEEN)
            continue;
        if (at == tally->count) {
            tally->topics[tally->count] = topics[i];
            tally->mentions[tally->count++] = 0;
        }
        tally->mentions[at]++;
    }
}

/* The most mentioned first; a stable order, because the insertion keeps equals apart as they came.
 */
static void rank(struct tally *tally)
{
    for (size_t i = 1; i < tally->count; i++) {
        uint16_t topic = tally->topics[i], mentions = tally->mentions[i];
        size_t at = i;
        for (; at > 0 && tally->mentions[at - 1] < mentions; at--) {
            tally->topics[at] = tally->topics[at - 1];
            tally->mentions[at] = tally->mentions[at - 1];
        }
        tally->topics[at] = topic;
        tally->mentions[at] = mentions;
    }
    if (tally->count > MC_BUILTIN_TOPICS)
        tally->count = MC_BUILTIN_TOPICS;
}

/* The words of addresses ("example.com/docs") are no subject. *next is the first entity still
 * ahead. */
static bool in_address(const struct mc_tokens *tokens, size_t at,
                       const struct mc_entities *entities, size_t *next)
{
    const char *word = tokens->text.data + tokens->items[at].offset;
    for (; *next < entities->count; ++*next) {
        const struct mc_entity *entity = &entities->items[*next];
        bool address = entity->type == MC_ENTITY_URL || entity->type == MC_ENTITY_EMAIL;
        if (address && word < entity->value.data)
            return false;
        if (address && word < entity->value.data + entity->value.len)
            return true;
    }
    return false;
}

static bool set_topics(const struct mc_vocabulary *vocabulary, const struct mc_tokens *tokens,
                       const struct mc_entities *entities, struct mc_arena *arena,
                       struct mc_metadata *out, uint64_t *categories)
{
    struct tally tally;
    tally.count = 0;
    size_t next = 0;
    for (size_t i = 0; i < tokens->count;) {
        struct mc_topic_match match = {.words = 1};
        if (!in_address(tokens, i, entities, &next))
            match = mc_vocabulary_match(vocabulary, tokens, i);
        mention(&tally, match.topics, match.count);
        i += match.words;
    }
    rank(&tally);
    mc_str *topics = mc_arena_array(arena, tally.count + 1, sizeof(*topics));
    if (!topics)
        return false;
    out->topics = topics;
    *categories = 0;
    for (size_t i = 0; i < tally.count; i++) {
        topics[out->topic_count++] = mc_vocabulary_topic_at(vocabulary, tally.topics[i]);
        *categories |= mc_vocabulary_topic_categories(vocabulary, tally.topics[i]);
    }
    if (tally.count == 0)
        topics[out->topic_count++] = MC_STR("general");
    return true;
}

/* "general" only when nothing else fits; "urgent" when it is. */
static bool set_categories(const struct mc_vocabulary *vocabulary, uint64_t wanted, bool urgent,
                           struct mc_arena *arena, struct mc_metadata *out)
{
    size_t count = mc_vocabulary_category_count(vocabulary);
    mc_str *categories = mc_arena_array(arena, count + 1, sizeof(*categories));
    if (!categories)
        return false;
    for (size_t i = 0; i < count; i++) {
        mc_str name = mc_vocabulary_category_at(vocabulary, i);
        bool given = (wanted >> i & 1) != 0 && !mc_str_equal(name, MC_STR("general"));
        if (given || (urgent && mc_str_equal(name, MC_STR("urgent"))))
            categories[out->category_count++] = name;
    }
    if (out->category_count == 0)
        categories[out->category_count++] = MC_STR("general");
    out->categories = categories;
    return true;
}

static bool set_entities(const struct mc_entities *entities, struct mc_arena *arena,
                         struct mc_metadata *out)
{
    if (entities->count == 0)
        return true;
    struct mc_metadata_entity *items = mc_arena_array(arena, entities->count, sizeof(*items));
    if (!items)
        return false;
    for (size_t i = 0; i < entities->count; i++) {
        items[i].type = mc_entity_name(entities->items[i].type);
        items[i].value = entities->items[i].value;
    }
    out->entities = items;
    out->entity_count = entities->count;
    return true;
}

/* What the message is like, in one word each. */
static bool set_tags(const struct mc_cues *cues, const struct mc_entities *entities, bool urgent,
                     enum mc_intent intent, struct mc_arena *arena, struct mc_metadata *out)
{
    bool amount = false, date = false;
    for (size_t i = 0; i < entities->count; i++) {
        amount = amount || entities->items[i].type == MC_ENTITY_AMOUNT;
        date = date || entities->items[i].type == MC_ENTITY_DATE;
    }
    const struct {
        bool given;
        mc_str tag;
    } tags[] = {
        {urgent, MC_STR("urgent")},
        {cues->questions > 0 || intent == MC_INTENT_ASK_QUESTION, MC_STR("question")},
        {intent == MC_INTENT_REQUEST_ACTION, MC_STR("request")},
        {intent == MC_INTENT_COMPLAINT, MC_STR("complaint")},
        {cues->points[MC_CUE_PERSONAL] > 0, MC_STR("personal")},
        {cues->points[MC_CUE_PREFERENCE] > 0, MC_STR("preference")},
        {cues->points[MC_CUE_REMEMBER] > 0, MC_STR("remember")},
        {cues->points[MC_CUE_DEADLINE] > 0, MC_STR("deadline")},
        {amount, MC_STR("amount")},
        {date, MC_STR("date")},
    };
    mc_str *items = mc_arena_array(arena, TAGS_MAX, sizeof(*items));
    if (!items)
        return false;
    for (size_t i = 0; i < mc_countof(tags); i++) {
        if (tags[i].given)
            items[out->tag_count++] = tags[i].tag;
    }
    out->tags = items;
    return true;
}

static bool set_phrases(const struct mc_tokens *tokens, struct mc_arena *arena,
                        struct mc_metadata *out)
{
    struct mc_phrases phrases;
    if (!mc_phrases_of(tokens, arena, &phrases))
        return false;
    mc_str *items = mc_arena_array(arena, phrases.count, sizeof(*items));
    if (!items)
        return false;
    memcpy(items, phrases.items, phrases.count * sizeof(*items));
    out->key_phrases = items;
    out->key_phrase_count = phrases.count;
    return true;
}

bool mc_builtin_enrich(const struct mc_vocabulary *vocabulary, mc_str text, enum mc_role role,
                       struct mc_arena *arena, struct mc_metadata *out)
{
    struct mc_metadata metadata;
    struct mc_tokens tokens;
    struct mc_cues cues;
    struct mc_sentiment sentiment;
    struct mc_entities entities;
    uint64_t categories;
    mc_metadata_init(&metadata);
    if (!mc_tokens_of(text, MC_BUILTIN_TOKENS, arena, &tokens))
        return false;
    mc_cues_of(&tokens, &cues);
    mc_sentiment_of(&tokens, &sentiment);
    mc_entities_of(&tokens, &entities);
    enum mc_intent intent = mc_intent_of(&tokens, &cues, &sentiment);
    bool urgent = cues.points[MC_CUE_URGENT] > 0;
    if (!set_topics(vocabulary, &tokens, &entities, arena, &metadata, &categories) ||
        !set_categories(vocabulary, categories, urgent, arena, &metadata) ||
        !set_entities(&entities, arena, &metadata) ||
        !set_tags(&cues, &entities, urgent, intent, arena, &metadata) ||
        !set_phrases(&tokens, arena, &metadata))
        return false;
    struct mc_importance_input input = {&tokens, &cues, &entities, &sentiment, intent, role};
    metadata.importance = mc_importance_of(&input);
    metadata.sentiment = mc_mood_name(sentiment.overall);
    metadata.sentiment_score = sentiment.score;
    if (intent != MC_INTENT_NONE)
        metadata.intent = mc_intent_name(intent);
    metadata.method = MC_STR("builtin");
    metadata.confidence = 0.3 + (categories != 0 ? 0.2 : 0) +
                          (intent != MC_INTENT_NONE ? 0.15 : 0) + (entities.count > 0 ? 0.15 : 0);
    *out = metadata;
    return true;
}

void mc_builtin_trivial(enum mc_trivial category, struct mc_metadata *out)
{
    static const mc_str general[] = {{"general", 7}};
    static const mc_str topics[] = {{"greeting", 8}, {"farewell", 8}, {"thanks", 6}};
    const mc_str *topic = category == MC_TRIVIAL_GREETING   ? &topics[0]
                          : category == MC_TRIVIAL_FAREWELL ? &topics[1]
                          : category == MC_TRIVIAL_THANKS   ? &topics[2]
                                                            : general;
    enum mc_intent intent = category == MC_TRIVIAL_GREETING        ? MC_INTENT_GREETING
                            : category == MC_TRIVIAL_FAREWELL      ? MC_INTENT_FAREWELL
                            : category == MC_TRIVIAL_CONFIRMATION  ? MC_INTENT_CONFIRMATION
                            : category == MC_TRIVIAL_QUESTION_WORD ? MC_INTENT_CLARIFICATION
                                                                   : MC_INTENT_NONE;
    mc_metadata_init(out);
    out->topics = topic;
    out->topic_count = 1;
    out->categories = general;
    out->category_count = 1;
    out->importance = MC_IMPORTANCE_TRIVIAL;
    out->sentiment =
        mc_mood_name(category == MC_TRIVIAL_THANKS ? MC_MOOD_POSITIVE : MC_MOOD_NEUTRAL);
    out->sentiment_score = category == MC_TRIVIAL_THANKS ? 0.4 : 0;
    if (intent != MC_INTENT_NONE)
        out->intent = mc_intent_name(intent);
    out->method = MC_STR("trivial");
    out->confidence = 1;
    out->trivial_category = mc_str_of(mc_trivial_name(category));
}
