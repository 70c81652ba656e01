/*
 * How many messages a second does a model enrich, and what do prefix reuse, batching and appending the
 * fixed text bring?
 *
 *     bench_llm [THREADS [MODEL.gguf]]
 *
 * Without MODEL a model of random weights with 125 million parameters is made. Everything uses the real
 * question (enrich/prompt.h) and as many threads as Mindcore would by default. (a) to (d) are plain
 * loops over libllama (llm_loops.h), (e) is Mindcore from the ingested message to the stored answer.
 *
 * A random model says nearly nothing that a grammar allows and spells words in small pieces, which
 * makes constraints look dear. So (b), (d) and (e) are measured with what the model says, and (a) to (d)
 * in replay: the same work is done, but the tokens taken are those of a natural answer. That is the
 * estimate for a trained model. Figures are medians of rounds in which all ways take turns; ratios are
 * medians of the rounds' ratios.
 *
 * (f) asks a service, scripted, of 500 ms latency, and is held against what its latency allows.
 *
 * Targets: (d) 2.5 times (b) sampled and 1.9 times replayed; (e) 0.9 of (d); (f) 60 messages a second.
 */
#include <mindcore/mindcore.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "enrich/prompt.h"
#include "messages.h"
#include "support/script_server.h"
#include "text/trivial.h"
#ifdef MKMODEL
#include "llm_loops.h"
#endif

#define ROUNDS 3
#define MESSAGES 1024 /* no two alike: an answer that is known is not asked for again */
#define WORKERS "4"

static struct mc_error error;

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: failed: %s %s\n", __FILE__, __LINE__, #what, error.message);   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static const char natural[] =
    "{\"topics\":[\"refund\",\"order\"],\"categories\":[\"billing\",\"orders\"],"
    "\"intent\":\"complaint\",\"sentiment\":\"negative\",\"sentiment_score\":-6,\"importance\":7,"
    "\"entities\":[{\"type\":\"order_id\",\"value\":\"12345\"},{\"type\":\"amount\",\"value\":"
    "\"$49.99\"}],\"key_phrases\":[\"arrived damaged\",\"want a refund\"]}";

static struct mc_arena arena;
static mc_str texts[MESSAGES]; /* what users say */
static size_t next_text;       /* of those, the first that Mindcore has not seen */
static char folder[512];

static int compare_numbers(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(const double *values, size_t count)
{
    double sorted[ROUNDS];
    memcpy(sorted, values, count * sizeof(*values));
    qsort(sorted, count, sizeof(*sorted), compare_numbers);
    return sorted[count / 2];
}

static void make_texts(void)
{
    struct mc_trivial_detector *trivial = NULL;
    enum mc_trivial category;
    CHECK(mc_trivial_new(&trivial, (mc_str){0}, &error) == MC_OK);
    for (size_t i = 0, n = 0; n < MESSAGES; i++) {
        const char *message = messages[i % MESSAGE_COUNT];
        if (mc_trivial_detect(trivial, MC_ROLE_USER, mc_str_of(message), &category))
            continue;
        texts[n] = mc_arena_printf(&arena, "%s My case number is %zu.", message, 1000 + n);
        CHECK(texts[n++].data);
    }
    mc_trivial_free(trivial);
}

/* ---- Mindcore ---- */

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *place)
{
    (void)st;
    (void)kind;
    (void)place;
    return remove(path);
}

static void set(struct mc_config *config, const char *key, const char *value)
{
    CHECK(mc_config_set(config, key, value, &error) == MC_OK);
}

/* name: of its database in the folder. */
static struct mc_config *new_config(const char *name)
{
    char path[600];
    struct mc_config *config = NULL;
    CHECK(mc_config_new(&config, &error) == MC_OK);
    snprintf(path, sizeof(path), "%s/%s.db", folder, name);
    set(config, "database.path", path);
    set(config, "cache.persistent", "false");
    set(config, "enrichment.workers", WORKERS);
    return config;
}

static void check_by_model(struct mc_engine *engine, const struct mc_message *message)
{
    struct mc_message_list *found = NULL;
    CHECK(mc_message_get(engine, message->message_id, (mc_str){0}, &found, &error) == MC_OK);
    mc_auto(mc_json_free_ptr) struct mc_json *metadata = NULL;
    CHECK(mc_json_parse(found->items[0]->metadata, &metadata, &error) == MC_OK);
    if (!mc_str_equal(mc_json_string(mc_json_get(metadata, "method")), MC_STR("llm"))) {
        fprintf(stderr, "bench_llm: a message was not enriched by the model: %.*s\n",
                MC_STR_ARG(found->items[0]->metadata));
        exit(1);
    }
    mc_message_list_free(found);
}

/* Messages a second, from the first ingested to the last answer stored. */
static double enrich(struct mc_engine *engine, size_t count)
{
    struct mc_message_input *inputs = mc_arena_array(&arena, count, sizeof(*inputs));
    struct mc_ingest_result *results = mc_arena_array(&arena, count, sizeof(*results));
    CHECK(inputs && results && next_text + count <= MESSAGES);
    for (size_t i = 0; i < count; i++) {
        inputs[i] = (struct mc_message_input){
            .user_id = MC_STR("user"),
            .thread_id = mc_arena_printf(&arena, "thread-%zu", next_text),
            .session_id = MC_STR("session"),
            .role = MC_STR("user"),
            .text = texts[next_text++],
        };
    }
    struct mc_message_list *stored = NULL;
    int64_t start_us = mc_time_monotonic_us();
    CHECK(mc_message_ingest_batch(engine, inputs, count, results, &stored, &error) == MC_OK);
    CHECK(mc_engine_drain(engine, 300000, &error) == MC_OK);
    double seconds = (double)(mc_time_monotonic_us() - start_us) / 1e6;
    for (size_t i = 0; i < stored->count; i++)
        check_by_model(engine, stored->items[i]);
    mc_message_list_free(stored);
    return (double)count / seconds;
}

/* ---- A service ---- */

#define LATENCY_US 500000
#define SERVICE_GOAL 60.0

/* A completion whose content is the natural answer, for each question when there are several. */
static char *answer_service(void *context, const struct script_request *request, int *code)
{
    (void)context;
    (void)code;
    mc_auto(mc_buf_fini) struct mc_buf content;
    mc_auto(mc_json_free_ptr) struct mc_json *body = NULL;
    struct mc_error err;
    mc_buf_init(&content, (size_t)1024 * 1024);
    if (mc_json_parse((mc_str){request->body, request->body_len}, &body, &err))
        return NULL;
    const struct mc_json *schema =
        mc_json_get(mc_json_get(mc_json_get(body, "response_format"), "json_schema"), "schema");
    const struct mc_json *results = mc_json_get(mc_json_get(schema, "properties"), "results");
    const struct mc_json *ids = mc_json_get(
        mc_json_get(mc_json_get(mc_json_get(results, "items"), "properties"), "id"), "enum");
    if (!results)
        mc_buf_text(&content, natural);
    for (size_t i = 0; i < mc_json_count(ids); i++)
        mc_buf_printf(&content, "%s{\"id\":\"%.*s\",\"result\":%s}", i ? "," : "{\"results\":[",
                      MC_STR_ARG(mc_json_string(mc_json_at(ids, i))), natural);
    if (results)
        mc_buf_text(&content, "]}");
    struct mc_buf reply;
    mc_buf_init(&reply, (size_t)2 * 1024 * 1024);
    struct mc_json_writer w = mc_json_writer(&reply);
    mc_buf_text(&reply, "{\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"message\":"
                        "{\"role\":\"assistant\",\"content\":");
    mc_json_put_string(&w, mc_buf_str(&content));
    mc_buf_printf(&reply, "}}],\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%zu}}",
                  request->body_len / 4, content.len / 4);
    return mc_buf_take(&reply, NULL);
}

static bool measure_service(void)
{
    struct script_server *server = script_server_start();
    script_server_always(server, (struct script_answer){.build = answer_service,
                                                        .headers = "Content-Type: "
                                                                   "application/json\r\n",
                                                        .delay_us = LATENCY_US});
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/v1", script_server_port(server));
    struct mc_config *config = new_config("service");
    struct mc_engine *engine = NULL;
    set(config, "llm.provider", "openai");
    set(config, "llm.openai.base_url", url);
    set(config, "llm.openai.api_key", "none");
    double limit = (double)(mc_config_integer(config, "enrichment.workers") *
                            mc_config_integer(config, "enrichment.in_flight") *
                            mc_config_integer(config, "enrichment.batch")) /
                   ((double)LATENCY_US / 1e6);
    CHECK(mc_engine_open(config, &engine, &error) == MC_OK);
    mc_config_free(config);
    enrich(engine, 8); /* connections */
    double rate = enrich(engine, 512);
    printf("\n(f) service of %d ms, " WORKERS " workers  %7.1f messages/s, %.2f of the limit %.0f,"
           " goal %.0f: %s\n",
           LATENCY_US / 1000, rate, rate / limit, limit, SERVICE_GOAL,
           rate >= SERVICE_GOAL ? "reached" : "MISSED");
    mc_engine_close(engine);
    script_server_stop(server);
    return rate >= SERVICE_GOAL;
}

/* ---- The local model ---- */

#ifdef MKMODEL

enum { WHOLE, PREFIX, SLOTS, APPENDED, MINDCORE, WAYS };

static const struct {
    const char *name;
    struct llm_loop_mode mode;
    size_t counts[2]; /* messages of a round: sampled (0: not measured), replayed */
} ways[WAYS] = {
    [WHOLE] = {"(a) whole prompt each time", {.whole_prompt = true, .slots = 1}, {0, 1}},
    [PREFIX] = {"(b) prefix kept, one at a time", {.slots = 1}, {1, 2}},
    [SLOTS] = {"(c) prefix kept, 4 sequences", {.slots = 4}, {0, 4}},
    [APPENDED] = {"(d) and fixed text appended", {.appended = true, .slots = 4}, {12, 8}},
    [MINDCORE] = {"(e) Mindcore, " WORKERS " workers", {.slots = 4}, {12, 0}},
};

struct measured {
    double rate[ROUNDS];
    struct llm_loop_result total;
};

static void make_model(const char *path)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(freopen("/dev/null", "w", stdout));
        execl(MKMODEL, "mkmodel", path, "--size", "125m", (char *)NULL);
        _exit(127);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "bench_llm: %s failed\n", MKMODEL);
        exit(1);
    }
}

static void make_task(const struct mc_prompt *prompt, struct llm_task *task)
{
    mc_str *turns = mc_arena_array(&arena, MESSAGES, sizeof(*turns));
    CHECK(turns);
    for (size_t i = 0; i < MESSAGES; i++) {
        struct mc_message message = {.role = MC_ROLE_USER, .text = texts[i]};
        turns[i] = mc_prompt_turn(&message, &arena);
        CHECK(turns[i].data);
    }
    *task = (struct llm_task){
        .system = prompt->system,
        .messages = turns,
        .count = MESSAGES,
        .schema = prompt->schema,
        .natural = mc_str_of(natural),
    };
    CHECK(mc_schema_check(prompt->schema, task->natural, &error) == MC_OK);
}

static struct mc_engine *open_local(const char *model_path, int threads)
{
    char text[16];
    struct mc_config *config = new_config("local");
    struct mc_engine *engine = NULL;
    set(config, "llm.provider", "llama_cpp");
    set(config, "llm.llama_cpp.model_path", model_path);
    snprintf(text, sizeof(text), "%d", threads);
    set(config, "llm.llama_cpp.n_threads", text);
    CHECK(mc_engine_open(config, &engine, &error) == MC_OK);
    mc_config_free(config);
    enrich(engine, 4); /* loads the model and evaluates the prefix */
    return engine;
}

/* What takes turns: the loops with flash attention and without, and Mindcore. */
struct rivals {
    struct llm_loops *flash, *plain;
    struct mc_engine *engine;
};

static void run_round(const struct rivals *rivals, size_t round, struct measured measured[2][WAYS])
{
    for (int replay = 0; replay < 2; replay++) {
        for (int way = WHOLE; way < WAYS; way++) {
            struct measured *into = &measured[replay][way];
            size_t count = ways[way].counts[replay];
            if (count == 0)
                continue;
            if (way == MINDCORE) {
                into->rate[round] = enrich(rivals->engine, count);
                continue;
            }
            struct llm_loop_mode mode = ways[way].mode;
            struct llm_loop_result result = {0};
            mode.replay = replay;
            llm_loops_run(mode.appended ? rivals->plain : rivals->flash, &mode, round * 16, count,
                          &result);
            into->rate[round] = (double)result.messages / result.seconds;
            into->total.messages += result.messages;
            into->total.sampled_tokens += result.sampled_tokens;
            into->total.appended_tokens += result.appended_tokens;
            into->total.masks += result.masks;
            into->total.invalid += result.invalid;
        }
    }
}

static double ratio(const struct measured *of, const struct measured *to)
{
    double ratios[ROUNDS];
    for (size_t i = 0; i < ROUNDS; i++)
        ratios[i] = of->rate[i] / to->rate[i];
    return median(ratios, ROUNDS);
}

static void print_way(const char *name, const struct measured *way, const struct measured *base)
{
    printf("%-32s %8.3f %6.2f", name, median(way->rate, ROUNDS), ratio(way, base));
    if (way->total.messages > 0) {
        double count = (double)way->total.messages;
        printf(" %9.0f %9.0f %7.0f %8zu", (double)way->total.sampled_tokens / count,
               (double)way->total.appended_tokens / count, (double)way->total.masks / count,
               way->total.invalid);
    }
    putchar('\n');
}

static bool print_goal(const char *what, double value, double goal)
{
    printf("%-48s %5.2f, goal %.1f: %s\n", what, value, goal, value >= goal ? "reached" : "MISSED");
    return value >= goal;
}

static bool print_local(struct measured measured[2][WAYS])
{
    static const char *const titles[] = {"sampled by a random model", "replay of a natural answer"};
    for (int replay = 0; replay < 2; replay++) {
        printf("\n%-32s %8s %6s %9s %9s %7s %8s\n", titles[replay], "msg/s", "to (b)", "sampled/m",
               "appended/m", "masks/m", "invalid");
        for (int way = WHOLE; way < WAYS; way++) {
            if (ways[way].counts[replay] > 0)
                print_way(ways[way].name, &measured[replay][way], &measured[replay][PREFIX]);
        }
    }
    putchar('\n');
    bool reached =
        print_goal("(d) to (b), sampled", ratio(&measured[0][APPENDED], &measured[0][PREFIX]), 2.5);
    reached &=
        print_goal("(d) to (b), replay", ratio(&measured[1][APPENDED], &measured[1][PREFIX]), 1.9);
    reached &= print_goal("(e) to (d), sampled",
                          ratio(&measured[0][MINDCORE], &measured[0][APPENDED]), 0.9);
    return reached;
}

static double cpu_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool measure_local(int threads, const char *model_path)
{
    char path[600];
    struct mc_vocabulary *vocabulary = NULL;
    struct mc_prompt *prompt = NULL;
    struct llm_task task;
    struct measured measured[2][WAYS] = {0};
    snprintf(path, sizeof(path), "%s/model.gguf", folder);
    if (!model_path)
        make_model(path);
    CHECK(mc_vocabulary_new(&vocabulary, &error) == MC_OK);
    CHECK(mc_prompt_new(vocabulary, &prompt, &error) == MC_OK);
    make_task(prompt, &task);
    if (!model_path)
        model_path = path;
    struct rivals rivals = {
        .flash = llm_loops_open(model_path, threads, 4, true, &task),
        .plain = llm_loops_open(model_path, threads, 4, false, &task),
        .engine = open_local(model_path, threads),
    };
    printf("prefix of %zu tokens, %d threads\n", llm_loops_prefix_tokens(rivals.plain), threads);
    double began = cpu_seconds();
    int64_t start_us = mc_time_monotonic_us();
    for (size_t round = 0; round < ROUNDS; round++)
        run_round(&rivals, round, measured);
    double wall = (double)(mc_time_monotonic_us() - start_us) / 1e6 * threads;
    double share = (cpu_seconds() - began) / wall;
    if (share < 0.9)
        printf("the machine did other work: we had %.0f %% of our threads' time, so that little of "
               "what follows is certain\n",
               share * 100);
    bool reached = print_local(measured);
    mc_engine_close(rivals.engine);
    llm_loops_close(rivals.flash);
    llm_loops_close(rivals.plain);
    mc_prompt_free(prompt);
    mc_vocabulary_free(vocabulary);
    return reached;
}

#else

static bool measure_local(int threads, const char *model_path)
{
    (void)threads;
    (void)model_path;
    puts("(a) to (e) need llama.cpp, which this build is without: make llama");
    return true;
}

#endif

int main(int argc, char **argv)
{
    int threads = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (threads <= 0)
        threads = mc_core_count() > 2 ? mc_core_count() - 2 : 1;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof(folder), "%s/bench-llm-XXXXXX", base && *base ? base : P_tmpdir);
    CHECK(mkdtemp(folder));
    mc_arena_init(&arena, (size_t)64 * 1024 * 1024);
    make_texts();
    bool reached = measure_local(threads, argc > 2 ? argv[2] : NULL);
    reached &= measure_service();
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    mc_arena_fini(&arena);
    return reached ? 0 : 1;
}
