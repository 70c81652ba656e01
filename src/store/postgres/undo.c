/* Taking back a tier migration (sqlite/undo.c says how; here it is done by shards). */
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/log.h"
#include "message/index_tokens.h"
#include "store/postgres/returning.h"

#define TEXTS_BYTES ((size_t)1 << 30)
#define TERMS_MAX ((size_t)1 << 20)
#define TERMS_ARENA_MAX ((size_t)64 << 20)
#define SHARDS 256
/* Rows of a shard that one step looks at: in time also where each is read from a slow disk. */
#define WINDOW 5000

struct undoing {
    struct mc_undo *undo;
    int64_t shard, after;
    struct mc_undo_step step;
};

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
                           struct mc_arena *texts, struct mc_pg_returning **items, size_t *count,
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
        struct mc_pg_returning *r = &(*items)[i];
        *r = (struct mc_pg_returning){.row = mc_pg_cell_int(result, i, 0),
                                      .user_no = mc_pg_cell_int(result, i, 1)};
        mc_str *const to[] = {&r->user_id, &r->thread_id, &r->frame};
        if (!mc_pg_copy_cells(result, i, 2, texts, to, mc_countof(to)))
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
static enum mc_status skip_damaged(struct mc_pg_conn *conn, struct mc_pg_returning *r,
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

static enum mc_status unpack(struct mc_pg_conn *conn, struct mc_pg_returning *r,
                             struct mc_arena *texts, struct mc_error *err)
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

static void add_unpacking(struct mc_pg_conn *conn, const struct mc_pg_returning *r)
{
    mc_pg_add_quiet(conn,
                    "UPDATE messages SET text = $3, attached = $4, metadata = $4::text::jsonb,"
                    " terms = $5, packed = NULL, packed_by = NULL"
                    " WHERE shard = $1 AND id = $2",
                    MC_PG_ARGS(mc_pg_int(mc_pg_row_shard(r->row)), mc_pg_int(r->row),
                               mc_pg_str(r->text), mc_pg_str(r->metadata), mc_pg_str(r->terms)));
}

static enum mc_status revert(struct mc_pg_conn *conn, struct undoing *u, struct mc_arena *texts,
                             struct mc_pg_returning *items, size_t count, struct mc_error *err)
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
    status = mc_pg_returning_add_index(conn, items, count, err);
    qsort(items, count, sizeof(*items), mc_pg_returning_by_thread);
    for (size_t i = 0, end; status == MC_OK && i < count; i = end) {
        for (end = i; end < count && mc_pg_returning_by_thread(&items[i], &items[end]) == 0;)
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

static enum mc_status revert_next(struct mc_pg_conn *conn, struct undoing *u, struct mc_error *err)
{
    mc_auto(mc_arena_fini) struct mc_arena texts;
    struct mc_pg_returning *items;
    size_t count = 0;
    int64_t end = INT64_MAX;
    mc_arena_init(&texts, TEXTS_BYTES);
    enum mc_status status = find_end(conn, u, &end, err);
    if (status == MC_OK)
        status = look(conn, u, end, &texts, &items, &count, err);
    int64_t last = count > 0 ? items[count - 1].row : 0;
    if (status == MC_OK && count > 0)
        status = revert(conn, u, &texts, items, count, err);
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
    u->step = (struct mc_undo_step){0};
    u->shard = u->undo->shard;
    u->after = u->undo->after;
    enum mc_status status = mc_pg_untrash(conn, u->undo, &u->step, err);
    return status == MC_OK && !u->step.more ? revert_next(conn, u, err) : status;
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
