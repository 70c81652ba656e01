#include "cli/table.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/str.h"

#define TABLE_BYTES ((size_t)64 << 20)
#define CELL_BYTES ((size_t)64 << 10)
#define GAP 2
#define LEAST_LAST 24 /* with less room the last column stands below */
#define BELOW 4       /* by how much it is indented there */

void mc_table_init(struct mc_table *table)
{
    memset(table, 0, sizeof(*table));
    mc_arena_init(&table->arena, TABLE_BYTES);
}

void mc_table_fini(struct mc_table *table)
{
    free(table->cells);
    mc_arena_fini(&table->arena);
}

void mc_table_head(struct mc_table *table, mc_str name)
{
    if (table->columns < MC_TABLE_COLUMNS)
        table->heads[table->columns++] = mc_arena_copy(&table->arena, name);
}

void mc_table_cell(struct mc_table *table, mc_str text)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, CELL_BYTES);
    if (table->count == table->capacity) {
        size_t capacity = table->capacity ? table->capacity * 2 : 64;
        mc_str *cells = realloc(table->cells, capacity * sizeof(*cells));
        if (!cells) {
            table->failed = true;
            return;
        }
        table->cells = cells;
        table->capacity = capacity;
    }
    mc_text_escape(&buf, text, false);
    mc_str cell = mc_arena_copy(&table->arena, mc_buf_str(&buf));
    if (!cell.data)
        table->failed = true;
    table->cells[table->count++] = cell;
}

void mc_table_printf(struct mc_table *table, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    mc_table_cell(table, mc_str_of(text));
}

static bool looks_numeric(mc_str text)
{
    bool digit = false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] >= '0' && text.data[i] <= '9')
            digit = true;
        else if (!strchr("+-.%", text.data[i]))
            return false;
    }
    return digit;
}

struct layout {
    size_t widths[MC_TABLE_COLUMNS];
    bool right[MC_TABLE_COLUMNS];
    size_t at;   /* where the last column begins */
    size_t last; /* columns that it may take; 0: no limit */
    bool below;  /* on lines of its own */
};

static void measure(const struct mc_table *table, const struct mc_out *out, size_t indent,
                    struct layout *layout)
{
    memset(layout, 0, sizeof(*layout));
    size_t used = indent;
    for (size_t c = 0; c < table->columns; c++) {
        layout->widths[c] = mc_text_width(table->heads[c]);
        layout->right[c] = table->count > 0;
        for (size_t i = c; i < table->count; i += table->columns) {
            size_t width = mc_text_width(table->cells[i]);
            if (width > layout->widths[c])
                layout->widths[c] = width;
            if (!looks_numeric(table->cells[i]))
                layout->right[c] = false;
        }
        if (c + 1 < table->columns)
            used += layout->widths[c] + GAP;
    }
    layout->at = used;
    if (!out->columns || !table->columns)
        return;
    layout->last = out->columns > used ? out->columns - used : 1;
    layout->below = layout->last < LEAST_LAST && layout->widths[table->columns - 1] > layout->last;
    if (layout->below) {
        layout->at = indent + BELOW;
        layout->last = out->columns > layout->at ? out->columns - layout->at : 1;
    }
}

static void print_last(const struct mc_table *table, const struct layout *layout, mc_str cell,
                       struct mc_out *out)
{
    if (layout->below)
        fprintf(out->file, "\n%*s", (int)layout->at, "");
    if (table->cut)
        mc_out_line(out, cell, layout->last);
    else
        mc_out_wrapped(out, cell, layout->at, layout->last);
}

static void print_row(const struct mc_table *table, const struct layout *layout,
                      const mc_str *cells, enum mc_style style, struct mc_out *out, size_t indent)
{
    fprintf(out->file, "%*s", (int)indent, "");
    for (size_t c = 0; c < table->columns; c++) {
        bool is_last = c + 1 == table->columns;
        size_t width = mc_text_width(cells[c]);
        int padding = (int)(layout->widths[c] > width ? layout->widths[c] - width : 0);
        if (layout->right[c])
            fprintf(out->file, "%*s", padding, "");
        if (style != MC_STYLE_NONE)
            mc_out_print(out, style, "%.*s", MC_STR_ARG(cells[c]));
        else if (is_last)
            print_last(table, layout, cells[c], out);
        else
            mc_out_line(out, cells[c], 0);
        if (!is_last)
            fprintf(out->file, "%*s", (layout->right[c] ? 0 : padding) + GAP, "");
    }
    fputc('\n', out->file);
}

void mc_table_print(const struct mc_table *table, struct mc_out *out, size_t indent)
{
    struct layout layout;
    if (!table->columns)
        return;
    measure(table, out, indent, &layout);
    bool headed = false;
    for (size_t c = 0; c < table->columns; c++)
        headed = headed || table->heads[c].len > 0;
    if (headed)
        print_row(table, &layout, table->heads, MC_STYLE_BOLD, out, indent);
    for (size_t i = 0; i + table->columns <= table->count; i += table->columns)
        print_row(table, &layout, table->cells + i, MC_STYLE_NONE, out, indent);
    if (table->failed)
        fputs("(out of memory: the table is not complete)\n", out->file);
}
