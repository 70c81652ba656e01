/*
 * The schemas of answers, JSON Schema as OpenAPI 3.1 takes it. Input is described by its table of
 * fields instead. Tests check every answer against its schema.
 */
#include "http/routes.h"

#include "base/compiler.h"

#define STRING "{\"type\":\"string\"}"
#define INTEGER "{\"type\":\"integer\"}"
#define NUMBER "{\"type\":\"number\"}"
#define BOOLEAN "{\"type\":\"boolean\"}"
#define OBJECT_ANY "{\"type\":\"object\"}"
#define TIME "{\"type\":\"string\",\"format\":\"date-time\"}"
#define DAY "{\"type\":\"string\",\"format\":\"date\"}"
#define OR_NULL(type) "{\"type\":[\"" type "\",\"null\"]}"
#define LIST(item) "{\"type\":\"array\",\"items\":" item "}"
#define REF(name) "{\"$ref\":\"#/components/schemas/" name "\"}"
#define STRINGS LIST(STRING)
/* required: a JSON list of names; members: name and schema pairs. */
#define OBJECT(required, members)                                                                  \
    "{\"type\":\"object\",\"required\":[" required "],\"properties\":{" members "}}"

/* clang-format off */
/* One model of a list; what was enriched how; the daily caps. */
#define MODEL                                                                                      \
    OBJECT("\"provider\",\"state\",\"model\",\"detail\",\"calls\",\"calls_today\",\"cost_today_usd\"",\
           "\"provider\":" STRING ",\"state\":" STRING ",\"model\":" OR_NULL("string")             \
           ",\"context_tokens\":" OR_NULL("integer") ",\"parallel\":" INTEGER                      \
           ",\"detail\":" STRING ",\"calls\":" INTEGER ",\"failures\":" INTEGER                    \
           ",\"tokens_in\":" INTEGER ",\"tokens_cached\":" INTEGER ",\"tokens_out\":" INTEGER      \
           ",\"cost_usd\":" NUMBER ",\"cost_today_usd\":" NUMBER ",\"calls_today\":" INTEGER       \
           ",\"tokens_per_second\":" OR_NULL("number") ",\"latency_ms\":" OR_NULL("number")        \
           ",\"retry_in_seconds\":" OR_NULL("number") ",\"last_error\":" OR_NULL("string")         \
           ",\"last_error_at\":" OR_NULL("string"))
#define METHODS                                                                                    \
    OBJECT("\"llm\",\"builtin\",\"trivial\",\"waiting\"",                                          \
           "\"llm\":" INTEGER ",\"builtin\":" INTEGER ",\"trivial\":" INTEGER ",\"waiting\":" INTEGER)
#define CAPS                                                                                       \
    OBJECT("\"daily_usd\",\"daily_calls\",\"reached\",\"resets_at\"",                              \
           "\"daily_usd\":" OR_NULL("number") ",\"daily_calls\":" OR_NULL("integer")               \
           ",\"cost_today_usd\":" NUMBER ",\"calls_today\":" INTEGER ",\"reached\":" BOOLEAN       \
           ",\"resets_at\":" TIME)

/* An API key; `key` only when it was made. */
#define LIST_OR_NULL "{\"type\":[\"array\",\"null\"],\"items\":" STRING "}"
#define KEY                                                                                        \
    OBJECT("\"key_id\",\"name\",\"scopes\",\"user_ids\",\"agent_ids\",\"rate_limit\","             \
           "\"expires_at\",\"created_at\"",                                                        \
           "\"key_id\":" STRING ",\"key\":" STRING ",\"name\":" STRING ",\"scopes\":" STRINGS        \
           ",\"user_ids\":" LIST_OR_NULL ",\"agent_ids\":" LIST_OR_NULL                            \
           ",\"rate_limit\":" OR_NULL("number") ",\"expires_at\":" OR_NULL("string")               \
           ",\"created_at\":" TIME)

/* A line of the ledger, and the sum of all. */
#define USED_NAMES                                                                                 \
    "\"calls\",\"failures\",\"tokens_in\",\"tokens_cached\",\"tokens_out\",\"milliseconds\",\"cost_usd\""
#define USED                                                                                       \
    "\"calls\":" INTEGER ",\"failures\":" INTEGER ",\"tokens_in\":" INTEGER                        \
    ",\"tokens_cached\":" INTEGER ",\"tokens_out\":" INTEGER ",\"milliseconds\":" INTEGER          \
    ",\"cost_usd\":" NUMBER
#define REPLICA                                                                                    \
    OBJECT("\"host\",\"serving\",\"lag_seconds\",\"reads\",\"detail\"",                               \
           "\"host\":" STRING ",\"serving\":" BOOLEAN ",\"lag_seconds\":" OR_NULL("number")           \
           ",\"reads\":" INTEGER ",\"detail\":" STRING)
#define USAGE_ROW                                                                                  \
    OBJECT("\"day\",\"operation\",\"provider\",\"model\"," USED_NAMES,                             \
           "\"day\":" DAY ",\"operation\":" STRING ",\"provider\":" STRING ",\"model\":" STRING "," USED)
#define USAGE_TOTAL OBJECT(USED_NAMES, USED)
/* clang-format on */

static const struct {
    const char *name;
    const char *json;
} schemas[] = {
    {"Problem", OBJECT("\"type\",\"title\",\"status\",\"detail\",\"request_id\"",
                       "\"type\":" STRING ",\"title\":" STRING ",\"status\":" INTEGER
                       ",\"detail\":" STRING ",\"field\":" STRING ",\"request_id\":" STRING)},
    {"Metadata",
     OBJECT("", /* empty until the message is enriched */
            "\"topics\":" STRINGS ",\"categories\":" STRINGS
            ",\"importance\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1}"
            ",\"sentiment\":{\"type\":[\"object\",\"null\"],\"properties\":{\"overall\":" STRING
            ",\"score\":" NUMBER "}}"
            ",\"intent\":{\"type\":[\"string\",\"null\"]},\"tags\":" STRINGS ",\"entities\":" LIST(
                OBJECT("\"type\",\"value\"",
                       "\"type\":" STRING
                       ",\"value\":" STRING)) ",\"key_phrases\":" STRINGS
                                              ",\"method\":{\"type\":[\"string\",\"null\"]}"
                                              ",\"model\":{\"type\":[\"string\",\"null\"]}"
                                              ",\"confidence\":{\"type\":[\"number\",\"null\"]}"
                                              ",\"enrichment_failed\":" BOOLEAN
                                              ",\"enrichment_error\":{\"type\":[\"string\","
                                              "\"null\"]},\"fallback_reason\":" STRING
                                              ",\"truncated\":" BOOLEAN
                                              ",\"trivial_category\":" STRING
                                              ",\"extra\":" OBJECT_ANY)},
    {"Message",
     OBJECT("\"message_id\",\"user_id\",\"thread_id\",\"session_id\",\"role\",\"raw_text\","
            "\"metadata\",\"created_at\",\"visibility\",\"tier\",\"enrichment_state\"",
            "\"message_id\":" STRING ",\"user_id\":" STRING ",\"thread_id\":" STRING
            ",\"session_id\":" STRING
            ",\"role\":{\"type\":\"string\",\"enum\":[\"user\",\"assistant\",\"system\",\"tool\"]}"
            ",\"raw_text\":" STRING ",\"metadata\":" REF(
                "Metadata") ",\"created_at\":" TIME ",\"agent_id\":{\"type\":[\"string\",\"null\"]}"
                            ",\"visibility\":{\"type\":\"string\",\"enum\":[\"private\",\"shared\","
                            "\"public\"]}"
                            ",\"sharing_groups\":" STRINGS
                            ",\"tier\":{\"type\":\"string\",\"enum\":[\"short\",\"mid\",\"long\","
                            "\"archive\"]}"
                            ",\"enrichment_state\":{\"type\":\"string\",\"enum\":[\"pending\","
                            "\"enriched\","
                            "\"failed\"]}")},
    {"MessageList",
     OBJECT("\"messages\"", "\"messages\":" LIST(REF("Message")) ",\"next\":" STRING)},
    {"BulkResult", OBJECT("\"stored\",\"created\",\"refused_count\",\"refused\"",
                          "\"stored\":" INTEGER ",\"created\":" INTEGER
                          ",\"refused_count\":" INTEGER ",\"refused\":" LIST(
                              OBJECT("\"line\",\"error\"", "\"line\":" INTEGER ",\"error\":" STRING
                                                           ",\"field\":" STRING)))},
    {"HitList",
     OBJECT("\"hits\",\"meaning\"",
            "\"meaning\":" STRING ",\"hits\":" LIST(OBJECT(
                "\"message\",\"score\"",
                "\"message\":" REF("Message") ",\"score\":" NUMBER ",\"why\":" LIST(OBJECT(
                    "\"feature\",\"share\"", "\"feature\":" STRING ",\"share\":" NUMBER)))))},
    {"Context", OBJECT("\"assembled_context\",\"key_points\",\"relevant_message_ids\",\"metadata\"",
                       "\"assembled_context\":" STRING ",\"key_points\":" STRINGS
                       ",\"relevant_message_ids\":" STRINGS ",\"metadata\":" OBJECT_ANY)},
    {"Preferences",
     OBJECT("\"language\",\"timezone\",\"communication_style\",\"interests\",\"goals\","
            "\"preferred_name\",\"custom\"",
            "\"language\":{\"type\":[\"string\",\"null\"]},\"timezone\":{\"type\":[\"string\","
            "\"null\"]},\"communication_style\":{\"type\":[\"string\",\"null\"]},"
            "\"interests\":" STRINGS ",\"goals\":" STRINGS
            ",\"preferred_name\":{\"type\":[\"string\",\"null\"]},\"custom\":" OBJECT_ANY)},
    {"UserList",
     OBJECT("\"users\"", "\"users\":" LIST(OBJECT(
                             "\"user_id\",\"messages\",\"threads\",\"last_message_at\"",
                             "\"user_id\":" STRING ",\"messages\":" INTEGER ",\"threads\":" INTEGER
                             ",\"last_message_at\":" TIME)) ",\"next\":" STRING)},
    {"ThreadList", OBJECT("\"threads\"", "\"threads\":" LIST(OBJECT(
                                             "\"thread_id\",\"messages\",\"last_message_at\"",
                                             "\"thread_id\":" STRING ",\"messages\":" INTEGER
                                             ",\"last_message_at\":" TIME)) ",\"next\":" STRING)},
    {"SignalList", OBJECT("\"signals\"", "\"signals\":" LIST(OBJECT(
                                             "\"field\",\"value\",\"count\",\"ready\"",
                                             "\"field\":" STRING ",\"value\":{},\"count\":" INTEGER
                                             ",\"last_seen\":" TIME ",\"ready\":" BOOLEAN)))},
    {"SignalsApplied",
     OBJECT("\"applied\",\"preferences\"",
            "\"applied\":" LIST(OBJECT("\"field\",\"value\"",
                                       "\"field\":" STRING
                                       ",\"value\":{}")) ",\"preferences\":" REF("Preferences"))},
    {"ExportLine",
     OBJECT("\"type\"",
            "\"type\":{\"type\":\"string\",\"enum\":[\"message\",\"preferences\",\"summary\"]}")},
    {"ErasureReceipt",
     OBJECT("\"user_id\",\"erased_at\",\"messages\",\"messages_in_trash\",\"threads\",\"jobs\","
            "\"summaries\","
            "\"preferences\",\"signals\",\"verified\",\"wiped\"",
            "\"user_id\":" STRING ",\"erased_at\":" TIME ",\"messages\":" INTEGER
            ",\"messages_in_trash\":" INTEGER ",\"threads\":" INTEGER ",\"jobs\":" INTEGER
            ",\"summaries\":" INTEGER ",\"preferences\":" INTEGER ",\"signals\":" INTEGER
            ",\"verified\":" BOOLEAN ",\"wiped\":" BOOLEAN)},
    {"Agent",
     OBJECT("\"agent_id\",\"name\",\"sharing_groups\",\"default_visibility\",\"can_read_public\","
            "\"can_write_public\"",
            "\"agent_id\":" STRING ",\"name\":" STRING ",\"description\":" STRING
            ",\"sharing_groups\":" STRINGS ",\"default_visibility\":" STRING
            ",\"can_read_public\":" BOOLEAN ",\"can_write_public\":" BOOLEAN
            ",\"metadata\":" OBJECT_ANY ",\"created_at\":" TIME)},
    {"AgentList", OBJECT("\"agents\"", "\"agents\":" LIST(REF("Agent")))},
    {"AgentStats",
     OBJECT("\"enabled\",\"mode\",\"total_agents\",\"messages_by_agent\","
            "\"messages_by_visibility\"",
            "\"enabled\":" BOOLEAN ",\"mode\":" STRING ",\"total_agents\":" INTEGER
            ",\"messages_by_agent\":" OBJECT_ANY ",\"messages_by_visibility\":" OBJECT_ANY)},
    {"Key", KEY},
    {"KeyList", OBJECT("\"keys\"", "\"keys\":" LIST(REF("Key")))},
    {"Queue", OBJECT("\"depth\",\"ready\",\"leased\",\"dead\",\"oldest_age_seconds\",\"dead_jobs\"",
                     "\"depth\":" INTEGER ",\"ready\":" INTEGER ",\"leased\":" INTEGER
                     ",\"dead\":" INTEGER ",\"oldest_age_seconds\":" NUMBER ",\"dead_jobs\":" LIST(
                         OBJECT("\"message_id\",\"attempts\"",
                                "\"message_id\":" STRING ",\"attempts\":" INTEGER)))},
    {"Retried", OBJECT("\"retried\"", "\"retried\":" INTEGER)},
    {"Purged", OBJECT("\"purged\"", "\"purged\":" INTEGER)},
    {"CacheStats",
     OBJECT("\"cache\",\"invalidation\"",
            "\"cache\":" OBJECT_ANY ",\"invalidation\":" OBJECT(
                "\"total_invalidations\",\"by_reason\",\"last_invalidation\","
                "\"cache_hits\",\"cache_misses\",\"hit_rate\"",
                "\"total_invalidations\":" INTEGER ",\"by_reason\":" OBJECT_ANY
                ",\"last_invalidation\":{\"type\":[\"string\",\"null\"]}"
                ",\"cache_hits\":" INTEGER ",\"cache_misses\":" INTEGER ",\"hit_rate\":" NUMBER))},
    {"Invalidated", OBJECT("\"invalidated\"", "\"invalidated\":" INTEGER)},
    {"Migration",
     OBJECT("\"messages_migrated\",\"threads_summarized\",\"messages_deleted\",\"bytes_deleted\","
            "\"messages_compressed\",\"bytes_before\",\"bytes_after\",\"errors\",\"dry_run\","
            "\"run\"",
            "\"messages_migrated\":" INTEGER ",\"threads_summarized\":" INTEGER
            ",\"messages_deleted\":" INTEGER ",\"bytes_deleted\":" INTEGER
            ",\"messages_compressed\":" INTEGER ",\"bytes_before\":" INTEGER
            ",\"bytes_after\":" INTEGER ",\"errors\":" STRINGS ",\"dry_run\":" BOOLEAN
            ",\"run\":" OR_NULL("integer"))},
    {"TierRuns",
     OBJECT("\"runs\"",
            "\"runs\":" LIST(OBJECT(
                "\"run\",\"began_at\",\"ended_at\",\"undo_until\",\"user_id\","
                "\"messages_migrated\",\"messages_deleted\",\"bytes_deleted\","
                "\"messages_compressed\",\"undoing\"",
                "\"run\":" INTEGER ",\"began_at\":" TIME
                ",\"ended_at\":" OR_NULL("string") ",\"undo_until\":" TIME ",\"user_id\":" OR_NULL(
                    "string") ",\"messages_migrated\":" INTEGER ",\"messages_deleted\":" INTEGER
                              ",\"bytes_deleted\":" INTEGER ",\"messages_compressed\":" INTEGER
                              ",\"undoing\":" BOOLEAN)))},
    {"TierUndo",
     OBJECT("\"first_run\",\"last_run\",\"messages_restored\",\"messages_skipped\","
            "\"messages_moved_back\",\"messages_decompressed\",\"next_scheduled_migration\","
            "\"dry_run\"",
            "\"first_run\":" INTEGER ",\"last_run\":" INTEGER ",\"messages_restored\":" INTEGER
            ",\"messages_skipped\":" INTEGER ",\"messages_moved_back\":" INTEGER
            ",\"messages_decompressed\":" INTEGER
            ",\"next_scheduled_migration\":" OR_NULL("string") ",\"dry_run\":" BOOLEAN)},
    {"WorkersHealth",
     OBJECT("\"healthy\",\"issues\",\"timestamp\",\"worker_pool_size\",\"replicas\",\"workers\"",
            "\"healthy\":" BOOLEAN ",\"issues\":" STRINGS ",\"timestamp\":" TIME
            ",\"worker_pool_size\":" INTEGER ",\"replicas\":" LIST(REPLICA) ",\"workers\":" OBJECT(
                "\"enrichment\"",
                "\"enrichment\":" OBJECT("\"healthy\",\"status\",\"issues\",\"metrics\"",
                                         "\"healthy\":" BOOLEAN ",\"status\":" STRING
                                         ",\"issues\":" STRINGS ",\"metrics\":" OBJECT_ANY)))},
    {"EnrichmentMetrics",
     OBJECT("\"processed_count\",\"trivial_skip_count\",\"error_count\",\"error_rate\","
            "\"avg_processing_time_ms\",\"queue_size\",\"last_error\",\"uptime_seconds\","
            "\"savings_from_trivial\"",
            "\"processed_count\":" INTEGER ",\"trivial_skip_count\":" INTEGER
            ",\"error_count\":" INTEGER ",\"error_rate\":" NUMBER
            ",\"avg_processing_time_ms\":" NUMBER ",\"queue_size\":" INTEGER
            ",\"last_error\":{\"type\":[\"string\",\"null\"]},\"uptime_seconds\":" NUMBER
            ",\"savings_from_trivial\":" OBJECT("\"llm_calls_saved\",\"percentage\","
                                                "\"estimated_cost_saved_usd\"",
                                                "\"llm_calls_saved\":" INTEGER
                                                ",\"percentage\":" NUMBER
                                                ",\"estimated_cost_saved_usd\":" NUMBER))},
    {"Metrics",
     OBJECT("\"messages_ingested\",\"messages_enriched\",\"context_requests\",\"queue_depth\","
            "\"active_workers\",\"worker_pool_size\",\"cache_hit_rate\",\"errors\"",
            "\"messages_ingested\":" INTEGER ",\"messages_enriched\":" INTEGER
            ",\"context_requests\":" INTEGER ",\"queue_depth\":" INTEGER
            ",\"active_workers\":" INTEGER ",\"worker_pool_size\":" INTEGER
            ",\"cache_hit_rate\":" NUMBER ",\"errors\":" INTEGER)},
    {"ModelList", OBJECT("\"provider\",\"models\",\"enrichment\",\"caps\"",
                         "\"provider\":" STRING
                         ",\"models\":" LIST(MODEL) ",\"enrichment\":" METHODS ",\"caps\":" CAPS)},
    {"Usage",
     OBJECT("\"usage\",\"total\"", "\"usage\":" LIST(USAGE_ROW) ",\"total\":" USAGE_TOTAL)},
    {"Status", OBJECT_ANY},
    {"Health",
     OBJECT("\"status\",\"healthy\",\"reasons\",\"version\",\"checks\"",
            "\"status\":{\"type\":\"string\",\"enum\":[\"ok\",\"failed\"]},\"healthy\":" BOOLEAN
            ",\"reasons\":" STRINGS ",\"version\":" STRING ",\"checks\":" OBJECT_ANY)},
    {"Live", OBJECT("\"status\"", "\"status\":" STRING)},
    {"Ready",
     OBJECT("\"status\"", "\"status\":{\"type\":\"string\",\"enum\":[\"ok\",\"stopping\"]}")},
    {"Text", STRING},
    {"OpenApi", OBJECT("\"openapi\",\"info\",\"paths\",\"components\"",
                       "\"openapi\":" STRING ",\"info\":" OBJECT_ANY ",\"paths\":" OBJECT_ANY
                       ",\"components\":" OBJECT_ANY)},
};

bool mc_http_schema_at(size_t index, const char **name, const char **json)
{
    if (index >= mc_countof(schemas))
        return false;
    *name = schemas[index].name;
    *json = schemas[index].json;
    return true;
}
