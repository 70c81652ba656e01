/* An intrusive doubly linked list with a sentinel head. Not thread-safe. */
#ifndef MC_BASE_LIST_H
#define MC_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct mc_list {
    struct mc_list *next;
    struct mc_list *prev;
};

static inline void mc_list_init(struct mc_list *head)
{
    head->next = head->prev = head;
}
static inline bool mc_list_empty(const struct mc_list *head)
{
    return head->next == head;
}
static inline void mc_list_insert_after(struct mc_list *at, struct mc_list *node)
{
    node->prev = at;
    node->next = at->next;
    at->next->prev = node;
    at->next = node;
}
static inline void mc_list_push_front(struct mc_list *head, struct mc_list *node)
{
    mc_list_insert_after(head, node);
}
static inline void mc_list_push_back(struct mc_list *head, struct mc_list *node)
{
    mc_list_insert_after(head->prev, node);
}
/* The node may be removed again: it is left as an empty list. */
static inline void mc_list_remove(struct mc_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    mc_list_init(node);
}

#endif
