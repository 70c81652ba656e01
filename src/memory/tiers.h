/*
 * Tier migration: messages move from short to mid to long term and the archive by age and importance,
 * long threads get a summary, what is due is deleted, the archive is compressed. Short steps with rests between them,
 * so that ingest goes on meanwhile. While a
 * model is asked nothing is held; progress is called about every second then.
 */
#ifndef MC_MEMORY_TIERS_H
#define MC_MEMORY_TIERS_H

#include <mindcore/memory.h>

#include "llm/llm.h"
#include "store/store.h"

struct mc_tiers_options {
    int64_t short_us, mid_us, long_us;            /* retention.*_days */
    int64_t trivial_delete_us, archive_delete_us; /* 0: never */
    int64_t summarize_after_messages;
    int64_t summarize_after_us;
    bool compress_archive;  /* retention.compress_archive */
    int64_t undo_us;        /* retention.undo_days; 0: what a run does cannot be taken back */
    double keep_importance; /* at or above, a message stays twice as long in each tier */
    struct mc_llm
        *llm; /* makes summaries, llm->parallel at once; NULL, or where it fails: extractive */
    int64_t summary_deadline_us; /* of one summary, 0: 30 s */
};

/* The result's JSON of mc_tiers_migrate. user_id absent: all users. A failed step is counted in errors and ends that part. */
MC_MUST_CHECK enum mc_status mc_tiers_run(struct mc_store *store,
                                          const struct mc_tiers_options *options, mc_str user_id,
                                          int64_t now_us, bool dry_run, mc_progress_fn progress,
                                          void *context, struct mc_buf *json, struct mc_error *err);

/* The result's JSON of mc_tiers_runs: runs that can be taken back at now_us. */
MC_MUST_CHECK enum mc_status mc_tiers_list_runs(struct mc_store *store, int64_t undo_us,
                                                int64_t now_us, struct mc_buf *json,
                                                struct mc_error *err);

/* Taking back a run and those after it. */
struct mc_tiers_undo {
    int64_t undo_us; /* retention.undo_days */
    int64_t run;     /* 0: the last one */
    int64_t now_us;
    bool dry_run;
    /* The schedule's task waits until then, so that what is undone is not done again at once; 0: there is none. */
    int64_t next_us;
    mc_str task;
};
/*
 * The result's JSON of mc_tiers_undo. MC_NOT_FOUND: there is no such run that can be taken back. MC_CANCELLED, or
 * another failure: it goes on with the next call, or before the next migration.
 */
MC_MUST_CHECK enum mc_status mc_tiers_take_back(struct mc_store *store,
                                                const struct mc_tiers_undo *undo,
                                                mc_progress_fn progress, void *context,
                                                struct mc_buf *json, struct mc_error *err);
/* Completes an undo that was cut off, if there is one. */
MC_MUST_CHECK enum mc_status mc_tiers_complete_undo(struct mc_store *store, int64_t now_us,
                                                    mc_progress_fn progress, void *context,
                                                    struct mc_error *err);

#endif
