/* The data of COPY ... FROM STDIN (FORMAT binary): rows of values, put together in memory. Pure. */
#ifndef MC_STORE_POSTGRES_COPY_IN_H
#define MC_STORE_POSTGRES_COPY_IN_H

#include "store/postgres/conn.h"

/* Empties the buffer and puts the head there. The tail is mc_pg_copy_end's. */
void mc_pg_copy_begin(struct mc_buf *data);
void mc_pg_copy_end(struct mc_buf *data);

/*
 * A row: a letter for each value's type. An argument's: 'i' bigint, 'd' double precision, 'b' boolean, 's' text,
 * 'x' bytea, 't' timestamptz, 'S' text[]; and integers of two bytes as '2', texts of jsonb as 'j'.
 */
void mc_pg_copy_row(struct mc_buf *data, const char *types, const struct mc_pg_arg *values);

#endif
