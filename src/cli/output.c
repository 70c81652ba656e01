#include "cli/output.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/str.h"
#include "base/utf8.h"

#define LEAST_COLUMNS 40
#define LINE_BYTES ((size_t)4 << 20)

static const char *const styles[] = {
    [MC_STYLE_NONE] = "",         [MC_STYLE_BOLD] = "\033[1m",   [MC_STYLE_DIM] = "\033[2m",
    [MC_STYLE_RED] = "\033[31m",  [MC_STYLE_GREEN] = "\033[32m", [MC_STYLE_YELLOW] = "\033[33m",
    [MC_STYLE_BLUE] = "\033[34m", [MC_STYLE_CYAN] = "\033[36m",
};

static size_t terminal_columns(int descriptor)
{
    struct winsize size;
    if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col < LEAST_COLUMNS ? LEAST_COLUMNS : size.ws_col;
    return 80;
}

void mc_out_init(struct mc_out *out, FILE *file)
{
    const char *plain = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    out->file = file;
    out->terminal = isatty(fileno(file)) == 1;
    out->colour = out->terminal && !(plain && plain[0]) && !(term && strcmp(term, "dumb") == 0);
    out->columns = out->terminal ? terminal_columns(fileno(file)) : 0;
}

static void style_on(struct mc_out *out, enum mc_style style)
{
    if (out->colour && style != MC_STYLE_NONE)
        fputs(styles[style], out->file);
}

static void style_off(struct mc_out *out, enum mc_style style)
{
    if (out->colour && style != MC_STYLE_NONE)
        fputs("\033[0m", out->file);
}

void mc_out_print(struct mc_out *out, enum mc_style style, const char *format, ...)
{
    va_list args;
    style_on(out, style);
    va_start(args, format);
    vfprintf(out->file, format, args);
    va_end(args);
    style_off(out, style);
}

/* Control characters (C0, DEL, C1), line and paragraph separators, and marks that turn direction.
 */
static bool is_unsafe(int32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x200e || code == 0x200f ||
           code == 0x061c || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

void mc_text_escape(struct mc_buf *buf, mc_str text, bool keep_breaks)
{
    for (size_t at = 0; at < text.len;) {
        size_t start = at;
        int32_t code = mc_utf8_next(text, &at);
        if (at == start)
            break;
        bool layout = code == '\n' || code == '\t';
        if (code < 0)
            mc_buf_printf(buf, "\\x%02x", (unsigned)(unsigned char)text.data[start]);
        else if (layout && !keep_breaks)
            mc_buf_char(buf, ' ');
        else if (layout || !is_unsafe(code))
            mc_buf_append(buf, (mc_str){text.data + start, at - start});
        else if (code == '\r' && at < text.len && text.data[at] == '\n')
            continue;
        else if (code < 0x100)
            mc_buf_printf(buf, "\\x%02x", (unsigned)code);
        else
            mc_buf_printf(buf, "\\u{%04x}", (unsigned)code);
    }
}

/* East Asian wide and emoji blocks of Unicode TR 11, to the precision that alignment needs. */
static size_t code_width(int32_t code)
{
    static const int32_t wide[][2] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},
                                      {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
                                      {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x1f300, 0x1f64f},
                                      {0x1f680, 0x1f6ff}, {0x1f900, 0x1faff}, {0x20000, 0x3fffd}};
    if (code < 0x300)
        return 1;
    if (code == 0x200b || code == 0x200d || (code >= 0xfe00 && code <= 0xfe0f) ||
        mc_utf8_is_mark(code))
        return 0;
    for (size_t i = 0; i < mc_countof(wide); i++) {
        if (code >= wide[i][0] && code <= wide[i][1])
            return 2;
    }
    return 1;
}

size_t mc_text_width(mc_str text)
{
    size_t width = 0;
    for (size_t at = 0; at < text.len;)
        width += code_width(mc_utf8_next(text, &at));
    return width;
}

/* The longest prefix of at most max columns. */
static mc_str cut_columns(mc_str text, size_t max)
{
    size_t width = 0;
    for (size_t at = 0; at < text.len;) {
        size_t start = at;
        width += code_width(mc_utf8_next(text, &at));
        if (width > max)
            return (mc_str){text.data, start};
    }
    return text;
}

static void put_bytes(struct mc_out *out, mc_str text)
{
    if (text.len)
        fwrite(text.data, 1, text.len, out->file);
}

void mc_out_text(struct mc_out *out, mc_str text)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, text.len * 10 + 16);
    if (!out->terminal) {
        put_bytes(out, text);
        return;
    }
    mc_text_escape(&buf, text, true);
    put_bytes(out, mc_buf_str(&buf));
}

void mc_out_line(struct mc_out *out, mc_str text, size_t max_columns)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, LINE_BYTES);
    mc_text_escape(&buf, text, false);
    mc_str line = mc_buf_str(&buf);
    if (max_columns && mc_text_width(line) > max_columns) {
        put_bytes(out, cut_columns(line, max_columns - 1));
        fputs("…", out->file);
    } else {
        put_bytes(out, line);
    }
}

/* The part of a line that fits; what follows begins behind the blank at which it was broken. */
static mc_str next_line(mc_str *rest, size_t width)
{
    mc_str line = cut_columns(*rest, width);
    size_t end = line.len;
    if (end < rest->len) {
        while (end > 0 && rest->data[end] != ' ')
            end--;
        if (end > 0)
            line.len = end;
        else if (line.len == 0) /* a wide character where there is one column */
            line = *rest;
    }
    *rest = (mc_str){rest->data + line.len, rest->len - line.len};
    while (rest->len > 0 && rest->data[0] == ' ')
        *rest = (mc_str){rest->data + 1, rest->len - 1};
    return line;
}

void mc_out_wrapped(struct mc_out *out, mc_str text, size_t column, size_t width)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, LINE_BYTES);
    mc_text_escape(&buf, text, false);
    mc_str rest = mc_buf_str(&buf);
    if (width == 0) {
        put_bytes(out, rest);
        return;
    }
    bool first = true;
    while (rest.len > 0) {
        if (!first)
            fprintf(out->file, "\n%*s", (int)column, "");
        put_bytes(out, next_line(&rest, width));
        first = false;
    }
}
