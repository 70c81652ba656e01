/*
 * Dot products of 8-bit vectors, many rows with one query: the inner loop of searching vectors. Each kind of
 * processor has its own code, and all give exactly the same numbers. Pure.
 */
#ifndef MC_VECTOR_DOT_H
#define MC_VECTOR_DOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows are padded with zeros to a multiple of this, and begin at an address that is one. */
#define MC_DOT_ALIGN 64
/* The longest row: sums of products stay within 32 bits. */
#define MC_DOT_LENGTH_MAX 65536

enum mc_dot_kind { MC_DOT_PORTABLE, MC_DOT_AVX2, MC_DOT_VNNI, MC_DOT_NEON, MC_DOT_KINDS };

const char *mc_dot_name(enum mc_dot_kind kind);
/* Whether this processor runs it. */
bool mc_dot_available(enum mc_dot_kind kind);
/* The fastest that it runs. */
enum mc_dot_kind mc_dot_best(void);

/* dots[i] = row i times query, for rows of `length` (a multiple of MC_DOT_ALIGN), one behind the other. Values are -127..127. */
void mc_dot_rows(enum mc_dot_kind kind, const int8_t *rows, size_t length, size_t count,
                 const int8_t *query, int32_t *dots);

#endif
