/*
 * The compressed archive (store/archive.h). A packed message keeps its row, with NULL in terms, '{}' in metadata
 * and nothing in text, and has its frame in packed.
 *
 * DESIGN. A row that becomes shorter where it stands leaves a hole in its page, and rows are only appended: no other
 * would ever fill it. So a row is deleted and inserted again: then SQLite joins pages that have become empty by
 * two thirds. Measured with rows of 1,100 bytes that became 150: the table shrank to a fifth, by an
 * update to nothing less.
 */
#include "store/sqlite/sqlite.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/str.h"
#include "store/rules.h"

/* ---- Dictionaries ---- */

static enum mc_status load_dictionary(struct mc_conn *conn, int64_t number, struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool found = false;
    enum mc_status status = mc_conn_start(conn, "SELECT data FROM dictionaries WHERE number = ?1",
                                          MC_BINDS(mc_bind_int(number)), &stmt, err);
    if (status == MC_OK)
        status = mc_conn_step(conn, stmt, &found, err);
    if (status != MC_OK)
        return status;
    if (!found)
        return mc_fail(err, MC_CORRUPT,
                       "database '%s': dictionary %" PRId64
                       " of the archive is missing; restore a backup",
                       conn->path, number);
    return mc_archive_add(conn->archive, number, mc_column_str(stmt, 0), err);
}

enum mc_status mc_sqlite_unpack(struct mc_conn *conn, mc_str frame, struct mc_unpacked *unpacked,
                                struct mc_error *err)
{
    int64_t missing;
    enum mc_status status = mc_archive_unpack(conn->archive, frame, unpacked, &missing, err);
    if (missing == 0)
        return status;
    status = load_dictionary(conn, missing, err);
    return status == MC_OK ? mc_archive_unpack(conn->archive, frame, unpacked, &missing, err)
                           : status;
}

/* ---- Training ---- */

struct training {
    int64_t number, samples, created_us; /* the newest dictionary's; afterwards the new one's */
    mc_str bytes;
};

static enum mc_status read_newest(struct mc_conn *conn, struct training *t, struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool found = false;
    enum mc_status status = mc_conn_start(conn,
                                          "SELECT number, samples, created_at FROM dictionaries"
                                          " ORDER BY number DESC LIMIT 1",
                                          MC_NO_BINDS, &stmt, err);
    if (status == MC_OK)
        status = mc_conn_step(conn, stmt, &found, err);
    if (status == MC_OK && found)
        *t = (struct training){.number = mc_column_int(stmt, 0),
                               .samples = mc_column_int(stmt, 1),
                               .created_us = mc_column_int(stmt, 2)};
    return status;
}

static enum mc_status read_samples(struct mc_conn *conn, struct mc_samples *samples,
                                   struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool row = true, full = false;
    enum mc_status status =
        mc_conn_start(conn,
                      "SELECT u.user_id, m.metadata, m.text FROM messages m"
                      " INDEXED BY messages_unpacked CROSS JOIN users u ON u.user_no = m.user_no"
                      " WHERE m.tier = 3 AND m.packed IS NULL ORDER BY m.id DESC",
                      MC_NO_BINDS, &stmt, err);
    while (status == MC_OK && !full) {
        status = mc_conn_step(conn, stmt, &row, err);
        if (status != MC_OK || !row)
            break;
        if (!mc_samples_add(samples, mc_column_str(stmt, 0), mc_column_str(stmt, 1),
                            mc_column_str(stmt, 2), &full))
            return mc_fail_memory(err);
    }
    return status;
}

static enum mc_status apply_dictionary(struct mc_writer *writer, void *context,
                                       struct mc_error *err)
{
    const struct training *t = context; /* another process may have been faster */
    return mc_conn_exec(writer->conn,
                        "INSERT INTO dictionaries(number, samples, created_at, data)"
                        " VALUES(?1, ?2, ?3, ?4) ON CONFLICT(number) DO NOTHING",
                        MC_BINDS(mc_bind_int(t->number), mc_bind_int(t->samples),
                                 mc_bind_int(t->created_us), mc_bind_blob(t->bytes)),
                        err);
}

enum mc_status mc_sqlite_train(struct mc_store *store, int64_t now_us, struct mc_error *err)
{
    struct mc_sqlite *s = mc_sqlite_of(store);
    mc_auto(mc_samples_fini) struct mc_samples samples = {0};
    mc_auto(mc_buf_fini) struct mc_buf bytes;
    struct training t = {0};
    enum mc_status status;
    mc_buf_init(&bytes, 1U << 20);
    {
        mc_auto(mc_reading_end) struct mc_reading reading = {0};
        status = mc_reading_begin(&reading, &s->readers, err);
        if (status == MC_OK)
            status = read_newest(reading.conn, &t, err);
        if (status == MC_OK)
            status = read_samples(reading.conn, &samples, err);
    }
    if (status != MC_OK ||
        !mc_archive_should_train((size_t)t.samples, now_us - t.created_us, samples.count))
        return status;
    t = (struct training){t.number + 1, (int64_t)samples.count, now_us, MC_STR_NONE};
    status = mc_archive_train(&samples, t.number, &bytes, err);
    t.bytes = mc_buf_str(&bytes);
    return status == MC_OK ? mc_sqlite_write(s, MC_WRITE_OTHER, 1, apply_dictionary, &t, err)
                           : status;
}

/* ---- Packing ---- */

struct packing {
    const struct mc_tier_rule *rule;
    struct mc_tier_times times;
    int64_t user_no; /* 0: all */
    struct packed_row {
        int64_t row;
        size_t before, start, size; /* bytes; the frame's place in frames */
    } * rows;
    size_t count;
    struct mc_buf frames;
    struct mc_pack_step step;
};

static void packing_fini(struct packing *p)
{
    free(p->rows);
    mc_buf_fini(&p->frames);
}

/* A message that waits for enrichment, or failed to be enriched, is left until that is settled. */
#define NO_JOB " AND NOT EXISTS(SELECT 1 FROM jobs j WHERE j.id = messages.id)"

static const char unpacked_sql[] =
    "SELECT id, metadata, text, " MC_SQL_MESSAGE_BYTES " FROM messages INDEXED BY messages_unpacked"
    " WHERE tier = 3 AND packed IS NULL AND (?1 = 0 OR user_no = ?1)" NO_JOB " ORDER BY id LIMIT "
    "?2";

/* Reads a batch and packs it, outside of any transaction. */
static enum mc_status pack_batch(struct mc_conn *conn, struct packing *p, struct mc_error *err)
{
    struct training newest = {0};
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool row = true;
    enum mc_status status = read_newest(conn, &newest, err);
    if (status != MC_OK || newest.number == 0)
        return status;
    if (newest.number > mc_archive_newest(conn->archive))
        status = load_dictionary(conn, newest.number, err);
    if (status == MC_OK)
        status = mc_conn_start(
            conn, unpacked_sql,
            MC_BINDS(mc_bind_int(p->user_no), mc_bind_int((int64_t)p->rule->batch)), &stmt, err);
    while (status == MC_OK && p->count < p->rule->batch) {
        status = mc_conn_step(conn, stmt, &row, err);
        if (status != MC_OK || !row)
            break;
        struct packed_row *packed = &p->rows[p->count++];
        *packed = (struct packed_row){.row = mc_column_int(stmt, 0),
                                      .before = (size_t)mc_column_int(stmt, 3),
                                      .start = p->frames.len};
        status = mc_archive_pack(conn->archive, mc_column_str(stmt, 1), mc_column_str(stmt, 2),
                                 &p->frames, err);
        packed->size = p->frames.len - packed->start;
    }
    return status;
}

#define KEPT                                                                                       \
    "id, message_id, user_no, thread_no, created_at, stored_at, role, visibility, tier, state,"    \
    " trivial, importance, session_id, agent_id, sharing_groups, left_short, left_mid, left_long"
#define KEPT_COUNT 18
enum { KEPT_USER = 2, KEPT_THREAD = 3 };

/* Deletes and inserts the row, unless it has changed meanwhile. */
static enum mc_status replace_row(struct mc_conn *conn, int64_t row, mc_str frame, int64_t run,
                                  bool *replaced, struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *old = NULL;
    mc_auto(mc_stmt_done) sqlite3_stmt *new = NULL;
    enum mc_status status = mc_conn_start(conn,
                                          "SELECT " KEPT ", terms FROM messages"
                                          " WHERE id = ?1 AND tier = 3 AND packed IS NULL" NO_JOB,
                                          MC_BINDS(mc_bind_int(row)), &old, err);
    if (status == MC_OK)
        status = mc_conn_step(conn, old, replaced, err);
    if (status != MC_OK || !*replaced)
        return status;
    status = mc_conn_start(conn,
                           "INSERT INTO messages(" KEPT ", metadata, text, packed, packed_by)"
                           " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,"
                           " ?15, ?16, ?17, ?18, '{}', '', ?19, nullif(?20, 0))",
                           MC_NO_BINDS, &new, err);
    if (status != MC_OK)
        return status;
    int code = SQLITE_OK;
    for (int i = 0; code == SQLITE_OK && i < KEPT_COUNT; i++)
        code = sqlite3_bind_value(new, i + 1, sqlite3_column_value(old, i));
    if (code == SQLITE_OK)
        code = sqlite3_bind_blob64(new, KEPT_COUNT + 1, frame.data, frame.len, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(new, KEPT_COUNT + 2, run);
    if (code != SQLITE_OK)
        return mc_conn_fail(conn, code, err);
    mc_str terms = mc_column_str(old, KEPT_COUNT);
    if (mc_str_given(terms))
        status = mc_fts_change(conn, false, row, mc_column_int(old, KEPT_USER),
                               mc_column_int(old, KEPT_THREAD), terms, err);
    mc_stmt_done(&old);
    if (status == MC_OK)
        status = mc_conn_exec(conn, "DELETE FROM messages WHERE id = ?1",
                              MC_BINDS(mc_bind_int(row)), err);
    bool none;
    if (status == MC_OK)
        status = mc_conn_step(conn, new, &none, err);
    return status == MC_OK ? mc_sqlite_twin_set(conn, row, MC_STR_NONE, err) : status;
}

static enum mc_status apply_packing(struct mc_writer *writer, void *context, struct mc_error *err)
{
    struct packing *p = context;
    p->step = (struct mc_pack_step){.more = p->count == p->rule->batch};
    enum mc_status status = mc_sqlite_run_check(writer->conn, p->rule->run, err);
    for (size_t i = 0; status == MC_OK && i < p->count; i++) {
        const struct packed_row *packed = &p->rows[i];
        bool replaced = false;
        status = replace_row(writer->conn, packed->row,
                             (mc_str){p->frames.data + packed->start, packed->size}, p->rule->run,
                             &replaced, err);
        if (!replaced)
            continue;
        p->step.packed++;
        p->step.bytes_before += (int64_t)packed->before;
        p->step.bytes_after += (int64_t)packed->size;
    }
    static const struct mc_tier_step nothing_else = {0};
    return status == MC_OK
               ? mc_sqlite_run_count(writer->conn, p->rule->run, &nothing_else, p->step.packed, err)
               : status;
}

/* What a run to the end would pack: what is in the archive, or will come there, and is not deleted. */
static enum mc_status count_packing(struct mc_conn *conn, struct packing *p, struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool row;
    enum mc_status status = mc_conn_start(
        conn,
        "SELECT count(*), coalesce(sum(" MC_SQL_MESSAGE_BYTES
        "), 0) FROM messages WHERE packed IS NULL"
        " AND (tier = 3 OR (created_at < ?2 AND (importance < ?3 OR created_at < ?4)))"
        " AND NOT (trivial AND stored_at < ?5 AND created_at < ?5)"
        " AND NOT (stored_at < ?6 AND created_at < ?6) AND (?1 = 0 OR user_no = ?1)" NO_JOB,
        MC_BINDS(mc_bind_int(p->user_no), mc_bind_int(p->times.leaves[MC_TIER_LONG]),
                 mc_bind_double(p->rule->keep_importance),
                 mc_bind_int(p->times.leaves_kept[MC_TIER_LONG]),
                 mc_bind_int(p->times.trivial_delete), mc_bind_int(p->times.archive_delete)),
        &stmt, err);
    if (status == MC_OK)
        status = mc_conn_step(conn, stmt, &row, err);
    if (status == MC_OK)
        p->step = (struct mc_pack_step){.packed = mc_column_int(stmt, 0),
                                        .bytes_before = mc_column_int(stmt, 1)};
    return status;
}

/* The index of what was packed is given back to the file at the end of a run. */
enum index_holes { NO_HOLES, HAS_HOLES, CLOSING_HOLES };
#define MERGE_PAGES 16 /* of a step: a few milliseconds */

static enum mc_status close_holes(struct mc_sqlite *s, bool *more, struct mc_error *err)
{
    int holes = atomic_load(&s->index_holes);
    if (holes == NO_HOLES)
        return MC_OK;
    enum mc_status status =
        mc_sqlite_merge_index(s, holes == HAS_HOLES ? -MERGE_PAGES : MERGE_PAGES, more, err);
    if (status == MC_OK)
        atomic_compare_exchange_strong(&s->index_holes, &holes, *more ? CLOSING_HOLES : NO_HOLES);
    return status;
}

enum mc_status mc_sqlite_pack(struct mc_store *store, const struct mc_tier_rule *rule,
                              struct mc_pack_step *step, struct mc_error *err)
{
    struct mc_sqlite *s = mc_sqlite_of(store);
    mc_auto(packing_fini) struct packing p = {.rule = rule};
    enum mc_status status = mc_rules_check_batch(rule, err);
    if (status != MC_OK)
        return status;
    mc_rules_tier_times(rule, &p.times);
    mc_buf_init(&p.frames, SIZE_MAX / 2);
    p.rows = calloc(rule->batch, sizeof(*p.rows));
    if (!p.rows)
        return mc_fail_memory(err);
    bool known = true;
    {
        mc_auto(mc_reading_end) struct mc_reading reading = {0};
        status = mc_reading_begin(&reading, &s->readers, err);
        if (status == MC_OK && mc_str_given(rule->user_id))
            status = mc_conn_integer(reading.conn, "SELECT user_no FROM users WHERE user_id = ?1",
                                     MC_BINDS(mc_bind_str(rule->user_id)), &known, &p.user_no, err);
        if (status == MC_OK && known)
            status = rule->dry_run ? count_packing(reading.conn, &p, err)
                                   : pack_batch(reading.conn, &p, err);
    }
    if (status == MC_OK && p.count > 0)
        status = mc_sqlite_write(s, MC_WRITE_OTHER, p.count, apply_packing, &p, err);
    else if (status == MC_OK && !rule->dry_run)
        status = close_holes(s, &p.step.more, err);
    if (status == MC_OK && p.count > 0) {
        atomic_store(&s->index_holes, HAS_HOLES);
        p.step.more = true;
    }
    if (!rule->dry_run)
        mc_sqlite_relieve_log(s, p.count + MERGE_PAGES);
    if (status == MC_OK)
        *step = p.step;
    return status;
}
