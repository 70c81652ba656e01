/*
 * Who may ask: the Host and Origin headers (against DNS rebinding and foreign pages), the API keys,
 * and the rate of requests. Thread-safe once made.
 */
#ifndef MC_HTTP_GUARD_H
#define MC_HTTP_GUARD_H

#include <mindcore/key.h>

#include "base/address.h"

struct mc_http_guard;
struct mc_http_options;

/* MC_CONFIG for a key that is too short or a host that is none. */
MC_MUST_CHECK enum mc_status mc_http_guard_new(const struct mc_http_options *options,
                                               const struct mc_address *address,
                                               struct mc_http_guard **guard, struct mc_error *err);
void mc_http_guard_free(struct mc_http_guard *guard); /* accepts NULL */

/*
 * Whether requests need a key: there are some, in the configuration or in the database, or there were
 * since the server started, or others can reach it.
 */
bool mc_http_guard_has_keys(struct mc_http_guard *guard, struct mc_engine *engine);
/*
 * MC_UNAUTHENTICATED: the key (which may be absent) is none of the configuration, and none of the
 * database. *grant, which is freed with mc_grant_free, is set for one of the database; the others may do
 * everything. How long it takes tells nothing of a key.
 */
MC_MUST_CHECK enum mc_status mc_http_guard_admit(const struct mc_http_guard *guard,
                                                 struct mc_engine *engine, mc_str key,
                                                 const struct mc_grant **grant,
                                                 struct mc_error *err);
/*
 * True for localhost, 127.0.0.1, [::1], the listen address and the allowed hosts, each with any
 * port. On a wildcard address also for the address that the connection came in on: fd.
 */
bool mc_http_guard_host(const struct mc_http_guard *guard, mc_str host, int fd);
/* True when the host of an Origin ("https://name:port") is allowed. */
bool mc_http_guard_origin(const struct mc_http_guard *guard, mc_str origin, int fd);
/*
 * Takes one request of the client's share (of a key, or of an address); false when there is none left.
 * rate: requests a second, 0 for server.rate_limit.
 */
bool mc_http_guard_rate(struct mc_http_guard *guard, mc_str client, double rate, int64_t now_us);

#endif
