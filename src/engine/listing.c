/* Lists to choose from: users, and the threads of one. */
#include <mindcore/memory.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "engine/engine.h"
#include "message/input.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 1000

/* A page while it is written. */
struct page {
    struct mc_json_writer w;
    struct mc_buf last; /* id of the last entry */
    size_t count;
};

static void page_fini(struct page *page)
{
    mc_buf_fini(&page->last);
}

static enum mc_status check_page(mc_str after, size_t *limit, struct mc_error *err)
{
    if (*limit > LIMIT_MAX)
        return mc_fail_field(err, MC_INVALID, "limit", "limit must be 1 to %d", LIMIT_MAX);
    if (*limit == 0)
        *limit = LIMIT_DEFAULT;
    return mc_str_given(after) ? mc_input_check_id("after", after, err) : MC_OK;
}

static void page_begin(struct page *page, struct mc_buf *buf, const char *key)
{
    mc_buf_init(&page->last, MC_RESULT_MAX);
    page->w = mc_json_writer(buf);
    mc_json_begin(&page->w, '{');
    mc_json_key(&page->w, key);
    mc_json_begin(&page->w, '[');
}

static void page_end(struct page *page, size_t limit)
{
    mc_json_end(&page->w, ']');
    if (page->count == limit)
        mc_json_member_string(&page->w, "next", mc_buf_str(&page->last));
    mc_json_end(&page->w, '}');
}

static void put_entry(struct page *page, const char *id_key, const struct mc_listed *listed)
{
    mc_buf_reset(&page->last);
    mc_buf_append(&page->last, listed->id);
    page->count++;
    mc_json_begin(&page->w, '{');
    mc_json_member_string(&page->w, id_key, listed->id);
    mc_json_member_integer(&page->w, "messages", listed->messages);
    mc_json_key(&page->w, "last_message_at");
    mc_json_put_time(&page->w, listed->last_us);
}

static bool put_user(void *context, const struct mc_listed *user)
{
    struct page *page = context;
    put_entry(page, "user_id", user);
    mc_json_member_integer(&page->w, "threads", user->threads);
    mc_json_end(&page->w, '}');
    return true;
}

static bool put_thread(void *context, const struct mc_listed *thread)
{
    struct page *page = context;
    put_entry(page, "thread_id", thread);
    mc_json_end(&page->w, '}');
    return true;
}

enum mc_status mc_user_list(struct mc_engine *engine, mc_str prefix, mc_str after, size_t limit,
                            char **json, struct mc_error *err)
{
    enum mc_status status = check_page(after, &limit, err);
    if (!status && mc_str_given(prefix))
        status = mc_input_check_id("prefix", prefix, err);
    if (status)
        return status;
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_auto(page_fini) struct page page = {.count = 0};
    mc_buf_init(&buf, MC_RESULT_MAX);
    page_begin(&page, &buf, "users");
    status =
        engine->store->ops->list_users(engine->store, prefix, after, limit, put_user, &page, err);
    if (status)
        return status;
    page_end(&page, limit);
    return mc_engine_result(&buf, json, err);
}

enum mc_status mc_thread_list(struct mc_engine *engine, mc_str user_id, mc_str after, size_t limit,
                              char **json, struct mc_error *err)
{
    enum mc_status status = mc_input_check_id("user_id", user_id, err);
    if (!status)
        status = check_page(after, &limit, err);
    if (status)
        return status;
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_auto(page_fini) struct page page = {.count = 0};
    mc_buf_init(&buf, MC_RESULT_MAX);
    page_begin(&page, &buf, "threads");
    status = engine->store->ops->list_threads(engine->store, user_id, after, limit, put_thread,
                                              &page, err);
    if (status)
        return status;
    page_end(&page, limit);
    return mc_engine_result(&buf, json, err);
}
