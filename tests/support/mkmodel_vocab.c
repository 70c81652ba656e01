#include "support/mkmodel_vocab.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPACE "\xE2\x96\x81" /* what SentencePiece writes for a space */

enum token_type { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, BYTE = 6 };

uint64_t mkmodel_random(uint64_t *state)
{
    /* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014. */
    uint64_t x = *state += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory) {
        fputs("mkmodel: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

/* Where the text is in the table, or the empty slot where it would be. */
static uint32_t *slot_of(const struct mkmodel_vocab *vocab, const char *text)
{
    uint64_t hash = 14695981039346656037u;
    for (const char *at = text; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 1099511628211u;
    size_t slot = (size_t)hash & vocab->slot_mask;
    while (vocab->slots[slot] && strcmp(vocab->text[vocab->slots[slot] - 1], text) != 0)
        slot = (slot + 1) & vocab->slot_mask;
    return &vocab->slots[slot];
}

/* Unless it is there, too long, or there is no room. */
static void add(struct mkmodel_vocab *vocab, const char *text, enum token_type type, float score)
{
    size_t len = strlen(text);
    uint32_t *slot = slot_of(vocab, text);
    if (*slot || len == 0 || len >= MKMODEL_TOKEN_BYTES || vocab->count == vocab->capacity)
        return;
    memcpy(vocab->text[vocab->count], text, len + 1);
    vocab->types[vocab->count] = (int32_t)type;
    vocab->scores[vocab->count] = score;
    *slot = (uint32_t)++vocab->count;
}

/* Earlier pieces are joined first. */
static void add_piece(struct mkmodel_vocab *vocab, const char *text)
{
    add(vocab, text, NORMAL, -(float)vocab->count);
}

static void add_basics(struct mkmodel_vocab *vocab)
{
    static const char *const special[] = {"<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"};
    static const char *const pieces[] = {
        SPACE,      "{\"",          "\":",          "\":\"",        "\",",      "\",\"",
        "\"}",      "\":[",         "\":[\"",       "\"]",          "],",       "],\"",
        "\\n",      "\\\"",         "\xC3\xA4",     "\xC3\xB6",     "\xC3\xBC", "\xC3\x9F",
        "\xC3\xA9", "\xE2\x82\xAC", "\xE2\x80\x99", "\xE2\x80\x93",
    };
    for (size_t i = 0; i < MKMODEL_FIRST_BYTE; i++)
        add(vocab, special[i], i == MKMODEL_UNKNOWN ? UNKNOWN : CONTROL, 0);
    char text[8];
    for (unsigned byte = 0; byte < 256; byte++) {
        snprintf(text, sizeof(text), "<0x%02X>", byte);
        add(vocab, text, BYTE, 0);
    }
    /* Single characters have no parts: their scores decide nothing. */
    for (char c = '!'; c <= '~'; c++) {
        snprintf(text, sizeof(text), "%c", c);
        add(vocab, text, NORMAL, -1e6f);
    }
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
        add_piece(vocab, pieces[i]);
}

/* The first `letters` of a word, alone and behind a space; false when it is shorter. */
static bool add_beginning(struct mkmodel_vocab *vocab, const char *word, size_t letters)
{
    if (letters > strlen(word))
        return false;
    char text[MKMODEL_TOKEN_BYTES];
    snprintf(text, sizeof(text), SPACE "%.*s", (int)letters, word);
    add_piece(vocab, text);
    add_piece(vocab, text + strlen(SPACE));
    return true;
}

/* Short beginnings first, so that longer ones can be joined from them. */
static void add_words(struct mkmodel_vocab *vocab)
{
    bool more = true;
    for (size_t letters = 1; more; letters++) {
        more = false;
        for (size_t i = 0; mkmodel_words[i]; i++)
            more |= add_beginning(vocab, mkmodel_words[i], letters);
    }
}

/* A word of one to four syllables, and its beginnings that end with one. */
static void add_invented(struct mkmodel_vocab *vocab, uint64_t *random)
{
    static const char *const onset[] = {"",  "b", "c",  "d",  "f",  "g",  "h",  "l",  "m",  "n",
                                        "p", "r", "s",  "t",  "v",  "w",  "st", "tr", "pl", "ch",
                                        "k", "j", "br", "gr", "sp", "cl", "sh", "qu", "fr", "th"};
    static const char *const nucleus[] = {"a", "e", "i", "o", "u", "ea", "io", "ou", "ai", "y"};
    static const char *const coda[] = {"", "", "", "n", "r", "s", "t", "l", "nt", "st", "m", "ck"};
    char word[MKMODEL_TOKEN_BYTES] = "";
    size_t syllables = 1 + (size_t)(mkmodel_random(random) % 4);
    for (size_t i = 0; i < syllables; i++) {
        uint64_t r = mkmodel_random(random);
        size_t len = strlen(word);
        snprintf(word + len, sizeof(word) - len, "%s%s%s", onset[r % 30], nucleus[r / 30 % 10],
                 coda[r / 300 % 12]);
        size_t letters = strlen(word);
        /* A name is rarer than a word. */
        if (r / 3600 % 16 == 0 && i == 0)
            word[0] = (char)(word[0] - 'a' + 'A');
        if (letters + strlen(SPACE) < MKMODEL_TOKEN_BYTES)
            add_beginning(vocab, word, letters);
    }
}

void mkmodel_vocab_make(struct mkmodel_vocab *vocab, size_t count, uint64_t *random)
{
    size_t slots = 1024;
    while (slots < count * 2)
        slots *= 2;
    *vocab = (struct mkmodel_vocab){
        .text = allocate(count, MKMODEL_TOKEN_BYTES),
        .scores = allocate(count, sizeof(float)),
        .types = allocate(count, sizeof(int32_t)),
        .capacity = count,
        .slots = allocate(slots, sizeof(uint32_t)),
        .slot_mask = slots - 1,
    };
    add_basics(vocab);
    add_words(vocab);
    while (vocab->count < count)
        add_invented(vocab, random);
}

void mkmodel_vocab_free(struct mkmodel_vocab *vocab)
{
    free(vocab->text);
    free(vocab->scores);
    free(vocab->types);
    free(vocab->slots);
}
