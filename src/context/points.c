#include "context/points.h"

#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"
#include "context/tokens.h"
#include "text/sentence.h"
#include "text/terms.h"

#define A_MESSAGE 2
#define SENTENCES_MAX 64
#define ENTITIES_MAX 16
#define LOOK_BYTES 8000
#define ENTITY_WORTH 0.15 /* of the query's mass, an entity in a sentence */
#define LEAST_WORTH 0.1

struct entities {
    mc_str values[ENTITIES_MAX];
    size_t count;
};

/* Values are copied: the tree does not live long. */
static enum mc_status read_entities(mc_str metadata, struct mc_arena *arena,
                                    struct entities *entities, struct mc_error *err)
{
    /* Most messages have none: their metadata need not be parsed. */
    static const char some[] = "\"entities\":[{";
    if (!memmem(metadata.data, metadata.len, some, sizeof(some) - 1))
        return MC_OK;
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    enum mc_status status = mc_json_parse(metadata, &root, err);
    if (status)
        return mc_fail_prefix(err, status == MC_INVALID ? MC_CORRUPT : status,
                              "the metadata of a message");
    const struct mc_json *list = mc_json_get(root, "entities");
    for (size_t i = 0; i < mc_json_count(list) && entities->count < ENTITIES_MAX; i++) {
        mc_str value = mc_json_string(mc_json_get(mc_json_at(list, i), "value"));
        if (value.len == 0)
            continue;
        value = mc_arena_copy(arena, value);
        if (!value.data)
            return mc_fail_memory(err);
        entities->values[entities->count++] = value;
    }
    return MC_OK;
}

static double sentence_worth(const struct mc_query *query, const struct entities *entities,
                             mc_str sentence)
{
    struct mc_tokenizer tokenizer;
    struct mc_token token;
    struct mc_term_reader reader;
    uint64_t mask = 0;
    mc_tokenizer_init(&tokenizer, sentence);
    mc_term_reader_init(&reader);
    while (mc_token_next(&tokenizer, &token)) {
        mc_str term = mc_term_next(&reader, &token);
        size_t word = term.len > 0 ? mc_query_word(query, term) : query->word_count;
        if (word < query->word_count)
            mask |= UINT64_C(1) << word;
    }
    double worth = query->word_count > 0 ? mc_rank_covered(query, mask) : 0;
    for (size_t i = 0; i < entities->count; i++) {
        if (memmem(sentence.data, sentence.len, entities->values[i].data, entities->values[i].len))
            worth += ENTITY_WORTH;
    }
    return worth;
}

/* One line with single spaces, cut at a word. */
static mc_str as_point(mc_str sentence, struct mc_arena *arena)
{
    static const char mark[] = MC_TOKENS_CUT_MARK;
    char *text = mc_arena_alloc(arena, MC_POINT_BYTES + sizeof(mark));
    if (!text)
        return MC_STR_NONE;
    mc_str head = mc_utf8_cut(sentence, MC_POINT_BYTES);
    if (head.len < sentence.len) {
        size_t word = head.len;
        while (word > 0 && head.data[word] != ' ')
            word--;
        head.len = word > MC_POINT_BYTES / 2 ? word : head.len;
    }
    size_t len = 0;
    for (size_t i = 0; i < head.len; i++) {
        char c = (uint8_t)head.data[i] < 0x20 ? ' ' : head.data[i];
        if (c != ' ' || (len > 0 && text[len - 1] != ' '))
            text[len++] = c;
    }
    if (head.len < sentence.len) {
        memcpy(text + len, mark, sizeof(mark) - 1);
        len += sizeof(mark) - 1;
    }
    return (mc_str){text, len};
}

static enum mc_status add_point(struct mc_points *points, mc_str sentence, struct mc_arena *arena,
                                struct mc_error *err)
{
    mc_str point = as_point(sentence, arena);
    if (!point.data)
        return mc_fail_memory(err);
    for (size_t i = 0; i < points->count; i++) {
        if (mc_str_equal(points->items[i], point))
            return MC_OK;
    }
    points->items[points->count++] = point;
    return MC_OK;
}

enum mc_status mc_points_add(struct mc_points *points, const struct mc_query *query,
                             const struct mc_message *message, struct mc_arena *arena,
                             struct mc_error *err)
{
    struct entities entities = {.count = 0};
    enum mc_status status = read_entities(message->metadata, arena, &entities, err);
    if (status)
        return status;
    mc_str text = mc_utf8_cut(message->text, LOOK_BYTES), sentence, best[A_MESSAGE] = {{0}};
    double worths[A_MESSAGE] = {LEAST_WORTH, LEAST_WORTH};
    size_t at = 0;
    for (size_t i = 0; i < SENTENCES_MAX && mc_sentence_next(text, &at, &sentence); i++) {
        double worth = sentence_worth(query, &entities, sentence);
        for (size_t k = 0; k < A_MESSAGE; k++) {
            if (worth <= worths[k])
                continue;
            for (size_t m = A_MESSAGE - 1; m > k; m--) {
                best[m] = best[m - 1];
                worths[m] = worths[m - 1];
            }
            best[k] = sentence;
            worths[k] = worth;
            break;
        }
    }
    for (size_t k = 0; k < A_MESSAGE && points->count < MC_POINTS_MAX && !status; k++) {
        if (best[k].len > 0)
            status = add_point(points, best[k], arena, err);
    }
    return status;
}
