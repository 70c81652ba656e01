/* Writing a page of messages: into three tables, each through COPY. */
#include "store/postgres/copy.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "store/postgres/copy_in.h"

/* A page's data for one COPY. */
#define COPY_BYTES ((size_t)1 << 30)
#define GROUPS_MAX 64

struct entry {
    int64_t shard, user_no, term, row;
};

/* A page of messages on its way into three tables. */
struct messages {
    const struct mc_copy_page *page;
    int64_t *rows, *user_nos, *shards; /* new rows, in the order of the page */
    mc_str *users;
    struct mc_buf data; /* of one COPY */
    struct entry *entries;
    size_t entry_count, entry_capacity;
};

static void messages_fini(struct messages *m)
{
    free(m->rows);
    free(m->user_nos);
    free(m->shards);
    free(m->users);
    free(m->entries);
    mc_buf_fini(&m->data);
}

static enum mc_status messages_init(struct messages *m, const struct mc_copy_page *page,
                                    struct mc_error *err)
{
    m->page = page;
    m->rows = calloc(page->rows, sizeof(*m->rows));
    m->user_nos = calloc(page->rows, sizeof(*m->user_nos));
    m->shards = calloc(page->rows, sizeof(*m->shards));
    m->users = calloc(page->rows, sizeof(*m->users));
    mc_buf_init(&m->data, COPY_BYTES);
    return m->rows && m->user_nos && m->shards && m->users ? MC_OK : mc_fail_memory(err);
}

/* The numbers of rows and users. */
static enum mc_status number_messages(struct mc_pg_conn *conn, struct messages *m,
                                      struct mc_error *err)
{
    size_t count = m->page->rows;
    for (size_t i = 0; i < count; i++) {
        m->users[i] = mc_copy_row(m->page, i)[1].text;
        m->shards[i] = mc_pg_shard(m->users[i]);
    }
    mc_pg_add(conn, "SELECT nextval('message_rows') FROM generate_series(1, $1)",
              MC_PG_ARGS(mc_pg_int((int64_t)count)));
    mc_pg_add(conn,
              "SELECT u.user_no FROM unnest($1::bigint[], $2::text[])"
              " WITH ORDINALITY k(shard, user_id, n) LEFT JOIN users u ON u.shard = k.shard"
              " AND u.user_id = k.user_id ORDER BY k.n",
              MC_PG_ARGS(mc_pg_ints(m->shards, count), mc_pg_strs(m->users, count)));
    enum mc_status status = mc_pg_run(conn, err);
    if (status == MC_OK && (mc_pg_rows(conn, 0) != count || mc_pg_rows(conn, 1) != count))
        return mc_fail(err, MC_INTERNAL, "the database gave too few numbers for messages");
    for (size_t i = 0; status == MC_OK && i < count; i++) {
        m->rows[i] = mc_pg_cell_int(conn->results[0], i, 0) * 256 + m->shards[i];
        m->user_nos[i] = mc_pg_cell_int(conn->results[1], i, 0);
        if (m->user_nos[i] == 0)
            return mc_fail(err, MC_CORRUPT,
                           "message '%.*s' is of a user that the source does not list; run doctor",
                           MC_STR_ARG(mc_copy_row(m->page, i)[0].text));
    }
    return status;
}

static enum mc_status copy_in(struct mc_pg_conn *conn, struct messages *m, const char *sql,
                              struct mc_error *err)
{
    mc_pg_copy_end(&m->data);
    if (m->data.failed)
        return mc_fail_memory(err);
    return mc_pg_copy_in(conn, sql, mc_buf_str(&m->data), err);
}

static enum mc_status write_ids(struct mc_pg_conn *conn, struct messages *m, struct mc_error *err)
{
    mc_pg_copy_begin(&m->data);
    for (size_t i = 0; i < m->page->rows; i++) {
        mc_str id = mc_copy_row(m->page, i)[0].text;
        mc_pg_copy_row(
            &m->data, "2si",
            MC_PG_ARGS(mc_pg_int(mc_pg_shard(id)), mc_pg_str(id), mc_pg_int(m->rows[i])));
    }
    return copy_in(conn, m, "COPY message_ids(shard, message_id, id) FROM STDIN (FORMAT binary)",
                   err);
}

/* An array of names from its JSON. */
static enum mc_status read_groups(const struct mc_copy_value *json, struct mc_json **root,
                                  mc_str groups[GROUPS_MAX], size_t *count, struct mc_error *err)
{
    *count = 0;
    if (json->null)
        return MC_OK;
    if (mc_json_parse(json->text, root, err) != MC_OK || mc_json_type(*root) != MC_JSON_ARRAY ||
        mc_json_count(*root) > GROUPS_MAX)
        return mc_fail(err, MC_CORRUPT,
                       "bad sharing groups in a message of the source; run doctor");
    *count = mc_json_count(*root);
    for (size_t i = 0; i < *count; i++)
        groups[i] = mc_json_string(mc_json_at(*root, i));
    return MC_OK;
}

static enum mc_status write_rows(struct mc_pg_conn *conn, struct messages *m, struct mc_error *err)
{
    mc_pg_copy_begin(&m->data);
    for (size_t i = 0; i < m->page->rows; i++) {
        const struct mc_copy_value *v = mc_copy_row(m->page, i);
        mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
        mc_str groups[GROUPS_MAX];
        size_t group_count;
        enum mc_status status = read_groups(&v[13], &root, groups, &group_count, err);
        if (status != MC_OK)
            return status;
        mc_pg_copy_row(&m->data, "2isssitt2222bdssSsxjssx",
                       MC_PG_ARGS(mc_pg_int(m->shards[i]), mc_pg_int(m->rows[i]),
                                  mc_pg_copy_arg('s', &v[0]), mc_pg_copy_arg('s', &v[1]),
                                  mc_pg_copy_arg('s', &v[2]), mc_pg_int(m->user_nos[i]),
                                  mc_pg_copy_arg('t', &v[3]), mc_pg_copy_arg('t', &v[4]),
                                  mc_pg_copy_arg('i', &v[5]), mc_pg_copy_arg('i', &v[6]),
                                  mc_pg_copy_arg('i', &v[7]), mc_pg_copy_arg('i', &v[8]),
                                  mc_pg_copy_arg('b', &v[9]), mc_pg_copy_arg('d', &v[10]),
                                  mc_pg_copy_arg('s', &v[11]), mc_pg_copy_arg('s', &v[12]),
                                  mc_pg_strs(groups, group_count), mc_pg_copy_arg('s', &v[14]),
                                  mc_pg_copy_arg('x', &v[15]), mc_pg_copy_arg('s', &v[16]),
                                  mc_pg_copy_arg('s', &v[16]), mc_pg_copy_arg('s', &v[17]),
                                  mc_pg_copy_arg('x', &v[18])));
    }
    return copy_in(conn, m,
                   "COPY messages(shard, id, message_id, user_id, thread_id, user_no, created_at,"
                   " stored_at, role, visibility, tier, state, trivial, importance, session_id,"
                   " agent_id, sharing_groups, terms, twin, metadata, attached, text, packed)"
                   " FROM STDIN (FORMAT binary)",
                   err);
}

static bool add_entries(struct messages *m, size_t i)
{
    const struct mc_copy_value *v = mc_copy_row(m->page, i);
    int64_t *numbers;
    size_t count;
    if (v[14].null)
        return true;
    if (!mc_pg_terms(v[14].text, v[2].text, &numbers, &count))
        return false;
    if (m->entry_count + count > m->entry_capacity) {
        size_t capacity = (m->entry_capacity + count) * 2;
        struct entry *entries = realloc(m->entries, capacity * sizeof(*entries));
        if (!entries) {
            free(numbers);
            return false;
        }
        m->entries = entries;
        m->entry_capacity = capacity;
    }
    for (size_t j = 0; j < count; j++)
        m->entries[m->entry_count++] =
            (struct entry){m->shards[i], m->user_nos[i], numbers[j], m->rows[i]};
    free(numbers);
    return true;
}

static int by_key(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    for (size_t i = 0; i < sizeof(struct entry) / sizeof(*x); i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

/* In the order of the index: neighbours are written together. */
static enum mc_status write_entries(struct mc_pg_conn *conn, struct messages *m,
                                    struct mc_error *err)
{
    for (size_t i = 0; i < m->page->rows; i++)
        if (!add_entries(m, i))
            return mc_fail_memory(err);
    if (m->entry_count == 0)
        return MC_OK;
    qsort(m->entries, m->entry_count, sizeof(*m->entries), by_key);
    mc_pg_copy_begin(&m->data);
    for (size_t i = 0; i < m->entry_count; i++) {
        const struct entry *e = &m->entries[i];
        mc_pg_copy_row(&m->data, "2iii",
                       MC_PG_ARGS(mc_pg_int(e->shard), mc_pg_int(e->user_no), mc_pg_int(e->term),
                                  mc_pg_int(e->row)));
    }
    return copy_in(conn, m, "COPY index_terms(shard, user_no, term, id) FROM STDIN (FORMAT binary)",
                   err);
}

enum mc_status mc_pg_copy_messages(struct mc_pg_conn *conn, const struct mc_copy_page *page,
                                   struct mc_error *err)
{
    mc_auto(messages_fini) struct messages m = {0};
    enum mc_status status = messages_init(&m, page, err);
    if (status == MC_OK)
        status = number_messages(conn, &m, err);
    if (status == MC_OK)
        status = write_ids(conn, &m, err);
    if (status == MC_OK)
        status = write_rows(conn, &m, err);
    return status == MC_OK ? write_entries(conn, &m, err) : status;
}
