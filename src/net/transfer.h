/*
 * One request and its answer over an easy handle of libcurl. Private to src/net. Made by the caller's
 * thread, then used and freed by the client's.
 */
#ifndef MC_NET_TRANSFER_H
#define MC_NET_TRANSFER_H

#include <curl/curl.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "net/rules.h"

struct mc_transfer {
    /* Of the client: guarded by its mutex. */
    struct mc_list link;
    uint64_t id;
    bool fresh;     /* not yet taken by the client's thread */
    bool cancelled; /* is to end with MC_CANCELLED */
    bool added;     /* to the multi handle; of the client's thread alone */

    mc_net_done_fn done;
    void *context;
    int64_t started_us; /* monotonic */
    int64_t timeout_us;
    int64_t deadline_us; /* monotonic, INT64_MAX: none */

    CURL *easy;
    struct curl_slist *headers;
    struct mc_arena arena;
    mc_str sent;       /* the body */
    const char *place; /* "https://host:port", for messages */
    struct mc_buf body;
    bool too_long;
    int64_t date_s;       /* of the answer's Date header, -1: none */
    char retry_after[64]; /* of the header, "" when absent */
    char problem[CURL_ERROR_SIZE];
    char message[CURL_ERROR_SIZE + 256];
};

/* MC_CONFIG: the URL; MC_INVALID: the method or a header. The rules live longer than the transfer. */
MC_MUST_CHECK enum mc_status mc_transfer_new(const struct mc_net_rules *rules,
                                             const struct mc_net_request *request,
                                             struct mc_transfer **transfer, struct mc_error *err);
void mc_transfer_free(struct mc_transfer *transfer); /* accepts NULL */

/* The answer as libcurl ended it; borrowed from the transfer. */
void mc_transfer_result(struct mc_transfer *transfer, CURLcode code,
                        struct mc_net_response *response);
/* The end of a transfer that is given up: MC_CANCELLED, MC_TIMEOUT, MC_NO_MEMORY, MC_UNAVAILABLE. */
void mc_transfer_give_up(struct mc_transfer *transfer, enum mc_status status,
                         struct mc_net_response *response);

#endif
