/*
 * Removing messages. What is removed is gone for every reader; its bytes leave the disk when the server vacuums the
 * tables and recycles its log.
 */
#include <stdlib.h>

#include "base/error.h"
#include "store/postgres/pg.h"

#define TEXTS_BYTES ((size_t)256 << 20)

void mc_pg_dropped_from(const PGresult *result, size_t row, int first,
                        struct mc_pg_dropped *dropped)
{
    *dropped = (struct mc_pg_dropped){
        .row = mc_pg_cell_int(result, row, first),
        .user_no = mc_pg_cell_int(result, row, first + 1),
        .created_us = mc_pg_cell_time(result, row, first + 2),
        .message_id = mc_pg_cell(result, row, first + 3),
        .user_id = mc_pg_cell(result, row, first + 4),
        .thread_id = mc_pg_cell(result, row, first + 5),
        .terms = mc_pg_cell(result, row, first + 6),
        .twin = mc_pg_cell(result, row, first + 7),
    };
}

/* ---- Messages with all that belongs to them ---- */

static int by_thread(const void *a, const void *b)
{
    const struct mc_pg_dropped *x = a, *y = b;
    int order = mc_pg_compare(x->user_id, y->user_id);
    if (order == 0)
        order = mc_pg_compare(x->thread_id, y->thread_id);
    return order != 0 ? order : (x->row > y->row) - (x->row < y->row);
}

enum mc_status mc_pg_add_unindex(struct mc_pg_conn *conn, int64_t row, int64_t user_no,
                                 mc_str thread_id, mc_str terms, mc_str twin, struct mc_error *err)
{
    struct mc_pg_arg shard = mc_pg_int(mc_pg_row_shard(row)), id = mc_pg_int(row);
    if (mc_str_given(twin))
        mc_pg_add_quiet(conn, "DELETE FROM twins WHERE shard = $1 AND hash = $2 AND id = $3",
                        MC_PG_ARGS(mc_pg_int(mc_pg_shard(twin)), mc_pg_bytes(twin), id));
    if (!mc_str_given(terms))
        return MC_OK;
    int64_t *numbers;
    size_t count;
    if (!mc_pg_terms(terms, thread_id, &numbers, &count))
        return mc_fail_memory(err);
    mc_pg_add_quiet(conn,
                    "DELETE FROM index_terms WHERE shard = $1 AND user_no = $2 AND term = ANY($3)"
                    " AND id = $4",
                    MC_PG_ARGS(shard, mc_pg_int(user_no), mc_pg_ints(numbers, count), id));
    free(numbers);
    return MC_OK;
}

/* What stands under the message's own keys. */
static enum mc_status add_own(struct mc_pg_conn *conn, const struct mc_pg_dropped *d,
                              struct mc_error *err)
{
    struct mc_pg_arg shard = mc_pg_int(mc_pg_row_shard(d->row)), row = mc_pg_int(d->row);
    mc_pg_add_quiet(conn, "DELETE FROM messages WHERE shard = $1 AND id = $2",
                    MC_PG_ARGS(shard, row));
    mc_pg_add_quiet(conn, "DELETE FROM message_ids WHERE shard = $1 AND message_id = $2",
                    MC_PG_ARGS(mc_pg_int(mc_pg_shard(d->message_id)), mc_pg_str(d->message_id)));
    return mc_pg_add_unindex(conn, d->row, d->user_no, d->thread_id, d->terms, d->twin, err);
}

static size_t run_end(const struct mc_pg_dropped *items, size_t count, size_t i, bool of_thread)
{
    size_t end = i;
    while (end < count && mc_str_equal(items[end].user_id, items[i].user_id) &&
           (!of_thread || mc_str_equal(items[end].thread_id, items[i].thread_id)))
        end++;
    return end;
}

static void add_counts(struct mc_pg_conn *conn, const struct mc_pg_dropped *items, size_t count,
                       int64_t *times)
{
    for (size_t i = 0, end; i < count; i = end) {
        end = run_end(items, count, i, false);
        mc_pg_add_quiet(conn,
                        "UPDATE users SET messages = messages - $3"
                        " WHERE shard = $1 AND user_id = $2",
                        MC_PG_ARGS(mc_pg_int(mc_pg_row_shard(items[i].row)),
                                   mc_pg_str(items[i].user_id), mc_pg_int((int64_t)(end - i))));
    }
    for (size_t i = 0, end; i < count; i = end) {
        end = run_end(items, count, i, true);
        int64_t oldest = INT64_MAX;
        for (size_t j = i; j < end; j++) {
            times[j - i] = items[j].created_us;
            oldest = items[j].created_us < oldest ? items[j].created_us : oldest;
        }
        struct mc_pg_arg shard = mc_pg_int(mc_pg_row_shard(items[i].row)),
                         user = mc_pg_str(items[i].user_id), thread = mc_pg_str(items[i].thread_id);
        mc_pg_add(
            conn,
            "UPDATE threads SET version = version + $4, messages = messages - $4, summarised ="
            " greatest(summarised - (SELECT count(*) FROM unnest($5) c"
            " WHERE c <= summarised_until), 0)"
            " WHERE shard = $1 AND user_id = $2 AND thread_id = $3 RETURNING version",
            MC_PG_ARGS(shard, user, thread, mc_pg_int((int64_t)(end - i)),
                       mc_pg_times(times, end - i)));
        mc_pg_add_quiet(conn,
                        "UPDATE summaries SET lost = true WHERE shard = $1 AND user_id = $2"
                        " AND thread_id = $3 AND last_at >= $4 AND NOT lost",
                        MC_PG_ARGS(shard, user, thread, mc_pg_time(oldest)));
    }
}

/* Behind what has results of its own. */
static void add_vector_drops(struct mc_pg_conn *conn, const struct mc_pg_dropped *items,
                             size_t count, int64_t *rows)
{
    for (size_t i = 0, end; i < count; i = end) {
        end = run_end(items, count, i, false);
        for (size_t j = i; j < end; j++)
            rows[j - i] = items[j].row;
        mc_pg_add_vector_drop(conn, items[i].user_no, rows, end - i);
    }
}

/*
 * What somebody wants gone must not live on in a summary: those that may tell of the message go,
 * and the thread is due again from where the others end.
 */
static enum mc_status drop_summaries(struct mc_pg_conn *conn, const struct mc_pg_dropped *d,
                                     struct mc_error *err)
{
    struct mc_pg_arg shard = mc_pg_int(mc_pg_row_shard(d->row)), user = mc_pg_str(d->user_id),
                     thread = mc_pg_str(d->thread_id), time = mc_pg_time(d->created_us);
    mc_pg_add(conn,
              "DELETE FROM summaries WHERE shard = $1 AND user_id = $2 AND thread_id = $3"
              " AND first_at <= $4 AND last_at >= $4",
              MC_PG_ARGS(shard, user, thread, time));
    mc_pg_add_quiet(conn,
                    "UPDATE threads SET withdrawn = version WHERE shard = $1 AND user_id = $2"
                    " AND thread_id = $3",
                    MC_PG_ARGS(shard, user, thread));
    enum mc_status status = mc_pg_run(conn, err);
    if (status != MC_OK || mc_pg_changes(conn, 0) == 0)
        return status;
    mc_pg_add_quiet(conn,
                    "UPDATE threads SET summarised_until = coalesce((SELECT max(last_at) FROM"
                    " summaries WHERE shard = $1 AND user_id = $2 AND thread_id = $3), '-infinity')"
                    " WHERE shard = $1 AND user_id = $2 AND thread_id = $3",
                    MC_PG_ARGS(shard, user, thread));
    mc_pg_add_quiet(conn,
                    "UPDATE threads t SET summarised = (SELECT count(*) FROM messages m"
                    " WHERE m.shard = $1 AND m.user_no = " MC_PG_USER_NO
                    " AND m.thread_id = $3 AND m.created_at <= t.summarised_until)"
                    " WHERE t.shard = $1 AND t.user_id = $2 AND t.thread_id = $3",
                    MC_PG_ARGS(shard, user, thread));
    return mc_pg_run(conn, err);
}

enum mc_status mc_pg_drop(struct mc_pg_conn *conn, struct mc_pg_dropped *items, size_t count,
                          bool requested, int64_t *jobs, struct mc_error *err)
{
    if (count == 0)
        return MC_OK;
    int64_t *numbers = malloc(count * sizeof(*numbers));
    if (!numbers)
        return mc_fail_memory(err);
    for (size_t i = 0; i < count; i++)
        numbers[i] = items[i].row;
    mc_pg_add(conn, "DELETE FROM jobs WHERE shard = " MC_PG_QUEUE " AND id = ANY($1)",
              MC_PG_ARGS(mc_pg_ints(numbers, count)));
    qsort(items, count, sizeof(*items), by_thread);
    enum mc_status status = MC_OK;
    for (size_t i = 0; status == MC_OK && i < count; i++)
        status = add_own(conn, &items[i], err);
    if (status == MC_OK) {
        add_counts(conn, items, count, numbers);
        add_vector_drops(conn, items, count, numbers);
        status = mc_pg_run(conn, err);
    }
    free(numbers);
    if (status != MC_OK)
        return status;
    if (jobs)
        *jobs = mc_pg_changes(conn, 0);
    for (size_t i = 0, end, nth = 1; i < count; i = end) {
        end = run_end(items, count, i, true);
        for (size_t j = i; j < end; j++)
            items[j].version = mc_pg_first_int(conn, nth);
        nth++;
    }
    for (size_t i = 0; status == MC_OK && requested && i < count; i++)
        status = drop_summaries(conn, &items[i], err);
    return status;
}

#define LOCK_JOBS                                                                                  \
    "SELECT id FROM jobs WHERE shard = " MC_PG_QUEUE " AND id = ANY($1) ORDER BY id FOR UPDATE"

static enum mc_status copy_dropped(const PGresult *result, struct mc_arena *texts,
                                   struct mc_pg_dropped *items, struct mc_error *err)
{
    for (size_t i = 0; i < (size_t)PQntuples(result); i++) {
        mc_pg_dropped_from(result, i, 0, &items[i]);
        mc_str *const to[] = {&items[i].message_id, &items[i].user_id, &items[i].thread_id,
                              &items[i].terms, &items[i].twin};
        if (!mc_pg_copy_cells(result, i, 3, texts, to, mc_countof(to)))
            return mc_fail_memory(err);
    }
    return MC_OK;
}

/* Copies what was found into the trash of a run. */
static enum mc_status trash(struct mc_pg_conn *conn, const struct mc_pg_dropped *items,
                            size_t count, int64_t run, struct mc_error *err)
{
    int64_t *rows = malloc((count + 1) * sizeof(*rows));
    if (!rows)
        return mc_fail_memory(err);
    for (size_t i = 0; i < count; i++)
        rows[i] = items[i].row;
    enum mc_status status = mc_pg_trash(conn, rows, count, run, err);
    free(rows);
    return status;
}

enum mc_status mc_pg_drop_rows(struct mc_pg_conn *conn, const int64_t *rows, size_t count,
                               int64_t run, int64_t *dropped, int64_t *jobs, struct mc_error *err)
{
    *dropped = 0;
    if (count == 0)
        return MC_OK;
    size_t statements, found = 0;
    struct mc_arena texts;
    mc_arena_init(&texts, TEXTS_BYTES);
    struct mc_pg_dropped *items = mc_arena_array(&texts, count, sizeof(*items));
    mc_pg_add(conn, LOCK_JOBS, MC_PG_ARGS(mc_pg_ints(rows, count)));
    enum mc_status status = mc_pg_add_by_shard(
        conn,
        "SELECT " MC_PG_DROP_COLUMNS " FROM messages m WHERE m.shard = $1 AND m.id = ANY($2)"
        " ORDER BY m.id FOR UPDATE",
        rows, count, NULL, &statements, err);
    if (status == MC_OK)
        status = mc_pg_run(conn, err);
    if (status == MC_OK && !items)
        status = mc_fail_memory(err);
    for (size_t i = 1; status == MC_OK && i <= statements; i++) {
        status = copy_dropped(conn->results[i], &texts, items + found, err);
        found += mc_pg_rows(conn, i);
    }
    if (status == MC_OK && run != 0 && found > 0)
        status = trash(conn, items, found, run, err);
    if (status == MC_OK)
        status = mc_pg_drop(conn, items, found, false, jobs, err);
    *dropped = (int64_t)found;
    mc_arena_fini(&texts);
    return status;
}

/* ---- One message ---- */

struct removal {
    mc_str message_id;
    const struct mc_reader *reader;
    struct mc_record *record;
    int64_t seen; /* row of the message as it was found first, 0: none */
    int64_t version;
};

static const char remove_sql[] =
    "SELECT " MC_PG_RECORD ", " MC_PG_DROP_COLUMNS
    " FROM messages m WHERE m.shard = $1 AND m.id = $2 AND " MC_PG_ALLOWED " FOR UPDATE";

/* What tier migration has deleted can come back, so it can be deleted by request too. */
static const char trashed_sql[] =
    "SELECT " MC_PG_RECORD ", m.user_no FROM trash m WHERE m.shard = $1 AND m.id = $2"
    " AND " MC_PG_ALLOWED " FOR UPDATE";
/* Messages of one id in the trash, each ingested after the one before it had gone there. */
#define TRASHED_MAX 16

/* Whatever the user has under this id in the trash. */
static void add_trash_drop(struct mc_pg_conn *conn, mc_str message_id, int64_t shard,
                           int64_t user_no)
{
    mc_pg_add_quiet(conn, "DELETE FROM trash WHERE shard = $1 AND user_no = $2 AND message_id = $3",
                    MC_PG_ARGS(mc_pg_int(shard), mc_pg_int(user_no), mc_pg_str(message_id)));
}

/* The newest that the reader may see; r->record stays NULL when there is none. */
static enum mc_status find_trashed(struct mc_pg_conn *conn, struct removal *r, int64_t *user_no,
                                   struct mc_error *err)
{
    int64_t rows[TRASHED_MAX];
    enum mc_status status =
        mc_pg_query(conn, "SELECT id FROM trash WHERE message_id = $1 ORDER BY id DESC LIMIT $2",
                    MC_PG_ARGS(mc_pg_str(r->message_id), mc_pg_int(TRASHED_MAX)), err);
    size_t count = status == MC_OK ? mc_pg_rows(conn, 0) : 0;
    for (size_t i = 0; i < count; i++)
        rows[i] = mc_pg_cell_int(conn->results[0], i, 0);
    for (size_t i = 0; status == MC_OK && !r->record && i < count; i++) {
        struct mc_pg_allowed_args args;
        mc_pg_allowed(&args, MC_PG_ARGS(mc_pg_int(mc_pg_row_shard(rows[i])), mc_pg_int(rows[i])),
                      r->reader);
        status = mc_pg_query(conn, trashed_sql, args.items, err);
        if (status != MC_OK || mc_pg_rows(conn, 0) == 0)
            continue;
        *user_no = mc_pg_cell_int(conn->results[0], 0, MC_PG_RECORD_COLUMNS);
        status = mc_pg_record(conn, conn->results[0], 0, &r->record, err);
    }
    return status;
}

/* Nothing in the trash: unless an undo took it out of there between the two looks, so that it is stored again. */
static enum mc_status not_found(struct mc_pg_conn *conn, const struct removal *r,
                                struct mc_error *err)
{
    enum mc_status status = mc_pg_query(
        conn, "SELECT id FROM message_ids WHERE shard = $1 AND message_id = $2",
        MC_PG_ARGS(mc_pg_int(mc_pg_shard(r->message_id)), mc_pg_str(r->message_id)), err);
    if (status == MC_OK && mc_pg_rows(conn, 0) > 0 && mc_pg_first_int(conn, 0) != r->seen) {
        conn->trouble = MC_PG_CONFLICT;
        return mc_fail(err, MC_BUSY, "the message '%.*s' is just being brought back; try again",
                       MC_STR_ARG(r->message_id));
    }
    return status == MC_OK ? mc_fail_field(err, MC_NOT_FOUND, "message_id",
                                           "there is no message '%.*s'", MC_STR_ARG(r->message_id))
                           : status;
}

/* Of a message that is in the trash alone only summaries can still tell. */
static enum mc_status remove_trash(struct mc_pg_conn *conn, struct removal *r, struct mc_error *err)
{
    int64_t user_no = 0;
    enum mc_status status = find_trashed(conn, r, &user_no, err);
    if (status == MC_OK && !r->record)
        return not_found(conn, r, err);
    if (status != MC_OK)
        return status;
    const struct mc_message *m = &r->record->m;
    struct mc_pg_dropped dropped = {.row = r->record->row,
                                    .created_us = m->created_at_us,
                                    .user_id = m->user_id,
                                    .thread_id = m->thread_id};
    add_trash_drop(conn, r->message_id, mc_pg_row_shard(dropped.row), user_no);
    mc_pg_add_bump(conn, m->user_id, m->thread_id, 1);
    mc_pg_touch(conn, mc_pg_row_shard(dropped.row));
    status = mc_pg_run(conn, err);
    if (status == MC_OK)
        r->version = mc_pg_first_int(conn, 0);
    return status == MC_OK ? drop_summaries(conn, &dropped, err) : status;
}

static enum mc_status remove_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct removal *r = context;
    mc_record_unref(mc_steal(r->record)); /* of a transaction that was rolled back */
    enum mc_status status = mc_pg_query(
        conn, "SELECT id FROM message_ids WHERE shard = $1 AND message_id = $2",
        MC_PG_ARGS(mc_pg_int(mc_pg_shard(r->message_id)), mc_pg_str(r->message_id)), err);
    int64_t row = status == MC_OK ? mc_pg_first_int(conn, 0) : 0;
    r->seen = row;
    struct mc_pg_allowed_args args;
    mc_pg_allowed(&args, MC_PG_ARGS(mc_pg_int(mc_pg_row_shard(row)), mc_pg_int(row)), r->reader);
    if (status == MC_OK) {
        mc_pg_add_quiet(conn, LOCK_JOBS, MC_PG_ARGS(mc_pg_ints(&row, 1)));
        status = mc_pg_query(conn, remove_sql, args.items, err);
    }
    if (status == MC_OK && mc_pg_rows(conn, 0) == 0)
        return remove_trash(conn, r, err);
    if (status == MC_OK)
        status = mc_pg_record(conn, conn->results[0], 0, &r->record, err);
    if (status != MC_OK)
        return status;
    struct mc_pg_dropped dropped;
    char twin[64];
    mc_pg_dropped_from(conn->results[0], 0, MC_PG_RECORD_COLUMNS, &dropped);
    if (dropped.twin.len > sizeof(twin))
        return mc_fail(err, MC_CORRUPT, "message row %" PRId64 " has a bad content hash", row);
    /* The texts must outlive the result: those of the record do. */
    if (mc_str_given(dropped.twin))
        dropped.twin.data = memcpy(twin, dropped.twin.data, dropped.twin.len);
    dropped.message_id = r->record->m.message_id;
    dropped.user_id = r->record->m.user_id;
    dropped.thread_id = r->record->m.thread_id;
    dropped.terms = mc_str_given(dropped.terms) ? r->record->terms : MC_STR_NONE;
    status = mc_pg_drop(conn, &dropped, 1, true, NULL, err);
    r->version = dropped.version;
    if (status == MC_OK)
        add_trash_drop(conn, r->message_id, mc_pg_row_shard(row), dropped.user_no);
    return status;
}

enum mc_status mc_pg_remove(struct mc_store *store, mc_str message_id,
                            const struct mc_reader *reader, struct mc_record **removed,
                            int64_t *thread_version, struct mc_error *err)
{
    struct removal removal = {.message_id = message_id, .reader = reader};
    enum mc_status status = mc_pg_write(mc_pg_of(store), 0, remove_work, &removal, err);
    if (status != MC_OK) {
        mc_record_unref(removal.record);
        return status;
    }
    *removed = removal.record;
    *thread_version = removal.version;
    return MC_OK;
}
