/* Making and extending struct mc_error. Every function accepts a NULL err. */
#ifndef MC_BASE_ERROR_H
#define MC_BASE_ERROR_H

#include <mindcore/status.h>

/* Sets err (field "") and returns status, so that a failure is one line: return mc_fail(err, ...). */
enum mc_status mc_fail(struct mc_error *err, enum mc_status status, const char *format, ...)
    MC_PRINTF(3, 4);

/* The same for an argument at fault. */
enum mc_status mc_fail_field(struct mc_error *err, enum mc_status status, const char *field,
                             const char *format, ...) MC_PRINTF(4, 5);

/* MC_NO_MEMORY with its text. */
enum mc_status mc_fail_memory(struct mc_error *err);

/* Puts what was being done before the message: "cannot open 'x': no such file". Returns err's status. */
enum mc_status mc_fail_prefix(struct mc_error *err, enum mc_status status, const char *format, ...)
    MC_PRINTF(3, 4);

#endif
