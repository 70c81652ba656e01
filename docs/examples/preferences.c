/*
 * Keeps a user's preferences: fields set one by one, several merged at once, and what was learned
 * from the messages.
 *
 *     cc preferences.c $(pkg-config --cflags --libs mindcore) -o preferences
 *     ./preferences example.db
 */
#include <stdio.h>

#include <mindcore/mindcore.h>

/* Prints a result and frees it. */
static bool print_json(const char *title, char *json)
{
    printf("%s: %s\n", title, json);
    mc_free(json);
    return true;
}

static bool update(struct mc_engine *engine, mc_str user, const char *field, const char *value,
                   enum mc_preference_action action, struct mc_error *err)
{
    char *json = NULL;
    if (mc_preferences_update(engine, user, mc_str_of(field), mc_str_of(value), action, &json,
                              err) != MC_OK)
        return false;
    return print_json(field, json);
}

static bool amend(struct mc_engine *engine, mc_str user, struct mc_error *err)
{
    /* Values are JSON. */
    char *json = NULL;
    return update(engine, user, "language", "\"de\"", MC_PREFERENCE_SET, err) &&
           update(engine, user, "interests", "\"cycling\"", MC_PREFERENCE_ADD, err) &&
           update(engine, user, "interests", "\"chess\"", MC_PREFERENCE_ADD, err) &&
           update(engine, user, "interests", "\"chess\"", MC_PREFERENCE_REMOVE, err) &&
           mc_preferences_patch(
               engine, user,
               mc_str_of("{\"timezone\": \"Europe/Berlin\", \"custom\": {\"seat\": \"aisle\"}}"),
               &json, err) == MC_OK &&
           print_json("patched", json);
}

static bool learn(struct mc_engine *engine, mc_str user, struct mc_error *err)
{
    struct mc_message_input input = {
        .user_id = user,
        .thread_id = mc_str_of("t1"),
        .session_id = mc_str_of("s1"),
        .role = mc_str_of("user"),
        .text = mc_str_of("Please keep your answers short, I am interested in cycling."),
    };
    char *json = NULL;
    return mc_message_ingest(engine, &input, NULL, NULL, err) == MC_OK &&
           mc_engine_drain(engine, 10000, err) == MC_OK &&
           mc_preferences_signals(engine, user, &json, err) == MC_OK && print_json("learned", json);
}

static bool show(struct mc_engine *engine, mc_str user, struct mc_error *err)
{
    char *json = NULL;
    return mc_preferences_get(engine, user, &json, err) == MC_OK && print_json("in force", json);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: preferences DATABASE\n");
        return 2;
    }
    struct mc_error err;
    struct mc_config *config = NULL;
    struct mc_engine *engine = NULL;
    bool open = mc_config_new(&config, &err) == MC_OK &&
                mc_config_set(config, "database.path", argv[1], &err) == MC_OK &&
                mc_engine_open(config, &engine, &err) == MC_OK;
    mc_config_free(config);

    mc_str user = mc_str_of("lena");
    bool done =
        open && amend(engine, user, &err) && learn(engine, user, &err) && show(engine, user, &err);
    if (!done)
        fprintf(stderr, "preferences: %s\n", err.message);
    mc_engine_close(engine);
    return done ? 0 : 1;
}
