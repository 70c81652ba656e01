/*
 * Labels: the index tokens that enrichment adds to a message's terms, so that messages can be found by topic,
 * category and intent: "t:TOPIC", "c:CATEGORY", "i:INTENT", and "m:lasting". Tokens are separated by spaces, so a
 * space inside a name is written as '_'.
 */
#ifndef MC_MESSAGE_LABEL_H
#define MC_MESSAGE_LABEL_H

#include "base/buf.h"

#define MC_LABEL_TOPIC 't'
#define MC_LABEL_CATEGORY 'c'
#define MC_LABEL_INTENT 'i'
/* What the user said of himself, prefers, or asked to remember. */
#define MC_LABEL_LASTING "m:lasting"

/* Appends the label of a name. */
void mc_label_append(struct mc_buf *out, char kind, mc_str name);

#endif
