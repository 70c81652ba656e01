/*
 * Group commit. A caller that finds fewer leaders than allowed leads at once. Otherwise it queues; a leader that is
 * done hands its place to the first who waits, and that one takes all that has queued with it into one
 * transaction. Several leaders commit side by side, each on a connection of its own.
 */
#include <stdlib.h>

#include "base/error.h"
#include "store/postgres/put.h"

/* A transaction takes no more requests once they make it this heavy: one for each message and 4 KiB. */
#define GROUP_WEIGHT 512
/* Arguments of its statements: about 200 bytes a message, texts not counted. */
#define ARENA_BYTES ((size_t)256 << 20)

void mc_pg_group_init(struct mc_pg_group *group, int max_leaders)
{
    group->max_leaders = max_leaders;
    group->leaders = 0;
    mc_mutex_init(&group->lock);
    mc_list_init(&group->waiting);
}

void mc_pg_group_fini(struct mc_pg_group *group)
{
    if (group->max_leaders == 0)
        return;
    mc_mutex_fini(&group->lock);
    group->max_leaders = 0;
}

static struct mc_pg_put_request *request_of(struct mc_list *node)
{
    return mc_container_of(node, struct mc_pg_put_request, node);
}

/* ---- The transaction ---- */

/* Writes the messages of the requests from `first` up to `end` in one transaction. */
static enum mc_status write_batch(struct mc_pg *s, struct mc_list *first, struct mc_list *end,
                                  struct mc_error *err)
{
    size_t count = 0, members = 0;
    for (struct mc_list *node = first; node != end; node = node->next, members++)
        count += request_of(node)->count;
    struct mc_pg_put_batch batch = {.items = calloc(count, sizeof(void *)),
                                    .rows = calloc(count, sizeof(*batch.rows))};
    mc_arena_init(&batch.arena, ARENA_BYTES);
    enum mc_status status = MC_OK;
    if (!batch.items || !batch.rows)
        status = mc_fail_memory(err);
    for (struct mc_list *node = first; status == MC_OK && node != end; node = node->next) {
        struct mc_pg_put_request *request = request_of(node);
        for (size_t i = 0; i < request->count; i++)
            batch.items[batch.count++] = &request->placed[i];
    }
    if (status == MC_OK)
        status = mc_pg_write(s, 0, mc_pg_put_work, &batch, err);
    if (status == MC_OK && s->metrics) {
        mc_metrics_add(s->metrics, MC_COUNT_COMMITS, 1);
        mc_metrics_add(s->metrics, MC_COUNT_COMMIT_MEMBERS, members);
    }
    free(batch.items);
    free(batch.rows);
    mc_arena_fini(&batch.arena);
    return status;
}

/* Whether the failure may be one request's fault, so that the others are carried out without it. */
static bool one_at_fault(enum mc_status status)
{
    return status != MC_UNAVAILABLE && status != MC_BUSY && status != MC_DISK_FULL &&
           status != MC_TIMEOUT;
}

/* Carries out a group that is not empty; afterwards each member has its status. */
static void carry_out(struct mc_pg *s, struct mc_list *group)
{
    struct mc_error err = {.status = MC_OK};
    bool alone = group->next->next == group;
    enum mc_status status = write_batch(s, group->next, group, &err);
    bool each = status != MC_OK && !alone && one_at_fault(status);
    for (struct mc_list *node = group->next; node != group; node = node->next) {
        struct mc_pg_put_request *request = request_of(node);
        if (each)
            status = write_batch(s, node, node->next, &err);
        request->status = status;
        request->error = err;
    }
}

/* ---- Leading ---- */

/* Adds what waits behind the leader's own request, up to the weight. */
static void gather(struct mc_pg_group *group, struct mc_list *taken, size_t weight)
{
    while (!mc_list_empty(&group->waiting)) {
        struct mc_pg_put_request *request = request_of(group->waiting.next);
        weight += request->weight;
        if (weight > GROUP_WEIGHT)
            break;
        mc_list_remove(&request->node);
        mc_list_push_back(taken, &request->node);
    }
}

static void wake(struct mc_pg_put_request *request, bool leads)
{
    /* Signalled under the lock: once it is free, the waiter may return and take the object with it. */
    mc_mutex_lock(&request->lock);
    request->woken = true;
    request->leads = leads;
    mc_cond_signal(&request->wake);
    mc_mutex_unlock(&request->lock);
}

static void lead(struct mc_pg *s, struct mc_pg_put_request *own)
{
    struct mc_pg_group *group = &s->group;
    struct mc_list taken;
    mc_list_init(&taken);
    mc_list_push_back(&taken, &own->node);
    mc_mutex_lock(&group->lock);
    gather(group, &taken, own->weight);
    mc_mutex_unlock(&group->lock);
    carry_out(s, &taken);
    mc_list_remove(&own->node);

    struct mc_pg_put_request *heir = NULL;
    mc_mutex_lock(&group->lock);
    if (mc_list_empty(&group->waiting)) {
        group->leaders--;
    } else {
        heir = request_of(group->waiting.next);
        mc_list_remove(&heir->node);
    }
    mc_mutex_unlock(&group->lock);
    if (heir)
        wake(heir, true);
    while (!mc_list_empty(&taken)) {
        struct mc_pg_put_request *request = request_of(taken.next);
        mc_list_remove(&request->node);
        wake(request, false);
    }
}

/* Queues the request, with the group's lock held, and waits: true when it is to lead. */
static bool wait_in_line(struct mc_pg_group *group, struct mc_pg_put_request *request)
{
    mc_mutex_init(&request->lock);
    mc_cond_init(&request->wake);
    mc_list_push_back(&group->waiting, &request->node);
    mc_mutex_unlock(&group->lock);
    mc_mutex_lock(&request->lock);
    while (!request->woken)
        mc_cond_wait(&request->wake, &request->lock);
    bool leads = request->leads;
    mc_mutex_unlock(&request->lock);
    mc_cond_fini(&request->wake);
    mc_mutex_fini(&request->lock);
    return leads;
}

enum mc_status mc_pg_group_run(struct mc_pg *s, struct mc_pg_put_request *request,
                               struct mc_error *err)
{
    struct mc_pg_group *group = &s->group;
    mc_list_init(&request->node);
    request->woken = request->leads = false;
    bool leads = true;
    mc_mutex_lock(&group->lock);
    if (group->leaders < group->max_leaders) {
        group->leaders++;
        mc_mutex_unlock(&group->lock);
    } else {
        leads = wait_in_line(group, request);
    }
    if (leads)
        lead(s, request);
    if (request->status != MC_OK && err)
        *err = request->error;
    return request->status;
}
