/* mc_schema_portable: the schema again, as servers with a strict mode want it. */
#include "base/compiler.h"
#include "base/str.h"
#include "llm/shape.h"

#define PORTABLE_BYTES (4 * MC_SCHEMA_BYTES)

static bool is_refused(mc_str keyword)
{
    return mc_str_equal(keyword, MC_STR("minLength")) ||
           mc_str_equal(keyword, MC_STR("maxLength")) ||
           mc_str_equal(keyword, MC_STR("uniqueItems")) ||
           mc_str_equal(keyword, MC_STR("required")) ||
           mc_str_equal(keyword, MC_STR("additionalProperties"));
}

static void write_schema(struct mc_json_writer *w, const struct mc_json *node);

/* The properties, and that they are all required. */
static void write_properties(struct mc_json_writer *w, const struct mc_json *properties)
{
    void *cursor = NULL;
    mc_str key;
    const struct mc_json *value;
    mc_json_begin(w, '{');
    while (mc_json_next(properties, &cursor, &key, &value)) {
        mc_json_key_str(w, key);
        write_schema(w, value);
    }
    mc_json_end(w, '}');
    mc_json_key(w, "required");
    mc_json_begin(w, '[');
    cursor = NULL;
    while (mc_json_next(properties, &cursor, &key, &value))
        mc_json_put_string(w, key);
    mc_json_end(w, ']');
    mc_json_member_boolean(w, "additionalProperties", false);
}

static void write_copy(struct mc_json_writer *w, const struct mc_json *value)
{
    mc_json_put_raw(w, MC_STR("")); /* the comma, where one is due */
    mc_json_dump(value, w->out);
}

/* The recursion ends where that of the compiler did. */
static void write_schema(struct mc_json_writer *w, const struct mc_json *node)
{
    void *cursor = NULL;
    mc_str key;
    const struct mc_json *value;
    mc_json_begin(w, '{');
    while (mc_json_next(node, &cursor, &key, &value)) {
        if (is_refused(key))
            continue;
        mc_json_key_str(w, key);
        if (mc_str_equal(key, MC_STR("properties"))) {
            write_properties(w, value);
        } else if (mc_str_equal(key, MC_STR("items"))) {
            write_schema(w, value);
        } else if (mc_str_equal(key, MC_STR("anyOf"))) {
            mc_json_begin(w, '[');
            for (size_t i = 0; i < mc_json_count(value); i++)
                write_schema(w, mc_json_at(value, i));
            mc_json_end(w, ']');
        } else {
            write_copy(w, value);
        }
    }
    mc_json_end(w, '}');
}

bool mc_schema_write_portable(struct mc_schema *schema)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, PORTABLE_BYTES);
    struct mc_json_writer w = mc_json_writer(&buf);
    write_schema(&w, schema->json);
    if (buf.failed)
        return false;
    schema->portable = mc_arena_copy(&schema->arena, mc_buf_str(&buf));
    return mc_str_given(schema->portable);
}
