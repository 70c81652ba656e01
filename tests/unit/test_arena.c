/* Arenas: alignment, zeroes, limits, reuse. */
#include "tap.h"

#include "base/arena.h"
#include "base/str.h"

static void test_alloc(void)
{
    struct mc_arena arena;
    mc_arena_init(&arena, (size_t)1 << 24);
    bool aligned = true, zeroed = true;
    for (size_t size = 0; size < 3000; size += 7) {
        unsigned char *memory = mc_arena_alloc(&arena, size);
        aligned = aligned && memory && (uintptr_t)memory % _Alignof(max_align_t) == 0;
        for (size_t i = 0; memory && i < size; i++)
            zeroed = zeroed && memory[i] == 0;
        if (memory)
            memset(memory, 0xAA, size);
    }
    ok(aligned, "aligned for any type");
    ok(zeroed, "zeroed");
    ok(mc_arena_alloc(&arena, 0) != mc_arena_alloc(&arena, 0),
       "size 0 gives pointers of their own");
    char *large = mc_arena_alloc(&arena, 1000000);
    ok(large != NULL, "larger than a block");
    if (large)
        large[999999] = 1;
    size_t used = arena.used_bytes;
    ok(used >= 1000000, "bytes are counted");
    mc_arena_reset(&arena);
    is_int(arena.used_bytes, 0, "reset");
    zeroed = true;
    const unsigned char *memory = mc_arena_alloc(&arena, 4000);
    for (size_t i = 0; memory && i < 4000; i++)
        zeroed = zeroed && memory[i] == 0;
    ok(memory && zeroed, "memory used again is zeroed");
    mc_arena_fini(&arena);
    mc_arena_reset(&arena);
    ok(mc_arena_alloc(&arena, 1) != NULL, "usable after fini and reset");
    mc_arena_fini(&arena);
}

static void test_limits(void)
{
    struct mc_arena arena;
    mc_arena_init(&arena, 100);
    ok(!mc_arena_alloc(&arena, 101), "over the maximum");
    ok(mc_arena_alloc(&arena, 100) != NULL, "the maximum");
    ok(!mc_arena_alloc(&arena, 1), "nothing is left");
    mc_arena_fini(&arena);
    mc_arena_init(&arena, SIZE_MAX);
    ok(!mc_arena_alloc(&arena, SIZE_MAX), "the largest size");
    ok(!mc_arena_alloc(&arena, SIZE_MAX - 40), "nearly the largest size");
    ok(!mc_arena_array(&arena, SIZE_MAX / 2, 3), "a product that overflows");
    ok(!mc_arena_copy(&arena, (mc_str){"", SIZE_MAX}).data, "a copy that overflows");
    ok(mc_arena_array(&arena, 0, 16) != NULL, "an empty array is valid");
    mc_arena_fini(&arena);
}

static void test_text(void)
{
    struct mc_arena arena;
    mc_arena_init(&arena, 4096);
    mc_str copy = mc_arena_copy(&arena, (mc_str){"hello world", 5});
    is_str(copy.data, "hello", "copy with a NUL");
    is_int(copy.len, 5, "its length");
    copy = mc_arena_copy(&arena, MC_STR_NONE);
    is_str(copy.data, "", "copy of nothing is empty");
    is_text(mc_arena_printf(&arena, "%d-%s", 42, "x"), "42-x", "print");
    ok(!mc_arena_printf(&arena, "%05000d", 1).data, "print over the maximum");
    char long_text[3000] = {0};
    const mc_str list[] = {
        MC_STR("one"), {long_text, sizeof(long_text)}, {long_text, sizeof(long_text)}};
    const mc_str *copies = mc_arena_copy_list(&arena, list, 2);
    ok(copies && copies != list, "a copy of a list");
    is_text(copies[0], "one", "its first string");
    ok(copies[0].data != list[0].data && copies[1].len == sizeof(long_text), "strings of its own");
    ok(mc_arena_copy_list(&arena, list, 0) != NULL, "a copy of an empty list is valid");
    ok(!mc_arena_copy_list(&arena, list, 3), "a copy over the maximum");
    mc_arena_fini(&arena);
}

int main(void)
{
    test_alloc();
    test_limits();
    test_text();
    return done_testing();
}
