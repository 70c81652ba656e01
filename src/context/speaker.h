/*
 * Who speaks in a message that says so: "Ann: see you tomorrow", as transcripts and group chats have it.
 * Pure.
 */
#ifndef MC_CONTEXT_SPEAKER_H
#define MC_CONTEXT_SPEAKER_H

#include "context/query.h"
#include "message/record.h"

/* The name in front of the text, one to three capitalised words with a colon behind; absent when none is there. */
mc_str mc_speaker_of(mc_str text);

/*
 * Finds out which of those who speak in the records the query names, by name or a short form of it
 * ("Alex" for Alexandra; "How" at the beginning of a question is none for Howard). A label of one record
 * only ("Note: ...") is no speaker. Their names tell the query's words little, as they stand in front of
 * each of their messages, and weigh less from now on (after mc_query_weigh). query->speaker: the one who
 * is named, when it is one.
 */
void mc_speakers_find(struct mc_query *query, const struct mc_records *records);

#endif
