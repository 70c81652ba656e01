#include "context/render.h"

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "base/utf8.h"
#include "context/tokens.h"
#include "text/terms.h"

#define INDENT "  "
#define LONG_WORD 32 /* bytes */
#define CUTS 4       /* a line that is too long after it was cut is cut again so many times */

static bool is_break(int32_t code)
{
    return (code >= '\n' && code <= '\r') || code == 0x85 || code == 0x2028 || code == 0x2029;
}

/* Bytes of `text` from `at` that need no change: no control characters, nothing of several bytes
 * that breaks lines. */
static size_t plain_run(mc_str text, size_t at)
{
    size_t end = at;
    while (end < text.len) {
        uint8_t c = (uint8_t)text.data[end];
        if (c < 0x20 || c == 0x7F || c == 0xC2 || c == 0xE2)
            break;
        end++;
    }
    return end - at;
}

void mc_render_quote(struct mc_buf *out, mc_str text)
{
    text = mc_str_trim(text);
    for (size_t at = 0; at < text.len;) {
        size_t run = plain_run(text, at);
        mc_buf_append(out, (mc_str){text.data + at, run});
        at += run;
        if (at == text.len)
            return;
        size_t begin = at;
        int32_t code = mc_utf8_next(text, &at);
        if (is_break(code)) {
            if (code == '\r' && at < text.len && text.data[at] == '\n')
                at++;
            mc_buf_text(out, "\n" INDENT);
        } else if (code >= 0 && (code < 0x20 || (code >= 0x7F && code < 0xA0))) {
            mc_buf_char(out, ' ');
        } else {
            mc_buf_append(out, (mc_str){text.data + begin, at - begin});
        }
    }
}

static char *put_digits(char *at, int value, int digits)
{
    for (int i = digits - 1; i >= 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + digits;
}

void mc_render_time(int64_t time_us, char text[MC_RENDER_TIME_SIZE])
{
    int year, month, day, weekday;
    mc_time_civil(time_us, &year, &month, &day, &weekday);
    int64_t minutes = time_us / (60 * MC_US_PER_SECOND) - (time_us % (60 * MC_US_PER_SECOND) < 0);
    int minute = (int)((minutes % 1440 + 1440) % 1440);
    char *at = put_digits(text, year < 0 ? 0 : year % 10000, 4);
    *at++ = '-';
    at = put_digits(at, month, 2);
    *at++ = '-';
    at = put_digits(at, day, 2);
    *at++ = ' ';
    at = put_digits(at, minute / 60, 2);
    *at++ = ':';
    at = put_digits(at, minute % 60, 2);
    *at = '\0';
}

/* Cuts what out holds behind its head so that with the mark and a line break it has max_units. */
static void cut_line(struct mc_buf *out, struct mc_measure *measure, size_t head, size_t max_units)
{
    size_t end_units = mc_measure_units(measure, MC_STR("\n")) + MC_TOKENS_CUT_UNITS;
    size_t room = max_units > end_units ? max_units - end_units : 0;
    for (int i = 0; i < CUTS && room > 0; i++) {
        mc_str fits = mc_measure_prefix(measure, mc_buf_str(out), room);
        while (fits.len > head &&
               (fits.data[fits.len - 1] == ' ' || fits.data[fits.len - 1] == '\n'))
            fits.len--;
        if (fits.len <= head)
            break;
        out->len = fits.len;
        mc_buf_text(out, MC_TOKENS_CUT_MARK "\n");
        if (!measure || !measure->llm)
            return; /* parts add up */
        size_t units = mc_measure_units(measure, mc_buf_str(out));
        if (units <= max_units)
            return;
        out->len = fits.len;
        room = room > units - max_units ? room - (units - max_units) : 0;
    }
    mc_buf_reset(out);
}

/* Quotes the text behind what out holds and ends the line, in at most max_units altogether. */
static void finish(struct mc_buf *out, struct mc_measure *measure, mc_str text, size_t max_units)
{
    size_t head = out->len;
    size_t bytes_max = mc_measure_bytes(measure, max_units);
    mc_render_quote(out, text.len > bytes_max ? mc_utf8_cut(text, bytes_max) : text);
    mc_buf_char(out, '\n');
    if (out->failed ||
        (text.len <= bytes_max && mc_measure_units(measure, mc_buf_str(out)) <= max_units))
        return;
    out->len--;
    cut_line(out, measure, head, max_units);
}

void mc_render_message(struct mc_buf *out, struct mc_measure *measure,
                       const struct mc_message *message, mc_str mark, mc_str text, size_t max_units)
{
    char time[MC_RENDER_TIME_SIZE];
    mc_render_time(message->created_at_us, time);
    mc_buf_reset(out);
    mc_buf_append(out, mark);
    mc_buf_char(out, '[');
    mc_buf_text(out, time);
    mc_buf_text(out, "] ");
    mc_buf_text(out, mc_role_name(message->role));
    if (message->agent_id.len > 0) {
        mc_buf_text(out, " (");
        mc_buf_append(out, message->agent_id);
        mc_buf_char(out, ')');
    }
    mc_buf_text(out, ": ");
    finish(out, measure, text, max_units);
}

void mc_render_piece(struct mc_buf *out, struct mc_measure *measure, mc_str source, mc_str title,
                     mc_str text, size_t max_units)
{
    mc_buf_reset(out);
    mc_buf_text(out, "- [");
    mc_render_quote(out, source);
    if (title.len > 0) {
        mc_buf_text(out, ": ");
        mc_render_quote(out, title);
    }
    mc_buf_text(out, "] ");
    finish(out, measure, text, max_units);
}

void mc_render_indented(struct mc_buf *out, struct mc_measure *measure, mc_str text,
                        size_t max_units)
{
    mc_buf_reset(out);
    mc_buf_text(out, INDENT);
    finish(out, measure, text, max_units);
}

/* ---- Excerpts ---- */

/* Where words of the query were met last in a text. */
struct sightings {
    size_t places[MC_MATCH_TERMS_MAX];
    uint64_t seen; /* bit i: word i was met */
};

/* What the words say that were met in the last `width` bytes before `place`; *begin: the first of them. */
static double say_together(const struct mc_query *query, const struct sightings *sightings,
                           size_t place, size_t width, size_t *begin)
{
    double sum = 0;
    *begin = place;
    for (size_t i = 0; i < query->word_count; i++) {
        size_t at = sightings->places[i];
        if (!(sightings->seen >> i & 1) || place - at > width)
            continue;
        sum += query->gains[i];
        *begin = at < *begin ? at : *begin;
    }
    return sum;
}

/*
 * The place in which words of the query that stand within `width` bytes say most together, the first of
 * such; false when none is in the text.
 */
static bool find_best_place(const struct mc_query *query, mc_str text, size_t width, size_t *place)
{
    struct mc_tokenizer tokenizer;
    struct mc_token token;
    struct mc_term_reader reader;
    struct sightings sightings = {.seen = 0};
    double best = 0;
    mc_tokenizer_init(&tokenizer, text);
    mc_term_reader_init(&reader);
    while (mc_token_next(&tokenizer, &token)) {
        mc_str term = mc_term_next(&reader, &token);
        size_t begin, word = term.len > 0 ? mc_query_word(query, term) : query->word_count;
        if (word == query->word_count)
            continue;
        sightings.places[word] = token.offset;
        sightings.seen |= UINT64_C(1) << word;
        double sum = say_together(query, &sightings, token.offset, width, &begin);
        if (sum > best) {
            best = sum;
            *place = begin;
        }
    }
    return best > 0;
}

/* The first beginning of a word from `at` on, or of a character when the next words are far. */
static size_t word_begin(mc_str text, size_t at, size_t end)
{
    while (at < end && ((uint8_t)text.data[at] & 0xC0) == 0x80)
        at++;
    for (size_t i = at; i < end && i < at + LONG_WORD; i++) {
        if (text.data[i] == ' ' || text.data[i] == '\n')
            return i + 1;
    }
    return at;
}

enum mc_status mc_render_excerpt(const struct mc_query *query, struct mc_measure *measure,
                                 mc_str text, size_t max_units, struct mc_arena *arena,
                                 mc_str *excerpt, struct mc_error *err)
{
    *excerpt = text;
    if (text.len <= max_units / 4 || mc_measure_prefix(measure, text, max_units).len == text.len)
        return MC_OK;
    size_t place = 0;
    /* A quarter of the room goes to what stands before the words, a half to them; about a unit a byte. */
    size_t lead = max_units / 4;
    if (!find_best_place(query, text, max_units / 2, &place))
        return MC_OK; /* who renders it cuts its end */
    if (place <= lead)
        return MC_OK;
    size_t begin = word_begin(text, place - lead, place);
    *excerpt = mc_arena_printf(arena, MC_TOKENS_CUT_MARK "%.*s", (int)(text.len - begin),
                               text.data + begin);
    return excerpt->data ? MC_OK : mc_fail_memory(err);
}
