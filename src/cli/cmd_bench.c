/*
 * mindcore bench recall: how well questions find the turns that answer them.
 *
 * DATA is a JSON array in the form of the LoCoMo release: of each conversation an object `conversation`
 * with `session_N` (turns: speaker, dia_id, text, blip_caption) and `session_N_date_time` ("1:56 pm on 8
 * May, 2023"), and an array `qa` of questions with `question`, `category` and `evidence` (ids of turns).
 * A conversation becomes a user with one thread; a turn a message that begins with its speaker's name; a
 * picture's caption stands in brackets. Everything goes through the public interface, as an application's
 * calls do.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "base/time.h"
#include "cli/cli.h"
#include "cli/folder.h"
#include "cli/progress.h"
#include "cli/table.h"

#define DATA_BYTES ((size_t)256 << 20)
#define HITS 50
#define EVIDENCE_MOST 64
#define CATEGORIES 5
#define APART 5 /* the category of questions that have no answer: not in the sums */
#define PATH_BYTES 512

static const size_t DEPTHS[] = {5, 10, 25, 50};
#define DEPTH_COUNT (sizeof(DEPTHS) / sizeof(DEPTHS[0]))

/* Sums over questions. */
struct score {
    size_t questions;
    double recall[DEPTH_COUNT];
    double reciprocal; /* of the rank of the first evidence */
    double in_context; /* share of the evidence that the context shows */
    double tokens;     /* of the context */
};

struct bench {
    struct mc_cli *cli;
    struct mc_arena arena;
    struct mc_buf text; /* the file; a message in the making */
    size_t messages;
    struct score all, categories[CATEGORIES + 1];
    int64_t *took_us; /* of searches */
    size_t took_count, took_capacity;
    int64_t *context_us;
};

/* ---- Reading the data ---- */

/* "1:56 pm on 8 May, 2023" */
static bool parse_date(mc_str text, int64_t *time_us)
{
    static const char *const months[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
    char copy[64], half[8], month[16];
    int hour, minute, day, year;
    snprintf(copy, sizeof(copy), "%.*s", MC_STR_ARG(text));
    if (sscanf(copy, "%d:%d %7s on %d %15[A-Za-z], %d", &hour, &minute, half, &day, month, &year) !=
        6)
        return false;
    for (int i = 0; i < 12; i++) {
        if (strcmp(month, months[i]) != 0)
            continue;
        hour = hour % 12 + (strcmp(half, "pm") == 0 ? 12 : 0);
        *time_us = mc_time_from_civil(year, i + 1, day) +
                   (hour * INT64_C(60) + minute) * 60 * MC_US_PER_SECOND;
        return true;
    }
    return false;
}

static enum mc_status ingest_turn(struct bench *b, mc_str user, mc_str session, int64_t at_us,
                                  bool first_speaker, const struct mc_json *turn,
                                  struct mc_error *err)
{
    mc_str caption = mc_json_string(mc_json_get(turn, "blip_caption"));
    mc_str speaker = mc_json_string(mc_json_get(turn, "speaker"));
    mc_str id = mc_json_string(mc_json_get(turn, "dia_id"));
    if (speaker.len == 0 || id.len == 0)
        return mc_fail_field(err, MC_INVALID, "DATA",
                             "a turn in %.*s of %.*s has no speaker or no dia_id",
                             MC_STR_ARG(session), MC_STR_ARG(user));
    mc_buf_reset(&b->text);
    mc_buf_append(&b->text, speaker);
    mc_buf_text(&b->text, ": ");
    mc_buf_append(&b->text, mc_json_string(mc_json_get(turn, "text")));
    if (caption.len > 0) {
        mc_buf_text(&b->text, " [picture: ");
        mc_buf_append(&b->text, caption);
        mc_buf_char(&b->text, ']');
    }
    mc_str message_id = mc_arena_printf(&b->arena, "%.*s.%.*s", MC_STR_ARG(user), MC_STR_ARG(id));
    if (b->text.failed || !message_id.data)
        return mc_fail_memory(err);
    struct mc_message_input input = {
        .user_id = user,
        .thread_id = MC_STR("conversation"),
        .session_id = session,
        .role = first_speaker ? MC_STR("user") : MC_STR("assistant"),
        .text = mc_buf_str(&b->text),
        .message_id = message_id,
        .created_at_us = at_us,
    };
    enum mc_status status = mc_message_ingest(b->cli->engine, &input, NULL, NULL, err);
    b->messages += status == MC_OK;
    return status ? mc_fail_prefix(err, status, "turn %.*s", MC_STR_ARG(message_id)) : MC_OK;
}

static enum mc_status ingest_conversation(struct bench *b, mc_str user,
                                          const struct mc_json *conversation, struct mc_error *err)
{
    mc_str first = mc_json_string(mc_json_get(conversation, "speaker_a"));
    enum mc_status status = MC_OK;
    for (int n = 1; !status && n < 1000; n++) {
        char key[64];
        snprintf(key, sizeof(key), "session_%d_date_time", n);
        const struct mc_json *when = mc_json_get(conversation, key);
        snprintf(key, sizeof(key), "session_%d", n);
        const struct mc_json *turns = mc_json_get(conversation, key);
        int64_t at_us;
        if (!turns || mc_json_count(turns) == 0)
            continue;
        if (!parse_date(mc_json_string(when), &at_us))
            return mc_fail_field(err, MC_INVALID, key, "%s_date_time of %.*s is no time", key,
                                 MC_STR_ARG(user));
        for (size_t i = 0; !status && i < mc_json_count(turns); i++) {
            const struct mc_json *turn = mc_json_at(turns, i);
            bool of_first = mc_str_equal(mc_json_string(mc_json_get(turn, "speaker")), first);
            status = ingest_turn(b, user, mc_str_of(key), at_us + (int64_t)i * MC_US_PER_SECOND,
                                 of_first, turn, err);
        }
    }
    return status;
}

/* Ids as "D8:6", some of them several in one text or with odd zeros: "D8:6; D9:17", "D30:05". */
static size_t read_evidence(const struct mc_json *list, mc_str user, struct mc_arena *arena,
                            mc_str *ids)
{
    size_t count = 0;
    for (size_t i = 0; i < mc_json_count(list); i++) {
        mc_str text = mc_json_string(mc_json_at(list, i));
        for (size_t at = 0; at + 1 < text.len && count < EVIDENCE_MOST; at++) {
            char copy[32];
            int session, turn;
            if (text.data[at] != 'D')
                continue;
            snprintf(copy, sizeof(copy), "%.*s", (int)(text.len - at), text.data + at);
            if (sscanf(copy, "D%d:%d", &session, &turn) == 2 ||
                sscanf(copy, "D:%d:%d", &session, &turn) == 2)
                ids[count++] =
                    mc_arena_printf(arena, "%.*s.D%d:%d", MC_STR_ARG(user), session, turn);
        }
    }
    return count;
}

/* ---- Asking ---- */

static void add_scores(struct score *sum, const struct score *one)
{
    sum->questions++;
    for (size_t i = 0; i < DEPTH_COUNT; i++)
        sum->recall[i] += one->recall[i];
    sum->reciprocal += one->reciprocal;
    sum->in_context += one->in_context;
    sum->tokens += one->tokens;
}

static enum mc_status search(struct bench *b, mc_str user, mc_str question, const mc_str *evidence,
                             size_t count, struct score *score, struct mc_error *err)
{
    struct mc_hit_list *hits = NULL;
    struct mc_search_query query = {.user_id = user, .text = question, .limit = HITS};
    int64_t started_us = mc_time_monotonic_us();
    enum mc_status status = mc_search(b->cli->engine, &query, &hits, err);
    if (status)
        return status;
    b->took_us[b->took_count] = mc_time_monotonic_us() - started_us;
    for (size_t rank = hits->count; rank > 0; rank--) {
        for (size_t e = 0; e < count; e++) {
            if (!mc_str_equal(hits->items[rank - 1].message->message_id, evidence[e]))
                continue;
            score->reciprocal = 1.0 / (double)rank;
            for (size_t d = 0; d < DEPTH_COUNT; d++)
                score->recall[d] += rank <= DEPTHS[d] ? 1.0 / (double)count : 0;
        }
    }
    mc_hit_list_free(hits);
    return MC_OK;
}

static enum mc_status assemble(struct bench *b, mc_str user, mc_str question,
                               const mc_str *evidence, size_t count, struct score *score,
                               struct mc_error *err)
{
    struct mc_context *context = NULL;
    struct mc_context_query query = {
        .user_id = user, .thread_id = MC_STR("now"), .query = question, .mode = MC_CONTEXT_FAST};
    int64_t started_us = mc_time_monotonic_us();
    enum mc_status status = mc_context_assemble(b->cli->engine, &query, &context, err);
    if (status)
        return status;
    b->context_us[b->took_count] = mc_time_monotonic_us() - started_us;
    mc_auto(mc_json_free_ptr) struct mc_json *metadata = NULL;
    status = mc_json_parse(context->metadata, &metadata, err);
    const struct mc_json *items = mc_json_get(metadata, "items");
    for (size_t i = 0; i < mc_json_count(items); i++) {
        mc_str id = mc_json_string(mc_json_get(mc_json_at(items, i), "message_id"));
        for (size_t e = 0; e < count; e++)
            score->in_context += mc_str_equal(id, evidence[e]) ? 1.0 / (double)count : 0;
    }
    score->tokens = (double)context->tokens;
    mc_context_free(context);
    return status;
}

static bool make_room(struct bench *b)
{
    if (b->took_count < b->took_capacity)
        return true;
    size_t capacity = b->took_capacity ? 2 * b->took_capacity : 1024;
    int64_t *took = realloc(b->took_us, capacity * sizeof(*took));
    if (took)
        b->took_us = took;
    int64_t *context = realloc(b->context_us, capacity * sizeof(*context));
    if (context)
        b->context_us = context;
    if (took && context)
        b->took_capacity = capacity;
    return took && context;
}

static enum mc_status ask(struct bench *b, mc_str user, const struct mc_json *qa,
                          struct mc_error *err)
{
    mc_str evidence[EVIDENCE_MOST];
    mc_str question = mc_json_string(mc_json_get(qa, "question"));
    int64_t category = mc_json_integer(mc_json_get(qa, "category"));
    size_t count = read_evidence(mc_json_get(qa, "evidence"), user, &b->arena, evidence);
    if (count == 0 || question.len == 0 || category < 1 || category > CATEGORIES)
        return MC_OK;
    if (!make_room(b))
        return mc_fail_memory(err);
    struct score score = {.questions = 1};
    enum mc_status status = search(b, user, question, evidence, count, &score, err);
    if (!status)
        status = assemble(b, user, question, evidence, count, &score, err);
    if (status)
        return status;
    b->took_count++;
    add_scores(&b->categories[category], &score);
    if (category != APART)
        add_scores(&b->all, &score);
    return MC_OK;
}

/* ---- The report ---- */

static int compare_times(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static double quantile_ms(const int64_t *sorted, size_t count, double q)
{
    return count ? (double)sorted[(size_t)(q * (double)(count - 1))] / 1000 : 0;
}

static double percent(double sum, const struct score *score)
{
    return score->questions ? 100 * sum / (double)score->questions : 0;
}

static void write_score(struct mc_json_writer *w, const char *name, const struct score *score)
{
    mc_json_key(w, name);
    mc_json_begin(w, '{');
    mc_json_member_integer(w, "questions", (int64_t)score->questions);
    for (size_t i = 0; i < DEPTH_COUNT; i++) {
        char key[32];
        snprintf(key, sizeof(key), "recall_at_%zu", DEPTHS[i]);
        mc_json_member_fixed(w, key, percent(score->recall[i], score), 1);
    }
    mc_json_member_fixed(w, "mrr", percent(score->reciprocal, score), 1);
    mc_json_member_fixed(w, "in_context", percent(score->in_context, score), 1);
    mc_json_member_fixed(w, "context_tokens", percent(score->tokens, score) / 100, 0);
    mc_json_end(w, '}');
}

static int print_json(const struct bench *b)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, (size_t)1 << 20);
    struct mc_json_writer w = mc_json_writer(&buf);
    mc_json_begin(&w, '{');
    mc_json_member_integer(&w, "messages", (int64_t)b->messages);
    write_score(&w, "all", &b->all);
    for (int i = 1; i <= CATEGORIES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "category_%d", i);
        write_score(&w, name, &b->categories[i]);
    }
    mc_json_member_fixed(&w, "search_p50_ms", quantile_ms(b->took_us, b->took_count, 0.5), 3);
    mc_json_member_fixed(&w, "search_p95_ms", quantile_ms(b->took_us, b->took_count, 0.95), 3);
    mc_json_member_fixed(&w, "context_p50_ms", quantile_ms(b->context_us, b->took_count, 0.5), 3);
    mc_json_member_fixed(&w, "context_p95_ms", quantile_ms(b->context_us, b->took_count, 0.95), 3);
    mc_json_end(&w, '}');
    printf("%s\n", buf.failed ? "{}" : buf.data);
    return buf.failed ? MC_CLI_FAILED : MC_CLI_DONE;
}

static void add_row(struct mc_table *table, const char *name, const struct score *score)
{
    if (score->questions == 0)
        return;
    mc_table_cell(table, mc_str_of(name));
    mc_table_printf(table, "%zu", score->questions);
    for (size_t i = 0; i < DEPTH_COUNT; i++)
        mc_table_printf(table, "%.1f", percent(score->recall[i], score));
    mc_table_printf(table, "%.1f", percent(score->reciprocal, score));
    mc_table_printf(table, "%.1f", percent(score->in_context, score));
    mc_table_printf(table, "%.0f", percent(score->tokens, score) / 100);
}

static int print_table(struct bench *b)
{
    static const char *const heads[] = {"questions", "n",   "R@5",        "R@10",  "R@25",
                                        "R@50",      "MRR", "in context", "tokens"};
    mc_auto(mc_table_fini) struct mc_table table;
    mc_table_init(&table);
    for (size_t i = 0; i < mc_countof(heads); i++)
        mc_table_head(&table, mc_str_of(heads[i]));
    add_row(&table, "categories 1 to 4", &b->all);
    for (int i = 1; i <= CATEGORIES; i++) {
        char name[48];
        snprintf(name, sizeof(name), "category %d%s", i, i == APART ? " (apart)" : "");
        add_row(&table, name, &b->categories[i]);
    }
    printf("%zu messages\n", b->messages);
    mc_table_print(&table, &b->cli->out, 0);
    printf("search p50 %.2f ms, p95 %.2f ms; context p50 %.2f ms, p95 %.2f ms\n",
           quantile_ms(b->took_us, b->took_count, 0.5),
           quantile_ms(b->took_us, b->took_count, 0.95),
           quantile_ms(b->context_us, b->took_count, 0.5),
           quantile_ms(b->context_us, b->took_count, 0.95));
    return MC_CLI_DONE;
}

/* ---- The command ---- */

static enum mc_status read_file(struct bench *b, const char *path, struct mc_json **data,
                                struct mc_error *err)
{
    FILE *file = fopen(path, "rb");
    char block[65536];
    size_t got;
    if (!file)
        return mc_fail_field(err, MC_NOT_FOUND, "DATA", "cannot open '%s'", path);
    while ((got = fread(block, 1, sizeof(block), file)) > 0)
        mc_buf_append(&b->text, (mc_str){block, got});
    bool failed = ferror(file) != 0;
    fclose(file);
    if (failed)
        return mc_fail_field(err, MC_IO, "DATA", "cannot read '%s'", path);
    if (b->text.failed)
        return mc_fail_field(err, MC_TOO_LARGE, "DATA", "'%s' is larger than %zu MiB", path,
                             DATA_BYTES >> 20);
    enum mc_status status = mc_json_parse(mc_buf_str(&b->text), data, err);
    if (status)
        return mc_fail_prefix(err, status, "'%s'", path);
    if (mc_json_type(*data) != MC_JSON_ARRAY || mc_json_count(*data) == 0 ||
        !mc_json_get(mc_json_at(*data, 0), "conversation"))
        return mc_fail_field(err, MC_INVALID, "DATA",
                             "'%s' is no array of objects with \"conversation\" and \"qa\"", path);
    return MC_OK;
}

static mc_str name_of(const struct mc_json *sample, size_t index, struct mc_arena *arena)
{
    mc_str id = mc_json_string(mc_json_get(sample, "sample_id"));
    return id.len > 0 ? id : mc_arena_printf(arena, "conversation-%zu", index + 1);
}

static enum mc_status run(struct bench *b, const struct mc_json *data, struct mc_error *err)
{
    struct mc_progress progress;
    enum mc_status status = MC_OK;
    size_t count = mc_json_count(data);
    mc_progress_start(&progress, "conversations", "", b->cli->quiet);
    for (size_t i = 0; !status && i < count; i++) {
        const struct mc_json *sample = mc_json_at(data, i);
        status = ingest_conversation(b, name_of(sample, i, &b->arena),
                                     mc_json_get(sample, "conversation"), err);
        mc_progress_update(&progress, i + 1, 2 * count);
    }
    if (!status)
        status = mc_engine_drain(b->cli->engine, -1, err);
    for (size_t i = 0; !status && i < count; i++) {
        const struct mc_json *sample = mc_json_at(data, i);
        const struct mc_json *qa = mc_json_get(sample, "qa");
        for (size_t k = 0; !status && k < mc_json_count(qa); k++)
            status = ask(b, name_of(sample, i, &b->arena), mc_json_at(qa, k), err);
        mc_progress_update(&progress, count + i + 1, 2 * count);
    }
    mc_progress_stop(&progress);
    return status;
}

/* What a server of databases holds is somebody's: only an empty one is filled, and emptied again. */
static enum mc_status check_empty(struct bench *b, struct mc_error *err)
{
    char *json = NULL;
    mc_auto(mc_json_free_ptr) struct mc_json *status_of = NULL;
    enum mc_status status = mc_engine_status(b->cli->engine, &json, err);
    if (!status)
        status = mc_json_parse(mc_str_of(json), &status_of, err);
    bool empty = mc_json_integer(mc_json_get(status_of, "users")) == 0;
    mc_free(json);
    if (!status && !empty)
        status = mc_fail_field(err, MC_CONFLICT, "database",
                               "the database holds messages; 'bench recall' needs an empty one, or "
                               "leave --db and database.* out to use a file of its own");
    return status;
}

static enum mc_status erase_all(struct bench *b, const struct mc_json *data, struct mc_error *err)
{
    enum mc_status status = MC_OK;
    for (size_t i = 0; !status && i < mc_json_count(data); i++) {
        char *json = NULL;
        status =
            mc_user_erase(b->cli->engine, name_of(mc_json_at(data, i), i, &b->arena), &json, err);
        mc_free(json);
    }
    return status;
}

/* A file of its own in a folder that goes away, or the PostgreSQL database that is configured. */
static enum mc_status open_engine(struct bench *b, const char *folder, struct mc_error *err)
{
    char path[PATH_BYTES + 32];
    snprintf(path, sizeof(path), "%s/bench.db", folder);
    enum mc_status status = mc_cli_load_config(b->cli, err);
    if (!status)
        status = mc_config_set(b->cli->config, "database.path", path, err);
    if (!status)
        status = mc_config_set(b->cli->config, "cache.persistent", "false", err);
    if (!status)
        status = mc_config_set(b->cli->config, "retention.schedule", "off", err);
    return status ? status : mc_engine_open(b->cli->config, &b->cli->engine, err);
}

static void bench_fini(struct bench *b)
{
    mc_buf_fini(&b->text);
    mc_arena_fini(&b->arena);
    free(b->took_us);
    free(b->context_us);
}

int mc_cli_bench_recall(struct mc_cli *cli)
{
    mc_auto(bench_fini) struct bench b = {.cli = cli};
    mc_auto(mc_json_free_ptr) struct mc_json *data = NULL;
    struct mc_error err = {0};
    char folder[PATH_BYTES] = "";
    mc_arena_init(&b.arena, DATA_BYTES);
    mc_buf_init(&b.text, DATA_BYTES);
    enum mc_status status = read_file(&b, mc_args_operand(&cli->args, 0).data, &data, &err);
    if (!status)
        status = mc_folder_make("mindcore-bench-", folder, sizeof(folder), &err);
    if (!status)
        status = open_engine(&b, folder, &err);
    if (!status)
        status = check_empty(&b, &err);
    bool filled = status == MC_OK;
    if (filled)
        status = run(&b, data, &err);
    if (filled) {
        enum mc_status erased = erase_all(&b, data, status ? NULL : &err);
        status = status ? status : erased;
    }
    mc_engine_close(mc_steal(cli->engine));
    if (*folder)
        mc_folder_remove(folder);
    if (status)
        return mc_cli_fail(&err);
    if (b.took_count > 0) {
        qsort(b.took_us, b.took_count, sizeof(*b.took_us), compare_times);
        qsort(b.context_us, b.took_count, sizeof(*b.context_us), compare_times);
    }
    return cli->json ? print_json(&b) : print_table(&b);
}
