/*
 * Messages as lines of a prompt. Foreign text never begins a line: its line breaks, of whatever
 * kind, are followed by two spaces, so no text can forge an entry or a section. Pure.
 */
#ifndef MC_CONTEXT_RENDER_H
#define MC_CONTEXT_RENDER_H

#include "base/arena.h"
#include "base/buf.h"
#include "context/measure.h"
#include "context/query.h"

/* Appends text with its lines indented but the first; control characters become spaces. */
void mc_render_quote(struct mc_buf *out, mc_str text);

/*
 * "MARK[2026-01-31 12:00] user: text\n" of at most max_units (context/measure.h), the text cut to
 * fit; into out, which is emptied first. Empty when not even a character of the text fits.
 */
void mc_render_message(struct mc_buf *out, struct mc_measure *measure,
                       const struct mc_message *message, mc_str mark, mc_str text,
                       size_t max_units);

/* "- [source: title] text\n" (without a title "- [source] text\n") in the same way. */
void mc_render_piece(struct mc_buf *out, struct mc_measure *measure, mc_str source, mc_str title,
                     mc_str text, size_t max_units);

/* "  text\n", every line indented, cut to fit; empty when nothing fits. */
void mc_render_indented(struct mc_buf *out, struct mc_measure *measure, mc_str text,
                        size_t max_units);

/*
 * A part of a long text around the words of the query that say most together, at most about max_units:
 * the whole text when it is short, its beginning when no word of the query is in it. Whole words.
 * Arena.
 */
MC_MUST_CHECK enum mc_status mc_render_excerpt(const struct mc_query *query,
                                               struct mc_measure *measure, mc_str text,
                                               size_t max_units, struct mc_arena *arena,
                                               mc_str *excerpt, struct mc_error *err);

/* "2026-01-31 12:00" */
#define MC_RENDER_TIME_SIZE 17
void mc_render_time(int64_t time_us, char text[MC_RENDER_TIME_SIZE]);

#endif
