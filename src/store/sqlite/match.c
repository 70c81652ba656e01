/*
 * Candidates for a query: one question to the index for each term, newest rows first, merged by
 * row.
 *
 * DESIGN. With an unfiltered reader and no bounds in time the index alone answers; otherwise its
 * rows are joined with their messages in the same statement. A thread is a token of the index.
 * Messages that are not indexed yet are few (workers settle them within milliseconds): the newest
 * of the queue are tokenised here and now. Everything happens in one snapshot, so that no message
 * is seen twice or missed in between.
 */
#include "store/sqlite/sqlite.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "store/rules.h"

/* Memory of one query: rows of all terms, twice, and the words of one pending message at a time. */
#define ARENA_MAX_BYTES (64U << 20)
#define QUESTION_BYTES ((size_t)1 << 20) /* of one question to the search index */

struct match {
    const struct mc_match_query *query;
    struct mc_conn *conn;
    struct mc_allowed allowed;
    struct mc_arena arena;
    int64_t user_no, user_messages;
    int64_t thread_no;  /* 0: all */
    bool filtered;      /* the index alone cannot answer */
    struct mc_buf tail; /* what every question ends with: AND ... */
    /* The result so far, newest row first, and room for the next merge. */
    struct mc_match *items, *spare;
    size_t count, capacity;
    uint32_t df[MC_MATCH_TERMS_MAX];
};

static void match_fini(struct match *m)
{
    mc_allowed_fini(&m->allowed);
    mc_arena_fini(&m->arena);
    mc_buf_fini(&m->tail);
    free(m->items);
    free(m->spare);
}

/* ---- Questions to the index ---- */

static void quote(struct match *m, struct mc_buf *out, mc_str token)
{
    mc_buf_char(out, '"');
    mc_fts_token(out, m->user_no, token);
    mc_buf_char(out, '"');
}

/* Each part of the tail begins with " AND ". */
static void build_tail(struct match *m)
{
    const struct mc_match_query *q = m->query;
    if (m->thread_no) {
        mc_buf_text(&m->tail, " AND \"");
        mc_fts_thread_token(&m->tail, m->user_no, m->thread_no);
        mc_buf_char(&m->tail, '"');
    }
    for (size_t i = 0; i < q->required_count; i++) {
        mc_buf_text(&m->tail, " AND (");
        for (size_t j = 0; j < q->required[i].count; j++) {
            if (j > 0)
                mc_buf_text(&m->tail, " OR ");
            quote(m, &m->tail, q->required[i].tokens[j]);
        }
        mc_buf_char(&m->tail, ')');
    }
}

static const char plain_sql[] = "SELECT rowid FROM messages_fts WHERE messages_fts MATCH ?1"
                                " ORDER BY rowid DESC LIMIT ?2";
static const char filtered_sql[] =
    "SELECT f.rowid FROM messages_fts f CROSS JOIN messages m ON m.id = f.rowid"
    " WHERE f.messages_fts MATCH ?1 AND m.created_at >= ?3 AND m.created_at < ?4"
    " AND " MC_SQL_ALLOWED " ORDER BY f.rowid DESC LIMIT ?2";

/* Rows of one question, newest first, into rows (room for limit). */
static enum mc_status ask(struct match *m, mc_str question, int64_t *rows, size_t *count,
                          struct mc_error *err)
{
    const struct mc_match_query *q = m->query;
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status =
        mc_conn_start(m->conn, m->filtered ? filtered_sql : plain_sql,
                      MC_BINDS(mc_bind_str(question), mc_bind_int((int64_t)q->limit),
                               mc_bind_int(q->since_us ? q->since_us : INT64_MIN),
                               mc_bind_int(q->until_us ? q->until_us : INT64_MAX)),
                      &stmt, err);
    if (status == MC_OK && m->filtered)
        mc_allowed_bind(&m->allowed, stmt);
    *count = 0;
    while (*count < q->limit && mc_conn_next(m->conn, stmt, &status, err)) {
        rows[(*count)++] = mc_column_int(stmt, 0);
    }
    return status;
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

/* Adds rows, newest first, with their mask. */
static bool merge(struct match *m, const int64_t *rows, size_t count, uint64_t mask)
{
    if (count == 0)
        return true;
    if (!make_room(m, m->count + count))
        return false;
    size_t a = 0, b = 0, out = 0;
    while (a < m->count || b < count) {
        if (b == count || (a < m->count && m->items[a].row > rows[b]))
            m->spare[out++] = m->items[a++];
        else if (a < m->count && m->items[a].row == rows[b])
            m->spare[out++] = (struct mc_match){rows[b++], m->items[a++].mask | mask};
        else
            m->spare[out++] = (struct mc_match){rows[b++], mask};
    }
    struct mc_match *merged = m->spare;
    m->spare = m->items;
    m->items = merged;
    m->count = out;
    return true;
}

static enum mc_status ask_all(struct match *m, struct mc_error *err)
{
    const struct mc_match_query *q = m->query;
    int64_t *rows = mc_arena_array(&m->arena, q->limit, sizeof(*rows));
    mc_auto(mc_buf_fini) struct mc_buf question;
    mc_buf_init(&question, SIZE_MAX / 2);
    build_tail(m);
    if (!rows)
        return mc_fail_memory(err);
    size_t questions = q->term_count > 0 ? q->term_count : 1;
    for (size_t i = 0; i < questions; i++) {
        mc_buf_reset(&question);
        mc_str tail = mc_buf_str(&m->tail);
        if (q->term_count > 0) {
            quote(m, &question, q->terms[i]);
        } else {
            /* Groups alone: the first " AND " goes. */
            tail.data += 5;
            tail.len -= 5;
        }
        mc_buf_append(&question, tail);
        if (question.failed || m->tail.failed)
            return mc_fail_memory(err);
        if (question.len > QUESTION_BYTES)
            return mc_fail(err, MC_TOO_LARGE, "the query is too long");
        size_t count;
        enum mc_status status = ask(m, mc_buf_str(&question), rows, &count, err);
        if (status != MC_OK)
            return status;
        if (q->term_count > 0)
            m->df[i] = (uint32_t)count;
        if (!merge(m, rows, count, q->term_count > 0 ? UINT64_C(1) << i : 0))
            return mc_fail_memory(err);
    }
    return MC_OK;
}

/* ---- Messages that are not indexed yet ---- */

static enum mc_status match_pending_row(struct match *m, sqlite3_stmt *stmt, struct mc_arena *words,
                                        struct mc_error *err)
{
    struct mc_terms terms;
    mc_arena_reset(words);
    if (!mc_terms_of(mc_column_str(stmt, 1), words, &terms))
        return mc_fail_memory(err);
    int64_t row = mc_column_int(stmt, 0);
    uint64_t mask;
    if (!mc_rules_pending_matches(m->query, &terms, &mask))
        return MC_OK;
    for (size_t i = 0; i < m->query->term_count; i++)
        if ((mask >> i & 1) && m->df[i] < m->query->limit)
            m->df[i]++;
    return merge(m, &row, 1, mask) ? MC_OK : mc_fail_memory(err);
}

static const char pending_sql[] =
    "SELECT m.id, m.text FROM (SELECT id FROM jobs WHERE stage = 1 ORDER BY due_at DESC LIMIT ?1) j"
    " CROSS JOIN messages m ON m.id = j.id WHERE m.user_no = ?2 AND m.terms IS NULL"
    " AND (?3 = 0 OR m.thread_no = ?3) AND m.created_at >= ?4 AND m.created_at < ?5"
    " AND " MC_SQL_ALLOWED " ORDER BY m.id DESC";

static enum mc_status match_pending(struct match *m, struct mc_error *err)
{
    const struct mc_match_query *q = m->query;
    mc_auto(mc_arena_fini) struct mc_arena words;
    mc_arena_init(&words, 16U << 20);
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_conn_start(
        m->conn, pending_sql,
        MC_BINDS(mc_bind_int(MC_PENDING_SCAN), mc_bind_int(m->user_no), mc_bind_int(m->thread_no),
                 mc_bind_int(q->since_us ? q->since_us : INT64_MIN),
                 mc_bind_int(q->until_us ? q->until_us : INT64_MAX)),
        &stmt, err);
    if (status == MC_OK)
        mc_allowed_bind(&m->allowed, stmt);
    while (mc_conn_next(m->conn, stmt, &status, err)) {
        status = match_pending_row(m, stmt, &words, err);
    }
    return status;
}

/* ---- The call ---- */

/* The numbers of user and thread; *found false: nothing can match. */
static enum mc_status resolve(struct match *m, bool *found, struct mc_error *err)
{
    const struct mc_match_query *q = m->query;
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    *found = false;
    enum mc_status status =
        mc_conn_start(m->conn, "SELECT user_no, messages FROM users WHERE user_id = ?1",
                      MC_BINDS(mc_bind_str(q->user_id)), &stmt, err);
    if (status == MC_OK)
        status = mc_conn_step(m->conn, stmt, found, err);
    if (status != MC_OK || !*found)
        return status;
    m->user_no = mc_column_int(stmt, 0);
    m->user_messages = mc_column_int(stmt, 1);
    if (!mc_str_given(q->thread_id))
        return MC_OK;
    return mc_conn_integer(
        m->conn, "SELECT thread_no FROM threads WHERE user_no = ?1 AND thread_id = ?2",
        MC_BINDS(mc_bind_int(m->user_no), mc_bind_str(q->thread_id)), found, &m->thread_no, err);
}

static enum mc_status match_all(struct match *m, struct mc_error *err)
{
    bool found;
    enum mc_status status = resolve(m, &found, err);
    if (status != MC_OK || !found || (m->query->term_count == 0 && m->query->required_count == 0))
        return status;
    status = ask_all(m, err);
    return status == MC_OK ? match_pending(m, err) : status;
}

enum mc_status mc_sqlite_match(struct mc_store *store, const struct mc_match_query *query,
                               struct mc_match_result *out, struct mc_error *err)
{
    enum mc_status status = mc_rules_check_query(query, err);
    if (status != MC_OK)
        return status;
    mc_auto(match_fini) struct match m = {
        .query = query,
        .filtered = !mc_reader_unfiltered(query->reader) || query->since_us || query->until_us,
    };
    mc_arena_init(&m.arena, ARENA_MAX_BYTES);
    mc_buf_init(&m.tail, SIZE_MAX / 2);
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_snapshot_end) struct mc_snapshot snapshot = {0};
    status = mc_allowed_init(&m.allowed, query->reader, err);
    if (status == MC_OK)
        status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_snapshot_begin(&snapshot, reading.conn, err);
    m.conn = reading.conn;
    if (status == MC_OK)
        status = match_all(&m, err);
    if (status != MC_OK)
        return status;
    *out = (struct mc_match_result){.count = m.count, .user_messages = m.user_messages};
    out->items = mc_steal(m.items);
    memcpy(out->df, m.df, sizeof(out->df));
    return MC_OK;
}
