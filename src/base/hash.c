#include "base/hash.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Chooses the fastest code for this processor. It only fails where the kernel has no random numbers. */
static void start(void)
{
    if (sodium_init() < 0)
        abort();
}

void mc_hash_of(const mc_str *parts, size_t count, unsigned char hash[MC_HASH_BYTES])
{
    pthread_once(&once, start);
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, MC_HASH_BYTES);
    for (size_t i = 0; i < count; i++) {
        uint64_t len = parts[i].len; /* in front of each part, so that none can run into the next */
        crypto_generichash_update(&state, (const unsigned char *)&len, sizeof(len));
        if (len > 0)
            crypto_generichash_update(&state, (const unsigned char *)parts[i].data, len);
    }
    crypto_generichash_final(&state, hash, MC_HASH_BYTES);
}

bool mc_hash_equal(const void *a, const void *b, size_t len)
{
    return sodium_memcmp(a, b, len) == 0;
}
