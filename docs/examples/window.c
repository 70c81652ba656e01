/*
 * Reads the newest part of a conversation within a budget of messages and tokens, as one would hand
 * it to a model, and shows how importance fades.
 *
 *     cc window.c $(pkg-config --cflags --libs mindcore) -o window
 *     ./window example.db
 */
#include <stdio.h>
#include <time.h>

#include <mindcore/mindcore.h>

static const int64_t day_us = (int64_t)24 * 60 * 60 * 1000000;

static bool ingest_turns(struct mc_engine *engine, int count, struct mc_error *err)
{
    for (int i = 1; i <= count; i++) {
        char text[120];
        snprintf(text, sizeof(text), "Turn %d: the export of report number %d stops with an error.",
                 i, i);
        struct mc_message_input input = {
            .user_id = mc_str_of("noor"),
            .thread_id = mc_str_of("reports"),
            .session_id = mc_str_of("s1"),
            .role = mc_str_of(i % 2 ? "user" : "assistant"),
            .text = mc_str_of(text),
        };
        if (mc_message_ingest(engine, &input, NULL, NULL, err) != MC_OK)
            return false;
    }
    return true;
}

static bool print_window(struct mc_engine *engine, struct mc_error *err)
{
    struct mc_window_query query = {
        .user_id = mc_str_of("noor"),
        .thread_id = mc_str_of("reports"),
        .max_messages = 5,
        .max_tokens = 1000,
        .min_importance = 0.1,
    };
    struct mc_message_list *window = NULL;
    if (mc_message_window(engine, &query, &window, err) != MC_OK)
        return false;
    size_t tokens = 0;
    for (size_t i = 0; i < window->count; i++) {
        const struct mc_message *message = window->items[i];
        tokens += mc_token_count(engine, message->text);
        printf("%s: %.*s\n", mc_role_name(message->role), (int)message->text.len,
               message->text.data);
    }
    printf("%zu messages, %zu tokens\n", window->count, tokens);

    int64_t now_us = (int64_t)time(NULL) * 1000000;
    for (int days = 0; window->count > 0 && days <= 28; days += 14)
        printf("importance in %d days: %.3f\n", days,
               mc_importance_decayed(engine, window->items[0], now_us + days * day_us));
    mc_message_list_free(window);
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: window DATABASE\n");
        return 2;
    }
    struct mc_error err;
    struct mc_config *config = NULL;
    struct mc_engine *engine = NULL;
    bool open = mc_config_new(&config, &err) == MC_OK &&
                mc_config_set(config, "database.path", argv[1], &err) == MC_OK &&
                mc_engine_open(config, &engine, &err) == MC_OK;
    mc_config_free(config);

    bool done = open && ingest_turns(engine, 30, &err) &&
                mc_engine_drain(engine, 10000, &err) == MC_OK && print_window(engine, &err);
    if (!done)
        fprintf(stderr, "window: %s\n", err.message);
    mc_engine_close(engine);
    return done ? 0 : 1;
}
