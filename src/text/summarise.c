#include "text/summarise.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/map.h"
#include "base/str.h"
#include "base/utf8.h"
#include "text/lexicon.h"
#include "text/sentence.h"
#include "text/terms.h"
#include "text/token.h"

/*
 * DESIGN. SumBasic (Nenkova and Vanderwende, "The Impact of Frequency on Summarization", Microsoft
 * Research MSR-TR-2005-101): a sentence is worth the mean probability of its words; once it is
 * taken, the probabilities of its words are squared, so that the next one says something else. Here
 * words are index terms, a word counts by the importance of the message that says it, and sentences
 * that state something concrete are worth more, questions and scraps less. Linear in the text, and
 * bounded: of a long conversation the newest SENTENCES_MAX utterances are read, of a long utterance
 * its first sentences.
 */

#define SENTENCES_MAX 1024
#define SENTENCES_OF_ONE 12
#define SENTENCE_BYTES 1000 /* a longer one is read only so far, and taken only if it fits */
#define FACTS_MAX 10
#define FACT_MARKS 2 /* marks that make a sentence a fact */
#define FACT_WORTH 1.25
#define QUESTION_WORTH 0.7
#define SCRAP_WORTH 0.3
#define SCRAP_TERMS 3
#define LEAST_WORTH                                                                                \
    0.3 /* of the best sentence: what is less says nothing, even where there is room */

struct sentence {
    mc_str text;
    size_t utterance;
    const uint32_t *words; /* indexes into the probabilities */
    size_t word_count;
    unsigned marks; /* numbers, codes, names, dates */
    double factor;
    double first_worth; /* before anything was taken */
    bool taken;
};

struct summary {
    const struct mc_utterance *utterances;
    struct mc_arena *arena;
    struct sentence *sentences;
    size_t count;
    struct mc_map numbers; /* word to index + 1 */
    double *weights;       /* of each word, then its probability */
    size_t word_count;
    size_t word_capacity;
    double total;
};

static void summary_fini(struct summary *s)
{
    mc_map_fini(&s->numbers);
    free(s->weights);
}

/* ---- Reading ---- */

static bool add_word(struct summary *s, mc_str word, double weight, uint32_t *index)
{
    size_t number = (size_t)(uintptr_t)mc_map_get(&s->numbers, word);
    if (number == 0) {
        if (s->word_count == s->word_capacity) {
            size_t capacity = s->word_capacity ? s->word_capacity * 2 : 1024;
            double *weights = realloc(s->weights, capacity * sizeof(*weights));
            if (!weights)
                return false;
            s->weights = weights;
            s->word_capacity = capacity;
        }
        number = s->word_count + 1;
        if (!mc_map_put(&s->numbers, word, (void *)(uintptr_t)number))
            return false;
        s->weights[s->word_count++] = 0;
    }
    s->weights[number - 1] += weight;
    s->total += weight;
    *index = (uint32_t)(number - 1);
    return true;
}

/* What makes a sentence concrete: digits, names inside it, dates. */
static unsigned count_marks(mc_str text)
{
    const uint32_t time = MC_WORD_MONTH | MC_WORD_WEEKDAY | MC_WORD_RELATIVE_DAY | MC_WORD_MONEY;
    struct mc_tokenizer tokenizer;
    struct mc_token token;
    unsigned marks = 0;
    bool first = true;
    mc_tokenizer_init(&tokenizer, text);
    while (mc_token_next(&tokenizer, &token)) {
        uint32_t flags = mc_lexicon_entry(mc_lexicon_find(token.folded, token.hash))->flags;
        bool number = token.kind == MC_TOKEN_NUMBER || token.kind == MC_TOKEN_CODE;
        bool name =
            !first && (token.flags & MC_TOKEN_CAPITAL) && token.len > 1 && !(flags & MC_WORD_STOP);
        marks += (number ? 2U : 0) + (name ? 1U : 0) + ((flags & time) ? 1U : 0);
        first = false;
    }
    return marks;
}

static bool is_question(mc_str text)
{
    static const char wide[] = "\xef\xbc\x9f"; /* U+FF1F */
    return mc_str_ends(text, MC_STR("?")) || mc_str_ends(text, mc_str_of(wide));
}

static bool add_sentence(struct summary *s, mc_str text, size_t utterance)
{
    struct mc_terms terms;
    double weight = 0.1 + s->utterances[utterance].importance;
    if (!mc_terms_of(mc_utf8_cut(text, SENTENCE_BYTES), s->arena, &terms))
        return false;
    if (terms.count == 0)
        return true; /* nothing but stop words */
    uint32_t *words = mc_arena_array(s->arena, terms.count, sizeof(*words));
    if (!words)
        return false;
    for (size_t i = 0; i < terms.count; i++) {
        if (!add_word(s, terms.items[i].text, weight, &words[i]))
            return false;
    }
    struct sentence *sentence = &s->sentences[s->count++];
    *sentence = (struct sentence){
        .text = text,
        .utterance = utterance,
        .words = words,
        .word_count = terms.count,
        .marks = count_marks(mc_utf8_cut(text, SENTENCE_BYTES)),
    };
    sentence->factor = (0.5 + s->utterances[utterance].importance) *
                       (sentence->marks >= FACT_MARKS ? FACT_WORTH : 1.0) *
                       (is_question(text) ? QUESTION_WORTH : 1.0) *
                       (terms.count < SCRAP_TERMS ? SCRAP_WORTH : 1.0);
    return true;
}

static bool read_all(struct summary *s, size_t count)
{
    size_t begin = count > SENTENCES_MAX ? count - SENTENCES_MAX : 0;
    size_t share = count > begin ? SENTENCES_MAX / (count - begin) : 0;
    size_t most = share > SENTENCES_OF_ONE ? SENTENCES_OF_ONE : share;
    for (size_t i = begin; i < count; i++) {
        size_t at = 0;
        mc_str text;
        for (size_t k = 0; k < most && mc_sentence_next(s->utterances[i].text, &at, &text); k++) {
            if (!add_sentence(s, text, i))
                return false;
        }
    }
    for (size_t i = 0; i < s->word_count; i++)
        s->weights[i] /= s->total;
    return true;
}

/* ---- Choosing ---- */

static double worth(const struct summary *s, const struct sentence *sentence)
{
    double sum = 0;
    for (size_t i = 0; i < sentence->word_count; i++)
        sum += s->weights[sentence->words[i]];
    return sentence->factor * sum / (double)sentence->word_count;
}

/* The bytes of the sentence's line, as if it stood alone. */
static size_t line_bytes(const struct summary *s, const struct sentence *sentence)
{
    return s->utterances[sentence->utterance].speaker.len + 2 + sentence->text.len + 1;
}

static void choose(struct summary *s, size_t max_bytes)
{
    size_t left = max_bytes + 1; /* the last line has no break */
    double highest = 0;
    for (size_t i = 0; i < s->count; i++) {
        s->sentences[i].first_worth = worth(s, &s->sentences[i]);
        if (s->sentences[i].first_worth > highest)
            highest = s->sentences[i].first_worth;
    }
    for (;;) {
        struct sentence *best = NULL;
        double most = 0;
        for (size_t i = 0; i < s->count; i++) {
            struct sentence *sentence = &s->sentences[i];
            if (sentence->taken || sentence->first_worth < LEAST_WORTH * highest ||
                line_bytes(s, sentence) > left)
                continue;
            double value = worth(s, sentence);
            if (value > most) {
                most = value;
                best = sentence;
            }
        }
        if (!best)
            return;
        best->taken = true;
        left -= line_bytes(s, best);
        for (size_t i = 0; i < best->word_count; i++)
            s->weights[best->words[i]] *= s->weights[best->words[i]];
    }
}

/* White space made single, so that a sentence is one line. */
static void put_line(struct mc_buf *out, mc_str text)
{
    bool space = false;
    for (size_t i = 0; i < text.len; i++) {
        bool blank = (uint8_t)text.data[i] <= ' ';
        if (!blank && space)
            mc_buf_char(out, ' ');
        if (!blank)
            mc_buf_char(out, text.data[i]);
        space = blank;
    }
}

static void write_text(const struct summary *s, struct mc_buf *out)
{
    size_t utterance = SIZE_MAX;
    for (size_t i = 0; i < s->count; i++) {
        const struct sentence *sentence = &s->sentences[i];
        if (!sentence->taken)
            continue;
        if (sentence->utterance == utterance) {
            mc_buf_char(out, ' ');
        } else {
            if (out->len > 0)
                mc_buf_char(out, '\n');
            mc_str speaker = s->utterances[sentence->utterance].speaker;
            put_line(out, speaker);
            mc_buf_text(out, speaker.len > 0 ? ": " : "");
        }
        utterance = sentence->utterance;
        put_line(out, sentence->text);
    }
}

/* When no whole sentence fits: the beginning of the first one. */
static void write_beginning(const struct summary *s, size_t max_bytes, struct mc_buf *out)
{
    mc_str text = s->sentences[0].text;
    put_line(out, mc_utf8_cut(text, max_bytes));
}

static bool collect_facts(struct summary *s, struct mc_extract *extract)
{
    mc_str *facts = mc_arena_array(s->arena, FACTS_MAX, sizeof(*facts));
    if (!facts)
        return false;
    size_t chosen[FACTS_MAX], count = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct sentence *sentence = &s->sentences[i];
        if (sentence->marks < FACT_MARKS || is_question(sentence->text) ||
            sentence->text.len > SENTENCE_BYTES)
            continue;
        if (count < FACTS_MAX) {
            chosen[count++] = i;
            continue;
        }
        /* Replaces the one with the fewest marks, the earliest of these; order is kept. */
        size_t least = 0;
        for (size_t k = 1; k < count; k++) {
            if (s->sentences[chosen[k]].marks < s->sentences[chosen[least]].marks)
                least = k;
        }
        if (s->sentences[chosen[least]].marks >= sentence->marks)
            continue;
        for (size_t k = least; k + 1 < count; k++)
            chosen[k] = chosen[k + 1];
        chosen[count - 1] = i;
    }
    for (size_t k = 0; k < count; k++) {
        mc_auto(mc_buf_fini) struct mc_buf line;
        mc_buf_init(&line, 2 * SENTENCE_BYTES);
        put_line(&line, s->sentences[chosen[k]].text);
        facts[k] = mc_arena_copy(s->arena, mc_buf_str(&line));
        if (line.failed || !facts[k].data)
            return false;
    }
    extract->facts = facts;
    extract->fact_count = count;
    return true;
}

enum mc_status mc_summarise(const struct mc_utterance *utterances, size_t count, size_t max_bytes,
                            struct mc_arena *arena, struct mc_extract *extract,
                            struct mc_error *err)
{
    mc_auto(summary_fini) struct summary s = {.utterances = utterances, .arena = arena};
    mc_map_init(&s.numbers);
    s.sentences = mc_arena_array(arena, SENTENCES_MAX, sizeof(*s.sentences));
    if (!s.sentences || !read_all(&s, count))
        return mc_fail_memory(err);
    struct mc_extract made = {.fact_count = 0};
    if (!collect_facts(&s, &made))
        return mc_fail_memory(err);
    choose(&s, max_bytes);
    mc_auto(mc_buf_fini) struct mc_buf text;
    mc_buf_init(&text, max_bytes + 1024);
    write_text(&s, &text);
    if (text.len == 0 && s.count > 0)
        write_beginning(&s, max_bytes, &text);
    made.text = mc_arena_copy(arena, mc_buf_str(&text));
    if (text.failed || !made.text.data)
        return mc_fail_memory(err);
    *extract = made;
    return MC_OK;
}
