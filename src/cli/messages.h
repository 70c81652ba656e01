/* Messages on the screen, as JSON, and waiting for their enrichment: what several commands share.
 */
#ifndef MC_CLI_MESSAGES_H
#define MC_CLI_MESSAGES_H

#include "cli/cli.h"

/* How long one-shot commands wait for the enrichment of what they stored. */
#define MC_CLI_DRAIN_MS 30000
/* Messages or bytes of one ingest call when reading a stream. */
#define MC_CLI_BATCH 256
#define MC_CLI_BATCH_BYTES ((size_t)4 << 20)
/*
 * Longest line that can hold a message: 100,000 characters written as pairs of \uXXXX, metadata of
 * 64 KiB written alike, and ids.
 */
#define MC_CLI_LINE_BYTES ((size_t)2 << 20)

/* "2026-01-31 12:00  user  text", one message. */
void mc_messages_print(struct mc_out *out, const struct mc_message *message);
/* {"messages": [...]} in the order of the list, or readable text; frees the list. MC_CLI_DONE or
 * _FAILED. */
int mc_messages_result(struct mc_cli *cli, enum mc_status status, struct mc_message_list *list,
                       bool newest_first, const struct mc_error *err);
/* Waits, unless --no-wait was given, while the workers can go on; says so when messages still wait. */
void mc_messages_settle(struct mc_cli *cli);
/* "2026-01-31 12:00" */
void mc_messages_time(int64_t time_us, char text[MC_TIME_TEXT_SIZE]);

#endif
