#include "vector/vector.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vector/dot.h"

#define PACKED_MAX 32767.0F
#define CODE_MAX 127.0F
/* A code is packed * 127 / 32768, rounded. */
#define CODE_SHIFT 15
#define CODE_HALF (1 << (CODE_SHIFT - 1))
/* Rows whose dot products are made at once: what stays in the first cache. */
#define BLOCK 256
/* So many times the limit are scored again, so that rounding to 8 bits loses none of the best. */
#define AGAIN 2
#define LANES 8

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "vectors are stored as they are");

bool mc_vector_normalise(float *values, size_t dimension)
{
    double sum = 0;
    for (size_t i = 0; i < dimension; i++)
        sum += (double)values[i] * (double)values[i];
    double length = sqrt(sum);
    if (!isfinite(length) || length < 1e-30)
        return false;
    for (size_t i = 0; i < dimension; i++)
        values[i] = (float)((double)values[i] / length);
    return true;
}

static float largest(const float *values, size_t dimension)
{
    float most = 0;
    for (size_t i = 0; i < dimension; i++)
        most = fmaxf(most, fabsf(values[i]));
    return most;
}

void mc_vector_pack(const float *values, size_t dimension, int16_t *packed, float *scale)
{
    float most = largest(values, dimension);
    float factor = most > 0 ? PACKED_MAX / most : 0;
    for (size_t i = 0; i < dimension; i++)
        packed[i] = (int16_t)lrintf(values[i] * factor);
    *scale = most / PACKED_MAX;
}

/* Sums in lanes, so that a compiler may use wide registers; the order is the same everywhere. */
float mc_vector_dot(const float *query, const int16_t *packed, float scale, size_t dimension)
{
    float lanes[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= dimension; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            lanes[lane] += query[i + lane] * (float)packed[i + lane];
    for (; i < dimension; i++)
        sum += query[i] * (float)packed[i];
    for (size_t lane = 0; lane < LANES; lane++)
        sum += lanes[lane];
    return sum * scale;
}

/* ---- Many ---- */

void mc_vectors_init(struct mc_vectors *vectors, size_t dimension)
{
    *vectors = (struct mc_vectors){
        .dimension = dimension,
        .stride = (dimension + MC_DOT_ALIGN - 1) / MC_DOT_ALIGN * MC_DOT_ALIGN,
    };
}

void mc_vectors_fini(struct mc_vectors *vectors)
{
    free(vectors->codes);
    free(vectors->packed);
    free(vectors->scales);
    mc_vectors_init(vectors, vectors->dimension);
}

static bool grow(struct mc_vectors *v)
{
    size_t capacity = v->capacity > 0 ? v->capacity + v->capacity / 2 : 16;
    int8_t *codes = aligned_alloc(MC_DOT_ALIGN, capacity * v->stride);
    if (!codes)
        return false;
    if (v->count > 0)
        memcpy(codes, v->codes, v->count * v->stride);
    free(v->codes);
    v->codes = codes;
    int16_t *packed = realloc(v->packed, capacity * v->dimension * sizeof(*packed));
    if (packed)
        v->packed = packed;
    float *scales = packed ? realloc(v->scales, capacity * sizeof(*scales)) : NULL;
    if (!scales)
        return false;
    v->scales = scales;
    v->capacity = capacity;
    return true;
}

void mc_vectors_set(struct mc_vectors *v, size_t index, const int16_t *packed, float scale)
{
    int8_t *codes = v->codes + index * v->stride;
    for (size_t i = 0; i < v->dimension; i++)
        codes[i] = (int8_t)((packed[i] * 127 + CODE_HALF) >> CODE_SHIFT);
    memset(codes + v->dimension, 0, v->stride - v->dimension);
    memcpy(v->packed + index * v->dimension, packed, v->dimension * sizeof(*packed));
    v->scales[index] = scale;
}

bool mc_vectors_add(struct mc_vectors *v, const int16_t *packed, float scale)
{
    if (v->count == v->capacity && !grow(v))
        return false;
    mc_vectors_set(v, v->count++, packed, scale);
    return true;
}

size_t mc_vectors_bytes(const struct mc_vectors *v)
{
    return v->capacity * (v->stride + v->dimension * sizeof(*v->packed) + sizeof(*v->scales));
}

/* ---- The nearest ---- */

/* A comes after b. */
static bool worse(struct mc_near a, struct mc_near b)
{
    if (a.score < b.score || a.score > b.score)
        return a.score < b.score;
    return a.index > b.index;
}

static int best_first(const void *a, const void *b)
{
    const struct mc_near *x = a, *y = b;
    return worse(*x, *y) ? 1 : -1;
}

/* Restores the heap, whose root is the worst, below place i. */
static void sift_down(struct mc_near *heap, size_t count, size_t i)
{
    struct mc_near moving = heap[i];
    for (size_t child; (child = 2 * i + 1) < count; i = child) {
        if (child + 1 < count && worse(heap[child + 1], heap[child]))
            child++;
        if (!worse(heap[child], moving))
            break;
        heap[i] = heap[child];
    }
    heap[i] = moving;
}

static void offer(struct mc_near *heap, size_t *count, size_t limit, struct mc_near one)
{
    if (*count < limit) {
        heap[(*count)++] = one;
        for (size_t k = *count == limit ? limit / 2 : 0; k > 0; k--)
            sift_down(heap, limit, k - 1);
    } else if (worse(heap[0], one)) {
        heap[0] = one;
        sift_down(heap, limit, 0);
    }
}

/* The query in 8 bits; *scale is such that dot product times both scales is that of the vectors. */
static int8_t *code_query(const struct mc_vectors *v, const float *query, float *scale)
{
    int8_t *codes = aligned_alloc(MC_DOT_ALIGN, v->stride);
    float most = largest(query, v->dimension);
    if (!codes)
        return NULL;
    memset(codes, 0, v->stride);
    for (size_t i = 0; most > 0 && i < v->dimension; i++)
        codes[i] = (int8_t)lrintf(query[i] * (CODE_MAX / most));
    *scale = most / CODE_MAX * ((float)(1 << CODE_SHIFT) / CODE_MAX);
    return codes;
}

/* Fills the heap with the nearest `most` by 8 bits, and tells what was compared. */
static size_t scan(const struct mc_vectors *v, const int8_t *codes, float scale, size_t most,
                   mc_vector_take_fn take, const void *context, struct mc_near *heap,
                   struct mc_nearness *found)
{
    int32_t dots[BLOCK];
    enum mc_dot_kind kind = mc_dot_best();
    size_t count = 0;
    double sum = 0;
    for (size_t from = 0; from < v->count; from += BLOCK) {
        size_t rows = v->count - from < BLOCK ? v->count - from : BLOCK;
        mc_dot_rows(kind, v->codes + from * v->stride, v->stride, rows, codes, dots);
        for (size_t i = 0; i < rows; i++) {
            if (take && !take(context, from + i))
                continue;
            struct mc_near one = {from + i, (float)dots[i] * scale * v->scales[from + i]};
            sum += (double)one.score;
            found->compared++;
            offer(heap, &count, most, one);
        }
    }
    if (found->compared > 0)
        found->mean = (float)(sum / (double)found->compared);
    return count;
}

bool mc_vectors_nearest(const struct mc_vectors *v, const float *query, size_t limit,
                        mc_vector_take_fn take, const void *context, struct mc_nearness *found)
{
    *found = (struct mc_nearness){.items = found->items};
    if (v->count == 0 || limit == 0)
        return true;
    float scale;
    int8_t *codes = code_query(v, query, &scale);
    size_t most = limit * AGAIN < v->count ? limit * AGAIN : v->count;
    struct mc_near *heap = malloc(most * sizeof(*heap));
    if (codes && heap) {
        size_t kept = scan(v, codes, scale, most, take, context, heap, found);
        for (size_t i = 0; i < kept; i++) {
            size_t at = heap[i].index;
            heap[i].score =
                mc_vector_dot(query, v->packed + at * v->dimension, v->scales[at], v->dimension);
        }
        qsort(heap, kept, sizeof(*heap), best_first);
        found->count = kept < limit ? kept : limit;
        memcpy(found->items, heap, found->count * sizeof(*heap));
    }
    bool done = codes && heap;
    free(codes);
    free(heap);
    return done;
}
