/* The intrusive list. */
#include "tap.h"

#include "base/compiler.h"
#include "base/list.h"

struct item {
    int value;
    struct mc_list node;
};

static void is_order(const struct mc_list *head, const char *want, const char *what)
{
    char text[32];
    size_t len = 0;
    for (const struct mc_list *at = head->next; at != head && len < sizeof(text) - 1; at = at->next)
        text[len++] = (char)('0' + mc_container_of(at, struct item, node)->value);
    text[len] = '\0';
    is_str(text, want, "%s", what);
    size_t back = 0;
    for (const struct mc_list *at = head->prev; at != head && back <= len; at = at->prev)
        back++;
    is_int(back, len, "the same backwards");
}

int main(void)
{
    struct mc_list head;
    struct item items[4];
    mc_list_init(&head);
    ok(mc_list_empty(&head), "empty");
    for (int i = 0; i < 4; i++)
        items[i].value = i;
    mc_list_push_back(&head, &items[1].node);
    mc_list_push_back(&head, &items[2].node);
    mc_list_push_front(&head, &items[0].node);
    mc_list_insert_after(&items[1].node, &items[3].node);
    is_order(&head, "0132", "order");
    mc_list_remove(&items[3].node);
    mc_list_remove(&items[3].node);
    is_order(&head, "012", "removed twice");
    mc_list_remove(&items[0].node);
    mc_list_remove(&items[2].node);
    mc_list_push_front(&head, &items[2].node);
    is_order(&head, "21", "put back elsewhere");
    mc_list_remove(&items[1].node);
    mc_list_remove(&items[2].node);
    ok(mc_list_empty(&head), "empty again");
    return done_testing();
}
