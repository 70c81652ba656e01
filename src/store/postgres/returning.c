#include "store/postgres/returning.h"

#include "store/postgres/entries.h"

int mc_pg_returning_by_thread(const void *a, const void *b)
{
    const struct mc_pg_returning *x = a, *y = b;
    int order = mc_pg_compare(x->user_id, y->user_id);
    return order != 0 ? order : mc_pg_compare(x->thread_id, y->thread_id);
}

enum mc_status mc_pg_returning_add_index(struct mc_pg_conn *conn,
                                         const struct mc_pg_returning *items, size_t count,
                                         struct mc_error *err)
{
    mc_auto(mc_pg_entries_free) struct mc_pg_entries *entries = NULL;
    enum mc_status status = mc_pg_entries_new(conn, true, &entries, err);
    for (size_t i = 0; status == MC_OK && i < count; i++) {
        struct mc_pg_indexed message = {items[i].row, items[i].user_no, items[i].thread_id,
                                        MC_STR_NONE};
        if (mc_str_given(items[i].terms))
            status = mc_pg_entries_add(entries, &message, items[i].terms, err);
    }
    if (status == MC_OK)
        mc_pg_entries_flush(entries);
    return status;
}
