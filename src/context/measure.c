#include "context/measure.h"

#include "base/compiler.h"
#include "base/str.h"
#include "base/utf8.h"
#include "context/tokens.h"

#define SEEN 1024 /* counts kept, each in the one place that its text leads to */
#define CUTS 4    /* a cut text that turns out too long is cut again so many times */
#define LOOKS 10  /* counts on the way to a prefix */
#define NEAR                                                                                       \
    ((size_t)2 * MC_TOKEN_UNITS) /* a prefix that leaves no more than this is long enough */
#define STATES 8

/* No vocabulary has words of so many bytes on average; the estimate has none of two bytes a unit. */
#define MODEL_BYTES ((size_t)4)
#define ESTIMATE_BYTES ((size_t)2)

struct mc_measured {
    uint64_t hash;
    size_t len; /* 0: empty place */
    size_t tokens;
};

/* The name of the model that counts: a local one when there are several. */
static void read_name(struct mc_measure *measure)
{
    struct mc_llm_state states[STATES];
    size_t count = measure->llm->ops->describe(measure->llm, states, STATES);
    size_t chosen = 0;
    while (chosen < count && chosen < STATES && strcmp(states[chosen].provider, "llama_cpp") != 0)
        chosen++;
    if (count == 0)
        return;
    const char *model = states[chosen < count && chosen < STATES ? chosen : 0].model;
    (void)mc_utf8_line(mc_str_of(model), measure->name, sizeof(measure->name));
}

void mc_measure_init(struct mc_measure *measure, struct mc_llm *llm, struct mc_arena *arena)
{
    size_t tokens;
    *measure = (struct mc_measure){.name = "estimate"};
    if (!llm || !llm->ops->count_tokens(llm, MC_STR("a"), &tokens))
        return;
    measure->llm = llm;
    measure->counted = true;
    measure->seen = mc_arena_array(arena, SEEN, sizeof(*measure->seen));
    read_name(measure);
}

static bool count(struct mc_measure *measure, mc_str text, size_t *tokens)
{
    uint64_t hash = mc_str_hash(text);
    struct mc_measured *place = measure->seen ? &measure->seen[hash % SEEN] : NULL;
    if (place && place->hash == hash && place->len == text.len) {
        *tokens = place->tokens;
        return true;
    }
    if (!measure->llm->ops->count_tokens(measure->llm, text, tokens))
        return false;
    if (place)
        *place = (struct mc_measured){hash, text.len, *tokens};
    return true;
}

size_t mc_measure_units(struct mc_measure *measure, mc_str text)
{
    if (!measure || !measure->llm)
        return mc_tokens_units(text);
    size_t tokens;
    if (text.len == 0)
        return 0;
    if (!count(measure, text, &tokens)) {
        mc_measure_init(measure, NULL, NULL);
        measure->counted = true; /* what was counted before is part of sums */
        return mc_tokens_units(text);
    }
    return tokens < SIZE_MAX / MC_TOKEN_UNITS ? tokens * MC_TOKEN_UNITS : SIZE_MAX;
}

size_t mc_measure_bytes(const struct mc_measure *measure, size_t max_units)
{
    size_t bytes = measure && measure->llm ? MODEL_BYTES : ESTIMATE_BYTES;
    return max_units < SIZE_MAX / bytes ? max_units * bytes : SIZE_MAX;
}

/*
 * Looks between what fits and what does not for a place near enough: where the tokens so far lead to
 * expect it, else in the middle. Counts may fall while a text grows, so only what was counted is
 * taken.
 */
static mc_str prefix_by_model(struct mc_measure *measure, mc_str text, size_t max_units)
{
    mc_str head = mc_utf8_cut(text, mc_measure_bytes(measure, max_units));
    if (mc_measure_units(measure, head) <= max_units)
        return head;
    size_t fits = 0, fits_units = 0, over = head.len;
    size_t guess = mc_tokens_prefix(head, max_units).len;
    for (int i = 0; i < LOOKS && fits + 1 < over && max_units - fits_units > NEAR; i++) {
        if (guess <= fits || guess >= over)
            guess = fits + (over - fits) / 2;
        mc_str part = mc_utf8_cut(head, guess);
        size_t units = mc_measure_units(measure, part);
        if (part.len <= fits)
            fits = fits < guess ? fits : guess; /* in the middle of a character */
        if (units > max_units) {
            over = guess;
            guess = 0;
        } else if (part.len > fits) {
            fits = part.len;
            fits_units = units;
            guess =
                units > 0
                    ? fits + (size_t)((double)(max_units - units) * (double)fits / (double)units)
                    : 0;
        } else {
            break;
        }
    }
    return (mc_str){text.data, fits};
}

mc_str mc_measure_prefix(struct mc_measure *measure, mc_str text, size_t max_units)
{
    return measure && measure->llm ? prefix_by_model(measure, text, max_units)
                                   : mc_tokens_prefix(text, max_units);
}

mc_str mc_measure_cut(struct mc_measure *measure, mc_str text, size_t max_units,
                      struct mc_arena *arena)
{
    if (!measure || !measure->llm)
        return mc_tokens_cut(text, max_units, arena);
    if (mc_measure_prefix(measure, text, max_units).len == text.len)
        return text;
    size_t room = max_units;
    for (int i = 0; i < CUTS && room > MC_TOKENS_CUT_UNITS; i++) {
        mc_str prefix = mc_str_trim(mc_measure_prefix(measure, text, room - MC_TOKENS_CUT_UNITS));
        if (prefix.len == 0)
            break;
        mc_str cut = mc_arena_printf(arena, "%.*s" MC_TOKENS_CUT_MARK, MC_STR_ARG(prefix));
        size_t units = cut.data ? mc_measure_units(measure, cut) : 0;
        if (units <= max_units)
            return cut;
        room = room > units - max_units ? room - (units - max_units) : 0;
    }
    return MC_STR("");
}
