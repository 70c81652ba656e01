/*
 * A pool of connections that only read, opened when they are first needed. A caller beyond the
 * maximum waits for one to come back.
 */
#ifndef MC_STORE_SQLITE_READERS_H
#define MC_STORE_SQLITE_READERS_H

#include "base/thread.h"
#include "store/sqlite/conn.h"

struct mc_readers {
    const char *path;
    struct mc_archive *archive; /* borrowed, for the connections */
    int64_t busy_timeout_us;
    mc_mutex lock; /* guards what follows */
    mc_cond returned;
    struct mc_conn *idle; /* last returned first: its cache is warm */
    int open, max;
};

void mc_readers_init(struct mc_readers *readers, const char *path, struct mc_archive *archive,
                     int64_t busy_timeout_us, int max);
/* Every connection must be back. */
void mc_readers_fini(struct mc_readers *readers);

/* A borrowed connection: declare with mc_auto(mc_reading_end) struct mc_reading, zero-initialised.
 */
struct mc_reading {
    struct mc_readers *readers;
    struct mc_conn *conn;
};
MC_MUST_CHECK enum mc_status mc_reading_begin(struct mc_reading *reading,
                                              struct mc_readers *readers, struct mc_error *err);
void mc_reading_end(struct mc_reading *reading);

#endif
