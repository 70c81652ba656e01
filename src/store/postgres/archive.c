/*
 * The compressed archive (store/archive.h). A packed message keeps its row, with NULL in terms, '{}' in metadata
 * and nothing in text, and has its frame in packed.
 */
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "store/postgres/pg.h"
#include "store/rules.h"

#define TEXTS_BYTES ((size_t)1 << 30)

/* ---- Dictionaries ---- */

static enum mc_status load_dictionary(struct mc_pg_conn *conn, int64_t number, struct mc_error *err)
{
    enum mc_status status = mc_pg_query(conn, "SELECT data FROM dictionaries WHERE number = $1",
                                        MC_PG_ARGS(mc_pg_int(number)), err);
    if (status != MC_OK)
        return status;
    if (mc_pg_rows(conn, 0) == 0)
        return mc_fail(err, MC_CORRUPT,
                       "dictionary %" PRId64 " of the archive is missing; restore a backup",
                       number);
    return mc_archive_add(conn->archive, number, mc_pg_cell(conn->results[0], 0, 0), err);
}

enum mc_pg_trouble mc_pg_fetch_dictionary(struct mc_pg_conn *conn, enum mc_pg_trouble trouble)
{
    struct mc_error ignored; /* that it is missing has been said */
    if (trouble != MC_PG_DICTIONARY || load_dictionary(conn, conn->dictionary, &ignored) == MC_OK)
        return trouble;
    return conn->trouble == MC_PG_LOST ? MC_PG_LOST : MC_PG_REFUSED;
}

enum mc_status mc_pg_unpack(struct mc_pg_conn *conn, mc_str frame, struct mc_unpacked *unpacked,
                            struct mc_error *err)
{
    enum mc_status status =
        mc_archive_unpack(conn->archive, frame, unpacked, &conn->dictionary, err);
    if (conn->dictionary != 0)
        conn->trouble = MC_PG_DICTIONARY;
    return status;
}

/* ---- Training ---- */

struct training {
    int64_t number, samples, created_us; /* the newest dictionary's; afterwards the new one's */
    struct mc_samples examples;
    mc_str bytes;
};

static enum mc_status read_newest(struct mc_pg_conn *conn, struct training *t, struct mc_error *err)
{
    enum mc_status status =
        mc_pg_query(conn,
                    "SELECT number, samples, created_at FROM dictionaries ORDER BY number DESC"
                    " LIMIT 1",
                    MC_PG_NO_ARGS, err);
    if (status != MC_OK || mc_pg_rows(conn, 0) == 0)
        return status;
    t->number = mc_pg_cell_int(conn->results[0], 0, 0);
    t->samples = mc_pg_cell_int(conn->results[0], 0, 1);
    t->created_us = mc_pg_cell_time(conn->results[0], 0, 2);
    return MC_OK;
}

static enum mc_status read_training(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct training *t = context;
    mc_samples_fini(&t->examples);
    *t = (struct training){0};
    enum mc_status status = read_newest(conn, t, err);
    if (status != MC_OK)
        return status;
    mc_pg_add(conn,
              "SELECT user_id, left(attached, 8000), left(text, 4000) FROM messages"
              " WHERE tier = 3 AND packed IS NULL ORDER BY id DESC LIMIT $1",
              MC_PG_ARGS(mc_pg_int(MC_ARCHIVE_SAMPLES_MAX)));
    status = mc_pg_run_last(conn, err);
    bool full = false;
    for (size_t i = 0; status == MC_OK && !full && i < mc_pg_rows(conn, 0); i++) {
        const PGresult *result = conn->results[0];
        if (!mc_samples_add(&t->examples, mc_pg_cell(result, i, 0), mc_pg_cell(result, i, 1),
                            mc_pg_cell(result, i, 2), &full))
            status = mc_fail_memory(err);
    }
    return status;
}

static enum mc_status write_dictionary(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    (void)err;
    const struct training *t = context; /* another server may have been faster */
    mc_pg_add_quiet(conn,
                    "INSERT INTO dictionaries(number, samples, created_at, data)"
                    " VALUES($1, $2, $3, $4) ON CONFLICT (number) DO NOTHING",
                    MC_PG_ARGS(mc_pg_int(t->number), mc_pg_int(t->samples),
                               mc_pg_time(t->created_us), mc_pg_bytes(t->bytes)));
    return MC_OK; /* run by the commit */
}

enum mc_status mc_pg_train(struct mc_store *store, int64_t now_us, struct mc_error *err)
{
    struct mc_pg *s = mc_pg_of(store);
    mc_auto(mc_buf_fini) struct mc_buf bytes;
    struct training *t = calloc(1, sizeof(*t));
    if (!t)
        return mc_fail_memory(err);
    mc_buf_init(&bytes, 1U << 20);
    enum mc_status status = mc_pg_read(s, MC_PG_SNAPSHOT, read_training, t, err);
    if (status == MC_OK &&
        mc_archive_should_train((size_t)t->samples, now_us - t->created_us, t->examples.count)) {
        t->number++;
        t->samples = (int64_t)t->examples.count;
        t->created_us = now_us;
        status = mc_archive_train(&t->examples, t->number, &bytes, err);
        t->bytes = mc_buf_str(&bytes);
        if (status == MC_OK)
            status = mc_pg_write(s, MC_PG_SILENT, write_dictionary, t, err);
    }
    mc_samples_fini(&t->examples);
    free(t);
    return status;
}

/* ---- Packing ---- */

struct packing {
    const struct mc_tier_rule *rule;
    struct mc_tier_times times;
    struct mc_pack_step step;
};

/* A message that is packed; the texts are of an arena. */
struct packed {
    int64_t row, user_no;
    mc_str thread_id, terms, twin; /* terms, twin absent: none */
    mc_str frame;
};

/* A message that waits for enrichment, or failed to be enriched, is left until that is settled. */
#define NO_JOB                                                                                     \
    " AND NOT EXISTS(SELECT 1 FROM jobs j WHERE j.shard = " MC_PG_QUEUE " AND j.id = messages.id)"
#define UNPACKED(user)                                                                             \
    "SELECT id, user_no, thread_id, terms, twin, attached, text, (" MC_PG_MESSAGE_BYTES            \
    ")::bigint"                                                                                    \
    " FROM messages WHERE tier = 3 AND packed IS NULL" NO_JOB user                                 \
    " ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED"
#define OF_USER(shard, user) " AND shard = " shard " AND user_id = " user

static enum mc_status pack_row(struct mc_pg_conn *conn, const PGresult *result, size_t i,
                               struct mc_arena *texts, struct mc_buf *frame, struct packed *packed,
                               struct mc_error *err)
{
    mc_buf_reset(frame);
    enum mc_status status = mc_archive_pack(conn->archive, mc_pg_cell(result, i, 5),
                                            mc_pg_cell(result, i, 6), frame, err);
    if (status != MC_OK)
        return status;
    *packed = (struct packed){.row = mc_pg_cell_int(result, i, 0),
                              .user_no = mc_pg_cell_int(result, i, 1),
                              .frame = mc_arena_copy(texts, mc_buf_str(frame))};
    mc_str *const to[] = {&packed->thread_id, &packed->terms, &packed->twin};
    return packed->frame.data && mc_pg_copy_cells(result, i, 2, texts, to, mc_countof(to))
               ? MC_OK
               : mc_fail_memory(err);
}

static enum mc_status add_replacement(struct mc_pg_conn *conn, const struct packed *packed,
                                      int64_t run, struct mc_error *err)
{
    struct mc_pg_arg shard = mc_pg_int(mc_pg_row_shard(packed->row)), row = mc_pg_int(packed->row);
    mc_pg_add_quiet(conn,
                    "UPDATE messages SET packed = $3, text = '', attached = '{}', metadata = '{}',"
                    " terms = NULL, twin = NULL, packed_by = nullif($4, 0)"
                    " WHERE shard = $1 AND id = $2",
                    MC_PG_ARGS(shard, row, mc_pg_bytes(packed->frame), mc_pg_int(run)));
    return mc_pg_add_unindex(conn, packed->row, packed->user_no, packed->thread_id, packed->terms,
                             packed->twin, err);
}

static enum mc_status pack_result(struct mc_pg_conn *conn, struct packing *p, struct mc_error *err)
{
    const PGresult *result = conn->results[0];
    size_t count = mc_pg_rows(conn, 0);
    struct mc_arena texts;
    mc_auto(mc_buf_fini) struct mc_buf frame;
    mc_buf_init(&frame, 64U << 20);
    mc_arena_init(&texts, TEXTS_BYTES);
    struct packed *packed = mc_arena_array(&texts, count + 1, sizeof(*packed));
    enum mc_status status = packed ? MC_OK : mc_fail_memory(err);
    for (size_t i = 0; status == MC_OK && i < count; i++) {
        status = pack_row(conn, result, i, &texts, &frame, &packed[i], err);
        p->step.bytes_before += mc_pg_cell_int(result, i, 7);
        p->step.bytes_after += (int64_t)frame.len;
    }
    for (size_t i = 0; status == MC_OK && i < count; i++)
        status = add_replacement(conn, &packed[i], p->rule->run, err);
    if (status == MC_OK)
        status = mc_pg_run(conn, err);
    mc_arena_fini(&texts);
    p->step.packed = (int64_t)count;
    p->step.more = count == p->rule->batch;
    static const struct mc_tier_step nothing_else = {0};
    mc_pg_add_run_count(conn, p->rule->run, &nothing_else, p->step.packed);
    return status;
}

static enum mc_status pack_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct packing *p = context;
    struct training newest = {0};
    p->step = (struct mc_pack_step){0};
    enum mc_status status = mc_pg_run_check(conn, p->rule->run, err);
    if (status == MC_OK)
        status = read_newest(conn, &newest, err);
    if (status != MC_OK || newest.number == 0)
        return status;
    if (newest.number > mc_archive_newest(conn->archive))
        status = load_dictionary(conn, newest.number, err);
    if (status != MC_OK)
        return status;
    mc_str user = p->rule->user_id;
    struct mc_pg_arg batch = mc_pg_int((int64_t)p->rule->batch);
    if (mc_str_given(user))
        status = mc_pg_query(conn, UNPACKED(OF_USER("$2", "$3")),
                             MC_PG_ARGS(batch, mc_pg_int(mc_pg_shard(user)), mc_pg_str(user)), err);
    else
        status = mc_pg_query(conn, UNPACKED(""), MC_PG_ARGS(batch), err);
    return status == MC_OK ? pack_result(conn, p, err) : status;
}

/* What a run to the end would pack: what is in the archive, or will come there, and is not deleted. */
#define COUNT_PACKING(user)                                                                        \
    "SELECT count(*), coalesce(sum(" MC_PG_MESSAGE_BYTES "), 0)::bigint FROM messages"             \
    " WHERE packed IS NULL AND (tier = 3 OR (created_at < $1 AND (importance < $2 OR created_at"   \
    " < $3))) AND NOT (trivial AND stored_at < $4 AND created_at < $4)"                            \
    " AND NOT (stored_at < $5 AND created_at < $5)" NO_JOB user

static enum mc_status count_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct packing *p = context;
    struct mc_pg_arg leaves = mc_pg_time(p->times.leaves[MC_TIER_LONG]),
                     kept = mc_pg_time(p->times.leaves_kept[MC_TIER_LONG]),
                     keep = mc_pg_double(p->rule->keep_importance),
                     trivial = mc_pg_time(p->times.trivial_delete),
                     archived = mc_pg_time(p->times.archive_delete);
    mc_str user = p->rule->user_id;
    if (mc_str_given(user))
        mc_pg_add(conn, COUNT_PACKING(OF_USER("$6", "$7")),
                  MC_PG_ARGS(leaves, keep, kept, trivial, archived, mc_pg_int(mc_pg_shard(user)),
                             mc_pg_str(user)));
    else
        mc_pg_add(conn, COUNT_PACKING(""), MC_PG_ARGS(leaves, keep, kept, trivial, archived));
    enum mc_status status = mc_pg_run_last(conn, err);
    if (status == MC_OK)
        p->step = (struct mc_pack_step){.packed = mc_pg_cell_int(conn->results[0], 0, 0),
                                        .bytes_before = mc_pg_cell_int(conn->results[0], 0, 1)};
    return status;
}

enum mc_status mc_pg_pack(struct mc_store *store, const struct mc_tier_rule *rule,
                          struct mc_pack_step *step, struct mc_error *err)
{
    struct mc_pg *s = mc_pg_of(store);
    struct packing p = {.rule = rule};
    enum mc_status status = mc_rules_check_batch(rule, err);
    if (status != MC_OK)
        return status;
    mc_rules_tier_times(rule, &p.times);
    if (rule->dry_run)
        status = mc_pg_read(s, 0, count_work, &p, err);
    else /* what messages say does not change, so no cache needs to know */
        status = mc_pg_write(s, MC_PG_SILENT, pack_work, &p, err);
    if (status == MC_OK)
        *step = p.step;
    return status;
}
