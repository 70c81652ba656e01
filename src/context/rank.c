#include "context/rank.h"

#include <math.h>

#include "base/error.h"
#include "base/str.h"
#include "base/utf8.h"
#include "context/speaker.h"
#include "message/decay.h"
#include "text/importance.h"
#include "text/lexicon.h"
#include "text/terms.h"
#include "text/token.h"

/*
 * DESIGN. The word score is BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework:
 * BM25 and Beyond", 2009) with a fixed average length, so that a message's score does not depend on
 * what else was found. What a turn says is often understood only with the turns around it (an
 * answer does not repeat the words of its question), so a turn gets a share of its neighbours' word
 * scores.
 */

#define BM25_K1 1.2
#define BM25_B 0.4
#define BM25_LENGTH 16.0 /* terms of an ordinary message */

#define ANSWER_SHARE 0.25
#define SESSION_WEIGHT 0.3
#define TOPIC_WEIGHT 0.3
#define TIME_WEIGHT 0.1
#define NUMBER_WEIGHT 0.1
#define SPEAKER_WEIGHT 0.05 /* by role, for "I" and "you" */
#define NAMED_WEIGHT 0.3
#define DATE_WEIGHT 0.4
#define IMPORTANCE_WEIGHT 0.03
#define RECENCY_WEIGHT 0.01
/* In mc_rank_answers. */
#define ANSWER_NEIGHBOURS 0.7
#define ANSWER_QUESTION 0.5
#define ANSWER_WORDS 0.5
/* So much of a text is searched for times and numbers. */
#define LOOK_BYTES 2000

const char *mc_feature_name(enum mc_feature feature)
{
    static const char *const names[] = {
#define FEATURE_NAME(name, text) text,
        MC_FEATURE_MAP(FEATURE_NAME)
#undef FEATURE_NAME
    };
    return (unsigned)feature < MC_FEATURE_COUNT ? names[feature] : "";
}

double mc_rank_covered(const struct mc_query *query, uint64_t mask)
{
    double covered = 0;
    bool words = query->word_count > 0;
    size_t begin = words ? 0 : query->word_count;
    size_t end = words ? query->word_count : query->term_count;
    for (size_t i = begin; i < end; i++) {
        if (mask & (UINT64_C(1) << i))
            covered += query->gains[i];
    }
    return query->mass > 0 ? fmin(covered / query->mass, 1.0) : 0;
}

/* ---- One message ---- */

struct tally {
    uint32_t counts[MC_MATCH_TERMS_MAX];
    size_t length;
    uint64_t shapes; /* of the query's terms: most words of a message have another one */
};

static uint64_t shape_of(mc_str term)
{
    return UINT64_C(1) << ((term.len * 7 + (uint8_t)term.data[0] +
                            (uint8_t)term.data[term.len - 1] * UINT64_C(3)) %
                           64);
}

static void count_token(const struct mc_query *query, struct tally *tally, mc_str token,
                        uint32_t times)
{
    if (token.len < 2 || token.data[1] != ':')
        tally->length += times;
    if (!(tally->shapes & shape_of(token)))
        return;
    for (size_t i = 0; i < query->term_count; i++) {
        mc_str term = query->terms[i];
        if (term.len == token.len && memcmp(term.data, token.data, token.len) == 0) {
            tally->counts[i] += times;
            return;
        }
    }
}

static enum mc_status tally_text(const struct mc_query *query, mc_str text, struct tally *tally,
                                 struct mc_arena *arena, struct mc_error *err)
{
    struct mc_terms terms;
    if (!mc_terms_of(text, arena, &terms))
        return mc_fail_memory(err);
    for (size_t i = 0; i < terms.count; i++)
        count_token(query, tally, terms.items[i].text,
                    terms.items[i].count < 4 ? terms.items[i].count : 4);
    return MC_OK;
}

enum mc_status mc_rank_own(const struct mc_query *query, struct mc_rank_item *item,
                           struct mc_arena *arena, struct mc_error *err)
{
    struct tally tally = {.length = 0};
    mc_str rest = item->record->terms, token;
    for (size_t i = 0; i < query->term_count; i++)
        tally.shapes |= shape_of(query->terms[i]);
    if (rest.len == 0) {
        enum mc_status status = tally_text(query, item->record->m.text, &tally, arena, err);
        if (status)
            return status;
    }
    while (rest.len > 0 && mc_str_split(&rest, ' ', &token)) {
        if (token.len > 0)
            count_token(query, &tally, token, 1);
    }
    item->own = 0;
    item->mask = 0;
    item->features[MC_FEATURE_TOPICS] = 0;
    double norm = BM25_K1 * (1 - BM25_B + BM25_B * (double)tally.length / BM25_LENGTH);
    for (size_t i = 0; i < query->term_count; i++) {
        if (tally.counts[i] == 0)
            continue;
        item->mask |= UINT64_C(1) << i;
        double tf = tally.counts[i];
        if (i < query->word_count)
            item->own += query->gains[i] * tf * (BM25_K1 + 1) / (tf + norm);
        else
            item->features[MC_FEATURE_TOPICS] += query->gains[i];
    }
    if (query->mass > 0) {
        item->own /= query->mass;
        item->features[MC_FEATURE_TOPICS] *= TOPIC_WEIGHT / query->mass;
    }
    return MC_OK;
}

/* ---- Between messages ---- */

static bool same_session(const struct mc_record *a, const struct mc_record *b)
{
    return mc_str_equal(a->m.session_id, b->m.session_id);
}

/* The turn of this index, within the session; NULL when not known. */
static const struct mc_rank_item *turn(const struct mc_rank_item *items,
                                       const struct mc_rank_item *item, size_t index)
{
    if (index == MC_RANK_NONE)
        return NULL;
    return same_session(item->record, items[index].record) ? &items[index] : NULL;
}

static double neighbour_score(const struct mc_rank_item *items, const struct mc_rank_item *item)
{
    const size_t next[2] = {item->before, item->after};
    const size_t second[2] = {item->second_before, item->second_after};
    double score = item->unread;
    for (int side = 0; side < 2; side++) {
        const struct mc_rank_item *near = turn(items, item, next[side]);
        const struct mc_rank_item *far = turn(items, item, second[side]);
        score += near ? MC_RANK_NEXT_SHARE * mc_rank_strength(near) : 0;
        score += far ? MC_RANK_SECOND_SHARE * mc_rank_strength(far) : 0;
    }
    return score;
}

static bool ends_with_question(mc_str text)
{
    static const char wide[] = "\xef\xbc\x9f"; /* U+FF1F */
    text = mc_str_trim(text);
    return mc_str_ends(text, MC_STR("?")) || mc_str_ends(text, mc_str_of(wide));
}

static double matched_weight(const struct mc_query *query, uint64_t mask)
{
    double weight = 0;
    for (size_t i = 0; i < query->term_count; i++)
        weight += mask & (UINT64_C(1) << i) ? query->weights[i] : 0;
    return weight;
}

double mc_rank_answers(const struct mc_query *query, const struct mc_rank_item *items,
                       const struct mc_rank_item *item)
{
    uint64_t mask = item->mask;
    for (int forward = 0; forward < 2; forward++) {
        const struct mc_rank_item *next = turn(items, item, forward ? item->after : item->before);
        /* What is asked behind it is not said. */
        if (next && !(forward && ends_with_question(next->record->m.text)))
            mask |= next->mask;
    }
    double own = mc_rank_covered(query, item->mask), all = mc_rank_covered(query, mask);
    double covered = own + ANSWER_NEIGHBOURS * (all - own);
    double weight = matched_weight(query, mask);
    double sure = weight / (weight + ANSWER_WORDS);
    /* What says the same in other words answers as well. */
    return fmax(covered * sure, item->meaning) *
           (ends_with_question(item->record->m.text) ? ANSWER_QUESTION : 1);
}

bool mc_rank_is_trivial(const struct mc_message *message)
{
    static const char trivial[] = "\"method\":\"trivial\"";
    return message->importance <= MC_IMPORTANCE_TRIVIAL &&
           memmem(message->metadata.data, message->metadata.len, trivial, sizeof(trivial) - 1);
}

/* The terms that each session has, over the candidates of it. */
struct sessions {
    struct session {
        const struct mc_record *first;
        uint64_t mask;
    } * slots;
    size_t capacity; /* power of two */
};

static struct session *session_of(struct sessions *s, const struct mc_record *record)
{
    size_t slot = mc_word_hash_more(mc_word_hash(record->m.thread_id), record->m.session_id.data,
                                    record->m.session_id.len) &
                  (s->capacity - 1);
    for (; s->slots[slot].first; slot = (slot + 1) & (s->capacity - 1)) {
        const struct mc_record *first = s->slots[slot].first;
        if (same_session(first, record) && mc_str_equal(first->m.thread_id, record->m.thread_id))
            break;
    }
    s->slots[slot].first = record;
    return &s->slots[slot];
}

static bool collect_sessions(struct sessions *s, const struct mc_rank_item *items, size_t count,
                             struct mc_arena *arena)
{
    for (s->capacity = 16; s->capacity < 2 * count;)
        s->capacity *= 2;
    s->slots = mc_arena_array(arena, s->capacity, sizeof(*s->slots));
    for (size_t i = 0; s->slots && i < count; i++)
        session_of(s, items[i].record)->mask |= items[i].mask;
    return s->slots != NULL;
}

/* The lexicon's marks of all words of a text, and whether it has digits. */
static uint32_t look_at(mc_str text, bool *digits)
{
    struct mc_tokenizer tokenizer;
    struct mc_token token;
    uint32_t flags = 0;
    mc_tokenizer_init(&tokenizer, mc_utf8_cut(text, LOOK_BYTES));
    while (mc_token_next(&tokenizer, &token)) {
        if (token.kind == MC_TOKEN_NUMBER || token.kind == MC_TOKEN_CODE)
            *digits = true;
        flags |= mc_lexicon_entry(mc_lexicon_find(token.folded, token.hash))->flags;
    }
    return flags;
}

static void score_form(const struct mc_query *query, struct mc_rank_item *item)
{
    const struct mc_message *m = &item->record->m;
    if ((query->of_user && m->role == MC_ROLE_USER) ||
        (query->of_assistant && m->role == MC_ROLE_ASSISTANT))
        item->features[MC_FEATURE_SPEAKER] = SPEAKER_WEIGHT;
    if (query->speaker.len > 0 && mc_str_equal(mc_speaker_of(m->text), query->speaker))
        item->features[MC_FEATURE_SPEAKER] = NAMED_WEIGHT;
    item->features[MC_FEATURE_DATE] = DATE_WEIGHT * mc_when_fit(&query->when, m->created_at_us);
    if (!query->asks_time && !query->asks_number)
        return;
    bool digits = false;
    uint32_t flags = look_at(m->text, &digits);
    const uint32_t time = MC_WORD_MONTH | MC_WORD_WEEKDAY | MC_WORD_SPAN | MC_WORD_RELATIVE_DAY;
    if (query->asks_time && (flags & time))
        item->features[MC_FEATURE_TIME] = TIME_WEIGHT;
    if (query->asks_number && (digits || (flags & MC_WORD_COUNT)))
        item->features[MC_FEATURE_NUMBER] = NUMBER_WEIGHT;
}

static void score_item(const struct mc_query *query, const struct mc_rank_item *items,
                       struct mc_rank_item *item, uint64_t session, int64_t half_life_us,
                       int64_t now_us)
{
    const struct mc_message *m = &item->record->m;
    const struct mc_rank_item *before = turn(items, item, item->before);
    double *f = item->features;
    f[MC_FEATURE_WORDS] = item->own;
    f[MC_FEATURE_MEANING] = MC_RANK_MEANING_WEIGHT * item->meaning;
    f[MC_FEATURE_NEIGHBOURS] = neighbour_score(items, item);
    if (before && mc_rank_strength(before) > 0 && ends_with_question(before->record->m.text))
        f[MC_FEATURE_ANSWER] = ANSWER_SHARE * mc_rank_strength(before);
    f[MC_FEATURE_SESSION] = SESSION_WEIGHT * mc_rank_covered(query, session);
    score_form(query, item);
    f[MC_FEATURE_IMPORTANCE] =
        IMPORTANCE_WEIGHT * mc_importance_at(m->importance, m->created_at_us, half_life_us, now_us);
    f[MC_FEATURE_RECENCY] =
        RECENCY_WEIGHT * mc_importance_at(1.0, m->created_at_us, half_life_us, now_us);
    item->score = 0;
    for (size_t i = 0; i < MC_FEATURE_COUNT; i++)
        item->score += f[i];
}

enum mc_status mc_rank_all(const struct mc_query *query, struct mc_rank_item *items, size_t count,
                           int64_t half_life_us, int64_t now_us, struct mc_arena *arena,
                           struct mc_error *err)
{
    struct sessions sessions;
    if (!collect_sessions(&sessions, items, count, arena))
        return mc_fail_memory(err);
    for (size_t i = 0; i < count; i++)
        score_item(query, items, &items[i], session_of(&sessions, items[i].record)->mask,
                   half_life_us, now_us);
    return MC_OK;
}

int mc_rank_compare(const struct mc_rank_item *a, const struct mc_rank_item *b)
{
    if (a->score > b->score || a->score < b->score)
        return a->score > b->score ? -1 : 1;
    if (a->record->m.created_at_us != b->record->m.created_at_us)
        return a->record->m.created_at_us > b->record->m.created_at_us ? -1 : 1;
    if (a->record->row == b->record->row)
        return 0;
    return a->record->row > b->record->row ? -1 : 1;
}
