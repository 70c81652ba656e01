/*
 * Two agents of one helpdesk share what they learn about a user; a third, outside their group, sees
 * nothing of it.
 *
 *     cc agents.c $(pkg-config --cflags --libs mindcore) -o agents
 *     ./agents example.db
 */
#include <stdio.h>

#include <mindcore/mindcore.h>

static bool register_agent(struct mc_engine *engine, const char *id, const char *name,
                           const char *group, struct mc_error *err)
{
    mc_str groups[] = {mc_str_of(group)};
    struct mc_agent_input agent = {
        .agent_id = mc_str_of(id),
        .name = mc_str_of(name),
        .sharing_groups = groups,
        .sharing_group_count = group ? 1 : 0,
    };
    char *json = NULL;
    if (mc_agent_register(engine, &agent, &json, err) != MC_OK)
        return false;
    mc_free(json);
    return true;
}

static bool remember(struct mc_engine *engine, const char *agent, const char *visibility,
                     const char *group, const char *text, struct mc_error *err)
{
    mc_str groups[] = {mc_str_of(group)};
    struct mc_message_input input = {
        .user_id = mc_str_of("amara"),
        .thread_id = mc_str_of("case-7"),
        .session_id = mc_str_of("s1"),
        .role = mc_str_of("assistant"),
        .text = mc_str_of(text),
        .agent_id = mc_str_of(agent),
        .visibility = mc_str_of(visibility),
        .sharing_groups = groups,
        .sharing_group_count = group ? 1 : 0,
    };
    return mc_message_ingest(engine, &input, NULL, NULL, err) == MC_OK;
}

static bool print_view(struct mc_engine *engine, const char *agent, struct mc_error *err)
{
    struct mc_recent_query query = {
        .user_id = mc_str_of("amara"),
        .thread_id = mc_str_of("case-7"),
        .agent_id = mc_str_of(agent),
    };
    struct mc_message_list *found = NULL;
    if (mc_message_recent(engine, &query, &found, err) != MC_OK)
        return false;
    printf("%s sees %zu\n", agent, found->count);
    for (size_t i = 0; i < found->count; i++) {
        const struct mc_message *message = found->items[i];
        printf("  %s, by %.*s: %.*s\n", mc_visibility_name(message->visibility),
               (int)message->agent_id.len, message->agent_id.data, (int)message->text.len,
               message->text.data);
    }
    mc_message_list_free(found);
    return true;
}

static bool share(struct mc_engine *engine, struct mc_error *err)
{
    return register_agent(engine, "support", "Support agent", "helpdesk", err) &&
           register_agent(engine, "billing", "Billing agent", "helpdesk", err) &&
           register_agent(engine, "marketing", "Marketing agent", NULL, err) &&
           remember(engine, "support", "shared", "helpdesk", "Amara wants her invoices by post.",
                    err) &&
           remember(engine, "support", "private", NULL, "Draft: offer Amara a voucher.", err) &&
           print_view(engine, "support", err) && print_view(engine, "billing", err) &&
           print_view(engine, "marketing", err);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: agents DATABASE\n");
        return 2;
    }
    struct mc_error err;
    struct mc_config *config = NULL;
    struct mc_engine *engine = NULL;
    bool open = mc_config_new(&config, &err) == MC_OK &&
                mc_config_set(config, "database.path", argv[1], &err) == MC_OK &&
                mc_config_set(config, "multi_agent.enabled", "true", &err) == MC_OK &&
                mc_config_set(config, "multi_agent.mode", "shared", &err) == MC_OK &&
                mc_engine_open(config, &engine, &err) == MC_OK;
    mc_config_free(config);

    bool done = open && share(engine, &err);
    if (!done)
        fprintf(stderr, "agents: %s\n", err.message);
    mc_engine_close(engine);
    return done ? 0 : 1;
}
