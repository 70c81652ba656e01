#include "context/pack.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/str.h"
#include "context/tokens.h"

struct mc_pack_block {
    struct mc_pack_block *next; /* added before this one */
    mc_str text;
    int64_t place;
    size_t number; /* in the order of adding */
    size_t order;  /* the same over all sections */
    size_t units;  /* with what it opened */
    size_t messages;
};

static const mc_str headers[] = {
#define SECTION_HEADER(name, header) {header "\n", sizeof(header)},
    MC_SECTION_MAP(SECTION_HEADER)
#undef SECTION_HEADER
};

void mc_pack_init(struct mc_pack *pack, size_t max_tokens, size_t max_messages,
                  struct mc_arena *arena)
{
    size_t most = SIZE_MAX / MC_TOKEN_UNITS;
    *pack = (struct mc_pack){
        .arena = arena,
        .units_max = (max_tokens < most ? max_tokens : most) * MC_TOKEN_UNITS,
        .messages_max = max_messages,
    };
}

/* The header and the empty line that parts a section from the one before. */
static size_t opening_units(const struct mc_pack *pack, enum mc_section section)
{
    if (pack->block_count[section] > 0)
        return 0;
    return mc_measure_units(pack->measure, headers[section]) +
           mc_measure_units(pack->measure, MC_STR("\n"));
}

size_t mc_pack_room(const struct mc_pack *pack, enum mc_section section)
{
    size_t taken = pack->units_used + opening_units(pack, section);
    return taken < pack->units_max ? pack->units_max - taken : 0;
}

enum mc_status mc_pack_add(struct mc_pack *pack, enum mc_section section, int64_t place,
                           mc_str block, size_t messages, bool *added, struct mc_error *err)
{
    *added = false;
    size_t units = mc_measure_units(pack->measure, block);
    if (block.len == 0 || units > mc_pack_room(pack, section) ||
        messages > pack->messages_max - pack->messages_used)
        return MC_OK;
    struct mc_pack_block *made = mc_arena_alloc(pack->arena, sizeof(*made));
    mc_str text = mc_arena_copy(pack->arena, block);
    if (!made || !text.data)
        return mc_fail_memory(err);
    units += opening_units(pack, section);
    *made = (struct mc_pack_block){
        .next = pack->blocks[section],
        .text = text,
        .place = place,
        .number = pack->block_count[section],
        .order = pack->added++,
        .units = units,
        .messages = messages,
    };
    pack->blocks[section] = made;
    pack->block_count[section]++;
    pack->section_units[section] += units;
    pack->units_used += units;
    pack->messages_used += messages;
    *added = true;
    return MC_OK;
}

bool mc_pack_drop(struct mc_pack *pack, enum mc_section *section, size_t *messages)
{
    size_t last = MC_SECTION_COUNT;
    for (size_t s = 0; s < MC_SECTION_COUNT; s++) {
        if (pack->blocks[s] &&
            (last == MC_SECTION_COUNT || pack->blocks[s]->order > pack->blocks[last]->order))
            last = s;
    }
    if (last == MC_SECTION_COUNT)
        return false;
    const struct mc_pack_block *block = pack->blocks[last];
    pack->blocks[last] = block->next;
    pack->block_count[last]--;
    pack->section_units[last] -= block->units;
    pack->units_used -= block->units;
    pack->messages_used -= block->messages;
    *section = (enum mc_section)last;
    *messages = block->messages;
    return true;
}

size_t mc_pack_units(const struct mc_pack *pack)
{
    /* No empty line stands before the first section, no line break behind the last. */
    return pack->units_used > 0 ? pack->units_used - 2 * mc_tokens_units(MC_STR("\n")) : 0;
}

static int compare_blocks(const void *a, const void *b)
{
    const struct mc_pack_block *x = *(struct mc_pack_block *const *)a;
    const struct mc_pack_block *y = *(struct mc_pack_block *const *)b;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static size_t total_bytes(const struct mc_pack *pack)
{
    size_t bytes = 1;
    for (size_t s = 0; s < MC_SECTION_COUNT; s++) {
        bytes += pack->block_count[s] > 0 ? headers[s].len + 1 : 0;
        for (const struct mc_pack_block *b = pack->blocks[s]; b; b = b->next)
            bytes += b->text.len;
    }
    return bytes;
}

static char *put(char *at, mc_str text)
{
    memcpy(at, text.data, text.len);
    return at + text.len;
}

static char *write_section(const struct mc_pack *pack, size_t section,
                           const struct mc_pack_block **sorted, char *at)
{
    size_t count = 0;
    for (const struct mc_pack_block *b = pack->blocks[section]; b; b = b->next)
        sorted[count++] = b;
    qsort(sorted, count, sizeof(struct mc_pack_block *), compare_blocks);
    at = put(at, headers[section]);
    for (size_t i = 0; i < count; i++)
        at = put(at, sorted[i]->text);
    return at;
}

enum mc_status mc_pack_write(const struct mc_pack *pack, mc_str *text, struct mc_error *err)
{
    size_t most = 1;
    for (size_t s = 0; s < MC_SECTION_COUNT; s++)
        most = pack->block_count[s] > most ? pack->block_count[s] : most;
    const struct mc_pack_block **sorted =
        mc_arena_array(pack->arena, most, sizeof(struct mc_pack_block *));
    char *begin = mc_arena_alloc(pack->arena, total_bytes(pack));
    if (!sorted || !begin)
        return mc_fail_memory(err);
    char *at = begin;
    for (size_t s = 0; s < MC_SECTION_COUNT; s++) {
        if (pack->block_count[s] == 0)
            continue;
        if (at != begin)
            *at++ = '\n';
        at = write_section(pack, s, sorted, at);
    }
    if (at != begin)
        at--; /* the last line break */
    *at = '\0';
    *text = (mc_str){begin, (size_t)(at - begin)};
    return MC_OK;
}
