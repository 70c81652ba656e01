/* The version of the library; the build gives its text. */
#include <mindcore/engine.h>

#ifndef MC_VERSION_TEXT
#define MC_VERSION_TEXT "0.1.0"
#endif

const char *mc_version(void)
{
    return MC_VERSION_TEXT;
}
