/*
 * See base/map.h. Linear probing at most three quarters full; removal shifts the followers back, so
 * that there are no tombstones. The hash is SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast
 * short-input PRF", 2012) under a key drawn once for the process.
 */
#include "base/map.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/id.h"
#include "base/str.h"

#define CAPACITY_MIN ((size_t)16)

struct mc_map_slot {
    uint64_t hash;
    mc_str key; /* data NULL: the slot is free */
    void *value;
};

static pthread_once_t seed_once = PTHREAD_ONCE_INIT;
static uint64_t seed[2];

static void seed_make(void)
{
    mc_random_bytes(seed, sizeof(seed));
}

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static void sip_absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

static uint64_t hash_key(mc_str key)
{
    pthread_once(&seed_once, seed_make);
    uint64_t v[4] = {seed[0] ^ UINT64_C(0x736f6d6570736575), seed[1] ^ UINT64_C(0x646f72616e646f6d),
                     seed[0] ^ UINT64_C(0x6c7967656e657261),
                     seed[1] ^ UINT64_C(0x7465646279746573)};
    size_t i = 0;
    uint64_t word;
    for (; key.len - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, key.data + i, sizeof(word));
        sip_absorb(v, word);
    }
    word = 0;
    memcpy(&word, key.data + i, key.len - i);
    sip_absorb(v, word | (uint64_t)key.len << 56);
    v[2] ^= 0xFF;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void mc_map_init(struct mc_map *map)
{
    *map = (struct mc_map){0};
}

void mc_map_fini(struct mc_map *map)
{
    free(map->slots);
    mc_map_init(map);
}

/* The absent key is the empty one. */
static mc_str key_given(mc_str key)
{
    return key.data ? key : MC_STR("");
}

/* The slot that holds the key, or the free one where it would go. The map has slots. */
static size_t find(const struct mc_map *map, mc_str key, uint64_t hash)
{
    size_t mask = map->capacity - 1;
    size_t at = (size_t)hash & mask;
    while (map->slots[at].key.data) {
        const struct mc_map_slot *slot = &map->slots[at];
        if (slot->hash == hash && mc_str_equal(slot->key, key))
            break;
        at = (at + 1) & mask;
    }
    return at;
}

void *mc_map_get(const struct mc_map *map, mc_str key)
{
    if (map->count == 0)
        return NULL;
    key = key_given(key);
    const struct mc_map_slot *slot = &map->slots[find(map, key, hash_key(key))];
    return slot->key.data ? slot->value : NULL;
}

static bool grow(struct mc_map *map)
{
    size_t capacity = map->capacity ? map->capacity * 2 : CAPACITY_MIN;
    if (capacity > SIZE_MAX / sizeof(struct mc_map_slot))
        return false;
    struct mc_map larger = {calloc(capacity, sizeof(struct mc_map_slot)), map->count, capacity};
    if (!larger.slots)
        return false;
    for (size_t i = 0; i < map->capacity; i++) {
        const struct mc_map_slot *slot = &map->slots[i];
        if (slot->key.data)
            larger.slots[find(&larger, slot->key, slot->hash)] = *slot;
    }
    free(map->slots);
    *map = larger;
    return true;
}

bool mc_map_put(struct mc_map *map, mc_str key, void *value)
{
    key = key_given(key);
    uint64_t hash = hash_key(key);
    size_t at = map->capacity ? find(map, key, hash) : 0;
    bool present = map->capacity && map->slots[at].key.data;
    if (!present && map->count + 1 > map->capacity / 4 * 3) {
        if (!grow(map))
            return false;
        at = find(map, key, hash);
    }
    map->slots[at] = (struct mc_map_slot){hash, key, value};
    map->count += present ? 0 : 1;
    return true;
}

/* Moves back each follower that may stand at the hole, that is, whose home is not after it. */
static void close_hole(struct mc_map *map, size_t hole)
{
    size_t mask = map->capacity - 1;
    for (size_t at = (hole + 1) & mask; map->slots[at].key.data; at = (at + 1) & mask) {
        size_t home = (size_t)map->slots[at].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->slots[hole] = map->slots[at];
            hole = at;
        }
    }
    map->slots[hole] = (struct mc_map_slot){0};
}

void *mc_map_remove(struct mc_map *map, mc_str key)
{
    if (map->count == 0)
        return NULL;
    key = key_given(key);
    size_t at = find(map, key, hash_key(key));
    if (!map->slots[at].key.data)
        return NULL;
    void *value = map->slots[at].value;
    close_hole(map, at);
    map->count--;
    return value;
}

bool mc_map_next(const struct mc_map *map, size_t *cursor, mc_str *key, void **value)
{
    while (*cursor < map->capacity) {
        const struct mc_map_slot *slot = &map->slots[(*cursor)++];
        if (slot->key.data) {
            *key = slot->key;
            *value = slot->value;
            return true;
        }
    }
    return false;
}
