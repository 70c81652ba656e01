/* Part of store_contract.h: messages and threads. */

static inline void put_and_get(struct mc_store *store)
{
    mc_str groups[] = {MC_STR("support"), MC_STR("billing")};
    struct mc_put put = message("u1", "t1", "m1", "Grüße 你好 🎉\nsecond line", 0);
    put.message.session_id = MC_STR("s1");
    put.message.agent_id = MC_STR("a1");
    put.message.role = MC_ROLE_ASSISTANT;
    put.message.visibility = MC_VISIBILITY_SHARED;
    put.message.sharing_groups = groups;
    put.message.sharing_group_count = 2;
    put.message.metadata = MC_STR("{\"extra\":{\"k\":\"v\"}}");
    put.message.importance = 0.25;
    struct mc_error err = {0};
    is_status(store->ops->put(store, &put, 1, &err), MC_OK, &err, "put");
    ok(put.status == MC_OK && put.created, "it was created");
    is_int(put.thread_messages, 1, "the first of its thread");
    ok(put.thread_version > 0, "the thread has a version");
    ok(put.record && put.record->row > 0, "the record has a row");
    is_text(put.record->m.text, "Grüße 你好 🎉\nsecond line", "the record has the text");
    mc_record_unref(put.record);

    struct mc_record *got = scratch_get(store, "m1");
    if (!ok(got != NULL, "it is there"))
        return;
    is_text(got->m.message_id, "m1", "message id");
    is_text(got->m.user_id, "u1", "user id");
    is_text(got->m.thread_id, "t1", "thread id");
    is_text(got->m.session_id, "s1", "session id");
    is_text(got->m.agent_id, "a1", "agent id");
    is_text(got->m.text, "Grüße 你好 🎉\nsecond line", "text");
    is_text(got->m.metadata, "{\"extra\":{\"k\":\"v\"}}", "metadata");
    is_int(got->m.role, MC_ROLE_ASSISTANT, "role");
    is_int(got->m.visibility, MC_VISIBILITY_SHARED, "visibility");
    is_int(got->m.tier, MC_TIER_SHORT, "tier");
    is_int(got->m.enrichment_state, MC_ENRICHMENT_PENDING, "state");
    is_int(got->m.created_at_us, T0, "time");
    is_double(got->m.importance, 0.25, 0, "importance");
    is_int(got->m.sharing_group_count, 2, "two groups");
    is_text(got->m.sharing_groups[1], "billing", "in their order");
    mc_record_unref(got);
    ok(scratch_get(store, "m2") == NULL, "another id is not there");
    is_int(scratch_queue(store).ready, 1, "one job waits");
}

/* Names of groups that some notation of lists might take for its own. */
static inline void put_odd_groups(struct mc_store *store)
{
    mc_str groups[] = {MC_STR("a\"b\\c"), MC_STR("x,y"), MC_STR("{z}"),
                       MC_STR("NULL"),    MC_STR(" "),   MC_STR("'é'")};
    struct mc_put put = message("u1", "t1", "odd", "text", 0);
    struct mc_error err = {0};
    put.message.visibility = MC_VISIBILITY_SHARED;
    put.message.sharing_groups = groups;
    put.message.sharing_group_count = mc_countof(groups);
    is_status(store->ops->put(store, &put, 1, &err), MC_OK, &err, "put");
    mc_record_unref(put.record);
    struct mc_record *got = scratch_get(store, "odd");
    if (!ok(got && got->m.sharing_group_count == mc_countof(groups), "all groups are there"))
        return;
    for (size_t i = 0; i < mc_countof(groups); i++)
        ok(mc_str_equal(got->m.sharing_groups[i], groups[i]), "group %zu is as it was", i);
    mc_record_unref(got);
}

static inline void put_long(struct mc_store *store)
{
    size_t len = 400000; /* 100,000 characters of four bytes */
    char *text = malloc(len + 1);
    char id[256], groups_text[32][256];
    mc_str groups[32];
    if (!text)
        bail_out("no memory");
    for (size_t i = 0; i < len; i += 4)
        memcpy(text + i, "\xf0\x9f\x98\x80", 4);
    text[len] = '\0';
    memset(id, 'i', 255);
    id[255] = '\0';
    for (int i = 0; i < 32; i++) {
        memset(groups_text[i], 'a' + i % 26, 255);
        groups_text[i][0] = (char)('A' + i % 26);
        groups[i] = (mc_str){groups_text[i], 255};
    }
    struct mc_put put = message(id, id, id, text, 0);
    put.message.sharing_groups = groups;
    put.message.sharing_group_count = 32;
    store_one(store, put);
    struct mc_record *got = scratch_get(store, id);
    ok(got && got->m.text.len == len && memcmp(got->m.text.data, text, len) == 0,
       "the longest text comes back");
    ok(got && got->m.sharing_group_count == 32 && got->m.user_id.len == 255,
       "the longest ids and 32 groups come back");
    mc_record_unref(got);
    free(text);
}

static inline void put_repeat(struct mc_store *store)
{
    struct mc_error err = {0};
    struct mc_put first = message("u1", "t1", "m1", "hello", 0);
    int64_t row = scratch_store_put(store, &first);
    struct mc_put again = message("u1", "t1", "m1", "hello", 5 * SECOND);
    again.message.importance = 0.9;
    is_status(store->ops->put(store, &again, 1, &err), MC_OK, &err, "the same again");
    ok(again.status == MC_OK && !again.created, "nothing was created");
    is_int(again.thread_version, 0, "nothing changed");
    if (ok(again.record != NULL, "the stored message comes back")) {
        is_int(again.record->row, row, "in its row");
        is_int(again.record->m.created_at_us, T0, "with its own time");
        mc_record_unref(again.record);
    }
    is_int(scratch_queue(store).ready, 1, "there is one job still");

    struct {
        const char *user, *thread, *session, *agent, *text, *differs;
        enum mc_role role;
    } others[] = {
        {"u2", "t1", "s", "", "other", "user_id", MC_ROLE_USER},
        {"u9", "t9", "s", "", "hello", "user_id", MC_ROLE_USER},
        {"u1", "t2", "s", "", "hello", "thread_id", MC_ROLE_USER},
        {"u1", "t1", "s2", "", "hello", "session_id", MC_ROLE_USER},
        {"u1", "t1", "s", "a", "hello", "agent_id", MC_ROLE_USER},
        {"u1", "t1", "s", "", "hello!", "text", MC_ROLE_USER},
        {"u1", "t1", "s", "", "hello", "role", MC_ROLE_TOOL},
    };
    for (size_t i = 0; i < mc_countof(others); i++) {
        struct mc_put other = message(others[i].user, others[i].thread, "m1", others[i].text, 0);
        other.message.session_id = mc_str_of(others[i].session);
        other.message.agent_id = mc_str_of(others[i].agent);
        other.message.role = others[i].role;
        is_status(store->ops->put(store, &other, 1, &err), MC_OK, &err, "put is carried out");
        is_int(other.status, MC_CONFLICT, "another %s is a conflict", others[i].differs);
        is_str(other.differs, others[i].differs, "which is named");
        ok(!other.record && !other.created, "nothing is handed out");
    }
    struct mc_store_stats stats = {0};
    is_status(store->ops->stats(store, &stats, &err), MC_OK, &err, "stats");
    is_int(stats.users, 1, "a conflict leaves no user behind");
    is_int(stats.threads, 1, "and no thread");
    is_int(stats.messages, 1, "and no message");
}

static inline void put_batch(struct mc_store *store)
{
    struct mc_put items[5] = {
        message("u1", "t1", "b1", "one", 1),   message("u1", "t1", "b2", "two", 2),
        message("u1", "t1", "b1", "one", 1),  /* a repeat within the batch */
        message("u1", "t1", "b2", "zwei", 2), /* a conflict within the batch */
        message("u2", "t1", "b3", "three", 3),
    };
    struct mc_error err = {0};
    is_status(store->ops->put(store, items, 5, &err), MC_OK, &err, "a batch");
    ok(items[0].created && items[1].created && items[4].created, "three are new");
    ok(items[2].status == MC_OK && !items[2].created, "one is a repeat");
    is_int(items[3].status, MC_CONFLICT, "one is a conflict");
    is_int(items[1].thread_messages, 2, "two in the thread");
    is_int(items[1].thread_version, items[0].thread_version + 1, "each has its version");
    ok(items[1].record->row > items[0].record->row, "rows grow");
    put_records_fini(items, 5);
    is_str(recent_ids(store, "u1", "t1", NULL, 10, &everything), "b2 b1", "recent shows both");
    is_status(store->ops->put(store, NULL, 0, &err), MC_OK, &err, "an empty batch");
}

/* Ids that are said to be new; and when they are not, it is as if nothing had been said. */
static inline void put_new_ids(struct mc_store *store)
{
    struct mc_put items[5] = {
        message("u1", "t1", "n9", "one", 1),   message("u2", "t1", "n5", "two", 2),
        message("u1", "t1", "n7", "three", 3), message("u2", "t1", "n1", "four", 4),
        message("u1", "t2", "n3", "five", 5),
    };
    struct mc_error err = {0};
    for (size_t i = 0; i < mc_countof(items); i++)
        items[i].new_id = true;
    is_status(store->ops->put(store, items, 5, &err), MC_OK, &err, "a batch of new ids");
    for (size_t i = 0; i < mc_countof(items); i++) {
        ok(items[i].created, "message %zu is stored", i);
        ok(i == 0 || items[i].record->row > items[i - 1].record->row, "behind the one before");
    }
    put_records_fini(items, 5);
    is_str(recent_ids(store, "u1", "t1", NULL, 10, &everything), "n7 n9", "each where it belongs");

    struct mc_put others[3] = {
        message("u1", "t1", "n9", "one", 1),
        message("u1", "t1", "n8", "six", 6),
        message("u1", "t1", "n5", "two", 2),
    };
    for (size_t i = 0; i < mc_countof(others); i++)
        others[i].new_id = true;
    is_status(store->ops->put(store, others, 3, &err), MC_OK, &err, "ids that are not new");
    ok(others[0].status == MC_OK && !others[0].created, "one is a repeat");
    ok(others[1].created, "one is new");
    is_int(others[2].status, MC_CONFLICT, "one is a conflict");
    is_str(others[2].differs, "user_id", "of another user");
    put_records_fini(others, 3);
    is_str(recent_ids(store, "u1", "t1", NULL, 10, &everything), "n8 n7 n9", "one was added");
    is_int(scratch_queue(store).ready, 6, "and one job");
}

static inline void order_in_thread(struct mc_store *store)
{
    store_one(store, message("u", "t", "m10", "x", 10));
    store_one(store, message("u", "t", "m30", "x", 30));
    store_one(store, message("u", "t", "m20", "x", 20));  /* back-dated */
    store_one(store, message("u", "t", "m20b", "x", 20)); /* same time: order of arrival */
    store_one(store, message("u", "other", "o", "x", 25));
    store_one(store, message("u2", "t", "n", "x", 25));
    is_str(recent_ids(store, "u", "t", NULL, 10, &everything), "m30 m20b m20 m10",
           "newest first by time, then arrival");
    is_str(recent_ids(store, "u", "t", NULL, 2, &everything), "m30 m20b", "up to the limit");
    is_str(recent_ids(store, "u", "t", "m20b", 10, &everything), "m20 m10", "before a message");
    is_str(recent_ids(store, "u", "t", "m10", 10, &everything), "", "before the oldest");
    is_str(recent_ids(store, "u", "t", "o", 10, &everything), "NOT_FOUND",
           "before a message of another thread");
    is_str(recent_ids(store, "u", "t", "n", 10, &everything), "NOT_FOUND",
           "before a message of another user");
    is_str(recent_ids(store, "u", "none", NULL, 10, &everything), "", "an unknown thread is empty");
    is_str(recent_ids(store, "none", "t", NULL, 10, &everything), "", "an unknown user too");
}

/* The ids of the turns next to a row, in the thread's order. */
static inline const char *turn_ids(struct mc_store *store, int64_t row,
                                   const struct mc_reader *reader)
{
    struct mc_turns turns;
    struct mc_error err = {0};
    enum mc_status status = store->ops->turns(store, &row, 1, reader, &turns, &err);
    if (status)
        return mc_status_name(status);
    int64_t rows[2 * MC_TURNS];
    size_t count = 0;
    for (size_t i = MC_TURNS; i > 0; i--) {
        if (turns.before[i - 1])
            rows[count++] = turns.before[i - 1];
    }
    for (size_t i = 0; i < MC_TURNS; i++) {
        if (turns.after[i])
            rows[count++] = turns.after[i];
    }
    mc_auto(mc_records_fini) struct mc_records found = {0};
    status = store->ops->rows(store, rows, count, &everything, &found, &err);
    return status ? mc_status_name(status) : ids_of(&found);
}

static inline void turns_and_rows(struct mc_store *store)
{
    int64_t rows[5];
    const char *ids[] = {"m0", "m1", "m2", "m3", "m4"};
    for (int i = 0; i < 5; i++)
        rows[i] = store_one(store, message("u", "t", ids[i], "x", i));
    store_one(store, message("u", "t2", "other", "x", 2));
    is_str(turn_ids(store, rows[2], &everything), "m0 m1 m3 m4", "two on each side");
    is_str(turn_ids(store, rows[1], &everything), "m0 m2 m3", "the nearest ones");
    is_str(turn_ids(store, rows[0], &everything), "m1 m2", "nothing before the first");
    is_str(turn_ids(store, rows[4], &everything), "m2 m3", "nothing behind the last");
    is_str(turn_ids(store, 999999, &everything), "", "a row that is gone has none");
    struct mc_turns turns[3];
    struct mc_error failed = {0};
    const int64_t several[] = {rows[4], 999999, rows[0]};
    is_status(store->ops->turns(store, several, 3, &everything, turns, &failed), MC_OK, &failed,
              "turns of several rows");
    ok(turns[0].before[0] == rows[3] && turns[0].before[1] == rows[2] && turns[0].after[0] == 0,
       "of the first, the nearest first");
    ok(turns[1].before[0] == 0 && turns[1].after[0] == 0, "of a row that is gone none");
    ok(turns[2].before[0] == 0 && turns[2].after[0] == rows[1] && turns[2].after[1] == rows[2],
       "of the last");

    int64_t asked[] = {rows[3], 999999, rows[0], rows[3]};
    mc_auto(mc_records_fini) struct mc_records found = {0};
    struct mc_error err = {0};
    is_status(store->ops->rows(store, asked, 4, &everything, &found, &err), MC_OK, &err, "rows");
    is_str(ids_of(&found), "m3 m0 m3", "rows come as asked, without those that are gone");
}

#define LINE 240 /* messages */

/* The same of each row, whether it is asked for alone or with others near and far from it. */
static inline void check_turns_together(struct mc_store *store, const int64_t *rows, size_t count,
                                        const struct mc_reader *reader, const char *who)
{
    struct mc_turns together[LINE], alone;
    struct mc_error err = {0};
    size_t same = 0, with_turns = 0;
    is_status(store->ops->turns(store, rows, count, reader, together, &err), MC_OK, &err, "%s",
              who);
    for (size_t i = 0; i < count; i++) {
        if (store->ops->turns(store, &rows[i], 1, reader, &alone, &err))
            break;
        same += memcmp(&alone, &together[i], sizeof(alone)) == 0;
        with_turns += alone.before[0] != 0 && alone.after[1] != 0;
    }
    is_int(same, count, "%s: the turns of each are those that it has alone", who);
    ok(with_turns > count / 2, "%s: most have some", who);
}

static inline void turns_of_many(struct mc_store *store)
{
    int64_t rows[LINE], asked[LINE];
    size_t count = 0;
    for (int i = 0; i < LINE; i++) {
        char id[16];
        snprintf(id, sizeof(id), "m%d", i);
        struct mc_put put =
            agent_message("u", i % 8 ? "long" : "short", id, "x", i % 5 == 1 ? "a" : "b",
                          i % 5 == 1 ? MC_VISIBILITY_PRIVATE : MC_VISIBILITY_PUBLIC);
        put.message.created_at_us += i / 3 * SECOND; /* three at once */
        rows[i] = store_one(store, put);
    }
    for (int i = 0; i < LINE; i++) {
        int mixed = i * 37 % LINE;
        if (mixed < LINE / 3 || mixed % 41 == 0) /* some side by side, some far apart */
            asked[count++] = rows[mixed];
    }
    const struct mc_reader b = {.agent_id = MC_STR("b"), .read_public = true};
    check_turns_together(store, asked, count, &everything, "one who sees everything");
    check_turns_together(store, asked, count, &b, "another");
    struct mc_error err = {0};
    is_status(store->ops->turns(store, asked, 0, &everything, NULL, &err), MC_OK, &err,
              "turns of no row");
}

static inline void thread_versions(struct mc_store *store)
{
    struct mc_thread_state state = {.exists = true};
    struct mc_error err = {0};
    is_status(store->ops->thread(store, MC_STR("u"), MC_STR("t"), &state, &err), MC_OK, &err,
              "an unknown thread");
    ok(!state.exists && state.version == 0 && state.messages == 0, "does not exist");
    struct mc_put put = message("u", "t", "m1", "x", 0);
    int64_t row = scratch_store_put(store, &put);
    is_status(store->ops->thread(store, MC_STR("u"), MC_STR("t"), &state, &err), MC_OK, &err,
              "a thread");
    ok(state.exists && state.messages == 1, "exists with one message");
    is_int(state.version, put.thread_version, "in the version that put told");
    int64_t version = state.version;
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    claim_into(store, "w", MC_STAGE_FIRST, due_time(), 1, &jobs);
    complete_row(store, "w", row, "x", 0);
    is_status(store->ops->thread(store, MC_STR("u"), MC_STR("t"), &state, &err), MC_OK, &err,
              "after enrichment");
    is_int(state.version, version + 1, "the version is one higher");

    struct mc_record *removed = NULL;
    int64_t after = 0;
    is_status(store->ops->remove(store, MC_STR("m1"), &everything, &removed, &after, &err), MC_OK,
              &err, "remove");
    is_int(after, version + 2, "removal is a change");
    is_text(removed->m.message_id, "m1", "the removed message comes back");
    mc_record_unref(removed);
    is_status(store->ops->remove(store, MC_STR("m1"), &everything, &removed, &after, &err),
              MC_NOT_FOUND, &err, "it cannot be removed twice");
    is_status(store->ops->thread(store, MC_STR("u"), MC_STR("t"), &state, &err), MC_OK, &err,
              "after removal");
    is_int(state.messages, 0, "no message is left");
}

static inline void rows_not_reused(struct mc_store *store)
{
    struct mc_error err = {0};
    int64_t first = store_one(store, message("u", "t", "m1", "x", 0));
    struct mc_record *removed = NULL;
    int64_t version;
    is_status(store->ops->remove(store, MC_STR("m1"), &everything, &removed, &version, &err), MC_OK,
              &err, "remove the newest");
    mc_record_unref(removed);
    int64_t second = store_one(store, message("u", "t", "m2", "x", 0));
    ok(second > first, "its row is not used again");
    is_int(scratch_queue(store).ready, 1, "its job is gone too");
}

static inline void access_rule(struct mc_store *store)
{
    mc_str red[] = {MC_STR("red")}, blue[] = {MC_STR("blue"), MC_STR("green")};
    struct mc_put items[6] = {
        agent_message("u", "t", "none", "cat", "", MC_VISIBILITY_PRIVATE),
        agent_message("u", "t", "a-private", "cat", "a", MC_VISIBILITY_PRIVATE),
        agent_message("u", "t", "b-private", "cat", "b", MC_VISIBILITY_PRIVATE),
        agent_message("u", "t", "b-shared", "cat", "b", MC_VISIBILITY_SHARED),
        agent_message("u", "t", "b-public", "cat", "b", MC_VISIBILITY_PUBLIC),
        agent_message("u", "t", "c-ungrouped", "cat", "c", MC_VISIBILITY_SHARED),
    };
    items[3].message.sharing_groups = blue;
    items[3].message.sharing_group_count = 2;
    int64_t rows[6];
    for (int i = 0; i < 6; i++)
        rows[i] = store_one(store, items[i]);
    mc_str only_b[] = {MC_STR("b")};
    const struct {
        const char *what, *sees;
        struct mc_reader reader;
    } cases[] = {
        {"everything", "c-ungrouped b-public b-shared b-private a-private none", everything},
        {"anonymous", "none", anonymous},
        {"anonymous with public", "b-public none", {.read_public = true}},
        {"agent a alone", "a-private", {.agent_id = MC_STR("a")}},
        {"a with public", "b-public a-private", {.agent_id = MC_STR("a"), .read_public = true}},
        {"a in blue",
         "b-shared a-private",
         {.agent_id = MC_STR("a"), .read_shared = true, .groups = blue, .group_count = 1}},
        {"a in red",
         "a-private",
         {.agent_id = MC_STR("a"), .read_shared = true, .groups = red, .group_count = 1}},
        {"a in blue without sharing",
         "a-private",
         {.agent_id = MC_STR("a"), .groups = blue, .group_count = 1}},
        {"a in no group", "a-private", {.agent_id = MC_STR("a"), .read_shared = true}},
        {"a with all shared",
         "c-ungrouped b-shared a-private",
         {.agent_id = MC_STR("a"), .read_any_shared = true}},
        {"agent b", "b-public b-shared b-private", {.agent_id = MC_STR("b")}},
        {"everything of b",
         "b-public b-shared b-private",
         {.everything = true, .only_agents = only_b, .only_agent_count = 1}},
        {"a, only of b, public",
         "b-public",
         {.agent_id = MC_STR("a"),
          .read_public = true,
          .only_agents = only_b,
          .only_agent_count = 1}},
        {"an id that is SQL", "", {.agent_id = MC_STR("' OR 1=1 --")}},
    };
    mc_str cat[] = {MC_STR("cat")};
    for (int indexed = 0; indexed < 2; indexed++) {
        for (size_t i = 0; i < mc_countof(cases); i++) {
            const struct mc_reader *reader = &cases[i].reader;
            const char *sees = cases[i].sees;
            is_str(recent_ids(store, "u", "t", NULL, 10, reader), sees, "recent: %s",
                   cases[i].what);
            struct mc_match_query query = query_of("u", cat, 1);
            query.reader = reader;
            is_str(match_ids(store, &query), sees, "match: %s", cases[i].what);
            query.reader = &everything; /* the rows of all, shown to the reader */
            mc_auto(mc_records_fini) struct mc_records found = {0};
            struct mc_error err = {0};
            int64_t newest_first[6] = {rows[5], rows[4], rows[3], rows[2], rows[1], rows[0]};
            is_status(store->ops->rows(store, newest_first, 6, reader, &found, &err), MC_OK, &err,
                      "rows");
            is_str(ids_of(&found), sees, "rows: %s", cases[i].what);
            for (int j = 0; j < 6; j++) {
                struct mc_record *record = NULL;
                char id[32];
                snprintf(id, sizeof(id), "%.*s", MC_STR_ARG(items[j].message.message_id));
                bool may = mc_reader_allows(reader, &items[j].message);
                is_status(store->ops->get(store, mc_str_of(id), reader, &record, &err),
                          may ? MC_OK : MC_NOT_FOUND, &err, "get %s: %s", id, cases[i].what);
                mc_record_unref(record);
                if (!may)
                    is_str(turn_ids(store, rows[j], reader), "",
                           "turns next to %s, which is closed: %s", id, cases[i].what);
                const char *before = recent_ids(store, "u", "t", id, 10, reader);
                is_int(strcmp(before, "NOT_FOUND") == 0, !may, "before %s: %s", id, cases[i].what);
            }
        }
        if (!indexed)
            index_all(store);
    }
    /* A neighbour that is closed is left out. */
    const struct mc_reader a = {.agent_id = MC_STR("a"), .read_public = true};
    is_str(turn_ids(store, rows[1], &a), "b-public", "closed neighbours are left out");
    struct mc_error err = {0};
    struct mc_record *removed = NULL;
    int64_t version;
    is_status(store->ops->remove(store, MC_STR("b-private"), &a, &removed, &version, &err),
              MC_NOT_FOUND, &err, "a message that is closed cannot be removed");
    ok(removed == NULL, "nor seen by trying");
}

static inline bool count_record(void *context, struct mc_record *record)
{
    ++*(size_t *)context;
    return record->row > 0;
}

/* ---- Bounded reads ---- */

#define LONG_COUNT 40
#define LONG_BYTES 200000 /* all of them are several pages */

/* A thread of long messages l0, l1, ... and their rows. */
static inline void fill_long(struct mc_store *store, int64_t rows[LONG_COUNT])
{
    static char text[LONG_BYTES + 1];
    memset(text, 'x', LONG_BYTES);
    for (int i = 0; i < LONG_COUNT; i++) {
        char id[16];
        snprintf(id, sizeof(id), "l%d", i);
        rows[i] = store_one(store, message("u", "long", id, text, i));
    }
}

/* Whether the records are l<from>, and then the next smaller numbers. */
static inline bool are_long(const struct mc_records *records, int from)
{
    for (size_t i = 0; i < records->count; i++) {
        char id[16];
        snprintf(id, sizeof(id), "l%d", from - (int)i);
        if (!mc_str_equal(records->items[i]->m.message_id, mc_str_of(id)))
            return false;
    }
    return true;
}

static inline void read_long(struct mc_store *store, const struct mc_reader *reader,
                             const int64_t rows[LONG_COUNT])
{
    struct mc_error err = {0};
    struct mc_load load = {.memory = NULL};
    struct mc_reader bounded = *reader;
    bounded.load = &load;
    struct mc_recent_read read = {
        .user_id = MC_STR("u"), .thread_id = MC_STR("long"), .limit = 1000, .reader = &bounded};
    mc_auto(mc_records_fini) struct mc_records found = {0};
    mc_load_begin(&load, 5 * LONG_BYTES + LONG_BYTES / 2);
    is_status(store->ops->recent(store, &read, &found, &err), MC_OK, &err, "a few fit");
    ok(found.count == 5 && are_long(&found, LONG_COUNT - 1), "the newest five (%zu)", found.count);
    ok(load.full && load.held_bytes > 5 * LONG_BYTES, "and it says that there are more");
    mc_records_fini(&found);

    mc_load_begin(&load, 30 * LONG_BYTES);
    read.before = MC_STR("l30");
    is_status(store->ops->recent(store, &read, &found, &err), MC_OK, &err, "thirty and more");
    ok(found.count == 29 && are_long(&found, 29), "29 of those before one (%zu)", found.count);
    ok(load.full, "fit");
    mc_records_fini(&found);

    load = (struct mc_load){.memory = NULL};
    mc_load_begin(&load, MC_READ_BYTES_MAX);
    read.limit = LONG_COUNT - 1;
    read.before = MC_STR_NONE;
    is_status(store->ops->recent(store, &read, &found, &err), MC_OK, &err, "all fit");
    ok(found.count == LONG_COUNT - 1 && are_long(&found, LONG_COUNT - 1), "as many as asked for");
    ok(!load.full, "and no more was wanted");
    mc_records_fini(&found);

    int64_t newest_first[LONG_COUNT + 1];
    for (int i = 0; i < LONG_COUNT; i++)
        newest_first[i] = rows[LONG_COUNT - 1 - i];
    newest_first[LONG_COUNT] = rows[0];
    load = (struct mc_load){.memory = NULL};
    mc_load_begin(&load, 25 * LONG_BYTES);
    is_status(store->ops->rows(store, newest_first, LONG_COUNT, &bounded, &found, &err), MC_OK,
              &err, "rows");
    ok(found.count == 24 && are_long(&found, LONG_COUNT - 1), "the newest that fit (%zu)",
       found.count);
    ok(load.full, "and it says so");
    mc_records_fini(&found);
    load = (struct mc_load){.memory = NULL};
    mc_load_begin(&load, MC_READ_BYTES_MAX);
    is_status(store->ops->rows(store, rows, LONG_COUNT, &bounded, &found, &err), MC_OK, &err,
              "rows that all fit");
    ok(found.count == LONG_COUNT && found.items[0]->row == rows[0] &&
           found.items[LONG_COUNT - 1]->row == rows[LONG_COUNT - 1] && !load.full,
       "all, in the order asked for");
}

struct lender {
    size_t left, asked;
};

static inline bool lend(void *context, size_t bytes)
{
    struct lender *lender = context;
    lender->asked++;
    if (bytes > lender->left)
        return false;
    lender->left -= bytes;
    return true;
}

static inline void bounded_reads(struct mc_store *store)
{
    int64_t rows[LONG_COUNT];
    fill_long(store, rows);
    read_long(store, &everything, rows);
    read_long(store, &anonymous, rows); /* sees them all, by a condition */

    struct mc_error err = {0};
    struct mc_thread_state state;
    struct lender lender = {.left = (size_t)2 << 20};
    const struct mc_memory memory = {lend, &lender};
    struct mc_load load = {.memory = &memory};
    struct mc_reader bounded = {.everything = true, .load = &load};
    struct mc_recent_read read = {.user_id = MC_STR("u"),
                                  .thread_id = MC_STR("long"),
                                  .limit = LONG_COUNT,
                                  .reader = &bounded};
    mc_auto(mc_records_fini) struct mc_records found = {0};
    mc_load_begin(&load, MC_READ_BYTES_MAX);
    is_status(store->ops->recent(store, &read, &found, &err), MC_OK, &err, "memory is refused");
    ok(load.refused && load.full, "as is told");
    ok(found.count >= 10 && found.count <= 15, "after what was granted (%zu)", found.count);
    ok(lender.asked >= 2 && lender.asked <= 4, "it is asked for by the MiB");
    mc_records_fini(&found);

    load = (struct mc_load){.memory = NULL};
    mc_load_begin(&load, MC_READ_PAGE_BYTES);
    read.state = &state;
    is_status(store->ops->recent(store, &read, &found, &err), MC_OK, &err, "with the state");
    ok(load.full && state.messages == LONG_COUNT, "a page is cut");
    ok(found.count == MC_READ_PAGE_BYTES / LONG_BYTES, "to what fits (%zu)", found.count);
    mc_records_fini(&found);

    load = (struct mc_load){.memory = NULL};
    mc_load_begin(&load, MC_READ_BYTES_MAX);
    is_status(
        store->ops->export_user(store, MC_STR("u"), &everything, count_record, &read.limit, &err),
        MC_OK, &err, "export");
    is_int((int)read.limit, 2 * LONG_COUNT, "has all of them");
}

#define STORE_MESSAGE_CASES                                                                        \
    {"put and get", put_and_get}, {"odd names of groups", put_odd_groups},                         \
        {"the longest message", put_long}, {"repeats", put_repeat}, {"batches", put_batch},        \
        {"new ids", put_new_ids}, {"order in a thread", order_in_thread},                          \
        {"bounded reads", bounded_reads}, {"turns and rows", turns_and_rows},                      \
        {"turns of many", turns_of_many}, {"versions of a thread", thread_versions},               \
        {"rows are not used again", rows_not_reused}, {"the access rule", access_rule},
