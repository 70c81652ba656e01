/*
 * A store that forwards to another one and fails where a test wants it to: "the 2nd and 3rd call of
 * complete say that the disk is full". A test may also run something before each call, to stop a worker
 * at a chosen place. Operations are named like the members of struct mc_store_ops.
 *
 * Thread-safe, except that the hook is set before other threads use the store.
 */
#ifndef MC_TESTS_FAULT_STORE_H
#define MC_TESTS_FAULT_STORE_H

#include "store/store.h"

/* Called before each operation, without any lock. */
typedef void (*mc_fault_hook_fn)(void *context, const char *op);

/* The inner store is borrowed: closing the outer one leaves it open. NULL when out of memory. */
struct mc_store *mc_fault_store_open(struct mc_store *inner);

/*
 * Calls number nth to nth + times - 1 of the operation from now on fail with the status and do nothing
 * else; times 0 is for ever. One rule an operation: a later call replaces it.
 */
void mc_fault_store_fail(struct mc_store *store, const char *op, int nth, int times,
                         enum mc_status status);
/* No more failures. */
void mc_fault_store_heal(struct mc_store *store);
/* Calls of an operation so far, the failed ones too. */
int mc_fault_store_calls(struct mc_store *store, const char *op);
void mc_fault_store_hook(struct mc_store *store, mc_fault_hook_fn hook, void *context);

#endif
