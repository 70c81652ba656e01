#include "postgres.h"
void measure_context(int64_t messages) { (void)messages; }
