/* Names of the enumerations, from their tables, and the freeing of results. Pure functions. */
#include <mindcore/memory.h>

#include <stdlib.h>

#include "base/compiler.h"
#include "base/str.h"

#define NAME_OF(name, text) text,
static const char *const role_names[] = {MC_ROLE_MAP(NAME_OF)};
static const char *const visibility_names[] = {MC_VISIBILITY_MAP(NAME_OF)};
static const char *const tier_names[] = {MC_TIER_MAP(NAME_OF)};
static const char *const enrichment_names[] = {MC_ENRICHMENT_MAP(NAME_OF)};
static const char *const context_mode_names[] = {MC_CONTEXT_MODE_MAP(NAME_OF)};
static const char *const preference_action_names[] = {MC_PREFERENCE_ACTION_MAP(NAME_OF)};
#undef NAME_OF

static const char *name_at(const char *const *names, size_t count, size_t index)
{
    return index < count ? names[index] : "";
}

/* The index of the name, or count. */
static size_t index_of(const char *const *names, size_t count, mc_str name)
{
    size_t i = 0;
    while (i < count && !mc_str_equal(mc_str_of(names[i]), name))
        i++;
    return i;
}

#define DEFINE_NAME(noun, type, parameter)                                                         \
    const char *mc_##noun##_name(enum type parameter)                                              \
    {                                                                                              \
        return name_at(noun##_names, mc_countof(noun##_names), (size_t)parameter);                 \
    }
DEFINE_NAME(role, mc_role, role)
DEFINE_NAME(visibility, mc_visibility, visibility)
DEFINE_NAME(tier, mc_tier, tier)
DEFINE_NAME(enrichment, mc_enrichment, state)
DEFINE_NAME(context_mode, mc_context_mode, mode)

#define DEFINE_PARSE(noun, type, parameter)                                                        \
    bool mc_##noun##_parse(mc_str name, enum type *parameter)                                      \
    {                                                                                              \
        size_t index = index_of(noun##_names, mc_countof(noun##_names), name);                     \
        if (index == mc_countof(noun##_names))                                                     \
            return false;                                                                          \
        *parameter = (enum type)index;                                                             \
        return true;                                                                               \
    }
DEFINE_PARSE(role, mc_role, role)
DEFINE_PARSE(visibility, mc_visibility, visibility)
DEFINE_PARSE(context_mode, mc_context_mode, mode)
DEFINE_PARSE(preference_action, mc_preference_action, action)

void mc_free(void *memory)
{
    free(memory);
}
