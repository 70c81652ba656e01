/* Ends long work in order when the user or the system asks for it. */
#ifndef MC_CLI_STOP_H
#define MC_CLI_STOP_H

#include <mindcore/types.h>

/* From now on SIGINT and SIGTERM stop it; the second time the signal does what it always does. */
void mc_stop_catch(void);
/* As mc_progress_update, whose context it takes; false when a signal came. */
bool mc_stop_update(void *context, uint64_t done, uint64_t total);

#endif
