/* Summaries of threads. */
#include "base/error.h"
#include "store/postgres/pg.h"

struct summary_reader {
    mc_summary_fn each;
    void *context;
};

/* ---- Threads that need one ---- */

#define UNSUMMARISED                                                                               \
    "SELECT user_id, thread_id, summarised_until, last_at, messages - summarised FROM threads"     \
    " WHERE messages > summarised AND (messages - summarised > $1 OR last_at < $2)"

static enum mc_status take_unsummarised(const PGresult *result, void *context, struct mc_error *err)
{
    (void)err;
    const struct summary_reader *reader = context;
    bool more = true;
    for (size_t i = 0; more && i < (size_t)PQntuples(result); i++) {
        struct mc_summary due = {
            .user_id = mc_pg_cell(result, i, 0),
            .thread_id = mc_pg_cell(result, i, 1),
            .first_us = mc_pg_cell_time(result, i, 2),
            .last_us = mc_pg_cell_time(result, i, 3),
            .messages = mc_pg_cell_int(result, i, 4),
        };
        more = reader->each(reader->context, &due);
    }
    return MC_OK;
}

enum mc_status mc_pg_unsummarised(struct mc_store *store, mc_str user_id, int64_t messages,
                                  int64_t before_us, size_t limit, mc_summary_fn each,
                                  void *context, struct mc_error *err)
{
    struct summary_reader reader = {each, context};
    struct mc_pg_arg count = mc_pg_int(messages), before = mc_pg_time(before_us),
                     most = mc_pg_int((int64_t)limit);
    if (!mc_str_given(user_id))
        return mc_pg_read_one(mc_pg_of(store), UNSUMMARISED " LIMIT $3",
                              MC_PG_ARGS(count, before, most), take_unsummarised, &reader, err);
    return mc_pg_read_one(
        mc_pg_of(store), UNSUMMARISED " AND shard = $4 AND user_id = $5 LIMIT $3",
        MC_PG_ARGS(count, before, most, mc_pg_int(mc_pg_shard(user_id)), mc_pg_str(user_id)),
        take_unsummarised, &reader, err);
}

/* ---- Storing ---- */

static enum mc_status summary_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    const struct mc_summary *s = context;
    struct mc_pg_arg shard = mc_pg_int(mc_pg_shard(s->user_id)), user = mc_pg_str(s->user_id),
                     thread = mc_pg_str(s->thread_id);
    /* The lock keeps messages of the thread from being removed meanwhile. */
    enum mc_status status = mc_pg_query(conn,
                                        "SELECT withdrawn FROM threads WHERE shard = $1"
                                        " AND user_id = $2 AND thread_id = $3 FOR UPDATE",
                                        MC_PG_ARGS(shard, user, thread), err);
    if (status != MC_OK)
        return status;
    if (mc_pg_rows(conn, 0) == 0)
        return mc_fail_field(err, MC_NOT_FOUND, "thread_id", "there is no thread '%.*s'",
                             MC_STR_ARG(s->thread_id));
    if (s->thread_version < mc_pg_first_int(conn, 0))
        return mc_fail(err, MC_CONFLICT,
                       "a message of thread '%.*s' was deleted while it was summarised",
                       MC_STR_ARG(s->thread_id));
    mc_pg_add_quiet(
        conn,
        "INSERT INTO summaries(shard, id, user_id, thread_id, first_at, last_at, messages,"
        " created_at, lost, method, key_facts, topics, text)"
        " VALUES($1, nextval('summary_numbers'), $2, $3, $4, $5, $6, $7, false, $8, $9, $10, $11)",
        MC_PG_ARGS(shard, user, thread, mc_pg_time(s->first_us), mc_pg_time(s->last_us),
                   mc_pg_int(s->messages), mc_pg_time(s->created_at_us), mc_pg_text(s->method),
                   mc_pg_str(s->key_facts.len > 0 ? s->key_facts : MC_STR("[]")),
                   mc_pg_str(s->topics.len > 0 ? s->topics : MC_STR("[]")), mc_pg_text(s->text)));
    mc_pg_add_quiet(conn,
                    "UPDATE threads t SET summarised_until = greatest(t.summarised_until, $4),"
                    " summarised = (SELECT count(*) FROM messages m WHERE m.shard = $1"
                    " AND m.user_no = " MC_PG_USER_NO " AND m.thread_id = $3"
                    " AND m.created_at <= greatest(t.summarised_until, $4))"
                    " WHERE t.shard = $1 AND t.user_id = $2 AND t.thread_id = $3",
                    MC_PG_ARGS(shard, user, thread, mc_pg_time(s->last_us)));
    return mc_pg_run(conn, err);
}

enum mc_status mc_pg_put_summary(struct mc_store *store, const struct mc_summary *summary,
                                 struct mc_error *err)
{
    struct mc_summary copy = *summary;
    return mc_pg_write(mc_pg_of(store), 0, summary_work, &copy, err);
}

/* ---- Reading ---- */

/*
 * Filtered readers get a summary only when they may read every message that it was made from: none
 * of the thread's messages is closed to them, and none that could have been is gone.
 */
static const char summaries_sql[] =
    "SELECT s.user_id, s.thread_id, s.text, s.key_facts, s.topics, s.method, s.first_at, s.last_at,"
    " s.messages, s.created_at FROM summaries s WHERE s.shard = $1 AND s.user_id = $2"
    " AND ($4 OR (NOT s.lost AND NOT EXISTS(SELECT 1 FROM messages m WHERE m.shard = $1"
    " AND m.user_no = " MC_PG_USER_NO " AND m.thread_id = s.thread_id AND NOT " MC_PG_ALLOWED ")))"
    " ORDER BY s.created_at DESC, s.id DESC LIMIT $3";

static enum mc_status take_summaries(const PGresult *result, void *context, struct mc_error *err)
{
    (void)err;
    const struct summary_reader *reader = context;
    bool more = true;
    for (size_t i = 0; more && i < (size_t)PQntuples(result); i++) {
        struct mc_summary summary = {
            .user_id = mc_pg_cell(result, i, 0),
            .thread_id = mc_pg_cell(result, i, 1),
            .text = mc_pg_cell(result, i, 2),
            .key_facts = mc_pg_cell(result, i, 3),
            .topics = mc_pg_cell(result, i, 4),
            .method = mc_pg_cell(result, i, 5),
            .first_us = mc_pg_cell_time(result, i, 6),
            .last_us = mc_pg_cell_time(result, i, 7),
            .messages = mc_pg_cell_int(result, i, 8),
            .created_at_us = mc_pg_cell_time(result, i, 9),
        };
        more = reader->each(reader->context, &summary);
    }
    return MC_OK;
}

enum mc_status mc_pg_summaries(struct mc_store *store, mc_str user_id,
                               const struct mc_reader *reader, size_t limit, mc_summary_fn each,
                               void *context, struct mc_error *err)
{
    struct summary_reader to = {each, context};
    struct mc_pg_allowed_args args;
    int64_t shard = mc_pg_shard(user_id);
    mc_pg_allowed(&args,
                  MC_PG_ARGS(mc_pg_int(shard), mc_pg_str(user_id), mc_pg_int((int64_t)limit),
                             mc_pg_bool(mc_reader_unfiltered(reader))),
                  reader);
    return mc_pg_read_one_lagging(store, shard, summaries_sql, args.items, take_summaries, &to,
                                  err);
}
