/* Copying a database into another one: opens both stores, without an engine around them. */
#include "store/copy.h"

#include <mindcore/database.h>

#include <errno.h>
#include <sys/stat.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/time.h"
#include "engine/engine.h"

/* Opening a file makes it, and a source must not be made. */
static enum mc_status check_file(const char *path, struct mc_error *err)
{
    struct stat info;
    if (stat(path, &info) == 0 || errno != ENOENT)
        return MC_OK;
    return mc_fail_field(err, MC_NOT_FOUND, "database.path",
                         "the source '%s' does not exist; name the file of a database", path);
}

static enum mc_status open_store(struct mc_settings *settings, bool is_source,
                                 struct mc_store **store, struct mc_error *err)
{
    if (settings->in_postgres) {
        settings->postgres.existing = is_source;
        return mc_postgres_store_open(&settings->postgres, store, err);
    }
    enum mc_status status = is_source ? check_file(settings->sqlite.path, err) : MC_OK;
    return status == MC_OK ? mc_sqlite_store_open(&settings->sqlite, store, err) : status;
}

static void close_store(struct mc_store **store)
{
    if (*store)
        (*store)->ops->close(*store);
}

static enum mc_status report(const struct mc_settings *from, const struct mc_settings *to,
                             const struct mc_copy_result *result, char **json, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    double copy_s = (double)result->copy_us / MC_US_PER_SECOND;
    double messages = (double)result->copied[MC_COPY_MESSAGES];
    struct mc_json_writer w = mc_json_writer(&buf);
    mc_json_begin(&w, '{');
    mc_json_member_text(&w, "from", from->database);
    mc_json_member_text(&w, "to", to->database);
    mc_json_member_boolean(&w, "resumed", result->resumed);
    mc_json_member_boolean(&w, "restarted", result->restarted);
    mc_json_member_boolean(&w, "source_changed", result->changed);
    mc_json_member_integer(&w, "new_messages", result->new_messages);
    mc_json_key(&w, "tables");
    mc_json_begin(&w, '[');
    for (int i = 0; i < MC_COPY_TABLES; i++) {
        mc_json_begin(&w, '{');
        mc_json_member_text(&w, "name", mc_copy_forms[i].name);
        mc_json_member_integer(&w, "copied", result->copied[i]);
        mc_json_member_integer(&w, "rows", result->rows[i]);
        mc_json_end(&w, '}');
    }
    mc_json_end(&w, ']');
    mc_json_member_fixed(&w, "seconds",
                         (double)(result->copy_us + result->verify_us) / MC_US_PER_SECOND, 3);
    mc_json_member_fixed(&w, "copy_seconds", copy_s, 3);
    mc_json_member_fixed(&w, "messages_per_second", copy_s > 0 ? messages / copy_s : 0, 0);
    mc_json_end(&w, '}');
    return mc_engine_result(&buf, json, err);
}

enum mc_status mc_database_copy(const struct mc_config *from, const struct mc_config *to,
                                mc_progress_fn progress, void *context, char **json,
                                struct mc_error *err)
{
    mc_auto(mc_settings_fini) struct mc_settings source_settings = {0};
    mc_auto(mc_settings_fini) struct mc_settings target_settings = {0};
    mc_auto(close_store) struct mc_store *source = NULL;
    mc_auto(close_store) struct mc_store *target = NULL;
    struct mc_copy_result result;
    enum mc_status status = mc_settings_read(from, &source_settings, err);
    if (status == MC_OK)
        status = mc_settings_read(to, &target_settings, err);
    if (status == MC_OK)
        status = open_store(&source_settings, true, &source, err);
    if (status == MC_OK)
        status = open_store(&target_settings, false, &target, err);
    if (status == MC_OK)
        status = mc_copy_run(source, target, progress, context, &result, err);
    return status == MC_OK ? report(&source_settings, &target_settings, &result, json, err)
                           : status;
}
