/* The contract of copying (src/store/copy.h): every back-end into every back-end. */
#include "store_contract.h"
#include "support/postgres.h"

#include "base/error.h"
#include "store/copy.h"

#define MANY 700 /* several pages */

static struct scratch scratch;
static struct pg_server server;
static int number;

static struct mc_store *open_sqlite(void)
{
    char name[32];
    snprintf(name, sizeof(name), "%d.db", ++number);
    return scratch_store(&scratch, name);
}

static struct mc_store *open_postgres(void)
{
    char name[32];
    snprintf(name, sizeof(name), "copy%d", ++number);
    pg_create(&server, name);
    struct mc_postgres_options options = pg_options(&server, name, false);
    return pg_open(&options);
}

struct pair {
    struct mc_store *from, *to;
};

static void close_pair(struct pair *pair)
{
    pair->from->ops->close(pair->from);
    pair->to->ops->close(pair->to);
}

/* ---- A source that has something of everything ---- */

static void put_numbered(struct mc_store *store, int first, int count)
{
    struct mc_put *items = calloc((size_t)count, sizeof(*items));
    char(*texts)[3][64] = calloc((size_t)count, sizeof(*texts));
    struct mc_error err = {0};
    for (int i = 0; items && texts && i < count; i++) {
        snprintf(texts[i][0], 64, "m%04d", first + i);
        snprintf(texts[i][1], 64, "Größe %d 🙏", first + i);
        snprintf(texts[i][2], 64, "user-%d", (first + i) % 37);
        items[i] = message(texts[i][2], "thread", texts[i][0], texts[i][1], i);
    }
    is_status(store->ops->put(store, items, (size_t)count, &err), MC_OK, &err, "%d messages",
              count);
    put_records_fini(items, (size_t)count);
    free(items);
    free(texts);
}

static void fill_memory(struct mc_store *store)
{
    struct mc_error err = {0};
    const struct mc_signal learned = {MC_STR("language"), MC_STR("dé"), 3, T0, 0.1 + 0.2};
    const struct mc_agent_row agent = {.agent_id = MC_STR("bot"),
                                       .name = MC_STR("Bot"),
                                       .sharing_groups = MC_STR("[\"team\"]"),
                                       .metadata = MC_STR("{\"b\":1,\"a\":1.50}"),
                                       .default_visibility = MC_VISIBILITY_SHARED,
                                       .can_read_public = true,
                                       .created_at_us = T0};
    const struct mc_usage_row usage[] = {
        {19000, MC_STR("enrich"), MC_STR("p"), MC_STR("m"), 1, 0, 5, 2, 7, 1000, 0.25},
        {19001, MC_STR("enrich"), MC_STR("p"), MC_STR("m"), 2, 1, 5, 2, 7, 1000, 1e-9},
        {19000, MC_STR("context"), MC_STR("p"), MC_STR("n"), 3, 0, 5, 2, 7, 1000, 0}};
    is_status(store->ops->set_preferences(store, MC_STR("u"), MC_STR(""), MC_STR("{\"x\": \"ü\"}"),
                                          false, &err),
              MC_OK, &err, "preferences");
    is_status(store->ops->add_signals(store, MC_STR("u"), &learned, 1, &err), MC_OK, &err,
              "a signal");
    is_status(store->ops->put_agent(store, &agent, &err), MC_OK, &err, "an agent");
    is_status(store->ops->add_usage(store, usage, 3, &err), MC_OK, &err, "usage");
    struct mc_thread_state state;
    is_status(store->ops->thread(store, MC_STR("u"), MC_STR("t"), &state, &err), MC_OK, &err,
              "the thread");
    const struct mc_summary summary = {.user_id = MC_STR("u"),
                                       .thread_id = MC_STR("t"),
                                       .text = MC_STR("In short"),
                                       .key_facts = MC_STR("[\"one\"]"),
                                       .topics = MC_STR("[]"),
                                       .method = MC_STR("builtin"),
                                       .first_us = T0,
                                       .last_us = T0 + 1,
                                       .messages = 2,
                                       .created_at_us = T0 + MINUTE,
                                       .thread_version = state.version};
    is_status(store->ops->put_summary(store, &summary, &err), MC_OK, &err, "a summary");
}

/* Enriched, dead, leased and ready messages of user u, then what was learned. */
static void fill(struct mc_store *store)
{
    static char large[60000];
    struct mc_error err = {0};
    const mc_str groups[] = {MC_STR("team \"A\""), MC_STR("größe")};
    struct mc_put shared =
        agent_message("u", "t", "shared", "to the team", "bot", MC_VISIBILITY_SHARED);
    memset(large, 'x', sizeof(large) - 1);
    memcpy(large, "{\"k\":\"", 6);
    memcpy(large + sizeof(large) - 3, "\"}", 3);
    shared.message.sharing_groups = groups;
    shared.message.sharing_group_count = 2;
    shared.message.metadata = mc_str_of(large);
    int64_t done = store_one(store, message("u", "t", "done", "first words", 0));
    int64_t dead = store_one(store, message("u", "t", "dead", "dead words", 1));
    int64_t later = store_one(store, shared);
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    claim_into(store, "w", MC_STAGE_FIRST, due_time(), 64, &jobs);
    struct mc_completion completion = {.row = done,
                                       .user_id = MC_STR("u"),
                                       .metadata = MC_STR("{\"z\": 1, \"method\":\"builtin\"}"),
                                       .terms = MC_STR("first words t:travel"),
                                       .importance = 0.1 + 0.2,
                                       .state = MC_ENRICHMENT_ENRICHED,
                                       .content_hash = HASH_A};
    struct mc_failure failure = {
        .row = dead, .error = MC_STR("it broke"), .metadata = MC_STR("{\"enrichment_failed\":1}")};
    is_status(store->ops->complete(store, MC_STR("w"), &completion, 1, &err), MC_OK, &err,
              "one is enriched");
    is_status(store->ops->fail(store, MC_STR("w"), &failure, 1, &err), MC_OK, &err, "one is dead");
    ok(later > dead, "and one stays leased");
    fill_memory(store);
    put_numbered(store, 0, MANY);
}

/* ---- What must be there ---- */

static bool take_dead(void *context, mc_str id, mc_str user, int attempts, int64_t enqueued_us,
                      int64_t died_us, mc_str error)
{
    (void)user;
    bool *good = context;
    *good = mc_str_equal(id, MC_STR("dead")) && attempts == 1 && enqueued_us > 0 && died_us > 0 &&
            mc_str_equal(error, MC_STR("it broke"));
    return true;
}

static bool no_problem(void *context, mc_str text)
{
    (void)context;
    diag("%.*s", MC_STR_ARG(text));
    return *(bool *)context = false;
}

static void same_message(struct pair *p, const char *id)
{
    struct mc_record *a = NULL, *b = NULL;
    struct mc_error err = {0};
    is_status(p->from->ops->get(p->from, mc_str_of(id), &everything, &a, &err), MC_OK, &err,
              "in the source");
    is_status(p->to->ops->get(p->to, mc_str_of(id), &everything, &b, &err), MC_OK, &err,
              "and in the target");
    if (a && b)
        ok(mc_str_equal(a->m.text, b->m.text) && mc_str_equal(a->m.metadata, b->m.metadata) &&
               a->m.created_at_us == b->m.created_at_us && a->m.importance == b->m.importance &&
               a->m.enrichment_state == b->m.enrichment_state && a->m.tier == b->m.tier &&
               a->m.visibility == b->m.visibility && mc_str_equal(a->m.agent_id, b->m.agent_id) &&
               a->m.sharing_group_count == b->m.sharing_group_count &&
               mc_str_equal(a->terms, b->terms),
           "%s is the same", id);
    mc_record_unref(a);
    mc_record_unref(b);
}

static void same_thread(struct pair *p, const char *user, const char *thread)
{
    struct mc_thread_state a = {0}, b = {0};
    struct mc_error err = {0};
    char ids[4096];
    ok(p->from->ops->thread(p->from, mc_str_of(user), mc_str_of(thread), &a, &err) == MC_OK &&
           p->to->ops->thread(p->to, mc_str_of(user), mc_str_of(thread), &b, &err) == MC_OK,
       "both threads of %s", user);
    ok(a.version == b.version && a.messages == b.messages && b.exists, "version and count");
    snprintf(ids, sizeof(ids), "%s", recent_ids(p->from, user, thread, NULL, 100, &everything));
    is_str(recent_ids(p->to, user, thread, NULL, 100, &everything), ids, "the same order");
}

static void check_target(struct pair *p)
{
    struct mc_store *to = p->to;
    struct mc_error err = {0};
    same_message(p, "done");
    same_message(p, "dead");
    same_message(p, "shared");
    same_message(p, "m0123");
    same_thread(p, "u", "t");
    same_thread(p, "user-5", "thread");
    const mc_str word[] = {MC_STR("words")};
    struct mc_match_query query = query_of("u", word, 1);
    is_str(match_ids(to, &query), match_ids(p->from, &query), "search finds the same");
    const struct mc_reader team = {.agent_id = MC_STR("friend"),
                                   .read_shared = true,
                                   .groups = (const mc_str[]){MC_STR("größe")},
                                   .group_count = 1};
    is_str(recent_ids(to, "u", "t", NULL, 10, &team), "shared", "groups are kept");
    is_str(twin_of(to, HASH_A), "{\"z\": 1, \"method\":\"builtin\"}", "content hashes are kept");
    bool good = false, sound = true;
    is_status(to->ops->dead_jobs(to, 10, take_dead, &good, &err), MC_OK, &err, "dead jobs");
    ok(good, "the dead one is as it was");
    struct mc_queue_stats queue;
    is_status(to->ops->queue(to, mc_time_now_us(), &queue, &err), MC_OK, &err, "the queue");
    is_int(queue.ready, MANY + 1, "what was leased is ready");
    is_int(queue.leased, 0, "nothing is leased");
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    claim_into(p->from, "x", MC_STAGE_FIRST, due_time(), 2, &jobs);
    size_t own = jobs.count;
    claim_into(to, "x", MC_STAGE_FIRST, due_time(), 2, &jobs);
    ok(jobs.count > own && jobs.items[own].attempts == 1, "and counts no attempt");
    is_status(p->from->ops->release(p->from, MC_STR("x"), &err), MC_OK, &err, "released");
    is_status(to->ops->release(to, MC_STR("x"), &err), MC_OK, &err, "released");
    is_status(to->ops->check(to, no_problem, &sound, &err), MC_OK, &err, "a check");
    ok(sound, "finds nothing");
}

/* ---- Cases ---- */

static enum mc_status run(struct pair *p, struct mc_copy_result *result)
{
    struct mc_error err = {0};
    *result = (struct mc_copy_result){0};
    enum mc_status status = mc_copy_run(p->from, p->to, NULL, NULL, result, &err);
    if (status != MC_OK)
        diag("%s", err.message);
    return status;
}

static void copies_all(struct pair *p)
{
    static const int ROWS[MC_COPY_TABLES] = {38, 38, 0, MANY + 3, MANY + 2, 1, 1, 1, 1, 1, 3};
    struct mc_copy_result result;
    fill(p->from);
    is_int(run(p, &result), MC_OK, "the copy");
    ok(!result.changed && !result.resumed && !result.restarted, "in one go");
    for (int i = 0; i < MC_COPY_TABLES; i++) {
        is_int(result.rows[i], ROWS[i], "%s", mc_copy_forms[i].name);
        is_int(result.copied[i], ROWS[i], "all copied");
    }
    check_target(p);
    is_int(run(p, &result), MC_OK, "once more");
    is_int(result.copied[MC_COPY_MESSAGES], 0, "no message is copied again");
    is_int(result.rows[MC_COPY_JOBS], MANY + 2, "and nothing is twice");
    /* A message of a new user, and one more for a user that is there. */
    store_one(p->from, message("new", "t", "n1", "later", 0));
    store_one(p->from, message("u", "t", "n2", "later", 5));
    is_int(run(p, &result), MC_OK, "what is new");
    ok(result.resumed && !result.restarted, "is appended");
    is_int(result.copied[MC_COPY_MESSAGES], 2, "alone");
    same_thread(p, "new", "t");
    same_thread(p, "u", "t");
}

static bool stop_at(void *context, uint64_t done, uint64_t total)
{
    (void)total;
    return done < *(uint64_t *)context;
}

static void goes_on(struct pair *p)
{
    struct mc_copy_result result;
    struct mc_error err = {0};
    fill(p->from);
    /* Stopped in the middle of the users, of the messages, and of what follows. */
    uint64_t at[] = {1, 400, 1100, 3000};
    for (size_t i = 0; i < mc_countof(at); i++)
        is_int(mc_copy_run(p->from, p->to, stop_at, &at[i], &result, &err), MC_CANCELLED,
               "stopped at %d", (int)at[i]);
    is_int(run(p, &result), MC_OK, "and to its end");
    ok(result.resumed, "it went on");
    is_int(result.copied[MC_COPY_MESSAGES], 0, "all messages were there");
    check_target(p);
}

static void begins_anew(struct pair *p)
{
    struct mc_copy_result result;
    struct mc_record *removed = NULL;
    struct mc_error err = {0};
    int64_t version;
    fill(p->from);
    is_int(run(p, &result), MC_OK, "the copy");
    is_status(p->from->ops->remove(p->from, MC_STR("m0300"), &everything, &removed, &version, &err),
              MC_OK, &err, "a message is erased in the source");
    mc_record_unref(removed);
    is_int(run(p, &result), MC_OK, "once more");
    ok(result.restarted, "begins anew");
    is_int(result.rows[MC_COPY_MESSAGES], MANY + 2, "and the message is gone");
}

/* A target that fails at the nth load from now on, as if it went away. */
struct failing {
    struct mc_store store; /* first */
    struct mc_store_ops ops;
    struct mc_copy_ops copy;
    struct mc_store *inner;
    int loads; /* that succeed before */
};

static enum mc_status failing_identity(struct mc_store *store, struct mc_buf *text,
                                       struct mc_error *err)
{
    struct mc_store *inner = ((struct failing *)store)->inner;
    return inner->ops->copy->identity(inner, text, err);
}

static enum mc_status failing_open(struct mc_store *store, struct mc_dump **dump,
                                   struct mc_error *err)
{
    struct mc_store *inner = ((struct failing *)store)->inner;
    return inner->ops->copy->open(inner, dump, err);
}

static enum mc_status failing_marks(struct mc_store *store, struct mc_copy_marks *marks,
                                    struct mc_error *err)
{
    struct mc_store *inner = ((struct failing *)store)->inner;
    return inner->ops->copy->marks(inner, marks, err);
}

static enum mc_status failing_load(struct mc_store *store, const struct mc_copy_load *load,
                                   struct mc_error *err)
{
    struct failing *f = (struct failing *)store;
    if (f->loads-- <= 0)
        return mc_fail(err, MC_UNAVAILABLE, "the target went away");
    return f->inner->ops->copy->load(f->inner, load, err);
}

static void failing_init(struct failing *f, struct mc_store *inner)
{
    *f = (struct failing){.inner = inner, .copy = *inner->ops->copy};
    f->copy.identity = failing_identity;
    f->copy.open = failing_open;
    f->copy.marks = failing_marks;
    f->copy.load = failing_load;
    f->ops.copy = &f->copy;
    f->store.ops = &f->ops;
}

static void remove_numbered(struct mc_store *store, int i)
{
    char id[16];
    struct mc_record *removed = NULL;
    struct mc_error err = {0};
    int64_t version;
    snprintf(id, sizeof(id), "m%04d", i);
    is_status(store->ops->remove(store, mc_str_of(id), &everything, &removed, &version, &err),
              MC_OK, &err, "%s is erased in the source", id);
    mc_record_unref(removed);
}

/* A copy that begins anew and is interrupted, wherever that is, goes on. */
static void begins_anew_in_parts(struct pair *p)
{
    /* What the source is makes no difference here: from a server only some of the places, which takes less long. */
    const int messages = 80, step = strcmp(p->from->ops->name, "sqlite") == 0 ? 1 : 5;
    struct mc_copy_result result;
    struct failing target;
    enum mc_status status = MC_UNAVAILABLE;
    int loads = 0;
    failing_init(&target, p->to);
    put_numbered(p->from, 0, messages);
    store_one(p->from, message("u", "t", "u1", "first words", 0));
    fill_memory(p->from);
    is_int(run(p, &result), MC_OK, "the copy");
    int rounds = 0;
    for (; status == MC_UNAVAILABLE && loads < messages; loads += step, rounds++) {
        struct mc_error err = {0};
        remove_numbered(p->from, rounds);
        target.loads = loads;
        status = mc_copy_run(p->from, &target.store, NULL, NULL, &result, &err);
        is_int(status == MC_OK ? MC_UNAVAILABLE : status, MC_UNAVAILABLE,
               "interrupted after %d loads: %s", loads, err.message);
        is_int(run(p, &result), MC_OK, "goes on");
        is_int(result.rows[MC_COPY_MESSAGES], messages - rounds, "with what the source has");
    }
    is_int(status, MC_OK, "to its end");
    ok(loads > MC_COPY_TABLES, "it was interrupted %d times", rounds - 1);
    check_is_clean(p->to, "of the copy");
}

static bool change_source(void *context, uint64_t done, uint64_t total)
{
    struct pair *p = context;
    (void)total;
    if (done > MANY && p->from) {
        store_one(p->from, message("u", "t", "meanwhile", "x", 0));
        p->from = NULL;
    }
    return true;
}

static void notices_changes(struct pair *p)
{
    struct mc_copy_result result;
    struct mc_error err = {0};
    struct pair writing = *p;
    fill(p->from);
    is_status(mc_copy_run(p->from, p->to, change_source, &writing, &result, &err), MC_OK, &err,
              "the source changes meanwhile");
    ok(result.changed, "it says so");
    is_int(result.new_messages, 1, "and how many are new");
    is_int(run(p, &result), MC_OK, "the next time");
    ok(!result.changed && !result.restarted, "they are the same");
    is_int(result.copied[MC_COPY_MESSAGES], 1, "the new one is taken over");
}

static void refuses(struct pair *p)
{
    struct mc_copy_result result;
    struct mc_error err = {0};
    struct pair same = {p->from, p->from};
    is_int(run(p, &result), MC_NOT_FOUND, "an empty source");
    fill(p->from);
    is_int(run(&same, &result), MC_INVALID, "the same database");
    int64_t row = store_one(p->to, message("other", "t", "own", "mine", 0));
    is_int(run(p, &result), MC_CONFLICT, "a target that holds something");
    struct mc_record *own = NULL;
    is_status(p->to->ops->get(p->to, MC_STR("own"), &everything, &own, &err), MC_OK, &err,
              "which is still there");
    ok(own && own->row == row, "as it was");
    mc_record_unref(own);
}

static void protects_the_target(struct pair *p)
{
    struct mc_copy_result result;
    struct mc_error err = {0};
    fill(p->from);
    is_int(run(p, &result), MC_OK, "the copy");
    is_status(
        p->to->ops->set_preferences(p->to, MC_STR("w"), MC_STR(""), MC_STR("{}"), false, &err),
        MC_OK, &err, "the target is used");
    is_int(run(p, &result), MC_CONFLICT, "then it is not copied to any more");
    struct pair other = {p->to, p->from};
    is_int(run(&other, &result), MC_CONFLICT, "nor back into the source");
}

static int64_t row_of(struct mc_store *store, const char *id)
{
    struct mc_record *record = scratch_get(store, id);
    if (!record)
        bail_out("there is no message %s", id);
    int64_t row = record->row;
    mc_record_unref(record);
    return row;
}

/* Dictionaries and frames go over as they are, of more than one version. */
static void copies_the_archive(struct pair *p)
{
    struct mc_copy_result result;
    struct mc_error err = {0};
    double ratio;
    archive_fill(p->from, 1, 70);
    archive_move(p->from);
    is_status(p->from->ops->train(p->from, T0, &err), MC_OK, &err, "training");
    is_int(archive_pack(p->from, 100, &ratio), 70, "packed");
    archive_fill(p->from, 71, 370);
    archive_move(p->from);
    is_status(p->from->ops->train(p->from, T0, &err), MC_OK, &err, "training again");
    is_int(archive_pack(p->from, 100, &ratio), 300, "packed with another dictionary");
    is_int(run(p, &result), MC_OK, "the copy");
    is_int(result.rows[MC_COPY_DICTIONARIES], 2, "two dictionaries");
    struct mc_put repeat = message("u1", "t", "m1", "something else", 1); /* compared in a write */
    is_status(p->to->ops->put(p->to, &repeat, 1, &err), MC_OK, &err, "a put of an archived id");
    is_int(repeat.status, MC_CONFLICT, "with another text");
    is_int(archive_readable(p->to, 1, 370), 370, "all are readable there");
    is_int(archive_pack(p->to, 100, &ratio), 0, "and packed");
    check_is_clean(p->to, "of the copy");
}

/* Embeddings have run on the target: what is copied later waits for its vector too. */
static void copies_beside_vectors(struct pair *p)
{
    struct mc_copy_result result;
    int64_t rows[VECTOR_ROWS] = {0};
    store_one(p->from, message("u", "t", "v1", "alpha", 0));
    store_one(p->from, message("u", "t", "v2", "beta", 0));
    index_all(p->from);
    is_int(run(p, &result), MC_OK, "the copy");
    int64_t old = use_model(p->to, "old", 4);
    rows[0] = row_of(p->to, "v1");
    put_vector(p->to, old, rows[0], 1);
    int64_t model = use_model(p->to, "a", 4);
    rows[1] = row_of(p->to, "v2");
    put_vector(p->to, model, rows[1], 2);
    fill_all(p->to, 1);
    is_str(models_of(p->to), "old/4:1 a/4*+:1 waiting 1",
           "one has a vector, one waits for a new one");

    store_one(p->from, message("w", "t", "v3", "gamma", 0));
    store_one(p->from, message("u", "t", "v4", "delta", 0));
    index_all(p->from);
    is_int(run(p, &result), MC_OK, "what is new");
    is_int(result.copied[MC_COPY_MESSAGES], 2, "is appended");
    is_str(models_of(p->to), "old/4:1 a/4*:1 waiting 1", "the model is not through any more");
    fill_all(p->to, 1);
    is_str(models_of(p->to), "old/4:1 a/4*+:1 waiting 3", "then they wait");
    struct given had = vectors_all(p->to, "u", rows);
    is_int((int)had.count, 2, "what has a vector keeps it");

    store_one(p->from, message("u", "t", "m0000", "epsilon", 0));
    is_int(run(p, &result), MC_OK, "one more");
    remove_numbered(p->from, 0);
    is_int(run(p, &result), MC_OK, "and away");
    ok(result.restarted, "so the copy begins anew");
    is_str(models_of(p->to), "old/4:0 a/4*:0 waiting 0", "and of vectors nothing is left");
    struct given none = vectors_since(p->to, "u", had.state, rows);
    ok(none.whole && none.count == 0, "which a cache is told");
    check_is_clean(p->to, "of the copy");
    fill_all(p->to, 1);
    is_str(models_of(p->to), "old/4:0 a/4*+:0 waiting 4", "all wait");
    put_vector(p->to, model, row_of(p->to, "v1"), 3);
    is_str(models_of(p->to), "old/4:0 a/4*+:1 waiting 3", "and get theirs");
    check_is_clean(p->to, "of the vectors");
}

/* A copy that begins anew shows the source: what a tier migration has deleted in the target cannot come back. */
static void begins_anew_beside_trash(struct pair *p)
{
    struct mc_copy_result result;
    struct mc_error err = {0};
    struct failing target;
    put_numbered(p->from, 0, 10);
    index_all(p->from);
    is_int(run(p, &result), MC_OK, "the copy");
    remove_numbered(p->from, 0);
    failing_init(&target, p->to);
    target.loads = 1;
    is_int(mc_copy_run(p->from, &target.store, NULL, NULL, &result, &err), MC_UNAVAILABLE,
           "interrupted");
    int64_t tier_run = begin_run(p->to, T0);
    migrate_all(p->to, tier_run, false);
    is_int((int)migrate_all(p->to, tier_run, true).deleted, 10, "the target deletes what it has");
    end_run(p->to, tier_run);
    put_numbered(p->to, 10, 10);
    is_int(run(p, &result), MC_OK, "the copy goes on");
    ok(result.restarted, "anew");
    is_int(result.rows[MC_COPY_MESSAGES], 9, "with what the source has");
    is_str(runs_of(p->to), "", "and nothing can be undone in it");
    check_is_clean(p->to, "of the copy");
    struct mc_record *record = NULL;
    int64_t version;
    is_status(p->to->ops->remove(p->to, MC_STR("m0000"), &everything, &record, &version, &err),
              MC_NOT_FOUND, &err, "nor is it in the trash");
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(struct pair *pair);
    } CASES[] = {{"copies all", copies_all},
                 {"goes on", goes_on},
                 {"begins anew", begins_anew},
                 {"begins anew in parts", begins_anew_in_parts},
                 {"notices changes", notices_changes},
                 {"refuses", refuses},
                 {"protects the target", protects_the_target},
                 {"copies the archive", copies_the_archive},
                 {"copies beside vectors", copies_beside_vectors},
                 {"begins anew beside trash", begins_anew_beside_trash}};
    struct mc_store *(*const OPENERS[])(void) = {open_sqlite, open_postgres};
    scratch_make(&scratch);
    const char *missing = pg_server_start(&server);
    size_t openers = missing ? 1 : 2;
    if (missing)
        diag("SQLite alone: %s", missing);
    for (size_t i = 0; i < mc_countof(CASES) * openers * openers; i++) {
        size_t direction = i % (openers * openers);
        struct pair pair = {OPENERS[direction / openers](), OPENERS[direction % openers]()};
        diag("%s: %s to %s", CASES[i / (openers * openers)].name, pair.from->ops->name,
             pair.to->ops->name);
        CASES[i / (openers * openers)].run(&pair);
        close_pair(&pair);
    }
    if (!missing)
        pg_server_stop(&server);
    scratch_remove(&scratch);
    return done_testing();
}
