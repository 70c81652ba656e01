/* See llm/local.h: a build without llama.cpp. */
#include "llm/local.h"

#include "base/error.h"

enum mc_status mc_local_open(const struct mc_local_options *options, struct mc_llm **llm,
                             struct mc_error *err)
{
    (void)llm;
    return mc_fail_field(err, MC_UNSUPPORTED,
                         options->embeddings ? "embeddings.llama_cpp.model_path"
                                             : "llm.llama_cpp.model_path",
                         "this build has no llama.cpp, so it opens no local model; 'make llama' "
                         "gets it, 'make build' builds with it");
}

enum mc_status mc_local_embed_open(const struct mc_local_options *options, struct mc_llm **llm,
                                   struct mc_error *err)
{
    return mc_local_open(options, llm, err);
}

const char *mc_local_version(void)
{
    return "";
}
