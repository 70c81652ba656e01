/*
 * A stored message in memory: immutable, reference-counted, one allocation. The store makes records,
 * the cache keeps them, results hand out their public face (struct mc_message) without copying.
 *
 * Reference counts are atomic: a record may be shared by threads.
 */
#ifndef MC_MESSAGE_RECORD_H
#define MC_MESSAGE_RECORD_H

#include <stdatomic.h>

#include "base/buf.h"

struct mc_record {
    atomic_uint refs;
    uint32_t size_bytes; /* of the whole allocation */
    int64_t row;         /* the store's number of the message, in order of arrival */
    mc_str terms; /* index terms, separated by spaces; empty until indexed or when not read */
    struct mc_message m; /* the public face; its strings follow in the same allocation */
};

/*
 * Copies fields into a new record with one reference. MC_NO_MEMORY. Empty metadata becomes "{}".
 * terms may be absent.
 */
MC_MUST_CHECK enum mc_status mc_record_new(const struct mc_message *fields, int64_t row,
                                           mc_str terms, struct mc_record **record,
                                           struct mc_error *err);
struct mc_record *mc_record_ref(struct mc_record *record);
void mc_record_unref(struct mc_record *record); /* accepts NULL */

/* The record behind a public message that this library handed out. */
struct mc_record *mc_record_of(const struct mc_message *message);

/* Bytes for the disk cache and back. Decoding checks every length: MC_CORRUPT. Native byte order. */
void mc_record_encode(const struct mc_record *record, struct mc_buf *out);
MC_MUST_CHECK enum mc_status mc_record_decode(mc_str bytes, struct mc_record **record,
                                              struct mc_error *err);

/* A growing array of owned references. Zero-initialise. */
struct mc_records {
    struct mc_record **items;
    size_t count;
    size_t capacity;
};
/* Takes over the reference; on failure (false) it is released. */
MC_MUST_CHECK bool mc_records_push(struct mc_records *records, struct mc_record *record);
void mc_records_fini(struct mc_records *records);
void mc_records_reverse(struct mc_records *records);
/* An empty public list with room for so many messages; freed with mc_message_list_free. */
MC_MUST_CHECK enum mc_status mc_record_list_new(size_t capacity, struct mc_message_list **list,
                                                struct mc_error *err);
/* Takes over the reference. There must be room: it cannot fail. */
void mc_record_list_add(struct mc_message_list *list, struct mc_record *record);

/* Makes the public list, which takes over the references; records is empty afterwards. */
MC_MUST_CHECK enum mc_status mc_records_to_list(struct mc_records *records,
                                                struct mc_message_list **list,
                                                struct mc_error *err);

#endif
