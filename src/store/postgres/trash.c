/*
 * The trash: what tier migration has deleted, until it is too old to be taken back. Locks are taken in the order of puts:
 * ids (by shard), users, threads.
 */
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "store/postgres/returning.h"

#define TEXTS_BYTES ((size_t)1 << 30)

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

/* ---- Bringing back ---- */

/* The order in which puts take ids. */
static int by_message_id(const void *a, const void *b)
{
    const struct mc_pg_returning *x = a, *y = b;
    int64_t x_shard = mc_pg_shard(x->message_id), y_shard = mc_pg_shard(y->message_id);
    int order = (x_shard > y_shard) - (x_shard < y_shard);
    if (order == 0)
        order = mc_pg_compare(x->message_id, y->message_id);
    /* Of one id the newest comes back. */
    return order != 0 ? order : (x->row < y->row) - (x->row > y->row);
}

static int by_owner(const void *a, const void *b)
{
    const struct mc_pg_returning *x = a, *y = b;
    int order = mc_pg_returning_by_thread(a, b);
    return order != 0 ? order : (x->user_no > y->user_no) - (x->user_no < y->user_no);
}

static enum mc_status read_trash(struct mc_pg_conn *conn, const struct mc_undo *undo,
                                 struct mc_arena *texts, struct mc_pg_returning **items,
                                 size_t *count, struct mc_error *err)
{
    enum mc_status status = mc_pg_query(
        conn,
        "SELECT id, user_no, created_at, packed IS NOT NULL, message_id, user_id, thread_id, terms"
        " FROM trash WHERE run BETWEEN $1 AND $2 ORDER BY run DESC, id DESC LIMIT $3 FOR UPDATE",
        MC_PG_ARGS(mc_pg_int(undo->first), mc_pg_int(undo->last), mc_pg_int((int64_t)undo->batch)),
        err);
    if (status != MC_OK)
        return status;
    *count = mc_pg_rows(conn, 0);
    *items = mc_arena_array(texts, *count + 1, sizeof(**items));
    if (!*items)
        return mc_fail_memory(err);
    for (size_t i = 0; i < *count; i++) {
        const PGresult *result = conn->results[0];
        struct mc_pg_returning *r = &(*items)[i];
        *r = (struct mc_pg_returning){.row = mc_pg_cell_int(result, i, 0),
                                      .user_no = mc_pg_cell_int(result, i, 1),
                                      .created_us = mc_pg_cell_time(result, i, 2),
                                      .settled = mc_pg_cell_int(result, i, 3) != 0};
        mc_str *const to[] = {&r->message_id, &r->user_id, &r->thread_id, &r->terms};
        if (!mc_pg_copy_cells(result, i, 4, texts, to, mc_countof(to)))
            return mc_fail_memory(err);
        r->settled = r->settled || mc_str_given(r->terms);
    }
    return MC_OK;
}

/* Drops those whose user or thread is gone: a server of an older version erases users without their trash. */
static enum mc_status keep_owned(struct mc_pg_conn *conn, struct mc_pg_returning *items,
                                 size_t *count, struct mc_error *err)
{
    size_t kept = 0;
    qsort(items, *count, sizeof(*items), by_owner);
    for (size_t i = 0; i < *count; i++) {
        const struct mc_pg_returning *r = &items[i];
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
                               struct mc_pg_returning *items, size_t count, struct mc_error *err)
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
static void add_counts(struct mc_pg_conn *conn, const struct mc_pg_returning *items, size_t count,
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
        for (end = i; end < count && mc_pg_returning_by_thread(&items[end], &items[i]) == 0; end++)
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

/* The messages that come back, in the order of their threads. */
static enum mc_status put_back(struct mc_pg_conn *conn, const struct mc_undo *undo,
                               struct mc_arena *texts, struct mc_pg_returning *items, size_t count,
                               struct mc_error *err)
{
    int64_t *rows = mc_arena_array(texts, count + 1, sizeof(*rows));
    int64_t *times = mc_arena_array(texts, count + 1, sizeof(*times));
    const struct mc_pg_arg now[] = {mc_pg_time(undo->now_us), {.type = 0}};
    size_t statements, settled = 0;
    if (!rows || !times)
        return mc_fail_memory(err);
    qsort(items, count, sizeof(*items), mc_pg_returning_by_thread);
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
        status = mc_pg_returning_add_index(conn, items, count, err);
    for (size_t i = 0; i < count; i++)
        if (items[i].settled)
            rows[settled++] = items[i].row;
    return status == MC_OK ? mc_pg_add_vector_waits(conn, rows, settled, err) : status;
}

enum mc_status mc_pg_untrash(struct mc_pg_conn *conn, const struct mc_undo *undo,
                             struct mc_undo_step *step, struct mc_error *err)
{
    mc_auto(mc_arena_fini) struct mc_arena texts;
    struct mc_pg_returning *items;
    size_t count = 0, back = 0, statements;
    mc_arena_init(&texts, TEXTS_BYTES);
    enum mc_status status = read_trash(conn, undo, &texts, &items, &count, err);
    if (status != MC_OK || count == 0)
        return status;
    size_t owned = count;
    int64_t *rows = mc_arena_array(&texts, count, sizeof(*rows));
    if (!rows)
        return mc_fail_memory(err);
    for (size_t i = 0; i < count; i++)
        rows[i] = items[i].row;
    status = keep_owned(conn, items, &owned, err);
    if (status == MC_OK)
        status = take_ids(conn, &texts, items, owned, err);
    for (size_t i = 0; status == MC_OK && i < owned; i++)
        if (items[i].back)
            items[back++] = items[i];
    if (status == MC_OK)
        status = put_back(conn, undo, &texts, items, back, err);
    if (status == MC_OK)
        status = mc_pg_add_by_shard(conn, "DELETE FROM trash WHERE shard = $1 AND id = ANY($2)",
                                    rows, count, NULL, &statements, err);
    step->restored = (int64_t)back;
    step->skipped = (int64_t)(count - back);
    step->more = true;
    return status == MC_OK ? mc_pg_run(conn, err) : status;
}
