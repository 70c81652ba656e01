/* The files of the dashboard (dashboard/), as bundled when the program was built. */
#ifndef MC_HTTP_DASHBOARD_H
#define MC_HTTP_DASHBOARD_H

#include <stddef.h>

struct mc_http_file {
    const char *path; /* "/dashboard.js"; "/" for the page */
    const unsigned char *data;
    size_t len;
};

/* Ends with a path of NULL; nothing before that: the dashboard is not built into this program. */
extern const struct mc_http_file mc_http_dashboard_files[];

#endif
