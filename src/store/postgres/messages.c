/* Reads of messages and threads. */
#include <assert.h>
#include <stdlib.h>

#include "base/error.h"
#include "store/postgres/pg.h"

/* Takes over the records that were read, all or none. */
static enum mc_status append_all(struct mc_records *from, struct mc_records *out,
                                 struct mc_error *err)
{
    size_t start = out->count;
    while (out->count - start < from->count) {
        if (!mc_records_push(out, mc_record_ref(from->items[out->count - start]))) {
            while (out->count > start)
                mc_record_unref(out->items[--out->count]);
            return mc_fail_memory(err);
        }
    }
    return MC_OK;
}

/* The row of a message id, 0 when there is none. */
static enum mc_status find_row(struct mc_pg_conn *conn, mc_str message_id, int64_t *row,
                               struct mc_error *err)
{
    enum mc_status status =
        mc_pg_query(conn, "SELECT id FROM message_ids WHERE shard = $1 AND message_id = $2",
                    MC_PG_ARGS(mc_pg_int(mc_pg_shard(message_id)), mc_pg_str(message_id)), err);
    if (status == MC_OK)
        *row = mc_pg_first_int(conn, 0);
    return status;
}

/* ---- One by its id ---- */

struct get {
    mc_str message_id;
    const struct mc_reader *reader;
    struct mc_record *record;
};

static enum mc_status read_message(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct get *get = context;
    int64_t row = 0;
    enum mc_status status = find_row(conn, get->message_id, &row, err);
    if (status != MC_OK || row == 0)
        return status;
    struct mc_pg_allowed_args args;
    mc_pg_allowed(&args, MC_PG_ARGS(mc_pg_int(mc_pg_row_shard(row)), mc_pg_int(row)), get->reader);
    mc_pg_add(conn,
              "SELECT " MC_PG_RECORD
              " FROM messages m WHERE m.shard = $1 AND m.id = $2 AND " MC_PG_ALLOWED,
              args.items);
    status = mc_pg_run_last(conn, err);
    if (status != MC_OK || mc_pg_rows(conn, 0) == 0)
        return status;
    return mc_pg_record(conn, conn->results[0], 0, &get->record, err);
}

enum mc_status mc_pg_get(struct mc_store *store, mc_str message_id, const struct mc_reader *reader,
                         struct mc_record **record, struct mc_error *err)
{
    struct get get = {.message_id = message_id, .reader = reader};
    enum mc_status status = mc_pg_read(mc_pg_of(store), 0, read_message, &get, err);
    if (status != MC_OK)
        return status;
    if (!get.record)
        return mc_fail_field(err, MC_NOT_FOUND, "message_id", "there is no message '%.*s'",
                             MC_STR_ARG(message_id));
    *record = get.record;
    return MC_OK;
}

/* ---- In pages ---- */

/*
 * A result comes as a whole, so a bounded read (message/load.h) asks for pages, of which the database leaves out what has
 * too many bytes before it. Lengths are read without the texts. What is usual fits one page.
 */
#define BYTES                                                                                      \
    "(octet_length(m.text) + octet_length(m.attached) + coalesce(octet_length(m.terms), 0)"        \
    " + coalesce(octet_length(m.packed), 0))"
#define PAGE(messages, order, most)                                                                \
    "SELECT " MC_PG_RECORD ", m.bytes FROM (SELECT m.*, sum(" BYTES ") OVER (ORDER BY " order      \
    " ROWS UNBOUNDED PRECEDING) AS bytes FROM (" messages ") m) m WHERE m.bytes - " BYTES          \
    " < " most " ORDER BY " order

struct page {
    size_t most; /* before each message are fewer bytes, so that one that does not fit is seen */
    struct mc_records found;
    bool cut; /* the next page may have more */
};

static void begin_page(struct page *page, const struct mc_load *load)
{
    size_t left = mc_load_left(load);
    mc_records_fini(&page->found);
    page->most = left < MC_READ_PAGE_BYTES ? left + 1 : MC_READ_PAGE_BYTES;
}

static enum mc_status read_page(struct mc_pg_conn *conn, const PGresult *result, struct page *page,
                                struct mc_error *err)
{
    size_t count = (size_t)PQntuples(result);
    page->cut =
        count > 0 && mc_pg_cell_int(result, count - 1, MC_PG_RECORD_COLUMNS) >= (int64_t)page->most;
    return mc_pg_records(conn, result, &page->found, err);
}

/* Takes over what the load has room for; *more: the next page may have more of it. */
static enum mc_status take_page(const struct page *page, struct mc_load *load,
                                struct mc_records *out, bool *more, struct mc_error *err)
{
    for (size_t i = 0; i < page->found.count; i++) {
        if (!mc_load_take(load, page->found.items[i]))
            break;
        if (!mc_records_push(out, mc_record_ref(page->found.items[i])))
            return mc_fail_memory(err);
    }
    *more = page->cut && !mc_load_is_full(load);
    return MC_OK;
}

/* ---- By row ---- */

struct rows {
    const int64_t *rows;
    size_t count;
    const struct mc_reader *reader;
    struct mc_records found; /* in any order */
    /* Of a bounded read: */
    struct page page;
    int64_t below; /* the rows that are left, newest first */
};

#define BY_ROW "SELECT " MC_PG_RECORD " FROM messages m WHERE m.shard = $1 AND m.id = ANY($2)"

static enum mc_status read_rows(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct rows *rows = context;
    struct mc_pg_allowed_args args;
    size_t statements;
    mc_records_fini(&rows->found);
    /* The first two own arguments are put in for each shard. */
    bool unfiltered = mc_reader_unfiltered(rows->reader);
    mc_pg_allowed(&args, MC_PG_NO_ARGS, rows->reader);
    enum mc_status status =
        mc_pg_add_by_shard(conn, unfiltered ? BY_ROW : BY_ROW " AND " MC_PG_ALLOWED, rows->rows,
                           rows->count, unfiltered ? NULL : args.items + 2, &statements, err);
    if (status == MC_OK)
        status = mc_pg_run_last(conn, err);
    for (size_t i = 0; status == MC_OK && i < statements; i++)
        status = mc_pg_records(conn, conn->results[i], &rows->found, err);
    return status;
}

/* "+ 0": else the order may tempt the planner to walk through the shard's index instead of looking the rows up. */
#define PAGE_OF_ROWS(allowed)                                                                      \
    PAGE("SELECT m.* FROM messages m WHERE m.shard = $1 AND m.id = ANY($2) AND m.id + 0 < "        \
         "$3" allowed,                                                                             \
         "m.id + 0 DESC", "$4")

static enum mc_status read_page_of_rows(struct mc_pg_conn *conn, void *context,
                                        struct mc_error *err)
{
    struct rows *rows = context;
    struct mc_pg_allowed_args args;
    const struct mc_pg_arg own[] = {mc_pg_int(mc_pg_row_shard(rows->rows[0])),
                                    mc_pg_ints(rows->rows, rows->count),
                                    mc_pg_int(rows->below),
                                    mc_pg_int((int64_t)rows->page.most),
                                    {.type = 0}};
    mc_records_fini(&rows->page.found);
    mc_pg_allowed(&args, own, rows->reader);
    if (mc_reader_unfiltered(rows->reader))
        mc_pg_add(conn, PAGE_OF_ROWS(""), own);
    else
        mc_pg_add(conn, PAGE_OF_ROWS(" AND " MC_PG_ALLOWED), args.items);
    enum mc_status status = mc_pg_run_last(conn, err);
    return status == MC_OK ? read_page(conn, conn->results[0], &rows->page, err) : status;
}

static enum mc_status read_bounded(struct mc_store *store, int64_t shard, struct rows *rows,
                                   struct mc_error *err)
{
    struct mc_load *load = rows->reader->load;
    enum mc_status status = MC_OK;
    bool more = true;
    rows->below = INT64_MAX;
    while (status == MC_OK && more) {
        begin_page(&rows->page, load);
        status = mc_pg_read_lagging(store, shard, 0, read_page_of_rows, rows, err);
        if (status == MC_OK && rows->page.found.count > 0)
            rows->below = rows->page.found.items[rows->page.found.count - 1]->row;
        if (status == MC_OK)
            status = take_page(&rows->page, load, &rows->found, &more, err);
    }
    mc_records_fini(&rows->page.found);
    return status;
}

static int by_row(const void *a, const void *b)
{
    int64_t x = (*(struct mc_record *const *)a)->row, y = (*(struct mc_record *const *)b)->row;
    return (x > y) - (x < y);
}

static struct mc_record *find_record(const struct mc_records *sorted, int64_t row)
{
    size_t low = 0, high = sorted->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sorted->items[middle]->row < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low < sorted->count && sorted->items[low]->row == row ? sorted->items[low] : NULL;
}

enum mc_status mc_pg_rows_of(struct mc_store *store, const int64_t *rows, size_t count,
                             const struct mc_reader *reader, struct mc_records *out,
                             struct mc_error *err)
{
    if (count == 0)
        return MC_OK;
    mc_auto(mc_records_fini) struct mc_records ordered = {0};
    struct rows asked = {.rows = rows, .count = count, .reader = reader};
    int64_t shard = mc_pg_shard_of_rows(rows, count);
    enum mc_status status = reader->load && shard >= 0
                                ? read_bounded(store, shard, &asked, err)
                                : mc_pg_read_lagging(store, shard, 0, read_rows, &asked, err);
    if (status == MC_OK && asked.found.count > 0)
        qsort(asked.found.items, asked.found.count, sizeof(void *), by_row);
    for (size_t i = 0; status == MC_OK && i < count; i++) {
        struct mc_record *record = find_record(&asked.found, rows[i]);
        if (record && !mc_records_push(&ordered, mc_record_ref(record)))
            status = mc_fail_memory(err);
    }
    mc_records_fini(&asked.found);
    return status == MC_OK ? append_all(&ordered, out, err) : status;
}

/* ---- In a thread ---- */

struct recent {
    const struct mc_recent_read *read;
    struct page page;
    struct mc_records found;
    /* Where the next page begins, when there was one. */
    int64_t before_row, before_us;
    struct mc_thread_state state;
};

static const char thread_sql[] = "SELECT version, messages FROM threads"
                                 " WHERE shard = $1 AND user_id = $2 AND thread_id = $3";

static struct mc_thread_state thread_state(const PGresult *result)
{
    if (PQntuples(result) == 0)
        return (struct mc_thread_state){.exists = false};
    return (struct mc_thread_state){true, mc_pg_cell_int(result, 0, 0),
                                    mc_pg_cell_int(result, 0, 1)};
}

#define OF_THREAD(columns)                                                                         \
    "SELECT " columns " FROM messages m WHERE m.shard = $1 AND m.user_no = " MC_PG_USER_NO         \
    " AND m.thread_id = $3 AND " MC_PG_ALLOWED
#define OLDER " AND (m.created_at, m.id) < ($5, $6)"
#define NEWEST_FIRST "m.created_at DESC, m.id DESC"
#define NEWEST " ORDER BY " NEWEST_FIRST " LIMIT $4"

/* The whole, a page; from the newest on, from those older than a message. */
static const char *const recent_sql[2][2] = {
    {OF_THREAD(MC_PG_RECORD) NEWEST, OF_THREAD(MC_PG_RECORD) OLDER NEWEST},
    {PAGE(OF_THREAD("m.*") NEWEST, NEWEST_FIRST, "$7"),
     PAGE(OF_THREAD("m.*") OLDER NEWEST, NEWEST_FIRST, "$7")},
};

/* The time of the message `before`, which must be in the thread and readable. */
static enum mc_status find_before(struct mc_pg_conn *conn, const struct mc_recent_read *read,
                                  int64_t *row, int64_t *created_us, struct mc_error *err)
{
    enum mc_status status = find_row(conn, read->before, row, err);
    if (status != MC_OK)
        return status;
    struct mc_pg_allowed_args args;
    mc_pg_allowed(&args,
                  MC_PG_ARGS(mc_pg_int(mc_pg_shard(read->user_id)), mc_pg_str(read->user_id),
                             mc_pg_str(read->thread_id), mc_pg_int(*row)),
                  read->reader);
    status = mc_pg_query(conn,
                         "SELECT m.created_at FROM messages m WHERE m.shard = $1 AND m.user_id = $2"
                         " AND m.thread_id = $3 AND m.id = $4 AND " MC_PG_ALLOWED,
                         args.items, err);
    if (status == MC_OK && mc_pg_rows(conn, 0) == 0)
        return mc_fail_field(err, MC_NOT_FOUND, "before",
                             "there is no message '%.*s' in this thread", MC_STR_ARG(read->before));
    if (status == MC_OK)
        *created_us = mc_pg_cell_time(conn->results[0], 0, 0);
    return status;
}

static enum mc_status read_recent(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct recent *recent = context;
    const struct mc_recent_read *read = recent->read;
    bool again = recent->before_row != 0, before = again || mc_str_given(read->before);
    int64_t row = recent->before_row, created_us = recent->before_us;
    size_t limit = read->limit - recent->found.count;
    mc_records_fini(&recent->page.found);
    enum mc_status status =
        before && !again ? find_before(conn, read, &row, &created_us, err) : MC_OK;
    if (status != MC_OK)
        return status;
    struct mc_pg_allowed_args args;
    mc_pg_allowed(&args,
                  MC_PG_ARGS(mc_pg_int(mc_pg_shard(read->user_id)), mc_pg_str(read->user_id),
                             mc_pg_str(read->thread_id),
                             mc_pg_int(limit > INT64_MAX ? INT64_MAX : (int64_t)limit),
                             mc_pg_time(created_us), mc_pg_int(row),
                             mc_pg_int((int64_t)recent->page.most)),
                  read->reader);
    mc_pg_add(conn, recent_sql[read->reader->load != NULL][before], args.items);
    if (read->state)
        mc_pg_add(conn, thread_sql,
                  MC_PG_ARGS(mc_pg_int(mc_pg_shard(read->user_id)), mc_pg_str(read->user_id),
                             mc_pg_str(read->thread_id)));
    status = mc_pg_run_last(conn, err);
    if (status == MC_OK && read->reader->load)
        status = read_page(conn, conn->results[0], &recent->page, err);
    else if (status == MC_OK)
        status = mc_pg_records(conn, conn->results[0], &recent->page.found, err);
    if (status == MC_OK && read->state)
        recent->state = thread_state(conn->results[1]);
    return status;
}

/* One page after the other; the state is of the moment of one, and so there is no other then. */
static enum mc_status read_pages(struct mc_store *store, struct recent *recent,
                                 struct mc_error *err)
{
    const struct mc_recent_read *read = recent->read;
    struct mc_load *load = read->reader->load;
    enum mc_status status = MC_OK;
    bool more = true;
    do {
        bool first = recent->before_row == 0;
        int flags = first && (mc_str_given(read->before) || read->state) ? MC_PG_SNAPSHOT : 0;
        begin_page(&recent->page, load);
        status =
            mc_pg_read_lagging(store, mc_pg_shard(read->user_id), flags, read_recent, recent, err);
        if (status == MC_OK)
            status = take_page(&recent->page, load, &recent->found, &more, err);
        more = more && status == MC_OK && recent->found.count < read->limit;
        if (more && read->state) {
            load->full = true;
            more = false;
        }
        if (more) {
            const struct mc_record *last = recent->found.items[recent->found.count - 1];
            recent->before_row = last->row;
            recent->before_us = last->m.created_at_us;
        }
    } while (more);
    return status;
}

enum mc_status mc_pg_recent(struct mc_store *store, const struct mc_recent_read *read,
                            struct mc_records *out, struct mc_error *err)
{
    struct recent recent = {.read = read};
    enum mc_status status = read_pages(store, &recent, err);
    if (status == MC_OK)
        status = append_all(&recent.found, out, err);
    if (status == MC_OK && read->state)
        *read->state = recent.state;
    mc_records_fini(&recent.found);
    mc_records_fini(&recent.page.found);
    return status;
}

static enum mc_status take_thread(const PGresult *result, void *context, struct mc_error *err)
{
    (void)err;
    *(struct mc_thread_state *)context = thread_state(result);
    return MC_OK;
}

enum mc_status mc_pg_thread(struct mc_store *store, mc_str user_id, mc_str thread_id,
                            struct mc_thread_state *state, struct mc_error *err)
{
    return mc_pg_read_one(
        mc_pg_of(store), thread_sql,
        MC_PG_ARGS(mc_pg_int(mc_pg_shard(user_id)), mc_pg_str(user_id), mc_pg_str(thread_id)),
        take_thread, state, err);
}

/* ---- Turns ---- */

/*
 * A row's place, and the rows on both sides of it. OFFSET 0 keeps the planner from reading the index of all
 * threads of a shard instead of the row, and from asking for a side once for each of its rows.
 */
#define SIDE(allowed, compare, order)                                                              \
    "ARRAY(SELECT m.id FROM messages m WHERE m.shard = $1 AND m.user_no = p.user_no"               \
    " AND m.thread_id = p.thread_id AND (m.created_at, m.id) " compare                             \
    " (p.created_at, p.id)" allowed " ORDER BY m.created_at " order ", m.id " order " LIMIT 2)"
#define TURNS(allowed)                                                                             \
    "SELECT a.id, a.older[1], a.older[2], a.newer[1], a.newer[2] FROM unnest($2) r(id),"           \
    " LATERAL (SELECT p.id, " SIDE(allowed, "<", "DESC") " AS older, " SIDE(                       \
        allowed, ">", "ASC") " AS newer FROM"                                                      \
                             " (SELECT m.id, m.user_no, m.thread_id, m.created_at FROM messages m" \
                             " WHERE m.shard = $1 AND m.id = r.id" allowed ") p OFFSET 0) a"

static_assert(MC_TURNS == 2, "written in SIDE and TURNS");

struct turns {
    const int64_t *rows;
    size_t count;
    const struct mc_reader *reader;
    struct mc_turns *out;
};

static void take_turns(const PGresult *result, struct turns *turns)
{
    for (size_t i = 0; i < (size_t)PQntuples(result); i++) {
        int64_t row = mc_pg_cell_int(result, i, 0);
        struct mc_turns found;
        for (int side = 0; side < MC_TURNS; side++) {
            found.before[side] = mc_pg_cell_int(result, i, 1 + side);
            found.after[side] = mc_pg_cell_int(result, i, 1 + MC_TURNS + side);
        }
        for (size_t j = 0; j < turns->count; j++)
            if (turns->rows[j] == row)
                turns->out[j] = found;
    }
}

static enum mc_status read_turns(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct turns *turns = context;
    struct mc_pg_allowed_args args;
    size_t statements;
    mc_pg_allowed(&args, MC_PG_NO_ARGS, turns->reader);
    bool unfiltered = mc_reader_unfiltered(turns->reader);
    enum mc_status status =
        mc_pg_add_by_shard(conn, unfiltered ? TURNS("") : TURNS(" AND " MC_PG_ALLOWED), turns->rows,
                           turns->count, unfiltered ? NULL : args.items + 2, &statements, err);
    if (status == MC_OK)
        status = mc_pg_run_last(conn, err);
    if (status != MC_OK)
        return status;
    for (size_t i = 0; i < turns->count; i++)
        turns->out[i] = (struct mc_turns){.before = {0}};
    for (size_t i = 0; i < statements; i++)
        take_turns(conn->results[i], turns);
    return MC_OK;
}

enum mc_status mc_pg_turns(struct mc_store *store, const int64_t *rows, size_t count,
                           const struct mc_reader *reader, struct mc_turns *out,
                           struct mc_error *err)
{
    if (count == 0)
        return MC_OK;
    struct turns turns = {rows, count, reader, out};
    return mc_pg_read_lagging(store, mc_pg_shard_of_rows(rows, count), 0, read_turns, &turns, err);
}
