#include "text/names.h"

#include "base/str.h"

#define NAME(name, text) {text, sizeof(text) - 1},
static const mc_str intent_names[] = {MC_INTENT_MAP(NAME)};
static const mc_str mood_names[] = {MC_MOOD_MAP(NAME)};
static const mc_str entity_names[] = {MC_ENTITY_MAP(NAME)};
#undef NAME

static size_t find_name(const mc_str *names, size_t count, mc_str name, size_t otherwise)
{
    for (size_t i = 0; i < count; i++) {
        if (mc_str_equal_nocase(names[i], name))
            return i;
    }
    return otherwise;
}

mc_str mc_intent_name(enum mc_intent intent)
{
    return (unsigned)intent < MC_INTENT_COUNT ? intent_names[intent] : MC_STR("");
}

mc_str mc_mood_name(enum mc_mood mood)
{
    return (unsigned)mood < MC_MOOD_COUNT ? mood_names[mood] : MC_STR("");
}

mc_str mc_entity_name(enum mc_entity_type type)
{
    return (unsigned)type < MC_ENTITY_COUNT ? entity_names[type] : MC_STR("");
}

enum mc_intent mc_intent_of_name(mc_str name)
{
    return (enum mc_intent)find_name(intent_names, MC_INTENT_COUNT, name, MC_INTENT_NONE);
}

enum mc_mood mc_mood_of_name(mc_str name)
{
    return (enum mc_mood)find_name(mood_names, MC_MOOD_COUNT, name, MC_MOOD_NEUTRAL);
}

enum mc_entity_type mc_entity_of_name(mc_str name)
{
    return (enum mc_entity_type)find_name(entity_names, MC_ENTITY_COUNT, name, MC_ENTITY_CUSTOM);
}
