/* The Retry-After header of RFC 9110, section 10.2.3. Pure. */
#ifndef MC_NET_RETRY_AFTER_H
#define MC_NET_RETRY_AFTER_H

#include <mindcore/types.h>

#define MC_RETRY_AFTER_MAX_S INT64_C(86400)

/*
 * The wait that the header asks for, at most MC_RETRY_AFTER_MAX_S: seconds, or the time from now until
 * its date, 0 when that has passed. -1 when it is neither. now_s: seconds since the epoch by the clock
 * of the server (its Date header) where that is known, so that a clock that differs does no harm.
 */
int64_t mc_retry_after_us(mc_str value, int64_t now_s);
/* Seconds since the epoch of an HTTP date; false when it is none. */
bool mc_net_date(mc_str value, int64_t *time_s);

#endif
