#include "http/export.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/str.h"
#include "base/thread.h"
#include "http/routes.h"

#define RING_BYTES ((size_t)256 * 1024)
#define BEGIN_BYTES ((size_t)64 * 1024) /* a failure before that many gets a proper status */
#define WAKE_BYTES ((size_t)32 * 1024)

struct mc_http_export {
    mc_mutex mutex; /* guards everything down to done */
    mc_cond space;
    char *ring;
    size_t head; /* of the first byte */
    size_t len;
    int references;
    bool waiting; /* the connection is suspended until there is data */
    bool closed;  /* nobody reads any more */
    bool failed;
    bool done;

    struct mc_http_request *req; /* until begun */
    bool begun;                  /* the producer's own */
    const atomic_bool *stopping;
    void (*resume)(void *connection);
    void *connection;
    mc_str user_id;
    mc_str agent_id;
};

static void drop(struct mc_http_export *stream)
{
    mc_mutex_lock(&stream->mutex);
    int left = --stream->references;
    mc_mutex_unlock(&stream->mutex);
    if (left > 0)
        return;
    mc_cond_fini(&stream->space);
    mc_mutex_fini(&stream->mutex);
    free((char *)(uintptr_t)stream->user_id.data);
    free((char *)(uintptr_t)stream->agent_id.data);
    free(stream->ring);
    free(stream);
}

enum mc_status mc_http_export_new(struct mc_http_request *req, mc_str user_id, mc_str agent_id,
                                  struct mc_http_export **made, struct mc_error *err)
{
    struct mc_http_export *stream = calloc(1, sizeof(*stream));
    if (!stream)
        return mc_fail_memory(err);
    mc_mutex_init(&stream->mutex);
    mc_cond_init(&stream->space);
    stream->references = 1;
    stream->ring = malloc(RING_BYTES);
    stream->user_id = (mc_str){mc_str_dup(user_id), user_id.len};
    if (mc_str_given(agent_id))
        stream->agent_id = (mc_str){mc_str_dup(agent_id), agent_id.len};
    stream->req = req;
    stream->stopping = req->stopping;
    stream->resume = req->resume;
    if (!stream->ring || !stream->user_id.data ||
        (mc_str_given(agent_id) && !stream->agent_id.data)) {
        drop(stream);
        return mc_fail_memory(err);
    }
    *made = stream;
    return MC_OK;
}

mc_str mc_http_export_user(const struct mc_http_export *stream)
{
    return stream->user_id;
}

mc_str mc_http_export_agent(const struct mc_http_export *stream)
{
    return stream->agent_id;
}

bool mc_http_export_begun(const struct mc_http_export *stream)
{
    return stream->begun;
}

void mc_http_export_abandon(struct mc_http_export *stream)
{
    drop(stream);
}

/* Hands the request over to the connection, which gets its own reference. */
static void begin(struct mc_http_export *stream)
{
    struct mc_http_request *req = stream->req;
    stream->begun = true;
    stream->req = NULL;
    stream->connection = req;
    mc_mutex_lock(&stream->mutex);
    stream->references++;
    mc_mutex_unlock(&stream->mutex);
    mc_http_answer(req, 200, req->route->content_type);
    req->stream = stream;
    req->hand_over(req);
}

static size_t put(struct mc_http_export *stream, const char *data, size_t len)
{
    size_t tail = (stream->head + stream->len) % RING_BYTES;
    size_t room = RING_BYTES - stream->len;
    size_t count = len < room ? len : room;
    size_t first = count < RING_BYTES - tail ? count : RING_BYTES - tail;
    memcpy(stream->ring + tail, data, first);
    memcpy(stream->ring, data + first, count - first);
    stream->len += count;
    return count;
}

/* Called with the mutex held, which it drops: resumes a reader that has something to do. */
static void unlock_and_wake(struct mc_http_export *stream)
{
    bool wake = stream->waiting && (stream->len >= WAKE_BYTES || stream->done);
    if (wake)
        stream->waiting = false;
    mc_mutex_unlock(&stream->mutex);
    if (wake)
        stream->resume(stream->connection);
}

bool mc_http_export_write(void *context, const char *data, size_t len)
{
    struct mc_http_export *stream = context;
    bool go_on = true;
    while (go_on) {
        mc_mutex_lock(&stream->mutex);
        while (stream->len == RING_BYTES && !stream->closed)
            mc_cond_wait(&stream->space, &stream->mutex);
        go_on = !stream->closed && !atomic_load_explicit(stream->stopping, memory_order_relaxed);
        size_t count = go_on ? put(stream, data, len) : 0;
        bool enough = stream->len >= BEGIN_BYTES;
        unlock_and_wake(stream);
        data += count;
        len -= count;
        if (go_on && enough && !stream->begun)
            begin(stream);
        if (len == 0)
            break;
    }
    return go_on;
}

void mc_http_export_finish(struct mc_http_export *stream, bool complete)
{
    mc_mutex_lock(&stream->mutex);
    stream->done = true;
    stream->failed = !complete;
    unlock_and_wake(stream);
    if (!stream->begun)
        begin(stream);
    drop(stream);
}

enum mc_http_read mc_http_export_read(struct mc_http_export *stream, char *data, size_t max,
                                      size_t *len, void (*suspend)(void *connection),
                                      void *connection)
{
    mc_mutex_lock(&stream->mutex);
    size_t count = stream->len < max ? stream->len : max;
    size_t first = count < RING_BYTES - stream->head ? count : RING_BYTES - stream->head;
    memcpy(data, stream->ring + stream->head, first);
    memcpy(data + first, stream->ring, count - first);
    stream->head = (stream->head + count) % RING_BYTES;
    stream->len -= count;
    enum mc_http_read result = MC_HTTP_READ_DATA;
    if (count > 0) {
        mc_cond_signal(&stream->space);
    } else if (stream->done) {
        result = stream->failed ? MC_HTTP_READ_FAILED : MC_HTTP_READ_END;
    } else {
        result = MC_HTTP_READ_WAIT;
        stream->waiting = true;
        suspend(connection);
    }
    mc_mutex_unlock(&stream->mutex);
    *len = count;
    return result;
}

void mc_http_export_close(struct mc_http_export *stream)
{
    mc_mutex_lock(&stream->mutex);
    stream->closed = true;
    stream->waiting = false;
    mc_cond_signal(&stream->space);
    mc_mutex_unlock(&stream->mutex);
    drop(stream);
}
