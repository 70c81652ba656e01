/*
 * Storing messages. What can be prepared (records, JSON) is made on the caller's thread before the
 * write is queued, so that the transaction holds little but the inserts, and memory runs out before
 * anything is written.
 */
#include "store/sqlite/sqlite.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "store/rules.h"

/* One message of a put: prepared before, filled in by the transaction. */
struct placed {
    struct mc_record *record; /* to become the result */
    struct mc_record *stored; /* for a repeat: the result instead */
    struct mc_buf groups;     /* JSON, empty for none */
    int64_t version, messages;
    const char *differs;
    bool created;
};

struct put {
    struct mc_put *items;
    struct placed *placed;
    size_t count;
};

/* The user and thread of a message. */
struct place {
    int64_t user_no, thread_no;
    int64_t version, messages;
};

/* ---- Repeats ---- */

/* *found: the id is taken; then placed tells by the same content or another. */
static enum mc_status look_for_repeat(struct mc_conn *conn, const struct mc_message *m,
                                      struct placed *placed, bool *found, struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_conn_start(
        conn, "SELECT " MC_SQL_RECORD("NULL") MC_SQL_RECORD_FROM " WHERE m.message_id = ?1",
        MC_BINDS(mc_bind_str(m->message_id)), &stmt, err);
    *found = false;
    if (status == MC_OK)
        status = mc_conn_step(conn, stmt, found, err);
    if (status != MC_OK || !*found)
        return status;
    status = mc_sqlite_record(conn, stmt, &placed->stored, err);
    if (status == MC_OK)
        placed->differs = mc_rules_difference(&placed->stored->m, m);
    return status;
}

/* ---- Inserting ---- */

/* *known: both exist. Otherwise what does not is 0. */
static enum mc_status find_place(struct mc_conn *conn, const struct mc_message *m,
                                 struct place *place, bool *known, struct mc_error *err)
{
    *place = (struct place){0};
    *known = false;
    enum mc_status status =
        mc_conn_integer(conn, "SELECT user_no FROM users WHERE user_id = ?1",
                        MC_BINDS(mc_bind_str(m->user_id)), NULL, &place->user_no, err);
    if (status != MC_OK || place->user_no == 0)
        return status;
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    status =
        mc_conn_start(conn,
                      "SELECT thread_no, version, messages FROM threads"
                      " WHERE user_no = ?1 AND thread_id = ?2",
                      MC_BINDS(mc_bind_int(place->user_no), mc_bind_str(m->thread_id)), &stmt, err);
    if (status == MC_OK)
        status = mc_conn_step(conn, stmt, known, err);
    if (status == MC_OK && *known) {
        place->thread_no = mc_column_int(stmt, 0);
        place->version = mc_column_int(stmt, 1);
        place->messages = mc_column_int(stmt, 2);
    }
    return status;
}

static enum mc_status make_place(struct mc_conn *conn, const struct mc_message *m,
                                 struct place *place, struct mc_error *err)
{
    enum mc_status status = MC_OK;
    if (place->user_no == 0) {
        status = mc_conn_exec(conn, "INSERT INTO users(user_id, messages) VALUES(?1, 0)",
                              MC_BINDS(mc_bind_str(m->user_id)), err);
        place->user_no = sqlite3_last_insert_rowid(conn->db);
    }
    if (status != MC_OK)
        return status;
    /* Starting from the clock, a thread that was erased and made again repeats no version that a
     * cache has seen. */
    place->version = mc_time_now_us();
    status = mc_conn_exec(conn,
                          "INSERT INTO threads(user_no, thread_id, version, messages, last_at,"
                          " summarised, summarised_until, withdrawn)"
                          " VALUES(?1, ?2, ?3, 0, ?4, 0, ?4, ?3)",
                          MC_BINDS(mc_bind_int(place->user_no), mc_bind_str(m->thread_id),
                                   mc_bind_int(place->version), mc_bind_int(INT64_MIN)),
                          err);
    place->thread_no = sqlite3_last_insert_rowid(conn->db);
    return status;
}

static enum mc_status insert_message(struct mc_conn *conn, const struct mc_message *m,
                                     const struct place *place, mc_str groups, int64_t row,
                                     int64_t now_us, struct mc_error *err)
{
    return mc_conn_exec(
        conn,
        "INSERT INTO messages(id, message_id, user_no, thread_no, created_at, role, visibility, "
        "tier,"
        " state, trivial, importance, session_id, agent_id, sharing_groups, metadata, text,"
        " stored_at)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
        " ON CONFLICT(message_id) DO NOTHING",
        MC_BINDS(mc_bind_int(row), mc_bind_str(m->message_id), mc_bind_int(place->user_no),
                 mc_bind_int(place->thread_no), mc_bind_int(m->created_at_us), mc_bind_int(m->role),
                 mc_bind_int(m->visibility), mc_bind_int(m->tier), mc_bind_int(m->enrichment_state),
                 mc_bind_double(m->importance), mc_bind_text(m->session_id),
                 mc_bind_text(m->agent_id), mc_bind_str(groups),
                 mc_bind_str(m->metadata.len > 0 ? m->metadata : MC_STR("{}")),
                 mc_bind_text(m->text), mc_bind_int(now_us)),
        err);
}

/* The counters and the job of a message that was inserted. */
static enum mc_status account(struct mc_conn *conn, const struct mc_message *m,
                              const struct place *place, int64_t row, int64_t now_us,
                              struct mc_error *err)
{
    enum mc_status status =
        mc_conn_exec(conn,
                     "UPDATE threads SET version = version + 1, messages = messages + 1,"
                     " last_at = max(last_at, ?2) WHERE thread_no = ?1",
                     MC_BINDS(mc_bind_int(place->thread_no), mc_bind_int(m->created_at_us)), err);
    if (status == MC_OK)
        status = mc_conn_exec(conn, "UPDATE users SET messages = messages + 1 WHERE user_no = ?1",
                              MC_BINDS(mc_bind_int(place->user_no)), err);
    if (status == MC_OK)
        status = mc_conn_exec(conn,
                              "INSERT INTO jobs(id, stage, due_at, enqueued_at, attempts)"
                              " VALUES(?1, 1, ?2, ?2, 0)",
                              MC_BINDS(mc_bind_int(row), mc_bind_int(now_us)), err);
    return status;
}

static enum mc_status put_one(struct mc_writer *writer, const struct mc_message *m,
                              struct placed *placed, int64_t now_us, struct mc_error *err)
{
    struct mc_conn *conn = writer->conn;
    struct place place;
    bool known, taken = false;
    enum mc_status status = find_place(conn, m, &place, &known, err);
    if (status == MC_OK && !known) {
        /* A refused message must not leave a new user or thread behind. */
        status = look_for_repeat(conn, m, placed, &taken, err);
        if (status == MC_OK && !taken)
            status = make_place(conn, m, &place, err);
    }
    if (status != MC_OK || taken)
        return status;
    int64_t row;
    status = mc_writer_new_row(writer, &row, err);
    if (status == MC_OK)
        status = insert_message(conn, m, &place, mc_str_of(placed->groups.data), row, now_us, err);
    if (status != MC_OK)
        return status;
    if (mc_conn_changes(conn) == 0) {
        writer->next_row--;
        return look_for_repeat(conn, m, placed, &taken, err);
    }
    placed->created = true;
    placed->record->row = row;
    placed->version = place.version + 1;
    placed->messages = place.messages + 1;
    return account(conn, m, &place, row, now_us, err);
}

/* What a transaction that was rolled back left. */
static void reset(struct placed *placed)
{
    mc_record_unref(placed->stored);
    *placed = (struct placed){.record = placed->record, .groups = placed->groups};
}

static enum mc_status apply(struct mc_writer *writer, void *context, struct mc_error *err)
{
    struct put *put = context;
    int64_t now_us = mc_time_now_us();
    for (size_t i = 0; i < put->count; i++) {
        reset(&put->placed[i]);
        enum mc_status status =
            put_one(writer, &put->items[i].message, &put->placed[i], now_us, err);
        if (status != MC_OK)
            return status;
    }
    return MC_OK;
}

/* ---- The call ---- */

static enum mc_status prepare(const struct mc_message *m, struct placed *placed,
                              struct mc_error *err)
{
    *placed = (struct placed){0};
    mc_buf_init(&placed->groups, 64U << 10);
    if (m->sharing_group_count > 0)
        mc_names_to_json(m->sharing_groups, m->sharing_group_count, &placed->groups);
    if (placed->groups.failed)
        return mc_fail_field(err, MC_TOO_LARGE, "sharing_groups", "too many sharing groups");
    return mc_record_new(m, 0, MC_STR_NONE, &placed->record, err);
}

static void deliver(struct mc_put *item, struct placed *placed)
{
    item->status = placed->differs ? MC_CONFLICT : MC_OK;
    item->differs = placed->differs;
    item->created = placed->created;
    if (placed->differs)
        item->record = NULL;
    else
        item->record = placed->stored ? mc_steal(placed->stored) : mc_steal(placed->record);
    item->thread_version = placed->version;
    item->thread_messages = placed->messages;
}

enum mc_status mc_sqlite_put(struct mc_store *store, struct mc_put *items, size_t count,
                             struct mc_error *err)
{
    if (count == 0)
        return MC_OK;
    struct placed single;
    struct placed *placed = count == 1 ? &single : calloc(count, sizeof(*placed));
    if (!placed)
        return mc_fail_memory(err);
    enum mc_status status = MC_OK;
    size_t prepared = 0;
    while (status == MC_OK && prepared < count) {
        status = prepare(&items[prepared].message, &placed[prepared], err);
        prepared++;
    }
    struct put put = {.items = items, .placed = placed, .count = count};
    if (status == MC_OK)
        status = mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_INGEST, count, apply, &put, err);
    for (size_t i = 0; i < prepared; i++) {
        if (status == MC_OK)
            deliver(&items[i], &placed[i]);
        mc_record_unref(placed[i].record);
        mc_record_unref(placed[i].stored);
        mc_buf_fini(&placed[i].groups);
    }
    if (placed != &single)
        free(placed);
    return status;
}
