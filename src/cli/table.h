/*
 * Aligned columns of text. Cells are copied and control characters in them escaped; columns of
 * numbers stand to the right. On a terminal the last column is broken into lines where it is wider
 * than what room is left, or stands below its row where next to nothing is left.
 */
#ifndef MC_CLI_TABLE_H
#define MC_CLI_TABLE_H

#include "base/arena.h"
#include "cli/output.h"

#define MC_TABLE_COLUMNS 12
struct mc_table {
    struct mc_arena arena;
    mc_str heads[MC_TABLE_COLUMNS];
    size_t columns;
    mc_str *cells;
    size_t count;
    size_t capacity;
    bool cut;    /* the last column is cut to one line instead of broken */
    bool failed; /* out of memory */
};
void mc_table_init(struct mc_table *table);
void mc_table_fini(struct mc_table *table);
/* Columns, before the first cell; empty names give a table without a head. */
void mc_table_head(struct mc_table *table, mc_str name);
/* Cells row by row. */
void mc_table_cell(struct mc_table *table, mc_str text);
void mc_table_printf(struct mc_table *table, const char *format, ...) MC_PRINTF(2, 3);
void mc_table_print(const struct mc_table *table, struct mc_out *out, size_t indent);

#endif
