/* Reading metrics out of the Prometheus text format 0.0.4 as this program writes it. Pure functions. */
#ifndef MC_CLI_LOAD_METRICS_H
#define MC_CLI_LOAD_METRICS_H

#include <mindcore/types.h>

/* The sum of the series of that name that have the label ("" for any): `method="llm"`. NaN when there is none. */
double mc_load_metric(mc_str text, const char *name, const char *label);
/* What a counter has grown from one text to a later one; all of it where it began anew meanwhile, 0 when there is none. */
double mc_load_grown(mc_str before, mc_str after, const char *name, const char *label);
/*
 * A quantile in seconds of what the histogram has observed between two texts, over all its series, interpolated
 * in its bucket as Prometheus does; NaN when nothing was observed.
 */
double mc_load_quantile(mc_str before, mc_str after, const char *name, double q);

#endif
