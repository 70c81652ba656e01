/*
 * Taking a whole database over into another one, of the same or another back-end.
 *
 * What a database holds is described once, without regard to a back-end: a list of tables, each a list of
 * columns (mc_copy_forms). A back-end says for each table how its rows are read, written and removed
 * (sqlite/copy.c, postgres/copy.c). A new table is one entry here and one in each back-end.
 *
 * Rows refer to each other by names (user, thread, message id), never by a back-end's own numbers. Messages
 * arrive in the order in which they arrived in the source.
 *
 * A copy runs from one snapshot of the source. Each page is one transaction of the target, which also
 * holds how far the copy has come; so it goes on there after whatever ended it.
 */
#ifndef MC_STORE_COPY_H
#define MC_STORE_COPY_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/store.h"

/* In the order in which they are written: a table follows those that it refers to. */
enum mc_copy_table {
    MC_COPY_USERS,
    MC_COPY_THREADS,
    MC_COPY_DICTIONARIES,
    MC_COPY_MESSAGES,
    MC_COPY_JOBS,
    MC_COPY_TWINS,
    MC_COPY_SUMMARIES,
    MC_COPY_PREFERENCES,
    MC_COPY_SIGNALS,
    MC_COPY_AGENTS,
    MC_COPY_USAGE,
    MC_COPY_KEYS,
    MC_COPY_TABLES
};

/* What a later run does with the rows that an earlier one has written. */
enum mc_copy_way {
    MC_COPY_UPDATE, /* writes all again, each over what is there */
    MC_COPY_APPEND, /* goes on behind the last one */
    MC_COPY_REPLACE /* removes them and writes all again */
};

struct mc_copy_form {
    const char *name;
    /* A letter for each column: s text, i integer, d double, b boolean, t time, x bytes; X is not compared. */
    const char *columns;
    int keys; /* so many of the first columns tell its rows apart; 0: a number of the back-end does */
    enum mc_copy_way way;
};
extern const struct mc_copy_form mc_copy_forms[MC_COPY_TABLES];

#define MC_COPY_COLUMNS_MAX 20
#define MC_COPY_KEYS_MAX 4

struct mc_copy_value {
    bool null;
    int64_t integer; /* i, b, t */
    double number;   /* d */
    mc_str text;     /* s, x */
};

/* Behind which row a page begins: all zero for the first. */
struct mc_copy_cursor {
    int64_t number;                /* the back-end's own */
    mc_str keys[MC_COPY_KEYS_MAX]; /* the form's first columns as text, bytes in hexadecimal */
};

struct mc_copy_page {
    struct mc_arena arena; /* owns the texts */
    enum mc_copy_table table;
    size_t columns, rows, capacity;
    struct mc_copy_value *values; /* row by row */
    int64_t *numbers;             /* of the rows, the back-end's own */
    struct mc_copy_cursor last;   /* the last row's, for the next page */
};
void mc_copy_page_init(struct mc_copy_page *page);
void mc_copy_page_fini(struct mc_copy_page *page);

/* ---- For back-ends: filling a page ---- */

/* Empties the page and makes room. MC_NO_MEMORY. */
MC_MUST_CHECK enum mc_status mc_copy_page_begin(struct mc_copy_page *page, enum mc_copy_table table,
                                                size_t capacity, struct mc_error *err);
/* The values of a further row, all NULL; its number is the cursor's. Not beyond the capacity. */
struct mc_copy_value *mc_copy_page_add(struct mc_copy_page *page, int64_t number);
/* Sets a text or bytes, copied; absent: NULL. False: out of memory. */
MC_MUST_CHECK bool mc_copy_page_text(struct mc_copy_page *page, struct mc_copy_value *value,
                                     mc_str text);
/* After the last row: completes the cursor. */
MC_MUST_CHECK enum mc_status mc_copy_page_end(struct mc_copy_page *page, struct mc_error *err);
static inline const struct mc_copy_value *mc_copy_row(const struct mc_copy_page *page, size_t row)
{
    return &page->values[row * page->columns];
}

/* ---- What a back-end does ---- */

/* How far a table has been copied, kept in the target. */
struct mc_copy_mark {
    int64_t last; /* number in the source of the last row that was taken over; of MC_COPY_APPEND */
    int64_t rows;
    uint64_t sum;  /* of their mc_copy_row_sum */
    bool complete; /* a run has come to its end */
};
struct mc_copy_marks {
    bool begun;           /* there are any */
    struct mc_buf source; /* the identity of the database that they are about */
    struct mc_copy_mark items[MC_COPY_TABLES];
};

/* What one transaction of the target does. */
struct mc_copy_load {
    enum mc_copy_table table;
    bool begin;                      /* makes the place where marks are kept, if it is missing */
    bool clear;                      /* removes all rows of the table first */
    const struct mc_copy_page *page; /* rows to write; may be NULL */
    mc_str source;                   /* with a mark */
    const struct mc_copy_mark *mark; /* to be noted; may be NULL */
    const struct mc_copy_mark
        *before; /* the mark that must be noted so far; NULL: any. MC_CONFLICT */
};

/* A database that is read: one snapshot of it. One thread at a time. */
struct mc_dump;
struct mc_copy_ops {
    /* Appends a text that no other database has, and that stays the same. */
    enum mc_status (*identity)(struct mc_store *store, struct mc_buf *text, struct mc_error *err);
    enum mc_status (*open)(struct mc_store *store, struct mc_dump **dump, struct mc_error *err);
    void (*close)(struct mc_dump *dump);
    enum mc_status (*count)(struct mc_dump *dump, enum mc_copy_table table, int64_t *rows,
                            struct mc_error *err);
    /* Up to limit rows behind the cursor, which may point into another page. None: the end. */
    enum mc_status (*page)(struct mc_dump *dump, enum mc_copy_table table,
                           const struct mc_copy_cursor *after, size_t limit,
                           struct mc_copy_page *page, struct mc_error *err);
    /* marks->source is initialised and empty. */
    enum mc_status (*marks)(struct mc_store *store, struct mc_copy_marks *marks,
                            struct mc_error *err);
    enum mc_status (*load)(struct mc_store *store, const struct mc_copy_load *load,
                           struct mc_error *err);
};

/* A hash of what a row says. The sum over many does not depend on their order. */
uint64_t mc_copy_row_sum(const struct mc_copy_page *page, size_t row);

/* ---- The copy ---- */

struct mc_copy_result {
    bool resumed;   /* went on with an earlier run's copy */
    bool restarted; /* what had been copied before has changed in the source, so it began anew */
    bool changed;   /* the source was written to meanwhile: the copy shows an earlier state of it */
    int64_t copied[MC_COPY_TABLES]; /* rows written in this run */
    int64_t rows[MC_COPY_TABLES];   /* rows in the target now, compared with the source */
    int64_t new_messages;           /* that the source has and the copy does not, if changed */
    int64_t copy_us, verify_us;
};
/*
 * Copies everything, or goes on with it, then compares counts and sums of both. MC_CONFLICT: the target holds
 * something else, or was written to since. MC_INVALID: both are the same database. MC_NOT_FOUND: the source
 * is empty. MC_CORRUPT: the copy is not what was read. MC_CANCELLED: progress (in rows; may be NULL) said so.
 */
MC_MUST_CHECK enum mc_status mc_copy_run(struct mc_store *from, struct mc_store *to,
                                         mc_progress_fn progress, void *context,
                                         struct mc_copy_result *result, struct mc_error *err);

#endif
