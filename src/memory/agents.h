/*
 * Agents: who is registered, what each may write, and the access rule of each reader (docs/agents.md).
 *
 * Modes (multi_agent.mode; in force only when multi_agent.enabled):
 *   isolated  an agent reads only its own messages, whatever their visibility
 *   shared    its own; shared ones of a group it belongs to; public ones if it can_read_public
 *   public    its own; shared ones whatever their group; public ones if it can_read_public
 * A reader without an agent id reads messages without an agent, and public ones (not in isolated mode).
 * Where agents are not enabled everything is readable and agent ids are only labels.
 *
 * The registry is a copy of the store's rows in memory, replaced as a whole when it changes. Thread-safe.
 */
#ifndef MC_MEMORY_AGENTS_H
#define MC_MEMORY_AGENTS_H

#include <mindcore/memory.h>

#include "base/arena.h"
#include "base/json.h"
#include "store/store.h"

enum mc_sharing_mode { MC_SHARING_ISOLATED, MC_SHARING_SHARED, MC_SHARING_PUBLIC };

struct mc_agents_options {
    bool enabled;
    enum mc_sharing_mode mode;
    bool require_agent_id;
    enum mc_visibility default_visibility;
    const mc_str *default_sharing_groups; /* borrowed for the call of mc_agents_open, copied */
    size_t default_sharing_group_count;
};

struct mc_agents;
MC_MUST_CHECK enum mc_status mc_agents_open(struct mc_store *store,
                                            const struct mc_agents_options *options,
                                            struct mc_agents **agents, struct mc_error *err);
void mc_agents_close(struct mc_agents *agents); /* accepts NULL */
/* Reads the store's rows again (another process changed them). */
MC_MUST_CHECK enum mc_status mc_agents_reload(struct mc_agents *agents, struct mc_error *err);

/*
 * The rule for a reading agent. Everything the reader points to is copied into the arena.
 * MC_INVALID (field agent_id): it is required and absent. MC_NOT_FOUND: not registered. Not enabled: a reader of everything.
 */
MC_MUST_CHECK enum mc_status mc_agents_reader(struct mc_agents *agents, mc_str agent_id,
                                              struct mc_arena *arena, struct mc_reader *reader,
                                              struct mc_error *err);

/*
 * Settles visibility and sharing groups of a message to be stored: what was given, else the agent's
 * defaults, else the configuration's. given_visibility tells whether the caller named one. Refuses (MC_FORBIDDEN) public
 * messages of an agent that may not write them and groups the agent is not a member of; MC_INVALID
 * when agent_id is required and absent; MC_NOT_FOUND when not registered. Group names are copied into the arena.
 * Not enabled: applies the configuration's defaults only.
 */
MC_MUST_CHECK enum mc_status mc_agents_writer(struct mc_agents *agents, bool given_visibility,
                                              struct mc_arena *arena, struct mc_message *message,
                                              struct mc_error *err);

/* What <mindcore/memory.h> says of the functions of the same name. */
MC_MUST_CHECK enum mc_status mc_agents_register(struct mc_agents *agents,
                                                const struct mc_agent_input *input,
                                                struct mc_buf *json, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_agents_register_json(struct mc_agents *agents, mc_str object,
                                                     struct mc_buf *json, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_agents_unregister(struct mc_agents *agents, mc_str agent_id,
                                                  struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_agents_get(struct mc_agents *agents, mc_str agent_id,
                                           struct mc_buf *json, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_agents_list(struct mc_agents *agents, struct mc_buf *json,
                                            struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_agents_stats(struct mc_agents *agents, struct mc_buf *json,
                                             struct mc_error *err);

#endif
