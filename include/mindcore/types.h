/*
 * Values that the whole interface shares: strings, the message, lists, enumerations.
 */
#ifndef MINDCORE_TYPES_H
#define MINDCORE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <mindcore/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A string by value: bytes and length, not owned, not necessarily NUL-terminated. data may be NULL
 * when len is 0; NULL data means "not given" where an argument is optional.
 */
typedef struct mc_str {
    const char *data;
    size_t len;
} mc_str;

/* A view of a NUL-terminated string; NULL gives the absent string. */
static inline mc_str mc_str_of(const char *text)
{
    mc_str str = {text, text ? strlen(text) : 0};
    return str;
}

/* Each enumeration comes from one table: name as it is written in JSON. */
#define MC_ROLE_MAP(X) X(USER, "user") X(ASSISTANT, "assistant") X(SYSTEM, "system") X(TOOL, "tool")
#define MC_VISIBILITY_MAP(X) X(PRIVATE, "private") X(SHARED, "shared") X(PUBLIC, "public")
#define MC_TIER_MAP(X) X(SHORT, "short") X(MID, "mid") X(LONG, "long") X(ARCHIVE, "archive")
#define MC_ENRICHMENT_MAP(X) X(PENDING, "pending") X(ENRICHED, "enriched") X(FAILED, "failed")
#define MC_CONTEXT_MODE_MAP(X) X(AUTO, "auto") X(FAST, "fast") X(LLM, "llm")

#define MC_ENUM_ROLE(name, text) MC_ROLE_##name,
#define MC_ENUM_VISIBILITY(name, text) MC_VISIBILITY_##name,
#define MC_ENUM_TIER(name, text) MC_TIER_##name,
#define MC_ENUM_ENRICHMENT(name, text) MC_ENRICHMENT_##name,
#define MC_ENUM_CONTEXT_MODE(name, text) MC_CONTEXT_##name,
enum mc_role { MC_ROLE_MAP(MC_ENUM_ROLE) MC_ROLE_COUNT };
enum mc_visibility { MC_VISIBILITY_MAP(MC_ENUM_VISIBILITY) MC_VISIBILITY_COUNT };
enum mc_tier { MC_TIER_MAP(MC_ENUM_TIER) MC_TIER_COUNT };
enum mc_enrichment { MC_ENRICHMENT_MAP(MC_ENUM_ENRICHMENT) MC_ENRICHMENT_COUNT };
enum mc_context_mode { MC_CONTEXT_MODE_MAP(MC_ENUM_CONTEXT_MODE) MC_CONTEXT_MODE_COUNT };
#undef MC_ENUM_ROLE
#undef MC_ENUM_VISIBILITY
#undef MC_ENUM_TIER
#undef MC_ENUM_ENRICHMENT
#undef MC_ENUM_CONTEXT_MODE

/* The JSON name of a value; "" for a value outside the enumeration. */
MC_API const char *mc_role_name(enum mc_role role);
MC_API const char *mc_visibility_name(enum mc_visibility visibility);
MC_API const char *mc_tier_name(enum mc_tier tier);
MC_API const char *mc_enrichment_name(enum mc_enrichment state);
MC_API const char *mc_context_mode_name(enum mc_context_mode mode);

/* The value of a name, exact case; false when there is none, the output untouched. */
MC_API bool mc_role_parse(mc_str name, enum mc_role *role);
MC_API bool mc_visibility_parse(mc_str name, enum mc_visibility *visibility);
MC_API bool mc_context_mode_parse(mc_str name, enum mc_context_mode *mode);

/*
 * A stored message. Immutable; it and all its strings live until the list or handle that it came in
 * is freed, and may be read from any thread until then.
 */
struct mc_message {
    mc_str message_id;
    mc_str user_id;
    mc_str thread_id;
    mc_str session_id;
    mc_str agent_id; /* empty when none */
    mc_str text;
    mc_str metadata; /* a JSON object, see docs/metadata.md */
    const mc_str *sharing_groups;
    size_t sharing_group_count;
    int64_t created_at_us; /* microseconds since the epoch, UTC */
    double importance;     /* 0..1 as stored; see mc_importance_decayed */
    enum mc_role role;
    enum mc_visibility visibility;
    enum mc_tier tier;
    enum mc_enrichment enrichment_state;
};

/* Messages in the order that the call documents. Free with mc_message_list_free. */
struct mc_message_list {
    size_t count;
    const struct mc_message *const *items;
};

/* Accepts NULL. */
MC_API void mc_message_list_free(struct mc_message_list *list);

/* Frees text that a function of this library returned; accepts NULL. */
MC_API void mc_free(void *memory);

/*
 * One message as the JSON object of the HTTP interface (docs/http.md). *json is NUL-terminated, the
 * caller frees it with mc_free; *len (may be NULL) is its length.
 */
MC_API MC_MUST_CHECK enum mc_status mc_message_to_json(const struct mc_message *message,
                                                       char **json, size_t *len,
                                                       struct mc_error *err);

/* Reports progress of long work: total is 0 when unknown. Return false to stop it (MC_CANCELLED). */
typedef bool (*mc_progress_fn)(void *context, uint64_t done, uint64_t total);

/* A time as RFC 3339 in UTC with microseconds, "2026-01-31T12:00:00.000000Z", and back. */
#define MC_TIME_TEXT_SIZE 32
MC_API void mc_time_format(int64_t time_us, char text[MC_TIME_TEXT_SIZE]);
MC_API bool mc_time_parse(mc_str text, int64_t *time_us);

#ifdef __cplusplus
}
#endif
#endif
