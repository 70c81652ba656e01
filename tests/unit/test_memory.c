/*
 * Out of memory: every operation of the base is repeated with its first, second, third ...
 * allocation failing, until it succeeds; each failure must be reported and leak nothing.
 *
 * malloc and its like are replaced in this program, so that the libraries below are covered too;
 * the sanitizers replace them themselves, and there the test is skipped.
 */
#include "tap.h"

#include <errno.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/map.h"
#include "base/metrics_text.h"
#include "base/str.h"
#include "base/utf8.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

#if defined(SANITIZED) || !defined(__GLIBC__)
int main(void)
{
    skip("malloc cannot be replaced in this build");
    return done_testing();
}
#else

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);

/* The build hides symbols by default; these must be seen by the libraries. */
#define REPLACES __attribute__((visibility("default")))

static int until_failure = -1; /* allocations that still succeed; negative: all */
static long live;              /* blocks */

static bool fails(void)
{
    if (until_failure < 0)
        return false;
    if (until_failure == 0) {
        errno = ENOMEM;
        return true;
    }
    until_failure--;
    return false;
}

REPLACES void *malloc(size_t size)
{
    void *memory = fails() ? NULL : __libc_malloc(size);
    live += memory ? 1 : 0;
    return memory;
}

REPLACES void *calloc(size_t count, size_t size)
{
    void *memory = fails() ? NULL : __libc_calloc(count, size);
    live += memory ? 1 : 0;
    return memory;
}

REPLACES void *realloc(void *memory, size_t size)
{
    void *larger = fails() ? NULL : __libc_realloc(memory, size);
    live += larger && !memory ? 1 : 0;
    return larger;
}

REPLACES void free(void *memory)
{
    live -= memory ? 1 : 0;
    __libc_free(memory);
}

static enum mc_status use_json(void)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    struct mc_error err = {0};
    enum mc_status status = mc_json_parse(
        MC_STR("{\"a\":[1,2.5,\"text \\u00e9\",{\"b\":null,\"c\":[[],{}]}],\"d\":true}"), &root,
        &err);
    if (status == MC_OK ? !root : root || err.status != status || !err.message[0])
        return MC_INTERNAL;
    return status;
}

static enum mc_status use_bad_json(void)
{
    struct mc_json *root = NULL;
    enum mc_status status = mc_json_parse(MC_STR("{\"a\":[1,\"x\",}"), &root, NULL);
    return status == MC_INVALID ? MC_OK : status; /* this is what it should say in the end */
}

static enum mc_status use_buf(void)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, 100000);
    for (int i = 0; i < 500; i++)
        mc_buf_printf(&buf, "%d", i);
    mc_buf_printf(&buf, "%01000d", 1);
    char *text = mc_buf_take(&buf, NULL);
    enum mc_status status = text ? MC_OK : MC_NO_MEMORY;
    mc_free(text);
    return status;
}

static enum mc_status use_fold(void)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, 1000);
    if (mc_utf8_fold(MC_STR("Straße ÀÉÎ"), &buf))
        return MC_OK;
    return buf.failed ? MC_NO_MEMORY : MC_INTERNAL;
}

static enum mc_status use_map(void)
{
    static char keys[100][4];
    mc_auto(mc_map_fini) struct mc_map map;
    mc_map_init(&map);
    for (size_t i = 0; i < 100; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%zu", i);
        if (!mc_map_put(&map, mc_str_of(keys[i]), keys[i])) {
            for (size_t j = 0; j < 100; j++) {
                if (mc_map_get(&map, mc_str_of(keys[j])) != (j < i ? keys[j] : NULL))
                    return MC_INTERNAL;
            }
            return map.count == i ? MC_NO_MEMORY : MC_INTERNAL;
        }
    }
    return MC_OK;
}

static enum mc_status use_arena(void)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, 1 << 20);
    for (int i = 0; i < 200; i++) {
        if (!mc_arena_alloc(&arena, 100))
            return MC_NO_MEMORY;
    }
    return mc_arena_copy(&arena, MC_STR("x")).data && mc_arena_printf(&arena, "%010000d", 1).data
               ? MC_OK
               : MC_NO_MEMORY;
}

static enum mc_status use_metrics(void)
{
    struct mc_metrics *metrics = mc_metrics_new();
    char *copy = mc_str_dup(MC_STR("x"));
    bool complete = metrics && copy;
    if (metrics) {
        mc_auto(mc_buf_fini) struct mc_buf buf;
        mc_buf_init(&buf, 1 << 20);
        mc_metrics_expose(metrics, MC_METRICS_PROMETHEUS, &buf); /* without what cannot be read */
        complete = complete && !buf.failed && strstr(buf.data, "process_cpu_seconds_total") &&
                   !strstr(buf.data, "process_open_fds NaN");
    }
    free(copy);
    mc_metrics_free(metrics);
    return complete ? MC_OK : MC_NO_MEMORY;
}

static void check(enum mc_status (*use)(void), const char *name)
{
    enum mc_status status = MC_NO_MEMORY;
    int allocations = 0;
    long leaked = 0;
    for (; status == MC_NO_MEMORY && allocations < 1000; allocations++) {
        long before = live;
        until_failure = allocations;
        status = use();
        until_failure = -1;
        leaked += live - before;
    }
    is_status(status, MC_OK, NULL, "%s: every failure is out of memory, then it works", name);
    ok(allocations > 1, "%s: %d allocations failed", name, allocations - 1);
    is_int(leaked, 0, "%s: nothing leaks", name);
}

int main(void)
{
    putchar('\n'); /* the buffers of stdio are there before the counting starts */
    fflush(stdout);
    check(use_json, "JSON");
    check(use_bad_json, "bad JSON");
    check(use_buf, "buffer");
    check(use_fold, "folding");
    check(use_map, "map");
    check(use_arena, "arena");
    check(use_metrics, "metrics");
    return done_testing();
}
#endif
