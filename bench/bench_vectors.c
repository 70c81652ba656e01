/*
 * Searching 10,000 vectors of 384 numbers, exactly, by each kind of processor code; beside it how long reading the
 * same bytes takes, so that results of different machines can be compared.
 *
 *     bench_vectors [COUNT [DIMENSION]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "vector/dot.h"
#include "vector/vector.h"

#define ROUNDS 200
#define LIMIT 100

static uint64_t state = 88172645463325252U;

static float uniform(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (float)((double)(state >> 11) / (double)(UINT64_C(1) << 53) * 2 - 1);
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double median(int64_t *times)
{
    qsort(times, ROUNDS, sizeof(*times), by_time);
    return (double)times[ROUNDS / 2];
}

static double read_time(const struct mc_vectors *v)
{
    int64_t times[ROUNDS];
    const uint64_t *words = (const uint64_t *)(const void *)v->codes;
    size_t count = v->count * v->stride / sizeof(*words);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = mc_time_monotonic_us();
        uint64_t sums[8] = {0};
        for (size_t i = 0; i + 8 <= count; i += 8)
            for (size_t k = 0; k < 8; k++)
                sums[k] += words[i + k];
        __asm__ volatile("" : : "r"(sums) : "memory");
        times[round] = mc_time_monotonic_us() - start;
    }
    return median(times);
}

static double copy_time(const struct mc_vectors *v, void *into)
{
    int64_t times[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = mc_time_monotonic_us();
        memcpy(into, v->codes, v->count * v->stride);
        __asm__ volatile("" : : "r"(into) : "memory");
        times[round] = mc_time_monotonic_us() - start;
    }
    return median(times);
}

static double dot_time(const struct mc_vectors *v, enum mc_dot_kind kind, const int8_t *query,
                       int32_t *dots)
{
    int64_t times[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = mc_time_monotonic_us();
        mc_dot_rows(kind, v->codes, v->stride, v->count, query, dots);
        times[round] = mc_time_monotonic_us() - start;
    }
    return median(times);
}

static double nearest_time(const struct mc_vectors *v, const float *query)
{
    int64_t times[ROUNDS];
    struct mc_near found[LIMIT];
    struct mc_nearness near = {.items = found};
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = mc_time_monotonic_us();
        if (!mc_vectors_nearest(v, query, LIMIT, NULL, NULL, &near))
            exit(1);
        times[round] = mc_time_monotonic_us() - start;
    }
    return median(times);
}

int main(int argc, char **argv)
{
    size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000;
    size_t dimension = argc > 2 ? strtoul(argv[2], NULL, 10) : 384;
    if (count == 0 || dimension == 0 || dimension > MC_VECTOR_DIMENSION_MAX)
        return 1;
    struct mc_vectors vectors;
    float *values = calloc(dimension, sizeof(*values));
    int16_t *packed = calloc(dimension, sizeof(*packed));
    mc_vectors_init(&vectors, dimension);
    int64_t adding = 0;
    for (size_t i = 0; i < count; i++) {
        float scale;
        for (size_t k = 0; k < dimension; k++)
            values[k] = uniform();
        (void)mc_vector_normalise(values, dimension);
        mc_vector_pack(values, dimension, packed, &scale);
        int64_t start = mc_time_monotonic_us();
        if (!mc_vectors_add(&vectors, packed, scale))
            return 1;
        adding += mc_time_monotonic_us() - start;
    }
    size_t bytes = count * vectors.stride;
    int8_t *query = aligned_alloc(MC_DOT_ALIGN, vectors.stride);
    int32_t *dots = calloc(count, sizeof(*dots));
    void *into = malloc(bytes);
    memcpy(query, vectors.codes, vectors.stride);
    double reading = read_time(&vectors), copying = copy_time(&vectors, into);
    printf("%zu vectors of %zu numbers, %.1f MB of 8-bit codes; added in %.1f ms\n", count,
           dimension, (double)bytes / 1e6, (double)adding / 1e3);
    printf("%-28s %8.0f us  %5.1f GB/s\n", "reading them", reading, (double)bytes / reading / 1e3);
    printf("%-28s %8.0f us  %5.1f GB/s\n", "memcpy", copying, (double)bytes / copying / 1e3);
    for (int kind = 0; kind < MC_DOT_KINDS; kind++) {
        if (!mc_dot_available((enum mc_dot_kind)kind))
            continue;
        double took = dot_time(&vectors, (enum mc_dot_kind)kind, query, dots);
        printf("dot products, %-14s %8.0f us  %5.1f GB/s  %.2f of reading\n",
               mc_dot_name((enum mc_dot_kind)kind), took, (double)bytes / took / 1e3,
               took / reading);
    }
    double whole = nearest_time(&vectors, values);
    printf("the %d nearest, rescored      %8.0f us  %5.1f GB/s  %.2f of reading\n", LIMIT, whole,
           (double)bytes / whole / 1e3, whole / reading);
    mc_vectors_fini(&vectors);
    free(values);
    free(packed);
    free(query);
    free(dots);
    free(into);
    return 0;
}
