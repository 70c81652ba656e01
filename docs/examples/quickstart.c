/*
 * Stores a short conversation, waits until it is enriched, and prints what an agent should know
 * before it answers the next question.
 *
 *     cc quickstart.c $(pkg-config --cflags --libs mindcore) -o quickstart
 *     ./quickstart example.db
 */
#include <stdio.h>

#include <mindcore/mindcore.h>

static const struct {
    const char *role;
    const char *text;
} conversation[] = {
    {"user", "Hi there!"},
    {"user", "My order ORD-48213 arrived with a broken screen and I would like a refund."},
    {"assistant",
     "I am sorry about the screen. I have opened a refund request for order ORD-48213."},
    {"user", "Please send the money back to the card that I paid with, it was 249.90 EUR."},
    {"user", "thanks"},
};

static bool ingest_conversation(struct mc_engine *engine, struct mc_error *err)
{
    for (size_t i = 0; i < sizeof(conversation) / sizeof(conversation[0]); i++) {
        struct mc_message_input input = {
            .user_id = mc_str_of("maria"),
            .thread_id = mc_str_of("support-1"),
            .session_id = mc_str_of("monday"),
            .role = mc_str_of(conversation[i].role),
            .text = mc_str_of(conversation[i].text),
        };
        struct mc_message_list *stored = NULL;
        bool created = false;
        if (mc_message_ingest(engine, &input, &stored, &created, err) != MC_OK)
            return false;
        const struct mc_message *message = stored->items[0];
        printf("stored %.*s\n", (int)message->message_id.len, message->message_id.data);
        mc_message_list_free(stored);
    }
    return true;
}

static bool print_context(struct mc_engine *engine, struct mc_error *err)
{
    struct mc_context_query query = {
        .user_id = mc_str_of("maria"),
        .thread_id = mc_str_of("support-1"),
        .query = mc_str_of("What happened to the refund of my order?"),
        .max_tokens = 500,
    };
    struct mc_context *context = NULL;
    if (mc_context_assemble(engine, &query, &context, err) != MC_OK)
        return false;
    printf("%.*s\n", (int)context->assembled_context.len, context->assembled_context.data);
    for (size_t i = 0; i < context->key_point_count; i++)
        printf("key point: %.*s\n", (int)context->key_points[i].len, context->key_points[i].data);
    printf("%zu tokens of 500\n", context->tokens);
    mc_context_free(context);
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: quickstart DATABASE\n");
        return 2;
    }
    struct mc_error err;
    struct mc_config *config = NULL;
    struct mc_engine *engine = NULL;
    bool open = mc_config_new(&config, &err) == MC_OK &&
                mc_config_set(config, "database.path", argv[1], &err) == MC_OK &&
                mc_engine_open(config, &engine, &err) == MC_OK;
    mc_config_free(config);

    /* Reading needs no waiting; this shows the metadata complete. */
    bool done = open && ingest_conversation(engine, &err) &&
                mc_engine_drain(engine, 10000, &err) == MC_OK && print_context(engine, &err);
    if (!done)
        fprintf(stderr, "quickstart: %s\n", err.message);
    mc_engine_close(engine);
    return done ? 0 : 1;
}
