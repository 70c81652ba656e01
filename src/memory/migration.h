/* Inside of tiers.c and migration_summaries.c: a run of tier migration. */
#ifndef MC_MEMORY_MIGRATION_H
#define MC_MEMORY_MIGRATION_H

#include "base/json.h"
#include "memory/tiers.h"

struct mc_migration {
    struct mc_store *store;
    const struct mc_tiers_options *options;
    mc_str user_id;
    int64_t now_us;
    bool dry_run;
    mc_progress_fn progress;
    void *context;
    int64_t number; /* under which it can be taken back; 0: it cannot */
    bool kept;      /* it is not taken back yet */
    int64_t moved, deleted, summarised, packed;
    int64_t bytes_deleted;
    int64_t bytes_before, bytes_after; /* of what was packed */
    struct mc_buf errors_buf;          /* a JSON array of texts */
    struct mc_json_writer errors;
    bool stopped;
    struct mc_llm *llm; /* NULL: summaries are extractive */
    int groups_failed;  /* in a row, none of whose summaries the model made */
};

/* Logs an error, which the result will have. */
void mc_migration_note(struct mc_migration *run, const struct mc_error *error);
/* Tells how far it is; false when the caller wants no more. */
bool mc_migration_go_on(struct mc_migration *run);

/* Summarises the threads that are due; with dry_run only counts them (migration_summaries.c). */
void mc_migration_summarise(struct mc_migration *run);

#endif
