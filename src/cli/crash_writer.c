/*
 * The process that crashtest kills: several threads ingest as fast as they may, and say so after
 * each return. It ends only by being killed. Some messages of the run before it are sent again, as
 * a client does that heard no answer: those with an id of their own must not appear twice.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/str.h"
#include "base/thread.h"
#include "cli/cli.h"
#include "cli/crash.h"
#include "cli/random.h"

#define BATCH_MOST 16
#define PAUSE_NS 2000000
/* Messages sent again: so many before and behind the last one acknowledged. */
#define AGAIN_BEFORE 3
#define AGAIN_BEHIND 4
#define SABOTAGE_EVERY 5

struct writer {
    struct mc_cli *cli;
    uint64_t seed;
    unsigned run;
    bool batches_only;
    bool patient; /* the database may be gone for a while */
    bool drop;    /* acknowledge what was never ingested */
    bool alter;   /* acknowledge other content */
};

struct writing {
    struct writer *writer;
    unsigned thread;
};

/* One write of at most PIPE_BUF bytes is not torn by a kill. */
static void tell(const char *format, ...) MC_PRINTF(1, 2);
static void tell(const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    size_t size = len < 0 ? 0 : (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1;
    if (write(STDOUT_FILENO, line, size) != (ssize_t)size)
        _exit(MC_CLI_FAILED);
}

static void wrong(const char *what, const struct mc_crash_message *message,
                  const struct mc_error *err)
{
    tell("V %s %s: %s\n", message->name, what, err ? err->message : "");
    _exit(MC_CLI_FAILED);
}

static struct mc_message_input input_of(const struct mc_crash_message *message)
{
    return (struct mc_message_input){
        .user_id = mc_str_of(message->user_id),
        .thread_id = mc_str_of(message->thread_id),
        .session_id = mc_str_of(message->name),
        .role = mc_str_of(message->role),
        .text = mc_str_of(message->text),
        .message_id = message->message_id[0] ? mc_str_of(message->message_id) : MC_STR_NONE,
    };
}

static void acknowledge(const struct writer *writer, mc_str id,
                        const struct mc_crash_message *message, unsigned sequence)
{
    uint64_t hash = mc_str_hash(mc_str_of(message->text));
    if (writer->alter && sequence % SABOTAGE_EVERY == 1)
        hash++;
    tell("A %.*s %s %016llx\n", MC_STR_ARG(id), message->name, (unsigned long long)hash);
    if (writer->drop && sequence % SABOTAGE_EVERY == 1)
        tell("A never-%s %s %016llx\n", message->name, message->name, (unsigned long long)hash);
}

/* Whether a failure may be: then it says so. */
static bool excused(const struct writer *writer, enum mc_status status,
                    const struct mc_crash_message *message, const struct mc_error *err)
{
    if (!writer->patient || (status != MC_UNAVAILABLE && status != MC_BUSY && status != MC_TIMEOUT))
        return false;
    tell("F %s: %s\n", message->name, err->message);
    return true;
}

/* One that failed may be stored or not: it is sent again if it has an id of its own. */
static void write_single(const struct writer *writer, struct mc_crash_name name)
{
    struct mc_crash_message message;
    struct mc_message_list *stored = NULL;
    struct mc_error err = {0};
    bool created = false;
    enum mc_status status;
    mc_crash_make(writer->seed, name, &message);
    struct mc_message_input input = input_of(&message);
    while ((status = mc_message_ingest(writer->cli->engine, &input, &stored, &created, &err)) !=
           MC_OK) {
        if (!excused(writer, status, &message, &err))
            wrong("was not stored", &message, &err);
        if (!message.message_id[0])
            return;
    }
    acknowledge(writer, stored->items[0]->message_id, &message, name.sequence);
    mc_message_list_free(stored);
}

static void write_batch(const struct writer *writer, struct mc_crash_name name, size_t count)
{
    struct mc_crash_message messages[BATCH_MOST];
    struct mc_message_input inputs[BATCH_MOST];
    struct mc_ingest_result results[BATCH_MOST];
    struct mc_message_list *stored = NULL;
    struct mc_error err = {0};
    memset(results, 0, sizeof(results));
    for (size_t i = 0; i < count; i++) {
        struct mc_crash_name own = {name.run, name.thread, name.sequence + (unsigned)i};
        mc_crash_make(writer->seed, own, &messages[i]);
        inputs[i] = input_of(&messages[i]);
    }
    enum mc_status status =
        mc_message_ingest_batch(writer->cli->engine, inputs, count, results, &stored, &err);
    if (status != MC_OK && !excused(writer, status, &messages[0], &err))
        wrong("was not stored in a batch", &messages[0], &err);
    for (size_t i = 0; status != MC_OK && i < count; i++)
        if (messages[i].message_id[0])
            write_single(
                writer, (struct mc_crash_name){name.run, name.thread, name.sequence + (unsigned)i});
    if (status != MC_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        if (results[i].status != MC_OK)
            wrong("was refused in a batch", &messages[i], &results[i].error);
    }
    for (size_t i = 0; i < stored->count && i < count; i++)
        acknowledge(writer, stored->items[i]->message_id, &messages[i],
                    name.sequence + (unsigned)i);
    mc_message_list_free(stored);
}

static void *write_on(void *context)
{
    const struct writing *writing = context;
    const struct writer *writer = writing->writer;
    struct mc_crash_name name = {writer->run, writing->thread, 1};
    uint64_t state = writer->seed + ((uint64_t)writer->run << 16) + writing->thread;
    for (;;) {
        uint64_t choice = mc_random_next(&state);
        if (writer->batches_only || choice % 10 < 3) {
            size_t count = 2 + choice / 16 % (BATCH_MOST - 1);
            write_batch(writer, name, count);
            name.sequence += (unsigned)count;
        } else {
            write_single(writer, name);
            name.sequence++;
        }
        struct timespec pause = {.tv_nsec = (long)(mc_random_next(&state) % PAUSE_NS)};
        if (choice / 1024 % 2)
            nanosleep(&pause, NULL);
    }
    return NULL;
}

/* A message of the run before: one that was acknowledged is there already. */
static void write_again(const struct writer *writer, struct mc_crash_name name, bool acknowledged)
{
    struct mc_crash_message message;
    struct mc_error err = {0};
    bool created = false;
    mc_crash_make(writer->seed, name, &message);
    if (!message.message_id[0])
        return;
    struct mc_message_input input = input_of(&message);
    if (mc_message_ingest(writer->cli->engine, &input, NULL, &created, &err) != MC_OK)
        wrong("was refused when sent again", &message, &err);
    if (created && acknowledged)
        wrong("was acknowledged, and created again", &message, NULL);
    acknowledge(writer, input.message_id, &message, 1);
}

/* list: the last name acknowledged in each thread, "r3-t0-s17,r3-t1-s20". */
static void write_all_again(const struct writer *writer, mc_str list)
{
    mc_str item;
    while (list.len && mc_str_split(&list, ',', &item)) {
        struct mc_crash_name last;
        if (!mc_crash_parse(item, &last))
            continue;
        unsigned first = last.sequence > AGAIN_BEFORE ? last.sequence - AGAIN_BEFORE : 1;
        for (unsigned s = first; s <= last.sequence + AGAIN_BEHIND; s++)
            write_again(writer, (struct mc_crash_name){last.run, last.thread, s},
                        s <= last.sequence);
    }
}

int mc_cli_crash_writer(struct mc_cli *cli)
{
    const struct mc_args *args = &cli->args;
    struct mc_error err = {0};
    mc_str sabotage = mc_args_text(args, "sabotage");
    struct writer writer = {
        .cli = cli,
        .seed = (uint64_t)mc_args_integer(args, "seed", 1),
        .run = (unsigned)mc_args_integer(args, "run", 1),
        .batches_only = mc_args_given(args, "batch"),
        .patient = mc_args_given(args, "patient"),
        .drop = mc_str_equal(sabotage, MC_STR("drop-ack")),
        .alter = mc_str_equal(sabotage, MC_STR("alter-ack")),
    };
    size_t count = (size_t)mc_args_integer(args, "threads", 4);
    struct writing *threads = calloc(count, sizeof(*threads));
    if (!threads)
        return MC_CLI_FAILED;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    tell("R\n");
    write_all_again(&writer, mc_args_text(args, "again"));
    for (size_t i = 0; i < count; i++) {
        pthread_t thread;
        threads[i] = (struct writing){&writer, (unsigned)i};
        if (mc_thread_start(&thread, "crash-writer", write_on, &threads[i], &err) != MC_OK)
            return mc_cli_fail(&err);
    }
    for (;;)
        pause();
}
