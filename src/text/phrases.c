#include "text/phrases.h"

#include "base/str.h"
#include "text/lexicon.h"

#define WORDS_MAX 512 /* content words looked at */
#define SLOT_COUNT 1024
#define PHRASE_WORDS 4

/* A distinct content word. */
struct word {
    uint32_t hash;
    uint16_t frequency;
    uint16_t degree;
};

struct candidate {
    uint32_t first; /* token */
    uint8_t count;
};

struct rake {
    const struct mc_tokens *tokens;
    struct word words[WORDS_MAX];
    uint16_t word_count;
    uint16_t slots[SLOT_COUNT];
    uint16_t index[WORDS_MAX]; /* of each content word in turn */
    struct candidate candidates[WORDS_MAX];
    size_t candidate_count;
    size_t content_count;
};

static bool is_content(const struct mc_token *token)
{
    if (token->kind == MC_TOKEN_NUMBER || token->kind >= MC_TOKEN_IDEOGRAPH)
        return false;
    const struct mc_word *word = mc_lexicon_entry(token->word);
    return token->folded.len > 2 && !(word->flags & (MC_WORD_STOP | MC_WORD_NEGATION));
}

/* Words are the same word by their stem. The whole hash is the key: a clash only blurs a score. */
static uint16_t find_word(struct rake *rake, uint32_t hash)
{
    size_t slot = hash % SLOT_COUNT;
    for (; rake->slots[slot] != 0; slot = (slot + 1) % SLOT_COUNT) {
        if (rake->words[rake->slots[slot] - 1].hash == hash)
            return (uint16_t)(rake->slots[slot] - 1);
    }
    rake->words[rake->word_count] = (struct word){hash, 0, 0};
    rake->slots[slot] = (uint16_t)(rake->word_count + 1);
    return rake->word_count++;
}

static void close_candidate(struct rake *rake, struct candidate *open)
{
    for (size_t i = 0; i < open->count; i++) {
        struct word *word = &rake->words[rake->index[rake->content_count - open->count + i]];
        word->frequency++;
        word->degree = (uint16_t)(word->degree + open->count);
    }
    if (open->count > 0)
        rake->candidates[rake->candidate_count++] = *open;
    open->count = 0;
}

static void collect(struct rake *rake)
{
    struct candidate open = {0, 0};
    for (size_t i = 0; i < rake->tokens->count && rake->content_count < WORDS_MAX; i++) {
        const struct mc_token *token = &rake->tokens->items[i];
        bool content = is_content(token);
        bool cut = (token->gap & (MC_GAP_PAUSE | MC_GAP_STOP)) != 0;
        if (!content || cut || open.count == PHRASE_WORDS)
            close_candidate(rake, &open);
        if (!content)
            continue;
        if (open.count == 0)
            open.first = (uint32_t)i;
        rake->index[rake->content_count++] = find_word(rake, token->stem_hash);
        open.count++;
    }
    close_candidate(rake, &open);
}

struct ranked {
    double score;
    uint32_t key; /* of the words, to find the same phrase again */
    struct candidate phrase;
};

/* Keeps the best, earlier ones first among equals. */
static size_t insert(struct ranked *best, size_t count, const struct ranked *next)
{
    for (size_t i = 0; i < count; i++) {
        if (best[i].key == next->key)
            return count;
    }
    size_t at = count;
    while (at > 0 && best[at - 1].score < next->score)
        at--;
    if (at == MC_PHRASES_MAX)
        return count;
    size_t moved = count < MC_PHRASES_MAX ? count - at : MC_PHRASES_MAX - 1 - at;
    memmove(&best[at + 1], &best[at], moved * sizeof(*best));
    best[at] = *next;
    return count < MC_PHRASES_MAX ? count + 1 : count;
}

static size_t rank(const struct rake *rake, struct ranked best[MC_PHRASES_MAX])
{
    size_t count = 0;
    size_t content = 0;
    for (size_t i = 0; i < rake->candidate_count; i++) {
        struct ranked next = {0, MC_WORD_HASH_START, rake->candidates[i]};
        for (size_t j = 0; j < next.phrase.count; j++) {
            const struct word *word = &rake->words[rake->index[content++]];
            next.score += (double)word->degree / word->frequency;
            next.key = mc_word_hash_more(next.key, (const char *)&word->hash, sizeof(word->hash));
        }
        /* A lone short word says too little. */
        if (next.phrase.count > 1 || rake->tokens->items[next.phrase.first].folded.len >= 4)
            count = insert(best, count, &next);
    }
    return count;
}

static mc_str join(const struct mc_tokens *tokens, const struct candidate *phrase,
                   struct mc_arena *arena)
{
    size_t len = phrase->count - 1U;
    for (size_t i = 0; i < phrase->count; i++)
        len += tokens->items[phrase->first + i].folded.len;
    char *text = mc_arena_alloc(arena, len + 1);
    if (!text)
        return MC_STR_NONE;
    size_t at = 0;
    for (size_t i = 0; i < phrase->count; i++) {
        mc_str word = tokens->items[phrase->first + i].folded;
        if (i > 0)
            text[at++] = ' ';
        memcpy(text + at, word.data, word.len);
        at += word.len;
    }
    return (mc_str){text, len};
}

bool mc_phrases_of(const struct mc_tokens *tokens, struct mc_arena *arena, struct mc_phrases *out)
{
    struct rake rake;
    rake.tokens = tokens;
    rake.word_count = 0;
    rake.candidate_count = rake.content_count = 0;
    memset(rake.slots, 0, sizeof(rake.slots));
    collect(&rake);
    struct ranked best[MC_PHRASES_MAX];
    struct mc_phrases phrases = {.count = rank(&rake, best)};
    for (size_t i = 0; i < phrases.count; i++) {
        phrases.items[i] = join(tokens, &best[i].phrase, arena);
        if (!phrases.items[i].data)
            return false;
    }
    *out = phrases;
    return true;
}
