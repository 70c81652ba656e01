#include "text/ground.h"

#include "text/terms.h"

void mc_ground_init(struct mc_ground *ground, struct mc_arena *arena)
{
    ground->arena = arena;
    mc_map_init(&ground->terms);
}

void mc_ground_fini(struct mc_ground *ground)
{
    mc_map_fini(&ground->terms);
}

bool mc_ground_add(struct mc_ground *ground, mc_str text)
{
    struct mc_terms terms;
    if (!mc_terms_of(text, ground->arena, &terms))
        return false;
    for (size_t i = 0; i < terms.count; i++) {
        /* The value only says that the key is there. */
        if (!mc_map_put(&ground->terms, terms.items[i].text, ground))
            return false;
    }
    return true;
}

static bool has_digit(mc_str term)
{
    for (size_t i = 0; i < term.len; i++) {
        if (term.data[i] >= '0' && term.data[i] <= '9')
            return true;
    }
    return false;
}

bool mc_ground_holds(const struct mc_ground *ground, mc_str text, bool *holds)
{
    struct mc_terms terms;
    if (!mc_terms_of(text, ground->arena, &terms))
        return false;
    size_t known = 0;
    bool made_up = false;
    for (size_t i = 0; i < terms.count; i++) {
        if (mc_map_get(&ground->terms, terms.items[i].text))
            known++;
        else
            made_up |= has_digit(terms.items[i].text);
    }
    *holds = terms.count > 0 && !made_up && 2 * known >= terms.count;
    return true;
}
