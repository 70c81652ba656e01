#include "http/pool.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"

struct mc_http_pool {
    mc_mutex mutex; /* guards everything below */
    mc_cond work;
    struct mc_list short_tasks;
    struct mc_list long_tasks;
    int long_waiting;
    int long_running;
    int long_max;
    bool stopping;
    int thread_count;
    pthread_t threads[];
};

/* The next task that may run now, NULL when there is none. */
static struct mc_http_task *take(struct mc_http_pool *pool)
{
    struct mc_list *from = &pool->short_tasks;
    if (mc_list_empty(from)) {
        from = &pool->long_tasks;
        if (mc_list_empty(from) || pool->long_running == pool->long_max)
            return NULL;
        pool->long_waiting--;
        pool->long_running++;
    }
    struct mc_http_task *task = mc_container_of(from->next, struct mc_http_task, node);
    mc_list_remove(&task->node);
    return task;
}

static void *serve(void *context)
{
    struct mc_http_pool *pool = context;
    mc_mutex_lock(&pool->mutex);
    for (;;) {
        struct mc_http_task *task = take(pool);
        if (!task && pool->stopping && mc_list_empty(&pool->long_tasks))
            break;
        if (!task) {
            mc_cond_wait(&pool->work, &pool->mutex);
            continue;
        }
        bool was_long = task->is_long;
        mc_mutex_unlock(&pool->mutex);
        task->run(task);
        mc_mutex_lock(&pool->mutex);
        if (was_long) {
            pool->long_running--;
            mc_cond_broadcast(&pool->work);
        }
    }
    mc_mutex_unlock(&pool->mutex);
    return NULL;
}

enum mc_status mc_http_pool_start(int threads, struct mc_http_pool **pool, struct mc_error *err)
{
    struct mc_http_pool *made = calloc(1, sizeof(*made) + (size_t)threads * sizeof(pthread_t));
    if (!made)
        return mc_fail_memory(err);
    mc_mutex_init(&made->mutex);
    mc_cond_init(&made->work);
    mc_list_init(&made->short_tasks);
    mc_list_init(&made->long_tasks);
    made->long_max = threads > 1 ? threads / 2 : 1;
    for (int i = 0; i < threads; i++) {
        enum mc_status status =
            mc_thread_start(&made->threads[i], "mc-http-long", serve, made, err);
        if (status != MC_OK) {
            mc_http_pool_stop(made);
            mc_http_pool_free(made);
            return status;
        }
        made->thread_count++;
    }
    *pool = made;
    return MC_OK;
}

bool mc_http_pool_submit(struct mc_http_pool *pool, struct mc_http_task *task)
{
    mc_mutex_lock(&pool->mutex);
    bool taken =
        !pool->stopping && (!task->is_long || pool->long_waiting < MC_HTTP_LONG_WAITING_MAX);
    if (taken) {
        pool->long_waiting += task->is_long;
        mc_list_push_back(task->is_long ? &pool->long_tasks : &pool->short_tasks, &task->node);
        mc_cond_signal(&pool->work);
    }
    mc_mutex_unlock(&pool->mutex);
    return taken;
}

void mc_http_pool_stop(struct mc_http_pool *pool)
{
    mc_mutex_lock(&pool->mutex);
    pool->stopping = true;
    mc_cond_broadcast(&pool->work);
    mc_mutex_unlock(&pool->mutex);
    for (int i = 0; i < pool->thread_count; i++)
        mc_thread_join(pool->threads[i]);
    pool->thread_count = 0;
}

void mc_http_pool_free(struct mc_http_pool *pool)
{
    if (!pool)
        return;
    mc_cond_fini(&pool->work);
    mc_mutex_fini(&pool->mutex);
    free(pool);
}
