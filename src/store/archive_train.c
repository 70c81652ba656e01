/*
 * DESIGN. What users have in common is found by runs of words: a table counts for each run of MC_ARCHIVE_RUN
 * words or signs how many users wrote it. ZDICT trains on the samples without everything else. The form
 * of metadata is put behind what it found, where zstd reaches it most cheaply; the statistics, which hold no
 * words, are made from the samples as they are.
 */
#include "store/archive.h"

#include <stdlib.h>
#include <zdict.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"

#define DICTIONARY_BYTES ((size_t)64 << 10)
#define SAMPLES_BYTES ((size_t)4 << 20)
#define SAMPLE_BYTES ((size_t)16 << 10) /* of one; the rest teaches nothing new */
#define RUNS ((size_t)1 << 20)          /* slots of the table: a power of two */
#define LEVEL 9
#define LANGUAGE_AGES (90 * MC_US_PER_DAY)
#define GROWTH 4

/* The form of metadata as enrichment writes it (message/metadata.h); it helps from the first message on. */
static const char form[] =
    "\",\"tags\":[\"personal\",\"deadline\",\"date\",\"money\",\"contact\",\"question\"],"
    "{\"type\":\"order_id\",\"value\":\"{\"type\":\"email\",\"value\":\"{\"type\":\"phone\","
    "\"value\":"
    "\"{\"type\":\"url\",\"value\":\"{\"type\":\"money\",\"value\":\"{\"type\":\"number\","
    "\"value\":\""
    "{\"type\":\"person\",\"value\":\"{\"type\":\"organization\",\"value\":\"{\"type\":"
    "\"location\","
    "\"value\":\"{\"type\":\"product\",\"value\":\"{\"type\":\"date\",\"value\":\""
    "\"overall\":\"negative\",\"score\":-0.\"overall\":\"positive\",\"score\":0."
    "\"intent\":\"question\"\"intent\":\"request\"\"intent\":\"complaint\"\"intent\":\"feedback\""
    "\"intent\":\"social\"\"categories\":[\"support\"\"method\":\"llm:"
    "{\"topics\":[],\"categories\":[],\"importance\":0.5,\"sentiment\":{\"overall\":\"neutral\","
    "\"score\":0},\"intent\":\"statement\",\"tags\":[],\"entities\":[],\"key_phrases\":[],"
    "\"method\":\"builtin\",\"model\":null,\"confidence\":0.3,\"enrichment_failed\":false,"
    "\"enrichment_error\":null}"
    "{\"topics\":[\"\"],\"categories\":[\"\"],\"importance\":0.6,\"sentiment\":{\"overall\":"
    "\"neutral\","
    "\"score\":0},\"intent\":\"provide_info\",\"tags\":[],\"entities\":[{\"type\":\"\"}],"
    "\"key_phrases\":[\"\",\"\"],\"method\":\"builtin\",\"model\":null,\"confidence\":0.8,"
    "\"enrichment_failed\":false,\"enrichment_error\":null}";

/* ---- Samples ---- */

void mc_samples_fini(struct mc_samples *samples)
{
    free(samples->bytes);
}

bool mc_samples_add(struct mc_samples *samples, mc_str user, mc_str metadata, mc_str text,
                    bool *full)
{
    size_t size = mc_archive_plain_size(metadata, text);
    if (samples->len + size > samples->capacity) {
        size_t capacity = (samples->len + size) * 2;
        char *bytes = realloc(samples->bytes, capacity);
        if (!bytes)
            return false;
        samples->bytes = bytes;
        samples->capacity = capacity;
    }
    mc_archive_plain(metadata, text, samples->bytes + samples->len);
    if (size > SAMPLE_BYTES)
        size = SAMPLE_BYTES;
    samples->len += size;
    samples->sizes[samples->count] = size;
    samples->users[samples->count++] = mc_str_hash(user);
    *full = samples->count == MC_ARCHIVE_SAMPLES_MAX || samples->len >= SAMPLES_BYTES;
    return true;
}

bool mc_archive_should_train(size_t newest_samples, int64_t newest_age_us, size_t samples)
{
    if (samples < MC_ARCHIVE_SAMPLES_MIN)
        return false;
    if (newest_samples == 0 || samples >= newest_samples * GROWTH)
        return true;
    return newest_age_us > LANGUAGE_AGES && samples >= MC_ARCHIVE_SAMPLES_MAX / GROWTH;
}

/* ---- What users have in common ---- */

struct run_slot {
    uint64_t run;      /* hash, 0: free */
    uint32_t users[2]; /* the first two, cut to 32 bits, 0: none */
    bool shared;       /* by a third one as well */
};

struct runs {
    struct run_slot *slots;
    size_t used;
};

/* The slot of a run, or the free one for it; NULL: the table is full, so the run counts as nobody's. */
static struct run_slot *find_run(struct runs *runs, uint64_t run)
{
    for (size_t at = run & (RUNS - 1);; at = (at + 1) & (RUNS - 1)) {
        struct run_slot *slot = &runs->slots[at];
        if (slot->run == run)
            return slot;
        if (slot->run == 0)
            return runs->used < RUNS / 4 * 3 ? slot : NULL;
    }
}

static void count_run(struct runs *runs, uint64_t run, uint64_t user_hash)
{
    uint32_t user = (uint32_t)(user_hash >> 32) | 1;
    struct run_slot *slot = find_run(runs, run);
    if (!slot)
        return;
    runs->used += slot->run == 0;
    slot->run = run;
    for (size_t i = 0; i < mc_countof(slot->users); i++) {
        if (slot->users[i] == 0)
            slot->users[i] = user;
        if (slot->users[i] == user)
            return;
    }
    slot->shared = true;
}

static bool in_word(unsigned char c)
{
    return c >= 0x80 || c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* The words and signs of a sample, seen through a window of MC_ARCHIVE_RUN. */
struct window {
    const char *sample;
    size_t size, at;
    size_t starts[MC_ARCHIVE_RUN]; /* of the last ones; the oldest at count % MC_ARCHIVE_RUN */
    uint64_t hashes[MC_ARCHIVE_RUN];
    size_t count;
};

/* Moves on by one; false at the end. */
static bool next_word(struct window *w)
{
    if (w->at == w->size)
        return false;
    size_t start = w->at++;
    if (in_word((unsigned char)w->sample[start]))
        while (w->at < w->size && in_word((unsigned char)w->sample[w->at]))
            w->at++;
    size_t slot = w->count++ % MC_ARCHIVE_RUN;
    w->starts[slot] = start;
    w->hashes[slot] = mc_str_hash((mc_str){w->sample + start, w->at - start});
    return true;
}

/* The run that ends with the last word, 0 while there are too few. */
static uint64_t window_run(const struct window *w)
{
    uint64_t run = 0;
    for (size_t i = 0; w->count >= MC_ARCHIVE_RUN && i < MC_ARCHIVE_RUN; i++)
        run = (run ^ w->hashes[(w->count + i) % MC_ARCHIVE_RUN]) * 0x9E3779B97F4A7C15ULL;
    return run;
}

static void count_runs(struct runs *runs, const struct mc_samples *samples)
{
    const char *sample = samples->bytes;
    for (size_t i = 0; i < samples->count; i++) {
        struct window w = {.sample = sample, .size = samples->sizes[i]};
        while (next_word(&w)) {
            uint64_t run = window_run(&w);
            if (run != 0)
                count_run(runs, run, samples->users[i]);
        }
        sample += samples->sizes[i];
    }
}

/* Copies what lies in shared runs, and returns its size. */
static size_t copy_shared(struct runs *runs, const char *sample, size_t size, char *out)
{
    struct window w = {.sample = sample, .size = size};
    size_t len = 0, copied = 0; /* up to where the sample was looked at for copying */
    while (next_word(&w)) {
        uint64_t run = window_run(&w);
        const struct run_slot *slot = run != 0 ? find_run(runs, run) : NULL;
        if (!slot || !slot->shared)
            continue;
        size_t start = w.starts[w.count % MC_ARCHIVE_RUN];
        start = start > copied ? start : copied;
        memcpy(out + len, sample + start, w.at - start);
        len += w.at - start;
        copied = w.at;
    }
    return len;
}

/* ---- Training ---- */

/* The most useful parts of what users have in common; 0 bytes when that is too little to learn from. */
static enum mc_status train_shared(const struct mc_samples *samples, char *content, size_t room,
                                   size_t *size, struct mc_error *err)
{
    struct runs runs = {calloc(RUNS, sizeof(struct run_slot)), 0};
    char *shared = malloc(samples->len + 1);
    size_t *sizes = calloc(samples->count + 1, sizeof(*sizes));
    *size = 0;
    bool enough_memory = runs.slots && shared && sizes;
    if (enough_memory) {
        size_t at = 0, len = 0;
        count_runs(&runs, samples);
        for (size_t i = 0; i < samples->count; at += samples->sizes[i++]) {
            sizes[i] = copy_shared(&runs, samples->bytes + at, samples->sizes[i], shared + len);
            len += sizes[i];
        }
        size_t trained =
            ZDICT_trainFromBuffer(content, room, shared, sizes, (unsigned)samples->count);
        size_t header =
            ZDICT_isError(trained) ? trained : ZDICT_getDictHeaderSize(content, trained);
        if (!ZDICT_isError(header)) {
            *size = trained - header;
            memmove(content, content + header, *size);
        }
    }
    free(runs.slots);
    free(shared);
    free(sizes);
    return enough_memory ? MC_OK : mc_fail_memory(err);
}

enum mc_status mc_archive_train(const struct mc_samples *samples, int64_t number,
                                struct mc_buf *bytes, struct mc_error *err)
{
    if (samples->count < MC_ARCHIVE_SAMPLES_MIN)
        return mc_fail(err, MC_INVALID, "a dictionary needs at least %d messages to learn from",
                       MC_ARCHIVE_SAMPLES_MIN);
    if (number < 1 || number > MC_ARCHIVE_NEWEST)
        return mc_fail(err, MC_INVALID, "an archive has at most %d dictionaries",
                       MC_ARCHIVE_NEWEST);
    char *content = malloc(2 * DICTIONARY_BYTES);
    if (!content)
        return mc_fail_memory(err);
    char *made = content + DICTIONARY_BYTES;
    size_t size, form_size = sizeof(form) - 1;
    enum mc_status status =
        train_shared(samples, content, DICTIONARY_BYTES - form_size - 4096, &size, err);
    if (status == MC_OK) {
        memcpy(content + size, form, form_size);
        ZDICT_params_t parameters = {.compressionLevel = LEVEL, .dictID = MC_ARCHIVE_ID(number)};
        size_t len = ZDICT_finalizeDictionary(made, DICTIONARY_BYTES, content, size + form_size,
                                              samples->bytes, samples->sizes,
                                              (unsigned)samples->count, parameters);
        if (ZDICT_isError(len))
            status = mc_fail(err, MC_INVALID, "no dictionary can be made of these messages: %s",
                             ZDICT_getErrorName(len));
        else
            mc_buf_append(bytes, (mc_str){made, len});
    }
    free(content);
    return status == MC_OK && bytes->failed ? mc_fail_memory(err) : status;
}
