/*
 * Candidates for a query: one question to the index for each term, newest rows first, all in one journey,
 * merged by row.
 *
 * DESIGN. The key of index_terms is (shard, user, term, row), so a question reads a term's rows backwards and stops
 * at the limit. What else must hold of a row (groups, a thread, time, access) is looked up row by row
 * (OFFSET 0 keeps the planner from turning it into a join that reads a whole table first). Messages that are
 * not indexed yet are few: the user's newest are tokenised here and now. All in one snapshot, so that
 * no message is seen twice or missed in between.
 */
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "store/postgres/pg.h"
#include "store/rules.h"

/* Words of one pending message at a time. */
#define WORDS_BYTES (16U << 20)
#define GROUP_TERMS_MAX 4096

/* ---- Terms ---- */

int64_t mc_pg_term(mc_str term)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < term.len; i++) {
        char c = term.data[i];
        c = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
        hash = (hash ^ (unsigned char)c) * UINT64_C(0x100000001b3);
    }
    return (int64_t)hash;
}

int64_t mc_pg_thread_term(mc_str thread_id)
{
    /* Terms never begin with a blank. */
    return (int64_t)(mc_str_hash(thread_id) * UINT64_C(0x9e3779b97f4a7c15) ^ UINT64_C(0x20));
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

bool mc_pg_terms(mc_str terms, mc_str thread_id, int64_t **numbers, size_t *count)
{
    int64_t *made = malloc((terms.len / 2 + 2) * sizeof(*made));
    size_t found = 0, kept = 0;
    mc_str rest = terms, term;
    if (!made)
        return false;
    made[found++] = mc_pg_thread_term(thread_id);
    while (rest.len > 0 && mc_str_split(&rest, ' ', &term))
        if (term.len > 0)
            made[found++] = mc_pg_term(term);
    qsort(made, found, sizeof(*made), by_number);
    for (size_t i = 0; i < found; i++)
        if (kept == 0 || made[kept - 1] != made[i])
            made[kept++] = made[i];
    *numbers = made;
    *count = kept;
    return true;
}

/* ---- The query ---- */

struct match {
    const struct mc_match_query *query;
    bool filtered; /* the index alone cannot answer */
    int64_t user_messages;
    /* What each row must have: terms, and the number of the group that each belongs to. */
    int64_t *group_terms, *group_numbers;
    size_t group_term_count, group_count;
    /* The result so far, newest row first, and room for the next merge. */
    struct mc_match *items, *spare;
    size_t count, capacity;
    uint32_t df[MC_MATCH_TERMS_MAX];
};

static void match_fini(struct match *m)
{
    free(m->group_terms);
    free(m->group_numbers);
    free(m->items);
    free(m->spare);
}

/* The thread is a group of one term, unless the messages are looked at anyway. */
static enum mc_status number_groups(struct match *m, struct mc_error *err)
{
    const struct mc_match_query *q = m->query;
    size_t count = 1;
    for (size_t i = 0; i < q->required_count; i++)
        count += q->required[i].count;
    if (count > GROUP_TERMS_MAX)
        return mc_fail(err, MC_TOO_LARGE, "the query is too long");
    m->group_terms = malloc(count * sizeof(*m->group_terms));
    m->group_numbers = malloc(count * sizeof(*m->group_numbers));
    if (!m->group_terms || !m->group_numbers)
        return mc_fail_memory(err);
    for (size_t i = 0; i < q->required_count; i++) {
        for (size_t j = 0; j < q->required[i].count; j++) {
            m->group_terms[m->group_term_count] = mc_pg_term(q->required[i].tokens[j]);
            m->group_numbers[m->group_term_count++] = (int64_t)i;
        }
    }
    m->group_count = q->required_count;
    if (mc_str_given(q->thread_id) && !m->filtered) {
        m->group_terms[m->group_term_count] = mc_pg_thread_term(q->thread_id);
        m->group_numbers[m->group_term_count++] = (int64_t)m->group_count++;
    }
    return MC_OK;
}

/* ---- Merging ---- */

static bool make_room(struct match *m, size_t count)
{
    if (count <= m->capacity)
        return true;
    size_t capacity = m->capacity > 0 ? m->capacity : 256;
    while (capacity < count)
        capacity *= 2;
    struct mc_match *items = realloc(m->items, capacity * sizeof(*items));
    if (items)
        m->items = items;
    struct mc_match *spare = realloc(m->spare, capacity * sizeof(*spare));
    if (spare)
        m->spare = spare;
    if (!items || !spare)
        return false;
    m->capacity = capacity;
    return true;
}

/* Adds the rows of a result, newest first, with their mask. */
static bool merge(struct match *m, const PGresult *rows, uint64_t mask)
{
    size_t a = 0, b = 0, out = 0, count = (size_t)PQntuples(rows);
    if (count == 0)
        return true;
    if (!make_room(m, m->count + count))
        return false;
    while (a < m->count || b < count) {
        int64_t row = b < count ? mc_pg_cell_int(rows, b, 0) : INT64_MIN;
        if (b == count || (a < m->count && m->items[a].row > row))
            m->spare[out++] = m->items[a++];
        else if (a < m->count && m->items[a].row == row)
            m->spare[out++] = (struct mc_match){row, m->items[a++].mask | mask};
        else
            m->spare[out++] = (struct mc_match){row, mask};
        b += b < count && m->spare[out - 1].row == row;
    }
    struct mc_match *merged = m->spare;
    m->spare = m->items;
    m->items = merged;
    m->count = out;
    return true;
}

/* Adds one row that is not there yet. */
static bool insert(struct match *m, int64_t row, uint64_t mask)
{
    if (!make_room(m, m->count + 1))
        return false;
    size_t at = 0;
    while (at < m->count && m->items[at].row > row)
        at++;
    memmove(&m->items[at + 1], &m->items[at], (m->count - at) * sizeof(*m->items));
    m->items[at] = (struct mc_match){row, mask};
    m->count++;
    return true;
}

/* ---- Questions to the index ---- */

#define QUESTION                                                                                   \
    "SELECT p.id FROM index_terms p WHERE p.shard = $1 AND p.user_no = " MC_PG_USER_NO             \
    " AND p.term = $3"
/* Never x.term = ANY: the planner may take it for a filter, and read all of the user's index for each row. */
#define IN_TERM                                                                                    \
    " AND EXISTS(SELECT 1 FROM index_terms x WHERE x.shard = $1 AND x.user_no = p.user_no"         \
    " AND x.term = ($5)[1] AND x.id = p.id OFFSET 0)"
#define IN_GROUP                                                                                   \
    " AND EXISTS(SELECT 1 FROM unnest($5) g(term), LATERAL (SELECT 1 FROM index_terms x"           \
    " WHERE x.shard = $1 AND x.user_no = p.user_no AND x.term = g.term AND x.id = p.id OFFSET 0) " \
    "y)"
#define IN_GROUPS                                                                                  \
    " AND (SELECT count(DISTINCT g.number) FROM unnest($5, $6) g(term, number)"                    \
    " WHERE EXISTS(SELECT 1 FROM index_terms x WHERE x.shard = $1 AND x.user_no = p.user_no"       \
    " AND x.term = g.term AND x.id = p.id OFFSET 0)) = $7"
#define FILTERED                                                                                   \
    " AND EXISTS(SELECT 1 FROM messages m WHERE m.shard = $1 AND m.id = p.id"                      \
    " AND m.created_at >= $8 AND m.created_at < $9 AND ($10::text IS NULL OR m.thread_id = $10)"   \
    " AND " MC_PG_ALLOWED " OFFSET 0)"
#define NEWEST " ORDER BY p.id DESC LIMIT $4"

/* Without groups, with one of one term, with one, with several; and whether messages are looked at. */
static const char *const questions[4][2] = {
    {QUESTION NEWEST, QUESTION FILTERED NEWEST},
    {QUESTION IN_TERM NEWEST, QUESTION IN_TERM FILTERED NEWEST},
    {QUESTION IN_GROUP NEWEST, QUESTION IN_GROUP FILTERED NEWEST},
    {QUESTION IN_GROUPS NEWEST, QUESTION IN_GROUPS FILTERED NEWEST}};

static void add_question(struct mc_pg_conn *conn, const struct match *m, int64_t term)
{
    const struct mc_match_query *q = m->query;
    struct mc_pg_allowed_args args;
    mc_pg_allowed(
        &args,
        MC_PG_ARGS(mc_pg_int(mc_pg_shard(q->user_id)), mc_pg_str(q->user_id), mc_pg_int(term),
                   mc_pg_int((int64_t)q->limit), mc_pg_ints(m->group_terms, m->group_term_count),
                   mc_pg_ints(m->group_numbers, m->group_term_count),
                   mc_pg_int((int64_t)m->group_count),
                   mc_pg_time(q->since_us ? q->since_us : INT64_MIN),
                   mc_pg_time(q->until_us ? q->until_us : INT64_MAX), mc_pg_str(q->thread_id)),
        q->reader);
    size_t kind = m->group_count < 2 ? m->group_count + (m->group_term_count > 1) : 3;
    if (!m->filtered)
        args.items[7] = (struct mc_pg_arg){.type = 0};
    mc_pg_add(conn, questions[kind][m->filtered], args.items);
}

static const char pending_sql[] =
    "SELECT m.id, m.text FROM messages m WHERE m.shard = $1 AND m.user_no = " MC_PG_USER_NO
    " AND m.terms IS NULL AND m.packed IS NULL"
    " AND ($4::text IS NULL OR m.thread_id = $4) AND m.created_at >= $5 AND m.created_at < $6"
    " AND " MC_PG_ALLOWED " ORDER BY m.id DESC LIMIT $3";

static void add_pending(struct mc_pg_conn *conn, const struct match *m)
{
    const struct mc_match_query *q = m->query;
    struct mc_pg_allowed_args args;
    mc_pg_allowed(&args,
                  MC_PG_ARGS(mc_pg_int(mc_pg_shard(q->user_id)), mc_pg_str(q->user_id),
                             mc_pg_int(MC_PENDING_SCAN), mc_pg_str(q->thread_id),
                             mc_pg_time(q->since_us ? q->since_us : INT64_MIN),
                             mc_pg_time(q->until_us ? q->until_us : INT64_MAX)),
                  q->reader);
    mc_pg_add(conn, pending_sql, args.items);
}

/* ---- Messages that are not indexed yet ---- */

static enum mc_status match_pending(struct match *m, const PGresult *rows, struct mc_error *err)
{
    mc_auto(mc_arena_fini) struct mc_arena words;
    mc_arena_init(&words, WORDS_BYTES);
    for (size_t i = 0; i < (size_t)PQntuples(rows); i++) {
        struct mc_terms terms;
        uint64_t mask;
        mc_arena_reset(&words);
        if (!mc_terms_of(mc_pg_cell(rows, i, 1), &words, &terms))
            return mc_fail_memory(err);
        if (!mc_rules_pending_matches(m->query, &terms, &mask))
            continue;
        for (size_t j = 0; j < m->query->term_count; j++)
            if ((mask >> j & 1) && m->df[j] < m->query->limit)
                m->df[j]++;
        if (!insert(m, mc_pg_cell_int(rows, i, 0), mask))
            return mc_fail_memory(err);
    }
    return MC_OK;
}

/* ---- The call ---- */

static enum mc_status match_all(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct match *m = context;
    const struct mc_match_query *q = m->query;
    m->count = 0;
    memset(m->df, 0, sizeof(m->df));
    /* Without terms each token of the first group is asked for; all other groups must be met. */
    bool by_group = q->term_count == 0, asks = !by_group || q->required_count > 0;
    size_t asked = by_group && asks ? q->required[0].count : q->term_count;
    mc_pg_add(conn, "SELECT messages FROM users WHERE shard = $1 AND user_id = $2",
              MC_PG_ARGS(mc_pg_int(mc_pg_shard(q->user_id)), mc_pg_str(q->user_id)));
    for (size_t i = 0; i < asked; i++)
        add_question(conn, m, by_group ? m->group_terms[i] : mc_pg_term(q->terms[i]));
    if (asks)
        add_pending(conn, m);
    enum mc_status status = mc_pg_run_last(conn, err);
    if (status != MC_OK)
        return status;
    m->user_messages = mc_pg_first_int(conn, 0);
    for (size_t i = 0; i < asked; i++) {
        const PGresult *rows = conn->results[1 + i];
        if (!by_group)
            m->df[i] = (uint32_t)PQntuples(rows);
        if (!merge(m, rows, by_group ? 0 : UINT64_C(1) << i))
            return mc_fail_memory(err);
    }
    if (by_group && m->count > q->limit)
        m->count = q->limit;
    return asks ? match_pending(m, conn->results[1 + asked], err) : MC_OK;
}

enum mc_status mc_pg_match(struct mc_store *store, const struct mc_match_query *query,
                           struct mc_match_result *out, struct mc_error *err)
{
    enum mc_status status = mc_rules_check_query(query, err);
    if (status != MC_OK)
        return status;
    mc_auto(match_fini) struct match m = {
        .query = query,
        .filtered = !mc_reader_unfiltered(query->reader) || query->since_us || query->until_us,
    };
    status = number_groups(&m, err);
    if (status == MC_OK)
        status = mc_pg_read_lagging(store, mc_pg_shard(query->user_id), MC_PG_SNAPSHOT, match_all,
                                    &m, err);
    if (status != MC_OK)
        return status;
    *out = (struct mc_match_result){.count = m.count, .user_messages = m.user_messages};
    out->items = mc_steal(m.items);
    memcpy(out->df, m.df, sizeof(out->df));
    return MC_OK;
}
