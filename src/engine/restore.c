/* Putting a backup in the place of the database: the file and what is cached of the old one. */
#include "store/sqlite/restore.h"

#include <mindcore/database.h>

#include <sys/stat.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/time.h"
#include "engine/engine.h"

static void close_cache(struct mc_cache **cache)
{
    if (*cache)
        (*cache)->ops->close(*cache);
}

/* An empty cache is always right, so it is emptied while the old database is still there. */
static enum mc_status empty_cache(void *context, struct mc_error *err)
{
    const struct mc_settings *settings = context;
    mc_auto(close_cache) struct mc_cache *cache = NULL;
    struct stat info;
    if (stat(settings->cache.dir, &info) != 0)
        return MC_OK;
    enum mc_status status = mc_cache_lmdb_open(&settings->cache, &cache, err);
    if (status != MC_OK)
        return mc_fail_prefix(err, status, "the cache of the old data must be emptied first");
    if (cache->ops->wipe(cache, mc_time_now_us()))
        return MC_OK;
    return mc_fail(err, MC_IO,
                   "the cache of the old data in '%s' cannot be emptied; remove that folder and "
                   "restore again",
                   settings->cache.dir);
}

static enum mc_status report(const char *path, const struct mc_settings *settings,
                             const struct mc_restored *restored, char **json, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    struct mc_json_writer w = mc_json_writer(&buf);
    mc_json_begin(&w, '{');
    mc_json_member_text(&w, "restored", path);
    mc_json_member_text(&w, "database", settings->database);
    mc_json_member_integer(&w, "messages", restored->messages);
    mc_json_member_integer(&w, "users", restored->users);
    mc_json_member_text(&w, "kept", restored->kept[0] ? restored->kept : NULL);
    mc_json_end(&w, '}');
    return mc_engine_result(&buf, json, err);
}

enum mc_status mc_database_restore(const struct mc_config *config, const char *path, bool replace,
                                   mc_progress_fn progress, void *context, char **json,
                                   struct mc_error *err)
{
    mc_auto(mc_settings_fini) struct mc_settings settings = {0};
    struct mc_restored restored;
    enum mc_status status = mc_settings_read(config, &settings, err);
    if (status != MC_OK)
        return status;
    if (!path || !*path)
        return mc_fail_field(err, MC_INVALID, "path", "name the file of the backup");
    if (settings.in_postgres)
        return mc_fail_field(
            err, MC_UNSUPPORTED, "database.backend",
            "'%s' is not restored from a file by Mindcore: what pg_dump wrote, "
            "pg_restore reads; what 'mindcore backup' wrote of a SQLite database is "
            "copied into an empty one with 'mindcore db copy --from sqlite:%s --to "
            "postgresql://...'",
            settings.database, path);
    const struct mc_restore_options options = {
        .backup = path,
        .database = settings.sqlite.path,
        .replace = replace,
        .progress = progress,
        .context = context,
        .before = empty_cache,
        .before_context = &settings,
    };
    status = mc_sqlite_restore(&options, &restored, err);
    return status == MC_OK ? report(path, &settings, &restored, json, err) : status;
}
