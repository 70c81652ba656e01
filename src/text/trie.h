/*
 * A set of word sequences ("thank you so much"), each with a number, for matching the tokens of a
 * text word by word. Read-only once built, then any thread may match.
 */
#ifndef MC_TEXT_TRIE_H
#define MC_TEXT_TRIE_H

#include <mindcore/types.h>

struct mc_trie_node;
struct mc_trie {
    struct mc_trie_node *nodes; /* node 0 is the root */
    uint32_t *slots;
    size_t node_count;
    size_t node_capacity;
    size_t slot_count; /* power of two */
    bool fixed;        /* memory of the caller, never grown */
};

/* The caller's memory for a trie that lives as long as the program, so that building cannot fail.
 */
struct mc_trie_node {
    mc_str word;
    uint32_t hash;
    uint32_t parent;
    int32_t value; /* 0: only the beginning of longer sequences */
};

void mc_trie_init(struct mc_trie *trie);
/* slot_count a power of two of at least twice node_capacity; both zeroed. */
void mc_trie_init_fixed(struct mc_trie *trie, struct mc_trie_node *nodes, size_t node_capacity,
                        uint32_t *slots, size_t slot_count);
void mc_trie_fini(struct mc_trie *trie);

/*
 * Adds folded words separated by single spaces, borrowed for the life of the trie; a sequence that
 * is there already gets the new value. value is not 0. False when out of memory (or fixed and
 * full).
 */
MC_MUST_CHECK bool mc_trie_add(struct mc_trie *trie, mc_str words, int32_t value);

/* The node one word further on, 0 when no sequence goes on so. Start at node 0. */
uint32_t mc_trie_step(const struct mc_trie *trie, uint32_t node, mc_str word, uint32_t hash);
static inline int32_t mc_trie_value(const struct mc_trie *trie, uint32_t node)
{
    return trie->nodes[node].value;
}

#endif
