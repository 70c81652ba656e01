/*
 * Inside of the server: what it owns, and one connection. Only server.c, acceptor.c, connection.c,
 * headers.c, answer.c and keeper.c include this header; everything else of this folder knows no
 * transport.
 */
#ifndef MC_HTTP_CONNECTION_H
#define MC_HTTP_CONNECTION_H

#include <microhttpd.h>

#include "base/list.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "http/bulk.h"
#include "http/guard.h"
#include "http/pool.h"
#include "http/server.h"

/* Accepted, and dealt out to an event thread that has not taken it yet. */
struct mc_http_pending {
    int fd;
    struct sockaddr_storage peer;
};

struct mc_http_server {
    struct mc_engine *engine;
    struct mc_metrics *metrics; /* the engine's */
    struct MHD_Daemon *daemon;
    struct mc_http_guard *guard;
    struct mc_http_pool *pool;
    struct mc_address address;
    char url[MC_ADDRESS_SIZE + 16];
    size_t max_body_bytes;
    size_t max_connections;
    size_t max_peer_connections;
    int64_t idle_timeout_us;
    int64_t request_timeout_us;
    int64_t drain_timeout_us;
    bool metrics_only;
    bool tls;
    char *audit; /* path, NULL for none */
    size_t max_memory;
    atomic_size_t carried; /* bytes of bodies and answers, as far as connections hold them */

    int listen_fd;
    int stop_fd;    /* tells the acceptor to end */
    int reserve_fd; /* given up to answer a connection when there are no descriptors left */
    bool acceptor_runs;
    pthread_t acceptor;

    uint32_t id_prefix;
    atomic_uint_least64_t id_last;
    atomic_bool draining;
    atomic_bool stopping;
    atomic_int active; /* requests begun and not completed */

    mc_mutex mutex; /* guards what follows */
    mc_cond idle;   /* active became 0 while draining */
    mc_cond keep;   /* the keeper has something to do */
    struct mc_list connections;
    struct mc_http_pending *pending; /* room for max_connections */
    size_t pending_count;
    bool keeper_stops;
    bool keeper_runs;
    pthread_t keeper;
};

enum mc_http_phase {
    MC_HTTP_PHASE_IDLE,    /* between requests */
    MC_HTTP_PHASE_HEADERS, /* the request line was read */
    MC_HTTP_PHASE_BODY,    /* accepted; the body arrives */
    MC_HTTP_PHASE_DISCARD, /* refused; the rest of the body is thrown away */
    MC_HTTP_PHASE_RUNNING, /* suspended, the handler runs in the pool */
    MC_HTTP_PHASE_ANSWERED /* the answer was queued */
};

/* The request is the first member: its hand_over and resume find the connection. */
struct mc_http_connection {
    struct mc_http_request req;
    struct mc_list node; /* of server->connections */
    struct mc_http_server *server;
    struct MHD_Connection *mhd;
    int fd;
    struct sockaddr_storage peer;
    /* Monotonic time at which the keeper closes it; 0: not now. */
    atomic_int_least64_t deadline_us;
    atomic_bool receiving; /* the request has not arrived as a whole */
    int64_t gone_us;       /* the keeper's: deadline_us when the client was first seen to be gone */

    enum mc_http_phase phase;
    struct mc_http_task task;
    struct mc_http_bulk *bulk; /* of an NDJSON body */
    struct mc_error target_error;
    size_t target_len;
    bool *handed_over; /* of the pool's thread that runs the handler */
    int64_t started_us;
    int64_t length; /* of the body as announced, 0 when it was not */
    bool expects_continue;
    uint64_t discarded;
    uint64_t streamed;
    int64_t stream_us;  /* monotonic: when the client could begin to take what is streamed */
    int64_t waiting_us; /* monotonic: since when it waits for more of it; 0: it does not */
    bool audited;       /* in the audit log */
    size_t carried;     /* its part of the server's */
    bool too_large;     /* what it reads is more than max_memory, whatever others do */
    bool asked;         /* it had a request */
};

/* connection.c: the callbacks of the transport; cls is the server. */
void mc_http_on_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
                           enum MHD_ConnectionNotificationCode code);
void *mc_http_on_target(void *cls, const char *target, struct MHD_Connection *mhd);
enum MHD_Result mc_http_on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                   const char *method, const char *version, const char *upload,
                                   size_t *upload_size, void **context);
void mc_http_on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_RequestTerminationCode code);

/* connection.c: what the connection holds counts against server.max_memory; whether so much more would be too much. */
extern const char mc_http_full[]; /* what to say then */
void mc_http_carry(struct mc_http_connection *c, size_t bytes);
bool mc_http_is_full(const struct mc_http_server *server, size_t more);

/* connection.c: counts a key that may not do it; gives the status of the check as it is. */
MC_MUST_CHECK enum mc_status mc_http_count_grant(struct mc_http_connection *c,
                                                 enum mc_status status);

/*
 * headers.c: reads the headers and decides. True: go on to the body, with *bulk set for NDJSON;
 * false: the request is refused and its answer written.
 */
bool mc_http_check_headers(struct mc_http_connection *c, bool *bulk);

/* answer.c: queues the request's answer; or sends it in the middle of a body, where none can be
 * queued. */
enum MHD_Result mc_http_send(struct mc_http_connection *c);
void mc_http_send_now(struct mc_http_connection *c);
/* Notes an administrative act in the audit log, once: before it is answered, so that no answered one is missing. */
void mc_http_audit(struct mc_http_connection *c);

/* acceptor.c: accepts on listen_fd; stop closes it. */
MC_MUST_CHECK enum mc_status mc_http_acceptor_start(struct mc_http_server *server,
                                                    struct mc_error *err);
void mc_http_acceptor_stop(struct mc_http_server *server);
/* The connection of that descriptor is no longer pending. Called with the mutex held. */
void mc_http_forget_pending(struct mc_http_server *server, int fd);

/* keeper.c: closes connections whose deadline has passed. */
MC_MUST_CHECK enum mc_status mc_http_keeper_start(struct mc_http_server *server,
                                                  struct mc_error *err);
void mc_http_keeper_stop(struct mc_http_server *server);
void mc_http_set_deadline(struct mc_http_connection *c, int64_t after_us);

#endif
