/* API keys: the public functions over memory/keys.h, with what other processes changed read in time. */
#include <mindcore/key.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/log.h"
#include "base/time.h"
#include "engine/engine.h"

/* Another process that writes all the time must not make us read the keys all the time. */
#define REFRESH_US (MC_US_PER_SECOND / 10)

/* The keys as they were read last serve when they cannot be read now. */
static void refresh(struct mc_engine *engine)
{
    int64_t now_us = mc_time_monotonic_us();
    int64_t read_us = atomic_load(&engine->keys_read_us);
    if (!atomic_load(&engine->keys_stale) || now_us - read_us < REFRESH_US ||
        !atomic_compare_exchange_strong(&engine->keys_read_us, &read_us, now_us))
        return;
    struct mc_error err;
    atomic_store(&engine->keys_stale, false);
    if (mc_keys_reload(engine->keys, &err) == MC_OK)
        return;
    atomic_store(&engine->keys_stale, true);
    mc_log(MC_LOG_WARNING, "engine", "the API keys were not read again: %s", err.message);
}

enum mc_status mc_key_create(struct mc_engine *engine, mc_str object, char **json,
                             struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    enum mc_status status = mc_keys_create(engine->keys, object, mc_time_now_us(), &buf, err);
    return status ? status : mc_engine_result(&buf, json, err);
}

enum mc_status mc_key_list(struct mc_engine *engine, char **json, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    refresh(engine);
    enum mc_status status = mc_keys_list(engine->keys, &buf, err);
    return status ? status : mc_engine_result(&buf, json, err);
}

enum mc_status mc_key_revoke(struct mc_engine *engine, mc_str key_id, struct mc_error *err)
{
    return mc_keys_revoke(engine->keys, key_id, err);
}

size_t mc_key_count(struct mc_engine *engine)
{
    refresh(engine);
    return mc_keys_count(engine->keys);
}

enum mc_status mc_key_check(struct mc_engine *engine, mc_str key, const struct mc_grant **grant,
                            struct mc_error *err)
{
    refresh(engine);
    return mc_keys_check(engine->keys, key, mc_time_now_us(), grant, err);
}

enum mc_status mc_key_check_again(struct mc_engine *engine, const struct mc_grant *grant,
                                  struct mc_error *err)
{
    refresh(engine);
    return mc_keys_check_again(engine->keys, grant, mc_time_now_us(), err);
}
