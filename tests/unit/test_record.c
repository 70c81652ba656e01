/* Records: one block, reference counts, the encoded form and what damage to it does, lists. */
#include "tap.h"

#include <float.h>
#include <pthread.h>

#include "base/compiler.h"
#include "base/str.h"
#include "message/record.h"

static const mc_str GROUPS[] = {{"sales", 5}, {"night-shift", 11}};

static struct mc_message sample(void)
{
    return (struct mc_message){
        .message_id = MC_STR("msg_1"),
        .user_id = MC_STR("u:1"),
        .thread_id = MC_STR("t.1"),
        .session_id = MC_STR("s@1"),
        .agent_id = MC_STR("planner"),
        .text = MC_STR("Grüße \"quoted\"\nsecond line"),
        .metadata = MC_STR("{\"topics\":[\"orders\"]}"),
        .sharing_groups = GROUPS,
        .sharing_group_count = 2,
        .created_at_us = INT64_C(1767225600123456),
        .importance = 0.1 + 0.2,
        .role = MC_ROLE_TOOL,
        .visibility = MC_VISIBILITY_SHARED,
        .tier = MC_TIER_ARCHIVE,
        .enrichment_state = MC_ENRICHMENT_FAILED,
    };
}

static struct mc_record *make(const struct mc_message *m, int64_t row, mc_str terms)
{
    struct mc_record *record = NULL;
    struct mc_error err = {0};
    if (mc_record_new(m, row, terms, &record, &err))
        bail_out("a record was not made: %s", err.message);
    return record;
}

static void same_as_sample(const struct mc_record *record, const char *what)
{
    const struct mc_message *m = &record->m;
    is_text(m->message_id, "msg_1", "%s: message_id", what);
    is_text(m->user_id, "u:1", "%s: user_id", what);
    is_text(m->thread_id, "t.1", "%s: thread_id", what);
    is_text(m->session_id, "s@1", "%s: session_id", what);
    is_text(m->agent_id, "planner", "%s: agent_id", what);
    is_text(m->text, "Grüße \"quoted\"\nsecond line", "%s: text", what);
    is_text(m->metadata, "{\"topics\":[\"orders\"]}", "%s: metadata", what);
    is_text(record->terms, "order grüß", "%s: terms", what);
    is_int(m->sharing_group_count, 2, "%s: groups", what);
    is_text(m->sharing_groups[0], "sales", "%s: first group", what);
    is_text(m->sharing_groups[1], "night-shift", "%s: second group", what);
    is_int(m->created_at_us, INT64_C(1767225600123456), "%s: time", what);
    is_double(m->importance, 0.1 + 0.2, 0, "%s: importance to the last bit", what);
    is_int(m->role, MC_ROLE_TOOL, "%s: role", what);
    is_int(m->visibility, MC_VISIBILITY_SHARED, "%s: visibility", what);
    is_int(m->tier, MC_TIER_ARCHIVE, "%s: tier", what);
    is_int(m->enrichment_state, MC_ENRICHMENT_FAILED, "%s: state", what);
    is_int(record->row, 77, "%s: row", what);
}

static void test_new(void)
{
    char text[] = "borrowed";
    struct mc_message m = sample();
    struct mc_record *record = make(&m, 77, MC_STR("order grüß"));
    same_as_sample(record, "made");
    is_int(record->m.text.data[record->m.text.len], 0, "strings are NUL-terminated");
    ok(mc_record_of(&record->m) == record, "the record is found from its public face");
    mc_record_unref(record);

    m = (struct mc_message){.message_id = MC_STR("a"), .text = mc_str_of(text)};
    record = make(&m, 1, MC_STR_NONE);
    memset(text, 'x', sizeof(text) - 1);
    is_text(record->m.text, "borrowed", "the record has its own copy");
    is_text(record->m.metadata, "{}", "empty metadata becomes an empty object");
    is_int(record->terms.len, 0, "absent terms are empty");
    ok(record->m.agent_id.data != NULL, "an absent string becomes an empty one");
    ok(record->m.sharing_groups == NULL && record->m.sharing_group_count == 0, "no groups");
    ok(record->size_bytes >= sizeof(struct mc_record) + strlen("a") + strlen("borrowed"),
       "its size counts the strings: %u", (unsigned)record->size_bytes);
    mc_record_unref(record);
    mc_record_unref(NULL);
}

static void test_refs(void)
{
    struct mc_message m = sample();
    struct mc_record *record = make(&m, 1, MC_STR_NONE);
    ok(mc_record_ref(record) == record, "a reference is the record");
    is_int(atomic_load(&record->refs), 2, "two references");
    mc_record_unref(record);
    is_int(atomic_load(&record->refs), 1, "one is left");
    mc_record_unref(record);
}

static void *share(void *context)
{
    struct mc_record *record = context;
    size_t bytes = 0;
    for (int i = 0; i < 20000; i++) {
        struct mc_record *mine = mc_record_ref(record);
        bytes += mine->m.text.len;
        mc_record_unref(mine);
    }
    mc_record_unref(record);
    return (void *)bytes;
}

static void test_threads(void)
{
    struct mc_message m = sample();
    struct mc_record *record = make(&m, 1, MC_STR_NONE);
    pthread_t threads[4];
    size_t expected = 20000 * record->m.text.len;
    for (size_t i = 0; i < mc_countof(threads); i++) {
        if (pthread_create(&threads[i], NULL, share, mc_record_ref(record)))
            bail_out("no thread");
    }
    bool all = true;
    for (size_t i = 0; i < mc_countof(threads); i++) {
        void *bytes;
        pthread_join(threads[i], &bytes);
        all = all && (size_t)bytes == expected;
    }
    ok(all, "threads share a record");
    is_int(atomic_load(&record->refs), 1, "and leave one reference");
    mc_record_unref(record);
}

static void test_encode(void)
{
    struct mc_message m = sample();
    struct mc_record *record = make(&m, 77, MC_STR("order grüß"));
    mc_auto(mc_buf_fini) struct mc_buf bytes;
    mc_buf_init(&bytes, 1 << 20);
    mc_record_encode(record, &bytes);
    struct mc_record *back = NULL;
    struct mc_error err = {0};
    is_status(mc_record_decode(mc_buf_str(&bytes), &back, &err), MC_OK, &err, "decoded");
    if (back)
        same_as_sample(back, "decoded");
    mc_record_unref(back);

    /* Every truncation is noticed, whichever part it cuts. */
    int accepted = 0;
    for (size_t len = 0; len < bytes.len; len++) {
        back = NULL;
        if (mc_record_decode((mc_str){bytes.data, len}, &back, NULL) != MC_CORRUPT || back)
            accepted++;
        mc_record_unref(back);
    }
    is_int(accepted, 0, "each of %zu truncations is damage", bytes.len);

    mc_buf_char(&bytes, 'x');
    is_status(mc_record_decode(mc_buf_str(&bytes), &back, &err), MC_CORRUPT, &err,
              "a byte too many is damage");
    ok(strlen(err.message) > 0, "and says so: %s", err.message);
    mc_record_unref(record);
}

/* Flipping any byte either is noticed or gives a record that can be read; it never reads outside. */
static void test_damage(void)
{
    struct mc_message m = sample();
    struct mc_record *record = make(&m, 77, MC_STR("order"));
    mc_auto(mc_buf_fini) struct mc_buf bytes;
    mc_buf_init(&bytes, 1 << 20);
    mc_record_encode(record, &bytes);
    int refused = 0, odd = 0;
    for (size_t at = 0; at < bytes.len; at++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes.data[at] = (char)(bytes.data[at] ^ (1 << bit));
            struct mc_record *back = NULL;
            enum mc_status status = mc_record_decode(mc_buf_str(&bytes), &back, NULL);
            if (status == MC_CORRUPT)
                refused++;
            else if (status || back->m.role >= MC_ROLE_COUNT || back->m.tier >= MC_TIER_COUNT)
                odd++;
            mc_record_unref(back);
            bytes.data[at] = (char)(bytes.data[at] ^ (1 << bit));
        }
    }
    is_int(odd, 0, "no flipped bit gives a value outside its enumeration");
    ok(refused >= 8 * 4 * 9, "flips in the header's lengths are refused (%d)", refused);
    mc_record_unref(record);
}

static void test_records(void)
{
    struct mc_records records = {0};
    struct mc_message m = sample();
    for (int i = 0; i < 100; i++) {
        if (!mc_records_push(&records, make(&m, i, MC_STR_NONE)))
            bail_out("out of memory");
    }
    is_int(records.count, 100, "a hundred records");
    mc_records_reverse(&records);
    is_int(records.items[0]->row, 99, "reversed: the last is first");
    is_int(records.items[99]->row, 0, "reversed: the first is last");
    struct mc_record *kept = mc_record_ref(records.items[5]);
    struct mc_message_list *list = NULL;
    struct mc_error err = {0};
    is_status(mc_records_to_list(&records, &list, &err), MC_OK, &err, "made a list");
    is_int(records.count, 0, "which took over the references");
    is_int(list->count, 100, "a hundred messages");
    ok(list->items[5] == &kept->m, "without copying");
    mc_message_list_free(list);
    is_int(atomic_load(&kept->refs), 1, "the list gave its reference back");
    mc_record_unref(kept);
    mc_message_list_free(NULL);

    struct mc_records none = {0};
    list = NULL;
    is_status(mc_records_to_list(&none, &list, &err), MC_OK, &err, "an empty list is a list");
    is_int(list ? list->count : 99, 0, "of nothing");
    mc_message_list_free(list);
    mc_records_reverse(&none);
    mc_records_fini(&none);
}

int main(void)
{
    test_new();
    test_refs();
    test_threads();
    test_encode();
    test_damage();
    test_records();
    return done_testing();
}
