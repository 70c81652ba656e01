/*
 * What people read: text that cannot harm a terminal, and colours only where they are wanted.
 *
 * Colours are used on a terminal unless NO_COLOR is set or TERM is dumb. Text from messages may
 * hold escape sequences; on a terminal control characters are shown as \x1b and the like, so that
 * nothing stored can move the cursor, change the title or turn the direction of writing.
 */
#ifndef MC_CLI_OUTPUT_H
#define MC_CLI_OUTPUT_H

#include <stdio.h>

#include "base/buf.h"

enum mc_style {
    MC_STYLE_NONE,
    MC_STYLE_BOLD,
    MC_STYLE_DIM,
    MC_STYLE_RED,
    MC_STYLE_GREEN,
    MC_STYLE_YELLOW,
    MC_STYLE_BLUE,
    MC_STYLE_CYAN
};

struct mc_out {
    FILE *file;
    bool terminal;
    bool colour;
    size_t columns; /* of the terminal; 0 when there is none */
};

void mc_out_init(struct mc_out *out, FILE *file);
/* printf in a style; the arguments must be the program's own text. */
void mc_out_print(struct mc_out *out, enum mc_style style, const char *format, ...) MC_PRINTF(3, 4);
/* Foreign text with its line breaks and tabs; other control characters are escaped on a terminal.
 */
void mc_out_text(struct mc_out *out, mc_str text);
/* Foreign text on one line of at most max columns (0: no limit), cut with an ellipsis. */
void mc_out_line(struct mc_out *out, mc_str text, size_t max_columns);
/*
 * Foreign text in lines of at most width columns, broken at blanks, and within a word only when it is
 * wider than a line. The first begins where the cursor is, which must be at that column; so do the
 * others. 0: one line without a limit.
 */
void mc_out_wrapped(struct mc_out *out, mc_str text, size_t column, size_t width);

/* Appends text in which control and direction characters are \xHH or \u{HHHH}. */
void mc_text_escape(struct mc_buf *buf, mc_str text, bool keep_breaks);
/* Columns that a text takes on a terminal. */
size_t mc_text_width(mc_str text);

#endif
