/* The ledger of models: sums, days, caps, failures of the store, several at once. */
#include "support/fault_store.h"
#include "support/scratch.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/compiler.h"
#include "engine/ledger.h"

#define DAY INT64_C(20779) /* 2026-11-22 */

static struct scratch scratch;
static _Atomic int64_t clock_us = DAY * MC_US_PER_DAY + 3600 * MC_US_PER_SECOND;

static int64_t test_now(void)
{
    return atomic_load(&clock_us);
}

static struct mc_ledger *open_ledger(struct mc_store *store, double cap_usd, int64_t cap_calls,
                                     int64_t delay_us)
{
    const struct mc_ledger_options options = {.store = store,
                                              .cap_usd = cap_usd,
                                              .cap_calls = cap_calls,
                                              .delay_us = delay_us,
                                              .now_us = test_now};
    struct mc_ledger *ledger = NULL;
    struct mc_error err = {0};
    if (mc_ledger_open(&options, &ledger, &err))
        bail_out("the ledger does not open: %s", err.message);
    return ledger;
}

/* A ledger that is not written by itself while a test lasts. */
static struct mc_ledger *open_slow(struct mc_store *store, double cap_usd, int64_t cap_calls)
{
    return open_ledger(store, cap_usd, cap_calls, 3600 * MC_US_PER_SECOND);
}

static void add(struct mc_ledger *ledger, enum mc_llm_operation operation, const char *provider,
                const char *model, int64_t calls, double cost_usd)
{
    const struct mc_llm_usage usage = {.calls = calls,
                                       .tokens_in = calls * 100,
                                       .tokens_cached = calls * 10,
                                       .tokens_out = calls * 7,
                                       .took_us = calls * 1000,
                                       .cost_usd = cost_usd};
    mc_ledger_add(ledger, operation, provider, mc_str_of(model), &usage);
}

static void flush(struct mc_ledger *ledger)
{
    struct mc_error err = {0};
    is_status(mc_ledger_flush(ledger, &err), MC_OK, &err, "flush");
}

struct seen {
    int rows;
    int64_t calls, tokens_in;
    double cost_usd;
    char text[4096];
};

static bool see(void *context, const struct mc_usage_row *row)
{
    struct seen *seen = context;
    size_t at = strlen(seen->text);
    snprintf(seen->text + at, sizeof(seen->text) - at, "%lld %.*s %.*s %.*s %lld %.2f\n",
             (long long)row->day, MC_STR_ARG(row->operation), MC_STR_ARG(row->provider),
             MC_STR_ARG(row->model), (long long)row->calls, row->cost_usd);
    seen->rows++;
    seen->calls += row->calls;
    seen->tokens_in += row->tokens_in;
    seen->cost_usd += row->cost_usd;
    return true;
}

static struct seen stored(struct mc_store *store)
{
    struct seen seen = {0};
    struct mc_error err = {0};
    is_status(store->ops->usage(store, INT64_MIN, INT64_MAX, see, &seen, &err), MC_OK, &err,
              "read");
    return seen;
}

static int64_t calls_today(struct mc_ledger *ledger, const char *provider)
{
    struct mc_llm_usage sum;
    mc_ledger_today(ledger, provider, &sum);
    return sum.calls;
}

/* ---- Cases ---- */

static void sums(void)
{
    struct mc_store *store = scratch_store(&scratch, "sums.db");
    struct mc_ledger *ledger = open_slow(store, 0, 0);
    add(ledger, MC_LLM_ENRICH, "openai", "small", 2, 0.5);
    add(ledger, MC_LLM_ENRICH, "openai", "small", 1, 0.25);
    add(ledger, MC_LLM_CONTEXT, "openai", "small", 1, 0);
    add(ledger, MC_LLM_ENRICH, "llama_cpp", "m", 4, 0);
    is_int(stored(store).rows, 0, "adding writes nothing by itself");
    is_int(calls_today(ledger, "openai"), 4, "but is known at once");
    flush(ledger);
    struct seen seen = stored(store);
    is_str(seen.text,
           "20779 context openai small 1 0.00\n20779 enrich llama_cpp m 4 0.00\n"
           "20779 enrich openai small 3 0.75\n",
           "one row for each");
    is_int(calls_today(ledger, "openai"), 4, "counted once after it is written");
    is_int(calls_today(ledger, "llama_cpp"), 4, "of each provider");
    is_int(calls_today(ledger, NULL), 4, "the remote ones");
    flush(ledger);
    is_int(stored(store).calls, 8, "an empty flush adds nothing");
    add(ledger, MC_LLM_CHECK, "openai", "small", 1, 0);
    mc_ledger_close(ledger);
    is_int(stored(store).calls, 9, "closing writes what is left");
    ledger = open_slow(store, 0, 0);
    is_int(calls_today(ledger, NULL), 5, "the next one knows of today");
    mc_ledger_close(ledger);
    mc_ledger_close(NULL);
    store->ops->close(store);
}

static void by_itself(void)
{
    struct mc_store *store = scratch_store(&scratch, "itself.db");
    struct mc_ledger *ledger = open_ledger(store, 0, 0, 5000);
    for (int i = 0; i < 20; i++) {
        add(ledger, MC_LLM_ENRICH, "openai", "small", 1, 0.125);
        scratch_pause_ms(2);
    }
    ok(scratch_wait(stored(store).calls == 20, 20000), "the thread writes all of it");
    mc_ledger_close(ledger);
    is_double(stored(store).cost_usd, 2.5, 1e-12, "once");
    store->ops->close(store);
}

static void midnight(void)
{
    struct mc_store *store = scratch_store(&scratch, "midnight.db");
    int64_t before = test_now();
    struct mc_ledger *ledger = open_slow(store, 1, 0);
    char why[128] = "";
    add(ledger, MC_LLM_ENRICH, "openai", "small", 1, 1);
    flush(ledger);
    ok(!mc_ledger_allows(ledger, "openai", why, sizeof(why)), "the cap of today is reached");
    add(ledger, MC_LLM_ENRICH, "openai", "small", 1, 0.25);
    atomic_store(&clock_us, (DAY + 1) * MC_US_PER_DAY);
    is_int(calls_today(ledger, NULL), 0, "a new day begins with nothing");
    ok(mc_ledger_allows(ledger, "openai", why, sizeof(why)), "and may ask again");
    add(ledger, MC_LLM_ENRICH, "openai", "small", 1, 0.5);
    flush(ledger);
    is_str(stored(store).text,
           "20779 enrich openai small 2 1.25\n20780 enrich openai small 1 0.50\n",
           "what was asked before midnight stays with its day");
    is_int(calls_today(ledger, NULL), 1, "the day's own");
    mc_ledger_close(ledger);
    store->ops->close(store);
    atomic_store(&clock_us, before);
    is_int(mc_ledger_day(-1), -1, "days before 1970");
    is_int(mc_ledger_day(0), 0, "the first day");
}

static void caps(void)
{
    struct mc_store *store = scratch_store(&scratch, "caps.db");
    char why[128] = "untouched";
    struct mc_ledger *ledger = open_slow(store, 5, 0);
    add(ledger, MC_LLM_ENRICH, "llama_cpp", "m", 100, 0);
    add(ledger, MC_LLM_ENRICH, "openai", "small", 100, 4.75);
    ok(mc_ledger_allows(ledger, "openai", why, sizeof(why)), "below the cap");
    is_str(why, "untouched", "nothing to say");
    add(ledger, MC_LLM_CONTEXT, "openai", "small", 1, 0.25);
    ok(!mc_ledger_allows(ledger, "openai", why, sizeof(why)), "reached");
    is_str(why, "daily cap of 5.00 USD reached; asked again after midnight UTC", "and why");
    ok(mc_ledger_allows(ledger, "llama_cpp", why, sizeof(why)), "the local model costs nothing");
    mc_ledger_close(ledger);
    ledger = open_slow(store, 0, 101);
    ok(!mc_ledger_allows(ledger, "openai", why, sizeof(why)), "so many calls, of an earlier run");
    is_str(why, "daily cap of 101 calls reached; asked again after midnight UTC", "and why");
    mc_ledger_close(ledger);
    ledger = open_slow(store, 0, 102);
    ok(mc_ledger_allows(ledger, "openai", why, sizeof(why)), "one is left: the local ones");
    mc_ledger_close(ledger);
    ledger = open_slow(store, 0, 0);
    add(ledger, MC_LLM_ENRICH, "openai", "small", 1000000, 1e6);
    ok(mc_ledger_allows(ledger, "openai", why, sizeof(why)), "no cap");
    mc_ledger_close(ledger);
    store->ops->close(store);
}

/* Two processes on one file see each other's. */
static void two_ledgers(void)
{
    struct mc_store *one = scratch_store(&scratch, "two.db"),
                    *two = scratch_store(&scratch, "two.db");
    struct mc_ledger *first = open_slow(one, 0, 10), *second = open_slow(two, 0, 10);
    char why[128];
    add(first, MC_LLM_ENRICH, "openai", "small", 6, 0);
    add(second, MC_LLM_ENRICH, "openai", "small", 4, 0);
    ok(mc_ledger_allows(first, "openai", why, sizeof(why)), "its own are below the cap");
    flush(first);
    flush(second);
    is_int(calls_today(second, NULL), 10, "the second has read the first's");
    ok(!mc_ledger_allows(second, "openai", why, sizeof(why)), "together they reach it");
    add(first, MC_LLM_CHECK, "openai", "small", 1, 0);
    flush(first);
    is_int(calls_today(first, NULL), 11, "and the first with its next");
    mc_ledger_close(first);
    mc_ledger_close(second);
    is_int(stored(one).calls, 11, "all of it");
    one->ops->close(one);
    two->ops->close(two);
}

static void store_fails(void)
{
    struct mc_store *inner = scratch_store(&scratch, "fails.db");
    struct mc_store *store = mc_fault_store_open(inner);
    struct mc_ledger *ledger = open_slow(store, 0, 0);
    struct mc_error err = {0};
    add(ledger, MC_LLM_ENRICH, "openai", "small", 3, 0.5);
    mc_fault_store_fail(store, "add_usage", 1, 0, MC_DISK_FULL);
    is_status(mc_ledger_flush(ledger, &err), MC_DISK_FULL, &err, "the disk is full");
    is_int(calls_today(ledger, NULL), 3, "what could not be written is kept");
    add(ledger, MC_LLM_ENRICH, "openai", "small", 2, 0.25);
    is_status(mc_ledger_flush(ledger, &err), MC_DISK_FULL, &err, "still full");
    is_int(calls_today(ledger, NULL), 5, "with what came since");
    is_int(stored(inner).rows, 0, "nothing is stored");
    mc_fault_store_heal(store);
    flush(ledger);
    is_int(stored(inner).calls, 5, "stored once, when there is room");
    is_double(stored(inner).cost_usd, 0.75, 1e-12, "with its cost");
    /* Written, but not read back. */
    add(ledger, MC_LLM_ENRICH, "openai", "small", 1, 0);
    mc_fault_store_fail(store, "usage", 1, 1, MC_BUSY);
    flush(ledger);
    is_int(calls_today(ledger, NULL), 6, "what was written is counted all the same");
    atomic_fetch_add(&clock_us, MC_US_PER_DAY);
    add(ledger, MC_LLM_ENRICH, "openai", "small", 1, 0);
    mc_fault_store_fail(store, "usage", 1, 1, MC_BUSY);
    flush(ledger);
    is_int(calls_today(ledger, NULL), 1, "on a new day too");
    atomic_fetch_sub(&clock_us, MC_US_PER_DAY);
    mc_fault_store_fail(store, "add_usage", 1, 0, MC_IO);
    add(ledger, MC_LLM_ENRICH, "openai", "small", 1, 0);
    mc_ledger_close(ledger);
    is_int(stored(inner).calls, 7, "closing ends, even if the last cannot be written");
    mc_fault_store_heal(store);
    mc_fault_store_fail(store, "usage", 1, 1, MC_IO);
    const struct mc_ledger_options options = {.store = store};
    is_status(mc_ledger_open(&options, &ledger, &err), MC_IO, &err,
              "a ledger whose caps are not known does not open");
    store->ops->close(store);
    inner->ops->close(inner);
}

/* Gives the ledger's thread time to look at what is left while a flush has it in hand. */
static void linger(void *context, const char *op)
{
    (void)context;
    if (strcmp(op, "add_usage") == 0)
        scratch_pause_ms(10);
}

/* What another thread's flush could not write is no one's but the ledger's own. */
static void flush_fails_elsewhere(void)
{
    struct mc_store *inner = scratch_store(&scratch, "elsewhere.db");
    struct mc_store *store = mc_fault_store_open(inner);
    struct mc_ledger *ledger = open_ledger(store, 0, 0, 1000);
    mc_fault_store_hook(store, linger, NULL);
    int64_t count = 0;
    bool written = true;
    while (written && count < 10) {
        struct mc_error err;
        mc_fault_store_fail(store, "add_usage", 1, 1, MC_BUSY);
        add(ledger, MC_LLM_ENRICH, "openai", "small", 1, 0);
        (void)mc_ledger_flush(ledger, &err);
        count++;
        written = scratch_wait(stored(inner).calls == count, 10000);
    }
    ok(written, "its thread writes what a flush of another put back");
    mc_ledger_close(ledger);
    store->ops->close(store);
    inner->ops->close(inner);
}

/* More names than there is room for, and names that are too long. */
static void many_models(void)
{
    struct mc_store *store = scratch_store(&scratch, "many.db");
    struct mc_ledger *ledger = open_slow(store, 0, 0);
    char name[400];
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "model-%d", i);
        add(ledger, (enum mc_llm_operation)(i % MC_LLM_OPERATION_COUNT), "openai", name, 1, 0.5);
    }
    is_int(calls_today(ledger, NULL), 500, "every call is counted");
    flush(ledger);
    struct seen seen = stored(store);
    ok(seen.rows <= 64 && seen.calls == 500 && seen.tokens_in == 50000, "in %d rows", seen.rows);
    ok(strstr(seen.text, " summary openai (others) ") != NULL, "by operation still");
    is_double(seen.cost_usd, 250, 1e-9, "with their cost");
    memset(name, 0, sizeof(name));
    for (int i = 0; i < 100; i++)
        memcpy(name + i * 3, "\xe2\x82\xac", 3);
    add(ledger, MC_LLM_ENRICH, "openai", name, 1, 0);
    flush(ledger);
    is_int(stored(store).calls, 501, "a long name is cut");
    mc_ledger_close(ledger);
    store->ops->close(store);
}

/* ---- Threads ---- */

#define ADDERS 4
#define ADDITIONS 2000

static void *add_many(void *context)
{
    for (int i = 0; i < ADDITIONS; i++) {
        add(context, MC_LLM_ENRICH, i % 2 ? "openai" : "llama_cpp", "m", 1, 0.5);
        if (i % 100 == 0) {
            struct mc_error err;
            if (mc_ledger_flush(context, &err))
                return NULL;
        }
    }
    return context;
}

static void together(void)
{
    struct mc_store *store = scratch_store(&scratch, "together.db");
    struct mc_ledger *ledger = open_ledger(store, 0, 0, 1000);
    pthread_t threads[ADDERS];
    for (int i = 0; i < ADDERS; i++)
        if (pthread_create(&threads[i], NULL, add_many, ledger) != 0)
            bail_out("no thread");
    bool backwards = false;
    int64_t last = 0;
    while (last < ADDERS * ADDITIONS) {
        int64_t now = calls_today(ledger, "openai") + calls_today(ledger, "llama_cpp");
        backwards = backwards || now < last;
        last = now;
    }
    for (int i = 0; i < ADDERS; i++) {
        void *fine = NULL;
        pthread_join(threads[i], &fine);
        ok(fine != NULL, "a thread's flushes succeed");
    }
    ok(!backwards, "the totals only grow, also while they are written");
    flush(ledger);
    is_int(stored(store).calls, ADDERS * ADDITIONS, "nothing is lost or doubled");
    mc_ledger_close(ledger);
    store->ops->close(store);
}

int main(void)
{
    scratch_make(&scratch);
    sums();
    by_itself();
    midnight();
    caps();
    two_ledgers();
    store_fails();
    flush_fails_elsewhere();
    many_models();
    together();
    scratch_remove(&scratch);
    return done_testing();
}
