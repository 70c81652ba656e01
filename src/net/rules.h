/*
 * What all transfers of a client have in common: trust, time to connect, proxy. Private to src/net;
 * read once when the client is opened, immutable afterwards.
 *
 * Proxies: those of the environment (https_proxy, HTTPS_PROXY, all_proxy, ALL_PROXY, except for the
 * hosts of no_proxy, NO_PROXY) carry https alone, as a tunnel that sees the name of the host and
 * nothing of what is said. Plain http never goes through a proxy: it would be shown the key.
 */
#ifndef MC_NET_RULES_H
#define MC_NET_RULES_H

#include "base/buf.h"
#include "net/http.h"

#define MC_NET_RESPONSE_BYTES ((size_t)8 * 1024 * 1024)
#define MC_NET_TRANSFERS_MAX 4096

struct mc_net_rules {
    long connect_timeout_ms;
    long max_connections;
    char *user_agent;
    char *proxy;                /* "" for none */
    char *no_proxy;             /* "" for none */
    struct mc_buf certificates; /* the system's and those of ca_file; empty: the system's alone */
};

/* MC_CONFIG: ca_file cannot be read or holds no certificate. After a failure nothing is to be freed. */
MC_MUST_CHECK enum mc_status mc_net_rules_init(struct mc_net_rules *rules,
                                               const struct mc_net_options *options,
                                               struct mc_error *err);
void mc_net_rules_fini(struct mc_net_rules *rules);

#endif
