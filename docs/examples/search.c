/*
 * Searches a user's messages over all threads: by words, and by the topics that enrichment found.
 *
 *     cc search.c $(pkg-config --cflags --libs mindcore) -o search
 *     ./search example.db
 */
#include <stdio.h>

#include <mindcore/mindcore.h>

static const struct {
    const char *thread;
    const char *text;
} messages[] = {
    {"parcel", "Where is my parcel? The tracking number is 1Z999AA10123456784."},
    {"parcel", "The carrier says that the delivery is delayed until Friday."},
    {"account", "I forgot my password and cannot log in to my account."},
    {"billing", "Why was my card charged twice for the March invoice?"},
    {"billing", "Please send me the receipt for the subscription."},
};

static bool ingest_messages(struct mc_engine *engine, struct mc_error *err)
{
    enum { COUNT = sizeof(messages) / sizeof(messages[0]) };
    struct mc_message_input inputs[COUNT];
    struct mc_ingest_result results[COUNT];
    memset(inputs, 0, sizeof(inputs));
    for (size_t i = 0; i < COUNT; i++) {
        inputs[i].user_id = mc_str_of("jonas");
        inputs[i].thread_id = mc_str_of(messages[i].thread);
        inputs[i].session_id = mc_str_of("s1");
        inputs[i].role = mc_str_of("user");
        inputs[i].text = mc_str_of(messages[i].text);
    }
    if (mc_message_ingest_batch(engine, inputs, COUNT, results, NULL, err) != MC_OK)
        return false;
    for (size_t i = 0; i < COUNT; i++) {
        if (results[i].status != MC_OK) {
            *err = results[i].error;
            return false;
        }
    }
    return true;
}

static bool print_hits(struct mc_engine *engine, const char *title,
                       const struct mc_search_query *query, struct mc_error *err)
{
    struct mc_hit_list *hits = NULL;
    if (mc_search(engine, query, &hits, err) != MC_OK)
        return false;
    printf("%s: %zu found\n", title, hits->count);
    for (size_t i = 0; i < hits->count; i++) {
        const struct mc_message *message = hits->items[i].message;
        printf("  %.3f  [%.*s] %.*s\n", hits->items[i].score, (int)message->thread_id.len,
               message->thread_id.data, (int)message->text.len, message->text.data);
    }
    mc_hit_list_free(hits);
    return true;
}

static bool search(struct mc_engine *engine, struct mc_error *err)
{
    struct mc_search_query by_words = {
        .user_id = mc_str_of("jonas"),
        .text = mc_str_of("tracking of the delivery"),
        .limit = 3,
    };
    mc_str topics[] = {mc_str_of("invoice"), mc_str_of("password")};
    struct mc_search_query by_topic = {
        .user_id = mc_str_of("jonas"),
        .topics = topics,
        .topic_count = 2,
    };
    struct mc_search_query in_thread = {
        .user_id = mc_str_of("jonas"),
        .thread_id = mc_str_of("billing"),
        .text = mc_str_of("invoice"),
    };
    return print_hits(engine, "words", &by_words, err) &&
           print_hits(engine, "topics", &by_topic, err) &&
           print_hits(engine, "one thread", &in_thread, err);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: search DATABASE\n");
        return 2;
    }
    struct mc_error err;
    struct mc_config *config = NULL;
    struct mc_engine *engine = NULL;
    bool open = mc_config_new(&config, &err) == MC_OK &&
                mc_config_set(config, "database.path", argv[1], &err) == MC_OK &&
                mc_engine_open(config, &engine, &err) == MC_OK;
    mc_config_free(config);

    /* Words can be searched at once, topics when the workers are through. */
    bool done = open && ingest_messages(engine, &err) &&
                mc_engine_drain(engine, 10000, &err) == MC_OK && search(engine, &err);
    if (!done)
        fprintf(stderr, "search: %s\n", err.message);
    mc_engine_close(engine);
    return done ? 0 : 1;
}
