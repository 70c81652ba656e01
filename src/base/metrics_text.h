/* The metrics as text for scrapers: Prometheus 0.0.4, and OpenMetrics 1.0.0 for those that ask for it. */
#ifndef MC_BASE_METRICS_TEXT_H
#define MC_BASE_METRICS_TEXT_H

#include "base/buf.h"
#include "base/metrics.h"

enum mc_metrics_format { MC_METRICS_PROMETHEUS, MC_METRICS_OPENMETRICS };

/*
 * What an Accept header (absent: anything) wants: OpenMetrics where it names it with a quality that is not below
 * that of plain text.
 */
enum mc_metrics_format mc_metrics_format_of(mc_str accept);
const char *mc_metrics_content_type(enum mc_metrics_format format); /* static text */

/* All metrics, rows of one name together; with the version, and the process's memory, CPU, descriptors and start time. */
void mc_metrics_expose(const struct mc_metrics *metrics, enum mc_metrics_format format,
                       struct mc_buf *out);

#endif
