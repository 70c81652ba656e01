/* JSON of anyone: parse, walk, write, and parse what was written, which must give the same text
 * again. */
#include <stdlib.h>

#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static size_t walk(const struct mc_json *node, size_t depth)
{
    must(depth <= MC_JSON_DEPTH + 1);
    size_t nodes = 1;
    void *cursor = NULL;
    mc_str key;
    const struct mc_json *value;
    while (mc_json_next(node, &cursor, &key, &value)) {
        must(mc_utf8_check(key, NULL, NULL) && mc_json_get(node, key.data) == value);
        nodes += walk(value, depth + 1);
    }
    if (mc_json_type(node) == MC_JSON_ARRAY) {
        for (size_t i = 0; i < mc_json_count(node); i++)
            nodes += walk(mc_json_at(node, i), depth + 1);
    }
    must(mc_utf8_check(mc_json_string(node), NULL, NULL));
    return nodes;
}

/* Bytes that are not JSON are written as a string and must read back as their valid part. */
static void check_string(mc_str text)
{
    mc_auto(mc_buf_fini) struct mc_buf out;
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    mc_buf_init(&out, SIZE_MAX);
    struct mc_json_writer w = mc_json_writer(&out);
    mc_json_put_string(&w, text);
    bool has_nul = text.len > 0 && memchr(text.data, '\0', text.len);
    must((mc_json_parse(mc_buf_str(&out), &root, NULL) == MC_OK) == !has_nul);
    if (!has_nul && mc_utf8_check(text, NULL, NULL))
        must(mc_str_equal(mc_json_string(root), text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mc_str text = {(const char *)data, size};
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    mc_auto(mc_json_free_ptr) struct mc_json *again = NULL;
    mc_auto(mc_buf_fini) struct mc_buf first;
    mc_auto(mc_buf_fini) struct mc_buf second;
    mc_buf_init(&first, SIZE_MAX);
    mc_buf_init(&second, SIZE_MAX);
    struct mc_error err = {0};
    check_string(text);
    if (mc_json_parse(text, &root, &err) != MC_OK) {
        must(!root && err.status == MC_INVALID && err.message[0]);
        must(mc_utf8_check(mc_str_of(err.message), NULL, NULL));
        return 0;
    }
    size_t nodes = walk(root, 0);
    mc_json_dump(root, &first);
    must(mc_json_parse(mc_buf_str(&first), &again, &err) == MC_OK);
    must(walk(again, 0) == nodes);
    mc_json_dump(again, &second);
    must(mc_str_equal(mc_buf_str(&first), mc_buf_str(&second)));
    return 0;
}
