#include "cache/lmdb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"

/*
 * DESIGN. LMDB writes a changed page to another place and leaves the old one as it was until it is
 * used again, and a page in use may hold remains in its gap, so text that was removed stays in the
 * file. To overwrite it everything is dropped. Then, while a write transaction keeps others from
 * changing anything and no reader is at an earlier state, the pages that LMDB's tree 0 lists as free,
 * and the gaps of the few others, are overwritten in the file behind LMDB's back: nobody reads them.
 */
#define TRIES 200 /* while there is a reader of an earlier state */
#define TRY_US 5000
#define PAGE_BYTES_MAX (1 << 16)
#define PAGE_BRANCH 1
#define PAGE_LEAF 2
#define PAGE_OVERFLOW 4
#define META_PAGES 2

struct page_header {
    uint64_t number;
    uint16_t padding, flags;
    uint16_t lower, upper; /* the gap; of an overflow page together the number of its pages */
};

struct wiping {
    struct mc_lmdb_env *env;
    int fd;
    size_t pages;
    unsigned char *free; /* of each page, whether it is */
};

static const char zeros[PAGE_BYTES_MAX];

static int overwrite(const struct wiping *w, size_t at, size_t len)
{
    while (len > 0) {
        ssize_t done = pwrite(w->fd, zeros, len, (off_t)at);
        if (done < 0 && errno != EINTR)
            return errno;
        at += done > 0 ? (size_t)done : 0;
        len -= done > 0 ? (size_t)done : 0;
    }
    return 0;
}

/*
 * A long list of free pages lies in overflow pages, which begin with a header; what is behind its end may be
 * remains.
 */
static int overwrite_slack(const struct wiping *w, const MDB_val *value)
{
    struct page_header header;
    size_t size = w->env->page_bytes;
    if ((uintptr_t)value->mv_data % size != sizeof(header))
        return 0;
    memcpy(&header, (const char *)value->mv_data - sizeof(header), sizeof(header));
    size_t used = sizeof(header) + value->mv_size;
    size_t whole = (header.lower | (size_t)header.upper << 16) * size;
    if (!(header.flags & PAGE_OVERFLOW) || header.number >= w->pages || used >= whole)
        return 0;
    return overwrite(w, header.number * size + used, whole - used);
}

static int list_free(struct wiping *w, MDB_txn *txn)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, 0, &cursor);
    if (rc != 0)
        return rc;
    MDB_val key, value;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    while (rc == 0) {
        size_t count, page;
        if (value.mv_size < sizeof(count))
            break;
        memcpy(&count, value.mv_data, sizeof(count));
        for (size_t i = 1; i <= count && (i + 1) * sizeof(page) <= value.mv_size; i++) {
            memcpy(&page, (const char *)value.mv_data + i * sizeof(page), sizeof(page));
            if (page >= META_PAGES && page < w->pages)
                w->free[page] = 1;
        }
        rc = overwrite_slack(w, &value);
        if (rc == 0)
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* The gap of a page in use; *count: how many pages it is. */
static int overwrite_gap(const struct wiping *w, size_t page, size_t *count)
{
    struct page_header header;
    size_t size = w->env->page_bytes, at = page * size;
    *count = 1;
    if (pread(w->fd, &header, sizeof(header), (off_t)at) != (ssize_t)sizeof(header))
        return EIO;
    if (header.flags & PAGE_OVERFLOW) {
        *count = header.lower | (size_t)header.upper << 16;
        *count = *count > 0 ? *count : 1;
    } else if ((header.flags & (PAGE_LEAF | PAGE_BRANCH)) && header.lower >= sizeof(header) &&
               header.lower <= header.upper && header.upper <= size) {
        return overwrite(w, at + header.lower, (size_t)header.upper - header.lower);
    }
    return 0;
}

static int overwrite_all(struct wiping *w, MDB_txn *txn)
{
    MDB_envinfo info;
    int rc = mdb_env_info(w->env->env, &info);
    if (rc == 0)
        rc = mdb_env_get_fd(w->env->env, &w->fd);
    if (rc != 0)
        return rc;
    w->pages = info.me_last_pgno + 1;
    w->free = calloc(w->pages, 1);
    rc = w->free ? list_free(w, txn) : ENOMEM;
    for (size_t page = META_PAGES, count = 1; rc == 0 && page < w->pages; page += count) {
        count = 1;
        rc = w->free[page] ? overwrite(w, page * w->env->page_bytes, w->env->page_bytes)
                           : overwrite_gap(w, page, &count);
    }
    free(w->free);
    return rc;
}

struct earlier {
    size_t last; /* the present state */
    bool found;
};

/* Reads a line of LMDB's table of readers: process, thread, state or "-". */
static int see_reader(const char *line, void *context)
{
    struct earlier *earlier = context;
    int process;
    size_t thread, state;
    if (sscanf(line, "%d %zx %zu", &process, &thread, &state) == 3 && state < earlier->last)
        earlier->found = true;
    return 0;
}

/* EAGAIN: a reader is in the way. */
static int try_wipe(struct mc_lmdb_env *env)
{
    MDB_txn *writing, *reading;
    struct wiping w = {.env = env};
    int rc = mc_lmdb_write_begin(env, &writing);
    if (rc != 0)
        return rc;
    struct earlier earlier = {.last = mdb_txn_id(writing) - 1};
    rc = mdb_reader_list(env->env, see_reader, &earlier);
    if (rc >= 0)
        rc = earlier.found ? EAGAIN : mdb_txn_begin(env->env, NULL, MDB_RDONLY, &reading);
    if (rc == 0) {
        rc = overwrite_all(&w, reading);
        mdb_txn_abort(reading);
    }
    mdb_txn_abort(writing);
    return rc;
}

bool mc_lmdb_wipe(struct mc_cache *base, int64_t now_us)
{
    struct mc_lmdb_cache *cache = mc_lmdb_of(base);
    int dead, rc = mdb_reader_check(cache->env->env, &dead);
    (void)mc_lmdb_drop(base, MC_STR_NONE, MC_STR_NONE, now_us);
    for (int i = 0; (rc == 0 && i == 0) || (rc == EAGAIN && i < TRIES); i++) {
        if (i > 0)
            usleep(TRY_US);
        rc = try_wipe(cache->env);
    }
    if (rc != 0)
        mc_lmdb_note_failure(cache, "overwrite what was dropped", rc);
    return rc == 0;
}
