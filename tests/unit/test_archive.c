/* Packing messages with trained dictionaries; what a dictionary holds. */
#include "tap.h"

#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "base/str.h"
#include "base/time.h"
#include "store/archive.h"

#define METADATA MC_STR("{\"topics\":[\"orders\"],\"intent\":\"request\"}")

/* Each user says what all say, what a few say, and what it alone says, fifty times. */
static void learn(struct mc_samples *samples, int users)
{
    bool full = false;
    for (int i = 0; i < 50 * users; i++) {
        char user[16], text[256];
        snprintf(user, sizeof(user), "u%d", i % users);
        snprintf(text, sizeof(text),
                 "the parcel has not arrived since monday and i am waiting %s number %d, my secret "
                 "is called hippopotamus%d and lives alone",
                 i % users < 2 ? "beside the duckbilled platypus of rome" : "at home", i,
                 i % users);
        if (!mc_samples_add(samples, mc_str_of(user), METADATA, mc_str_of(text), &full))
            bail_out("out of memory");
    }
    ok(!full, "there is room for more");
}

static bool holds(const struct mc_buf *bytes, const char *word)
{
    return memmem(bytes->data, bytes->len, word, strlen(word)) != NULL;
}

static void train(int users, int64_t number, struct mc_buf *bytes)
{
    mc_auto(mc_samples_fini) struct mc_samples samples = {0};
    struct mc_error err = {0};
    mc_buf_init(bytes, 1U << 20);
    learn(&samples, users);
    is_status(mc_archive_train(&samples, number, bytes, &err), MC_OK, &err, "training");
}

static void what_a_dictionary_holds(void)
{
    mc_auto(mc_buf_fini) struct mc_buf bytes;
    train(6, 1, &bytes);
    ok(holds(&bytes, "arrived since monday"), "what many users say");
    ok(!holds(&bytes, "hippopotamus"), "not what each says alone, however often");
    ok(!holds(&bytes, "duckbilled"), "not what two of them say");
    ok(holds(&bytes, "\"enrichment_failed\":false"), "the form of metadata");
    mc_auto(mc_buf_fini) struct mc_buf alone;
    train(2, 1, &alone);
    ok(!holds(&alone, "monday"), "of two users alone: nothing that they say");
    ok(holds(&alone, "\"key_phrases\":["), "but the form of metadata");
}

static void few_samples(void)
{
    mc_auto(mc_samples_fini) struct mc_samples samples = {0};
    mc_auto(mc_buf_fini) struct mc_buf bytes;
    struct mc_error err = {0};
    bool full;
    mc_buf_init(&bytes, 1U << 20);
    for (int i = 0; i < MC_ARCHIVE_SAMPLES_MIN - 1; i++)
        if (!mc_samples_add(&samples, MC_STR("u"), METADATA, MC_STR("text"), &full))
            bail_out("out of memory");
    is_status(mc_archive_train(&samples, 1, &bytes, &err), MC_INVALID, &err, "too few samples");
    is_int((int)bytes.len, 0, "make nothing");
    static const struct {
        size_t newest;
        int64_t age_us;
        size_t samples;
        bool trains;
    } rows[] = {
        {0, 0, 63, false},
        {0, 0, 64, true},
        {64, 0, 255, false},
        {64, 0, 256, true},
        {4000, 89 * MC_US_PER_DAY, 4000, false},
        {4000, 91 * MC_US_PER_DAY, 4000, true},
        {4000, 91 * MC_US_PER_DAY, 100, false},
    };
    for (size_t i = 0; i < mc_countof(rows); i++)
        ok(mc_archive_should_train(rows[i].newest, rows[i].age_us, rows[i].samples) ==
               rows[i].trains,
           "%zu samples after %zu: %s", rows[i].samples, rows[i].newest,
           rows[i].trains ? "trains" : "does not");
}

static void pack_and_unpack(void)
{
    mc_auto(mc_buf_fini) struct mc_buf first, second, frame, other;
    struct mc_archive *archive = NULL, *stranger = NULL;
    struct mc_error err = {0};
    int64_t missing;
    const mc_str text = MC_STR("the parcel has not arrived since monday and i am waiting \xC3\xBC");
    train(6, 1, &first);
    train(5, 2, &second);
    mc_buf_init(&frame, 1U << 20);
    mc_buf_init(&other, 1U << 20);
    if (mc_archive_new(&archive, &err) || mc_archive_new(&stranger, &err))
        bail_out("out of memory");
    is_status(mc_archive_pack(archive, METADATA, text, &frame, &err), MC_INTERNAL, &err,
              "without a dictionary");
    is_status(mc_archive_add(archive, 2, mc_buf_str(&first), &err), MC_CORRUPT, &err,
              "a dictionary under another's number");
    is_status(mc_archive_add(archive, 1, MC_STR("nonsense"), &err), MC_CORRUPT, &err, "nonsense");
    is_status(mc_archive_add(archive, 1, mc_buf_str(&first), &err), MC_OK, &err, "the first");
    is_status(mc_archive_pack(archive, METADATA, text, &frame, &err), MC_OK, &err, "packed");
    ok(frame.len * 2 < METADATA.len + text.len, "%zu bytes to %zu", METADATA.len + text.len,
       frame.len);
    is_status(mc_archive_add(archive, 2, mc_buf_str(&second), &err), MC_OK, &err, "the second");
    is_int((int)mc_archive_newest(archive), 2, "is the newest");
    is_status(mc_archive_pack(archive, METADATA, text, &other, &err), MC_OK, &err,
              "packed with it");
    const struct mc_buf *frames[] = {&frame, &other};
    for (size_t i = 0; i < mc_countof(frames); i++) {
        mc_auto(mc_unpacked_fini) struct mc_unpacked unpacked = {.memory = NULL};
        is_status(mc_archive_unpack(archive, mc_buf_str(frames[i]), &unpacked, &missing, &err),
                  MC_OK, &err, "unpacked");
        ok(mc_str_equal(unpacked.text, text) && mc_str_equal(unpacked.metadata, METADATA),
           "as it was");
    }
    struct mc_unpacked none;
    is_status(mc_archive_unpack(stranger, mc_buf_str(&frame), &none, &missing, &err), MC_CORRUPT,
              &err, "who does not know the dictionary");
    is_int((int)missing, 1, "is told which");
    int wrong = 0;
    for (size_t i = 0; i < frame.len * 8; i++) {
        mc_auto(mc_unpacked_fini) struct mc_unpacked unpacked = {.memory = NULL};
        frame.data[i / 8] = (char)(frame.data[i / 8] ^ 1 << i % 8);
        if (mc_archive_unpack(archive, mc_buf_str(&frame), &unpacked, &missing, &err) == MC_OK)
            wrong += !mc_str_equal(unpacked.text, text);
        frame.data[i / 8] = (char)(frame.data[i / 8] ^ 1 << i % 8);
    }
    is_int(wrong, 0, "no damaged bit goes unnoticed");
    for (size_t len = 0; len < frame.len; len++)
        wrong += mc_archive_unpack(archive, (mc_str){frame.data, len}, &none, &missing, &err) !=
                 MC_CORRUPT;
    is_int(wrong, 0, "nor is one that was cut short taken");
    mc_archive_free(archive);
    mc_archive_free(stranger);
}

int main(void)
{
    what_a_dictionary_holds();
    few_samples();
    pack_and_unpack();
    return done_testing();
}
