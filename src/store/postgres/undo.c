/*
 * Taking back a tier migration (sqlite/undo.c says how; here it is done by shards). Locks are taken in the order of
 * puts: ids (by shard), users, threads.
 */
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "message/index_tokens.h"
#include "store/postgres/entries.h"

#define TEXTS_BYTES ((size_t)1 << 30)
#define TERMS_MAX ((size_t)1 << 20)
#define TERMS_ARENA_MAX ((size_t)64 << 20)
#define SHARDS 256
/* Rows of a shard that one step looks at: in time also where each is read from a slow disk. */
#define WINDOW 5000

/* ---- The trash ---- */

#define COLUMNS                                                                                    \
    "message_id, user_id, thread_id, user_no, created_at, stored_at, role, visibility, tier,"      \
    " state, trivial, importance, session_id, agent_id, sharing_groups, terms, left_short,"        \
    " left_mid, left_long, packed_by, attached, text, packed"

enum mc_status mc_pg_trash(struct mc_pg_conn *conn, const int64_t *rows, size_t count, int64_t run,
                           struct mc_error *err)
{
    size_t statements;
    const struct mc_pg_arg more[] = {mc_pg_int(run), {.type = 0}};
    enum mc_status status = mc_pg_add_by_shard(
        conn,
        "INSERT INTO trash(shard, id, run, " COLUMNS
        ", stage, enqueued_at, attempts, died_at, error) SELECT m.shard, m.id, $3, " COLUMNS
        ", stage, enqueued_at, attempts, died_at, error FROM messages m"
        " LEFT JOIN jobs j ON j.shard = " MC_PG_QUEUE " AND j.id = m.id"
        " WHERE m.shard = $1 AND m.id = ANY($2)",
        rows, count, more, &statements, err);
    return status == MC_OK ? mc_pg_run(conn, err) : status;
}

/* ---- Restoring ---- */

struct undoing {
    struct mc_undo *undo;
    int64_t shard, after;
    struct mc_undo_step step;
};

/* A message of the trash, or one that is in a tier and form that the runs gave it; the texts are of an arena. */
struct returning {
    int64_t row, user_no, created_us;
    mc_str message_id, user_id, thread_id, terms, frame;
    mc_str text, metadata; /* out of the frame; absent when it is damaged */
    bool settled;          /* enriched, or compressed after that */
    bool owned, back;
};

/* The order in which puts take ids. */
static int by_message_id(const void *a, const void *b)
{
    const struct returning *x = a, *y = b;
    int64_t x_shard = mc_pg_shard(x->message_id), y_shard = mc_pg_shard(y->message_id);
    int order = (x_shard > y_shard) - (x_shard < y_shard);
    if (order == 0)
        order = mc_pg_compare(x->message_id, y->message_id);
    /* Of one id the newest comes back. */
    return order != 0 ? order : (x->row < y->row) - (x->row > y->row);
}

static int by_thread(const void *a, const void *b)
{
    const struct returning *x = a, *y = b;
    int order = mc_pg_compare(x->user_id, y->user_id);
    return order != 0 ? order : mc_pg_compare(x->thread_id, y->thread_id);
}

static int by_owner(const void *a, const void *b)
{
    const struct returning *x = a, *y = b;
    int order = by_thread(a, b);
    return order != 0 ? order : (x->user_no > y->user_no) - (x->user_no < y->user_no);
}

/* Copies texts of a result's row; absent ones stay so. */
static bool copy_texts(const PGresult *result, size_t i, int column, struct mc_arena *texts,
                       mc_str *const *to, size_t count)
{
    bool copied = true;
    for (size_t j = 0; j < count; j++) {
        mc_str cell = mc_pg_cell(result, i, column + (int)j);
        if (!mc_str_given(cell))
            continue;
        *to[j] = mc_arena_copy(texts, cell);
        copied = copied && to[j]->data;
    }
    return copied;
}

static enum mc_status read_trash(struct mc_pg_conn *conn, const struct undoing *u,
                                 struct mc_arena *texts, struct returning **items, size_t *count,
                                 struct mc_error *err)
{
    enum mc_status status = mc_pg_query(
        conn,
        "SELECT id, user_no, created_at, packed IS NOT NULL, message_id, user_id, thread_id, terms"
        " FROM trash WHERE run BETWEEN $1 AND $2 ORDER BY run DESC, id DESC LIMIT $3 FOR UPDATE",
        MC_PG_ARGS(mc_pg_int(u->undo->first), mc_pg_int(u->undo->last),
                   mc_pg_int((int64_t)u->undo->batch)),
        err);
    if (status != MC_OK)
        return status;
    *count = mc_pg_rows(conn, 0);
    *items = mc_arena_array(texts, *count + 1, sizeof(**items));
    if (!*items)
        return mc_fail_memory(err);
    for (size_t i = 0; i < *count; i++) {
        const PGresult *result = conn->results[0];
        struct returning *r = &(*items)[i];
        *r = (struct returning){.row = mc_pg_cell_int(result, i, 0),
                                .user_no = mc_pg_cell_int(result, i, 1),
                                .created_us = mc_pg_cell_time(result, i, 2),
                                .settled = mc_pg_cell_int(result, i, 3) != 0};
        mc_str *const to[] = {&r->message_id, &r->user_id, &r->thread_id, &r->terms};
        if (!copy_texts(result, i, 4, texts, to, mc_countof(to)))
            return mc_fail_memory(err);
        r->settled = r->settled || mc_str_given(r->terms);
    }
    return MC_OK;
}

/* Drops those whose user or thread is gone: a server of an older version erases users without their trash. */
static enum mc_status keep_owned(struct mc_pg_conn *conn, struct returning *items, size_t *count,
                                 struct mc_error *err)
{
    size_t kept = 0;
    qsort(items, *count, sizeof(*items), by_owner);
    for (size_t i = 0; i < *count; i++) {
        const struct returning *r = &items[i];
        if (i > 0 && by_owner(r, r - 1) == 0)
            continue;
        mc_pg_add(conn,
                  "SELECT EXISTS(SELECT 1 FROM users WHERE shard = $1 AND user_id = $2"
                  " AND user_no = $4) AND EXISTS(SELECT 1 FROM threads WHERE shard = $1"
                  " AND user_id = $2 AND thread_id = $3)",
                  MC_PG_ARGS(mc_pg_int(mc_pg_row_shard(r->row)), mc_pg_str(r->user_id),
                             mc_pg_str(r->thread_id), mc_pg_int(r->user_no)));
    }
    enum mc_status status = mc_pg_run(conn, err);
    for (size_t i = 0, end, nth = 0; status == MC_OK && i < *count; i = end) {
        bool owned = mc_pg_first_int(conn, nth++) != 0;
        for (end = i; end < *count && by_owner(&items[end], &items[i]) == 0; end++)
            items[end].owned = owned;
    }
    for (size_t i = 0; status == MC_OK && i < *count; i++)
        if (items[i].owned)
            items[kept++] = items[i];
    *count = kept;
    return status;
}

/* Takes the ids that are free: their messages come back. */
static enum mc_status take_ids(struct mc_pg_conn *conn, struct mc_arena *texts,
                               struct returning *items, size_t count, struct mc_error *err)
{
    int64_t *shards = mc_arena_array(texts, count, sizeof(*shards));
    int64_t *rows = mc_arena_array(texts, count, sizeof(*rows));
    mc_str *ids = mc_arena_array(texts, count, sizeof(*ids));
    if (!shards || !rows || !ids)
        return mc_fail_memory(err);
    qsort(items, count, sizeof(*items), by_message_id);
    for (size_t i = 0; i < count; i++) {
        shards[i] = mc_pg_shard(items[i].message_id);
        ids[i] = items[i].message_id;
        rows[i] = items[i].row;
    }
    enum mc_status status = mc_pg_query(
        conn,
        "INSERT INTO message_ids(shard, message_id, id) SELECT a.shard, a.message_id,"
        " a.id FROM unnest($1, $2, $3) a(shard, message_id, id)"
        " ORDER BY a.shard, a.message_id COLLATE \"C\", a.id DESC"
        " ON CONFLICT (shard, message_id) DO NOTHING RETURNING id",
        MC_PG_ARGS(mc_pg_ints(shards, count), mc_pg_strs(ids, count), mc_pg_ints(rows, count)),
        err);
    /* Both are in the order of ids. */
    for (size_t i = 0, nth = 0; status == MC_OK && i < count && nth < mc_pg_rows(conn, 0); i++) {
        items[i].back = items[i].row == mc_pg_cell_int(conn->results[0], nth, 0);
        nth += items[i].back;
    }
    return status;
}

/* Counts what comes back in users and threads. */
static void add_counts(struct mc_pg_conn *conn, const struct returning *items, size_t count,
                       int64_t *times)
{
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i; end < count && mc_str_equal(items[end].user_id, items[i].user_id);)
            end++;
        mc_pg_add_quiet(conn,
                        "UPDATE users SET messages = messages + $3"
                        " WHERE shard = $1 AND user_id = $2",
                        MC_PG_ARGS(mc_pg_int(mc_pg_row_shard(items[i].row)),
                                   mc_pg_str(items[i].user_id), mc_pg_int((int64_t)(end - i))));
    }
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i; end < count && by_thread(&items[end], &items[i]) == 0; end++)
            times[end - i] = items[end].created_us;
        mc_pg_add_quiet(
            conn,
            "UPDATE threads SET version = version + $4, messages = messages + $4,"
            " last_at = greatest(last_at, (SELECT max(c) FROM unnest($5) c)), summarised ="
            " summarised + (SELECT count(*) FROM unnest($5) c WHERE c <= summarised_until)"
            " WHERE shard = $1 AND user_id = $2 AND thread_id = $3",
            MC_PG_ARGS(mc_pg_int(mc_pg_row_shard(items[i].row)), mc_pg_str(items[i].user_id),
                       mc_pg_str(items[i].thread_id), mc_pg_int((int64_t)(end - i)),
                       mc_pg_times(times, end - i)));
    }
}

static enum mc_status add_index(struct mc_pg_conn *conn, const struct returning *items,
                                size_t count, struct mc_error *err)
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

/* The messages that come back, in the order of their threads. */
static enum mc_status put_back(struct mc_pg_conn *conn, const struct undoing *u,
                               struct mc_arena *texts, struct returning *items, size_t count,
                               struct mc_error *err)
{
    int64_t *rows = mc_arena_array(texts, count + 1, sizeof(*rows));
    int64_t *times = mc_arena_array(texts, count + 1, sizeof(*times));
    const struct mc_pg_arg now[] = {mc_pg_time(u->undo->now_us), {.type = 0}};
    size_t statements, settled = 0;
    if (!rows || !times)
        return mc_fail_memory(err);
    qsort(items, count, sizeof(*items), by_thread);
    add_counts(conn, items, count, times);
    for (size_t i = 0; i < count; i++) {
        rows[i] = items[i].row;
        mc_pg_touch(conn, mc_pg_row_shard(rows[i]));
    }
    enum mc_status status = mc_pg_add_by_shard(conn,
                                               "INSERT INTO messages(shard, id, metadata, " COLUMNS
                                               ") SELECT shard, id, attached::jsonb, " COLUMNS
                                               " FROM trash WHERE shard = $1 AND id = ANY($2)",
                                               rows, count, NULL, &statements, err);
    if (status == MC_OK)
        status = mc_pg_add_by_shard(
            conn,
            "INSERT INTO jobs(shard, id, stage, due_at, enqueued_at, attempts, died_at, error)"
            " SELECT " MC_PG_QUEUE ", id, stage, CASE WHEN died_at IS NULL THEN $3 END,"
            " enqueued_at, attempts, died_at, error FROM trash"
            " WHERE shard = $1 AND id = ANY($2) AND stage IS NOT NULL",
            rows, count, now, &statements, err);
    if (status == MC_OK)
        status = add_index(conn, items, count, err);
    for (size_t i = 0; i < count; i++)
        if (items[i].settled)
            rows[settled++] = items[i].row;
    return status == MC_OK ? mc_pg_add_vector_waits(conn, rows, settled, err) : status;
}

static enum mc_status restore(struct mc_pg_conn *conn, struct undoing *u, struct mc_arena *texts,
                              bool *any, struct mc_error *err)
{
    struct returning *items;
    size_t count = 0, back = 0, statements;
    enum mc_status status = read_trash(conn, u, texts, &items, &count, err);
    *any = count > 0;
    if (status != MC_OK || count == 0)
        return status;
    size_t owned = count;
    int64_t *rows = mc_arena_array(texts, count, sizeof(*rows));
    if (!rows)
        return mc_fail_memory(err);
    for (size_t i = 0; i < count; i++)
        rows[i] = items[i].row;
    status = keep_owned(conn, items, &owned, err);
    if (status == MC_OK)
        status = take_ids(conn, texts, items, owned, err);
    for (size_t i = 0; status == MC_OK && i < owned; i++)
        if (items[i].back)
            items[back++] = items[i];
    if (status == MC_OK)
        status = put_back(conn, u, texts, items, back, err);
    if (status == MC_OK)
        status = mc_pg_add_by_shard(conn, "DELETE FROM trash WHERE shard = $1 AND id = ANY($2)",
                                    rows, count, NULL, &statements, err);
    u->step.restored = (int64_t)back;
    u->step.skipped = (int64_t)(count - back);
    u->step.more = true;
    return status == MC_OK ? mc_pg_run(conn, err) : status;
}

/* ---- Moving back, unpacking ---- */

#define LEFT_SHORT "left_short BETWEEN $3 AND $4"
#define LEFT_MID "left_mid BETWEEN $3 AND $4"
#define LEFT_LONG "left_long BETWEEN $3 AND $4"
#define LEFT_A_TIER LEFT_SHORT " OR " LEFT_MID " OR " LEFT_LONG
#define PACKED_BY "packed_by BETWEEN $3 AND $4"

static const char look_sql[] =
    "SELECT id, user_no, user_id, thread_id, CASE WHEN " PACKED_BY " THEN packed END FROM messages"
    " WHERE shard = $1 AND id > $2 AND id <= $6 AND (" PACKED_BY " OR " LEFT_A_TIER ")"
    " ORDER BY id LIMIT $5 FOR UPDATE";
static const char move_back_sql[] =
    "UPDATE messages SET tier = CASE WHEN " LEFT_SHORT " THEN 0 WHEN " LEFT_MID
    " THEN 1 ELSE 2 END,"
    " left_short = CASE WHEN " LEFT_SHORT " THEN NULL ELSE left_short END,"
    " left_mid = CASE WHEN " LEFT_MID " THEN NULL ELSE left_mid END,"
    " left_long = CASE WHEN " LEFT_LONG " THEN NULL ELSE left_long END"
    " WHERE shard = $1 AND id = ANY($2) AND packed IS NULL AND (" LEFT_A_TIER ")";

static enum mc_status look(struct mc_pg_conn *conn, const struct undoing *u, int64_t end,
                           struct mc_arena *texts, struct returning **items, size_t *count,
                           struct mc_error *err)
{
    enum mc_status status = mc_pg_query(
        conn, look_sql,
        MC_PG_ARGS(mc_pg_int(u->shard), mc_pg_int(u->after), mc_pg_int(u->undo->first),
                   mc_pg_int(u->undo->last), mc_pg_int((int64_t)u->undo->batch), mc_pg_int(end)),
        err);
    if (status != MC_OK)
        return status;
    *count = mc_pg_rows(conn, 0);
    *items = mc_arena_array(texts, *count + 1, sizeof(**items));
    if (!*items)
        return mc_fail_memory(err);
    for (size_t i = 0; i < *count; i++) {
        const PGresult *result = conn->results[0];
        struct returning *r = &(*items)[i];
        *r = (struct returning){.row = mc_pg_cell_int(result, i, 0),
                                .user_no = mc_pg_cell_int(result, i, 1)};
        mc_str *const to[] = {&r->user_id, &r->thread_id, &r->frame};
        if (!copy_texts(result, i, 2, texts, to, mc_countof(to)))
            return mc_fail_memory(err);
    }
    return MC_OK;
}

static enum mc_status tokens_of(const struct mc_unpacked *unpacked, struct mc_arena *texts,
                                mc_str *terms, struct mc_error *err)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_auto(mc_buf_fini) struct mc_buf buf;
    struct mc_metadata metadata;
    mc_arena_init(&arena, TERMS_ARENA_MAX);
    mc_buf_init(&buf, TERMS_MAX);
    enum mc_status status = mc_metadata_parse(unpacked->metadata, &arena, &metadata, err);
    if (status == MC_OK)
        status = mc_index_tokens(unpacked->text, &metadata, &arena, &buf, err);
    if (status != MC_OK)
        return status;
    *terms = mc_arena_copy(texts, buf.len > 0 ? mc_buf_str(&buf) : MC_STR(""));
    return buf.failed || !terms->data ? mc_fail_memory(err) : MC_OK;
}

/* Whether what was tried in vain can be read once the dictionary is known. */
static enum mc_status find_dictionary(struct mc_pg_conn *conn, bool *found, struct mc_error *err)
{
    *found = false;
    if (conn->dictionary == 0)
        return MC_OK;
    enum mc_status status =
        mc_pg_query(conn, "SELECT EXISTS(SELECT 1 FROM dictionaries WHERE number = $1)",
                    MC_PG_ARGS(mc_pg_int(conn->dictionary)), err);
    if (status == MC_OK)
        *found = mc_pg_first_int(conn, 0) != 0;
    return status;
}

/* One that is damaged stays as it is: it must not keep the others from coming back. */
static enum mc_status skip_damaged(struct mc_pg_conn *conn, struct returning *r,
                                   const struct mc_error *reason, struct mc_error *err)
{
    bool found;
    enum mc_status status = find_dictionary(conn, &found, err);
    if (status != MC_OK)
        return status;
    if (found) {
        conn->trouble = MC_PG_DICTIONARY;
        return mc_fail(err, MC_CORRUPT, "%s", reason->message);
    }
    mc_log(MC_LOG_ERROR, "store", "message row %" PRId64 " stays compressed: %s", r->row,
           reason->message);
    conn->trouble = MC_PG_NO_TROUBLE;
    conn->dictionary = 0;
    r->text = MC_STR_NONE;
    r->terms = MC_STR_NONE;
    return MC_OK;
}

static enum mc_status unpack(struct mc_pg_conn *conn, struct returning *r, struct mc_arena *texts,
                             struct mc_error *err)
{
    struct mc_unpacked unpacked = {.memory = NULL};
    struct mc_error reason = {0};
    enum mc_status status = mc_pg_unpack(conn, r->frame, &unpacked, &reason);
    if (status == MC_OK)
        status = tokens_of(&unpacked, texts, &r->terms, &reason);
    if (status == MC_OK) {
        r->text = mc_arena_copy(texts, unpacked.text);
        r->metadata = mc_arena_copy(texts, unpacked.metadata);
        if (!r->text.data || !r->metadata.data)
            status = mc_fail_memory(&reason);
    }
    mc_unpacked_fini(&unpacked);
    if (status == MC_CORRUPT)
        return skip_damaged(conn, r, &reason, err);
    return status == MC_OK ? MC_OK : mc_fail(err, status, "%s", reason.message);
}

static void add_unpacking(struct mc_pg_conn *conn, const struct returning *r)
{
    mc_pg_add_quiet(conn,
                    "UPDATE messages SET text = $3, attached = $4, metadata = $4::text::jsonb,"
                    " terms = $5, packed = NULL, packed_by = NULL"
                    " WHERE shard = $1 AND id = $2",
                    MC_PG_ARGS(mc_pg_int(mc_pg_row_shard(r->row)), mc_pg_int(r->row),
                               mc_pg_str(r->text), mc_pg_str(r->metadata), mc_pg_str(r->terms)));
}

static enum mc_status revert(struct mc_pg_conn *conn, struct undoing *u, struct mc_arena *texts,
                             struct returning *items, size_t count, struct mc_error *err)
{
    int64_t *rows = mc_arena_array(texts, count, sizeof(*rows));
    enum mc_status status = rows ? MC_OK : mc_fail_memory(err);
    for (size_t i = 0; status == MC_OK && i < count; i++) {
        rows[i] = items[i].row;
        if (mc_str_given(items[i].frame))
            status = unpack(conn, &items[i], texts, err);
    }
    for (size_t i = 0; status == MC_OK && i < count; i++) {
        if (!mc_str_given(items[i].frame))
            continue;
        if (mc_str_given(items[i].text))
            add_unpacking(conn, &items[i]);
        u->step.unpacked += mc_str_given(items[i].text);
        u->step.skipped += !mc_str_given(items[i].text);
    }
    if (status == MC_OK)
        status = mc_pg_run(conn, err);
    if (status != MC_OK)
        return status;
    mc_pg_add(conn, move_back_sql,
              MC_PG_ARGS(mc_pg_int(u->shard), mc_pg_ints(rows, count), mc_pg_int(u->undo->first),
                         mc_pg_int(u->undo->last)));
    status = add_index(conn, items, count, err);
    qsort(items, count, sizeof(*items), by_thread);
    for (size_t i = 0, end; status == MC_OK && i < count; i = end) {
        for (end = i; end < count && by_thread(&items[i], &items[end]) == 0;)
            end++;
        mc_pg_add_bump(conn, items[i].user_id, items[i].thread_id, (int64_t)(end - i));
    }
    mc_pg_touch(conn, u->shard);
    if (status == MC_OK)
        status = mc_pg_run(conn, err);
    if (status == MC_OK)
        u->step.moved += mc_pg_changes(conn, 0);
    return status;
}

/* The last row of the next window of the shard; INT64_MAX: the rest of it. */
static enum mc_status find_end(struct mc_pg_conn *conn, const struct undoing *u, int64_t *end,
                               struct mc_error *err)
{
    enum mc_status status = mc_pg_query(
        conn, "SELECT id FROM messages WHERE shard = $1 AND id > $2 ORDER BY id OFFSET $3 LIMIT 1",
        MC_PG_ARGS(mc_pg_int(u->shard), mc_pg_int(u->after), mc_pg_int(WINDOW - 1)), err);
    if (status == MC_OK)
        *end = mc_pg_rows(conn, 0) > 0 ? mc_pg_first_int(conn, 0) : INT64_MAX;
    return status;
}

static enum mc_status revert_next(struct mc_pg_conn *conn, struct undoing *u,
                                  struct mc_arena *texts, struct mc_error *err)
{
    struct returning *items;
    size_t count = 0;
    int64_t end = INT64_MAX;
    enum mc_status status = find_end(conn, u, &end, err);
    if (status == MC_OK)
        status = look(conn, u, end, texts, &items, &count, err);
    int64_t last = count > 0 ? items[count - 1].row : 0;
    if (status == MC_OK && count > 0)
        status = revert(conn, u, texts, items, count, err);
    if (count == u->undo->batch) {
        u->after = last;
    } else if (end != INT64_MAX) {
        u->after = end;
    } else {
        u->shard++;
        u->after = 0;
    }
    u->step.more = u->shard < SHARDS;
    if (status == MC_OK && !u->step.more)
        mc_pg_add_quiet(conn, "DELETE FROM tier_runs WHERE number BETWEEN $1 AND $2",
                        MC_PG_ARGS(mc_pg_int(u->undo->first), mc_pg_int(u->undo->last)));
    return status;
}

static enum mc_status undo_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct undoing *u = context;
    struct mc_arena texts;
    bool any = false;
    u->step = (struct mc_undo_step){0};
    u->shard = u->undo->shard;
    u->after = u->undo->after;
    mc_arena_init(&texts, TEXTS_BYTES);
    enum mc_status status = restore(conn, u, &texts, &any, err);
    if (status == MC_OK && !any)
        status = revert_next(conn, u, &texts, err);
    mc_arena_fini(&texts);
    return status;
}

/* What an undo to the end would do. */
static enum mc_status count_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    static const char *const questions[] = {
        "SELECT count(DISTINCT t.message_id) FROM trash t WHERE t.run BETWEEN $3 AND $4"
        " AND $1 + $2 = 0 AND NOT EXISTS(SELECT 1 FROM message_ids i"
        " WHERE i.message_id = t.message_id)",
        "SELECT count(*) FROM trash WHERE run BETWEEN $3 AND $4 AND $1 + $2 = 0",
        "SELECT count(*) FROM messages WHERE $1 + $2 = 0 AND (" LEFT_A_TIER ")",
        ("SELECT count(*) FROM messages WHERE $1 + $2 = 0 AND " PACKED_BY),
    };
    struct undoing *u = context;
    struct mc_pg_arg none = mc_pg_int(0);
    for (size_t i = 0; i < mc_countof(questions); i++)
        mc_pg_add(conn, questions[i],
                  MC_PG_ARGS(none, none, mc_pg_int(u->undo->first), mc_pg_int(u->undo->last)));
    enum mc_status status = mc_pg_run_last(conn, err);
    if (status == MC_OK)
        u->step =
            (struct mc_undo_step){.restored = mc_pg_first_int(conn, 0),
                                  .skipped = mc_pg_first_int(conn, 1) - mc_pg_first_int(conn, 0),
                                  .moved = mc_pg_first_int(conn, 2),
                                  .unpacked = mc_pg_first_int(conn, 3)};
    return status;
}

enum mc_status mc_pg_undo(struct mc_store *store, struct mc_undo *undo, struct mc_undo_step *step,
                          struct mc_error *err)
{
    struct undoing u = {.undo = undo};
    enum mc_status status = undo->dry_run
                                ? mc_pg_read(mc_pg_of(store), MC_PG_SNAPSHOT, count_work, &u, err)
                                : mc_pg_write(mc_pg_of(store), 0, undo_work, &u, err);
    if (status != MC_OK)
        return status;
    if (!undo->dry_run) {
        undo->shard = u.shard;
        undo->after = u.after;
    }
    *step = u.step;
    return MC_OK;
}
