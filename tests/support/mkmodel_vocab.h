/*
 * A made-up tokenizer for models of random weights: SentencePiece with bytes, so that any text can be
 * tokenized, ASCII, pieces of JSON, beginnings of common words, then of words made of syllables, as many
 * as asked for. A piece can be reached from its parts, so lengths of tokens in English text are about those of
 * a trained tokenizer of that size.
 */
#ifndef MC_TESTS_MKMODEL_VOCAB_H
#define MC_TESTS_MKMODEL_VOCAB_H

#include <stddef.h>
#include <stdint.h>

#define MKMODEL_TOKENS_MIN 400
#define MKMODEL_TOKENS_MAX 200000
#define MKMODEL_TOKEN_BYTES 32 /* of the longest, with its NUL */

enum mkmodel_special { /* the first tokens */
                       MKMODEL_UNKNOWN,
                       MKMODEL_BEGIN,
                       MKMODEL_END,
                       MKMODEL_TURN_START,
                       MKMODEL_TURN_END,
                       MKMODEL_FIRST_BYTE
};

struct mkmodel_vocab {
    char (*text)[MKMODEL_TOKEN_BYTES];
    float *scores;
    int32_t *types; /* of llama.cpp: 1 normal, 2 unknown, 3 control, 6 byte */
    size_t count;
    size_t capacity;
    uint32_t *slots; /* hash table over text: index + 1 */
    size_t slot_mask;
};

/* Fills *vocab with `count` tokens, or ends the program when out of memory. */
void mkmodel_vocab_make(struct mkmodel_vocab *vocab, size_t count, uint64_t *random);
void mkmodel_vocab_free(struct mkmodel_vocab *vocab);

/* The next of a sequence of random numbers. */
uint64_t mkmodel_random(uint64_t *state);

/* The most frequent first; ends with NULL. */
extern const char *const mkmodel_words[];

#endif
