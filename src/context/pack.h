/*
 * Packing blocks of text into sections within a budget of tokens and of messages, exact in both.
 * Pure.
 *
 * Blocks are added in order of their worth and written in order of their section and place, so that
 * what is left out is what is worth least, and the text is the same for the same blocks.
 */
#ifndef MC_CONTEXT_PACK_H
#define MC_CONTEXT_PACK_H

#include "base/arena.h"

/* In the order of the text, with the line that opens each. */
#define MC_SECTION_MAP(X)                                                                          \
    X(ADDITIONAL, "## Additional context")                                                         \
    X(EXTERNAL, "## External data")                                                                \
    X(PREFERENCES, "## User preferences")                                                          \
    X(SUMMARIES, "## Summaries of earlier conversations")                                          \
    X(RELEVANT, "## Relevant messages")                                                            \
    X(BACKGROUND, "## From other conversations")                                                   \
    X(RECENT, "## Recent messages")
enum mc_section {
#define MC_SECTION_ENUM(name, header) MC_SECTION_##name,
    MC_SECTION_MAP(MC_SECTION_ENUM)
#undef MC_SECTION_ENUM
        MC_SECTION_COUNT
};

struct mc_pack_block;
struct mc_pack {
    struct mc_arena *arena;
    size_t units_max;
    size_t units_used;
    size_t messages_max;
    size_t messages_used;
    size_t section_units[MC_SECTION_COUNT]; /* headers included */
    struct mc_pack_block *blocks[MC_SECTION_COUNT];
    size_t block_count[MC_SECTION_COUNT];
};

void mc_pack_init(struct mc_pack *pack, size_t max_tokens, size_t max_messages,
                  struct mc_arena *arena);

/* Units that a block of this section may have, its header deducted when it would be the first. */
size_t mc_pack_room(const struct mc_pack *pack, enum mc_section section);

/*
 * Adds a block of whole lines that counts for so many messages. *added is false when it does not
 * fit, the pack unchanged. Blocks of a section are written by place, equal places in the order of
 * adding.
 */
MC_MUST_CHECK enum mc_status mc_pack_add(struct mc_pack *pack, enum mc_section section,
                                         int64_t place, mc_str block, size_t messages, bool *added,
                                         struct mc_error *err);

/* The units of the text of all. */
size_t mc_pack_units(const struct mc_pack *pack);

/* The text of all, in the arena, without a line break at its end. */
MC_MUST_CHECK enum mc_status mc_pack_write(const struct mc_pack *pack, mc_str *text,
                                           struct mc_error *err);

#endif
