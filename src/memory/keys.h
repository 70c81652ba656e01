/*
 * API keys: hashes in the store, and a copy of what each may do in memory, replaced as a whole when it
 * changes. Thread-safe. <mindcore/key.h> says what the functions of the same name do.
 */
#ifndef MC_MEMORY_KEYS_H
#define MC_MEMORY_KEYS_H

#include <mindcore/key.h>

#include "base/buf.h"
#include "store/store.h"

struct mc_keys;
/* agents: whether keys may be bound to agents. */
MC_MUST_CHECK enum mc_status mc_keys_open(struct mc_store *store, bool agents,
                                          struct mc_keys **keys, struct mc_error *err);
void mc_keys_close(struct mc_keys *keys); /* accepts NULL; every grant is freed by then */
/* Reads the store's rows again (another process changed them). */
MC_MUST_CHECK enum mc_status mc_keys_reload(struct mc_keys *keys, struct mc_error *err);

MC_MUST_CHECK enum mc_status mc_keys_create(struct mc_keys *keys, mc_str object, int64_t now_us,
                                            struct mc_buf *json, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_keys_list(struct mc_keys *keys, struct mc_buf *json,
                                          struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_keys_revoke(struct mc_keys *keys, mc_str key_id,
                                            struct mc_error *err);
size_t mc_keys_count(struct mc_keys *keys);
MC_MUST_CHECK enum mc_status mc_keys_check(struct mc_keys *keys, mc_str key, int64_t now_us,
                                           const struct mc_grant **grant, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_keys_check_again(struct mc_keys *keys, const struct mc_grant *grant,
                                                 int64_t now_us, struct mc_error *err);

#endif
