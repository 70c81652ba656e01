/*
 * What one request loads of messages, in bytes of their records: bounded however many are asked for and however long they
 * are. A read stops before the message that does not fit and says so here; what that means is for whoever asked to
 * decide. Used by one thread. Each function accepts NULL, which bounds nothing.
 */
#ifndef MC_MESSAGE_LOAD_H
#define MC_MESSAGE_LOAD_H

#include <mindcore/message.h>

#include "message/record.h"

/* Zero-initialise, memory apart. */
struct mc_load {
    const struct mc_memory *memory; /* asked before much is loaded; NULL: nobody is */
    size_t held_bytes;
    size_t end_bytes;      /* up to which the present read may come */
    size_t reserved_bytes; /* that memory was asked for */
    bool full;             /* the present read left something out */
    bool refused;          /* memory said no: nothing more is loaded, every read is full */
};

/* Another read begins, which may load so many bytes, and no more than what MC_READ_BYTES_MAX leaves. */
void mc_load_begin(struct mc_load *load, size_t max_bytes);
/* For a store that must say beforehand how much it reads. */
size_t mc_load_left(const struct mc_load *load);
/* Whether the message is loaded; false: it does not fit, and the read ends. */
bool mc_load_take(struct mc_load *load, const struct mc_record *record);
/* What was taken since the mark is held no more. */
size_t mc_load_mark(const struct mc_load *load);
void mc_load_rewind(struct mc_load *load, size_t mark);

static inline bool mc_load_is_full(const struct mc_load *load)
{
    return load && load->full;
}

#endif
