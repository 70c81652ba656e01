/*
 * Who may see a user's messages, for a search over vectors that has not read them: messages that are alike in it
 * share a class, and the rule is asked once for each class. Not thread-safe.
 */
#ifndef MC_CONTEXT_VECTOR_ACCESS_H
#define MC_CONTEXT_VECTOR_ACCESS_H

#include "base/arena.h"
#include "base/map.h"
#include "message/access.h"

struct mc_vector_class;
struct mc_vector_classes {
    struct mc_map by_key;
    struct mc_vector_class **items; /* by number */
    size_t count, capacity;
};

void mc_vector_classes_init(struct mc_vector_classes *classes);
void mc_vector_classes_fini(struct mc_vector_classes *classes); /* may be initialised again */
/* The number of the class of a message; only its agent_id, visibility and sharing_groups are looked at. False: out of memory. */
MC_MUST_CHECK bool mc_vector_classes_of(struct mc_vector_classes *classes,
                                        const struct mc_message *message, size_t *number);
/* For each class whether the reader may see its messages; in the arena, NULL when that is full. */
bool *mc_vector_classes_allowed(const struct mc_vector_classes *classes,
                                const struct mc_reader *reader, struct mc_arena *arena);
size_t mc_vector_classes_bytes(const struct mc_vector_classes *classes);

#endif
