/* Vectors: the dot products of every kind of processor, storing, finding the nearest. */
#include "tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vector/dot.h"
#include "vector/vector.h"

static uint64_t state = 88172645463325252U;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static float uniform(void)
{
    return (float)((double)(next() >> 11) / (double)(UINT64_C(1) << 53) * 2 - 1);
}

/* A random vector of length 1, about normally distributed. */
static void random_vector(float *values, size_t dimension)
{
    for (size_t i = 0; i < dimension; i++)
        values[i] = uniform() + uniform() + uniform();
    ok(mc_vector_normalise(values, dimension), "a random vector has a length");
}

static double exact(const float *a, const float *b, size_t dimension)
{
    double sum = 0;
    for (size_t i = 0; i < dimension; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* ---- Dot products ---- */

#define ROWS 37

static void kinds_agree(size_t length, int extreme)
{
    int8_t *rows = aligned_alloc(MC_DOT_ALIGN, ROWS * length);
    int8_t *query = aligned_alloc(MC_DOT_ALIGN, length);
    int32_t expected[ROWS], got[ROWS];
    for (size_t i = 0; i < ROWS * length; i++)
        rows[i] = (int8_t)(extreme ? (next() & 1 ? 127 : -127) : (int)(next() % 255) - 127);
    for (size_t i = 0; i < length; i++)
        query[i] = (int8_t)(extreme ? 127 : (int)(next() % 255) - 127);
    for (size_t row = 0; row < ROWS; row++) {
        int64_t sum = 0;
        for (size_t i = 0; i < length; i++)
            sum += (int64_t)rows[row * length + i] * query[i];
        expected[row] = (int32_t)sum;
    }
    for (int kind = 0; kind < MC_DOT_KINDS; kind++) {
        if (!mc_dot_available((enum mc_dot_kind)kind)) {
            diag("%s: not on this processor", mc_dot_name((enum mc_dot_kind)kind));
            continue;
        }
        memset(got, 0x55, sizeof(got));
        mc_dot_rows((enum mc_dot_kind)kind, rows, length, ROWS, query, got);
        ok(memcmp(got, expected, sizeof(got)) == 0, "%s, %zu numbers%s",
           mc_dot_name((enum mc_dot_kind)kind), length, extreme ? ", extremes" : "");
    }
    free(rows);
    free(query);
}

static void dots(void)
{
    static const size_t LENGTHS[] = {64, 128, 384, 448, 1536, 8192};
    for (size_t i = 0; i < sizeof(LENGTHS) / sizeof(*LENGTHS); i++) {
        kinds_agree(LENGTHS[i], 0);
        kinds_agree(LENGTHS[i], 1);
    }
    ok(mc_dot_available(MC_DOT_PORTABLE), "the portable one is everywhere");
    ok(mc_dot_available(mc_dot_best()), "the best one runs here");
    ok(!mc_dot_available((enum mc_dot_kind)MC_DOT_KINDS), "no kind behind the last");
}

/* ---- Storing ---- */

#define DIMENSION 384

static void storing(void)
{
    float a[DIMENSION], b[DIMENSION];
    int16_t packed[DIMENSION];
    double worst = 0;
    for (int i = 0; i < 50; i++) {
        float scale;
        random_vector(a, DIMENSION);
        random_vector(b, DIMENSION);
        mc_vector_pack(b, DIMENSION, packed, &scale);
        double off =
            fabs((double)mc_vector_dot(a, packed, scale, DIMENSION) - exact(a, b, DIMENSION));
        worst = off > worst ? off : worst;
    }
    diag("largest error of a dot product of 16 bits: %g", worst);
    ok(worst < 1e-5, "dot products are off by less than 1e-5");
    float odd[5] = {0, 0, -3, 0, 4};
    ok(mc_vector_normalise(odd, 5), "normalised");
    ok(fabsf(odd[2] + 0.6F) < 1e-6F && fabsf(odd[4] - 0.8F) < 1e-6F, "to length 1");
    float nothing[3] = {0, 0, 0}, wild[2] = {1, NAN}, large[2] = {INFINITY, 1};
    ok(!mc_vector_normalise(nothing, 3) && nothing[0] == 0, "zeros have no direction");
    ok(!mc_vector_normalise(wild, 2) && !mc_vector_normalise(large, 2), "nor what is not finite");
    float scale;
    mc_vector_pack(nothing, 3, packed, &scale);
    ok(packed[0] == 0 && scale == 0, "zeros are stored as zeros");
}

/* ---- The nearest ---- */

#define COUNT 1000
#define NEAREST 20

static bool even(const void *context, size_t index)
{
    (void)context;
    return index % 2 == 0;
}

struct ranked {
    size_t index;
    double score;
};

static int by_score(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return x->score > y->score ? -1 : x->score < y->score;
}

static void nearest(size_t dimension)
{
    struct mc_vectors vectors;
    float query[600], one[600];
    int16_t packed[600];
    struct ranked all[COUNT];
    struct mc_near found[NEAREST];
    mc_vectors_init(&vectors, dimension);
    random_vector(query, dimension);
    double sum = 0;
    bool added = true;
    for (size_t i = 0; i < COUNT; i++) {
        float scale;
        for (size_t k = 0; k < dimension; k++)
            one[k] = uniform() + (i % 50 == 7 ? 4 * query[k] : 0);
        (void)mc_vector_normalise(one, dimension);
        mc_vector_pack(one, dimension, packed, &scale);
        added = added && mc_vectors_add(&vectors, packed, scale);
        all[i] = (struct ranked){i, exact(query, one, dimension)};
        sum += all[i].score;
    }
    ok(added && vectors.count == COUNT, "%zu numbers: all added", dimension);
    qsort(all, COUNT, sizeof(*all), by_score);
    struct mc_nearness near = {.items = found};
    ok(mc_vectors_nearest(&vectors, query, NEAREST, NULL, NULL, &near), "searched");
    is_int((int)near.count, NEAREST, "so many");
    bool same = true;
    for (size_t i = 0; i < near.count; i++)
        same = same && fabs((double)found[i].score - all[i].score) < 2e-5 &&
               (found[i].index == all[i].index || all[i].score - all[i + 1].score < 2e-5 ||
                (i > 0 && all[i - 1].score - all[i].score < 2e-5));
    ok(same, "exactly the nearest, in their order");
    is_int((int)near.compared, COUNT, "all compared");
    ok(fabs((double)near.mean - sum / COUNT) < 2e-3, "the mean of all");
    ok(mc_vectors_nearest(&vectors, query, NEAREST, even, NULL, &near), "filtered");
    bool all_even = near.count == NEAREST;
    for (size_t i = 0; i < near.count; i++)
        all_even = all_even && found[i].index % 2 == 0;
    ok(all_even, "only what is taken");
    is_int((int)near.compared, COUNT / 2, "or counted");
    float scale;
    mc_vector_pack(query, dimension, packed, &scale);
    mc_vectors_set(&vectors, 500, packed, scale);
    ok(mc_vectors_nearest(&vectors, query, 1, NULL, NULL, &near), "one");
    ok(near.count == 1 && found[0].index == 500 && found[0].score > 0.9999F,
       "a vector put in place");
    ok(mc_vectors_bytes(&vectors) >= COUNT * dimension * 3, "its size");
    mc_vectors_fini(&vectors);
    ok(mc_vectors_nearest(&vectors, query, 5, NULL, NULL, &near) && near.count == 0,
       "nothing among none");
}

int main(void)
{
    dots();
    storing();
    nearest(384);
    nearest(100);
    nearest(7);
    return done_testing();
}
