/* Part of store_contract.h: candidates for search. */

#define NAMES(...) ((const mc_str[]){__VA_ARGS__})

static inline void search_by_terms(struct mc_store *store)
{
    store_one(store, message("u", "t1", "m1", "cat dog", 1));
    store_one(store, message("u", "t2", "m2", "dog bird", 2));
    store_one(store, message("u", "t1", "m3", "fish", 3));
    store_one(store, message("u2", "t1", "n1", "cat dog bird fish", 4));
    const mc_str terms[] = {MC_STR("cat"), MC_STR("dog"), MC_STR("whale")};
    for (int indexed = 0; indexed < 2; indexed++) {
        struct mc_match_query query = query_of("u", terms, 3);
        struct mc_match_result result = {0};
        struct mc_error err = {0};
        is_status(store->ops->match(store, &query, &result, &err), MC_OK, &err, "match");
        if (is_int(result.count, 2, "two messages (indexed %d)", indexed)) {
            is_int(result.items[0].mask, 2, "the newer has the second term");
            is_int(result.items[1].mask, 3, "the older has two");
            ok(result.items[0].row > result.items[1].row, "newest first");
        }
        is_int(result.df[0], 1, "cat once");
        is_int(result.df[1], 2, "dog twice");
        is_int(result.df[2], 0, "whale never");
        is_int(result.user_messages, 3, "of the user's three");
        mc_match_result_fini(&result);
        query.thread_id = MC_STR("t1");
        is_str(match_ids(store, &query), "m1", "in one thread");
        query.thread_id = MC_STR("t9");
        is_str(match_ids(store, &query), "", "in a thread that is not there");
        query.thread_id = MC_STR_NONE;
        query.since_us = T0 + 2;
        is_str(match_ids(store, &query), "m2", "since, inclusive");
        query.since_us = 0;
        query.until_us = T0 + 2;
        is_str(match_ids(store, &query), "m1", "until, exclusive");
        query.until_us = 0;
        query.limit = 1;
        is_status(store->ops->match(store, &query, &result, &err), MC_OK, &err, "with a limit");
        is_int(result.df[1], 1, "the limit bounds what is looked at");
        mc_match_result_fini(&result);
        query = query_of("nobody", terms, 3);
        is_str(match_ids(store, &query), "", "of a user that is not there");
        if (!indexed)
            index_all(store);
    }
}

static inline void search_by_labels(struct mc_store *store)
{
    int64_t now = due_time();
    const char *terms[] = {"cat t:billing c:support i:complaint", "cat t:shipping c:support",
                           "dog t:billing t:refund c:sales"};
    const char *ids[] = {"m1", "m2", "m3"};
    for (int i = 0; i < 3; i++) {
        int64_t row = store_one(store, message("u", "t", ids[i], "x", i));
        mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
        claim_into(store, "w", MC_STAGE_FIRST, now, 1, &jobs);
        complete_row(store, "w", row, terms[i], 0);
    }
    const struct mc_match_group topics = {NAMES(MC_STR("t:billing"), MC_STR("t:other")), 2};
    const struct mc_match_group both[] = {topics, {NAMES(MC_STR("c:support")), 1}};
    struct mc_match_query query = query_of("u", NULL, 0);
    query.required = &topics;
    query.required_count = 1;
    is_str(match_ids(store, &query), "m3 m1", "any of a group");
    query.required = both;
    query.required_count = 2;
    is_str(match_ids(store, &query), "m1", "each of the groups");
    const mc_str cat[] = {MC_STR("cat")};
    query = query_of("u", cat, 1);
    query.required = both + 1;
    query.required_count = 1;
    is_str(match_ids(store, &query), "m2 m1", "a term and a group");
    query.thread_id = MC_STR("t");
    query.since_us = T0 + 1;
    is_str(match_ids(store, &query), "m2", "with all filters");
    query = query_of("u", NULL, 0);
    is_str(match_ids(store, &query), "", "nothing asked, nothing found");
}

static inline void search_odd_terms(struct mc_store *store)
{
    int64_t row = store_one(store, message("u", "t", "m1", "x", 0));
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    claim_into(store, "w", MC_STAGE_FIRST, due_time(), 1, &jobs);
    complete_row(store, "w", row, "grüße 你好 ord-12345 naïve a.b #7 x_y  \xf0\x9f\x8e\x89", 0);
    const mc_str found[] = {
        MC_STR("grüße"), MC_STR("你好"), MC_STR("ord-12345"), MC_STR("naïve"),
        MC_STR("a.b"),   MC_STR("#7"),   MC_STR("x_y"),       MC_STR("\xf0\x9f\x8e\x89")};
    for (size_t i = 0; i < mc_countof(found); i++) {
        struct mc_match_query query = query_of("u", &found[i], 1);
        is_str(match_ids(store, &query), "m1", "'%.*s' is found", MC_STR_ARG(found[i]));
    }
    /* What could leave its quotes or be read as an operator finds nothing and breaks nothing. */
    const mc_str odd[] = {MC_STR("\" OR \"1_cat"), MC_STR("cat*"),     MC_STR("NOT"),
                          MC_STR("a b"),           MC_STR("^cat"),     MC_STR("{terms}:cat"),
                          MC_STR("'; DROP TABLE"), MC_STR(""),         MC_STR("\""),
                          MC_STR("NEAR(a b)"),     MC_STR("\xff\xfe"), MC_STR("cat)")};
    for (size_t i = 0; i < mc_countof(odd); i++) {
        struct mc_match_query query = query_of("u", &odd[i], 1);
        is_str(match_ids(store, &query), "", "odd term %zu finds nothing", i);
        const struct mc_match_group group = {&odd[i], 1};
        query = query_of("u", NULL, 0);
        query.required = &group;
        query.required_count = 1;
        is_str(match_ids(store, &query), "", "nor as a group");
    }
}

/* One user's number is the beginning of another's: their tokens must not meet. */
static inline void search_other_users(struct mc_store *store)
{
    char user[16], id[16];
    for (int i = 0; i < 80; i++) {
        snprintf(user, sizeof(user), "user%d", i);
        snprintf(id, sizeof(id), "m%d", i);
        store_one(store, message(user, "t", id, "cat", 0));
    }
    index_all(store);
    const mc_str cat[] = {MC_STR("cat")};
    int alone = 0;
    for (int i = 0; i < 80; i++) {
        snprintf(user, sizeof(user), "user%d", i);
        snprintf(id, sizeof(id), "m%d", i);
        struct mc_match_query query = query_of(user, cat, 1);
        alone += strcmp(match_ids(store, &query), id) == 0;
    }
    is_int(alone, 80, "each of 80 users finds its own message alone");
}

static inline void search_limits(struct mc_store *store)
{
    mc_str many[MC_MATCH_TERMS_MAX + 1];
    for (size_t i = 0; i <= MC_MATCH_TERMS_MAX; i++)
        many[i] = MC_STR("nothing");
    many[63] = MC_STR("cat");
    store_one(store, message("u", "t", "m1", "cat", 0));
    struct mc_match_query query = query_of("u", many, 64);
    struct mc_match_result result = {0};
    struct mc_error err = {0};
    for (int indexed = 0; indexed < 2; indexed++) {
        is_status(store->ops->match(store, &query, &result, &err), MC_OK, &err, "64 terms");
        ok(result.count == 1 && result.items[0].mask == UINT64_C(1) << 63, "the last one matches");
        mc_match_result_fini(&result);
        if (!indexed)
            index_all(store);
    }
    query.term_count = 65;
    is_status(store->ops->match(store, &query, &result, &err), MC_INVALID, &err, "65 are refused");
    query.term_count = 1;
    query.limit = 0;
    is_status(store->ops->match(store, &query, &result, &err), MC_INVALID, &err, "so is no limit");
}

#define STORE_SEARCH_CASES                                                                         \
    {"search by terms", search_by_terms}, {"search by labels", search_by_labels},                  \
        {"odd terms", search_odd_terms}, {"other users' terms", search_other_users},               \
        {"limits of a query", search_limits},
