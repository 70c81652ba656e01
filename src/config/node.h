/*
 * A value as it was written, from YAML or JSON: scalars are text, typed only when an option takes
 * them. Everything lives in the caller's arena. (Home of libfyaml: yaml.c.)
 */
#ifndef MC_CONFIG_NODE_H
#define MC_CONFIG_NODE_H

#include "base/arena.h"

#define MC_NODE_DEPTH 32
#define MC_NODE_MAX 100000

enum mc_node_type { MC_NODE_SCALAR, MC_NODE_LIST, MC_NODE_MAP };

struct mc_node {
    enum mc_node_type type;
    bool plain;    /* a scalar without quotes: "null" means none */
    bool variable; /* some of its text came from a variable */
    bool expanded; /* mc_node_expand has been here */
    int line;      /* from 1; 0 when there is no file */
    int column;
    mc_str text;               /* of a scalar */
    const struct mc_node *key; /* of a member of a map */
    struct mc_node *child;     /* first element or member */
    struct mc_node *next;
};

/* A scalar that stands for no value: null, ~ or nothing, without quotes. */
bool mc_node_is_null(const struct mc_node *node);

/*
 * Parses a YAML document; *root is NULL for an empty one. name stands for the file in errors, which
 * are MC_CONFIG with "name:line:column: ...". Anchors and aliases share nodes; tags are refused.
 */
MC_MUST_CHECK enum mc_status mc_node_parse_yaml(struct mc_arena *arena, mc_str yaml,
                                                const char *name, struct mc_node **root,
                                                struct mc_error *err);

/* Parses JSON (base/json.h); MC_CONFIG when it is not. */
MC_MUST_CHECK enum mc_status mc_node_parse_json(struct mc_arena *arena, mc_str json,
                                                struct mc_node **root, struct mc_error *err);

/*
 * Replaces ${NAME} and ${NAME:default} in every scalar below, keys excepted, and $$ by $. A
 * variable that is empty counts as not set where there is a default. *at is the scalar at fault. A
 * default may hold further variables.
 */
MC_MUST_CHECK enum mc_status mc_node_expand(struct mc_arena *arena, struct mc_node *node,
                                            const struct mc_node **at, struct mc_error *err);

#endif
