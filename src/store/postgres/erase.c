/* Erasing a user, in steps that let others write in between. */
#include "base/compiler.h"
#include "store/postgres/pg.h"
#include "store/rules.h"

/* Messages of one step. */
#define ERASE_STEP 200

struct erasure {
    mc_str user_id;
    int64_t user_no;
    struct mc_erased step; /* of the present step, added up after its commit */
    bool done;
};

/* When the last message is gone, the rest goes in the same transaction. */
static enum mc_status erase_rest(struct mc_pg_conn *conn, struct erasure *e, struct mc_error *err)
{
    static const char *const deletions[] = {
        "DELETE FROM threads WHERE shard = $1 AND user_id = $2",
        "DELETE FROM users WHERE shard = $1 AND user_id = $2",
        "DELETE FROM summaries WHERE shard = $1 AND user_id = $2",
        "DELETE FROM preferences WHERE shard = $1 AND user_id = $2",
        "DELETE FROM signals WHERE shard = $1 AND user_id = $2",
    };
    struct mc_pg_arg shard = mc_pg_int(mc_pg_shard(e->user_id));
    for (size_t i = 0; i < mc_countof(deletions); i++)
        mc_pg_add(conn, deletions[i], MC_PG_ARGS(shard, mc_pg_str(e->user_id)));
    mc_pg_add_quiet(conn, "DELETE FROM index_terms WHERE shard = $1 AND user_no = $2",
                    MC_PG_ARGS(shard, mc_pg_int(e->user_no)));
    mc_pg_add_quiet(conn, "DELETE FROM vector_users WHERE shard = $1 AND user_no = $2",
                    MC_PG_ARGS(shard, mc_pg_int(e->user_no)));
    mc_pg_add_quiet(conn, "UPDATE mindcore_generation SET generation = generation + 1",
                    MC_PG_NO_ARGS);
    mc_pg_add_quiet(conn, "DELETE FROM tier_runs WHERE user_id = $1",
                    MC_PG_ARGS(mc_pg_str(e->user_id)));
    enum mc_status status = mc_pg_run(conn, err);
    if (status != MC_OK)
        return status;
    e->step.threads = mc_pg_changes(conn, 0);
    e->step.summaries = mc_pg_changes(conn, 2);
    e->step.preferences = mc_pg_changes(conn, 3);
    e->step.signals = mc_pg_changes(conn, 4);
    return MC_OK;
}

/*
 * The user's lock keeps new messages out until the step is over, also when the user is unknown: somebody may be
 * storing the first message.
 */
static enum mc_status next_messages(struct mc_pg_conn *conn, struct erasure *e,
                                    int64_t rows[ERASE_STEP], size_t *count, struct mc_error *err)
{
    struct mc_pg_arg shard = mc_pg_int(mc_pg_shard(e->user_id)), user = mc_pg_str(e->user_id);
    enum mc_status status =
        mc_pg_query(conn,
                    "INSERT INTO users AS u(shard, user_id, user_no, messages)"
                    " VALUES($1, $2, nextval('user_numbers'), 0) ON CONFLICT (shard, user_id)"
                    " DO UPDATE SET messages = u.messages RETURNING user_no",
                    MC_PG_ARGS(shard, user), err);
    if (status != MC_OK)
        return status;
    e->user_no = mc_pg_first_int(conn, 0);
    status = mc_pg_query(conn,
                         "SELECT m.id FROM messages m WHERE m.shard = $1 AND m.user_no = $2"
                         " ORDER BY m.thread_id, m.created_at, m.id LIMIT $3",
                         MC_PG_ARGS(shard, mc_pg_int(e->user_no), mc_pg_int(ERASE_STEP)), err);
    *count = status == MC_OK ? mc_pg_rows(conn, 0) : 0;
    for (size_t i = 0; i < *count; i++)
        rows[i] = mc_pg_cell_int(conn->results[0], i, 0);
    return status;
}

static enum mc_status erase_trash(struct mc_pg_conn *conn, struct erasure *e, int64_t limit,
                                  struct mc_error *err)
{
    enum mc_status status = mc_pg_query(
        conn,
        "DELETE FROM trash WHERE shard = $1 AND id IN (SELECT id FROM trash WHERE shard = $1"
        " AND user_no = $2 LIMIT $3)",
        MC_PG_ARGS(mc_pg_int(mc_pg_shard(e->user_id)), mc_pg_int(e->user_no), mc_pg_int(limit)),
        err);
    if (status == MC_OK)
        e->step.trash = mc_pg_changes(conn, 0);
    return status;
}

static enum mc_status erase_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct erasure *e = context;
    int64_t rows[ERASE_STEP];
    size_t count = 0;
    e->step = (struct mc_erased){0};
    enum mc_status status = next_messages(conn, e, rows, &count, err);
    if (status == MC_OK)
        status = mc_pg_drop_rows(conn, rows, count, 0, &e->step.messages, &e->step.jobs, err);
    if (status == MC_OK && count < ERASE_STEP)
        status = erase_trash(conn, e, ERASE_STEP - (int64_t)count, err);
    e->done = (int64_t)count + e->step.trash < ERASE_STEP;
    return status == MC_OK && e->done ? erase_rest(conn, e, err) : status;
}

static const char *const leftovers[] = {
    "SELECT EXISTS(SELECT 1 FROM messages WHERE shard = $1 AND user_id = $2 AND user_no = $3)",
    "SELECT EXISTS(SELECT 1 FROM trash WHERE shard = $1 AND user_id = $2 AND user_no = $3)",
    "SELECT EXISTS(SELECT 1 FROM users WHERE shard = $1 AND user_id = $2 AND user_no = $3)",
    "SELECT EXISTS(SELECT 1 FROM index_terms WHERE shard = $1 AND user_no = $3)",
    "SELECT EXISTS(SELECT 1 FROM vectors WHERE shard = $1 AND user_no = $3)",
    "SELECT EXISTS(SELECT 1 FROM vector_users WHERE shard = $1 AND user_no = $3)",
    "SELECT EXISTS(SELECT 1 FROM summaries s WHERE s.shard = $1 AND s.user_id = $2 AND NOT EXISTS"
    "(SELECT 1 FROM users WHERE shard = $1 AND user_id = $2))",
    "SELECT EXISTS(SELECT 1 FROM threads t WHERE t.shard = $1 AND t.user_id = $2 AND NOT EXISTS"
    "(SELECT 1 FROM users WHERE shard = $1 AND user_id = $2))",
    "SELECT EXISTS(SELECT 1 FROM preferences p WHERE p.shard = $1 AND p.user_id = $2 AND NOT EXISTS"
    "(SELECT 1 FROM users WHERE shard = $1 AND user_id = $2))",
    "SELECT EXISTS(SELECT 1 FROM signals g WHERE g.shard = $1 AND g.user_id = $2 AND NOT EXISTS"
    "(SELECT 1 FROM users WHERE shard = $1 AND user_id = $2))",
    "SELECT EXISTS(SELECT 1 FROM tier_runs r WHERE r.user_id = $2 AND NOT EXISTS"
    "(SELECT 1 FROM users WHERE shard = $1 AND user_id = $2))",
};

/* Looks for anything that is left of the user; what it is given anew meanwhile has a new number. */
static enum mc_status verify_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct erasure *e = context;
    for (size_t i = 0; i < mc_countof(leftovers); i++)
        mc_pg_add(conn, leftovers[i],
                  MC_PG_ARGS(mc_pg_int(mc_pg_shard(e->user_id)), mc_pg_str(e->user_id),
                             mc_pg_int(e->user_no)));
    enum mc_status status = mc_pg_run_last(conn, err);
    e->done = true;
    for (size_t i = 0; status == MC_OK && i < mc_countof(leftovers); i++)
        e->done = e->done && mc_pg_first_int(conn, i) == 0;
    return status;
}

enum mc_status mc_pg_erase(struct mc_store *store, mc_str user_id, struct mc_erased *erased,
                           struct mc_error *err)
{
    struct mc_pg *s = mc_pg_of(store);
    struct erasure e = {.user_id = user_id};
    struct mc_erased total = {0};
    int64_t user_no = 0;
    enum mc_status status = MC_OK;
    while (status == MC_OK && !e.done) {
        status = mc_pg_write(s, 0, erase_work, &e, err);
        if (status != MC_OK)
            break;
        if (e.user_no)
            user_no = e.user_no;
        mc_rules_add_erased(&total, &e.step);
    }
    e.user_no = user_no;
    if (status == MC_OK)
        status = mc_pg_read(s, MC_PG_SNAPSHOT, verify_work, &e, err);
    if (status != MC_OK)
        return status;
    total.verified = e.done;
    *erased = total;
    return MC_OK;
}

/* A server's old row versions and log cannot be overwritten from here. */
bool mc_pg_wipe(struct mc_store *store)
{
    (void)store;
    return false;
}

/* A database that is restored from a dump has the number of the dump, and a table with another one of the server's. */
static enum mc_status generation_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    int64_t *generation = context;
    enum mc_status status = mc_pg_query(
        conn, "SELECT generation # tableoid::bigint FROM mindcore_generation", MC_PG_NO_ARGS, err);
    if (status == MC_OK)
        *generation = mc_pg_first_int(conn, 0);
    return status;
}

enum mc_status mc_pg_generation(struct mc_store *store, int64_t *generation, struct mc_error *err)
{
    return mc_pg_read(mc_pg_of(store), 0, generation_work, generation, err);
}
