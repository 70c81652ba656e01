#include "support/fault_store.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/thread.h"

/* Every operation that can fail. */
/* clang-format off */
#define OPS(X) \
    X(put) X(get) X(rows) X(recent) X(turns) X(match) X(thread) X(remove) X(claim) X(complete) \
    X(fail) X(renew) X(twin) X(release) X(queue) X(dead_jobs) X(retry) X(purge) X(preferences) X(set_preferences) \
    X(add_signals) X(signals) X(add_usage) X(usage) X(vector_model) X(vector_models) X(claim_vectors) X(put_vectors) \
    X(fill_vectors) X(vectors) X(put_agent) X(remove_agent) X(agents) X(agent_counts) X(put_key) X(remove_key) X(keys) \
    X(unsummarised) X(put_summary) X(summaries) X(migrate) X(train) X(pack) X(begin_run) X(end_run) X(runs) X(empty_trash) X(begin_undo) X(undo) X(take_task) X(set_task) X(erase) X(export_user) X(users) \
    X(list_users) X(list_threads) X(stats) X(room) X(ping) X(check) X(backup)
/* clang-format on */

enum op {
#define OP_ENUM(name) OP_##name,
    OPS(OP_ENUM)
#undef OP_ENUM
        OP_COUNT
};
static const char *const NAMES[] = {
#define OP_NAME(name) #name,
    OPS(OP_NAME)
#undef OP_NAME
};

struct rule {
    enum mc_status status; /* MC_OK: no rule */
    int first, last;       /* calls that fail; last 0: all from the first on */
    int calls;
};

struct fault_store {
    struct mc_store store; /* first */
    struct mc_store *inner;
    mc_fault_hook_fn hook;
    void *context;
    mc_mutex mutex; /* guards the rules */
    struct rule rules[OP_COUNT];
};

static struct fault_store *fault_of(struct mc_store *store)
{
    return mc_container_of(store, struct fault_store, store);
}

/* The inner store, and whether this call is to fail. */
static enum mc_status enter(struct mc_store *store, enum op op, struct mc_store **inner,
                            struct mc_error *err)
{
    struct fault_store *f = fault_of(store);
    *inner = f->inner;
    if (f->hook)
        f->hook(f->context, NAMES[op]);
    mc_mutex_lock(&f->mutex);
    struct rule *rule = &f->rules[op];
    int call = ++rule->calls;
    bool fails = rule->status && call >= rule->first && (!rule->last || call <= rule->last);
    enum mc_status status = fails ? rule->status : MC_OK;
    mc_mutex_unlock(&f->mutex);
    return fails ? mc_fail(err, status, "injected failure of %s: %s", NAMES[op],
                           mc_status_text(status))
                 : MC_OK;
}

/* FORWARD(op, (parameters behind store), (arguments behind store)) */
#define UNWRAP(...) __VA_ARGS__
#define FORWARD(op, parameters, arguments)                                                         \
    static enum mc_status do_##op(struct mc_store *store, UNWRAP parameters, struct mc_error *err) \
    {                                                                                              \
        struct mc_store *inner;                                                                    \
        enum mc_status status = enter(store, OP_##op, &inner, err);                                \
        return status ? status : inner->ops->op(inner, UNWRAP arguments, err);                     \
    }

FORWARD(put, (struct mc_put * items, size_t count), (items, count))
FORWARD(get, (mc_str id, const struct mc_reader *reader, struct mc_record **record),
        (id, reader, record))
FORWARD(rows,
        (const int64_t *rows, size_t count, const struct mc_reader *reader, struct mc_records *out),
        (rows, count, reader, out))
FORWARD(recent, (const struct mc_recent_read *read, struct mc_records *out), (read, out))
FORWARD(turns,
        (const int64_t *rows, size_t count, const struct mc_reader *reader, struct mc_turns *out),
        (rows, count, reader, out))
FORWARD(match, (const struct mc_match_query *query, struct mc_match_result *out), (query, out))
FORWARD(thread, (mc_str user_id, mc_str thread_id, struct mc_thread_state *state),
        (user_id, thread_id, state))
FORWARD(remove,
        (mc_str id, const struct mc_reader *reader, struct mc_record **removed, int64_t *version),
        (id, reader, removed, version))
FORWARD(claim,
        (mc_str lease, enum mc_stage stage, int64_t now_us, int64_t lease_us, size_t limit,
         struct mc_jobs *out),
        (lease, stage, now_us, lease_us, limit, out))
FORWARD(complete, (mc_str lease, struct mc_completion *items, size_t count), (lease, items, count))
FORWARD(fail, (mc_str lease, const struct mc_failure *items, size_t count), (lease, items, count))
FORWARD(renew, (mc_str lease, int64_t until_us), (lease, until_us))
FORWARD(twin, (mc_str content_hash, struct mc_buf *metadata), (content_hash, metadata))
FORWARD(release, (mc_str lease), (lease))
FORWARD(queue, (int64_t now_us, struct mc_queue_stats *stats), (now_us, stats))
FORWARD(dead_jobs, (size_t limit, mc_dead_job_fn each, void *context), (limit, each, context))
FORWARD(retry, (mc_str id, int64_t now_us, uint64_t *count), (id, now_us, count))
FORWARD(purge, (uint64_t * count), (count))
FORWARD(preferences, (mc_str user_id, struct mc_buf *json), (user_id, json))
FORWARD(set_preferences, (mc_str user_id, mc_str old, mc_str json, bool learned),
        (user_id, old, json, learned))
FORWARD(add_signals, (mc_str user_id, const struct mc_signal *signals, size_t count),
        (user_id, signals, count))
FORWARD(signals, (mc_str user_id, mc_signal_fn each, void *context), (user_id, each, context))
FORWARD(add_usage, (const struct mc_usage_row *rows, size_t count), (rows, count))
FORWARD(usage, (int64_t first_day, int64_t last_day, mc_usage_fn each, void *context),
        (first_day, last_day, each, context))
FORWARD(vector_model, (mc_str name, int64_t dimension, int64_t *number), (name, dimension, number))
FORWARD(vector_models, (mc_vector_model_fn each, void *context, int64_t *waiting),
        (each, context, waiting))
FORWARD(claim_vectors, (int64_t now_us, int64_t lease_us, size_t limit, struct mc_jobs *out),
        (now_us, lease_us, limit, out))
FORWARD(put_vectors, (int64_t model, const struct mc_vector_put *items, size_t count),
        (model, items, count))
FORWARD(fill_vectors, (int64_t now_us, size_t limit, bool *done), (now_us, limit, done))
FORWARD(vectors,
        (mc_str user_id, const struct mc_vector_state *have, mc_vector_fn each, void *context,
         bool *whole, struct mc_vector_state *now),
        (user_id, have, each, context, whole, now))
FORWARD(put_agent, (const struct mc_agent_row *agent), (agent))
FORWARD(remove_agent, (mc_str agent_id), (agent_id))
FORWARD(agents, (mc_agent_fn each, void *context), (each, context))
FORWARD(agent_counts, (mc_count_fn by_agent, mc_count_fn by_visibility, void *context),
        (by_agent, by_visibility, context))
FORWARD(put_key, (const struct mc_key_row *key), (key))
FORWARD(remove_key, (mc_str key_id), (key_id))
FORWARD(keys, (mc_key_fn each, void *context), (each, context))
FORWARD(unsummarised,
        (mc_str user_id, int64_t messages, int64_t before_us, size_t limit, mc_summary_fn each,
         void *context),
        (user_id, messages, before_us, limit, each, context))
FORWARD(put_summary, (const struct mc_summary *summary), (summary))
FORWARD(summaries,
        (mc_str user_id, const struct mc_reader *reader, size_t limit, mc_summary_fn each,
         void *context),
        (user_id, reader, limit, each, context))
FORWARD(migrate, (const struct mc_tier_rule *rule, struct mc_tier_step *step), (rule, step))
FORWARD(train, (int64_t now_us), (now_us))
FORWARD(pack, (const struct mc_tier_rule *rule, struct mc_pack_step *step), (rule, step))
FORWARD(begin_run, (mc_str user_id, int64_t now_us, int64_t *number), (user_id, now_us, number))
FORWARD(end_run, (int64_t number, int64_t now_us), (number, now_us))
FORWARD(runs, (mc_tier_run_fn each, void *context), (each, context))
FORWARD(empty_trash, (int64_t before_us, size_t limit, int64_t *removed),
        (before_us, limit, removed))
FORWARD(begin_undo, (int64_t first, int64_t *last), (first, last))
FORWARD(undo, (struct mc_undo * undo, struct mc_undo_step *step), (undo, step))
FORWARD(take_task, (mc_str task, int64_t now_us, int64_t until_us, bool *taken),
        (task, now_us, until_us, taken))
FORWARD(set_task, (mc_str task, int64_t due_us), (task, due_us))
FORWARD(erase, (mc_str user_id, struct mc_erased *erased), (user_id, erased))
FORWARD(export_user,
        (mc_str user_id, const struct mc_reader *reader, mc_record_fn each, void *context),
        (user_id, reader, each, context))
FORWARD(users, (mc_name_fn each, void *context), (each, context))
FORWARD(list_users, (mc_str prefix, mc_str after, size_t limit, mc_listed_fn each, void *context),
        (prefix, after, limit, each, context))
FORWARD(list_threads,
        (mc_str user_id, mc_str after, size_t limit, mc_listed_fn each, void *context),
        (user_id, after, limit, each, context))
FORWARD(stats, (struct mc_store_stats * stats), (stats))
FORWARD(room, (struct mc_store_room * room), (room))
FORWARD(check, (mc_name_fn problem, void *context), (problem, context))
FORWARD(backup, (const char *path, mc_progress_fn progress, void *context),
        (path, progress, context))

static enum mc_status do_ping(struct mc_store *store, struct mc_error *err)
{
    struct mc_store *inner;
    enum mc_status status = enter(store, OP_ping, &inner, err);
    return status ? status : inner->ops->ping(inner, err);
}

static bool do_wipe(struct mc_store *store)
{
    struct mc_store *inner = fault_of(store)->inner;
    return inner->ops->wipe(inner);
}

static void do_close(struct mc_store *store)
{
    struct fault_store *f = fault_of(store);
    mc_mutex_fini(&f->mutex);
    free(f);
}

static const struct mc_store_ops OPERATIONS = {.name = "fault",
                                               .close = do_close,
                                               .wipe = do_wipe,
#define OP_MEMBER(name) .name = do_##name,
                                               OPS(OP_MEMBER)
#undef OP_MEMBER
};

struct mc_store *mc_fault_store_open(struct mc_store *inner)
{
    struct fault_store *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    f->store.ops = &OPERATIONS;
    f->inner = inner;
    mc_mutex_init(&f->mutex);
    return &f->store;
}

static enum op find_op(const char *name)
{
    int op = 0;
    while (op < OP_COUNT && strcmp(NAMES[op], name) != 0)
        op++;
    if (op == OP_COUNT) {
        printf("Bail out! no operation of the store is called %s\n", name);
        exit(1);
    }
    return (enum op)op;
}

void mc_fault_store_fail(struct mc_store *store, const char *op, int nth, int times,
                         enum mc_status status)
{
    struct fault_store *f = fault_of(store);
    struct rule *rule = &f->rules[find_op(op)];
    mc_mutex_lock(&f->mutex);
    rule->status = status;
    rule->first = rule->calls + nth;
    rule->last = times ? rule->first + times - 1 : 0;
    mc_mutex_unlock(&f->mutex);
}

void mc_fault_store_heal(struct mc_store *store)
{
    struct fault_store *f = fault_of(store);
    mc_mutex_lock(&f->mutex);
    for (int i = 0; i < OP_COUNT; i++)
        f->rules[i].status = MC_OK;
    mc_mutex_unlock(&f->mutex);
}

int mc_fault_store_calls(struct mc_store *store, const char *op)
{
    struct fault_store *f = fault_of(store);
    mc_mutex_lock(&f->mutex);
    int calls = f->rules[find_op(op)].calls;
    mc_mutex_unlock(&f->mutex);
    return calls;
}

void mc_fault_store_hook(struct mc_store *store, mc_fault_hook_fn hook, void *context)
{
    struct fault_store *f = fault_of(store);
    f->context = context;
    f->hook = hook;
}
