/*
 * Compressing the messages of the archive: each becomes one zstd frame with the help of a dictionary that was
 * trained from the database's own messages. A frame names its dictionary, which the database keeps, so
 * messages packed with older dictionaries stay readable.
 *
 * A dictionary is shared by all users, and outlives what they delete. So it holds only what several users have in
 * common: each run of MC_ARCHIVE_RUN words or signs in it was written by at least MC_ARCHIVE_USERS users, or is
 * part of the form of metadata.
 *
 * A struct mc_archive is what a process knows of the dictionaries. May be used by several threads.
 */
#ifndef MC_STORE_ARCHIVE_H
#define MC_STORE_ARCHIVE_H

#include "base/buf.h"

#define MC_ARCHIVE_USERS 3
#define MC_ARCHIVE_RUN 4
/* Dictionaries are numbered from 1. */
#define MC_ARCHIVE_NEWEST 1023
/* The fewest samples that a dictionary is trained from, and the most. */
#define MC_ARCHIVE_SAMPLES_MIN 64
#define MC_ARCHIVE_SAMPLES_MAX 4000

struct mc_archive;

MC_MUST_CHECK enum mc_status mc_archive_new(struct mc_archive **archive, struct mc_error *err);
void mc_archive_free(struct mc_archive *archive); /* accepts NULL */

/* Makes a dictionary known, as mc_archive_train made it. One that is known already is kept. MC_CORRUPT. */
MC_MUST_CHECK enum mc_status mc_archive_add(struct mc_archive *archive, int64_t number,
                                            mc_str bytes, struct mc_error *err);
/* The highest number that is known, 0: none. */
int64_t mc_archive_newest(struct mc_archive *archive);

/* Appends the frame of a message, packed with the newest dictionary that is known. */
MC_MUST_CHECK enum mc_status mc_archive_pack(struct mc_archive *archive, mc_str metadata,
                                             mc_str text, struct mc_buf *frame,
                                             struct mc_error *err);

/* A message out of its frame. */
struct mc_unpacked {
    mc_str metadata, text;
    char *memory; /* of both */
};
void mc_unpacked_fini(struct mc_unpacked *unpacked);
/* *missing: the dictionary that must be made known first, else 0. MC_CORRUPT, also when one is missing. */
MC_MUST_CHECK enum mc_status mc_archive_unpack(struct mc_archive *archive, mc_str frame,
                                               struct mc_unpacked *unpacked, int64_t *missing,
                                               struct mc_error *err);

/* ---- Training (archive_train.c) ---- */

/* Messages to learn from. Zero-initialise, free with mc_samples_fini. */
struct mc_samples {
    char *bytes;
    size_t len, capacity;
    size_t sizes[MC_ARCHIVE_SAMPLES_MAX];
    uint64_t users[MC_ARCHIVE_SAMPLES_MAX]; /* hashes of their names */
    size_t count;
};
void mc_samples_fini(struct mc_samples *samples);
/* *full: no more are of use. False: out of memory. */
MC_MUST_CHECK bool mc_samples_add(struct mc_samples *samples, mc_str user, mc_str metadata,
                                  mc_str text, bool *full);
/* Whether a dictionary should be trained now: the newest one's samples (0: there is none) and age, those at hand. */
bool mc_archive_should_train(size_t newest_samples, int64_t newest_age_us, size_t samples);
/* Appends the dictionary of this number. Takes about a second. MC_INVALID: too few samples, or too much alike. */
MC_MUST_CHECK enum mc_status mc_archive_train(const struct mc_samples *samples, int64_t number,
                                              struct mc_buf *bytes, struct mc_error *err);

/* What is compressed of a message: metadata (JSON, so without a NUL), a NUL, text. */
static inline size_t mc_archive_plain_size(mc_str metadata, mc_str text)
{
    return metadata.len + 1 + text.len;
}
static inline void mc_archive_plain(mc_str metadata, mc_str text, char *plain)
{
    memcpy(plain, metadata.data, metadata.len);
    plain[metadata.len] = '\0';
    memcpy(plain + metadata.len + 1, text.data, text.len);
}
/* The number that frames name a dictionary by: smaller ones are for registered dictionaries. */
#define MC_ARCHIVE_ID(number) ((unsigned)(32768 + (number)))

#endif
