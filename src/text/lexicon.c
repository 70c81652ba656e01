/*
 * DESIGN. A word has one entry whatever lists it is in, so that a text costs one look-up a word.
 * The table is built once in static memory, because nothing may fail in a pure function; its size
 * is checked when it is built and by a test, not when it is used.
 */
#include "text/lexicon.h"

#include <assert.h>
#include <pthread.h>

#include "base/str.h"
#include "text/stem.h"
#include "text/token.h"

#define ENTRY_MAX 2400
#define SLOT_COUNT 8192
#define STEM_SLOTS 2048

static struct mc_word entries[ENTRY_MAX];
static uint32_t entry_hashes[ENTRY_MAX];
static uint16_t slots[SLOT_COUNT];
static size_t entry_count = 1;

/* Stems of families: hash of the stem to weight. The whole hash is the key: 32 bits, a few hundred
 * stems. */
static struct {
    uint32_t hash;
    int8_t weight;
} stems[STEM_SLOTS];

static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint16_t find(mc_str word, uint32_t hash)
{
    for (size_t slot = hash % SLOT_COUNT; slots[slot] != 0; slot = (slot + 1) % SLOT_COUNT) {
        uint16_t entry = slots[slot];
        if (entry_hashes[entry] == hash && mc_str_equal(entries[entry].text, word))
            return entry;
    }
    return 0;
}

static struct mc_word *intern(mc_str word)
{
    uint32_t hash = mc_word_hash(word);
    uint16_t entry = find(word, hash);
    if (entry == 0) {
        assert(entry_count < ENTRY_MAX);
        entry = (uint16_t)entry_count++;
        entries[entry].text = word;
        entry_hashes[entry] = hash;
        size_t slot = hash % SLOT_COUNT;
        while (slots[slot] != 0)
            slot = (slot + 1) % SLOT_COUNT;
        slots[slot] = entry;
    }
    return &entries[entry];
}

static void add_family(mc_str word, int8_t weight)
{
    char room[MC_STEM_BYTES];
    /* mc_stem would look irregular forms up in this table, which is being built. */
    uint32_t hash = mc_word_hash(mc_stem_regular(word, room));
    size_t slot = hash % STEM_SLOTS;
    while (stems[slot].weight != 0 && stems[slot].hash != hash)
        slot = (slot + 1) % STEM_SLOTS;
    if (stems[slot].weight == 0) {
        stems[slot].hash = hash;
        stems[slot].weight = weight;
    }
}

static void build(void)
{
    for (size_t i = 0; i < mc_lexicon_list_count; i++) {
        const struct mc_word_list *list = &mc_lexicon_lists[i];
        mc_str rest = mc_str_of(list->words);
        mc_str word;
        while (mc_str_split(&rest, ' ', &word)) {
            if (word.len == 0)
                continue;
            struct mc_word *entry = intern(word);
            entry->flags |= list->flags;
            if (list->weight != 0 || (list->flags & MC_WORD_PLAIN))
                entry->weight = list->weight;
            if (list->value != 0)
                entry->value = list->value;
            if (list->flags & MC_WORD_FAMILY)
                add_family(word, list->weight);
        }
    }
    for (size_t i = 0; i < mc_lexicon_irregular_count; i++) {
        mc_str rest = mc_str_of(mc_lexicon_irregular[i]);
        mc_str base;
        mc_str form;
        bool given = mc_str_split(&rest, ' ', &base);
        while (given && mc_str_split(&rest, ' ', &form))
            intern(form)->base = base;
    }
}

uint16_t mc_lexicon_find(mc_str word, uint32_t hash)
{
    pthread_once(&once, build);
    return find(word, hash);
}

const struct mc_word *mc_lexicon_entry(uint16_t entry)
{
    return &entries[entry < entry_count ? entry : 0];
}

int8_t mc_lexicon_stem_weight(uint32_t stem_hash)
{
    pthread_once(&once, build);
    size_t slot = stem_hash % STEM_SLOTS;
    while (stems[slot].weight != 0) {
        if (stems[slot].hash == stem_hash)
            return stems[slot].weight;
        slot = (slot + 1) % STEM_SLOTS;
    }
    return 0;
}
