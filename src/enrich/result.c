#include "enrich/result.h"

#include "base/buf.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "message/index_tokens.h"

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
    status = mc_index_tokens(message->text, &made.metadata, arena, &terms, err);
    if (!status)
        status = to_arena(&json, arena, &made.json, err);
    if (!status)
        status = to_arena(&terms, arena, &made.terms, err);
    if (!status)
        *result = made;
    return status;
}
