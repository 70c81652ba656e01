/*
 * Who may ask: the Host and Origin headers (against DNS rebinding and foreign pages), the API keys,
 * and the rate of requests. Thread-safe once made.
 */
#ifndef MC_HTTP_GUARD_H
#define MC_HTTP_GUARD_H

#include "base/address.h"

struct mc_http_guard;
struct mc_http_options;

/* MC_CONFIG for a key that is too short or a host that is none. */
MC_MUST_CHECK enum mc_status mc_http_guard_new(const struct mc_http_options *options,
                                               const struct mc_address *address,
                                               struct mc_http_guard **guard, struct mc_error *err);
void mc_http_guard_free(struct mc_http_guard *guard); /* accepts NULL */

bool mc_http_guard_has_keys(const struct mc_http_guard *guard);
/*
 * True for localhost, 127.0.0.1, [::1], the listen address and the allowed hosts, each with any
 * port. On a wildcard address also for the address that the connection came in on: fd.
 */
bool mc_http_guard_host(const struct mc_http_guard *guard, mc_str host, int fd);
/* True when the host of an Origin ("https://name:port") is allowed. */
bool mc_http_guard_origin(const struct mc_http_guard *guard, mc_str origin, int fd);
/* True when the key is one of ours; takes the same time whichever it is not. */
bool mc_http_guard_key(const struct mc_http_guard *guard, mc_str key);
/* Takes one request of the client's share (of a key, or of an address); false when there is none
 * left. */
bool mc_http_guard_rate(struct mc_http_guard *guard, mc_str client, int64_t now_us);

#endif
