/*
 * What a source answered (<mindcore/source.h>): filled by one thread while the lookup runs, then
 * immutable and shared by those who asked and the cache. References are counted; any thread may take and
 * drop them.
 */
#ifndef MC_CONTEXT_ANSWER_H
#define MC_CONTEXT_ANSWER_H

#include <stdatomic.h>

#include <mindcore/source.h>

#define MC_ANSWER_PIECES 16
#define MC_ANSWER_TEXT_BYTES ((size_t)16 << 10)
#define MC_ANSWER_TITLE_BYTES 200

struct mc_source_answer {
    struct mc_answer_piece {
        char *memory;       /* of both */
        mc_str title, text; /* the title is one line of valid UTF-8, possibly empty */
    } pieces[MC_ANSWER_PIECES];
    size_t count;
    size_t bytes;    /* of the pieces */
    size_t rejected; /* pieces that were not UTF-8, or blank */
    bool no_memory;  /* a piece could not be kept */
    atomic_int refs;
};

/* With one reference; NULL when out of memory. */
struct mc_source_answer *mc_answer_new(void);
struct mc_source_answer *mc_answer_ref(struct mc_source_answer *answer);
void mc_answer_unref(struct mc_source_answer *answer); /* accepts NULL */
/* mc_source_add */
MC_MUST_CHECK enum mc_status mc_answer_add(struct mc_source_answer *answer, mc_str title,
                                           mc_str text, struct mc_error *err);
/* Bytes of memory that it takes. */
size_t mc_answer_bytes(const struct mc_source_answer *answer);

#endif
