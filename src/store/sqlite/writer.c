#include "store/sqlite/writer.h"

#include "base/error.h"

/* A transaction takes no more requests once they change this many rows: readers of the log and
 * callers wait. */
#define GROUP_WEIGHT 512
#define INGEST_STREAK 4

enum mc_status mc_writer_init(struct mc_writer *writer, struct mc_conn *conn,
                              struct mc_metrics *metrics, struct mc_error *err)
{
    writer->conn = conn;
    writer->metrics = metrics;
    writer->next_row = 0;
    writer->busy = false;
    writer->ingest_streak = 0;
    atomic_init(&writer->foreign, false);
    mc_mutex_init(&writer->lock);
    for (int i = 0; i < MC_WRITE_CLASSES; i++)
        mc_list_init(&writer->waiting[i]);
    return mc_conn_integer(conn, "PRAGMA data_version", MC_NO_BINDS, NULL, &writer->data_version,
                           err);
}

void mc_writer_fini(struct mc_writer *writer)
{
    if (!writer->conn)
        return;
    mc_conn_close(writer->conn);
    writer->conn = NULL;
    mc_mutex_fini(&writer->lock);
}

/* ---- The transaction ---- */

/* data_version of this connection changes only through commits of others, and only this one writes
 * here. */
static enum mc_status notice_others(struct mc_writer *writer, struct mc_error *err)
{
    int64_t version;
    enum mc_status status =
        mc_conn_integer(writer->conn, "PRAGMA data_version", MC_NO_BINDS, NULL, &version, err);
    if (status != MC_OK || version == writer->data_version)
        return status;
    writer->data_version = version;
    writer->next_row = 0;
    atomic_store(&writer->foreign, true);
    if (writer->on_foreign)
        writer->on_foreign(writer->on_foreign_context);
    return MC_OK;
}

static enum mc_status begin(struct mc_writer *writer, struct mc_error *err)
{
    writer->conn->broken = false;
    enum mc_status status = mc_conn_exec(writer->conn, "BEGIN IMMEDIATE", MC_NO_BINDS, err);
    if (status == MC_OK)
        status = mc_conn_check_place(writer->conn, err);
    return status == MC_OK ? notice_others(writer, err) : status;
}

static void roll_back(struct mc_writer *writer)
{
    /* SQLite may have rolled back by itself: then there is nothing to do. */
    struct mc_error ignored;
    if (!sqlite3_get_autocommit(writer->conn->db) &&
        mc_conn_exec(writer->conn, "ROLLBACK", MC_NO_BINDS, &ignored) != MC_OK)
        sqlite3_exec(writer->conn->db, "ROLLBACK", NULL, NULL, NULL);
    writer->conn->broken = false;
    writer->next_row = 0;
}

/* Fails when the write takes the transaction with it. */
static enum mc_status apply_one(struct mc_writer *writer, struct mc_write *write,
                                struct mc_error *err)
{
    int64_t changes = sqlite3_total_changes64(writer->conn->db);
    write->status = write->apply(writer, write->context, &write->error);
    bool half_done = sqlite3_total_changes64(writer->conn->db) != changes;
    if (write->status == MC_OK || !(writer->conn->broken || half_done))
        return MC_OK;
    *err = write->error;
    return write->status;
}

/* Makes what was applied durable, unless that failed. */
static enum mc_status end(struct mc_writer *writer, enum mc_status status, size_t count,
                          struct mc_error *err)
{
    if (status == MC_OK)
        status = mc_conn_exec(writer->conn, "COMMIT", MC_NO_BINDS, err);
    if (status != MC_OK) {
        roll_back(writer);
    } else if (writer->metrics) {
        mc_metrics_add(writer->metrics, MC_COUNT_COMMITS, 1);
        mc_metrics_add(writer->metrics, MC_COUNT_COMMIT_MEMBERS, count);
    }
    return status;
}

/* Carries out each of a group's writes in a transaction of its own. */
static void one_by_one(struct mc_writer *writer, struct mc_list *group)
{
    struct mc_error err;
    enum mc_status begun = MC_OK;
    for (struct mc_list *node = group->next; node != group; node = node->next) {
        struct mc_write *write = mc_container_of(node, struct mc_write, node);
        /* Who cannot begin has waited long: the rest do not wait as long again. */
        if (begun == MC_OK)
            begun = begin(writer, &err);
        enum mc_status status = begun;
        if (begun == MC_OK)
            status = end(writer, apply_one(writer, write, &err), 1, &err);
        else
            roll_back(writer);
        if (status != MC_OK) {
            write->status = status;
            write->error = err;
        }
    }
}

/* Carries out a group that is not empty; afterwards each member has its status. */
static void carry_out(struct mc_writer *writer, struct mc_list *group, size_t count)
{
    struct mc_write *first = mc_container_of(group->next, struct mc_write, node);
    if (first->alone) {
        first->status = first->apply(writer, first->context, &first->error);
        return;
    }
    struct mc_error err;
    enum mc_status begun = begin(writer, &err), status = begun;
    struct mc_list *node = group->next;
    for (; status == MC_OK && node != group; node = node->next)
        status = apply_one(writer, mc_container_of(node, struct mc_write, node), &err);
    if (begun == MC_OK)
        status = end(writer, status, count, &err);
    else
        roll_back(writer);
    if (status == MC_OK)
        return;
    if (begun == MC_OK && count > 1) {
        one_by_one(writer, group);
        return;
    }
    for (node = group->next; node != group; node = node->next) {
        struct mc_write *write = mc_container_of(node, struct mc_write, node);
        write->status = status;
        write->error = err;
    }
}

/* ---- Leading ---- */

static struct mc_list *next_class(struct mc_writer *writer)
{
    struct mc_list *ingest = &writer->waiting[MC_WRITE_INGEST];
    struct mc_list *other = &writer->waiting[MC_WRITE_OTHER];
    if (mc_list_empty(other) || (!mc_list_empty(ingest) && writer->ingest_streak < INGEST_STREAK)) {
        writer->ingest_streak++;
        return ingest;
    }
    writer->ingest_streak = 0;
    return other;
}

/* Adds what waits in one class behind the leader's own write, up to the weight. */
static size_t gather(struct mc_list *from, struct mc_list *group, size_t weight)
{
    size_t count = 0;
    while (!mc_list_empty(from)) {
        struct mc_write *write = mc_container_of(from->next, struct mc_write, node);
        weight += write->weight;
        if (write->alone || weight > GROUP_WEIGHT)
            break;
        mc_list_remove(&write->node);
        mc_list_push_back(group, &write->node);
        count++;
    }
    return count;
}

static void wake(struct mc_write *write, bool leads)
{
    /* Signalled under the lock: once it is free, the waiter may return and take the object with it.
     */
    mc_mutex_lock(&write->lock);
    write->woken = true;
    write->leads = leads;
    mc_cond_signal(&write->wake);
    mc_mutex_unlock(&write->lock);
}

/* Leads with an own write: carries out the group, hands over, wakes the others. */
static void lead(struct mc_writer *writer, struct mc_write *own)
{
    struct mc_list group;
    mc_list_init(&group);
    mc_list_push_back(&group, &own->node);
    size_t count = 1;
    if (!own->alone) {
        mc_mutex_lock(&writer->lock);
        count += gather(&writer->waiting[own->class], &group, own->weight);
        mc_mutex_unlock(&writer->lock);
    }
    carry_out(writer, &group, count);
    mc_list_remove(&own->node);

    struct mc_write *heir = NULL;
    mc_mutex_lock(&writer->lock);
    struct mc_list *class = next_class(writer);
    if (mc_list_empty(class)) {
        writer->busy = false;
    } else {
        heir = mc_container_of(class->next, struct mc_write, node);
        mc_list_remove(&heir->node);
    }
    mc_mutex_unlock(&writer->lock);
    if (heir)
        wake(heir, true);
    while (!mc_list_empty(&group)) {
        struct mc_write *write = mc_container_of(group.next, struct mc_write, node);
        mc_list_remove(&write->node);
        wake(write, false);
    }
}

/* Queues the write, the writer being busy, and waits: true when it is to lead, false when it is
 * done. */
static bool wait_in_line(struct mc_writer *writer, struct mc_write *write)
{
    mc_list_push_back(&writer->waiting[write->class], &write->node);
    mc_mutex_unlock(&writer->lock);
    mc_mutex_lock(&write->lock);
    while (!write->woken)
        mc_cond_wait(&write->wake, &write->lock);
    bool leads = write->leads;
    mc_mutex_unlock(&write->lock);
    return leads;
}

enum mc_status mc_writer_run(struct mc_writer *writer, struct mc_write *write, struct mc_error *err)
{
    mc_list_init(&write->node);
    write->status = MC_OK;
    write->woken = false;
    bool leads = true;
    mc_mutex_lock(&writer->lock);
    if (writer->busy) {
        mc_mutex_init(&write->lock);
        mc_cond_init(&write->wake);
        leads = wait_in_line(writer, write);
        mc_cond_fini(&write->wake);
        mc_mutex_fini(&write->lock);
    } else {
        writer->busy = true;
        mc_mutex_unlock(&writer->lock);
    }
    if (leads)
        lead(writer, write);
    if (write->status != MC_OK && err)
        *err = write->error;
    return write->status;
}

static enum mc_status look(struct mc_writer *writer, void *context, struct mc_error *err)
{
    (void)context;
    return notice_others(writer, err);
}

enum mc_status mc_writer_look(struct mc_writer *writer, struct mc_error *err)
{
    struct mc_write write = {.apply = look, .class = MC_WRITE_OTHER, .alone = true};
    return mc_writer_run(writer, &write, err);
}

/* ---- Rows ---- */

enum mc_status mc_writer_new_row(struct mc_writer *writer, int64_t *row, struct mc_error *err)
{
    if (writer->next_row == 0) {
        enum mc_status status = mc_conn_integer(writer->conn,
                                                "SELECT max((SELECT last_row FROM state), "
                                                "coalesce((SELECT max(id) FROM messages), 0)) + 1",
                                                MC_NO_BINDS, NULL, &writer->next_row, err);
        if (status != MC_OK)
            return status;
    }
    *row = writer->next_row++;
    return MC_OK;
}
