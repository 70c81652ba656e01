/* See llm/local.h: a build without llama.cpp. */
#include "llm/local.h"

#include "base/error.h"

enum mc_status mc_local_open(const struct mc_local_options *options, struct mc_llm **llm,
                             struct mc_error *err)
{
    (void)options;
    (void)llm;
    return mc_fail_field(err, MC_UNSUPPORTED, "llm.llama_cpp.model_path",
                         "this build has no llama.cpp, so it opens no local model; 'make llama' "
                         "gets it, 'make build' builds with it");
}

const char *mc_local_version(void)
{
    return "";
}
