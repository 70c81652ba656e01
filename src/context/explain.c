/* What a context says of itself, and the result as JSON. */
#include "context/assemble.h"

#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "base/time.h"

#define JSON_MAX ((size_t)32 << 20)
#define LEAST_SHARE 0.005 /* smaller shares are not told */

/*
 * A number of at least 0 with its decimals: a context writes some hundred of them, and printf would
 * cost more than the ranking that they tell of.
 */
static void put_decimals(struct mc_json_writer *w, const char *key, double value, int decimals)
{
    char text[32], *at = text + sizeof(text);
    double scale = 1;
    for (int i = 0; i < decimals; i++)
        scale *= 10;
    uint64_t rest = value > 0 && value < 1e9 ? (uint64_t)(value * scale + 0.5) : 0;
    for (int i = 0; i <= decimals || rest > 0; i++, rest /= 10) {
        if (i == decimals)
            *--at = '.';
        *--at = (char)('0' + rest % 10);
    }
    mc_json_key(w, key);
    mc_json_put_raw(w, (mc_str){at, (size_t)(text + sizeof(text) - at)});
}

/* Some hundred in a context, of fixed names: put together here, not member by member. */
static void write_share(struct mc_json_writer *w, const char *feature, double share)
{
    char text[96];
    int percent = share > 0 && share < 9 ? (int)(share * 100 + 0.5) : 0;
    char *at = stpcpy(stpcpy(stpcpy(text, "{\"feature\":\""), feature), "\",\"share\":");
    const char number[] = {(char)('0' + percent / 100), '.', (char)('0' + percent / 10 % 10),
                           (char)('0' + percent % 10), '}'};
    memcpy(at, number, sizeof(number));
    at += sizeof(number);
    mc_json_put_raw(w, (mc_str){text, (size_t)(at - text)});
}

/* Why a message is there: for a relevant one the features of its score with their shares. */
static void write_why(struct mc_json_writer *w, const struct mc_shown *shown)
{
    mc_json_key(w, "why");
    mc_json_begin(w, '[');
    if (shown->chosen) {
        write_share(w, "chosen_by_model", 1);
    } else if (shown->as == MC_SHOWN_RECENT) {
        write_share(w, "newest_of_thread", 1);
    } else if (shown->as == MC_SHOWN_NEIGHBOUR) {
        write_share(w, "next_to_relevant", 1);
    } else if (shown->as == MC_SHOWN_IMPORTANT) {
        write_share(w, "important", 1);
    } else if (shown->as == MC_SHOWN_LAST_SESSION) {
        write_share(w, "last_session", 1);
    } else if (shown->as == MC_SHOWN_TIME_NAMED) {
        write_share(w, "time_named", 1);
    } else {
        for (size_t i = 0; i < MC_FEATURE_COUNT; i++) {
            double share = shown->item->features[i] / shown->item->score;
            if (shown->item->score > 0 && share >= LEAST_SHARE)
                write_share(w, mc_feature_name((enum mc_feature)i), share);
        }
    }
    mc_json_end(w, ']');
}

static void write_items(const struct mc_assembly *a, struct mc_json_writer *w)
{
    static const char *const sections[] = {"relevant",   "neighbour",  "recent",
                                           "background", "background", "background"};
    mc_json_key(w, "items");
    mc_json_begin(w, '[');
    for (size_t i = 0; i < a->shown_count; i++) {
        const struct mc_shown *shown = &a->shown[i];
        mc_json_begin(w, '{');
        mc_json_member_string(w, "message_id", shown->record->m.message_id);
        mc_json_member_text(w, "section", sections[shown->as]);
        put_decimals(w, "score", shown->item ? shown->item->score : 0, 4);
        write_why(w, shown);
        mc_json_end(w, '}');
    }
    mc_external_write_items(&a->external, w);
    mc_json_end(w, ']');
}

static void write_sources(const struct mc_assembly *a, struct mc_json_writer *w)
{
    mc_json_key(w, "sources");
    mc_json_begin(w, '{');
    mc_json_member_integer(w, "additional", a->additional);
    mc_external_write_source(&a->external, w);
    mc_json_member_integer(w, "preferences", (int64_t)a->preferences);
    mc_json_member_integer(w, "summaries", (int64_t)a->summaries);
    mc_json_member_integer(w, "relevant", (int64_t)a->kinds[MC_SHOWN_RELEVANT]);
    mc_json_member_integer(w, "neighbours", (int64_t)a->kinds[MC_SHOWN_NEIGHBOUR]);
    mc_json_member_integer(w, "important", (int64_t)a->kinds[MC_SHOWN_IMPORTANT]);
    mc_json_member_integer(w, "last_session", (int64_t)a->kinds[MC_SHOWN_LAST_SESSION]);
    mc_json_member_integer(w, "time_named", (int64_t)a->kinds[MC_SHOWN_TIME_NAMED]);
    mc_json_member_integer(w, "recent", (int64_t)a->kinds[MC_SHOWN_RECENT]);
    mc_json_end(w, '}');
}

/* What a model did: why it did not choose, or what it was asked and what that took. */
static void write_guided(const struct mc_guided *guided, struct mc_json_writer *w)
{
    if (guided->fallback.len > 0)
        mc_json_member_string(w, "fallback", guided->fallback);
    if (guided->rounds == 0)
        return;
    mc_json_member_integer(w, "rounds", (int64_t)guided->rounds);
    if (guided->provider)
        mc_json_member_text(w, "provider", guided->provider);
    if (guided->model.len > 0)
        mc_json_member_string(w, "model", guided->model);
    mc_json_member_integer(w, "tokens_in", guided->usage.tokens_in);
    mc_json_member_integer(w, "tokens_out", guided->usage.tokens_out);
    mc_json_member_fixed(w, "model_ms", (double)guided->took_us / (double)MC_US_PER_MS, 3);
    mc_json_key(w, "tools");
    mc_json_begin(w, '[');
    for (size_t i = 0; i < guided->use_count; i++) {
        const struct mc_tool_use *use = &guided->uses[i];
        mc_json_begin(w, '{');
        mc_json_member_text(w, "tool", use->tool);
        mc_json_key(w, "arguments");
        mc_json_put_raw(w, use->arguments);
        mc_json_member_integer(w, "results", (int64_t)use->results);
        if (use->refused.len > 0)
            mc_json_member_string(w, "refused", use->refused);
        mc_json_end(w, '}');
    }
    mc_json_end(w, ']');
}

enum mc_status mc_assembly_explain(const struct mc_assembly *a, size_t tokens, mc_str *json,
                                   struct mc_error *err)
{
    struct mc_buf buf;
    mc_buf_init(&buf, JSON_MAX);
    struct mc_json_writer w = mc_json_writer(&buf);
    mc_json_begin(&w, '{');
    write_sources(a, &w);
    mc_json_member_fixed(&w, "confidence", a->confidence, 2);
    mc_json_member_integer(&w, "tokens", (int64_t)tokens);
    mc_json_member_integer(&w, "max_tokens", (int64_t)a->max_tokens);
    mc_json_member_integer(&w, "messages", (int64_t)a->pack.messages_used);
    mc_json_member_integer(&w, "max_messages", (int64_t)a->max_messages);
    mc_json_member_text(&w, "tokens_by", a->measure.name);
    mc_json_member_text(&w, "method", a->guided.done ? "llm" : "deterministic");
    mc_json_member_text(&w, "mode", mc_context_mode_name(a->query->mode));
    write_guided(&a->guided, &w);
    mc_json_member_integer(&w, "candidates", (int64_t)a->found.matched);
    mc_json_member_text(&w, "meaning", mc_meaning_name(a->found.meaning.state));
    if (a->found.meaning.why.len > 0)
        mc_json_member_string(&w, "meaning_failed", a->found.meaning.why);
    write_items(a, &w);
    mc_external_write_failures(&a->external, &w);
    int64_t elapsed_us = mc_time_monotonic_us() - a->started_us;
    mc_json_member_fixed(&w, "elapsed_ms", (double)elapsed_us / (double)MC_US_PER_MS, 3);
    mc_json_end(&w, '}');
    mc_str copy = buf.failed ? MC_STR_NONE : mc_arena_copy(a->arena, mc_buf_str(&buf));
    mc_buf_fini(&buf);
    if (!copy.data)
        return mc_fail_memory(err);
    *json = copy;
    return MC_OK;
}

static void write_strings(struct mc_json_writer *w, const char *key, const mc_str *items,
                          size_t count)
{
    mc_json_key(w, key);
    mc_json_begin(w, '[');
    for (size_t i = 0; i < count; i++)
        mc_json_put_string(w, items[i]);
    mc_json_end(w, ']');
}

enum mc_status mc_context_to_json(const struct mc_context *context, char **json, size_t *len,
                                  struct mc_error *err)
{
    struct mc_buf buf;
    mc_buf_init(&buf, JSON_MAX * 2);
    struct mc_json_writer w = mc_json_writer(&buf);
    mc_json_begin(&w, '{');
    mc_json_member_string(&w, "assembled_context", context->assembled_context);
    write_strings(&w, "key_points", context->key_points, context->key_point_count);
    write_strings(&w, "relevant_message_ids", context->relevant_message_ids,
                  context->relevant_message_id_count);
    mc_json_key(&w, "metadata");
    mc_json_put_raw(&w, context->metadata);
    mc_json_end(&w, '}');
    char *text = mc_buf_take(&buf, len);
    mc_buf_fini(&buf);
    if (!text)
        return mc_fail_memory(err);
    *json = text;
    return MC_OK;
}
