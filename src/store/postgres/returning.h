/* Messages that an undo brings back: out of the trash (trash.c), or into an earlier tier and form (undo.c). */
#ifndef MC_STORE_POSTGRES_RETURNING_H
#define MC_STORE_POSTGRES_RETURNING_H

#include "store/postgres/pg.h"

/* The texts are of an arena. */
struct mc_pg_returning {
    int64_t row, user_no, created_us;
    mc_str message_id, user_id, thread_id, terms, frame;
    mc_str text, metadata; /* out of the frame; absent when it is damaged */
    bool settled;          /* enriched, or compressed after that */
    bool owned, back;
};

/* An order for qsort: by user, by thread. */
int mc_pg_returning_by_thread(const void *a, const void *b);

/* Adds statements that put those with terms into the search index. */
MC_MUST_CHECK enum mc_status mc_pg_returning_add_index(struct mc_pg_conn *conn,
                                                       const struct mc_pg_returning *items,
                                                       size_t count, struct mc_error *err);

#endif
