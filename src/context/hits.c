#include "context/hits.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

#define LEAST_SHARE 0.005 /* smaller shares are not told */
#define JSON_MAX ((size_t)32 << 20)

struct owned_hits {
    struct mc_hit_list list;
    struct mc_hit_reason *reasons; /* room for those of every hit; NULL when not explained */
    struct mc_hit items[];
};

struct mc_hit_list *mc_hits_new(size_t capacity, bool explain)
{
    struct owned_hits *made = malloc(sizeof(*made) + capacity * sizeof(struct mc_hit));
    if (!made)
        return NULL;
    made->list = (struct mc_hit_list){.count = 0, .items = made->items, .meaning = "off"};
    made->reasons = NULL;
    if (!explain || capacity == 0)
        return &made->list;
    made->reasons = calloc(capacity * MC_FEATURE_COUNT, sizeof(*made->reasons));
    if (made->reasons)
        return &made->list;
    free(made);
    return NULL;
}

void mc_hit_list_free(struct mc_hit_list *hits)
{
    if (!hits)
        return;
    struct owned_hits *owned = mc_container_of(hits, struct owned_hits, list);
    for (size_t i = 0; i < hits->count; i++)
        mc_record_unref(mc_record_of(hits->items[i].message));
    free(owned->reasons);
    free(owned);
}

static size_t explain(struct mc_hit_reason *reasons, double score,
                      const double features[MC_FEATURE_COUNT])
{
    size_t count = 0;
    for (int i = 0; i < MC_FEATURE_COUNT; i++) {
        double share = score > 0 ? features[i] / score : 0;
        if (share >= LEAST_SHARE)
            reasons[count++] = (struct mc_hit_reason){
                .feature = mc_str_of(mc_feature_name((enum mc_feature)i)), .share = share};
    }
    return count;
}

void mc_hits_add(struct mc_hit_list *hits, struct mc_record *record, double score,
                 const double features[MC_FEATURE_COUNT])
{
    struct owned_hits *owned = mc_container_of(hits, struct owned_hits, list);
    struct mc_hit *hit = &owned->items[hits->count];
    *hit = (struct mc_hit){.message = &mc_record_ref(record)->m, .score = score};
    if (owned->reasons) {
        struct mc_hit_reason *reasons = &owned->reasons[hits->count * MC_FEATURE_COUNT];
        hit->why = reasons;
        hit->why_count = explain(reasons, score, features);
    }
    hits->count++;
}

static void write_why(struct mc_json_writer *w, const struct mc_hit *hit)
{
    mc_json_key(w, "why");
    mc_json_begin(w, '[');
    for (size_t i = 0; i < hit->why_count; i++) {
        mc_json_begin(w, '{');
        mc_json_member_string(w, "feature", hit->why[i].feature);
        mc_json_member_fixed(w, "share", hit->why[i].share, 2);
        mc_json_end(w, '}');
    }
    mc_json_end(w, ']');
}

enum mc_status mc_hit_to_json(const struct mc_hit *hit, char **json, size_t *len,
                              struct mc_error *err)
{
    char *message = NULL;
    size_t message_len = 0;
    enum mc_status status = mc_message_to_json(hit->message, &message, &message_len, err);
    if (status)
        return status;
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, JSON_MAX);
    struct mc_json_writer w = mc_json_writer(&buf);
    mc_json_begin(&w, '{');
    mc_json_key(&w, "message");
    mc_json_put_raw(&w, (mc_str){message, message_len});
    mc_json_member_number(&w, "score", hit->score);
    if (hit->why)
        write_why(&w, hit);
    mc_json_end(&w, '}');
    mc_free(message);
    char *text = mc_buf_take(&buf, len);
    if (!text)
        return mc_fail_memory(err);
    *json = text;
    return MC_OK;
}
