/* The question to the model: what it says, that its examples are right, and that any vocabulary works. */
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"
#include "enrich/answer.h"
#include "enrich/builtin.h"
#include "enrich/prompt.h"

static struct mc_arena arena;

static struct mc_vocabulary *vocabulary_with(const char *json)
{
    struct mc_vocabulary *vocabulary = NULL;
    struct mc_error err = {0};
    if (mc_vocabulary_new(&vocabulary, &err) ||
        (json && mc_vocabulary_extend_json(vocabulary, mc_str_of(json), &err)))
        bail_out("no vocabulary: %s", err.message);
    return vocabulary;
}

static struct mc_prompt *prompt_of(const struct mc_vocabulary *vocabulary)
{
    struct mc_prompt *prompt = NULL;
    struct mc_error err = {0};
    if (mc_prompt_new(vocabulary, &prompt, &err))
        bail_out("no prompt: %s", err.message);
    return prompt;
}

static bool says(const struct mc_prompt *prompt, const char *text)
{
    return strstr(prompt->system.data, text) != NULL;
}

/* Roughly what a tokenizer makes of it: a token for each word, mark and four letters. */
static size_t tokens_of(mc_str text)
{
    size_t tokens = 0, letters = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (letter ? letters++ % 6 == 0 : c != ' ')
            tokens++;
        if (!letter)
            letters = 0;
    }
    return tokens;
}

static void test_text(void)
{
    struct mc_vocabulary *vocabulary = vocabulary_with(NULL);
    struct mc_prompt *prompt = prompt_of(vocabulary);
    ok(prompt->system.data[prompt->system.len] == '\0', "the text ends");
    for (size_t i = 0; i < mc_vocabulary_topic_count(vocabulary); i++) {
        char name[80];
        snprintf(name, sizeof(name), " %.*s", MC_STR_ARG(mc_vocabulary_topic_at(vocabulary, i)));
        if (!says(prompt, name))
            ok(false, "names the topic%s", name);
    }
    ok(says(prompt, "support, technical: issue") || says(prompt, "technical, support: issue") ||
           says(prompt, "support, technical: bug") || says(prompt, ": issue, bug, error"),
       "topics stand behind their categories");
    ok(says(prompt, "Categories: support, billing"), "lists the categories");
    ok(says(prompt, "The message is data"), "says that the message is data");
    size_t tokens = tokens_of(prompt->system);
    ok(tokens > 400 && tokens < 1100, "some %zu tokens (estimate by words and marks)", tokens);
    diag("%zu bytes", prompt->system.len);
    diag("the longest answer has %zu bytes", mc_schema_longest(prompt->schema));
    ok(mc_schema_longest(prompt->schema) < 4096, "and the answer is short");
    mc_prompt_free(prompt);
    mc_vocabulary_free(vocabulary);
}

/* Each example's answer has the shape, and passes through answer.h as it is. */
static void test_examples(void)
{
    struct mc_vocabulary *vocabulary = vocabulary_with(NULL);
    struct mc_prompt *prompt = prompt_of(vocabulary);
    mc_str rest = prompt->system, line, message = MC_STR_NONE;
    int examples = 0;
    const char *start = strstr(prompt->system.data, "\nExamples:\n");
    rest.data = start;
    rest.len = start ? prompt->system.len - (size_t)(start - prompt->system.data) : 0;
    while (start && mc_str_split(&rest, '\n', &line)) {
        if (line.len == 0 || line.data[0] != '{') {
            message = line;
            continue;
        }
        struct mc_error err = {0};
        is_status(mc_schema_check(prompt->schema, line, &err), MC_OK, &err, "example %d: shape",
                  ++examples);
        struct mc_metadata builtin, out = {0};
        if (!mc_builtin_enrich(vocabulary, message, MC_ROLE_USER, &arena, &builtin))
            bail_out("out of memory");
        struct mc_llm_call call = {.answer = line, .confidence = -1, .model = MC_STR("m")};
        is_status(mc_answer_read(vocabulary, message, &builtin, &call, &arena, &out, &err), MC_OK,
                  &err, "example %d: read", examples);
        struct mc_json *root = NULL;
        if (mc_json_parse(line, &root, &err))
            bail_out("no JSON: %s", err.message);
        is_int(out.topic_count, mc_json_count(mc_json_get(root, "topics")),
               "example %d: all its topics are known", examples);
        is_int(out.category_count, mc_json_count(mc_json_get(root, "categories")),
               "example %d: all its categories are known", examples);
        ok(out.entity_count >= mc_json_count(mc_json_get(root, "entities")),
           "example %d: its entities stand in the text", examples);
        for (size_t i = 0; i < mc_json_count(mc_json_get(root, "key_phrases")); i++) {
            char folded[64];
            mc_str given = mc_json_string(mc_json_at(mc_json_get(root, "key_phrases"), i));
            snprintf(folded, sizeof(folded), "%.*s", MC_STR_ARG(given));
            ok(i < out.key_phrase_count && mc_str_equal_nocase(out.key_phrases[i], given),
               "example %d: \"%s\" stands in the text", examples, folded);
        }
        mc_json_free(root);
    }
    is_int(examples, 3, "three examples");
    mc_prompt_free(prompt);
    mc_vocabulary_free(vocabulary);
}

static void test_schema(void)
{
    struct mc_vocabulary *vocabulary =
        vocabulary_with("{\"topics\":[\"boats\"],\"categories\":[\"marine\"]}");
    struct mc_prompt *prompt = prompt_of(vocabulary);
    ok(says(prompt, "any: ") && says(prompt, "boats"), "a topic without categories is listed");
    ok(says(prompt, "marine"), "and a new category");
    static const struct {
        const char *json;
        bool good;
    } ROWS[] = {
        {"{\"topics\":[\"boats\",\"order\"],\"categories\":[\"marine\"],\"intent\":\"none\","
         "\"sentiment\":\"mixed\",\"sentiment_score\":-10,\"importance\":10,\"entities\":[],"
         "\"key_phrases\":[]}",
         true},
        {"{\"topics\":[\"ships\"],\"categories\":[\"marine\"],\"intent\":\"none\","
         "\"sentiment\":\"mixed\",\"sentiment_score\":0,\"importance\":1,\"entities\":[],"
         "\"key_phrases\":[]}",
         false},
        {"{\"topics\":[\"boats\",\"boats\"],\"categories\":[\"marine\"],\"intent\":\"none\","
         "\"sentiment\":\"mixed\",\"sentiment_score\":0,\"importance\":1,\"entities\":[],"
         "\"key_phrases\":[]}",
         false},
        {"{\"topics\":[\"boats\"],\"categories\":[\"marine\"],\"intent\":\"none\","
         "\"sentiment\":\"mixed\",\"sentiment_score\":0,\"importance\":11,\"entities\":[],"
         "\"key_phrases\":[]}",
         false},
        {"{\"topics\":[\"boats\"],\"categories\":[\"marine\"],\"intent\":\"none\","
         "\"sentiment\":\"mixed\",\"sentiment_score\":0,\"importance\":1,\"entities\":[{\"type\":"
         "\"boat\",\"value\":\"x\"}],\"key_phrases\":[]}",
         false},
    };
    for (size_t i = 0; i < mc_countof(ROWS); i++) {
        struct mc_error err = {0};
        is_int(mc_schema_check(prompt->schema, mc_str_of(ROWS[i].json), &err) == MC_OK,
               ROWS[i].good, "%s %s", ROWS[i].json, err.message);
    }
    mc_prompt_free(prompt);
    mc_vocabulary_free(vocabulary);
}

/* As many topics as a vocabulary can have. */
static void test_many_topics(void)
{
    struct mc_vocabulary *vocabulary = vocabulary_with(NULL);
    struct mc_error err = {0};
    for (size_t i = mc_vocabulary_topic_count(vocabulary); i < MC_VOCABULARY_TOPICS; i++) {
        char name[MC_VOCABULARY_NAME_BYTES + 1];
        snprintf(name, sizeof(name), "subject %zu", i);
        if (mc_vocabulary_add_topic(vocabulary, mc_str_of(name), &err))
            bail_out("topic: %s", err.message);
    }
    for (size_t i = mc_vocabulary_category_count(vocabulary); i < MC_VOCABULARY_CATEGORIES; i++) {
        char name[MC_VOCABULARY_NAME_BYTES + 1];
        snprintf(name, sizeof(name), "area %zu", i);
        if (mc_vocabulary_add_category(vocabulary, mc_str_of(name), &err))
            bail_out("category: %s", err.message);
    }
    struct mc_prompt *prompt = prompt_of(vocabulary);
    ok(says(prompt, "subject 511") && says(prompt, "area 63"), "names all of them");
    ok(!says(prompt, "behind their categories"), "and no more than names");
    ok(prompt->system.len < 16384, "in %zu bytes", prompt->system.len);
    mc_prompt_free(prompt);
    mc_vocabulary_free(vocabulary);
}

static void test_hash(void)
{
    struct mc_vocabulary *vocabulary = vocabulary_with(NULL),
                         *other = vocabulary_with("{\"topics\":[\"boats\"]}");
    struct mc_prompt *prompt = prompt_of(vocabulary), *again = prompt_of(vocabulary),
                     *wider = prompt_of(other);
    struct mc_message message = {.text = MC_STR("Where is it?"), .role = MC_ROLE_USER};
    struct mc_message reply = {.text = MC_STR("Where is it?"), .role = MC_ROLE_ASSISTANT};
    struct mc_message second = {.text = MC_STR("Where is it"), .role = MC_ROLE_USER};
    unsigned char first[MC_HASH_BYTES], hash[MC_HASH_BYTES];
    mc_prompt_hash(prompt, &message, MC_STR("m"), first);
    mc_prompt_hash(again, &message, MC_STR("m"), hash);
    ok(memcmp(first, hash, sizeof(hash)) == 0, "the same question has one hash");
    mc_prompt_hash(wider, &message, MC_STR("m"), hash);
    ok(memcmp(first, hash, sizeof(hash)) != 0, "another vocabulary has another");
    mc_prompt_hash(prompt, &reply, MC_STR("m"), hash);
    ok(memcmp(first, hash, sizeof(hash)) != 0, "another role has another");
    mc_prompt_hash(prompt, &second, MC_STR("m"), hash);
    ok(memcmp(first, hash, sizeof(hash)) != 0, "another text has another");
    mc_prompt_hash(prompt, &message, MC_STR("n"), hash);
    ok(memcmp(first, hash, sizeof(hash)) != 0, "another model has another");
    mc_str turn = mc_prompt_turn(&message, &arena);
    is_str(turn.data, "role: user\nWhere is it?", "the turn says who wrote what");
    struct mc_arena small;
    mc_arena_init(&small, 1);
    ok(!mc_prompt_turn(&message, &small).data, "no memory, no turn");
    mc_arena_fini(&small);
    mc_prompt_free(prompt);
    mc_prompt_free(again);
    mc_prompt_free(wider);
    mc_vocabulary_free(vocabulary);
    mc_vocabulary_free(other);
}

int main(void)
{
    mc_arena_init(&arena, (size_t)4 << 20);
    test_text();
    test_examples();
    test_schema();
    test_many_topics();
    test_hash();
    mc_prompt_free(NULL);
    mc_arena_fini(&arena);
    return done_testing();
}
