/* See base/str.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/str.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

/* Longest text of a number that mc_str_to_double reads. */
#define NUMBER_MAX 511

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}
static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool mc_str_equal(mc_str a, mc_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool mc_str_equal_nocase(mc_str a, mc_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    }
    return true;
}

bool mc_str_starts(mc_str str, mc_str prefix)
{
    return str.len >= prefix.len && mc_str_equal((mc_str){str.data, prefix.len}, prefix);
}

bool mc_str_ends(mc_str str, mc_str suffix)
{
    if (suffix.len == 0)
        return true;
    return str.len >= suffix.len &&
           memcmp(str.data + (str.len - suffix.len), suffix.data, suffix.len) == 0;
}

mc_str mc_str_trim(mc_str str)
{
    while (str.len > 0 && is_space(str.data[str.len - 1]))
        str.len--;
    while (str.len > 0 && is_space(str.data[0])) {
        str.data++;
        str.len--;
    }
    return str;
}

bool mc_str_split(mc_str *rest, char separator, mc_str *head)
{
    if (!rest->data)
        return false;
    const char *at = rest->len ? memchr(rest->data, separator, rest->len) : NULL;
    if (!at) {
        *head = *rest;
        *rest = MC_STR_NONE;
        return true;
    }
    size_t before = (size_t)(at - rest->data);
    *head = (mc_str){rest->data, before};
    *rest = (mc_str){at + 1, rest->len - before - 1};
    return true;
}

bool mc_str_to_int64(mc_str str, int64_t *value)
{
    bool negative = str.len > 0 && str.data[0] == '-';
    int64_t sum = 0;
    size_t i = negative ? 1 : 0;
    if (i == str.len)
        return false;
    for (; i < str.len; i++) {
        if (!is_digit(str.data[i]))
            return false;
        int digit = str.data[i] - '0';
        if (__builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_add_overflow(sum, negative ? -digit : digit, &sum))
            return false;
    }
    *value = sum;
    return true;
}

static size_t skip_digits(mc_str str, size_t i)
{
    while (i < str.len && is_digit(str.data[i]))
        i++;
    return i;
}

/* Sign, digits with at most one point, exponent: keeps out what strtod reads beside (hex, inf,
 * nan). */
static bool is_decimal(mc_str str)
{
    size_t i = str.len > 0 && (str.data[0] == '-' || str.data[0] == '+') ? 1 : 0;
    size_t end = skip_digits(str, i);
    size_t digits = end - i;
    if (end < str.len && str.data[end] == '.') {
        i = end + 1;
        end = skip_digits(str, i);
        digits += end - i;
    }
    if (digits == 0)
        return false;
    if (end < str.len && (str.data[end] == 'e' || str.data[end] == 'E')) {
        i = end + 1;
        if (i < str.len && (str.data[i] == '-' || str.data[i] == '+'))
            i++;
        end = skip_digits(str, i);
        if (end == i)
            return false;
    }
    return end == str.len;
}

static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;
static locale_t c_locale;

static void c_locale_make(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

bool mc_str_to_double(mc_str str, double *value)
{
    char text[NUMBER_MAX + 1];
    if (str.len > NUMBER_MAX || !is_decimal(str))
        return false;
    pthread_once(&c_locale_once, c_locale_make);
    if (c_locale == (locale_t)0)
        return false;
    memcpy(text, str.data, str.len);
    text[str.len] = '\0';
    double number = strtod_l(text, NULL, c_locale);
    if (!isfinite(number))
        return false;
    *value = number;
    return true;
}

int mc_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

char *mc_str_dup(mc_str str)
{
    char *copy = str.len < SIZE_MAX ? malloc(str.len + 1) : NULL;
    if (!copy)
        return NULL;
    if (str.len > 0)
        memcpy(copy, str.data, str.len);
    copy[str.len] = '\0';
    return copy;
}

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
uint64_t mc_str_hash(mc_str str)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < str.len; i++)
        hash = (hash ^ (unsigned char)str.data[i]) * UINT64_C(0x100000001b3);
    return hash;
}
