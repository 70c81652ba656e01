#include "store/sqlite/readers.h"

#include "base/error.h"

/*
 * The 64 MB of page cache that the guide promises belong to the writer, which needs them most.
 * Readers have little of their own and read through the system's cache; the mapping covers the hot
 * start of a small file and keeps the process's resident memory bounded, since each connection maps
 * for itself.
 */
static const char pragmas[] = "PRAGMA query_only = ON;"
                              "PRAGMA temp_store = MEMORY;"
                              "PRAGMA cache_size = -2000;"
                              "PRAGMA mmap_size = 16777216;";

void mc_readers_init(struct mc_readers *readers, const char *path, struct mc_archive *archive,
                     int64_t busy_timeout_us, int max)
{
    *readers = (struct mc_readers){
        .path = path, .archive = archive, .busy_timeout_us = busy_timeout_us, .max = max};
    mc_mutex_init(&readers->lock);
    mc_cond_init(&readers->returned);
}

void mc_readers_fini(struct mc_readers *readers)
{
    if (readers->max == 0)
        return;
    while (readers->idle) {
        struct mc_conn *conn = readers->idle;
        readers->idle = conn->next;
        mc_conn_close(conn);
    }
    readers->max = 0;
    mc_cond_fini(&readers->returned);
    mc_mutex_fini(&readers->lock);
}

static enum mc_status open_reader(struct mc_readers *readers, struct mc_conn **conn,
                                  struct mc_error *err)
{
    mc_auto(mc_conn_close_ptr) struct mc_conn *made = NULL;
    enum mc_status status =
        mc_conn_open(readers->path, readers->busy_timeout_us, false, &made, err);
    if (status == MC_OK)
        status = mc_conn_script(made, pragmas, err);
    if (status != MC_OK)
        return status;
    made->archive = readers->archive;
    *conn = mc_steal(made);
    return status;
}

enum mc_status mc_reading_begin(struct mc_reading *reading, struct mc_readers *readers,
                                struct mc_error *err)
{
    mc_mutex_lock(&readers->lock);
    while (!readers->idle && readers->open == readers->max)
        mc_cond_wait(&readers->returned, &readers->lock);
    struct mc_conn *conn = readers->idle;
    if (conn)
        readers->idle = conn->next;
    else
        readers->open++;
    mc_mutex_unlock(&readers->lock);
    enum mc_status status = MC_OK;
    if (!conn)
        status = open_reader(readers, &conn, err);
    if (status == MC_OK) {
        reading->readers = readers;
        reading->conn = conn;
        return MC_OK;
    }
    mc_mutex_lock(&readers->lock);
    readers->open--;
    mc_cond_signal(&readers->returned);
    mc_mutex_unlock(&readers->lock);
    return status;
}

void mc_reading_end(struct mc_reading *reading)
{
    if (!reading->conn)
        return;
    struct mc_readers *readers = reading->readers;
    mc_mutex_lock(&readers->lock);
    reading->conn->next = readers->idle;
    readers->idle = reading->conn;
    mc_cond_signal(&readers->returned);
    mc_mutex_unlock(&readers->lock);
    reading->conn = NULL;
}
