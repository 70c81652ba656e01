/* Inside of schema.c and schema_set.c: the compiler. */
#ifndef MC_LLM_COMPILE_H
#define MC_LLM_COMPILE_H

#include "llm/shape.h"

struct mc_compiler {
    struct mc_schema *schema;
    struct mc_error *err;
    size_t values; /* of all sets so far */
};

/* A value of a set; of an anyOf with the object that it begins. */
struct mc_entry {
    mc_str value;
    const struct mc_shape *object;
};

/* A new shape, NULL when out of memory. */
struct mc_shape *mc_compile_add(struct mc_compiler *c, enum mc_shape_kind kind);
/*
 * What is before, then `"key":` when there is a key, then the value when there is one, as a text in the
 * arena; data is NULL when out of memory.
 */
mc_str mc_compile_render(struct mc_compiler *c, const char *before, const struct mc_json *value,
                         mc_str key);
/* Makes a set of the entries, which it sorts; `lead` is known to be the same in all. */
MC_MUST_CHECK enum mc_status mc_compile_set(struct mc_compiler *c, const struct mc_shape_path *path,
                                            struct mc_entry *entries, size_t count, size_t lead,
                                            const struct mc_shape **shape);
/* The values of an enum, which is `list`, or a const, when it is NULL. */
MC_MUST_CHECK enum mc_status mc_compile_values(struct mc_compiler *c,
                                               const struct mc_shape_path *path,
                                               const struct mc_json *node,
                                               const struct mc_json *list,
                                               const struct mc_shape **shape);
MC_MUST_CHECK enum mc_status mc_compile_boolean(struct mc_compiler *c,
                                                const struct mc_shape_path *path,
                                                const struct mc_shape **shape);
MC_MUST_CHECK enum mc_status mc_compile_integer(struct mc_compiler *c,
                                                const struct mc_shape_path *path,
                                                const struct mc_json *node,
                                                const struct mc_shape **shape);

#endif
