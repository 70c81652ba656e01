/* The hash map against an array that holds the same. */
#include "tap.h"

#include "base/map.h"
#include "base/str.h"

#define KEYS 2000

static char names[KEYS][16];
static bool present[KEYS];

static void test_random_operations(void)
{
    struct mc_map map;
    mc_map_init(&map);
    size_t count = 0, wrong = 0;
    uint64_t random = 88172645463325252U;
    for (size_t i = 0; i < KEYS; i++)
        snprintf(names[i], sizeof(names[i]), "key-%zu", i);
    for (int step = 0; step < 200000; step++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        /* Phases of growth and of shrinking. */
        bool insert = random % 100 < (step / 20000 % 2 ? 30U : 70U);
        size_t i = (size_t)(random >> 32) % KEYS;
        mc_str key = mc_str_of(names[i]);
        wrong += mc_map_get(&map, key) != (present[i] ? names[i] : NULL);
        if (insert) {
            wrong += !mc_map_put(&map, key, names[i]);
            count += present[i] ? 0 : 1;
        } else {
            wrong += mc_map_remove(&map, key) != (present[i] ? names[i] : NULL);
            count -= present[i] ? 1 : 0;
        }
        present[i] = insert;
        wrong += map.count != count;
    }
    is_int(wrong, 0, "200000 operations agree");
    size_t cursor = 0, seen = 0;
    mc_str key;
    void *value;
    while (mc_map_next(&map, &cursor, &key, &value)) {
        seen++;
        wrong += key.data != value || !present[((char(*)[16])value) - names];
    }
    is_int(seen, count, "iteration sees each");
    is_int(wrong, 0, "and nothing else");
    mc_map_fini(&map);
}

static void test_edges(void)
{
    struct mc_map map;
    mc_map_init(&map);
    int a = 1, b = 2;
    size_t cursor = 0;
    mc_str key;
    void *value;
    ok(!mc_map_get(&map, MC_STR("x")), "get of an empty map");
    ok(!mc_map_remove(&map, MC_STR("x")), "remove of an empty map");
    ok(!mc_map_next(&map, &cursor, &key, &value), "iteration of an empty map");
    ok(mc_map_put(&map, MC_STR_NONE, &a), "absent key");
    ok(mc_map_get(&map, MC_STR("")) == &a, "is the empty key");
    ok(mc_map_put(&map, MC_STR(""), &b) && map.count == 1, "replaced");
    ok(mc_map_get(&map, MC_STR_NONE) == &b, "by the new value");
    ok(mc_map_put(&map, MC_STR("a\0b"), &a), "key with a NUL");
    ok(!mc_map_get(&map, MC_STR("a")) && !mc_map_get(&map, MC_STR("a\0c")), "is a key of its own");
    ok(mc_map_remove(&map, MC_STR("")) == &b && map.count == 1, "removed");
    char first[] = "same", second[] = "same";
    ok(mc_map_put(&map, mc_str_of(first), &a) && mc_map_put(&map, mc_str_of(second), &b),
       "replace");
    first[0] = '?';
    ok(mc_map_get(&map, MC_STR("same")) == &b, "the map holds the key that came with the value");
    mc_map_fini(&map);
    mc_map_fini(&map);
    ok(map.count == 0, "fini twice");
}

int main(void)
{
    test_edges();
    test_random_operations();
    return done_testing();
}
