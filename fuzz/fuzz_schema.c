/*
 * A schema, and behind a NUL what a model would like to write. Bytes that may not follow are left out;
 * what is taken, completed by what must follow, is an answer of the schema's shape.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"
#include "llm/schema.h"

#define ANSWER_MAX ((size_t)64 * 1024)
#define SCHEMA_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void free_schema(struct mc_schema **schema)
{
    mc_schema_free(*schema);
}

static void write_part(struct mc_walk *walk, mc_str part, struct mc_buf *answer)
{
    must(mc_walk_may(walk, part));
    must(mc_walk_feed(walk, part));
    mc_buf_append(answer, part);
}

/* The bytes that are taken, in pieces of one to four. */
static void write_wishes(struct mc_walk *walk, mc_str wishes, struct mc_walk_scratch *scratch,
                         struct mc_buf *answer)
{
    struct mc_next next;
    for (size_t at = 0; at < wishes.len;) {
        size_t len = 1 + (unsigned char)wishes.data[at] % 4U;
        mc_str piece = {wishes.data + at, len < wishes.len - at ? len : wishes.len - at};
        struct mc_walk before;
        memcpy(&before, walk, sizeof(before)); /* with its padding, which is compared too */
        bool may = mc_walk_may(walk, piece);
        must(memcmp(&before, walk, sizeof(before)) == 0);
        if (may)
            write_part(walk, piece, answer);
        else
            must(!mc_walk_feed(walk, piece) && memcmp(&before, walk, sizeof(before)) == 0);
        mc_walk_next(walk, scratch, &next);
        must((next.kind == MC_NEXT_DONE) == walk->finished);
        if (next.kind == MC_NEXT_FIXED && !may)
            write_part(walk, next.fixed, answer);
        at += piece.len;
    }
}

/* The shortest way to the end that does not look ahead; false when it is too long. */
static bool finish(struct mc_walk *walk, struct mc_walk_scratch *scratch, struct mc_buf *answer)
{
    struct mc_next next;
    char closer[16];
    for (mc_walk_next(walk, scratch, &next); next.kind != MC_NEXT_DONE;) {
        if (next.kind == MC_NEXT_FIXED) {
            write_part(walk, next.fixed, answer);
        } else if (next.kind == MC_NEXT_CHOICE) {
            must(next.choice_count >= 2);
            size_t end = 0; /* of an array, where there is a choice */
            for (size_t i = 0; i < next.choice_count; i++) {
                must(next.choices[i].len > 0 && mc_walk_may(walk, next.choices[i]));
                end = next.choices[i].data[0] == ']' ? i : end;
            }
            write_part(walk, next.choices[end], answer);
        } else {
            size_t len = mc_walk_close_text(walk, closer);
            must(len > 0 || next.text_need > 0);
            for (unsigned i = 0; len == 0 && i <= 256; i++) {
                closer[0] = i == 0 ? 'x' : (char)(i - 1); /* any byte that helps */
                len = mc_walk_may(walk, (mc_str){closer, 1}) ? 1 : 0;
            }
            must(len > 0);
            write_part(walk, (mc_str){closer, len}, answer);
        }
        if (answer->len > ANSWER_MAX)
            return false;
        mc_walk_next(walk, scratch, &next);
    }
    return true;
}

static void check_answer(const struct mc_schema *schema, mc_str answer)
{
    struct mc_error err = {0};
    must(answer.len <= mc_schema_longest(schema));
    must(mc_schema_check(schema, answer, &err) == MC_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
    mc_str text = {(const char *)data, nul ? (size_t)(nul - data) : size};
    mc_str wishes = {text.data + text.len, size - text.len};
    mc_auto(free_schema) struct mc_schema *schema = NULL;
    mc_auto(mc_json_free_ptr) struct mc_json *portable = NULL;
    struct mc_error err = {0};
    if (text.len > SCHEMA_MAX)
        return 0;
    if (mc_schema_new(text, &schema, &err) != MC_OK) {
        must(!schema && err.message[0]);
        return 0;
    }
    must(mc_json_parse(mc_schema_portable(schema), &portable, &err) == MC_OK);
    struct mc_walk_scratch *scratch = mc_walk_scratch_new();
    must(scratch != NULL);
    mc_auto(mc_buf_fini) struct mc_buf answer;
    struct mc_walk walk;
    mc_buf_init(&answer, SIZE_MAX);
    mc_walk_start(&walk, schema);
    write_wishes(&walk, wishes, scratch, &answer);
    if (finish(&walk, scratch, &answer))
        check_answer(schema, mc_buf_str(&answer));
    (void)!mc_schema_check(schema, wishes, &err);
    mc_walk_scratch_free(scratch);
    return 0;
}
