/*
 * See base/arena.h. Blocks form a stack whose top is filled; each is twice the one before, within
 * limits, so that a small request costs one malloc and a large one few.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ALIGNMENT (_Alignof(max_align_t))
#define BLOCK_MIN ((size_t)4096)
#define BLOCK_MAX ((size_t)256 * 1024)

struct mc_arena_block {
    struct mc_arena_block *next;
    size_t size; /* of bytes */
    size_t used;
    _Alignas(max_align_t) unsigned char bytes[];
};

void mc_arena_init(struct mc_arena *arena, size_t max_bytes)
{
    *arena = (struct mc_arena){.max_bytes = max_bytes};
}

static void free_blocks(struct mc_arena_block *block)
{
    while (block) {
        struct mc_arena_block *next = block->next;
        free(block);
        block = next;
    }
}

void mc_arena_fini(struct mc_arena *arena)
{
    free_blocks(arena->blocks);
    mc_arena_init(arena, arena->max_bytes);
}

void mc_arena_reset(struct mc_arena *arena)
{
    if (arena->blocks) {
        free_blocks(arena->blocks->next);
        arena->blocks->next = NULL;
        arena->blocks->used = 0;
    }
    arena->used_bytes = 0;
}

static struct mc_arena_block *push_block(struct mc_arena *arena, size_t size)
{
    size_t wanted = arena->blocks ? arena->blocks->size * 2 : BLOCK_MIN;
    wanted = wanted > BLOCK_MAX ? BLOCK_MAX : wanted;
    wanted = wanted < size ? size : wanted;
    if (wanted > SIZE_MAX - sizeof(struct mc_arena_block))
        return NULL;
    struct mc_arena_block *block = malloc(sizeof(*block) + wanted);
    if (!block)
        return NULL;
    *block = (struct mc_arena_block){.next = arena->blocks, .size = wanted};
    arena->blocks = block;
    return block;
}

void *mc_arena_alloc(struct mc_arena *arena, size_t size)
{
    if (size > SIZE_MAX - ALIGNMENT)
        return NULL;
    size_t rounded = size ? (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
    if (size > arena->max_bytes || arena->used_bytes > arena->max_bytes - size)
        return NULL;
    struct mc_arena_block *block = arena->blocks;
    if (!block || block->size - block->used < rounded)
        block = push_block(arena, rounded);
    if (!block)
        return NULL;
    void *memory = block->bytes + block->used;
    block->used += rounded;
    arena->used_bytes += rounded;
    return memset(memory, 0, rounded);
}

void *mc_arena_array(struct mc_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return mc_arena_alloc(arena, bytes);
}

mc_str mc_arena_copy(struct mc_arena *arena, mc_str str)
{
    char *copy = str.len < SIZE_MAX ? mc_arena_alloc(arena, str.len + 1) : NULL;
    if (!copy)
        return (mc_str){NULL, 0};
    if (str.len > 0)
        memcpy(copy, str.data, str.len);
    return (mc_str){copy, str.len};
}

const mc_str *mc_arena_copy_list(struct mc_arena *arena, const mc_str *list, size_t count)
{
    mc_str *copies = mc_arena_array(arena, count, sizeof(*copies));
    for (size_t i = 0; copies && i < count; i++) {
        copies[i] = mc_arena_copy(arena, list[i]);
        if (!copies[i].data)
            return NULL;
    }
    return copies;
}

mc_str mc_arena_printf(struct mc_arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    char *text = len < 0 ? NULL : mc_arena_alloc(arena, (size_t)len + 1);
    if (text)
        vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    va_end(args);
    return (mc_str){text, text ? (size_t)len : 0};
}
