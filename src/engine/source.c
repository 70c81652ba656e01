#include <mindcore/source.h>

#include "base/compiler.h"
#include "context/answer.h"
#include "engine/engine.h"

/* External sources: what the application registers, handed to context/lookup. */

enum mc_status mc_source_register(struct mc_engine *engine, const struct mc_source_options *options,
                                  struct mc_error *err)
{
    return mc_lookups_register(engine->lookups, options, err);
}

enum mc_status mc_source_remove(struct mc_engine *engine, mc_str name, struct mc_error *err)
{
    return mc_lookups_remove(engine->lookups, name, err);
}

enum mc_status mc_source_list(struct mc_engine *engine, char **json, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    mc_lookups_write(engine->lookups, &buf);
    return mc_engine_result(&buf, json, err);
}

enum mc_status mc_source_add(struct mc_source_answer *answer, mc_str title, mc_str text,
                             struct mc_error *err)
{
    return mc_answer_add(answer, title, text, err);
}
