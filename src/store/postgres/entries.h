/* Changes of the search index, gathered over messages into few statements. Used by one thread at a time. */
#ifndef MC_STORE_POSTGRES_ENTRIES_H
#define MC_STORE_POSTGRES_ENTRIES_H

#include "store/postgres/pg.h"

struct mc_pg_entries;

/* What is known of a message in the index. */
struct mc_pg_indexed {
    int64_t row, user_no;
    mc_str thread_id;
    mc_str terms; /* absent: it is not indexed yet */
};

/*
 * The connection is in a transaction and borrowed. Entries that a message is to get, by its old terms, are taken for new
 * (mc_pg_not_new), unless there are doubts. MC_NO_MEMORY.
 */
MC_MUST_CHECK enum mc_status mc_pg_entries_new(struct mc_pg_conn *conn, bool doubts,
                                               struct mc_pg_entries **entries,
                                               struct mc_error *err);
void mc_pg_entries_free(struct mc_pg_entries **entries); /* accepts NULL in it */
/* Adds what lies between the message's terms and `terms`. MC_NO_MEMORY. */
MC_MUST_CHECK enum mc_status mc_pg_entries_add(struct mc_pg_entries *entries,
                                               const struct mc_pg_indexed *message, mc_str terms,
                                               struct mc_error *err);
/* Adds the statements for what is gathered. */
void mc_pg_entries_flush(struct mc_pg_entries *entries);

#endif
