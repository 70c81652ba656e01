/*
 * Outbound HTTP: the only home of libcurl.
 *
 * A client has one thread of its own that carries all its transfers, so that callers of any number share
 * kept-alive connections (and one HTTP/2 connection where the server offers it). TLS is verified against
 * the system's certificates. Redirects are not followed: a key sent to a configured host goes nowhere
 * else. Only http and https. Bodies are kept up to a maximum. https goes through the proxy of the
 * environment, if there is one (https_proxy, all_proxy, no_proxy); http never does.
 *
 * Every function may be called from any thread.
 */
#ifndef MC_NET_HTTP_H
#define MC_NET_HTTP_H

#include <mindcore/types.h>

struct mc_net;
struct mc_net_options {
    int64_t connect_timeout_us; /* 0: 10 s */
    long max_connections;       /* to one host, 0: 32 */
    const char *ca_file;        /* further certificates to trust, NULL: the system's alone */
    const char *user_agent;     /* NULL: mindcore/VERSION */
};
/* options may be NULL. */
MC_MUST_CHECK enum mc_status mc_net_open(const struct mc_net_options *options,
                                         struct mc_net **client, struct mc_error *err);
/* Ends every transfer (each `done` is called with MC_CANCELLED) and the thread. Accepts NULL. */
void mc_net_close(struct mc_net *client);

struct mc_net_request {
    const char *method; /* "GET", "POST" */
    const char *url;
    const mc_str *headers; /* "Name: value", secrets included: they reach neither log nor error */
    size_t header_count;
    mc_str body;
    int64_t timeout_us;    /* of the whole transfer, 0: none */
    size_t response_bytes; /* the most that is read of the body, 0: 8 MiB */
};

struct mc_net_response {
    /*
     * MC_OK: an answer came, of whatever code. MC_TIMEOUT. MC_UNAVAILABLE: no connection, or it broke.
     * MC_TOO_LARGE: the body is longer than the request allows. MC_CANCELLED. MC_CONFIG: the address
     * or the certificate. MC_NO_MEMORY.
     */
    enum mc_status status;
    const char *message;    /* why not, one line, without secrets; "" when MC_OK */
    int code;               /* 200, ... */
    int64_t retry_after_us; /* of the header, seconds or date, not below 0; -1 when absent or odd */
    mc_str content_type;
    mc_str body; /* valid during the callback */
    int64_t took_us;
    bool reused; /* the connection was open already */
    bool http2;
};
/* In the client's thread; must not block nor call mc_net_cancel or mc_net_close. */
typedef void (*mc_net_done_fn)(void *context, const struct mc_net_response *response);

/* Everything is copied. done is called once, and only when MC_OK is returned. *id names the transfer. */
MC_MUST_CHECK enum mc_status mc_net_start(struct mc_net *client,
                                          const struct mc_net_request *request, mc_net_done_fn done,
                                          void *context, uint64_t *id, struct mc_error *err);
/* When it returns, done has been called (with MC_CANCELLED if the transfer was still running). */
void mc_net_cancel(struct mc_net *client, uint64_t id);

#endif
