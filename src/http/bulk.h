/*
 * Ingest of NDJSON while it arrives: lines gather in a batch, a batch is stored, its memory is used
 * again. Memory is bounded by a batch and the longest line, whatever the length of the stream.
 * Used by one thread at a time.
 */
#ifndef MC_HTTP_BULK_H
#define MC_HTTP_BULK_H

#include "http/request.h"

struct mc_http_bulk;

/* Borrows the engine and the grant of the request. */
MC_MUST_CHECK enum mc_status mc_http_bulk_new(const struct mc_http_request *req,
                                              size_t max_line_bytes, struct mc_http_bulk **bulk,
                                              struct mc_error *err);
void mc_http_bulk_free(struct mc_http_bulk *bulk); /* accepts NULL */

/* Bytes that it holds. */
size_t mc_http_bulk_size(const struct mc_http_bulk *bulk);

/* Takes bytes until the batch is full; returns how many it took. *lines is set when lines ended in
 * them. */
size_t mc_http_bulk_feed(struct mc_http_bulk *bulk, const char *data, size_t len, bool *lines);
/* The stream is over: a last line without a newline counts. */
void mc_http_bulk_end(struct mc_http_bulk *bulk);
/* True when a batch waits to be stored: it is full, or the stream is over. */
bool mc_http_bulk_ready(const struct mc_http_bulk *bulk);
/*
 * Stores the batch. A failure (the store failed, the key was revoked or has expired) ends the ingest: nothing more is
 * taken.
 */
void mc_http_bulk_store(struct mc_http_bulk *bulk);
/* Ends the ingest with that failure; what waits to be stored is not. */
void mc_http_bulk_fail(struct mc_http_bulk *bulk, const struct mc_error *err);
bool mc_http_bulk_failed(const struct mc_http_bulk *bulk);
/* Writes {stored, refused, ...}, or the problem that ended it. */
void mc_http_bulk_answer(const struct mc_http_bulk *bulk, struct mc_http_request *req);

#endif
