#include "message/input.h"

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "base/utf8.h"

/* Times further ahead than this are taken for a mistake in the unit (seconds given as microseconds and so on). */
#define FUTURE_MAX_US (365 * MC_US_PER_DAY)

static bool id_character(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == ':' || c == '.' || c == '@';
}

enum mc_status mc_input_check_id(const char *field, mc_str id, struct mc_error *err)
{
    if (!mc_str_given(id) || id.len == 0)
        return mc_fail_field(err, MC_INVALID, field, "%s is missing", field);
    if (id.len > MC_ID_MAX_BYTES)
        return mc_fail_field(err, MC_INVALID, field, "%s has %zu bytes, at most %d are allowed",
                             field, id.len, MC_ID_MAX_BYTES);
    for (size_t i = 0; i < id.len; i++) {
        if (!id_character((unsigned char)id.data[i]))
            return mc_fail_field(
                err, MC_INVALID, field,
                "%s may contain only ASCII letters, digits and _ - : . @ (byte %zu "
                "is something else)",
                field, i + 1);
    }
    return MC_OK;
}

enum mc_status mc_input_check_text(const char *field, mc_str text, struct mc_error *err)
{
    if (!mc_str_given(text) || text.len == 0)
        return mc_fail_field(err, MC_INVALID, field, "%s is missing or empty", field);
    size_t characters = 0, bad = 0;
    if (!mc_utf8_check(text, &characters, &bad))
        return mc_fail_field(err, MC_INVALID, field, "%s is not valid UTF-8 (byte %zu)", field,
                             bad + 1);
    if (memchr(text.data, '\0', text.len))
        return mc_fail_field(err, MC_INVALID, field, "%s contains a NUL character", field);
    if (characters > MC_TEXT_MAX_CHARACTERS)
        return mc_fail_field(err, MC_TOO_LARGE, field,
                             "%s has %zu characters, at most %d are allowed; split it", field,
                             characters, MC_TEXT_MAX_CHARACTERS);
    if (mc_utf8_is_blank(text))
        return mc_fail_field(err, MC_INVALID, field, "%s is blank", field);
    return MC_OK;
}

enum mc_status mc_input_check_groups(const mc_str *groups, size_t count, struct mc_error *err)
{
    if (count > MC_SHARING_GROUPS_MAX)
        return mc_fail_field(err, MC_INVALID, "sharing_groups",
                             "sharing_groups has %zu names, at most %d are allowed", count,
                             MC_SHARING_GROUPS_MAX);
    enum mc_status status = MC_OK;
    for (size_t i = 0; !status && i < count; i++)
        status = mc_input_check_id("sharing_groups", groups[i], err);
    return status;
}

enum mc_status mc_input_check_metadata(mc_str metadata, struct mc_error *err)
{
    if (metadata.len == 0)
        return MC_OK;
    if (metadata.len > MC_METADATA_MAX_BYTES)
        return mc_fail_field(err, MC_TOO_LARGE, "metadata",
                             "metadata has %zu bytes, at most %d are allowed", metadata.len,
                             MC_METADATA_MAX_BYTES);
    struct mc_json *root = NULL;
    struct mc_error detail;
    if (mc_json_parse(metadata, &root, &detail))
        return mc_fail_field(err, MC_INVALID, "metadata", "metadata: %s", detail.message);
    bool object = mc_json_type(root) == MC_JSON_OBJECT;
    mc_json_free(root);
    if (!object)
        return mc_fail_field(err, MC_INVALID, "metadata", "metadata must be a JSON object");
    return MC_OK;
}

static enum mc_status check_ids(const struct mc_message_input *input, struct mc_error *err)
{
    enum mc_status status = mc_input_check_id("user_id", input->user_id, err);
    if (!status)
        status = mc_input_check_id("thread_id", input->thread_id, err);
    if (!status)
        status = mc_input_check_id("session_id", input->session_id, err);
    if (!status && mc_str_given(input->message_id))
        status = mc_input_check_id("message_id", input->message_id, err);
    if (!status && mc_str_given(input->agent_id))
        status = mc_input_check_id("agent_id", input->agent_id, err);
    return status;
}

static enum mc_status check_enums(const struct mc_message_input *input, struct mc_message *made,
                                  struct mc_error *err)
{
    if (!mc_role_parse(input->role, &made->role))
        return mc_fail_field(err, MC_INVALID, "role",
                             "role must be user, assistant, system or tool, not \"%.*s\"",
                             (int)(input->role.len < 40 ? input->role.len : 40),
                             input->role.data ? input->role.data : "");
    if (mc_str_given(input->visibility) &&
        !mc_visibility_parse(input->visibility, &made->visibility))
        return mc_fail_field(err, MC_INVALID, "visibility",
                             "visibility must be private, shared or public");
    return MC_OK;
}

enum mc_status mc_input_check(const struct mc_message_input *input,
                              enum mc_visibility default_visibility, int64_t now_us,
                              struct mc_message *message, struct mc_error *err)
{
    struct mc_message made = {
        .message_id = input->message_id,
        .user_id = input->user_id,
        .thread_id = input->thread_id,
        .session_id = input->session_id,
        .agent_id = input->agent_id,
        .text = input->text,
        .sharing_groups = input->sharing_groups,
        .sharing_group_count = input->sharing_group_count,
        .created_at_us = input->created_at_us ? input->created_at_us : now_us,
        .importance = 0.5,
        .visibility = default_visibility,
    };
    enum mc_status status = check_ids(input, err);
    if (!status)
        status = check_enums(input, &made, err);
    if (!status)
        status = mc_input_check_text("text", input->text, err);
    if (!status)
        status = mc_input_check_groups(input->sharing_groups, input->sharing_group_count, err);
    if (!status)
        status = mc_input_check_metadata(input->metadata, err);
    if (status)
        return status;
    if (made.created_at_us < 0 || made.created_at_us > now_us + FUTURE_MAX_US)
        return mc_fail_field(err, MC_INVALID, "created_at",
                             "created_at must lie between 1970 and a year from now");
    *message = made;
    return MC_OK;
}

/* ---- From JSON ---- */

enum mc_status mc_input_unknown(mc_str member, const char *advice, struct mc_error *err)
{
    char name[sizeof(((struct mc_error *)0)->field)];
    mc_str cut = mc_utf8_cut(member, sizeof(name) - 1);
    if (cut.len > 0)
        memcpy(name, cut.data, cut.len);
    name[cut.len] = '\0';
    return mc_fail_field(err, MC_INVALID, name, "unknown field \"%s\"; %s", name, advice);
}

enum mc_status mc_input_wrong_type(const char *field, const char *wanted,
                                   const struct mc_json *node, struct mc_error *err)
{
    return mc_fail_field(err, MC_INVALID, field, "%s must be %s, not %s", field, wanted,
                         mc_json_type_name(mc_json_type(node)));
}

enum mc_status mc_input_string_list(const struct mc_json *node, const char *field, size_t max,
                                    struct mc_arena *arena, const mc_str **items, size_t *count,
                                    struct mc_error *err)
{
    if (mc_json_type(node) != MC_JSON_ARRAY)
        return mc_input_wrong_type(field, "a list of strings", node, err);
    size_t n = mc_json_count(node);
    if (n > max)
        return mc_fail_field(err, MC_INVALID, field, "%s has %zu entries, at most %zu are allowed",
                             field, n, max);
    mc_str *made = mc_arena_array(arena, n, sizeof(mc_str));
    if (!made)
        return mc_fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        const struct mc_json *item = mc_json_at(node, i);
        if (mc_json_type(item) != MC_JSON_STRING)
            return mc_fail_field(err, MC_INVALID, field, "%s[%zu] must be a string, not %s", field,
                                 i, mc_json_type_name(mc_json_type(item)));
        made[i] = mc_json_string(item);
    }
    *items = made;
    *count = n;
    return MC_OK;
}

/* The members that are plain strings, and where they go. */
static const struct string_member {
    const char *name;
    size_t offset;
    bool required;
} STRING_MEMBERS[] = {
    {"user_id", offsetof(struct mc_message_input, user_id), true},
    {"thread_id", offsetof(struct mc_message_input, thread_id), true},
    {"session_id", offsetof(struct mc_message_input, session_id), true},
    {"role", offsetof(struct mc_message_input, role), true},
    {"text", offsetof(struct mc_message_input, text), true},
    {"message_id", offsetof(struct mc_message_input, message_id), false},
    {"agent_id", offsetof(struct mc_message_input, agent_id), false},
    {"visibility", offsetof(struct mc_message_input, visibility), false},
};
#define STRING_MEMBER_COUNT (sizeof(STRING_MEMBERS) / sizeof(STRING_MEMBERS[0]))

static mc_str *member_slot(struct mc_message_input *input, const struct string_member *member)
{
    return (mc_str *)(void *)((char *)input + member->offset);
}

static enum mc_status read_created_at(const struct mc_json *value, int64_t *time_us,
                                      struct mc_error *err)
{
    if (mc_json_type(value) != MC_JSON_STRING || !mc_time_parse(mc_json_string(value), time_us))
        return mc_fail_field(err, MC_INVALID, "created_at",
                             "created_at must be a time such as \"2026-01-31T12:00:00Z\"");
    if (*time_us == 0)
        *time_us = 1; /* 0 means "not given" in the interface; a microsecond does no harm */
    return MC_OK;
}

enum mc_status mc_input_object(const struct mc_json *node, const char *field, size_t max_bytes,
                               struct mc_arena *arena, mc_str *json, struct mc_error *err)
{
    if (mc_json_type(node) != MC_JSON_OBJECT)
        return mc_input_wrong_type(field, "an object", node, err);
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, SIZE_MAX / 2); /* what is in memory as a tree */
    mc_json_dump(node, &buf);
    if (buf.failed)
        return mc_fail_memory(err);
    if (buf.len > max_bytes)
        return mc_fail_field(err, MC_TOO_LARGE, field,
                             "%s takes %zu bytes as JSON, at most %zu are allowed", field, buf.len,
                             max_bytes);
    mc_str copy = mc_arena_copy(arena, mc_buf_str(&buf));
    if (!copy.data)
        return mc_fail_memory(err);
    *json = copy;
    return MC_OK;
}

/* One member of the object; null stands for a member that was not given. */
static enum mc_status read_member(mc_str key, const struct mc_json *value, struct mc_arena *arena,
                                  struct mc_message_input *input, struct mc_error *err)
{
    for (size_t i = 0; i < STRING_MEMBER_COUNT; i++) {
        const struct string_member *member = &STRING_MEMBERS[i];
        if (!mc_str_equal(key, mc_str_of(member->name)))
            continue;
        if (mc_json_type(value) == MC_JSON_NULL)
            return MC_OK;
        if (mc_json_type(value) != MC_JSON_STRING)
            return mc_input_wrong_type(member->name, "a string", value, err);
        *member_slot(input, member) = mc_json_string(value);
        return MC_OK;
    }
    bool null = mc_json_type(value) == MC_JSON_NULL;
    if (mc_str_equal(key, MC_STR("created_at")))
        return null ? MC_OK : read_created_at(value, &input->created_at_us, err);
    if (mc_str_equal(key, MC_STR("sharing_groups")))
        return null
                   ? MC_OK
                   : mc_input_string_list(value, "sharing_groups", MC_SHARING_GROUPS_MAX, arena,
                                          &input->sharing_groups, &input->sharing_group_count, err);
    if (mc_str_equal(key, MC_STR("metadata")))
        return null ? MC_OK
                    : mc_input_object(value, "metadata", MC_METADATA_MAX_BYTES, arena,
                                      &input->metadata, err);
    return mc_input_unknown(key,
                            "fields are user_id, thread_id, session_id, role, text, message_id, "
                            "agent_id, visibility, sharing_groups, created_at, metadata (the "
                            "application's own data goes into metadata)",
                            err);
}

enum mc_status mc_input_from_json(const struct mc_json *object, struct mc_arena *arena,
                                  struct mc_message_input *input, struct mc_error *err)
{
    if (mc_json_type(object) != MC_JSON_OBJECT)
        return mc_fail(err, MC_INVALID, "a message must be a JSON object, not %s",
                       mc_json_type_name(mc_json_type(object)));
    struct mc_message_input made = {0};
    void *cursor = NULL;
    mc_str key;
    const struct mc_json *value;
    while (mc_json_next(object, &cursor, &key, &value)) {
        enum mc_status status = read_member(key, value, arena, &made, err);
        if (status)
            return status;
    }
    for (size_t i = 0; i < STRING_MEMBER_COUNT; i++) {
        if (STRING_MEMBERS[i].required && !mc_str_given(*member_slot(&made, &STRING_MEMBERS[i])))
            return mc_fail_field(err, MC_INVALID, STRING_MEMBERS[i].name, "%s is missing",
                                 STRING_MEMBERS[i].name);
    }
    *input = made;
    return MC_OK;
}

/* ---- To JSON ---- */

void mc_input_write_list(struct mc_json_writer *w, const mc_str *items, size_t count)
{
    mc_json_begin(w, '[');
    for (size_t i = 0; i < count; i++)
        mc_json_put_string(w, items[i]);
    mc_json_end(w, ']');
}

void mc_message_write(const struct mc_message *message, struct mc_json_writer *w)
{
    mc_json_begin(w, '{');
    mc_json_member_string(w, "message_id", message->message_id);
    mc_json_member_string(w, "user_id", message->user_id);
    mc_json_member_string(w, "thread_id", message->thread_id);
    mc_json_member_string(w, "session_id", message->session_id);
    mc_json_member_text(w, "role", mc_role_name(message->role));
    mc_json_member_string(w, "raw_text", message->text);
    mc_json_key(w, "created_at");
    mc_json_put_time(w, message->created_at_us);
    mc_json_key(w, "agent_id");
    if (message->agent_id.len > 0)
        mc_json_put_string(w, message->agent_id);
    else
        mc_json_put_null(w);
    mc_json_member_text(w, "visibility", mc_visibility_name(message->visibility));
    mc_json_key(w, "sharing_groups");
    mc_input_write_list(w, message->sharing_groups, message->sharing_group_count);
    mc_json_member_text(w, "tier", mc_tier_name(message->tier));
    mc_json_member_text(w, "enrichment_state", mc_enrichment_name(message->enrichment_state));
    mc_json_key(w, "metadata");
    mc_json_put_raw(w, message->metadata);
    mc_json_end(w, '}');
}

/* Every byte of text may become six (\u00xx), besides the fixed part. */
#define MESSAGE_JSON_MAX (16u << 20)

enum mc_status mc_message_to_json(const struct mc_message *message, char **json, size_t *len,
                                  struct mc_error *err)
{
    struct mc_buf buf;
    mc_buf_init(&buf, MESSAGE_JSON_MAX);
    struct mc_json_writer w = mc_json_writer(&buf);
    mc_message_write(message, &w);
    char *text = mc_buf_take(&buf, len);
    if (!text) {
        mc_buf_fini(&buf);
        return mc_fail_memory(err);
    }
    *json = text;
    return MC_OK;
}
