/*
 * Vectors of meaning: how they are stored, and finding those that are nearest to one.
 *
 * A vector of length 1 is stored as 16-bit integers with one scale, so that its largest value is 32767. A
 * dot product of two is then off by less than 1e-5 (half floats: 1e-4), for half the bytes of floats.
 * Searching reads one byte of each number, the rounded upper half, and scores the best again with all 16 bits.
 * Pure, but for allocating.
 */
#ifndef MC_VECTOR_VECTOR_H
#define MC_VECTOR_VECTOR_H

#include <mindcore/types.h>

#define MC_VECTOR_DIMENSION_MAX 8192

/* Scales to length 1. False when it cannot: a number that is not finite, or no length. */
bool mc_vector_normalise(float *values, size_t dimension);

/* The stored form: values[i] is about packed[i] * *scale. Little-endian on disk, as in memory. */
void mc_vector_pack(const float *values, size_t dimension, int16_t *packed, float *scale);
/* The dot product with a vector in its stored form. */
float mc_vector_dot(const float *query, const int16_t *packed, float scale, size_t dimension);

/* Vectors of one dimension, to be searched. Not thread-safe while it is changed. */
struct mc_vectors {
    size_t dimension, stride; /* of codes: a multiple of MC_DOT_ALIGN */
    size_t count, capacity;
    int8_t *codes;
    int16_t *packed;
    float *scales;
};
void mc_vectors_init(struct mc_vectors *vectors, size_t dimension);
void mc_vectors_fini(struct mc_vectors *vectors);
/* The packed vector, of the right dimension, at the end or in place of that one. False: out of memory. */
MC_MUST_CHECK bool mc_vectors_add(struct mc_vectors *vectors, const int16_t *packed, float scale);
void mc_vectors_set(struct mc_vectors *vectors, size_t index, const int16_t *packed, float scale);
/* What it holds, in bytes. */
size_t mc_vectors_bytes(const struct mc_vectors *vectors);

struct mc_near {
    size_t index;
    float score; /* dot product */
};
struct mc_nearness {
    struct mc_near *items; /* the caller's, room for limit */
    size_t count;
    size_t compared;
    float mean; /* score of all that were compared */
};
/*
 * The nearest `limit` of those that `take` (NULL: all) takes, best first, equal ones in order of their index. False: out
 * of memory.
 */
typedef bool (*mc_vector_take_fn)(const void *context, size_t index);
MC_MUST_CHECK bool mc_vectors_nearest(const struct mc_vectors *vectors, const float *query,
                                      size_t limit, mc_vector_take_fn take, const void *context,
                                      struct mc_nearness *found);

#endif
