/*
 * Words of a text: Unicode-aware, folded to lower case, with byte offsets.
 *
 * A token is a run of letters, digits and marks; an apostrophe between letters belongs to it
 * ("don't") and a possessive "'s" is dropped ("John's" gives "john"). Scripts written without
 * spaces (ideographs, kana, Hangul, Thai, Lao, Khmer, Myanmar) give one token a character. An emoji
 * is a token of its own; its modifiers are skipped. ASCII takes a fast path; everything else is
 * folded as NFKC_Casefold.
 *
 * Any bytes may be passed: a byte that is not UTF-8 separates words. Time and memory are linear.
 */
#ifndef MC_TEXT_TOKEN_H
#define MC_TEXT_TOKEN_H

#include "base/arena.h"

/* A folded word is cut to this many bytes at a character; the rest of its run is skipped. */
#define MC_TOKEN_BYTES 64

enum mc_token_kind {
    MC_TOKEN_WORD,      /* letters */
    MC_TOKEN_NUMBER,    /* digits */
    MC_TOKEN_CODE,      /* letters and digits */
    MC_TOKEN_IDEOGRAPH, /* one character of a script without spaces */
    MC_TOKEN_EMOJI
};

enum mc_token_flag {
    MC_TOKEN_CAPITAL = 1, /* begins with a capital letter */
    MC_TOKEN_UPPER = 2,   /* two or more letters, all capitals */
    MC_TOKEN_ASCII = 4,   /* the folded word is ASCII */
    MC_TOKEN_OWNER = 8    /* a possessive 's was dropped */
};

/* What stood between a token and the one before it. */
enum mc_token_gap {
    MC_GAP_PAUSE = 1,    /* comma, semicolon, colon, bracket, quote, dash, slash */
    MC_GAP_STOP = 2,     /* full stop, end of line, exclamation or question mark */
    MC_GAP_QUESTION = 4, /* question mark */
    MC_GAP_EXCLAIM = 8,  /* exclamation mark */
    MC_GAP_SPACE = 16    /* white space */
};

struct mc_token {
    mc_str folded;
    mc_str stem; /* set by mc_tokens_of: text/stem.h; of other than content words the folded word */
    uint32_t stem_hash; /* mc_word_hash(stem) */
    uint32_t offset;    /* of the word in the text */
    uint32_t len;       /* bytes of the word in the text */
    uint32_t hash;      /* mc_word_hash(folded) */
    uint16_t word; /* entry of the lexicon (text/lexicon.h), 0 when unknown; set by mc_tokens_of */
    uint8_t kind;  /* enum mc_token_kind */
    uint8_t flags; /* enum mc_token_flag */
    uint8_t gap;   /* enum mc_token_gap, before the token */
};

/* One word after another without memory. Not for sharing between threads. */
struct mc_tokenizer {
    mc_str text;
    size_t at;
    uint32_t exclaims; /* exclamation marks met so far */
    uint8_t gap;       /* of what was skipped; after the last token: up to the end of the text */
    bool failed;       /* out of memory */
    char word[MC_TOKEN_BYTES + 8];
};

/* text.len must be below 4 GiB: what lies behind is not looked at. */
void mc_tokenizer_init(struct mc_tokenizer *tokenizer, mc_str text);
/* False at the end or when out of memory (failed). token->folded is valid until the next call. */
bool mc_token_next(struct mc_tokenizer *tokenizer, struct mc_token *token);

/* The words of a text as an array in an arena. */
struct mc_tokens {
    mc_str text; /* borrowed */
    struct mc_token *items;
    size_t count;
    uint32_t exclaims; /* exclamation marks in the part that was looked at */
    uint8_t tail;      /* enum mc_token_gap, behind the last token */
    bool cut;          /* there were more than the maximum */
};

/* At most max_tokens are kept. False when out of memory; *out untouched. */
MC_MUST_CHECK bool mc_tokens_of(mc_str text, size_t max_tokens, struct mc_arena *arena,
                                struct mc_tokens *out);

/* The same for every process and version (FNV-1a, 32 bits); a sequence is continued from its hash.
 */
#define MC_WORD_HASH_START 2166136261U
static inline uint32_t mc_word_hash_more(uint32_t hash, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)data[i]) * 16777619U;
    return hash;
}
static inline uint32_t mc_word_hash(mc_str word)
{
    return mc_word_hash_more(MC_WORD_HASH_START, word.data, word.len);
}

/* The token is this word. */
static inline bool mc_token_is(const struct mc_token *token, const char *word)
{
    /* The first letter tells most words apart. */
    if (token->folded.len == 0 || token->folded.data[0] != word[0])
        return false;
    size_t len = strlen(word);
    return token->folded.len == len && memcmp(token->folded.data, word, len) == 0;
}

#endif
