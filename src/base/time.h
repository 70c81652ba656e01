/* Time: int64 microseconds since the epoch, UTC (mc_time_format, mc_time_parse in <mindcore/types.h>). */
#ifndef MC_BASE_TIME_H
#define MC_BASE_TIME_H

#include <mindcore/types.h>

#define MC_US_PER_MS INT64_C(1000)
#define MC_US_PER_SECOND INT64_C(1000000)
#define MC_US_PER_DAY (INT64_C(86400) * MC_US_PER_SECOND)

/* Wall clock. */
int64_t mc_time_now_us(void);
/* A clock that never steps, for durations. */
int64_t mc_time_monotonic_us(void);
/* The civil date of a time in UTC, proleptic Gregorian; and back (month 1..12, day 1..31 checked by the caller). */
void mc_time_civil(int64_t time_us, int *year, int *month, int *day, int *weekday);
int64_t mc_time_from_civil(int year, int month, int day);

#endif
