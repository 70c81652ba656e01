/*
 * What the search index has of a message: the terms of its text, then the labels of its metadata (message/label.h),
 * separated by single spaces. Pure: the same text and metadata give the same tokens.
 */
#ifndef MC_MESSAGE_INDEX_TOKENS_H
#define MC_MESSAGE_INDEX_TOKENS_H

#include "base/arena.h"
#include "message/metadata.h"

/* Appends the tokens. MC_NO_MEMORY. */
MC_MUST_CHECK enum mc_status mc_index_tokens(mc_str text, const struct mc_metadata *metadata,
                                             struct mc_arena *arena, struct mc_buf *out,
                                             struct mc_error *err);

#endif
