#include "message/access.h"

#include "base/str.h"

static bool contains(const mc_str *names, size_t count, mc_str name)
{
    for (size_t i = 0; i < count; i++) {
        if (mc_str_equal(names[i], name))
            return true;
    }
    return false;
}

static bool groups_meet(const struct mc_reader *reader, const struct mc_message *message)
{
    for (size_t i = 0; i < message->sharing_group_count; i++) {
        if (contains(reader->groups, reader->group_count, message->sharing_groups[i]))
            return true;
    }
    return false;
}

bool mc_reader_allows(const struct mc_reader *reader, const struct mc_message *message)
{
    if (reader->only_agent_count > 0 &&
        !contains(reader->only_agents, reader->only_agent_count, message->agent_id))
        return false;
    if (reader->everything || mc_str_equal(message->agent_id, reader->agent_id))
        return true;
    if (message->visibility == MC_VISIBILITY_PUBLIC)
        return reader->read_public;
    if (message->visibility == MC_VISIBILITY_SHARED)
        return reader->read_any_shared || (reader->read_shared && groups_meet(reader, message));
    return false;
}
