/* Tiers and summaries. */
#include "store/sqlite/sqlite.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/str.h"
#include "store/rules.h"

/* ---- Threads that need a summary ---- */

#define UNSUMMARISED(user)                                                                         \
    "SELECT u.user_id, t.thread_id, t.summarised_until, t.last_at, t.messages - t.summarised"      \
    " FROM users u JOIN threads t ON t.user_no = u.user_no"                                        \
    " WHERE " user " AND t.messages > t.summarised"                                                \
    " AND (t.messages - t.summarised > ?2 OR t.last_at < ?3) LIMIT ?4"

enum mc_status mc_sqlite_unsummarised(struct mc_store *store, mc_str user_id, int64_t messages,
                                      int64_t before_us, size_t limit, mc_summary_fn each,
                                      void *context, struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_conn_start(reading.conn,
                               mc_str_given(user_id) ? UNSUMMARISED("u.user_id = ?1")
                                                     : UNSUMMARISED("?1 IS NULL"),
                               MC_BINDS(mc_bind_str(user_id), mc_bind_int(messages),
                                        mc_bind_int(before_us), mc_bind_int((int64_t)limit)),
                               &stmt, err);
    bool more = true;
    while (more && mc_conn_next(reading.conn, stmt, &status, err)) {
        struct mc_summary due = {
            .user_id = mc_column_str(stmt, 0),
            .thread_id = mc_column_str(stmt, 1),
            .first_us = mc_column_int(stmt, 2),
            .last_us = mc_column_int(stmt, 3),
            .messages = mc_column_int(stmt, 4),
        };
        more = each(context, &due);
    }
    return status;
}

/* ---- Summaries ---- */

struct place {
    int64_t user_no, thread_no;
    int64_t withdrawn;
};

static enum mc_status find_thread(struct mc_conn *conn, const struct mc_summary *s,
                                  struct place *place, struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum mc_status status =
        mc_conn_start(conn,
                      "SELECT t.user_no, t.thread_no, t.withdrawn FROM threads t JOIN users u"
                      " ON u.user_no = t.user_no WHERE u.user_id = ?1 AND t.thread_id = ?2",
                      MC_BINDS(mc_bind_str(s->user_id), mc_bind_str(s->thread_id)), &stmt, err);
    if (status == MC_OK)
        status = mc_conn_step(conn, stmt, &row, err);
    if (status != MC_OK)
        return status;
    if (!row)
        return mc_fail_field(err, MC_NOT_FOUND, "thread_id", "there is no thread '%.*s'",
                             MC_STR_ARG(s->thread_id));
    *place = (struct place){mc_column_int(stmt, 0), mc_column_int(stmt, 1), mc_column_int(stmt, 2)};
    return MC_OK;
}

static enum mc_status apply_summary(struct mc_writer *writer, void *context, struct mc_error *err)
{
    const struct mc_summary *s = context;
    struct mc_conn *conn = writer->conn;
    struct place place = {0};
    enum mc_status status = find_thread(conn, s, &place, err);
    if (status == MC_OK && s->thread_version < place.withdrawn)
        return mc_fail(err, MC_CONFLICT,
                       "a message of thread '%.*s' was deleted while it was summarised",
                       MC_STR_ARG(s->thread_id));
    if (status != MC_OK)
        return status;
    status = mc_conn_exec(
        conn,
        "INSERT INTO summaries(user_no, thread_no, first_at, last_at, messages, created_at, lost,"
        " method, key_facts, topics, text) VALUES(?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8, ?9, ?10)",
        MC_BINDS(mc_bind_int(place.user_no), mc_bind_int(place.thread_no), mc_bind_int(s->first_us),
                 mc_bind_int(s->last_us), mc_bind_int(s->messages), mc_bind_int(s->created_at_us),
                 mc_bind_text(s->method),
                 mc_bind_str(s->key_facts.len > 0 ? s->key_facts : MC_STR("[]")),
                 mc_bind_str(s->topics.len > 0 ? s->topics : MC_STR("[]")), mc_bind_text(s->text)),
        err);
    if (status == MC_OK)
        status = mc_conn_exec(
            conn,
            "UPDATE threads SET summarised_until = max(summarised_until, ?3), summarised ="
            " (SELECT count(*) FROM messages m WHERE m.user_no = ?1 AND m.thread_no = ?2"
            " AND m.created_at <= max(summarised_until, ?3)) WHERE thread_no = ?2",
            MC_BINDS(mc_bind_int(place.user_no), mc_bind_int(place.thread_no),
                     mc_bind_int(s->last_us)),
            err);
    return status;
}

enum mc_status mc_sqlite_put_summary(struct mc_store *store, const struct mc_summary *summary,
                                     struct mc_error *err)
{
    struct mc_summary copy = *summary;
    return mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, 1, apply_summary, &copy, err);
}

/*
 * Filtered readers get a summary only when they may read every message that it was made from: none
 * of the thread's messages is closed to them, and none that could have been is gone.
 */
static const char summaries_sql[] =
    "SELECT u.user_id, t.thread_id, s.text, s.key_facts, s.topics, s.method, s.first_at, s.last_at,"
    " s.messages, s.created_at FROM users u JOIN summaries s ON s.user_no = u.user_no"
    " JOIN threads t ON t.thread_no = s.thread_no WHERE u.user_id = ?1 AND (?3 OR (NOT s.lost"
    " AND NOT EXISTS(SELECT 1 FROM messages m WHERE m.user_no = s.user_no"
    " AND m.thread_no = s.thread_no AND NOT " MC_SQL_ALLOWED ")))"
    " ORDER BY s.created_at DESC, s.id DESC LIMIT ?2";

enum mc_status mc_sqlite_summaries(struct mc_store *store, mc_str user_id,
                                   const struct mc_reader *reader, size_t limit, mc_summary_fn each,
                                   void *context, struct mc_error *err)
{
    mc_auto(mc_allowed_fini) struct mc_allowed allowed = {0};
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_allowed_init(&allowed, reader, err);
    if (status == MC_OK)
        status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_conn_start(reading.conn, summaries_sql,
                               MC_BINDS(mc_bind_str(user_id), mc_bind_int((int64_t)limit),
                                        mc_bind_int(mc_reader_unfiltered(reader))),
                               &stmt, err);
    if (status == MC_OK)
        mc_allowed_bind(&allowed, stmt);
    bool more = true;
    while (more && mc_conn_next(reading.conn, stmt, &status, err)) {
        struct mc_summary summary = {
            .user_id = mc_column_str(stmt, 0),
            .thread_id = mc_column_str(stmt, 1),
            .text = mc_column_str(stmt, 2),
            .key_facts = mc_column_str(stmt, 3),
            .topics = mc_column_str(stmt, 4),
            .method = mc_column_str(stmt, 5),
            .first_us = mc_column_int(stmt, 6),
            .last_us = mc_column_int(stmt, 7),
            .messages = mc_column_int(stmt, 8),
            .created_at_us = mc_column_int(stmt, 9),
        };
        more = each(context, &summary);
    }
    return status;
}

/* ---- Migration ---- */

struct due {
    const struct mc_tier_rule *rule;
    int64_t user_no; /* 0: all */
    struct mc_tier_times times;
    int64_t *rows; /* room for a batch */
    struct mc_tier_step step;
};

/* Rows of a query (parameters: 1 time, 2 user, 3 limit) deleted, at most the room that is left. */
static enum mc_status delete_due(struct mc_conn *conn, struct due *due, const char *sql,
                                 int64_t time, struct mc_error *err)
{
    size_t room = due->rule->batch - (size_t)(due->step.deleted + due->step.moved), count = 0;
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_conn_start(
        conn, sql,
        MC_BINDS(mc_bind_int(time), mc_bind_int(due->user_no), mc_bind_int((int64_t)room)), &stmt,
        err);
    while (count < room && mc_conn_next(conn, stmt, &status, err)) {
        due->rows[count++] = mc_column_int(stmt, 0);
        due->step.bytes_deleted += mc_column_int(stmt, 1);
    }
    mc_stmt_done(&stmt);
    for (size_t i = 0; status == MC_OK && i < count; i++) {
        if (due->rule->run != 0)
            status = mc_sqlite_trash(conn, due->rows[i], due->rule->run, err);
        if (status == MC_OK)
            status = mc_sqlite_drop(conn, due->rows[i], false, NULL, NULL, err);
    }
    due->step.deleted += (int64_t)count;
    return status;
}

static enum mc_status move_row(struct mc_conn *conn, int64_t row, int from, int to, int64_t run,
                               struct mc_error *err)
{
    static const char *const updates[MC_TIER_ARCHIVE] = {
        "UPDATE messages SET tier = ?2, left_short = nullif(?3, 0) WHERE id = ?1",
        "UPDATE messages SET tier = ?2, left_mid = nullif(?3, 0) WHERE id = ?1",
        "UPDATE messages SET tier = ?2, left_long = nullif(?3, 0) WHERE id = ?1",
    };
    struct mc_bind id = mc_bind_int(row);
    enum mc_status status =
        mc_conn_exec(conn, updates[from], MC_BINDS(id, mc_bind_int(to), mc_bind_int(run)), err);
    if (status == MC_OK)
        status = mc_conn_exec(conn,
                              "UPDATE threads SET version = version + 1 WHERE thread_no ="
                              " (SELECT thread_no FROM messages WHERE id = ?1)",
                              MC_BINDS(id), err);
    return status;
}

#define DUE_TO_LEAVE                                                                               \
    " FROM messages WHERE tier = ?1 AND created_at < ?2 AND (importance < ?3 OR created_at < ?4)"  \
    " AND (?5 = 0 OR user_no = ?5)"

static enum mc_status move_due(struct mc_conn *conn, struct due *due, int tier,
                               struct mc_error *err)
{
    size_t room = due->rule->batch - (size_t)(due->step.deleted + due->step.moved), count = 0;
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_conn_start(
        conn, "SELECT id, created_at, importance" DUE_TO_LEAVE " ORDER BY created_at LIMIT ?6",
        MC_BINDS(mc_bind_int(tier), mc_bind_int(due->times.leaves[tier]),
                 mc_bind_double(due->rule->keep_importance),
                 mc_bind_int(due->times.leaves_kept[tier]), mc_bind_int(due->user_no),
                 mc_bind_int((int64_t)room)),
        &stmt, err);
    /* The target goes with the row: rows below 2^61, tiers below 4. */
    while (count < room && mc_conn_next(conn, stmt, &status, err)) {
        int target = mc_rules_target_tier(&due->times, tier, mc_column_int(stmt, 1),
                                          sqlite3_column_double(stmt, 2));
        due->rows[count++] = mc_column_int(stmt, 0) * MC_TIER_COUNT + target;
    }
    mc_stmt_done(&stmt);
    for (size_t i = 0; status == MC_OK && i < count; i++)
        status = move_row(conn, due->rows[i] / MC_TIER_COUNT, tier,
                          (int)(due->rows[i] % MC_TIER_COUNT), due->rule->run, err);
    due->step.moved += (int64_t)count;
    return status;
}

/*
 * A message is deleted when both what it tells and its place here are older than the time: what was
 * imported from years ago has only come, and stays as long as anything else. "+": by the index of stored_at.
 */
#define OLDER_THAN(time) " AND stored_at < " time " AND +created_at < " time
static const char trivial_sql[] =
    "SELECT id, " MC_SQL_MESSAGE_BYTES
    " FROM messages WHERE trivial" OLDER_THAN("?1") " AND (?2 = 0 OR user_no = ?2) LIMIT ?3";
static const char archived_sql[] =
    "SELECT id, " MC_SQL_MESSAGE_BYTES
    " FROM messages INDEXED BY messages_archived WHERE tier = 3" OLDER_THAN(
        "?1") " AND (?2 = 0 OR user_no = ?2) LIMIT ?3";

static enum mc_status apply_migrate(struct mc_writer *writer, void *context, struct mc_error *err)
{
    struct due *due = context;
    struct mc_conn *conn = writer->conn;
    due->step = (struct mc_tier_step){0};
    enum mc_status status = mc_sqlite_run_check(conn, due->rule->run, err);
    if (status == MC_OK)
        status = mc_sqlite_keep_row(conn, err);
    if (status == MC_OK && due->rule->trivial_delete_us)
        status = delete_due(conn, due, trivial_sql, due->times.trivial_delete, err);
    if (status == MC_OK && due->rule->archive_delete_us)
        status = delete_due(conn, due, archived_sql, due->times.archive_delete, err);
    for (int tier = 0; status == MC_OK && tier < MC_TIER_ARCHIVE; tier++)
        status = move_due(conn, due, tier, err);
    if (status == MC_OK)
        status = mc_sqlite_run_count(conn, due->rule->run, &due->step, 0, err);
    due->step.more = (size_t)(due->step.moved + due->step.deleted) >= due->rule->batch;
    return status;
}

/* ---- Dry run ---- */

#define COUNT_BYTES "SELECT count(*), coalesce(sum(" MC_SQL_MESSAGE_BYTES "), 0)"

/* Adds what a query of COUNT_BYTES says to what would be deleted. */
static enum mc_status count_deletions(struct mc_conn *conn, const char *sql,
                                      const struct mc_bind *binds, struct due *due,
                                      struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool row;
    enum mc_status status = mc_conn_start(conn, sql, binds, &stmt, err);
    if (status == MC_OK)
        status = mc_conn_step(conn, stmt, &row, err);
    if (status != MC_OK)
        return status;
    due->step.deleted += mc_column_int(stmt, 0);
    due->step.bytes_deleted += mc_column_int(stmt, 1);
    return MC_OK;
}

/* All that a run to the end would move or delete, the messages that it would archive and then
 * delete included. */
static enum mc_status count_due(struct mc_conn *conn, struct due *due, struct mc_error *err)
{
    int64_t n = 0;
    struct mc_bind user = mc_bind_int(due->user_no),
                   trivial = mc_bind_int(due->times.trivial_delete),
                   archive = mc_bind_int(due->times.archive_delete);
    enum mc_status status = count_deletions(
        conn,
        COUNT_BYTES " FROM messages WHERE trivial" OLDER_THAN("?1") " AND (?2 = 0 OR user_no = ?2)",
        MC_BINDS(trivial, user), due, err);
    if (status == MC_OK)
        status = count_deletions(
            conn,
            COUNT_BYTES " FROM messages WHERE tier = 3" OLDER_THAN(
                "?1") " AND (?2 = 0 OR user_no = ?2) AND NOT (trivial" OLDER_THAN("?3") ")",
            MC_BINDS(archive, user, trivial), due, err);
    for (int tier = 0; status == MC_OK && tier < MC_TIER_ARCHIVE; tier++) {
        struct mc_bind keep = mc_bind_double(due->rule->keep_importance);
        status = mc_conn_integer(
            conn, "SELECT count(*)" DUE_TO_LEAVE " AND NOT (trivial" OLDER_THAN("?6") ")",
            MC_BINDS(mc_bind_int(tier), mc_bind_int(due->times.leaves[tier]), keep,
                     mc_bind_int(due->times.leaves_kept[tier]), user, trivial),
            NULL, &n, err);
        due->step.moved += n;
        if (status == MC_OK)
            status = count_deletions(
                conn,
                COUNT_BYTES DUE_TO_LEAVE " AND NOT (trivial" OLDER_THAN("?6") ")" OLDER_THAN(
                    "?7") " AND ((importance < ?3 AND created_at < ?8) OR created_at < "
                          "?9)",
                MC_BINDS(mc_bind_int(tier), mc_bind_int(due->times.leaves[tier]), keep,
                         mc_bind_int(due->times.leaves_kept[tier]), user, trivial, archive,
                         mc_bind_int(due->times.leaves[MC_TIER_LONG]),
                         mc_bind_int(due->times.leaves_kept[MC_TIER_LONG])),
                due, err);
    }
    return status;
}

/* *known false: the rule names a user that has nothing here. */
static enum mc_status find_user(struct mc_conn *conn, struct due *due, bool *known,
                                struct mc_error *err)
{
    *known = true;
    if (!mc_str_given(due->rule->user_id))
        return MC_OK;
    return mc_conn_integer(conn, "SELECT user_no FROM users WHERE user_id = ?1",
                           MC_BINDS(mc_bind_str(due->rule->user_id)), known, &due->user_no, err);
}

enum mc_status mc_sqlite_migrate(struct mc_store *store, const struct mc_tier_rule *rule,
                                 struct mc_tier_step *step, struct mc_error *err)
{
    struct mc_sqlite *s = mc_sqlite_of(store);
    struct due due = {.rule = rule};
    bool known = false;
    enum mc_status status = mc_rules_check_batch(rule, err);
    if (status != MC_OK)
        return status;
    mc_rules_tier_times(rule, &due.times);
    {
        mc_auto(mc_reading_end) struct mc_reading reading = {0};
        mc_auto(mc_snapshot_end) struct mc_snapshot snapshot = {0};
        status = mc_reading_begin(&reading, &s->readers, err);
        if (status == MC_OK)
            status = mc_snapshot_begin(&snapshot, reading.conn, err);
        if (status == MC_OK)
            status = find_user(reading.conn, &due, &known, err);
        if (status == MC_OK && known && rule->dry_run)
            status = count_due(reading.conn, &due, err);
    }
    if (status == MC_OK && known && !rule->dry_run) {
        due.rows = calloc(rule->batch, sizeof(*due.rows));
        if (!due.rows)
            return mc_fail_memory(err);
        status = mc_sqlite_write(s, MC_WRITE_OTHER, rule->batch, apply_migrate, &due, err);
        free(due.rows);
        mc_sqlite_relieve_log(s, (size_t)(due.step.moved + due.step.deleted));
    }
    if (status == MC_OK)
        *step = due.step;
    return status;
}

/* ---- Who migrates ---- */

struct task {
    mc_str task;
    int64_t now_us, due_us;
    bool taken;
};

static enum mc_status apply_task(struct mc_writer *writer, void *context, struct mc_error *err)
{
    struct task *t = context;
    enum mc_status status = mc_conn_exec(
        writer->conn,
        "INSERT INTO tasks(task, due_at) VALUES(?1, ?2) ON CONFLICT(task) DO UPDATE"
        " SET due_at = excluded.due_at WHERE due_at <= ?3",
        MC_BINDS(mc_bind_str(t->task), mc_bind_int(t->due_us), mc_bind_int(t->now_us)), err);
    t->taken = status == MC_OK && mc_conn_changes(writer->conn) > 0;
    return status;
}

enum mc_status mc_sqlite_take_task(struct mc_store *store, mc_str task, int64_t now_us,
                                   int64_t until_us, bool *taken, struct mc_error *err)
{
    struct task t = {task, now_us, until_us, false};
    enum mc_status status =
        mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, 1, apply_task, &t, err);
    if (status == MC_OK)
        *taken = t.taken;
    return status;
}

enum mc_status mc_sqlite_set_task(struct mc_store *store, mc_str task, int64_t due_us,
                                  struct mc_error *err)
{
    bool taken;
    return mc_sqlite_take_task(store, task, INT64_MAX, due_us, &taken, err);
}
