#include "http/bulk.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "http/grant.h"

#define BATCH_LINES 256
#define BATCH_BYTES ((size_t)256 * 1024)
#define REFUSED_MAX 1000 /* lines that are listed; all are counted */

struct line {
    size_t start;
    size_t len;
    uint64_t number;
};

struct mc_http_bulk {
    struct mc_engine *engine;
    const struct mc_grant *grant; /* the request's */
    size_t max_line;
    struct mc_buf text; /* whole lines of the batch, then the begun one */
    size_t line_start;  /* of the begun line */
    uint64_t line_number;
    bool skipping; /* the begun line is too long: its rest is dropped */
    bool ended;
    struct line lines[BATCH_LINES];
    size_t line_count;
    struct mc_ingest_result results[BATCH_LINES];
    mc_str objects[BATCH_LINES];
    uint64_t stored;
    uint64_t created;
    uint64_t refused_count;
    struct mc_buf refused; /* elements of the JSON list */
    struct mc_json_writer refused_writer;
    struct mc_error failure; /* status MC_OK: none */
    uint64_t failed_line;    /* the first that was not stored */
};

enum mc_status mc_http_bulk_new(const struct mc_http_request *req, size_t max_line_bytes,
                                struct mc_http_bulk **bulk, struct mc_error *err)
{
    struct mc_http_bulk *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->engine = req->engine;
    made->grant = req->grant;
    made->max_line = max_line_bytes;
    made->line_number = 1;
    mc_buf_init(&made->text, BATCH_BYTES + max_line_bytes + 1);
    mc_buf_init(&made->refused, REFUSED_MAX * (size_t)4096);
    made->refused_writer = mc_json_writer(&made->refused);
    mc_json_begin(&made->refused_writer, '[');
    *bulk = made;
    return MC_OK;
}

void mc_http_bulk_free(struct mc_http_bulk *bulk)
{
    if (!bulk)
        return;
    mc_buf_fini(&bulk->text);
    mc_buf_fini(&bulk->refused);
    free(bulk);
}

size_t mc_http_bulk_size(const struct mc_http_bulk *bulk)
{
    return sizeof(*bulk) + bulk->text.capacity + bulk->refused.capacity;
}

bool mc_http_bulk_failed(const struct mc_http_bulk *bulk)
{
    return bulk->failure.status != MC_OK;
}

void mc_http_bulk_fail(struct mc_http_bulk *bulk, const struct mc_error *err)
{
    bulk->failure = *err;
    bulk->failed_line = bulk->line_count > 0 ? bulk->lines[0].number : bulk->line_number;
}

bool mc_http_bulk_ready(const struct mc_http_bulk *bulk)
{
    return bulk->line_count > 0 &&
           (bulk->ended || bulk->line_count == BATCH_LINES || bulk->line_start >= BATCH_BYTES);
}

static void refuse(struct mc_http_bulk *bulk, uint64_t number, const struct mc_error *err)
{
    bulk->refused_count++;
    if (bulk->refused_count > REFUSED_MAX)
        return;
    struct mc_json_writer *w = &bulk->refused_writer;
    mc_json_begin(w, '{');
    mc_json_member_integer(w, "line", (int64_t)number);
    mc_json_member_text(w, "error", err->message);
    if (err->field[0])
        mc_json_member_text(w, "field", err->field);
    mc_json_end(w, '}');
}

/* The begun line is complete, its newline not among its bytes. */
static void finish_line(struct mc_http_bulk *bulk)
{
    mc_str line = mc_buf_str(&bulk->text);
    line = (mc_str){line.data + bulk->line_start, line.len - bulk->line_start};
    uint64_t number = bulk->line_number++;
    if (bulk->skipping) {
        struct mc_error err;
        mc_fail(&err, MC_TOO_LARGE, "the line is longer than %zu bytes", bulk->max_line);
        refuse(bulk, number, &err);
    }
    if (bulk->skipping || mc_str_trim(line).len == 0) {
        bulk->text.len = bulk->line_start;
        bulk->skipping = false;
        return;
    }
    bulk->lines[bulk->line_count++] = (struct line){bulk->line_start, line.len, number};
    bulk->line_start = bulk->text.len;
}

static void add_bytes(struct mc_http_bulk *bulk, mc_str bytes)
{
    if (bulk->skipping)
        return;
    if (bulk->text.len - bulk->line_start + bytes.len > bulk->max_line) {
        bulk->skipping = true;
        return;
    }
    mc_buf_append(&bulk->text, bytes);
    struct mc_error err;
    if (bulk->text.failed) {
        mc_fail_memory(&err);
        mc_http_bulk_fail(bulk, &err);
    }
}

size_t mc_http_bulk_feed(struct mc_http_bulk *bulk, const char *data, size_t len, bool *lines)
{
    size_t taken = 0;
    while (taken < len && !mc_http_bulk_ready(bulk) && !mc_http_bulk_failed(bulk)) {
        const char *newline = memchr(data + taken, '\n', len - taken);
        size_t end = newline ? (size_t)(newline - data) : len;
        add_bytes(bulk, (mc_str){data + taken, end - taken});
        taken = newline ? end + 1 : end;
        if (newline) {
            finish_line(bulk);
            *lines = true;
        }
    }
    return mc_http_bulk_failed(bulk) ? len : taken;
}

void mc_http_bulk_end(struct mc_http_bulk *bulk)
{
    if (bulk->ended)
        return;
    if (bulk->skipping || bulk->text.len > bulk->line_start)
        finish_line(bulk);
    bulk->ended = true;
}

/* Leaves the lines that the key allows, refuses the others. */
static void check_lines(struct mc_http_bulk *bulk)
{
    size_t kept = 0;
    for (size_t i = 0; i < bulk->line_count; i++) {
        const struct line line = bulk->lines[i];
        mc_str object = {bulk->text.data + line.start, line.len};
        struct mc_error err;
        if (mc_http_grant_message(bulk->grant, object, &err) != MC_OK) {
            refuse(bulk, line.number, &err);
            continue;
        }
        bulk->objects[kept] = object;
        bulk->lines[kept++] = line;
    }
    bulk->line_count = kept;
}

static void count_results(struct mc_http_bulk *bulk)
{
    for (size_t i = 0; i < bulk->line_count; i++) {
        const struct mc_ingest_result *result = &bulk->results[i];
        if (result->status == MC_OK) {
            bulk->stored++;
            bulk->created += result->created;
        } else {
            refuse(bulk, bulk->lines[i].number, &result->error);
        }
    }
}

void mc_http_bulk_store(struct mc_http_bulk *bulk)
{
    struct mc_error err = {.status = MC_OK};
    if (bulk->grant && mc_key_check_again(bulk->engine, bulk->grant, &err) != MC_OK) {
        mc_http_bulk_fail(bulk, &err);
        return;
    }
    check_lines(bulk);
    if (bulk->line_count > 0) {
        enum mc_status status = mc_message_ingest_json(bulk->engine, bulk->objects,
                                                       bulk->line_count, bulk->results, NULL, &err);
        if (status != MC_OK) {
            err.status = status;
            mc_http_bulk_fail(bulk, &err);
            return;
        }
    }
    count_results(bulk);
    size_t rest = bulk->text.len - bulk->line_start;
    memmove(bulk->text.data, bulk->text.data + bulk->line_start, rest);
    bulk->text.len = rest;
    bulk->line_start = 0;
    bulk->line_count = 0;
}

void mc_http_bulk_answer(const struct mc_http_bulk *bulk, struct mc_http_request *req)
{
    if (mc_http_bulk_failed(bulk)) {
        struct mc_error err = bulk->failure;
        mc_fail_prefix(&err, err.status,
                       "%llu lines were stored, line %llu and what follows were not",
                       (unsigned long long)bulk->stored, (unsigned long long)bulk->failed_line);
        mc_http_problem_error(req, &err);
        req->close = true;
        return;
    }
    mc_http_answer(req, 200, MC_HTTP_JSON);
    struct mc_json_writer w = mc_json_writer(&req->out);
    mc_json_begin(&w, '{');
    mc_json_member_integer(&w, "stored", (int64_t)bulk->stored);
    mc_json_member_integer(&w, "created", (int64_t)bulk->created);
    mc_json_member_integer(&w, "refused_count", (int64_t)bulk->refused_count);
    mc_json_key(&w, "refused");
    mc_buf_append(&req->out, mc_buf_str(&bulk->refused));
    mc_buf_text(&req->out, "]}");
}
