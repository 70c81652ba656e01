#include "context/speaker.h"

#include "base/str.h"
#include "text/lexicon.h"
#include "text/terms.h"

#define NAME_BYTES 40
#define NAME_WORDS 3
#define SPEAKERS_MAX 64  /* distinct ones that are looked at */
#define MESSAGES_LEAST 2 /* "Note: ..." now and then is no speaker; who speaks, speaks again */
/* A word of the query of so many bytes may be the beginning of a name. */
#define SHORT_LEAST 3
#define SHORT_MOST 4
#define NAME_WEIGHT 0.3

static bool begins_name(char c)
{
    return (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

mc_str mc_speaker_of(mc_str text)
{
    size_t at = 0;
    for (int words = 0; words < NAME_WORDS; words++) {
        if (at >= text.len || !begins_name(text.data[at]))
            return MC_STR_NONE;
        while (at < text.len && !memchr(" :\n\t", text.data[at], 4))
            at++;
        if (at + 1 >= text.len || at > NAME_BYTES)
            return MC_STR_NONE;
        if (text.data[at] == ':')
            return text.data[at + 1] == ' ' ? (mc_str){text.data, at} : MC_STR_NONE;
        if (text.data[at++] != ' ')
            return MC_STR_NONE;
    }
    return MC_STR_NONE;
}

/*
 * Whether a word of the query may be short for a name: not what stands for a time ("Mar", "Jan"), nor a
 * word that begins a sentence with a capital whoever is meant ("Will it rain?"), as "Will" inside one is.
 */
static bool may_be_short(const struct mc_query *query, size_t at)
{
    const struct mc_token *token = &query->tokens.items[at];
    if (token->folded.len < SHORT_LEAST || token->folded.len > SHORT_MOST)
        return false;
    if (at >= query->when.first && at < query->when.last)
        return false;
    bool begins = at == 0 || (token->gap & (MC_GAP_STOP | MC_GAP_PAUSE));
    const uint32_t common = MC_WORD_STOP | MC_WORD_ASK | MC_WORD_AUXILIARY;
    return !begins || !(mc_lexicon_entry(token->word)->flags & common);
}

static bool is_name(const struct mc_query *query, size_t at, mc_str name)
{
    const struct mc_token *token = &query->tokens.items[at];
    return (token->flags & MC_TOKEN_CAPITAL) && mc_str_starts(name, token->folded) &&
           (token->folded.len == name.len || may_be_short(query, at));
}

/* Those who speak in the records, each with the number of messages that begin with the name. */
struct speakers {
    struct speaker {
        mc_str name;
        size_t messages;
    } items[SPEAKERS_MAX];
    size_t count;
};

static void collect(struct speakers *speakers, const struct mc_records *records)
{
    for (size_t i = 0; i < records->count; i++) {
        mc_str name = mc_speaker_of(records->items[i]->m.text);
        size_t at = 0;
        while (at < speakers->count && !mc_str_equal(speakers->items[at].name, name))
            at++;
        if (name.len == 0 || at == SPEAKERS_MAX)
            continue;
        if (at == speakers->count)
            speakers->items[speakers->count++] = (struct speaker){.name = name};
        speakers->items[at].messages++;
    }
}

/* Whether the query names the speaker; the terms that do are added to the mask. */
static bool find_in_query(const struct mc_query *query, mc_str speaker, uint64_t *words)
{
    struct mc_tokenizer tokenizer;
    struct mc_token name;
    bool named = false;
    mc_tokenizer_init(&tokenizer, speaker);
    while (mc_token_next(&tokenizer, &name)) {
        for (size_t i = 0; i < query->tokens.count; i++) {
            if (!is_name(query, i, name.folded))
                continue;
            struct mc_term_reader reader;
            mc_term_reader_init(&reader);
            size_t word = mc_query_word(query, mc_term_next(&reader, &query->tokens.items[i]));
            if (word < query->word_count)
                *words |= UINT64_C(1) << word;
            named = true;
        }
    }
    return named;
}

static void weaken(struct mc_query *query, uint64_t words)
{
    for (size_t i = 0; i < query->word_count; i++) {
        if (!(words >> i & 1))
            continue;
        double less = query->gains[i] * (1 - NAME_WEIGHT);
        query->gains[i] -= less;
        query->mass -= less;
    }
}

void mc_speakers_find(struct mc_query *query, const struct mc_records *records)
{
    struct speakers speakers = {.count = 0};
    size_t named = 0;
    uint64_t words = 0;
    collect(&speakers, records);
    query->speaker = MC_STR_NONE;
    for (size_t i = 0; i < speakers.count; i++) {
        const struct speaker *speaker = &speakers.items[i];
        if (speaker->messages < MESSAGES_LEAST || !find_in_query(query, speaker->name, &words))
            continue;
        query->speaker = speaker->name;
        named++;
    }
    weaken(query, words);
    if (named != 1)
        query->speaker = MC_STR_NONE;
}
