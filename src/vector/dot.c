#include "vector/dot.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define X86(run) run
#define ARM(run) NULL
#elif defined(__aarch64__)
#include <arm_neon.h>
#define X86(run) NULL
#define ARM(run) run
#else
#define X86(run) NULL
#define ARM(run) NULL
#endif

typedef void (*dot_fn)(const int8_t *rows, size_t length, size_t count, const int8_t *query,
                       int32_t *dots);

static void dot_portable(const int8_t *rows, size_t length, size_t count, const int8_t *query,
                         int32_t *dots)
{
    for (size_t row = 0; row < count; row++, rows += length) {
        int32_t sum = 0;
        for (size_t i = 0; i < length; i++)
            sum += rows[i] * query[i];
        dots[row] = sum;
    }
}

#if defined(__x86_64__)

__attribute__((target("avx2"))) static int32_t sum_avx2(__m256i lanes)
{
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1));
    return _mm_cvtsi128_si32(four);
}

__attribute__((target("avx2"))) static void dot_avx2(const int8_t *rows, size_t length,
                                                     size_t count, const int8_t *query,
                                                     int32_t *dots)
{
    for (size_t row = 0; row < count; row++, rows += length) {
        __m256i low = _mm256_setzero_si256(), high = _mm256_setzero_si256();
        for (size_t i = 0; i < length; i += 32) {
            const __m128i *a = (const void *)(rows + i), *b = (const void *)(query + i);
            low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_cvtepi8_epi16(_mm_load_si128(a)),
                                                          _mm256_cvtepi8_epi16(_mm_load_si128(b))));
            high = _mm256_add_epi32(high,
                                    _mm256_madd_epi16(_mm256_cvtepi8_epi16(_mm_load_si128(a + 1)),
                                                      _mm256_cvtepi8_epi16(_mm_load_si128(b + 1))));
        }
        dots[row] = sum_avx2(_mm256_add_epi32(low, high));
    }
}

/* The instruction multiplies unsigned by signed bytes: rows are raised by 128, which is taken off at the end. */
__attribute__((target("avx512f,avx512bw,avx512vnni"))) static void dot_vnni(
    const int8_t *rows, size_t length, size_t count, const int8_t *query, int32_t *dots)
{
    const __m512i raise = _mm512_set1_epi8((char)0x80);
    int32_t raised = 0;
    for (size_t i = 0; i < length; i++)
        raised += 128 * query[i];
    for (size_t row = 0; row < count; row++, rows += length) {
        __m512i sum = _mm512_setzero_si512();
        for (size_t i = 0; i < length; i += 64)
            sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(_mm512_load_si512(rows + i), raise),
                                      _mm512_load_si512(query + i));
        dots[row] = _mm512_reduce_add_epi32(sum) - raised;
    }
}

#elif defined(__aarch64__)

static void dot_neon(const int8_t *rows, size_t length, size_t count, const int8_t *query,
                     int32_t *dots)
{
    for (size_t row = 0; row < count; row++, rows += length) {
        int32x4_t low = vdupq_n_s32(0), high = vdupq_n_s32(0);
        for (size_t i = 0; i < length; i += 16) {
            int8x16_t a = vld1q_s8(rows + i), b = vld1q_s8(query + i);
            low = vpadalq_s16(low, vmull_s8(vget_low_s8(a), vget_low_s8(b)));
            high = vpadalq_s16(high, vmull_high_s8(a, b));
        }
        dots[row] = vaddvq_s32(vaddq_s32(low, high));
    }
}

#endif

static const struct {
    const char *name;
    dot_fn run; /* NULL: not of this kind of processor */
} KINDS[MC_DOT_KINDS] = {
    [MC_DOT_PORTABLE] = {"portable", dot_portable},
    [MC_DOT_AVX2] = {"avx2", X86(dot_avx2)},
    [MC_DOT_VNNI] = {"avx512-vnni", X86(dot_vnni)},
    [MC_DOT_NEON] = {"neon", ARM(dot_neon)},
};

const char *mc_dot_name(enum mc_dot_kind kind)
{
    return (unsigned)kind < MC_DOT_KINDS ? KINDS[kind].name : "";
}

bool mc_dot_available(enum mc_dot_kind kind)
{
    if ((unsigned)kind >= MC_DOT_KINDS || !KINDS[kind].run)
        return false;
#if defined(__x86_64__)
    if (kind == MC_DOT_AVX2)
        return __builtin_cpu_supports("avx2");
    if (kind == MC_DOT_VNNI)
        return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni");
#endif
    return true;
}

enum mc_dot_kind mc_dot_best(void)
{
    static const enum mc_dot_kind FASTEST_FIRST[] = {MC_DOT_VNNI, MC_DOT_AVX2, MC_DOT_NEON};
    for (size_t i = 0; i < sizeof(FASTEST_FIRST) / sizeof(*FASTEST_FIRST); i++) {
        if (mc_dot_available(FASTEST_FIRST[i]))
            return FASTEST_FIRST[i];
    }
    return MC_DOT_PORTABLE;
}

void mc_dot_rows(enum mc_dot_kind kind, const int8_t *rows, size_t length, size_t count,
                 const int8_t *query, int32_t *dots)
{
    KINDS[kind].run(rows, length, count, query, dots);
}
