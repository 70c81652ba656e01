/*
 * Tier migration in bounded steps. Without a user it looks over all shards: it runs in the background, once a
 * day, and each of its changes names the shard.
 */
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "store/postgres/pg.h"
#include "store/rules.h"

struct due {
    const struct mc_tier_rule *rule;
    struct mc_tier_times times;
    int64_t *rows; /* room for a batch */
    struct mc_tier_step step;
};

static size_t room(const struct due *due)
{
    return due->rule->batch - (size_t)(due->step.deleted + due->step.moved);
}

/* The own arguments, followed by shard and user when the rule names one. */
static void with_user(const struct due *due, const struct mc_pg_arg *own, struct mc_pg_arg *args)
{
    size_t count = 0;
    for (; own[count].type; count++)
        args[count] = own[count];
    if (mc_str_given(due->rule->user_id)) {
        args[count++] = mc_pg_int(mc_pg_shard(due->rule->user_id));
        args[count++] = mc_pg_str(due->rule->user_id);
    }
    args[count] = (struct mc_pg_arg){.type = 0};
}

/* A statement for all users, and for one; `user` numbers the parameters of the latter. */
#define FOR_ALL_OR_ONE(head, shard, user, tail)                                                    \
    {                                                                                              \
        head tail, head " AND shard = " shard " AND user_id = " user tail                          \
    }

/* ---- Deleting ---- */

/*
 * A message is deleted when both what it tells and its place here are older than the time: what was
 * imported from years ago has only come, and stays as long as anything else.
 */
#define OLDER_THAN(time) " AND stored_at < " time " AND created_at < " time
#define ID_AND_BYTES "SELECT id, (" MC_PG_MESSAGE_BYTES ")::bigint FROM messages"
static const char *const trivial_sql[] =
    FOR_ALL_OR_ONE(ID_AND_BYTES " WHERE trivial" OLDER_THAN("$1"), "$3", "$4", " LIMIT $2");
static const char *const archived_sql[] =
    FOR_ALL_OR_ONE(ID_AND_BYTES " WHERE tier = 3" OLDER_THAN("$1"), "$3", "$4", " LIMIT $2");

static enum mc_status delete_due(struct mc_pg_conn *conn, struct due *due, const char *const *sql,
                                 int64_t time, struct mc_error *err)
{
    struct mc_pg_arg args[MC_PG_ARGS_MAX];
    with_user(due, MC_PG_ARGS(mc_pg_time(time), mc_pg_int((int64_t)room(due))), args);
    enum mc_status status = mc_pg_query(conn, sql[mc_str_given(due->rule->user_id)], args, err);
    size_t count = status == MC_OK ? mc_pg_rows(conn, 0) : 0;
    for (size_t i = 0; i < count; i++) {
        due->rows[i] = mc_pg_cell_int(conn->results[0], i, 0);
        due->step.bytes_deleted += mc_pg_cell_int(conn->results[0], i, 1);
    }
    int64_t deleted = 0;
    if (status == MC_OK)
        status = mc_pg_drop_rows(conn, due->rows, count, due->rule->run, &deleted, NULL, err);
    due->step.deleted += deleted;
    return status;
}

/* ---- Moving ---- */

#define DUE_TO_LEAVE                                                                               \
    " FROM messages WHERE tier = $1 AND created_at < $2 AND (importance < $3 OR created_at < $4)"
static const char *const leaving_sql[] =
    FOR_ALL_OR_ONE("SELECT id, created_at, importance, user_id, thread_id" DUE_TO_LEAVE, "$6", "$7",
                   " ORDER BY created_at LIMIT $5 FOR UPDATE SKIP LOCKED");

struct moving {
    int64_t row;
    int target;
    mc_str user_id, thread_id;
};

static int by_thread(const void *a, const void *b)
{
    const struct moving *x = a, *y = b;
    int order = mc_pg_compare(x->user_id, y->user_id);
    return order != 0 ? order : mc_pg_compare(x->thread_id, y->thread_id);
}

static enum mc_status move_all(struct mc_pg_conn *conn, struct due *due, int from,
                               struct moving *moving, size_t count, struct mc_error *err)
{
    static const char *const updates[MC_TIER_ARCHIVE] = {
        "UPDATE messages SET tier = $3, left_short = nullif($4, 0)"
        " WHERE shard = $1 AND id = ANY($2)",
        "UPDATE messages SET tier = $3, left_mid = nullif($4, 0)"
        " WHERE shard = $1 AND id = ANY($2)",
        "UPDATE messages SET tier = $3, left_long = nullif($4, 0)"
        " WHERE shard = $1 AND id = ANY($2)",
    };
    enum mc_status status = MC_OK;
    for (int tier = 0; status == MC_OK && tier < MC_TIER_COUNT; tier++) {
        const struct mc_pg_arg target[] = {mc_pg_int(tier), mc_pg_int(due->rule->run), {.type = 0}};
        size_t n = 0, statements;
        for (size_t i = 0; i < count; i++)
            if (moving[i].target == tier)
                due->rows[n++] = moving[i].row;
        status = mc_pg_add_by_shard(conn, updates[from], due->rows, n, target, &statements, err);
    }
    qsort(moving, count, sizeof(*moving), by_thread);
    for (size_t i = 0, end; status == MC_OK && i < count; i = end) {
        for (end = i; end < count && by_thread(&moving[i], &moving[end]) == 0;)
            end++;
        mc_pg_add_bump(conn, moving[i].user_id, moving[i].thread_id, (int64_t)(end - i));
    }
    return status == MC_OK ? mc_pg_run(conn, err) : status;
}

static enum mc_status move_due(struct mc_pg_conn *conn, struct due *due, int tier,
                               struct mc_error *err)
{
    struct mc_pg_arg args[MC_PG_ARGS_MAX];
    struct mc_arena texts;
    if (room(due) == 0)
        return MC_OK;
    with_user(due,
              MC_PG_ARGS(mc_pg_int(tier), mc_pg_time(due->times.leaves[tier]),
                         mc_pg_double(due->rule->keep_importance),
                         mc_pg_time(due->times.leaves_kept[tier]), mc_pg_int((int64_t)room(due))),
              args);
    enum mc_status status =
        mc_pg_query(conn, leaving_sql[mc_str_given(due->rule->user_id)], args, err);
    if (status != MC_OK)
        return status;
    const PGresult *result = conn->results[0];
    size_t count = mc_pg_rows(conn, 0);
    mc_arena_init(&texts, SIZE_MAX / 2);
    struct moving *moving = mc_arena_array(&texts, count + 1, sizeof(*moving));
    bool failed = !moving;
    for (size_t i = 0; !failed && i < count; i++) {
        moving[i] = (struct moving){
            .row = mc_pg_cell_int(result, i, 0),
            .target = mc_rules_target_tier(&due->times, tier, mc_pg_cell_time(result, i, 1),
                                           mc_pg_cell_double(result, i, 2)),
            .user_id = mc_arena_copy(&texts, mc_pg_cell(result, i, 3)),
            .thread_id = mc_arena_copy(&texts, mc_pg_cell(result, i, 4)),
        };
        failed = !moving[i].user_id.data || !moving[i].thread_id.data;
    }
    status = failed ? mc_fail_memory(err) : move_all(conn, due, tier, moving, count, err);
    mc_arena_fini(&texts);
    due->step.moved += (int64_t)count;
    return status;
}

static enum mc_status migrate_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct due *due = context;
    due->step = (struct mc_tier_step){0};
    enum mc_status status = mc_pg_run_check(conn, due->rule->run, err);
    if (status == MC_OK && due->rule->trivial_delete_us)
        status = delete_due(conn, due, trivial_sql, due->times.trivial_delete, err);
    if (status == MC_OK && due->rule->archive_delete_us && room(due) > 0)
        status = delete_due(conn, due, archived_sql, due->times.archive_delete, err);
    for (int tier = 0; status == MC_OK && tier < MC_TIER_ARCHIVE; tier++)
        status = move_due(conn, due, tier, err);
    due->step.more = room(due) == 0;
    if (status == MC_OK)
        mc_pg_add_run_count(conn, due->rule->run, &due->step, 0);
    return status;
}

/* ---- Dry run ---- */

#define COUNT_BYTES "SELECT count(*), coalesce(sum(" MC_PG_MESSAGE_BYTES "), 0)::bigint"
static const char *const count_trivial_sql[] =
    FOR_ALL_OR_ONE(COUNT_BYTES " FROM messages WHERE trivial" OLDER_THAN("$1"), "$2", "$3", "");
static const char *const count_archived_sql[] = FOR_ALL_OR_ONE(
    COUNT_BYTES
    " FROM messages WHERE tier = 3" OLDER_THAN("$1") " AND NOT (trivial" OLDER_THAN("$2") ")",
    "$3", "$4", "");
static const char *const count_leaving_sql[] = FOR_ALL_OR_ONE(
    "SELECT count(*)" DUE_TO_LEAVE " AND NOT (trivial" OLDER_THAN("$5") ")", "$6", "$7", "");
/* Those that would be archived and then deleted. */
static const char *const count_through_sql[] =
    FOR_ALL_OR_ONE(COUNT_BYTES DUE_TO_LEAVE " AND NOT (trivial" OLDER_THAN("$5") ")" OLDER_THAN(
                       "$6") " AND ((importance < $3 AND created_at < $7) OR created_at < $8)",
                   "$9", "$10", "");

/* Adds what the nth statement, one of COUNT_BYTES, says. */
static void count_deletions(const struct mc_pg_conn *conn, size_t nth, struct due *due)
{
    due->step.deleted += mc_pg_cell_int(conn->results[nth], 0, 0);
    due->step.bytes_deleted += mc_pg_cell_int(conn->results[nth], 0, 1);
}

/* All that a run to the end would move or delete. */
static enum mc_status count_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct due *due = context;
    struct mc_pg_arg args[MC_PG_ARGS_MAX];
    struct mc_pg_arg trivial = mc_pg_time(due->times.trivial_delete),
                     archive = mc_pg_time(due->times.archive_delete);
    int one = mc_str_given(due->rule->user_id);
    with_user(due, MC_PG_ARGS(trivial), args);
    mc_pg_add(conn, count_trivial_sql[one], args);
    with_user(due, MC_PG_ARGS(archive, trivial), args);
    mc_pg_add(conn, count_archived_sql[one], args);
    for (int tier = 0; tier < MC_TIER_ARCHIVE; tier++) {
        struct mc_pg_arg number = mc_pg_int(tier), leaves = mc_pg_time(due->times.leaves[tier]),
                         keep = mc_pg_double(due->rule->keep_importance),
                         kept = mc_pg_time(due->times.leaves_kept[tier]);
        with_user(due, MC_PG_ARGS(number, leaves, keep, kept, trivial), args);
        mc_pg_add(conn, count_leaving_sql[one], args);
        with_user(due,
                  MC_PG_ARGS(number, leaves, keep, kept, trivial, archive,
                             mc_pg_time(due->times.leaves[MC_TIER_LONG]),
                             mc_pg_time(due->times.leaves_kept[MC_TIER_LONG])),
                  args);
        mc_pg_add(conn, count_through_sql[one], args);
    }
    enum mc_status status = mc_pg_run_last(conn, err);
    if (status != MC_OK)
        return status;
    due->step = (struct mc_tier_step){0};
    count_deletions(conn, 0, due);
    count_deletions(conn, 1, due);
    for (size_t tier = 0; tier < MC_TIER_ARCHIVE; tier++) {
        due->step.moved += mc_pg_first_int(conn, 2 + 2 * tier);
        count_deletions(conn, 3 + 2 * tier, due);
    }
    return MC_OK;
}

enum mc_status mc_pg_migrate(struct mc_store *store, const struct mc_tier_rule *rule,
                             struct mc_tier_step *step, struct mc_error *err)
{
    struct mc_pg *s = mc_pg_of(store);
    struct due due = {.rule = rule};
    enum mc_status status = mc_rules_check_batch(rule, err);
    if (status != MC_OK)
        return status;
    mc_rules_tier_times(rule, &due.times);
    if (rule->dry_run) {
        status = mc_pg_read(s, MC_PG_SNAPSHOT, count_work, &due, err);
    } else {
        due.rows = calloc(rule->batch, sizeof(*due.rows));
        if (!due.rows)
            return mc_fail_memory(err);
        status = mc_pg_write(s, 0, migrate_work, &due, err);
        free(due.rows);
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

static enum mc_status task_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct task *t = context;
    enum mc_status status = mc_pg_query(
        conn,
        "INSERT INTO mindcore_tasks AS t(task, due_at) VALUES($1, $2) ON CONFLICT (task) DO UPDATE"
        " SET due_at = excluded.due_at WHERE t.due_at <= $3",
        MC_PG_ARGS(mc_pg_str(t->task), mc_pg_time(t->due_us), mc_pg_time(t->now_us)), err);
    t->taken = status == MC_OK && mc_pg_changes(conn, 0) > 0;
    return status;
}

enum mc_status mc_pg_take_task(struct mc_store *store, mc_str task, int64_t now_us,
                               int64_t until_us, bool *taken, struct mc_error *err)
{
    struct task t = {task, now_us, until_us, false};
    enum mc_status status = mc_pg_write(mc_pg_of(store), MC_PG_SILENT, task_work, &t, err);
    if (status == MC_OK)
        *taken = t.taken;
    return status;
}

enum mc_status mc_pg_set_task(struct mc_store *store, mc_str task, int64_t due_us,
                              struct mc_error *err)
{
    bool taken;
    return mc_pg_take_task(store, task, INT64_MAX, due_us, &taken, err);
}
