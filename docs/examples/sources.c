/*
 * An order system answers questions about orders: it is asked while a context is assembled, and what it
 * says stands beside what the user said. The second answer comes from the cache.
 *
 *     cc sources.c $(pkg-config --cflags --libs mindcore) -o sources
 *     ./sources example.db
 */
#include <stdio.h>

#include <mindcore/mindcore.h>

/* What the order system knows. */
static const struct order {
    const char *user;
    const char *number;
    const char *state;
} orders[] = {
    {"lena", "4711", "a desk lamp, sent on Monday, expected on Thursday"},
    {"lena", "4388", "two bookshelves, delivered in May"},
    {"marco", "5002", "a kettle, waiting for payment"},
};

/* Only orders of the user who is asked about: what is added here is shown to that user's agent. */
static enum mc_status find_orders(void *context, const struct mc_source_query *query,
                                  struct mc_source_answer *answer, struct mc_error *err)
{
    (void)context; /* a connection to the order system would be here */
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        const struct order *order = &orders[i];
        if (strlen(order->user) != query->user_id.len ||
            memcmp(order->user, query->user_id.data, query->user_id.len) != 0)
            continue;
        char title[32];
        snprintf(title, sizeof(title), "Order %s", order->number);
        enum mc_status status =
            mc_source_add(answer, mc_str_of(title), mc_str_of(order->state), err);
        if (status != MC_OK)
            return status;
    }
    return MC_OK; /* also when nothing was added: then nothing is known */
}

static bool register_orders(struct mc_engine *engine, struct mc_error *err)
{
    mc_str topics[] = {mc_str_of("order"), mc_str_of("delivery")};
    struct mc_source_options options = {
        .name = mc_str_of("orders"),
        .description = mc_str_of("state and expected delivery of a customer's orders"),
        .topics = topics,
        .topic_count = 2,
        .lookup = find_orders,
        .timeout_ms = 5000,
        .cache_ttl_ms = 60000,
    };
    return mc_source_register(engine, &options, err) == MC_OK;
}

static bool print_context(struct mc_engine *engine, const char *user, const char *text,
                          struct mc_error *err)
{
    struct mc_context_query query = {
        .user_id = mc_str_of(user),
        .thread_id = mc_str_of("t1"),
        .query = mc_str_of(text),
    };
    struct mc_context *context = NULL;
    if (mc_context_assemble(engine, &query, &context, err) != MC_OK)
        return false;
    printf("%s asks: %s\n%.*s\n", user, text, (int)context->assembled_context.len,
           context->assembled_context.data);
    if (strstr(context->metadata.data, "\"cached\":true"))
        printf("(from the cache)\n");
    printf("\n");
    mc_context_free(context);
    return true;
}

static bool answer_questions(struct mc_engine *engine, struct mc_error *err)
{
    struct mc_message_input input = {
        .user_id = mc_str_of("lena"),
        .thread_id = mc_str_of("t1"),
        .session_id = mc_str_of("s1"),
        .role = mc_str_of("user"),
        .text = mc_str_of("The lamp is a present, it must be here by Friday."),
    };
    char *list = NULL;
    if (mc_message_ingest(engine, &input, NULL, NULL, err) != MC_OK ||
        !register_orders(engine, err) ||
        !print_context(engine, "lena", "Where is my order?", err) ||
        !print_context(engine, "lena", "Where is my order?", err) ||
        !print_context(engine, "marco", "Where is my order?", err) ||
        mc_source_list(engine, &list, err) != MC_OK)
        return false;
    printf("%s\n", list);
    mc_free(list);
    return mc_source_remove(engine, mc_str_of("orders"), err) == MC_OK;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: sources DATABASE\n");
        return 2;
    }
    struct mc_error err;
    struct mc_config *config = NULL;
    struct mc_engine *engine = NULL;
    bool open = mc_config_new(&config, &err) == MC_OK &&
                mc_config_set(config, "database.path", argv[1], &err) == MC_OK &&
                mc_engine_open(config, &engine, &err) == MC_OK;
    mc_config_free(config);

    bool done = open && answer_questions(engine, &err);
    if (!done)
        fprintf(stderr, "sources: %s\n", err.message);
    mc_engine_close(engine);
    return done ? 0 : 1;
}
