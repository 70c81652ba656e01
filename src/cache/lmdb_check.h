/*
 * The soundness of an LMDB 0.9 file that nobody has open: LMDB itself trusts its pages and would
 * read outside of them when they are damaged. Values are not looked at: they carry check sums of
 * their own.
 */
#ifndef MC_CACHE_LMDB_CHECK_H
#define MC_CACHE_LMDB_CHECK_H

#include <stdbool.h>

/*
 * True when every page that can be reached is in its place and in order, and no page is used twice
 * or both used and free. False for anything else: unreadable, not LMDB, cut short, another format
 * or byte order.
 */
bool mc_lmdb_check(const char *path);

#endif
