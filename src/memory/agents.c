#include "memory/agents.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "base/utf8.h"
#include "memory/registry.h"
#include "message/input.h"

#define AGENTS_ARENA_MAX ((size_t)64 << 20)
#define AGENT_NAME_MAX 255
#define AGENT_DESCRIPTION_MAX 4096
#define AGENTS_MAX 10000

struct agent {
    struct mc_agent_row row;
    const mc_str *groups;
    size_t group_count;
};

struct mc_agents {
    struct mc_store *store;
    struct mc_agents_options options;
    struct mc_arena strings;     /* of the options */
    struct mc_registry registry; /* struct agent, by id */
};

/* ---- The table ---- */

static enum mc_status copy_groups(struct mc_arena *arena, const mc_str *items, size_t count,
                                  const mc_str **groups, struct mc_error *err)
{
    const mc_str *copies = mc_arena_copy_list(arena, items, count);
    if (!copies)
        return mc_fail_memory(err);
    *groups = copies;
    return MC_OK;
}

static enum mc_status parse_groups(struct mc_arena *arena, mc_str list, struct agent *agent,
                                   struct mc_error *err)
{
    struct mc_json *root = NULL;
    enum mc_status status = mc_json_parse(list, &root, err);
    if (status)
        return status;
    const mc_str *items = NULL;
    size_t count = 0;
    status = mc_input_string_list(root, "sharing_groups", MC_SHARING_GROUPS_MAX, arena, &items,
                                  &count, err);
    if (!status)
        status = copy_groups(arena, items, count, &agent->groups, err);
    mc_json_free(root);
    if (!status)
        agent->group_count = count;
    return status;
}

/* A copy of a row that lives in the table. */
static enum mc_status copy_agent(struct mc_registry_table *table, const struct mc_agent_row *row,
                                 struct agent **made, struct mc_error *err)
{
    struct agent *agent = mc_arena_alloc(&table->arena, sizeof(*agent));
    if (!agent)
        return mc_fail_memory(err);
    agent->row = *row;
    mc_str *strings[] = {&agent->row.agent_id, &agent->row.name, &agent->row.description,
                         &agent->row.sharing_groups, &agent->row.metadata};
    for (size_t i = 0; i < mc_countof(strings); i++) {
        *strings[i] = mc_arena_copy(&table->arena, *strings[i]);
        if (!strings[i]->data)
            return mc_fail_memory(err);
    }
    *made = agent;
    return parse_groups(&table->arena, agent->row.sharing_groups, agent, err);
}

struct reading {
    struct mc_registry_table *table;
    enum mc_status status;
    struct mc_error *err;
};

static bool add_row(void *context, const struct mc_agent_row *row)
{
    struct reading *reading = context;
    struct agent *agent = NULL;
    reading->status = copy_agent(reading->table, row, &agent, reading->err);
    if (reading->status == MC_OK)
        reading->status = mc_registry_add(reading->table, agent->row.agent_id, agent, reading->err);
    return reading->status == MC_OK;
}

static enum mc_status read_agents(struct mc_store *store, struct mc_registry_table *table,
                                  struct mc_error *err)
{
    struct reading reading = {table, MC_OK, err};
    enum mc_status status = store->ops->agents(store, add_row, &reading, err);
    return status != MC_OK ? status : reading.status;
}

enum mc_status mc_agents_reload(struct mc_agents *agents, struct mc_error *err)
{
    return mc_registry_reload(&agents->registry, err);
}

enum mc_status mc_agents_open(struct mc_store *store, const struct mc_agents_options *options,
                              struct mc_agents **agents, struct mc_error *err)
{
    struct mc_agents *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->store = store;
    made->options = *options;
    mc_arena_init(&made->strings, AGENTS_ARENA_MAX);
    mc_registry_init(&made->registry, store, read_agents, AGENTS_ARENA_MAX);
    enum mc_status status = copy_groups(&made->strings, options->default_sharing_groups,
                                        options->default_sharing_group_count,
                                        &made->options.default_sharing_groups, err);
    if (!status)
        status = mc_agents_reload(made, err);
    if (status) {
        mc_agents_close(made);
        return status;
    }
    *agents = made;
    return MC_OK;
}

void mc_agents_close(struct mc_agents *agents)
{
    if (!agents)
        return;
    mc_registry_fini(&agents->registry);
    mc_arena_fini(&agents->strings);
    free(agents);
}

/* ---- Rules ---- */

static enum mc_status unknown_agent(mc_str agent_id, struct mc_error *err)
{
    return mc_fail_field(err, MC_NOT_FOUND, "agent_id",
                         "agent \"%.*s\" is not registered; register it first",
                         MC_STR_ARG(agent_id));
}

static enum mc_status missing_agent(struct mc_error *err)
{
    return mc_fail_field(err, MC_INVALID, "agent_id",
                         "agent_id is missing; multi_agent.require_agent_id is set");
}

static enum mc_status agent_reader(struct mc_agents *agents, const struct agent *agent,
                                   struct mc_arena *arena, struct mc_reader *reader,
                                   struct mc_error *err)
{
    struct mc_reader made = {.agent_id = mc_arena_copy(arena, agent->row.agent_id)};
    if (!made.agent_id.data)
        return mc_fail_memory(err);
    if (agents->options.mode != MC_SHARING_ISOLATED) {
        made.read_public = agent->row.can_read_public;
        made.read_shared = true;
        made.read_any_shared = agents->options.mode == MC_SHARING_PUBLIC;
    }
    enum mc_status status =
        copy_groups(arena, agent->groups, agent->group_count, &made.groups, err);
    if (status)
        return status;
    made.group_count = agent->group_count;
    *reader = made;
    return MC_OK;
}

enum mc_status mc_agents_reader(struct mc_agents *agents, mc_str agent_id, struct mc_arena *arena,
                                struct mc_reader *reader, struct mc_error *err)
{
    if (!agents->options.enabled) {
        *reader = (struct mc_reader){.everything = true};
        return MC_OK;
    }
    if (agent_id.len == 0) {
        if (agents->options.require_agent_id)
            return missing_agent(err);
        *reader = (struct mc_reader){.read_public = agents->options.mode != MC_SHARING_ISOLATED};
        return MC_OK;
    }
    enum mc_status status = mc_input_check_id("agent_id", agent_id, err);
    if (status)
        return status;
    struct mc_registry_table *table = mc_registry_acquire(&agents->registry);
    const struct agent *agent = mc_registry_find(table, agent_id);
    status = agent ? agent_reader(agents, agent, arena, reader, err) : unknown_agent(agent_id, err);
    mc_registry_release(table);
    return status;
}

static bool is_member(const struct agent *agent, mc_str group)
{
    for (size_t i = 0; i < agent->group_count; i++) {
        if (mc_str_equal(agent->groups[i], group))
            return true;
    }
    return false;
}

static enum mc_status agent_writer(struct mc_agents *agents, const struct agent *agent,
                                   bool given_visibility, struct mc_arena *arena,
                                   struct mc_message *message, struct mc_error *err)
{
    enum mc_visibility visibility =
        given_visibility ? message->visibility : agent->row.default_visibility;
    if (visibility == MC_VISIBILITY_PUBLIC && !agent->row.can_write_public)
        return mc_fail_field(err, MC_FORBIDDEN, "visibility",
                             "agent \"%.*s\" may not write public messages (can_write_public)",
                             MC_STR_ARG(agent->row.agent_id));
    for (size_t i = 0; i < message->sharing_group_count; i++) {
        if (!is_member(agent, message->sharing_groups[i]))
            return mc_fail_field(err, MC_FORBIDDEN, "sharing_groups",
                                 "agent \"%.*s\" is not a member of the group \"%.*s\"",
                                 MC_STR_ARG(agent->row.agent_id),
                                 MC_STR_ARG(message->sharing_groups[i]));
    }
    message->visibility = visibility;
    if (visibility != MC_VISIBILITY_SHARED || message->sharing_group_count > 0)
        return MC_OK;
    const mc_str *groups = agent->groups;
    size_t count = agent->group_count;
    if (count == 0) {
        groups = agents->options.default_sharing_groups;
        count = agents->options.default_sharing_group_count;
    }
    enum mc_status status = copy_groups(arena, groups, count, &message->sharing_groups, err);
    if (!status)
        message->sharing_group_count = count;
    return status;
}

/* A message of no agent: the configuration's defaults. */
static void default_writer(const struct mc_agents *agents, bool given_visibility,
                           struct mc_message *message)
{
    if (!given_visibility)
        message->visibility = agents->options.default_visibility;
    if (message->visibility == MC_VISIBILITY_SHARED && message->sharing_group_count == 0) {
        message->sharing_groups = agents->options.default_sharing_groups;
        message->sharing_group_count = agents->options.default_sharing_group_count;
    }
}

enum mc_status mc_agents_writer(struct mc_agents *agents, bool given_visibility,
                                struct mc_arena *arena, struct mc_message *message,
                                struct mc_error *err)
{
    if (!agents->options.enabled || message->agent_id.len == 0) {
        if (agents->options.enabled && agents->options.require_agent_id)
            return missing_agent(err);
        default_writer(agents, given_visibility, message);
        return MC_OK;
    }
    struct mc_registry_table *table = mc_registry_acquire(&agents->registry);
    const struct agent *agent = mc_registry_find(table, message->agent_id);
    enum mc_status status = agent
                                ? agent_writer(agents, agent, given_visibility, arena, message, err)
                                : unknown_agent(message->agent_id, err);
    mc_registry_release(table);
    return status;
}

/* ---- The registry ---- */

static void write_agent(struct mc_json_writer *w, const struct mc_agent_row *row)
{
    mc_json_begin(w, '{');
    mc_json_member_string(w, "agent_id", row->agent_id);
    mc_json_member_string(w, "name", row->name);
    mc_json_member_string(w, "description", row->description);
    mc_json_key(w, "sharing_groups");
    mc_json_put_raw(w, row->sharing_groups);
    mc_json_member_text(w, "default_visibility", mc_visibility_name(row->default_visibility));
    mc_json_member_boolean(w, "can_read_public", row->can_read_public);
    mc_json_member_boolean(w, "can_write_public", row->can_write_public);
    mc_json_key(w, "metadata");
    mc_json_put_raw(w, row->metadata);
    mc_json_key(w, "created_at");
    mc_json_put_time(w, row->created_at_us);
    mc_json_end(w, '}');
}

static enum mc_status check_label(const char *field, mc_str text, size_t max, struct mc_error *err)
{
    if (text.len == 0)
        return mc_fail_field(err, MC_INVALID, field, "%s is missing or empty", field);
    if (text.len > max)
        return mc_fail_field(err, MC_INVALID, field, "%s has %zu bytes, at most %zu are allowed",
                             field, text.len, max);
    if (memchr(text.data, '\0', text.len))
        return mc_fail_field(err, MC_INVALID, field, "%s contains a NUL character", field);
    if (!mc_utf8_check(text, NULL, NULL) || mc_utf8_is_blank(text))
        return mc_fail_field(err, MC_INVALID, field, "%s must be readable text in UTF-8", field);
    return MC_OK;
}

static enum mc_status check_input(const struct mc_agent_input *input,
                                  enum mc_visibility *visibility, struct mc_error *err)
{
    enum mc_status status = mc_input_check_id("agent_id", input->agent_id, err);
    if (!status)
        status = check_label("name", input->name, AGENT_NAME_MAX, err);
    if (!status && input->description.len > 0)
        status = check_label("description", input->description, AGENT_DESCRIPTION_MAX, err);
    if (!status)
        status = mc_input_check_groups(input->sharing_groups, input->sharing_group_count, err);
    if (!status)
        status = mc_input_check_metadata(input->metadata, err);
    if (status)
        return status;
    *visibility = MC_VISIBILITY_PRIVATE;
    if (mc_str_given(input->default_visibility) &&
        !mc_visibility_parse(input->default_visibility, visibility))
        return mc_fail_field(err, MC_INVALID, "default_visibility",
                             "default_visibility must be private, shared or public");
    if (*visibility == MC_VISIBILITY_PUBLIC && !input->can_write_public)
        return mc_fail_field(err, MC_INVALID, "default_visibility",
                             "default_visibility public needs can_write_public");
    return MC_OK;
}

/* When an agent was first registered: registering again keeps it. Too many agents are refused. */
static enum mc_status first_registered(const struct mc_registry_table *present, mc_str agent_id,
                                       int64_t *created_at_us, struct mc_error *err)
{
    const struct agent *known = mc_registry_find(present, agent_id);
    *created_at_us = known ? known->row.created_at_us : mc_time_now_us();
    if (!known && present->count >= AGENTS_MAX)
        return mc_fail(err, MC_CONFLICT, "%d agents are registered, no more are allowed",
                       AGENTS_MAX);
    return MC_OK;
}

static enum mc_status put_agent(struct mc_store *store, const struct mc_registry_table *present,
                                void *context, struct mc_error *err)
{
    struct mc_agent_row *row = context;
    enum mc_status status = first_registered(present, row->agent_id, &row->created_at_us, err);
    return status != MC_OK ? status : store->ops->put_agent(store, row, err);
}

enum mc_status mc_agents_register(struct mc_agents *agents, const struct mc_agent_input *input,
                                  struct mc_buf *json, struct mc_error *err)
{
    struct mc_agent_row row = {
        .agent_id = input->agent_id,
        .name = input->name,
        .description = input->description.len ? input->description : MC_STR(""),
        .metadata = input->metadata.len ? input->metadata : MC_STR("{}"),
        .can_read_public = !input->cannot_read_public,
        .can_write_public = input->can_write_public,
    };
    enum mc_status status = check_input(input, &row.default_visibility, err);
    if (status)
        return status;
    mc_auto(mc_buf_fini) struct mc_buf groups;
    mc_buf_init(&groups, AGENTS_ARENA_MAX);
    struct mc_json_writer w = mc_json_writer(&groups);
    mc_input_write_list(&w, input->sharing_groups, input->sharing_group_count);
    if (groups.failed)
        return mc_fail_memory(err);
    row.sharing_groups = mc_buf_str(&groups);
    status = mc_registry_change(&agents->registry, put_agent, &row, err);
    if (status)
        return status;
    w = mc_json_writer(json);
    write_agent(&w, &row);
    return MC_OK;
}

static enum mc_status remove_agent(struct mc_store *store, const struct mc_registry_table *present,
                                   void *context, struct mc_error *err)
{
    (void)present;
    const mc_str *agent_id = context;
    return store->ops->remove_agent(store, *agent_id, err);
}

enum mc_status mc_agents_unregister(struct mc_agents *agents, mc_str agent_id, struct mc_error *err)
{
    return mc_registry_change(&agents->registry, remove_agent, &agent_id, err);
}

enum mc_status mc_agents_get(struct mc_agents *agents, mc_str agent_id, struct mc_buf *json,
                             struct mc_error *err)
{
    struct mc_registry_table *table = mc_registry_acquire(&agents->registry);
    const struct agent *agent = mc_registry_find(table, agent_id);
    enum mc_status status = MC_OK;
    struct mc_json_writer w = mc_json_writer(json);
    if (agent)
        write_agent(&w, &agent->row);
    else
        status = unknown_agent(agent_id, err);
    mc_registry_release(table);
    return status;
}

enum mc_status mc_agents_list(struct mc_agents *agents, struct mc_buf *json, struct mc_error *err)
{
    struct mc_registry_table *table = mc_registry_acquire(&agents->registry);
    struct mc_json_writer w = mc_json_writer(json);
    mc_json_begin(&w, '{');
    mc_json_key(&w, "agents");
    mc_json_begin(&w, '[');
    for (size_t i = 0; i < table->count; i++)
        write_agent(&w, &((const struct agent *)table->items[i])->row);
    mc_json_end(&w, ']');
    mc_json_end(&w, '}');
    mc_registry_release(table);
    return json->failed ? mc_fail_memory(err) : MC_OK;
}

/* ---- Statistics ---- */

struct stats {
    struct mc_json_writer by_agent, by_visibility;
};

static bool count_agent(void *context, mc_str name, int64_t count)
{
    struct stats *stats = context;
    mc_json_key_str(&stats->by_agent, name);
    mc_json_put_integer(&stats->by_agent, count);
    return true;
}

static bool count_visibility(void *context, mc_str name, int64_t count)
{
    struct stats *stats = context;
    mc_json_key_str(&stats->by_visibility, name);
    mc_json_put_integer(&stats->by_visibility, count);
    return true;
}

enum mc_status mc_agents_stats(struct mc_agents *agents, struct mc_buf *json, struct mc_error *err)
{
    static const char *const MODES[] = {"isolated", "shared", "public"};
    mc_auto(mc_buf_fini) struct mc_buf by_agent;
    mc_auto(mc_buf_fini) struct mc_buf by_visibility;
    mc_buf_init(&by_agent, AGENTS_ARENA_MAX);
    mc_buf_init(&by_visibility, AGENTS_ARENA_MAX);
    struct stats stats = {mc_json_writer(&by_agent), mc_json_writer(&by_visibility)};
    mc_json_begin(&stats.by_agent, '{');
    mc_json_begin(&stats.by_visibility, '{');
    enum mc_status status =
        agents->store->ops->agent_counts(agents->store, count_agent, count_visibility, &stats, err);
    if (status)
        return status;
    mc_json_end(&stats.by_agent, '}');
    mc_json_end(&stats.by_visibility, '}');
    struct mc_registry_table *table = mc_registry_acquire(&agents->registry);
    int64_t total = (int64_t)table->count;
    mc_registry_release(table);
    struct mc_json_writer w = mc_json_writer(json);
    mc_json_begin(&w, '{');
    mc_json_member_boolean(&w, "enabled", agents->options.enabled);
    mc_json_member_text(&w, "mode",
                        agents->options.enabled ? MODES[agents->options.mode] : "disabled");
    mc_json_member_integer(&w, "total_agents", total);
    mc_json_key(&w, "messages_by_agent");
    mc_json_put_raw(&w, mc_buf_str(&by_agent));
    mc_json_key(&w, "messages_by_visibility");
    mc_json_put_raw(&w, mc_buf_str(&by_visibility));
    mc_json_end(&w, '}');
    return json->failed ? mc_fail_memory(err) : MC_OK;
}
