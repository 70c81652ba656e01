/*
 * Who reads: the access rule between agents, resolved once for each request and applied inside every
 * query that can return text (docs/agents.md).
 */
#ifndef MC_MESSAGE_ACCESS_H
#define MC_MESSAGE_ACCESS_H

#include <mindcore/types.h>

/*
 * A message is readable when
 *   everything, or
 *   it belongs to the reading agent (no agent: to no agent), or
 *   read_public and it is public, or
 *   it is shared, and read_any_shared, or read_shared and it has a group in common with the reader;
 * and, when only_agents are given, its agent is one of them.
 * Strings are borrowed. Zero-initialised: an anonymous reader that sees only messages without an agent.
 */
struct mc_load;
struct mc_reader {
    bool everything;
    bool read_public;
    bool read_shared;
    bool read_any_shared;
    mc_str agent_id;
    const mc_str *groups;
    size_t group_count;
    const mc_str *only_agents;
    size_t only_agent_count;
    struct mc_load *load; /* bounds what is read for it (message/load.h); NULL: nothing does */
};

/* The rule on one message: the same that the stores express in SQL. Pure. */
bool mc_reader_allows(const struct mc_reader *reader, const struct mc_message *message);

/* True when the rule lets every message through, so that no filter is needed. */
static inline bool mc_reader_unfiltered(const struct mc_reader *reader)
{
    return reader->everything && reader->only_agent_count == 0;
}

#endif
