/* Search in a user's messages: by words, topics, categories, intent, thread and time. */
#ifndef MINDCORE_SEARCH_H
#define MINDCORE_SEARCH_H

#include <mindcore/message.h>

#ifdef __cplusplus
extern "C" {
#endif

/* At least one of text, topics, categories and intent must be given. */
struct mc_search_query {
    mc_str user_id;
    mc_str agent_id;
    mc_str text;          /* words, any of which may match */
    mc_str thread_id;     /* absent: every thread of the user */
    const mc_str *topics; /* any of these; unknown names are MC_INVALID; synonyms are mapped */
    size_t topic_count;
    const mc_str *categories; /* any of these */
    size_t category_count;
    mc_str intent;
    int64_t since_us;               /* inclusive; 0: no bound */
    int64_t until_us;               /* exclusive; 0: no bound */
    size_t limit;                   /* 0: 20; at most 1000 */
    bool explain;                   /* tell of each hit why it was found */
    const struct mc_memory *memory; /* NULL: nobody is asked */
};

/* A feature of ranking with its share of the score, 0.005 to 1; docs/context.md lists them. */
struct mc_hit_reason {
    mc_str feature;
    double share;
};

struct mc_hit {
    const struct mc_message *message;
    double score;                    /* greater is better; comparable within one result only */
    const struct mc_hit_reason *why; /* in a fixed order; NULL unless explain was asked for */
    size_t why_count;
};

/* Best first; equal scores newest first. Free with mc_hit_list_free. */
struct mc_hit_list {
    size_t count;
    const struct mc_hit *items;
    /*
     * Whether messages were compared by meaning too (docs/embeddings.md): "used", "off", "none" (the user has no
     * vectors), or why words alone decided: "late", "failed". Static.
     */
    const char *meaning;
};

MC_API MC_MUST_CHECK enum mc_status mc_search(struct mc_engine *engine,
                                              const struct mc_search_query *query,
                                              struct mc_hit_list **hits, struct mc_error *err);
/* A hit as JSON: {"message", "score"}, and "why" when it was explained. Free with mc_free. */
MC_API MC_MUST_CHECK enum mc_status mc_hit_to_json(const struct mc_hit *hit, char **json,
                                                   size_t *len, struct mc_error *err);
/* Accepts NULL. */
MC_API void mc_hit_list_free(struct mc_hit_list *hits);

#ifdef __cplusplus
}
#endif
#endif
