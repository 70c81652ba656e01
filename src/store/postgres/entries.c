#include "store/postgres/entries.h"

#include <stdlib.h>

#include "base/error.h"

/* Entries of one statement. */
#define ENTRIES_MAX 65536

/* Columns of a statement's rows. */
struct rows {
    const char *sql;
    size_t count;
    int64_t shards[ENTRIES_MAX], users[ENTRIES_MAX], terms[ENTRIES_MAX], ids[ENTRIES_MAX];
};
struct mc_pg_entries {
    struct mc_pg_conn *conn;
    struct rows less, more;
};

static const char less_sql[] =
    "DELETE FROM index_terms x USING unnest($1, $2, $3, $4) n(shard, user_no, term, id)"
    " WHERE x.shard = n.shard AND x.user_no = n.user_no AND x.term = n.term AND x.id = n.id";
/* In the order of the index: neighbours go into the same page. */
#define MORE                                                                                       \
    "INSERT INTO index_terms(shard, user_no, term, id)"                                            \
    " SELECT unnest($1), unnest($2), unnest($3), unnest($4) ORDER BY 1, 2, 3, 4"
static const char more_sql[] = MORE;
/* ON CONFLICT nearly doubles what an entry costs. */
static const char doubted_sql[] = MORE " ON CONFLICT DO NOTHING";

enum mc_status mc_pg_entries_new(struct mc_pg_conn *conn, bool doubts,
                                 struct mc_pg_entries **entries, struct mc_error *err)
{
    struct mc_pg_entries *made = malloc(sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->conn = conn;
    made->less.sql = less_sql;
    made->more.sql = doubts ? doubted_sql : more_sql;
    made->less.count = made->more.count = 0;
    *entries = made;
    return MC_OK;
}

void mc_pg_entries_free(struct mc_pg_entries **entries)
{
    free(*entries);
    *entries = NULL;
}

static void flush(struct mc_pg_conn *conn, struct rows *rows)
{
    size_t n = rows->count;
    if (n > 0)
        mc_pg_add_quiet(conn, rows->sql,
                        MC_PG_ARGS(mc_pg_ints(rows->shards, n), mc_pg_ints(rows->users, n),
                                   mc_pg_ints(rows->terms, n), mc_pg_ints(rows->ids, n)));
    rows->count = 0;
}

void mc_pg_entries_flush(struct mc_pg_entries *entries)
{
    flush(entries->conn, &entries->less);
    flush(entries->conn, &entries->more);
}

static void push(struct mc_pg_conn *conn, struct rows *rows, const struct mc_pg_indexed *message,
                 int64_t term)
{
    if (rows->count == ENTRIES_MAX)
        flush(conn, rows);
    rows->shards[rows->count] = mc_pg_row_shard(message->row);
    rows->users[rows->count] = message->user_no;
    rows->terms[rows->count] = term;
    rows->ids[rows->count++] = message->row;
}

/* Both lists are sorted. */
static void push_difference(struct mc_pg_entries *e, const struct mc_pg_indexed *message,
                            const int64_t *old, size_t old_count, const int64_t *new,
                            size_t new_count)
{
    size_t i = 0, j = 0;
    while (i < old_count || j < new_count) {
        if (j == new_count || (i < old_count && old[i] < new[j])) {
            push(e->conn, &e->less, message, old[i++]);
        } else if (i == old_count || new[j] < old[i]) {
            push(e->conn, &e->more, message, new[j++]);
        } else {
            i++;
            j++;
        }
    }
}

enum mc_status mc_pg_entries_add(struct mc_pg_entries *entries, const struct mc_pg_indexed *message,
                                 mc_str terms, struct mc_error *err)
{
    int64_t *old = NULL, *new = NULL;
    size_t old_count = 0, new_count = 0;
    bool indexed = mc_str_given(message->terms);
    if (indexed && mc_str_equal(message->terms, terms))
        return MC_OK;
    bool made = mc_pg_terms(terms.data ? terms : MC_STR(""), message->thread_id, &new, &new_count);
    if (made && indexed)
        made = mc_pg_terms(message->terms, message->thread_id, &old, &old_count);
    if (made)
        push_difference(entries, message, old, old_count, new, new_count);
    free(old);
    free(new);
    return made ? MC_OK : mc_fail_memory(err);
}
