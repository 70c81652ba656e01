/* Part of store_contract.h: vectors of meaning. */

#define VECTOR_ROWS 8
/* What `vectors` gave last of rows[0..]: the first number of each, 0 for none; and of which model. */
struct given {
    const int64_t *rows;
    int first[VECTOR_ROWS];
    int64_t model[VECTOR_ROWS];
    double scale;
    size_t count;
    char thread[32];
    int64_t created_at_us;
    bool whole;
    struct mc_vector_state state;
};

static inline bool take_vector(void *context, const struct mc_vector_row *v)
{
    struct given *given = context;
    int16_t first = 0;
    if (v->data.len >= sizeof(first))
        memcpy(&first, v->data.data, sizeof(first));
    for (size_t i = 0; i < VECTOR_ROWS && given->rows[i]; i++) {
        if (given->rows[i] != v->row)
            continue;
        given->first[i] = first;
        given->model[i] = v->model;
    }
    given->scale = v->scale;
    given->created_at_us = v->created_at_us;
    snprintf(given->thread, sizeof(given->thread), "%.*s", MC_STR_ARG(v->thread_id));
    given->count++;
    return true;
}

/* Reads what is newer than `state`. */
static inline struct given vectors_since(struct mc_store *store, const char *user,
                                         struct mc_vector_state state, const int64_t *rows)
{
    struct given given = {.rows = rows};
    struct mc_error err = {0};
    is_status(store->ops->vectors(store, mc_str_of(user), &state, take_vector, &given, &given.whole,
                                  &given.state, &err),
              MC_OK, &err, "the vectors of %s", user);
    return given;
}

static inline struct given vectors_all(struct mc_store *store, const char *user,
                                       const int64_t *rows)
{
    return vectors_since(store, user, (struct mc_vector_state){0}, rows);
}

static inline int64_t use_model(struct mc_store *store, const char *name, int64_t dimension)
{
    int64_t number = 0;
    struct mc_error err = {0};
    is_status(store->ops->vector_model(store, mc_str_of(name), dimension, &number, &err), MC_OK,
              &err, "model %s", name);
    return number;
}

static inline void put_vector(struct mc_store *store, int64_t model, int64_t row, int16_t first)
{
    const int16_t numbers[4] = {first, 2, 3, 4};
    const struct mc_vector_put put = {
        .row = row, .data = {(const char *)numbers, sizeof(numbers)}, .scale = 0.25};
    struct mc_error err = {0};
    is_status(store->ops->put_vectors(store, model, &put, 1, &err), MC_OK, &err, "put a vector");
}

struct models_seen {
    char text[256];
    int64_t waiting;
};

static inline bool see_model(void *context, const struct mc_vector_model *m)
{
    struct models_seen *seen = context;
    size_t len = strlen(seen->text);
    snprintf(seen->text + len, sizeof(seen->text) - len, "%s%.*s/%d%s%s:%d", len ? " " : "",
             MC_STR_ARG(m->name), (int)m->dimension, m->current ? "*" : "", m->filled ? "+" : "",
             (int)m->vectors);
    return true;
}

/* "name/dimension*+:vectors" of each model, and "waiting n". */
static inline const char *models_of(struct mc_store *store)
{
    static char text[320];
    struct models_seen seen = {0};
    struct mc_error err = {0};
    is_status(store->ops->vector_models(store, see_model, &seen, &seen.waiting, &err), MC_OK, &err,
              "the models");
    snprintf(text, sizeof(text), "%s waiting %d", seen.text, (int)seen.waiting);
    return text;
}

/* Whose vectors are due at that time, as ids. */
static inline const char *due_at(struct mc_store *store, int64_t now_us, size_t limit)
{
    static char text[256];
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    struct mc_error err = {0};
    is_status(store->ops->claim_vectors(store, now_us, MINUTE, limit, &jobs, &err), MC_OK, &err,
              "claim vectors");
    text[0] = '\0';
    for (size_t i = 0; i < jobs.count; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "%s%.*s/%d", len ? " " : "",
                 MC_STR_ARG(jobs.items[i].record->m.message_id), jobs.items[i].attempts);
    }
    return text;
}

static inline void fill_all(struct mc_store *store, size_t limit)
{
    struct mc_error err = {0};
    bool done = false;
    for (int steps = 0; !done && steps < 1000; steps++)
        is_status(store->ops->fill_vectors(store, mc_time_now_us(), limit, &done, &err), MC_OK,
                  &err, "a step over older messages");
    ok(done, "it comes to an end");
}

static inline void vectors_stored(struct mc_store *store)
{
    int64_t now = mc_time_now_us();
    is_str(models_of(store), " waiting 0", "no model at first");
    int64_t rows[VECTOR_ROWS] = {store_one(store, message("u", "t", "m1", "alpha", 0)),
                                 store_one(store, message("u", "s", "m2", "beta", SECOND)),
                                 store_one(store, message("v", "t", "m3", "gamma", 0))};
    index_all(store);
    is_str(due_at(store, now + MINUTE, 10), "", "without a model nothing waits");
    int64_t model = use_model(store, "a", 4);
    ok(model > 0, "it has a number");
    is_int(use_model(store, "a", 4), model, "the same one again");
    is_str(models_of(store), "a/4*:0 waiting 0", "current, nothing filled in");
    fill_all(store, 2);
    is_str(models_of(store), "a/4*+:0 waiting 3", "the older messages wait");
    rows[3] = store_one(store, message("u", "t", "m4", "delta", 2 * SECOND));
    index_all(store);
    is_str(models_of(store), "a/4*+:0 waiting 4", "and a new one when it was completed");

    put_vector(store, model, rows[0], 11);
    put_vector(store, model, rows[1], 12);
    put_vector(store, model, rows[2], 13);
    is_str(models_of(store), "a/4*+:3 waiting 1", "three have theirs");
    struct given got = vectors_all(store, "u", rows);
    is_int((int)got.count, 2, "of one user");
    ok(got.whole && got.first[0] == 11 && got.first[1] == 12, "with their numbers");
    ok(got.model[0] == model && got.scale > 0.24 && got.scale < 0.26, "model and scale");
    struct given of_v = vectors_all(store, "v", rows);
    ok(of_v.count == 1 && of_v.first[2] == 13, "another user has his own");
    is_str(of_v.thread, "t", "the thread");
    ok(of_v.created_at_us == T0, "and the time");
    is_int((int)vectors_all(store, "nobody", rows).count, 0, "nobody has none");

    struct given none = vectors_since(store, "u", got.state, rows);
    ok(none.count == 0 && !none.whole, "nothing new, nothing read");
    put_vector(store, model, rows[3], 14);
    struct given more = vectors_since(store, "u", none.state, rows);
    ok(more.count == 1 && more.first[3] == 14 && !more.whole, "only what is new");
    put_vector(store, model, rows[0], 21);
    struct given again = vectors_since(store, "u", more.state, rows);
    ok(again.count == 1 && again.first[0] == 21, "or was put again");
    is_str(models_of(store), "a/4*+:4 waiting 0", "which is one vector still");
}

static inline void vectors_wait(struct mc_store *store)
{
    int64_t now = mc_time_now_us();
    int64_t model = use_model(store, "a", 4);
    int64_t rows[2] = {store_one(store, message("u", "t", "m1", "alpha", 0)),
                       store_one(store, message("u", "t", "m2", "beta", 0))};
    is_str(due_at(store, now + MINUTE, 10), "", "before the first stage nothing waits");
    index_all(store);
    is_str(due_at(store, now - MINUTE, 10), "", "not yet due");
    is_str(due_at(store, now + MINUTE, 1), "m1/1", "the first");
    is_str(due_at(store, now + MINUTE, 10), "m2/1", "the other: the first is leased");
    is_str(due_at(store, now + 3 * MINUTE, 10), "m1/2 m2/2", "both, when the lease is over");
    const struct mc_vector_put later[2] = {
        {.row = rows[0], .retry_at_us = now + 5 * MINUTE, .no_attempt = true}, {.row = rows[1]}};
    struct mc_error err = {0};
    is_status(store->ops->put_vectors(store, model, later, 2, &err), MC_OK, &err, "put back");
    is_str(due_at(store, now + 4 * MINUTE, 10), "", "later, and never");
    is_str(due_at(store, now + 6 * MINUTE, 10), "m1/2", "no attempt was counted");
    is_str(models_of(store), "a/4*:0 waiting 1", "one was given up");
    fill_all(store, 100);
    is_str(models_of(store), "a/4*+:0 waiting 2", "a walk finds it again");
}

static inline void vectors_of_a_new_model(struct mc_store *store)
{
    int64_t old = use_model(store, "a", 4);
    int64_t rows[VECTOR_ROWS] = {store_one(store, message("u", "t", "m1", "alpha", 0)),
                                 store_one(store, message("u", "t", "m2", "beta", 0))};
    index_all(store);
    put_vector(store, old, rows[0], 1);
    put_vector(store, old, rows[1], 2);
    int64_t young = use_model(store, "b", 4);
    ok(young != old, "another number");
    is_str(models_of(store), "a/4:2 b/4*:0 waiting 0", "the old one's vectors stay");
    struct given before = vectors_all(store, "u", rows);
    fill_all(store, 1);
    is_str(models_of(store), "a/4:2 b/4*+:0 waiting 2", "all wait again");
    put_vector(store, old, rows[0], 9);
    struct given same = vectors_since(store, "u", before.state, rows);
    is_int((int)same.count, 0, "what comes from the old model is too late");
    put_vector(store, young, rows[0], 3);
    struct given mixed = vectors_since(store, "u", before.state, rows);
    ok(mixed.whole && mixed.count == 2, "a vector was replaced: all are read");
    ok(mixed.model[0] == young && mixed.first[0] == 3, "one of the new model");
    ok(mixed.model[1] == old && mixed.first[1] == 2, "one of the old");
    put_vector(store, young, rows[1], 4);
    is_str(models_of(store), "a/4:0 b/4*+:2 waiting 0", "all are of the new one");
    int64_t wide = use_model(store, "b", 8);
    ok(wide != young, "another dimension is another model");
    is_str(models_of(store), "b/4+:2 b/8*:0 waiting 0", "a model without vectors is forgotten");
    is_int(use_model(store, "b", 4), young, "and back");
}

static inline void vectors_deleted(struct mc_store *store)
{
    struct mc_error err = {0};
    int64_t model = use_model(store, "a", 4);
    int64_t rows[VECTOR_ROWS] = {store_one(store, message("u", "t", "m1", "alpha", 0)),
                                 store_one(store, message("u", "t", "m2", "beta", 0)),
                                 store_one(store, message("u", "t", "m3", "gamma", 0)),
                                 store_one(store, message("v", "t", "m4", "delta", 0))};
    index_all(store);
    put_vector(store, model, rows[0], 1);
    put_vector(store, model, rows[1], 2);
    put_vector(store, model, rows[3], 4);
    struct given before = vectors_all(store, "u", rows);
    struct mc_record *removed = NULL;
    int64_t version;
    is_status(store->ops->remove(store, MC_STR("m1"), &everything, &removed, &version, &err), MC_OK,
              &err, "one is removed");
    mc_record_unref(removed);
    struct given after = vectors_since(store, "u", before.state, rows);
    ok(after.whole && after.count == 1 && after.first[1] == 2, "its vector went with it");
    is_str(models_of(store), "a/4*:2 waiting 1", "and is not counted");
    put_vector(store, model, rows[0], 7);
    is_str(models_of(store), "a/4*:2 waiting 1", "a message that is gone gets none");

    struct mc_erased erased = {0};
    is_status(store->ops->erase(store, MC_STR("u"), &erased, &err), MC_OK, &err, "erase");
    ok(erased.verified, "verified");
    struct given gone = vectors_since(store, "u", after.state, rows);
    ok(gone.whole && gone.count == 0, "nothing is left of the user");
    is_str(models_of(store), "a/4*:1 waiting 0", "nor waits");
    int64_t back[VECTOR_ROWS] = {store_one(store, message("u", "t", "m9", "omega", 0))};
    index_all(store);
    put_vector(store, model, back[0], 5);
    struct given again = vectors_since(store, "u", before.state, back);
    ok(again.whole && again.count == 1 && again.first[0] == 5, "who comes back begins anew");
}

#define STORE_VECTOR_CASES                                                                         \
    {"vectors", vectors_stored}, {"waiting for vectors", vectors_wait},                            \
        {"vectors of a new model", vectors_of_a_new_model},                                        \
        {"vectors of deleted messages", vectors_deleted},
