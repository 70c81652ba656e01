/*
 * Identifiers: "msg_" and 32 hexadecimal digits of a UUID version 7 (RFC 9562), monotonic within a
 * process, so that later ids sort later. Thread-safe.
 */
#ifndef MC_BASE_ID_H
#define MC_BASE_ID_H

#include <mindcore/types.h>

#define MC_ID_TEXT_SIZE 37 /* "msg_" + 32 + NUL */
void mc_id_new(const char prefix[4], int64_t now_us, char text[MC_ID_TEXT_SIZE]);

/* Fills bytes from the kernel's generator; never fails on Linux 3.17 and later. */
void mc_random_bytes(void *bytes, size_t len);

#endif
