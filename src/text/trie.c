#include "text/trie.h"

#include <stdlib.h>

#include "base/str.h"
#include "text/token.h"

#define FIRST_NODES 64

void mc_trie_init(struct mc_trie *trie)
{
    *trie = (struct mc_trie){0};
}

void mc_trie_init_fixed(struct mc_trie *trie, struct mc_trie_node *nodes, size_t node_capacity,
                        uint32_t *slots, size_t slot_count)
{
    *trie = (struct mc_trie){nodes, slots, 1, node_capacity, slot_count, true};
}

void mc_trie_fini(struct mc_trie *trie)
{
    if (!trie->fixed) {
        free(trie->nodes);
        free(trie->slots);
    }
    *trie = (struct mc_trie){0};
}

static size_t place(uint32_t parent, uint32_t hash, size_t slot_count)
{
    uint32_t mixed = (hash ^ (parent * 2654435761U)) * 2246822519U;
    return (mixed ^ mixed >> 15) & (slot_count - 1);
}

static void link_node(struct mc_trie *trie, uint32_t node)
{
    const struct mc_trie_node *n = &trie->nodes[node];
    size_t slot = place(n->parent, n->hash, trie->slot_count);
    while (trie->slots[slot] != 0)
        slot = (slot + 1) & (trie->slot_count - 1);
    trie->slots[slot] = node;
}

static bool grow(struct mc_trie *trie)
{
    if (trie->fixed)
        return false;
    size_t capacity = trie->node_capacity ? trie->node_capacity * 2 : FIRST_NODES;
    uint32_t *slots = calloc(capacity * 2, sizeof(*slots));
    struct mc_trie_node *nodes = realloc(trie->nodes, capacity * sizeof(*nodes));
    if (nodes)
        trie->nodes = nodes;
    if (!slots || !nodes) {
        free(slots);
        return false;
    }
    if (trie->node_count == 0) {
        nodes[0] = (struct mc_trie_node){0};
        trie->node_count = 1;
    }
    free(trie->slots);
    trie->slots = slots;
    trie->slot_count = capacity * 2;
    trie->node_capacity = capacity;
    for (uint32_t i = 1; i < trie->node_count; i++)
        link_node(trie, i);
    return true;
}

uint32_t mc_trie_step(const struct mc_trie *trie, uint32_t node, mc_str word, uint32_t hash)
{
    if (trie->slot_count == 0)
        return 0;
    size_t slot = place(node, hash, trie->slot_count);
    for (; trie->slots[slot] != 0; slot = (slot + 1) & (trie->slot_count - 1)) {
        const struct mc_trie_node *n = &trie->nodes[trie->slots[slot]];
        if (n->hash == hash && n->parent == node && mc_str_equal(n->word, word))
            return trie->slots[slot];
    }
    return 0;
}

bool mc_trie_add(struct mc_trie *trie, mc_str words, int32_t value)
{
    uint32_t node = 0;
    mc_str word;
    while (mc_str_split(&words, ' ', &word)) {
        if (word.len == 0)
            continue;
        uint32_t hash = mc_word_hash(word);
        uint32_t next = mc_trie_step(trie, node, word, hash);
        if (next == 0) {
            if (trie->node_count >= trie->node_capacity && !grow(trie))
                return false;
            next = (uint32_t)trie->node_count++;
            trie->nodes[next] = (struct mc_trie_node){word, hash, node, 0};
            link_node(trie, next);
        }
        node = next;
    }
    if (node != 0)
        trie->nodes[node].value = value;
    return true;
}
