/*
 * DESIGN. Two tables of sums: `pending` takes additions, `writing` is what a flush has in hand. A flush
 * moves the one into the other, writes without the lock, reads today's totals back, and only then empties
 * `writing`, in one step with taking over the totals; what could not be written goes back. So at each
 * moment stored + writing + pending is everything, once. `flushing` lets one flush run at a time.
 *
 * A table has room for a fixed number of lines, so that counting needs no memory; what finds no line of its
 * own goes to one of the same day without a model's name. The lines of a second are few: models times
 * operations.
 */
#include "engine/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"

#define LINES 64
#define NAME_SIZE 32
#define MODEL_SIZE 128
#define PROVIDERS 8
#define DELAY_US MC_US_PER_SECOND
#define RETRY_MAX_US (30 * MC_US_PER_SECOND)
#define OTHER_MODELS "(others)"

struct line {
    int64_t day;
    enum mc_llm_operation operation;
    char provider[NAME_SIZE];
    char model[MODEL_SIZE];
    struct mc_llm_usage sum;
};

struct lines {
    struct line items[LINES];
    size_t count;
};

/* What the store has of today. */
struct total {
    char provider[NAME_SIZE];
    struct mc_llm_usage sum;
};
struct totals {
    int64_t day;
    struct total items[PROVIDERS];
    size_t count;
};

struct mc_ledger {
    struct mc_store *store;
    double cap_usd;
    int64_t cap_calls;
    int64_t delay_us;
    int64_t (*now_us)(void);
    pthread_t thread;

    mc_mutex mutex;   /* guards what follows */
    mc_cond changed;  /* there is something to write, or it is closing */
    mc_cond finished; /* a flush has ended */
    bool closing, flushing;
    struct lines pending, writing;
    struct totals stored;
};

int64_t mc_ledger_day(int64_t time_us)
{
    int64_t day = time_us / MC_US_PER_DAY;
    return time_us % MC_US_PER_DAY < 0 ? day - 1 : day;
}

bool mc_ledger_is_remote(const char *provider)
{
    return strcmp(provider, "llama_cpp") != 0;
}

/* ---- Lines ---- */

/* A name's bytes that fit, not cut within a character. */
static void copy_name(char *out, size_t size, mc_str name)
{
    size_t len = name.len < size ? name.len : size - 1;
    while (len < name.len && len > 0 && ((unsigned char)name.data[len] & 0xc0) == 0x80)
        len--;
    if (len > 0)
        memcpy(out, name.data, len);
    out[len] = '\0';
}

static struct line *find_line(struct lines *lines, const struct line *key)
{
    for (size_t i = 0; i < lines->count; i++) {
        struct line *line = &lines->items[i];
        if (line->day == key->day && line->operation == key->operation &&
            strcmp(line->provider, key->provider) == 0 && strcmp(line->model, key->model) == 0)
            return line;
    }
    return NULL;
}

static void add_line(struct lines *lines, const struct line *more)
{
    struct line key = *more;
    struct line *line = find_line(lines, &key);
    /* The last lines are kept for what has no line of its own: one for each operation. */
    if (!line && lines->count + MC_LLM_OPERATION_COUNT >= LINES) {
        snprintf(key.model, sizeof(key.model), "%s", OTHER_MODELS);
        line = find_line(lines, &key);
    }
    if (!line && lines->count == LINES)
        line = &lines->items[LINES - 1]; /* more days and providers than there are: counted still */
    if (line) {
        mc_llm_usage_add(&line->sum, &more->sum);
        return;
    }
    lines->items[lines->count++] = key;
}

static bool same_provider(const char *provider, const char *asked)
{
    return asked ? strcmp(provider, asked) == 0 : mc_ledger_is_remote(provider);
}

static void sum_lines(const struct lines *lines, int64_t day, const char *provider,
                      struct mc_llm_usage *sum)
{
    for (size_t i = 0; i < lines->count; i++) {
        if (lines->items[i].day == day && same_provider(lines->items[i].provider, provider))
            mc_llm_usage_add(sum, &lines->items[i].sum);
    }
}

/* ---- The store ---- */

static bool add_total(void *context, const struct mc_usage_row *row)
{
    struct totals *totals = context;
    char provider[NAME_SIZE];
    copy_name(provider, sizeof(provider), row->provider);
    size_t i = 0;
    while (i < totals->count && strcmp(totals->items[i].provider, provider) != 0)
        i++;
    if (i == PROVIDERS)
        i--;
    if (i == totals->count) {
        totals->count++;
        memcpy(totals->items[i].provider, provider, sizeof(provider));
    }
    const struct mc_llm_usage usage = {
        .calls = row->calls,
        .failures = row->failures,
        .tokens_in = row->tokens_in,
        .tokens_cached = row->tokens_cached,
        .tokens_out = row->tokens_out,
        .took_us = row->took_us,
        .cost_usd = row->cost_usd,
    };
    mc_llm_usage_add(&totals->items[i].sum, &usage);
    return true;
}

static enum mc_status read_totals(const struct mc_ledger *ledger, struct totals *totals,
                                  struct mc_error *err)
{
    *totals = (struct totals){.day = mc_ledger_day(ledger->now_us())};
    return ledger->store->ops->usage(ledger->store, totals->day, totals->day, add_total, totals,
                                     err);
}

static enum mc_status write_lines(const struct mc_ledger *ledger, const struct lines *lines,
                                  struct mc_error *err)
{
    struct mc_usage_row rows[LINES];
    for (size_t i = 0; i < lines->count; i++) {
        const struct line *line = &lines->items[i];
        rows[i] = (struct mc_usage_row){
            .day = line->day,
            .operation = mc_str_of(mc_llm_operation_name(line->operation)),
            .provider = mc_str_of(line->provider),
            .model = mc_str_of(line->model),
            .calls = line->sum.calls,
            .failures = line->sum.failures,
            .tokens_in = line->sum.tokens_in,
            .tokens_cached = line->sum.tokens_cached,
            .tokens_out = line->sum.tokens_out,
            .took_us = line->sum.took_us,
            .cost_usd = line->sum.cost_usd,
        };
    }
    return ledger->store->ops->add_usage(ledger->store, rows, lines->count, err);
}

/* What was written but could not be read back is added to the totals that are known. */
static void keep_written(struct mc_ledger *ledger, int64_t day)
{
    struct totals *stored = &ledger->stored;
    if (stored->day != day)
        *stored = (struct totals){.day = day};
    for (size_t i = 0; i < ledger->writing.count; i++) {
        const struct line *line = &ledger->writing.items[i];
        const struct mc_usage_row row = {.provider = mc_str_of(line->provider),
                                         .calls = line->sum.calls,
                                         .failures = line->sum.failures,
                                         .tokens_in = line->sum.tokens_in,
                                         .tokens_cached = line->sum.tokens_cached,
                                         .tokens_out = line->sum.tokens_out,
                                         .took_us = line->sum.took_us,
                                         .cost_usd = line->sum.cost_usd};
        if (line->day == day)
            add_total(stored, &row);
    }
}

enum mc_status mc_ledger_flush(struct mc_ledger *ledger, struct mc_error *err)
{
    mc_mutex_lock(&ledger->mutex);
    while (ledger->flushing)
        mc_cond_wait(&ledger->finished, &ledger->mutex);
    ledger->flushing = true;
    ledger->writing = ledger->pending;
    ledger->pending.count = 0;
    mc_mutex_unlock(&ledger->mutex);

    enum mc_status status = MC_OK, read = MC_OK;
    struct totals totals = {0};
    struct mc_error ignored;
    if (ledger->writing.count > 0)
        status = write_lines(ledger, &ledger->writing, err);
    if (!status)
        read = read_totals(ledger, &totals, &ignored);

    mc_mutex_lock(&ledger->mutex);
    if (status) {
        for (size_t i = 0; i < ledger->writing.count; i++)
            add_line(&ledger->pending, &ledger->writing.items[i]);
        mc_cond_signal(&ledger->changed); /* the thread may have found nothing left meanwhile */
    } else if (!read) {
        ledger->stored = totals;
    } else {
        keep_written(ledger, mc_ledger_day(ledger->now_us()));
    }
    ledger->writing.count = 0;
    ledger->flushing = false;
    mc_cond_broadcast(&ledger->finished);
    mc_mutex_unlock(&ledger->mutex);
    return status;
}

/* ---- The thread ---- */

/* Sleeps until there is something to write and `wait_us` have passed since; false when closing. */
static bool await_lines(struct mc_ledger *ledger, int64_t wait_us)
{
    mc_mutex_lock(&ledger->mutex);
    while (!ledger->closing && ledger->pending.count == 0)
        mc_cond_wait(&ledger->changed, &ledger->mutex);
    int64_t until_us = mc_time_monotonic_us() + wait_us;
    bool early = true;
    while (!ledger->closing && early)
        early = mc_cond_wait_until(&ledger->changed, &ledger->mutex, until_us);
    bool goes_on = !ledger->closing;
    mc_mutex_unlock(&ledger->mutex);
    return goes_on;
}

static void *run(void *context)
{
    struct mc_ledger *ledger = context;
    int64_t wait_us = ledger->delay_us;
    while (await_lines(ledger, wait_us)) {
        struct mc_error error;
        if (!mc_ledger_flush(ledger, &error)) {
            wait_us = ledger->delay_us;
            continue;
        }
        if (wait_us == ledger->delay_us)
            mc_log(MC_LOG_WARNING, "ledger",
                   "what models were asked could not be written, and is kept: %s", error.message);
        wait_us = wait_us < RETRY_MAX_US / 2 ? wait_us * 2 : RETRY_MAX_US;
    }
    return NULL;
}

enum mc_status mc_ledger_open(const struct mc_ledger_options *options, struct mc_ledger **ledger,
                              struct mc_error *err)
{
    struct mc_ledger *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->store = options->store;
    made->cap_usd = options->cap_usd;
    made->cap_calls = options->cap_calls;
    made->delay_us = options->delay_us > 0 ? options->delay_us : DELAY_US;
    made->now_us = options->now_us ? options->now_us : mc_time_now_us;
    mc_mutex_init(&made->mutex);
    mc_cond_init(&made->changed);
    mc_cond_init(&made->finished);
    enum mc_status status = read_totals(made, &made->stored, err);
    if (!status)
        status = mc_thread_start(&made->thread, "mc-ledger", run, made, err);
    if (status) {
        mc_cond_fini(&made->finished);
        mc_cond_fini(&made->changed);
        mc_mutex_fini(&made->mutex);
        free(made);
        return status;
    }
    *ledger = made;
    return MC_OK;
}

void mc_ledger_close(struct mc_ledger *ledger)
{
    if (!ledger)
        return;
    mc_mutex_lock(&ledger->mutex);
    ledger->closing = true;
    mc_cond_broadcast(&ledger->changed);
    mc_mutex_unlock(&ledger->mutex);
    mc_thread_join(ledger->thread);
    struct mc_error error;
    if (ledger->pending.count > 0 && mc_ledger_flush(ledger, &error))
        mc_log(MC_LOG_ERROR, "ledger", "what models were asked last is not in the ledger: %s",
               error.message);
    mc_cond_fini(&ledger->finished);
    mc_cond_fini(&ledger->changed);
    mc_mutex_fini(&ledger->mutex);
    free(ledger);
}

/* ---- Counting and asking ---- */

void mc_ledger_add(struct mc_ledger *ledger, enum mc_llm_operation operation, const char *provider,
                   mc_str model, const struct mc_llm_usage *usage)
{
    struct line line = {
        .day = mc_ledger_day(ledger->now_us()), .operation = operation, .sum = *usage};
    copy_name(line.provider, sizeof(line.provider), mc_str_of(provider));
    copy_name(line.model, sizeof(line.model), model);
    mc_mutex_lock(&ledger->mutex);
    add_line(&ledger->pending, &line);
    if (ledger->pending.count == 1)
        mc_cond_signal(&ledger->changed);
    mc_mutex_unlock(&ledger->mutex);
}

void mc_ledger_today(struct mc_ledger *ledger, const char *provider, struct mc_llm_usage *sum)
{
    struct mc_llm_usage got = {0};
    int64_t day = mc_ledger_day(ledger->now_us());
    mc_mutex_lock(&ledger->mutex);
    for (size_t i = 0; ledger->stored.day == day && i < ledger->stored.count; i++) {
        if (same_provider(ledger->stored.items[i].provider, provider))
            mc_llm_usage_add(&got, &ledger->stored.items[i].sum);
    }
    sum_lines(&ledger->writing, day, provider, &got);
    sum_lines(&ledger->pending, day, provider, &got);
    mc_mutex_unlock(&ledger->mutex);
    *sum = got;
}

bool mc_ledger_allows(struct mc_ledger *ledger, const char *provider, char *why, size_t size)
{
    if (!mc_ledger_is_remote(provider) || (ledger->cap_usd <= 0 && ledger->cap_calls <= 0))
        return true;
    struct mc_llm_usage today;
    mc_ledger_today(ledger, NULL, &today);
    if (ledger->cap_usd > 0 && today.cost_usd >= ledger->cap_usd) {
        snprintf(why, size, "daily cap of %.2f USD reached; asked again after midnight UTC",
                 ledger->cap_usd);
        return false;
    }
    if (ledger->cap_calls > 0 && today.calls >= ledger->cap_calls) {
        snprintf(why, size, "daily cap of %lld calls reached; asked again after midnight UTC",
                 (long long)ledger->cap_calls);
        return false;
    }
    return true;
}
