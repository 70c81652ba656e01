/* The store on SQLite: one file, one writer with group commit, a pool of readers. */
#ifndef MC_STORE_SQLITE_STORE_H
#define MC_STORE_SQLITE_STORE_H

#include "store/store.h"

struct mc_sqlite_options {
    const char *path;
    bool synchronous_full;               /* false: normal */
    int64_t busy_timeout_us;             /* 0: 5 s */
    int readers;                         /* 0: a sensible number for the machine */
    struct mc_metrics *metrics;          /* counts commits; may be NULL */
    mc_foreign_change_fn foreign_change; /* may be NULL */
    void *context;
};

/* Creates or migrates the file. MC_CORRUPT, MC_VERSION, MC_IO, MC_BUSY name the file and say what
 * to do. */
MC_MUST_CHECK enum mc_status mc_sqlite_store_open(const struct mc_sqlite_options *options,
                                                  struct mc_store **store, struct mc_error *err);

/*
 * For tests: what a pragma of the writing connection, or of a reading one, is set to. No write may
 * be running.
 */
MC_MUST_CHECK enum mc_status mc_sqlite_store_pragma(struct mc_store *store, const char *name,
                                                    bool of_reader, char *text, size_t size,
                                                    struct mc_error *err);

#endif
