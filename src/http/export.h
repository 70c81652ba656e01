/*
 * The stream between a producer in the pool and the connection that it is sent on: a bounded buffer
 * with back-pressure. A slow client makes the producer wait; a client that is gone makes it stop.
 *
 * Two owners, producer and connection, each with one reference. Thread-safe.
 */
#ifndef MC_HTTP_EXPORT_H
#define MC_HTTP_EXPORT_H

#include "http/request.h"

struct mc_http_export;

/* With the producer's reference; copies of the ids live in it. */
MC_MUST_CHECK enum mc_status mc_http_export_new(struct mc_http_request *req, mc_str user_id,
                                                mc_str agent_id, struct mc_http_export **made,
                                                struct mc_error *err);
mc_str mc_http_export_user(const struct mc_http_export *stream);
mc_str mc_http_export_agent(const struct mc_http_export *stream);

/* The producer's side. write is an mc_write_fn; false: stop, nobody reads any more. */
bool mc_http_export_write(void *stream, const char *data, size_t len);
/* True once the answer has begun, after which a failure can only cut it off. */
bool mc_http_export_begun(const struct mc_http_export *stream);
/* The end: begins the answer if it has not begun, and drops the producer's reference. */
void mc_http_export_finish(struct mc_http_export *stream, bool complete);
/* Drops the producer's reference of a stream that has not begun. */
void mc_http_export_abandon(struct mc_http_export *stream);

/* The connection's side. */
enum mc_http_read { MC_HTTP_READ_DATA, MC_HTTP_READ_WAIT, MC_HTTP_READ_END, MC_HTTP_READ_FAILED };
/* Up to max bytes. With MC_HTTP_READ_WAIT suspend(connection) was called, and resume will be. */
enum mc_http_read mc_http_export_read(struct mc_http_export *stream, char *data, size_t max,
                                      size_t *len, void (*suspend)(void *connection),
                                      void *connection);
/* Drops the connection's reference; the producer is told to stop. */
void mc_http_export_close(struct mc_http_export *stream);

#endif
