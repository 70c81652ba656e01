/* Built without the dashboard: "/" says so. */
#include "http/dashboard.h"

const struct mc_http_file mc_http_dashboard_files[] = {{NULL, NULL, 0}};
