/* Strings by value (mc_str of <mindcore/types.h>). Pure functions. */
#ifndef MC_BASE_STR_H
#define MC_BASE_STR_H

#include <mindcore/types.h>

#define MC_STR(literal) ((mc_str){"" literal, sizeof(literal) - 1})
#define MC_STR_NONE ((mc_str){NULL, 0})
/* For printf: "%.*s", MC_STR_ARG(str). */
#define MC_STR_ARG(str) (int)(str).len, (str).data ? (str).data : ""

static inline bool mc_str_given(mc_str str)
{
    return str.data != NULL;
}
bool mc_str_equal(mc_str a, mc_str b);
/* ASCII case ignored. */
bool mc_str_equal_nocase(mc_str a, mc_str b);
bool mc_str_starts(mc_str str, mc_str prefix);
bool mc_str_ends(mc_str str, mc_str suffix);
/* Without ASCII white space at both ends. */
mc_str mc_str_trim(mc_str str);
/* Splits at the first separator: true, head before it and *rest after; false when *rest is used up (the last head is returned with true). */
bool mc_str_split(mc_str *rest, char separator, mc_str *head);
/* Decimal integer of the whole string; false for anything else or overflow. */
bool mc_str_to_int64(mc_str str, int64_t *value);
/* Finite decimal number of the whole string, "C" locale. */
bool mc_str_to_double(mc_str str, double *value);
/* The value of a hexadecimal digit; -1 for another character. */
int mc_hex_digit(char c);
/* A NUL-terminated copy that the caller frees with free(); NULL when out of memory. */
char *mc_str_dup(mc_str str);
/* 64-bit hash (seeded per process where the input is foreign: see mc_map), and a stable one (FNV-1a). */
uint64_t mc_str_hash(mc_str str);

#endif
