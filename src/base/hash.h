/*
 * A hash that nobody can find two inputs for: BLAKE2b with 32 bytes (RFC 7693; home of libsodium). For
 * telling whether contents are the same; not for passwords. Pure, any thread.
 */
#ifndef MC_BASE_HASH_H
#define MC_BASE_HASH_H

#include <mindcore/types.h>

#define MC_HASH_BYTES 32

/*
 * The hash of a sequence of texts; ("ab", "c") and ("a", "bc") differ. The same on every machine of the same byte order, and in every version.
 */
void mc_hash_of(const mc_str *parts, size_t count, unsigned char hash[MC_HASH_BYTES]);
/* Whether both are the same; takes the same time wherever they differ. */
bool mc_hash_equal(const void *a, const void *b, size_t len);

#endif
