/* A YAML file of any bytes: it is refused with a message or gives a configuration that shows and
 * loads again. */
#include <mindcore/config.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The message of an error is one line with a name in it. */
static void check_error(const struct mc_error *err)
{
    if (strlen(err->message) < 8 || strchr(err->message, '\n') || err->status == MC_OK)
        abort();
}

static void check_again(const struct mc_config *config)
{
    struct mc_config *again = NULL;
    struct mc_error err = {0};
    char *yaml = NULL;
    if (mc_config_show(config, &yaml, &err) != MC_OK || mc_config_new(&again, &err) != MC_OK ||
        mc_config_load_text(again, mc_str_of(yaml), "shown", &err) != MC_OK)
        abort();
    for (size_t i = 0; i < mc_option_count(); i++) {
        const char *key = mc_option_at(i)->key;
        const char *a = mc_config_get(config, key);
        const char *b = mc_config_get(again, key);
        if (strcmp(key, "server.api_keys") == 0 || strcmp(key, "database.replicas") == 0 ||
            strcmp(mc_option_at(i)->type, "secret") == 0)
            continue;
        if ((a == NULL) != (b == NULL) || (a && strcmp(a, b) != 0))
            abort();
    }
    mc_free(yaml);
    mc_config_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mc_config *config = NULL;
    struct mc_error err = {0};
    if (mc_config_new(&config, &err) != MC_OK)
        return 0;
    mc_str yaml = {(const char *)data, size};
    if (mc_config_load_text(config, yaml, "fuzz.yaml", &err) == MC_OK)
        check_again(config);
    else
        check_error(&err);

    /* The same bytes as one value: first the index of the option, then text. */
    char value[4096];
    if (size > 1 && size < sizeof(value)) {
        memcpy(value, data + 1, size - 1);
        value[size - 1] = '\0';
        const struct mc_option *option = mc_option_at(data[0] % mc_option_count());
        memset(&err, 0, sizeof(err));
        if (mc_config_set(config, option->key, value, &err) == MC_OK)
            check_again(config);
        else
            check_error(&err);
    }
    mc_config_free(config);
    return 0;
}
