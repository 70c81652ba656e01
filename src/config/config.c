#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "config/options.h"
#include "config/state.h"

static struct mc_config *config_alloc(void)
{
    size_t count = mc_option_count();
    struct mc_config *config = calloc(1, sizeof(*config) + count * sizeof(config->settings[0]));
    if (config)
        config->count = count;
    return config;
}

enum mc_status mc_config_new(struct mc_config **config, struct mc_error *err)
{
    if (!config)
        return mc_fail_field(err, MC_INVALID, "config", "config is NULL");
    mc_auto(mc_config_free_ptr) struct mc_config *made = config_alloc();
    if (!made)
        return mc_fail_memory(err);
    enum mc_status status = MC_OK;
    for (size_t i = 0; status == MC_OK && i < made->count; i++)
        status = mc_value_from_text(i, mc_str_of(mc_option_at(i)->fallback),
                                    &made->settings[i].value, err);
    if (status == MC_OK)
        *config = mc_steal(made);
    return status;
}

void mc_config_free(struct mc_config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->count; i++) {
        mc_value_fini(&config->settings[i].value);
        free(config->settings[i].origin);
    }
    free(config);
}

enum mc_status mc_config_copy(const struct mc_config *config, struct mc_config **copy,
                              struct mc_error *err)
{
    mc_auto(mc_config_free_ptr) struct mc_config *made = config_alloc();
    if (!made)
        return mc_fail_memory(err);
    for (size_t i = 0; i < made->count; i++) {
        const struct mc_setting *from = &config->settings[i];
        struct mc_setting *to = &made->settings[i];
        *to = *from;
        to->value.text = from->value.text ? mc_str_dup(mc_str_of(from->value.text)) : NULL;
        to->origin = from->origin ? mc_str_dup(mc_str_of(from->origin)) : NULL;
        if ((from->value.text && !to->value.text) || (from->origin && !to->origin))
            return mc_fail_memory(err);
    }
    *copy = mc_steal(made);
    return MC_OK;
}

void mc_config_swap(struct mc_config *a, struct mc_config *b)
{
    for (size_t i = 0; i < a->count; i++) {
        struct mc_setting kept = a->settings[i];
        a->settings[i] = b->settings[i];
        b->settings[i] = kept;
    }
}

enum mc_status mc_config_put(struct mc_config *config, size_t option, struct mc_value *value,
                             enum mc_source source, const char *origin, struct mc_error *err)
{
    struct mc_setting *setting = &config->settings[option];
    char *copy = origin ? mc_str_dup(mc_str_of(origin)) : NULL;
    if (source < setting->source || (origin && !copy)) {
        bool memory = origin && !copy;
        free(copy);
        mc_value_fini(value);
        return memory ? mc_fail_memory(err) : MC_OK;
    }
    mc_value_fini(&setting->value);
    free(setting->origin);
    *setting = (struct mc_setting){.value = *value, .source = source, .origin = copy};
    value->text = NULL;
    return MC_OK;
}

enum mc_status mc_config_fail_at(struct mc_error *err, enum mc_status status, const char *place,
                                 const char *key)
{
    if (status == MC_NO_MEMORY)
        return status;
    status = mc_fail_prefix(err, status, "%s%s", place, key);
    if (err)
        snprintf(err->field, sizeof(err->field), "%s", key);
    return status;
}

enum mc_status mc_config_set(struct mc_config *config, const char *key, const char *value,
                             struct mc_error *err)
{
    if (!config || !key)
        return mc_fail_field(err, MC_INVALID, config ? "key" : "config", "%s is NULL",
                             config ? "key" : "config");
    size_t option = mc_option_find(mc_str_of(key));
    if (option == MC_OPTION_NONE) {
        char near[MC_OPTION_NAME_SIZE];
        if (mc_option_nearest(mc_str_of(key), near))
            return mc_fail_field(err, MC_INVALID, key, "unknown option '%s', did you mean '%s'?",
                                 key, near);
        return mc_fail_field(err, MC_INVALID, key, "unknown option '%s'", key);
    }
    struct mc_value made = {0};
    enum mc_status status = mc_value_from_text(option, mc_str_of(value), &made, err);
    if (status != MC_OK)
        return mc_config_fail_at(err, status == MC_CONFIG ? MC_INVALID : status, "argument ", key);
    return mc_config_put(config, option, &made, MC_SOURCE_PROGRAM, NULL, err);
}

/* The setting of a key; NULL for an unknown one. */
static const struct mc_setting *setting_of(const struct mc_config *config, const char *key,
                                           size_t *option)
{
    *option = config && key ? mc_option_find(mc_str_of(key)) : MC_OPTION_NONE;
    return *option == MC_OPTION_NONE ? NULL : &config->settings[*option];
}

const char *mc_config_get(const struct mc_config *config, const char *key)
{
    size_t option;
    const struct mc_setting *setting = setting_of(config, key, &option);
    return setting ? setting->value.text : NULL;
}

enum mc_source mc_config_source(const struct mc_config *config, const char *key)
{
    size_t option;
    const struct mc_setting *setting = setting_of(config, key, &option);
    return setting ? setting->source : MC_SOURCE_DEFAULT;
}

int64_t mc_config_integer(const struct mc_config *config, const char *key)
{
    size_t option;
    const struct mc_setting *setting = setting_of(config, key, &option);
    if (!setting)
        return 0;
    enum mc_option_kind kind = mc_option_kind(option);
    return kind == MC_KIND_INTEGER || kind == MC_KIND_BYTES ? setting->value.integer : 0;
}

double mc_config_number(const struct mc_config *config, const char *key)
{
    size_t option;
    const struct mc_setting *setting = setting_of(config, key, &option);
    if (!setting)
        return 0;
    enum mc_option_kind kind = mc_option_kind(option);
    bool numeric = kind == MC_KIND_NUMBER || kind == MC_KIND_INTEGER || kind == MC_KIND_BYTES;
    return numeric ? setting->value.number : 0;
}

bool mc_config_boolean(const struct mc_config *config, const char *key)
{
    size_t option;
    const struct mc_setting *setting = setting_of(config, key, &option);
    return setting && mc_option_kind(option) == MC_KIND_BOOLEAN && setting->value.integer != 0;
}

int64_t mc_config_duration_us(const struct mc_config *config, const char *key)
{
    size_t option;
    const struct mc_setting *setting = setting_of(config, key, &option);
    if (!setting)
        return 0;
    if (mc_option_kind(option) == MC_KIND_DURATION)
        return setting->value.integer;
    if (strcmp(mc_option_at(option)->unit, "days") == 0)
        return (int64_t)(setting->value.number * (double)MC_US_PER_DAY);
    return 0;
}
