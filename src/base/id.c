/*
 * See base/id.h. The 48 bits of milliseconds and the 12 bits of rand_a are one clock in steps of
 * 1/4096 ms (RFC 9562, section 6.2, method 3). The process gives out each step once and goes ahead
 * of the clock when it is asked faster than that, hence ids are unique within it and rise strictly.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/id.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

#define STEPS_PER_MS 4096
#define STEP_MAX ((UINT64_C(1) << 60) - 1)

static _Atomic uint64_t last_step;

void mc_random_bytes(void *bytes, size_t len)
{
    unsigned char *at = bytes;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort(); /* no kernel that we run on does this; predictable bytes would be worse */
        at += got;
        len -= (size_t)got;
    }
}

static uint64_t next_step(int64_t now_us)
{
    uint64_t us = now_us > 0 ? (uint64_t)now_us : 0;
    uint64_t step = us / 1000 * STEPS_PER_MS + us % 1000 * STEPS_PER_MS / 1000;
    uint64_t last = atomic_load_explicit(&last_step, memory_order_relaxed);
    uint64_t next;
    do
        next = step > last ? step : last + 1;
    while (!atomic_compare_exchange_weak_explicit(&last_step, &last, next, memory_order_relaxed,
                                                  memory_order_relaxed));
    return next & STEP_MAX;
}

void mc_id_new(const char prefix[4], int64_t now_us, char text[MC_ID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t step = next_step(now_us);
    uint64_t random;
    mc_random_bytes(&random, sizeof(random));
    /* Version 7 between the milliseconds and rand_a; variant 2 on top of the random half. */
    uint64_t halves[2] = {step / STEPS_PER_MS << 16 | 0x7000U | step % STEPS_PER_MS,
                          (random & (UINT64_MAX >> 2)) | UINT64_C(1) << 63};
    memcpy(text, prefix, 4);
    for (size_t i = 0; i < 32; i++)
        text[4 + i] = digits[halves[i / 16] >> (60 - i % 16 * 4) & 0xF];
    text[MC_ID_TEXT_SIZE - 1] = '\0';
}
