/*
 * See net/http.h.
 *
 * DESIGN. The client's thread owns the multi handle, every easy handle that was added to it, and all
 * callbacks. Other threads only put transfers into `live`, or mark one as cancelled, and wake the thread through the descriptor of libcurl. A
 * transfer stays in `live` until its `done` has returned: who cancels waits until it is gone from there.
 * The time limit of a transfer is kept here and not by libcurl, which does not count the time that a
 * transfer waits for a free connection.
 */
#include "net/http.h"

#include <curl/curl.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/list.h"
#include "base/thread.h"
#include "base/time.h"
#include "net/transfer.h"

#define IDLE_MS 60000
#define PAUSE_US (100 * MC_US_PER_MS)

struct mc_net {
    struct mc_net_rules rules;
    CURLM *multi;
    pthread_t thread;
    mc_mutex mutex;      /* guards what follows */
    mc_cond ended;       /* a transfer left `live`, or the client is to stop */
    struct mc_list live; /* struct mc_transfer, oldest first */
    size_t live_count;
    size_t fresh;     /* of these, not yet added: always the last ones */
    size_t cancelled; /* of these, marked and not yet ended */
    uint64_t last_id;
    bool stopping;
};

static struct mc_transfer *transfer_of(struct mc_list *link)
{
    return mc_container_of(link, struct mc_transfer, link);
}

static void wake(struct mc_net *client)
{
    (void)curl_multi_wakeup(client->multi);
}

/* Tells the result; frees the transfer. The mutex is not held. */
static void end_transfer(struct mc_net *client, struct mc_transfer *transfer,
                         const struct mc_net_response *response)
{
    transfer->done(transfer->context, response);
    if (transfer->added)
        (void)curl_multi_remove_handle(client->multi, transfer->easy);
    mc_mutex_lock(&client->mutex);
    mc_list_remove(&transfer->link);
    client->live_count--;
    client->fresh -= transfer->fresh ? 1 : 0;
    client->cancelled -= transfer->cancelled ? 1 : 0;
    mc_cond_broadcast(&client->ended);
    mc_mutex_unlock(&client->mutex);
    mc_transfer_free(transfer);
}

static void give_up(struct mc_net *client, struct mc_transfer *transfer, enum mc_status status)
{
    struct mc_net_response response;
    mc_transfer_give_up(transfer, status, &response);
    end_transfer(client, transfer, &response);
}

/* The next transfer that is to end before its answer is there, and why; NULL when there is none. */
static struct mc_transfer *next_to_give_up(struct mc_net *client, enum mc_status broken,
                                           enum mc_status *status)
{
    struct mc_transfer *found = NULL;
    int64_t now_us = mc_time_monotonic_us();
    mc_mutex_lock(&client->mutex);
    for (struct mc_list *at = client->live.next; at != &client->live && !found; at = at->next) {
        struct mc_transfer *transfer = transfer_of(at);
        if (client->stopping || transfer->cancelled)
            *status = MC_CANCELLED;
        else if (transfer->deadline_us <= now_us)
            *status = MC_TIMEOUT;
        else
            *status = broken;
        found = *status != MC_OK ? transfer : NULL;
    }
    mc_mutex_unlock(&client->mutex);
    return found;
}

/* Ends what was cancelled and what is late; everything when libcurl is `broken`. */
static void give_up_some(struct mc_net *client, enum mc_status broken)
{
    enum mc_status status = MC_OK;
    struct mc_transfer *transfer;
    while ((transfer = next_to_give_up(client, broken, &status)))
        give_up(client, transfer, status);
}

/* The oldest transfer that is not yet added; NULL when there is none. */
static struct mc_transfer *take_fresh(struct mc_net *client)
{
    mc_mutex_lock(&client->mutex);
    struct mc_list *at = &client->live;
    for (size_t i = 0; i < client->fresh; i++)
        at = at->prev;
    struct mc_transfer *transfer = at == &client->live ? NULL : transfer_of(at);
    if (transfer) {
        transfer->fresh = false;
        client->fresh--;
    }
    mc_mutex_unlock(&client->mutex);
    return transfer;
}

static void add_fresh(struct mc_net *client)
{
    struct mc_transfer *transfer;
    while ((transfer = take_fresh(client))) {
        CURLMcode code = curl_multi_add_handle(client->multi, transfer->easy);
        transfer->added = code == CURLM_OK;
        if (code != CURLM_OK)
            give_up(client, transfer, code == CURLM_OUT_OF_MEMORY ? MC_NO_MEMORY : MC_UNAVAILABLE);
    }
}

static void collect(struct mc_net *client)
{
    int left = 0;
    const CURLMsg *message;
    while ((message = curl_multi_info_read(client->multi, &left))) {
        char *owner = NULL;
        if (message->msg != CURLMSG_DONE ||
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &owner) != CURLE_OK)
            continue;
        struct mc_transfer *transfer = (struct mc_transfer *)(void *)owner;
        struct mc_net_response response;
        mc_transfer_result(transfer, message->data.result, &response);
        end_transfer(client, transfer, &response);
    }
}

/* How long the thread may sleep; false when it is to end. */
static bool next_wait(struct mc_net *client, int *wait_ms)
{
    int64_t now_us = mc_time_monotonic_us();
    int64_t wait_us = IDLE_MS * MC_US_PER_MS;
    mc_mutex_lock(&client->mutex);
    for (struct mc_list *at = client->live.next; at != &client->live; at = at->next) {
        int64_t left_us = transfer_of(at)->deadline_us - now_us;
        wait_us = left_us < wait_us ? left_us : wait_us;
    }
    wait_us = client->fresh || client->cancelled || wait_us < 0 ? 0 : wait_us;
    bool go_on = !client->stopping || client->live_count > 0;
    mc_mutex_unlock(&client->mutex);
    *wait_ms = (int)((wait_us + MC_US_PER_MS - 1) / MC_US_PER_MS);
    return go_on;
}

/* libcurl cannot wait (no memory, no descriptors): not at once again. */
static void pause_shortly(struct mc_net *client)
{
    int64_t until_us = mc_time_monotonic_us() + PAUSE_US;
    mc_mutex_lock(&client->mutex);
    while (!client->stopping && mc_cond_wait_until(&client->ended, &client->mutex, until_us))
        continue;
    mc_mutex_unlock(&client->mutex);
}

static void *run(void *context)
{
    struct mc_net *client = context;
    int wait_ms = 0;
    while (next_wait(client, &wait_ms)) {
        int running = 0;
        CURLMcode code = curl_multi_poll(client->multi, NULL, 0, wait_ms, NULL);
        if (code != CURLM_OK)
            pause_shortly(client);
        add_fresh(client);
        if (code == CURLM_OK)
            code = curl_multi_perform(client->multi, &running);
        collect(client);
        give_up_some(client, code == CURLM_OK              ? MC_OK
                             : code == CURLM_OUT_OF_MEMORY ? MC_NO_MEMORY
                                                           : MC_UNAVAILABLE);
    }
    return NULL;
}

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_code;

static void start_curl(void)
{
    global_code = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void free_client(struct mc_net *client)
{
    (void)curl_multi_cleanup(client->multi);
    mc_cond_fini(&client->ended);
    mc_mutex_fini(&client->mutex);
    mc_net_rules_fini(&client->rules);
    free(client);
}

static enum mc_status start_client(struct mc_net *client, struct mc_error *err)
{
    long connections = client->rules.max_connections;
    client->multi = curl_multi_init();
    if (!client->multi)
        return mc_fail_memory(err);
    (void)curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    (void)curl_multi_setopt(client->multi, CURLMOPT_MAX_HOST_CONNECTIONS, connections);
    (void)curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, connections);
    return mc_thread_start(&client->thread, "mc-net", run, client, err);
}

enum mc_status mc_net_open(const struct mc_net_options *options, struct mc_net **client,
                           struct mc_error *err)
{
    pthread_once(&global_once, start_curl);
    if (global_code != CURLE_OK)
        return mc_fail(err, MC_INTERNAL, "libcurl does not start: %s",
                       curl_easy_strerror(global_code));
    struct mc_net *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    enum mc_status status = mc_net_rules_init(&made->rules, options, err);
    if (status != MC_OK) {
        free(made);
        return status;
    }
    mc_mutex_init(&made->mutex);
    mc_cond_init(&made->ended);
    mc_list_init(&made->live);
    status = start_client(made, err);
    if (status == MC_OK)
        *client = made;
    else
        free_client(made);
    return status;
}

void mc_net_close(struct mc_net *client)
{
    if (!client)
        return;
    mc_mutex_lock(&client->mutex);
    client->stopping = true;
    mc_cond_broadcast(&client->ended);
    mc_mutex_unlock(&client->mutex);
    wake(client);
    mc_thread_join(client->thread);
    free_client(client);
}

/* Puts the transfer into the list, unless there are too many. */
static enum mc_status enter(struct mc_net *client, struct mc_transfer *transfer, uint64_t *id,
                            struct mc_error *err)
{
    mc_mutex_lock(&client->mutex);
    bool stopping = client->stopping;
    bool full = client->live_count >= MC_NET_TRANSFERS_MAX;
    if (!stopping && !full) {
        transfer->id = *id = ++client->last_id;
        transfer->fresh = true;
        mc_list_push_back(&client->live, &transfer->link);
        client->live_count++;
        client->fresh++;
    }
    mc_mutex_unlock(&client->mutex);
    if (stopping)
        return mc_fail(err, MC_CANCELLED, "the HTTP client is closing");
    if (full)
        return mc_fail(err, MC_UNAVAILABLE, "%d requests are already under way: try again later",
                       MC_NET_TRANSFERS_MAX);
    return MC_OK;
}

enum mc_status mc_net_start(struct mc_net *client, const struct mc_net_request *request,
                            mc_net_done_fn done, void *context, uint64_t *id, struct mc_error *err)
{
    struct mc_transfer *transfer = NULL;
    enum mc_status status = mc_transfer_new(&client->rules, request, &transfer, err);
    if (status != MC_OK)
        return status;
    transfer->done = done;
    transfer->context = context;
    status = enter(client, transfer, id, err);
    if (status == MC_OK)
        wake(client);
    else
        mc_transfer_free(transfer);
    return status;
}

static struct mc_transfer *find(struct mc_net *client, uint64_t id)
{
    for (struct mc_list *at = client->live.next; at != &client->live; at = at->next) {
        if (transfer_of(at)->id == id)
            return transfer_of(at);
    }
    return NULL;
}

void mc_net_cancel(struct mc_net *client, uint64_t id)
{
    mc_mutex_lock(&client->mutex);
    struct mc_transfer *transfer = find(client, id);
    if (transfer && !transfer->cancelled) {
        transfer->cancelled = true;
        client->cancelled++;
    }
    mc_mutex_unlock(&client->mutex);
    if (!transfer)
        return;
    wake(client);
    mc_mutex_lock(&client->mutex);
    while (find(client, id))
        mc_cond_wait(&client->ended, &client->mutex);
    mc_mutex_unlock(&client->mutex);
}
