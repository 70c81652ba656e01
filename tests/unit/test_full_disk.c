/*
 * A full disk while messages come in: a clear error, nothing acknowledged is lost, health says so, and
 * the engine goes on when space returns. Once on a small tmpfs, where this process may mount one, and
 * once with the limit on the size of files.
 */
#include "tap.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/compiler.h"
#include "support/engine.h"

#define TEXT_BYTES 3000

/* How space goes and comes. */
struct disk {
    const char *name;
    bool (*shrink)(const struct scratch *scratch);
    void (*grow)(const struct scratch *scratch);
};

static bool mount_small(const struct scratch *scratch)
{
    return mount("tmpfs", scratch->dir, "tmpfs", 0, "size=2m") == 0;
}

static void mount_large(const struct scratch *scratch)
{
    if (mount("tmpfs", scratch->dir, "tmpfs", MS_REMOUNT, "size=64m"))
        bail_out("no more space");
}

static bool limit_files(const struct scratch *scratch)
{
    (void)scratch;
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit))
        return false;
    limit.rlim_cur = 1500000;
    return setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

static void unlimit_files(const struct scratch *scratch)
{
    (void)scratch;
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit))
        bail_out("no limit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_FSIZE, &limit))
        bail_out("no more space");
}

static enum mc_status store_one(struct mc_engine *engine, int i, struct mc_error *err)
{
    static char text[TEXT_BYTES + 1];
    char id[32];
    snprintf(id, sizeof(id), "m%d", i);
    memset(text, 'a' + i % 26, TEXT_BYTES);
    struct mc_message_input input = said(id, text);
    memset(err, 0, sizeof(*err));
    return mc_message_ingest(engine, &input, NULL, NULL, err);
}

static bool count_lines(void *context, const char *data, size_t len)
{
    *(int *)context += len > TEXT_BYTES && strstr(data, "\"type\":\"message\"") != NULL;
    return true;
}

static int exported(struct mc_engine *engine)
{
    int lines = 0;
    struct mc_error err = {0};
    is_status(mc_user_export(engine, MC_STR("u"), MC_STR_NONE, count_lines, &lines, &err), MC_OK,
              &err, "everything can be read");
    return lines;
}

static bool is_healthy(struct mc_engine *engine)
{
    bool healthy = false;
    char *json = NULL;
    struct mc_error err;
    enum mc_status status = mc_engine_health(engine, &healthy, &json, &err);
    mc_free(json);
    return status == MC_OK && healthy;
}

static double errors_of(struct mc_engine *engine, const char *type)
{
    char name[64], *text = NULL;
    struct mc_error err;
    snprintf(name, sizeof(name), "mindcore_errors_total{error_type=\"%s\"}", type);
    if (mc_metrics_prometheus(engine, &text, &err))
        bail_out("metrics: %s", err.message);
    double value = prometheus_value(text, name);
    mc_free(text);
    return value;
}

static void test_disk(const struct disk *disk, const struct scratch *scratch)
{
    struct mc_engine *engine = engine_open(scratch, NULL);
    struct mc_error err = {0};
    int stored = 0;
    enum mc_status status = MC_OK;
    while (stored < 5000 && !(status = store_one(engine, stored, &err)))
        stored++;
    ok(status == MC_DISK_FULL || status == MC_IO, "%s: message %d is refused: %s: %s", disk->name,
       stored, mc_status_name(status), err.message);
    ok(stored > 10, "%s: %d fitted", disk->name, stored);
    ok(strlen(err.message) > 10, "%s: and it is said why", disk->name);
    is_double(errors_of(engine, "ingest"), 1, 0, "%s: counted", disk->name);
    ok(errors_of(engine, "store") >= 1, "%s: as the store's, too", disk->name);
    is_int(exported(engine), stored, "%s: every acknowledged message is there", disk->name);
    int more = stored;
    for (int i = 0; i < 5; i++) { /* some may still fit, into pages that became free */
        if (store_one(engine, more, &err) == MC_OK)
            more++;
    }
    is_int(exported(engine), more, "%s: and none that was refused", disk->name);
    int refused = 0; /* in a row */
    for (int i = 0; i < 200 && refused < 3; i++) {
        bool fits = store_one(engine, more, &err) == MC_OK;
        more += fits;
        refused = fits ? 0 : refused + 1;
    }
    is_int(refused, 3, "%s: nothing fits any more", disk->name);
    ok(!is_healthy(engine), "%s: and health is red", disk->name);
    ok(!is_healthy(engine), "%s: and stays so", disk->name);

    disk->grow(scratch);
    ok(scratch_wait(store_one(engine, more, &err) == MC_OK, 60000),
       "%s: it goes on when space returns", disk->name);
    engine_drain(engine);
    is_int(exported(engine), more + 1, "%s: nothing is lost", disk->name);
    ok(scratch_wait(is_healthy(engine), 60000), "%s: healthy again", disk->name);
    struct answer s = ANSWER(mc_engine_status, engine);
    is_int(answer_int(&s, "messages_by_state.enriched"), more + 1, "%s: every message is enriched",
           disk->name);
    is_int(answer_int(&s, "queue.dead"), 0, "%s: no job died of it", disk->name);
    answer_free(&s);
    mc_engine_close(engine);

    engine = engine_open(scratch, NULL);
    is_int(exported(engine), more + 1, "%s: and all is there after a restart", disk->name);
    bool fine = false;
    char *json = NULL;
    is_status(mc_engine_doctor(engine, &fine, &json, &err), MC_OK, &err, "%s: the doctor",
              disk->name);
    is_int(fine, 1, "%s: finds no damage: %s", disk->name, json ? json : "");
    mc_free(json);
    mc_engine_close(engine);
}

/* The disk of the cache alone: everything is stored and read, and the errors are counted. */
static void test_cache_disk(const struct scratch *scratch)
{
    char dir[256];
    snprintf(dir, sizeof(dir), "%s", scratch_path(scratch, "cache"));
    if (mkdir(dir, 0700) || mount("tmpfs", dir, "tmpfs", 0, "size=256k")) {
        skip("a small cache needs rights that this process does not have");
        return;
    }
    struct mc_engine *engine =
        engine_open(scratch, OPTIONS("cache.persistent", "true", "cache.dir", dir));
    struct mc_error err;
    int stored = 0;
    for (; stored < 400 && errors_of(engine, "cache") < 1; stored++) {
        if (store_one(engine, stored, &err))
            break;
        struct mc_message_list *recent = NULL;
        const struct mc_recent_query query = {
            .user_id = MC_STR("u"), .thread_id = MC_STR("t"), .limit = 50};
        if (mc_message_recent(engine, &query, &recent, &err))
            break;
        mc_message_list_free(recent);
    }
    ok(errors_of(engine, "cache") >= 1, "a full cache: its errors are counted, after %d", stored);
    ok(is_healthy(engine), "a full cache: health stays green");
    is_int(exported(engine), stored, "a full cache: every message is stored");
    mc_engine_close(engine);
    (void)umount(dir);
}

int main(void)
{
    static const struct disk DISKS[] = {
        {"a small tmpfs", mount_small, mount_large},
        {"a limit on files", limit_files, unlimit_files},
    };
    signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < mc_countof(DISKS); i++) {
        struct scratch scratch;
        scratch_make(&scratch);
        if (DISKS[i].shrink(&scratch))
            test_disk(&DISKS[i], &scratch);
        else
            skip("%s needs rights that this process does not have", DISKS[i].name);
        if (i == 0)
            (void)umount(scratch.dir);
        scratch_remove(&scratch);
    }
    struct scratch scratch;
    scratch_make(&scratch);
    test_cache_disk(&scratch);
    scratch_remove(&scratch);
    return done_testing();
}
