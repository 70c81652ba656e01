/* An agent as JSON describes it. */
#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "memory/agents.h"
#include "message/input.h"

/* Of what is made while it is read. */
#define ARENA_MAX ((size_t)64 << 20)

struct agent_json {
    const struct mc_json *object;
    struct mc_arena *arena;
    struct mc_agent_input *input;
};

static enum mc_status read_text(const char *name, const struct mc_json *value, mc_str *out,
                                struct mc_error *err)
{
    if (mc_json_type(value) != MC_JSON_STRING)
        return mc_input_wrong_type(name, "a string", value, err);
    *out = mc_json_string(value);
    return MC_OK;
}

static enum mc_status read_flag(const char *name, const struct mc_json *value, bool *out,
                                struct mc_error *err)
{
    if (mc_json_type(value) != MC_JSON_BOOLEAN)
        return mc_input_wrong_type(name, "true or false", value, err);
    *out = mc_json_boolean(value);
    return MC_OK;
}

static enum mc_status read_member(struct agent_json *from, mc_str key, const struct mc_json *value,
                                  bool *reads_public, struct mc_error *err)
{
    struct mc_agent_input *input = from->input;
    if (mc_json_type(value) == MC_JSON_NULL)
        return MC_OK;
    if (mc_str_equal(key, MC_STR("agent_id")))
        return read_text("agent_id", value, &input->agent_id, err);
    if (mc_str_equal(key, MC_STR("name")))
        return read_text("name", value, &input->name, err);
    if (mc_str_equal(key, MC_STR("description")))
        return read_text("description", value, &input->description, err);
    if (mc_str_equal(key, MC_STR("default_visibility")))
        return read_text("default_visibility", value, &input->default_visibility, err);
    if (mc_str_equal(key, MC_STR("can_read_public")))
        return read_flag("can_read_public", value, reads_public, err);
    if (mc_str_equal(key, MC_STR("can_write_public")))
        return read_flag("can_write_public", value, &input->can_write_public, err);
    if (mc_str_equal(key, MC_STR("metadata")))
        return mc_input_object(value, "metadata", MC_METADATA_MAX_BYTES, from->arena,
                               &input->metadata, err);
    if (mc_str_equal(key, MC_STR("sharing_groups")))
        return mc_input_string_list(value, "sharing_groups", MC_SHARING_GROUPS_MAX, from->arena,
                                    &input->sharing_groups, &input->sharing_group_count, err);
    return mc_input_unknown(key,
                            "fields are agent_id, name, description, sharing_groups, "
                            "default_visibility, can_read_public, can_write_public, metadata",
                            err);
}

static enum mc_status read_agent(struct agent_json *from, struct mc_error *err)
{
    if (mc_json_type(from->object) != MC_JSON_OBJECT)
        return mc_fail(err, MC_INVALID, "an agent must be a JSON object, not %s",
                       mc_json_type_name(mc_json_type(from->object)));
    bool reads_public = true;
    void *cursor = NULL;
    mc_str key;
    const struct mc_json *value;
    while (mc_json_next(from->object, &cursor, &key, &value)) {
        enum mc_status status = read_member(from, key, value, &reads_public, err);
        if (status)
            return status;
    }
    from->input->cannot_read_public = !reads_public;
    return MC_OK;
}

enum mc_status mc_agents_register_json(struct mc_agents *agents, mc_str object, struct mc_buf *json,
                                       struct mc_error *err)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    enum mc_status status = mc_json_parse(object, &root, err);
    if (status)
        return status;
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, ARENA_MAX);
    struct mc_agent_input input = {0};
    struct agent_json from = {root, &arena, &input};
    status = read_agent(&from, err);
    return status ? status : mc_agents_register(agents, &input, json, err);
}
