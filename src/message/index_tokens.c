#include "message/index_tokens.h"

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "message/label.h"
#include "text/terms.h"

/* A term counts at most this often in the index: more says nothing more about what a message is about. */
#define TERM_COUNT_MAX 4

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

enum mc_status mc_index_tokens(mc_str text, const struct mc_metadata *metadata,
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
