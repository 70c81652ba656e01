/*
 * The HTTP server over an open engine: the routes of docs/http.md.
 *
 * One server has a pool of event threads (epoll), a small pool for long requests, and one thread
 * that closes connections that take too long. The engine must stay open until mc_http_stop returns.
 */
#ifndef MC_HTTP_SERVER_H
#define MC_HTTP_SERVER_H

#include <mindcore/engine.h>

#include "base/arena.h"

struct mc_http_server;

/* Zero-initialise: a zero means the default. Strings are copied by mc_http_start. */
struct mc_http_options {
    /* "127.0.0.1:8000", "[::1]:8000", "localhost:8000"; port 0: any free one. NULL: 127.0.0.1:8000.
     */
    const char *listen;
    const mc_str *api_keys; /* 16 to 255 printable ASCII bytes each; none: no key is asked for */
    size_t api_key_count;
    const mc_str *allowed_hosts; /* names that the Host header may have beside the listen address */
    size_t allowed_host_count;
    size_t max_body_bytes;       /* of a JSON body, and of one NDJSON line; 0: 1 MiB */
    size_t max_connections;      /* 0: 1024; fewer where there are not enough descriptors */
    size_t max_peer_connections; /* from one address that is not loopback; 0: 128 */
    int64_t idle_timeout_us;     /* a connection on which nothing moves; 0: 60 s */
    int64_t request_timeout_us;  /* to receive a request, or to take an answer; 0: 30 s */
    int64_t drain_timeout_us;    /* for requests in flight when stopping; 0: 10 s */
    double rate_limit;           /* requests a second of one key or address; 0: no limit */
    size_t max_memory;           /* of requests and answers that are being carried; 0: 256 MiB */
    const char *tls_cert;        /* files in PEM; both or none, which is HTTP */
    const char *tls_key;
    const char *audit; /* file of the audit log (base/audit.h), NULL for none */
    int threads;       /* event threads; 0: twice the cores, at least 32 */
    bool metrics_only; /* serve only /metrics, /health, /live, /ready */
};

/*
 * MC_CONFIG with what to set: everything that mc_http_start would refuse without trying, but for missing
 * keys, as they may be in the database.
 */
MC_MUST_CHECK enum mc_status mc_http_check(const struct mc_http_options *options,
                                           struct mc_error *err);

/*
 * Opens the socket and starts to serve. MC_CONFIG: a bad option, or an address beyond loopback
 * without API keys; the message says what to set. MC_IO: the address is in use or not ours, or
 * the limit of descriptors is too low to serve anyone.
 *
 * SIGPIPE is set to be ignored in the process, and the soft limit of descriptors is raised to fit
 * max_connections where the hard limit allows it. A connection beyond the limits is answered with
 * 503 and closed.
 */
MC_MUST_CHECK enum mc_status mc_http_start(struct mc_engine *engine,
                                           const struct mc_http_options *options,
                                           struct mc_http_server **server, struct mc_error *err);

/* The port that is bound, and the address as a URL ("http://127.0.0.1:8000"). */
int mc_http_port(const struct mc_http_server *server);
const char *mc_http_url(const struct mc_http_server *server);

/*
 * Stops: accepts no new connection, answers /ready with 503, finishes the requests in flight,
 * closes what is left when drain_timeout_us has passed, joins every thread and frees the server.
 * Accepts NULL.
 */
void mc_http_stop(struct mc_http_server *server);

/*
 * Fills the options from the section `server` of a configuration. Strings live in the configuration
 * and the arena. With metrics, listen is server.metrics_listen (NULL when that is not set) and
 * metrics_only is set.
 */
struct mc_config;
MC_MUST_CHECK enum mc_status mc_http_options_from_config(const struct mc_config *config,
                                                         bool metrics, struct mc_arena *arena,
                                                         struct mc_http_options *options,
                                                         struct mc_error *err);

#endif
