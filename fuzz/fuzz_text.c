/*
 * The pure functions of text/, labels of speakers, the built-in enricher and the metadata reader on any bytes: no
 * crash, no endless loop, values inside the text, JSON that reads back.
 */
#include <stdlib.h>

#include "base/utf8.h"
#include "context/speaker.h"
#include "enrich/builtin.h"
#include "text/entity.h"
#include "text/terms.h"
#include "text/when.h"

static struct mc_vocabulary *vocabulary;
static struct mc_trivial_detector *trivial;

static void check(bool good)
{
    if (!good)
        abort();
}

static void check_terms(mc_str text, struct mc_arena *arena)
{
    struct mc_terms terms;
    check(mc_terms_of(text, arena, &terms));
    check(terms.count <= MC_TERMS_MAX && terms.count <= terms.total);
    for (size_t i = 0; i < terms.count; i++) {
        mc_str term = terms.items[i].text;
        check(term.len > 0 && term.len <= MC_TERM_BYTES && terms.items[i].count > 0);
        check(mc_utf8_check(term, NULL, NULL));
        for (size_t j = 0; j < term.len; j++)
            check((term.data[j] >= 'a' && term.data[j] <= 'z') ||
                  (term.data[j] >= '0' && term.data[j] <= '9') || (term.data[j] & 0x80));
    }
}

static void check_entities(mc_str text, struct mc_arena *arena)
{
    struct mc_tokens tokens;
    struct mc_entities entities;
    check(mc_tokens_of(text, 5000, arena, &tokens));
    mc_entities_of(&tokens, &entities);
    for (size_t i = 0; i < entities.count; i++) {
        mc_str value = entities.items[i].value;
        check(value.len > 0 && value.data >= text.data &&
              value.data + value.len <= text.data + text.len);
    }
    size_t end = 0;
    for (size_t i = 0; i < tokens.count; i++) {
        check(tokens.items[i].offset >= end && tokens.items[i].folded.len > 0);
        end = tokens.items[i].offset + tokens.items[i].len;
    }
    check(end <= text.len);
}

/* "Now" is any number as well: the first bytes of the text. */
static void check_times(mc_str text, struct mc_arena *arena)
{
    struct mc_tokens tokens;
    struct mc_when when;
    int64_t now_us = 0;
    if (text.len > 0)
        memcpy(&now_us, text.data, text.len < sizeof(now_us) ? text.len : sizeof(now_us));
    check(mc_tokens_of(text, 5000, arena, &tokens));
    mc_when_of(&tokens, now_us, &when);
    double fit = mc_when_fit(&when, now_us);
    check(fit >= 0 && fit <= 1);
    if (when.given)
        check(when.first < when.last && when.last <= tokens.count &&
              (when.month ? when.month <= 12 : when.from_us < when.until_us));
    mc_str speaker = mc_speaker_of(text);
    check(speaker.len < text.len || text.len == 0);
}

static void check_metadata(mc_str text, struct mc_arena *arena)
{
    struct mc_metadata metadata, again;
    struct mc_error err;
    struct mc_buf json;
    check(mc_builtin_enrich(vocabulary, text, MC_ROLE_USER, arena, &metadata));
    check(metadata.importance >= 0.1 && metadata.importance <= 1 && metadata.topic_count > 0);
    mc_buf_init(&json, (size_t)4 * 1024 * 1024);
    mc_metadata_write(&metadata, &json);
    check(!json.failed && mc_metadata_parse(mc_buf_str(&json), arena, &again, &err) == MC_OK);
    check(again.topic_count == metadata.topic_count && again.entity_count == metadata.entity_count);
    mc_buf_fini(&json);
    if (mc_metadata_parse(text, arena, &again, &err) != MC_OK)
        check(err.message[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mc_error err;
    if (!vocabulary) {
        check(mc_vocabulary_new(&vocabulary, &err) == MC_OK);
        check(mc_trivial_new(&trivial, (mc_str){NULL, 0}, &err) == MC_OK);
    }
    mc_str text = {(const char *)data, size};
    struct mc_arena arena;
    mc_arena_init(&arena, (size_t)64 * 1024 * 1024);
    enum mc_trivial category = MC_TRIVIAL_NONE;
    if (mc_trivial_detect(trivial, MC_ROLE_USER, text, &category))
        check(category > MC_TRIVIAL_NONE && category < MC_TRIVIAL_COUNT);
    check_terms(text, &arena);
    check_entities(text, &arena);
    check_times(text, &arena);
    check_metadata(text, &arena);
    (void)mc_vocabulary_topic(vocabulary, text);
    mc_arena_fini(&arena);
    return 0;
}
