/*
 * Stores messages from standard input, one JSON object a line, a hundred in a transaction, and says
 * which lines were refused and why.
 *
 *     cc batch.c $(pkg-config --cflags --libs mindcore) -o batch
 *     ./batch example.db < messages.jsonl
 *
 * A line: {"user_id": "u1", "thread_id": "t1", "session_id": "s1", "role": "user", "text": "Hello"}
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>

#include <mindcore/mindcore.h>

enum { BATCH = 100 };

struct reader {
    char *lines[BATCH]; /* owned */
    mc_str objects[BATCH];
    size_t count;
    size_t first_line; /* number of lines[0] in the input */
};

struct totals {
    size_t stored;
    size_t repeated;
    size_t refused;
};

static void reader_clear(struct reader *reader)
{
    for (size_t i = 0; i < reader->count; i++)
        free(reader->lines[i]);
    reader->first_line += reader->count;
    reader->count = 0;
}

/* Fills the reader; false at the end of the input. */
static bool reader_fill(struct reader *reader)
{
    while (reader->count < BATCH) {
        char *line = NULL;
        size_t size = 0;
        ssize_t len = getline(&line, &size, stdin);
        if (len < 0) {
            free(line);
            break;
        }
        reader->lines[reader->count] = line;
        reader->objects[reader->count] = (mc_str){line, (size_t)len};
        reader->count++;
    }
    return reader->count > 0;
}

static bool ingest_lines(struct mc_engine *engine, const struct reader *reader,
                         struct totals *totals, struct mc_error *err)
{
    struct mc_ingest_result results[BATCH];
    if (mc_message_ingest_json(engine, reader->objects, reader->count, results, NULL, err) != MC_OK)
        return false;
    for (size_t i = 0; i < reader->count; i++) {
        if (results[i].status != MC_OK) {
            totals->refused++;
            printf("line %zu refused: %s\n", reader->first_line + i, results[i].error.message);
        } else if (results[i].created) {
            totals->stored++;
        } else {
            totals->repeated++;
        }
    }
    return true;
}

static bool ingest_input(struct mc_engine *engine, struct mc_error *err)
{
    struct reader reader = {.first_line = 1};
    struct totals totals = {0};
    bool done = true;
    while (done && reader_fill(&reader)) {
        done = ingest_lines(engine, &reader, &totals, err);
        reader_clear(&reader);
    }
    printf("%zu stored, %zu there already, %zu refused\n", totals.stored, totals.repeated,
           totals.refused);
    return done;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: batch DATABASE < LINES\n");
        return 2;
    }
    struct mc_error err;
    struct mc_config *config = NULL;
    struct mc_engine *engine = NULL;
    bool open = mc_config_new(&config, &err) == MC_OK &&
                mc_config_set(config, "database.path", argv[1], &err) == MC_OK &&
                mc_engine_open(config, &engine, &err) == MC_OK;
    mc_config_free(config);

    bool done = open && ingest_input(engine, &err);
    if (!done)
        fprintf(stderr, "batch: %s\n", err.message);
    mc_engine_close(engine);
    return done ? 0 : 1;
}
