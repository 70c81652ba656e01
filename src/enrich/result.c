#include "enrich/result.h"

#include "base/buf.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "message/label.h"
#include "text/terms.h"

/* A term counts at most this often in the index: more says nothing more about what a message is about. */
#define TERM_COUNT_MAX 4
#define RESULT_MAX ((size_t)1 << 20)

/* What the caller attached stays where it was. */
static enum mc_status keep_extra(const struct mc_message *message, struct mc_arena *arena,
                                 struct mc_metadata *metadata, struct mc_error *err)
{
    metadata->extra = MC_STR_NONE;
    if (message->metadata.len <= sizeof("{}") - 1)
        return MC_OK;
    struct mc_metadata before;
    enum mc_status status = mc_metadata_parse(message->metadata, arena, &before, err);
    if (!status)
        metadata->extra = before.extra;
    return status;
}

static void append_labels(struct mc_buf *out, char kind, const mc_str *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mc_buf_char(out, ' ');
        mc_label_append(out, kind, names[i]);
    }
}

static bool is_lasting(const struct mc_metadata *metadata)
{
    static const char *const tags[] = {"personal", "preference", "remember"};
    for (size_t i = 0; i < metadata->tag_count; i++) {
        for (size_t k = 0; k < mc_countof(tags); k++) {
            if (mc_str_equal(metadata->tags[i], mc_str_of(tags[k])))
                return true;
        }
    }
    return false;
}

static enum mc_status index_tokens(mc_str text, const struct mc_metadata *metadata,
                                   struct mc_arena *arena, struct mc_buf *out, struct mc_error *err)
{
    struct mc_terms terms;
    if (!mc_terms_of(text, arena, &terms))
        return mc_fail_memory(err);
    for (size_t i = 0; i < terms.count; i++) {
        for (uint32_t n = 0; n < terms.items[i].count && n < TERM_COUNT_MAX; n++) {
            if (out->len > 0)
                mc_buf_char(out, ' ');
            mc_buf_append(out, terms.items[i].text);
        }
    }
    size_t before = out->len;
    append_labels(out, MC_LABEL_TOPIC, metadata->topics, metadata->topic_count);
    append_labels(out, MC_LABEL_CATEGORY, metadata->categories, metadata->category_count);
    if (metadata->intent.len > 0)
        append_labels(out, MC_LABEL_INTENT, &metadata->intent, 1);
    if (is_lasting(metadata))
        mc_buf_text(out, " " MC_LABEL_LASTING);
    if (before == 0 && out->len > 0) { /* nothing but labels: no space in front */
        memmove(out->data, out->data + 1, out->len);
        out->len--;
    }
    return MC_OK;
}

static enum mc_status to_arena(struct mc_buf *buf, struct mc_arena *arena, mc_str *text,
                               struct mc_error *err)
{
    *text = buf->failed ? MC_STR_NONE : mc_arena_copy(arena, mc_buf_str(buf));
    return text->data ? MC_OK : mc_fail_memory(err);
}

enum mc_status mc_result_finish(const struct mc_message *message, struct mc_arena *arena,
                                struct mc_enrichment_result *result, struct mc_error *err)
{
    struct mc_enrichment_result made = *result;
    enum mc_status status = keep_extra(message, arena, &made.metadata, err);
    if (status)
        return status;
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_auto(mc_buf_fini) struct mc_buf terms;
    mc_buf_init(&json, RESULT_MAX);
    mc_buf_init(&terms, RESULT_MAX);
    mc_metadata_write(&made.metadata, &json);
    status = index_tokens(message->text, &made.metadata, arena, &terms, err);
    if (!status)
        status = to_arena(&json, arena, &made.json, err);
    if (!status)
        status = to_arena(&terms, arena, &made.terms, err);
    if (!status)
        *result = made;
    return status;
}
