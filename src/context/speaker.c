#include "context/speaker.h"

#include <strings.h>

#include "base/str.h"
#include "text/stem.h"

#define NAME_BYTES 40
#define NAME_WORDS 3
#define SPEAKERS_MAX 16 /* distinct ones that are looked at */
/* A word of the query that is no longer than SHORT_MOST may be the beginning of a name. */
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

static bool is_name(const struct mc_token *token, mc_str name)
{
    size_t len = token->folded.len;
    bool whole = len == name.len, beginning = len >= SHORT_LEAST && len <= SHORT_MOST;
    return (token->flags & MC_TOKEN_CAPITAL) && len <= name.len && (whole || beginning) &&
           strncasecmp(token->folded.data, name.data, len) == 0;
}

static bool names(const struct mc_token *token, mc_str speaker)
{
    mc_str name;
    while (speaker.len > 0 && mc_str_split(&speaker, ' ', &name)) {
        if (is_name(token, name))
            return true;
    }
    return false;
}

static void weaken(struct mc_query *query, const struct mc_token *token)
{
    char room[MC_STEM_BYTES];
    mc_str stem = mc_stem(token->folded, room);
    for (size_t i = 0; i < query->word_count; i++) {
        if (!mc_str_equal(query->terms[i], stem))
            continue;
        double less = query->gains[i] * (1 - NAME_WEIGHT);
        query->gains[i] -= less;
        query->mass -= less;
    }
}

/* Whether the query names the speaker; the words that do weigh less. */
static bool find_in_query(struct mc_query *query, mc_str speaker)
{
    bool named = false;
    for (size_t i = 0; i < query->tokens.count; i++) {
        if (!names(&query->tokens.items[i], speaker))
            continue;
        weaken(query, &query->tokens.items[i]);
        named = true;
    }
    return named;
}

void mc_speakers_find(struct mc_query *query, const struct mc_records *records)
{
    mc_str speakers[SPEAKERS_MAX];
    size_t count = 0, named = 0;
    query->speaker = MC_STR_NONE;
    for (size_t i = 0; i < records->count && count < SPEAKERS_MAX; i++) {
        mc_str speaker = mc_speaker_of(records->items[i]->m.text);
        size_t at = 0;
        while (at < count && !mc_str_equal(speakers[at], speaker))
            at++;
        if (speaker.len == 0 || at < count)
            continue;
        speakers[count++] = speaker;
        if (find_in_query(query, speaker)) {
            query->speaker = speaker;
            named++;
        }
    }
    if (named != 1)
        query->speaker = MC_STR_NONE;
}
