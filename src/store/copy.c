/*
 * DESIGN. A run: see what the target has; open a snapshot of the source; write table by table; compare both.
 *
 * Messages, which are nearly everything, are appended, and their mark moves with each page in the page's own
 * transaction, so an interrupted copy goes on behind the last page. The other tables are written anew in each
 * run, since their rows change: then what a copy shows is one state of the source, that of its last run.
 *
 * A later run must know that what it appends to is what the source still has: it reads the source's older part
 * once more and compares it with the mark's sum (reading is many times faster than writing). If it has changed
 * (a message enriched, or erased), the copy begins anew.
 *
 * The target belongs to the copy until that is complete. Whatever else was written to it is noticed by counts
 * before, and by sums after, and nothing is removed that the copy has not written.
 */
#include "store/copy.h"

#include <inttypes.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"

/* A page's rows: fewer while their texts are long. */
#define LIMIT_FIRST 250
#define LIMIT_MOST 1000
#define BYTES_MUCH ((size_t)16 << 20)
#define BYTES_LITTLE ((size_t)4 << 20)

struct copy {
    struct mc_store *from, *to;
    mc_progress_fn progress;
    void *context;
    struct mc_buf identity; /* the source's */
    struct mc_copy_marks
        marks; /* the target's; while it copies, what it has written of each table */
    struct mc_copy_page pages[2];
    int64_t source_rows[MC_COPY_TABLES], target_rows[MC_COPY_TABLES];
    uint64_t done, total; /* rows, read for copying and for comparing */
    struct mc_copy_result *result;
};

static void copy_init(struct copy *c)
{
    mc_buf_init(&c->identity, 8192);
    mc_buf_init(&c->marks.source, 8192);
    mc_copy_page_init(&c->pages[0]);
    mc_copy_page_init(&c->pages[1]);
}

static void copy_fini(struct copy *c)
{
    mc_buf_fini(&c->identity);
    mc_buf_fini(&c->marks.source);
    mc_copy_page_fini(&c->pages[0]);
    mc_copy_page_fini(&c->pages[1]);
}

/* ---- Snapshots ---- */

struct snapshot {
    const struct mc_copy_ops *ops;
    struct mc_dump *dump;
};

static void snapshot_close(struct snapshot *snapshot)
{
    if (snapshot->dump)
        snapshot->ops->close(snapshot->dump);
    snapshot->dump = NULL;
}

static enum mc_status snapshot_open(struct mc_store *store, struct snapshot *snapshot,
                                    struct mc_error *err)
{
    snapshot->ops = store->ops->copy;
    return snapshot->ops->open(store, &snapshot->dump, err);
}

static enum mc_status count_all(const struct snapshot *snapshot, int64_t rows[MC_COPY_TABLES],
                                struct mc_error *err)
{
    enum mc_status status = MC_OK;
    for (enum mc_copy_table i = 0; status == MC_OK && i < MC_COPY_TABLES; i++)
        status = snapshot->ops->count(snapshot->dump, i, &rows[i], err);
    return status;
}

static enum mc_status told(struct copy *c, size_t rows, struct mc_error *err)
{
    c->done += rows;
    if (c->progress && !c->progress(c->context, c->done, c->total > c->done ? c->total : c->done))
        return mc_fail(err, MC_CANCELLED, "the copy was stopped; the same command goes on with it");
    return MC_OK;
}

typedef enum mc_status (*page_fn)(struct copy *c, const struct mc_copy_page *page, void *context,
                                  struct mc_error *err);

/* Reads a table page by page, behind a row's number. */
static enum mc_status walk(struct copy *c, const struct snapshot *snapshot,
                           enum mc_copy_table table, int64_t after, page_fn each, void *context,
                           struct mc_error *err)
{
    struct mc_copy_cursor cursor = {.number = after};
    size_t limit = LIMIT_FIRST;
    for (int turn = 0;; turn = 1 - turn) {
        struct mc_copy_page *page = &c->pages[turn]; /* the cursor points into the other one */
        enum mc_status status =
            snapshot->ops->page(snapshot->dump, table, &cursor, limit, page, err);
        if (status != MC_OK || page->rows == 0)
            return status;
        status = each(c, page, context, err);
        if (status == MC_OK)
            status = told(c, page->rows, err);
        if (status != MC_OK)
            return status;
        cursor = page->last;
        if (page->arena.used_bytes > BYTES_MUCH && limit > 1)
            limit /= 2;
        else if (page->arena.used_bytes < BYTES_LITTLE && limit < LIMIT_MOST)
            limit *= 2;
    }
}

/* ---- Sums ---- */

/* Rows up to a number of the back-end and their sum; rows behind it. */
struct tally {
    int64_t until;
    int64_t rows, later;
    uint64_t sum;
};

static enum mc_status tally_page(struct copy *c, const struct mc_copy_page *page, void *context,
                                 struct mc_error *err)
{
    (void)c;
    (void)err;
    struct tally *tally = context;
    for (size_t i = 0; i < page->rows; i++) {
        if (page->numbers[i] > tally->until) {
            tally->later++;
            continue;
        }
        tally->rows++;
        tally->sum += mc_copy_row_sum(page, i);
    }
    return MC_OK;
}

static enum mc_status tally_table(struct copy *c, const struct snapshot *snapshot,
                                  enum mc_copy_table table, int64_t until, struct tally *tally,
                                  struct mc_error *err)
{
    *tally = (struct tally){.until = until};
    return walk(c, snapshot, table, 0, tally_page, tally, err);
}

static bool matches(const struct tally *tally, const struct mc_copy_mark *mark)
{
    return tally->rows == mark->rows && tally->sum == mark->sum;
}

/* ---- What is there before ---- */

static bool appends(enum mc_copy_table table)
{
    return mc_copy_forms[table].way == MC_COPY_APPEND;
}

static enum mc_status check_source(struct copy *c, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf target;
    mc_buf_init(&target, 8192);
    enum mc_status status = c->from->ops->copy->identity(c->from, &c->identity, err);
    if (status == MC_OK)
        status = c->to->ops->copy->identity(c->to, &target, err);
    if (status != MC_OK)
        return status;
    if (c->identity.failed || target.failed)
        return mc_fail_memory(err);
    if (mc_str_equal(mc_buf_str(&c->identity), mc_buf_str(&target)))
        return mc_fail(err, MC_INVALID, "source and target are the same database; name another");
    for (enum mc_copy_table i = 0; i < MC_COPY_TABLES; i++)
        c->total += (uint64_t)c->source_rows[i] * 3; /* copied, and both compared */
    if (c->total == 0)
        return mc_fail(err, MC_NOT_FOUND, "the source holds nothing; check its name");
    return MC_OK;
}

/* A target that no copy has begun must be empty. */
static enum mc_status check_empty(const struct copy *c, struct mc_error *err)
{
    for (enum mc_copy_table i = 0; i < MC_COPY_TABLES; i++)
        if (c->target_rows[i] > 0)
            return mc_fail(err, MC_CONFLICT,
                           "the target is not empty: %" PRId64 " %s are there, and nothing was "
                           "changed; name a new database",
                           c->target_rows[i], mc_copy_forms[i].name);
    return MC_OK;
}

/* What an earlier run has written must be there as it left it. */
static enum mc_status check_untouched(struct copy *c, const struct snapshot *target,
                                      struct mc_error *err)
{
    if (!mc_str_equal(mc_buf_str(&c->marks.source), mc_buf_str(&c->identity)))
        return mc_fail(err, MC_CONFLICT,
                       "the target holds a copy of another source ('%.*s'), and nothing was "
                       "changed; name a new database",
                       MC_STR_ARG(mc_buf_str(&c->marks.source)));
    for (enum mc_copy_table i = 0; i < MC_COPY_TABLES; i++) {
        const struct mc_copy_mark *mark = &c->marks.items[i];
        struct tally tally = {.rows = c->target_rows[i], .sum = mark->sum};
        enum mc_status status = MC_OK;
        if (!appends(i) && !c->marks.items[MC_COPY_MESSAGES].complete)
            continue; /* the run was interrupted: these are written anew */
        if (!appends(i))
            status = tally_table(c, target, i, INT64_MAX, &tally, err);
        if (status != MC_OK)
            return status;
        if (!matches(&tally, mark))
            return mc_fail(err, MC_CONFLICT,
                           "the target was used since it was copied to (its %s are not those that "
                           "were copied), and nothing was changed; name a new database",
                           mc_copy_forms[i].name);
    }
    return MC_OK;
}

/* Whether the source still has what was appended before. */
static enum mc_status check_older(struct copy *c, const struct snapshot *source, bool *same,
                                  struct mc_error *err)
{
    *same = true;
    for (enum mc_copy_table i = 0; i < MC_COPY_TABLES && *same; i++) {
        const struct mc_copy_mark *mark = &c->marks.items[i];
        struct tally tally;
        if (!appends(i) || mark->last == 0)
            continue;
        enum mc_status status = tally_table(c, source, i, mark->last, &tally, err);
        if (status != MC_OK)
            return status;
        *same = matches(&tally, mark);
    }
    return MC_OK;
}

/* ---- Copying ---- */

static enum mc_status load(struct copy *c, struct mc_copy_load load, struct mc_error *err)
{
    load.source = mc_buf_str(&c->identity);
    return c->to->ops->copy->load(c->to, &load, err);
}

/* Takes out what an earlier run has written, later tables first, and begins with none. */
static enum mc_status begin_anew(struct copy *c, struct mc_error *err)
{
    enum mc_status status = MC_OK;
    for (enum mc_copy_table i = MC_COPY_TABLES; status == MC_OK && i-- > 0;) {
        struct mc_copy_mark *mark = &c->marks.items[i];
        *mark = (struct mc_copy_mark){0};
        if (c->target_rows[i] > 0 || appends(i))
            status = load(c,
                          (struct mc_copy_load){.table = i,
                                                .begin = !c->marks.begun,
                                                .clear = c->target_rows[i] > 0,
                                                .mark = appends(i) ? mark : NULL},
                          err);
        c->target_rows[i] = 0;
    }
    return status;
}

static enum mc_status copy_page(struct copy *c, const struct mc_copy_page *page, void *context,
                                struct mc_error *err)
{
    struct mc_copy_mark *mark = context, next = *mark;
    next.rows += (int64_t)page->rows;
    next.last = page->last.number;
    for (size_t i = 0; i < page->rows; i++)
        next.sum += mc_copy_row_sum(page, i);
    bool noted = appends(page->table);
    enum mc_status status = load(c,
                                 (struct mc_copy_load){.table = page->table,
                                                       .page = page,
                                                       .mark = noted ? &next : NULL,
                                                       .before = noted ? mark : NULL},
                                 err);
    if (status != MC_OK)
        return status;
    *mark = next;
    c->result->copied[page->table] += (int64_t)page->rows;
    return MC_OK;
}

static enum mc_status copy_table(struct copy *c, const struct snapshot *source,
                                 enum mc_copy_table table, struct mc_error *err)
{
    struct mc_copy_mark *mark = &c->marks.items[table];
    if (!appends(table))
        *mark = (struct mc_copy_mark){0};
    enum mc_status status = MC_OK;
    if (mc_copy_forms[table].way == MC_COPY_REPLACE && c->target_rows[table] > 0)
        status = load(c, (struct mc_copy_load){.table = table, .clear = true}, err);
    return status == MC_OK ? walk(c, source, table, mark->last, copy_page, mark, err) : status;
}

/* From now on, or from now on no more, the target is a whole copy. Messages tell: theirs is the last mark. */
static enum mc_status note_complete(struct copy *c, bool complete, struct mc_error *err)
{
    enum mc_status status = MC_OK;
    for (int i = 0; status == MC_OK && i <= MC_COPY_TABLES; i++) {
        int table = i == MC_COPY_TABLES ? MC_COPY_MESSAGES : i;
        if ((!complete && table != MC_COPY_MESSAGES) || (i == MC_COPY_MESSAGES && complete))
            continue;
        c->marks.items[table].complete = complete;
        status = load(c,
                      (struct mc_copy_load){.table = (enum mc_copy_table)table,
                                            .mark = &c->marks.items[table]},
                      err);
    }
    return status;
}

static enum mc_status copy_all(struct copy *c, struct mc_error *err)
{
    mc_auto(snapshot_close) struct snapshot source = {0};
    mc_auto(snapshot_close) struct snapshot target = {0};
    enum mc_status status = c->to->ops->copy->marks(c->to, &c->marks, err);
    if (status == MC_OK)
        status = snapshot_open(c->from, &source, err);
    if (status == MC_OK)
        status = count_all(&source, c->source_rows, err);
    if (status == MC_OK)
        status = check_source(c, err);
    if (status == MC_OK)
        status = snapshot_open(c->to, &target, err);
    if (status == MC_OK)
        status = count_all(&target, c->target_rows, err);
    if (status == MC_OK)
        status = c->marks.begun ? check_untouched(c, &target, err) : check_empty(c, err);
    snapshot_close(&target);
    bool same = true;
    if (status == MC_OK)
        status = check_older(c, &source, &same, err);
    if (status != MC_OK)
        return status;
    c->result->restarted = !same;
    c->result->resumed = same && c->marks.items[MC_COPY_MESSAGES].last > 0;
    c->done = 0;
    /* Before anything changes: the next run must not take for a whole copy what this one has left. */
    if (c->marks.items[MC_COPY_MESSAGES].complete)
        status = note_complete(c, false, err);
    if (status == MC_OK && !c->result->resumed)
        status = begin_anew(c, err);
    if (status == MC_OK && c->result->resumed)
        c->done = (uint64_t)c->marks.items[MC_COPY_MESSAGES].rows;
    for (enum mc_copy_table i = 0; status == MC_OK && i < MC_COPY_TABLES; i++)
        status = copy_table(c, &source, i, err);
    return status;
}

/* ---- Comparing ---- */

static enum mc_status compare_table(struct copy *c, const struct snapshot *source,
                                    const struct snapshot *target, enum mc_copy_table table,
                                    struct mc_error *err)
{
    const struct mc_copy_mark *mark = &c->marks.items[table];
    struct tally there, here;
    enum mc_status status = tally_table(c, target, table, INT64_MAX, &there, err);
    if (status == MC_OK)
        status = tally_table(c, source, table, appends(table) ? mark->last : INT64_MAX, &here, err);
    if (status != MC_OK)
        return status;
    if (!matches(&there, mark))
        return mc_fail(err, MC_CORRUPT,
                       "the target's %s are not what was copied: %" PRId64 " rows were read and "
                       "%" PRId64 " are there%s; empty the target and copy again",
                       mc_copy_forms[table].name, mark->rows, there.rows,
                       there.rows == mark->rows ? " with other content" : "");
    c->result->rows[table] = there.rows;
    c->result->changed = c->result->changed || !matches(&here, mark) || here.later > 0;
    if (table == MC_COPY_MESSAGES)
        c->result->new_messages = here.later;
    return MC_OK;
}

static enum mc_status compare_all(struct copy *c, struct mc_error *err)
{
    mc_auto(snapshot_close) struct snapshot source = {0};
    mc_auto(snapshot_close) struct snapshot target = {0};
    enum mc_status status = snapshot_open(c->from, &source, err);
    if (status == MC_OK)
        status = snapshot_open(c->to, &target, err);
    for (enum mc_copy_table i = 0; status == MC_OK && i < MC_COPY_TABLES; i++)
        status = compare_table(c, &source, &target, i, err);
    return status;
}

enum mc_status mc_copy_run(struct mc_store *from, struct mc_store *to, mc_progress_fn progress,
                           void *context, struct mc_copy_result *result, struct mc_error *err)
{
    if (!from->ops->copy || !to->ops->copy)
        return mc_fail(err, MC_UNSUPPORTED, "a database of this kind cannot be copied");
    struct mc_copy_result got = {.resumed = false};
    mc_auto(copy_fini) struct copy c = {
        .from = from, .to = to, .progress = progress, .context = context, .result = &got};
    copy_init(&c);
    int64_t start_us = mc_time_monotonic_us();
    enum mc_status status = copy_all(&c, err);
    int64_t copied_us = mc_time_monotonic_us();
    if (status == MC_OK)
        status = compare_all(&c, err);
    if (status == MC_OK)
        status = note_complete(&c, true, err);
    if (status != MC_OK)
        return status;
    got.copy_us = copied_us - start_us;
    got.verify_us = mc_time_monotonic_us() - copied_us;
    *result = got;
    return MC_OK;
}
