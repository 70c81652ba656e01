/* What the files that copy a whole database share (store/copy.h). */
#ifndef MC_STORE_POSTGRES_COPY_H
#define MC_STORE_POSTGRES_COPY_H

#include "store/copy.h"
#include "store/postgres/pg.h"

/* A value of a column of that letter, for a statement or a COPY. */
struct mc_pg_arg mc_pg_copy_arg(char type, const struct mc_copy_value *value);
/* Writes messages, their ids and what the index has of them; inside a transaction. */
MC_MUST_CHECK enum mc_status mc_pg_copy_messages(struct mc_pg_conn *conn,
                                                 const struct mc_copy_page *page,
                                                 struct mc_error *err);

#endif
