/*
 * What external sources know, as the section "## External data" of a context. They are asked when assembling
 * begins, so that they look up while the memory is searched, and waited for once it was.
 */
#ifndef MC_CONTEXT_EXTERNAL_H
#define MC_CONTEXT_EXTERNAL_H

#include "base/json.h"
#include "context/lookup.h"

struct mc_assembly;

struct mc_external {
    struct mc_lookup_round *round; /* until it is collected */
    struct mc_lookup_result result;
    bool asked;
    bool *shown;  /* of each piece */
    size_t count; /* of those shown */
};

/* Asks the sources of the topics that the query's words lead to; costs nothing when there is none. */
MC_MUST_CHECK enum mc_status mc_external_begin(struct mc_assembly *a, struct mc_error *err);

/* Waits and shows what came: at most a quarter of the budget and a half of what is left of it. */
MC_MUST_CHECK enum mc_status mc_external_show(struct mc_assembly *a, struct mc_error *err);

/* Abandons what was begun and not shown. */
void mc_external_fini(struct mc_assembly *a);

/* For the metadata: a member of `sources`, elements of `items`, and a member of the whole; nothing when nothing was
 * asked. */
void mc_external_write_source(const struct mc_external *external, struct mc_json_writer *w);
void mc_external_write_items(const struct mc_external *external, struct mc_json_writer *w);
void mc_external_write_failures(const struct mc_external *external, struct mc_json_writer *w);

#endif
