/* Search in a user's messages. */
#include "http/routes.h"

#include "base/compiler.h"
#include "base/error.h"
#include "base/utf8.h"

const struct mc_http_field mc_http_search_query[MC_HTTP_SEARCH_COUNT] = {
    [MC_HTTP_SEARCH_Q] = {.name = "q",
                          .type = MC_HTTP_STRING,
                          .help = "Words, any of which may match"},
    [MC_HTTP_SEARCH_TOPICS] = {.name = "topics", .type = MC_HTTP_LIST, .help = "Any of these"},
    [MC_HTTP_SEARCH_CATEGORIES] = {.name = "categories",
                                   .type = MC_HTTP_LIST,
                                   .help = "Any of these"},
    [MC_HTTP_SEARCH_INTENT] = {.name = "intent",
                               .type = MC_HTTP_STRING,
                               .help = "An intent of the vocabulary"},
    [MC_HTTP_SEARCH_THREAD] = {.name = "thread_id",
                               .type = MC_HTTP_STRING,
                               .help = "Only this thread"},
    [MC_HTTP_SEARCH_SINCE] = {.name = "since", .type = MC_HTTP_TIME, .help = "From this time on"},
    [MC_HTTP_SEARCH_UNTIL] = {.name = "until", .type = MC_HTTP_TIME, .help = "Before this time"},
    [MC_HTTP_SEARCH_LIMIT] = {.name = "limit",
                              .type = MC_HTTP_INTEGER,
                              .min = 1,
                              .max = 1000,
                              .help = "At most so many hits; 20 when not given"},
    [MC_HTTP_SEARCH_AGENT] = {.name = "agent_id",
                              .type = MC_HTTP_STRING,
                              .help = "The reading agent, where agents are enabled"},
    [MC_HTTP_SEARCH_EXPLAIN] = {.name = "explain",
                                .type = MC_HTTP_BOOLEAN,
                                .help = "Tell of each hit why it was found"},
};

static void free_hits(struct mc_hit_list **hits)
{
    mc_hit_list_free(*hits);
}

static enum mc_status put_hit(struct mc_json_writer *w, const struct mc_hit *hit,
                              struct mc_error *err)
{
    char *json = NULL;
    size_t len = 0;
    enum mc_status status = mc_hit_to_json(hit, &json, &len, err);
    if (status != MC_OK)
        return status;
    mc_json_put_raw(w, (mc_str){json, len});
    mc_free(json);
    return MC_OK;
}

enum mc_status mc_http_search(struct mc_http_request *req, struct mc_error *err)
{
    const struct mc_http_value *values = req->query;
    struct mc_search_query query = {
        .user_id = req->params[0],
        .agent_id = values[MC_HTTP_SEARCH_AGENT].text,
        .text = values[MC_HTTP_SEARCH_Q].text,
        .thread_id = values[MC_HTTP_SEARCH_THREAD].text,
        .topics = values[MC_HTTP_SEARCH_TOPICS].items,
        .topic_count = values[MC_HTTP_SEARCH_TOPICS].count,
        .categories = values[MC_HTTP_SEARCH_CATEGORIES].items,
        .category_count = values[MC_HTTP_SEARCH_CATEGORIES].count,
        .intent = values[MC_HTTP_SEARCH_INTENT].text,
        .since_us = values[MC_HTTP_SEARCH_SINCE].integer,
        .until_us = values[MC_HTTP_SEARCH_UNTIL].integer,
        .limit = (size_t)values[MC_HTTP_SEARCH_LIMIT].integer,
        .explain = values[MC_HTTP_SEARCH_EXPLAIN].boolean,
        .memory = &req->memory,
    };
    /* The interface calls it text. */
    if (query.text.len == 0 && query.topic_count == 0 && query.category_count == 0 &&
        query.intent.len == 0)
        return mc_fail_field(err, MC_INVALID, "q",
                             "give at least one of q, topics, categories and intent");
    if (query.text.len > 0 && mc_utf8_is_blank(query.text))
        return mc_fail_field(err, MC_INVALID, "q", "q is blank");
    mc_auto(free_hits) struct mc_hit_list *hits = NULL;
    enum mc_status status = mc_search(req->engine, &query, &hits, err);
    if (status != MC_OK)
        return status;
    mc_http_answer(req, 200, MC_HTTP_JSON);
    struct mc_json_writer w = mc_json_writer(&req->out);
    mc_json_begin(&w, '{');
    mc_json_key(&w, "hits");
    mc_json_begin(&w, '[');
    for (size_t i = 0; i < hits->count && status == MC_OK; i++)
        status = put_hit(&w, &hits->items[i], err);
    mc_json_end(&w, ']');
    mc_json_member_text(&w, "meaning", hits->meaning);
    mc_json_end(&w, '}');
    return status;
}
