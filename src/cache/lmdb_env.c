#include "cache/lmdb_env.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "cache/entry.h"
#include "cache/lmdb_check.h"

/*
 * DESIGN. Two bytes of the state file are locked (open file description locks, so that threads and
 * repeated openings count): OPENING while opening, closing or marking, by one process at a time;
 * USING as long as the data is open, shared. Whoever can have USING alone while it has OPENING is
 * the only user: it may check and remove the files, and at closing it may declare the data whole.
 */
#define DATA_FILE "mindcore-cache.mdb"
#define LOCK_FILE DATA_FILE "-lock"
#define STATE_FILE "mindcore-cache.state"
#define LOCK_OPENING 0
#define LOCK_USING 1
#define READERS_MAX 1022
#define MAP_BYTES_MIN ((size_t)64 << 20)
#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"

struct state {
    char magic[8];
    uint32_t version;
    uint32_t closed; /* 1: the data is whole, synchronised, and as described here */
    char boot_id[40];
    uint64_t seed, map_bytes;
    uint64_t inode, size;
    int64_t modified_ns, changed_ns;
    uint64_t check;
};
#define STATE_MAGIC "MCcache"
#define STATE_VERSION 1 /* of the state, the keys and the values */

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct mc_lmdb_env *registry; /* the environments open in this process */

/* ---- Files ---- */

static void path_of(const struct mc_lmdb_env *env, const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", env->dir, name);
}

static enum mc_status fail_path(struct mc_error *err, const char *doing, const char *path, int code)
{
    const char *advice = code == EACCES || code == EPERM || code == EROFS
                             ? "; give it write permission or set cache.dir to another folder"
                         : code == ENOSPC || code == EDQUOT ? "; free some space"
                                                            : "";
    return mc_fail_field(err, code == ENOSPC || code == EDQUOT ? MC_DISK_FULL : MC_IO, "cache.dir",
                         "cannot %s '%s' for the cache: %s%s", doing, path, mdb_strerror(code),
                         advice);
}

/* The folder and its parent, for this user only: it holds what people wrote. */
static enum mc_status make_dir(const char *dir, struct mc_error *err)
{
    char parent[PATH_MAX];
    size_t len = strlen(dir);
    if (len == 0 || len + sizeof("/" LOCK_FILE) > PATH_MAX)
        return mc_fail_field(err, MC_INVALID, "cache.dir",
                             "cache.dir is %s; name the folder of the cache",
                             len ? "too long a path" : "empty");
    memcpy(parent, dir, len + 1);
    while (len > 1 && parent[len - 1] == '/')
        parent[--len] = '\0';
    char *slash = strrchr(parent, '/');
    if (slash && slash != parent) {
        *slash = '\0';
        if (mkdir(parent, 0700) != 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
            return fail_path(err, "make the folder", parent, errno);
    }
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return fail_path(err, "make the folder", dir, errno);
    struct stat stat_of;
    if (stat(dir, &stat_of) != 0)
        return fail_path(err, "use the folder", dir, errno);
    if (!S_ISDIR(stat_of.st_mode))
        return fail_path(err, "use the folder", dir, ENOTDIR);
    return MC_OK;
}

static bool lock_byte(int fd, short type, off_t byte, bool wait)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    int rc;
    do
        rc = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
    while (rc != 0 && errno == EINTR);
    return rc == 0;
}

static void remove_data(const struct mc_lmdb_env *env)
{
    char path[PATH_MAX];
    path_of(env, DATA_FILE, path);
    unlink(path);
    path_of(env, LOCK_FILE, path);
    unlink(path);
}

/* ---- State ---- */

static void read_boot_id(char boot_id[40])
{
    memset(boot_id, 0, 40);
    int fd = open(BOOT_ID_FILE, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (read(fd, boot_id, 39) < 0)
        memset(boot_id, 0, 40);
    close(fd);
}

static uint64_t state_check(const struct state *state)
{
    return mc_entry_hash(STATE_VERSION, state, offsetof(struct state, check));
}

static bool read_state(const struct mc_lmdb_env *env, struct state *state)
{
    return pread(env->state_fd, state, sizeof(*state), 0) == (ssize_t)sizeof(*state) &&
           memcmp(state->magic, STATE_MAGIC, sizeof(STATE_MAGIC)) == 0 &&
           state->version == STATE_VERSION && state->check == state_check(state);
}

/* Where the data file is and how it was left; false when there is none. */
static bool describe_data(const struct mc_lmdb_env *env, struct state *state)
{
    char path[PATH_MAX];
    struct stat data;
    path_of(env, DATA_FILE, path);
    if (lstat(path, &data) != 0 || !S_ISREG(data.st_mode))
        return false;
    state->inode = data.st_ino;
    state->size = (uint64_t)data.st_size;
    state->modified_ns = (int64_t)data.st_mtim.tv_sec * 1000000000 + data.st_mtim.tv_nsec;
    state->changed_ns = (int64_t)data.st_ctim.tv_sec * 1000000000 + data.st_ctim.tv_nsec;
    return true;
}

/* Returns 0 or errno. It is on the disk afterwards. */
static int write_state(const struct mc_lmdb_env *env, bool closed)
{
    struct state state;
    memset(&state, 0, sizeof(state));
    memcpy(state.magic, STATE_MAGIC, sizeof(STATE_MAGIC));
    state.version = STATE_VERSION;
    read_boot_id(state.boot_id);
    state.seed = env->seed;
    state.map_bytes = env->map_bytes;
    state.closed = closed && describe_data(env, &state);
    state.check = state_check(&state);
    ssize_t written = pwrite(env->state_fd, &state, sizeof(state), 0);
    if (written != (ssize_t)sizeof(state))
        return written < 0 ? errno : ENOSPC;
    return fdatasync(env->state_fd) == 0 ? 0 : errno;
}

/* Behind the state, so that neither writes over the other. One that was written in part is none. */
#define GENERATION_AT 512
struct generation {
    int64_t number;
    uint64_t check;
};

static uint64_t generation_check(const struct mc_lmdb_env *env, int64_t number)
{
    return mc_entry_hash(env->seed, &number, sizeof(number));
}

int64_t mc_lmdb_env_generation(const struct mc_lmdb_env *env)
{
    struct generation noted;
    bool whole =
        pread(env->state_fd, &noted, sizeof(noted), GENERATION_AT) == (ssize_t)sizeof(noted) &&
        noted.check == generation_check(env, noted.number);
    return whole ? noted.number : 0;
}

int mc_lmdb_env_set_generation(const struct mc_lmdb_env *env, int64_t generation)
{
    struct generation noted = {generation, generation_check(env, generation)};
    ssize_t written = pwrite(env->state_fd, &noted, sizeof(noted), GENERATION_AT);
    if (written == (ssize_t)sizeof(noted))
        return 0;
    return written < 0 ? errno : ENOSPC;
}

/* Whether the data can be used as it lies there. Only the one user may ask. */
static bool data_is_sound(const struct mc_lmdb_env *env, const struct state *state)
{
    struct state found;
    char boot_id[40];
    char path[PATH_MAX];
    if (!describe_data(env, &found) || found.size > env->map_bytes)
        return false;
    if (state->closed)
        return state->inode == found.inode && state->size == found.size &&
               state->modified_ns == found.modified_ns && state->changed_ns == found.changed_ns;
    read_boot_id(boot_id);
    if (boot_id[0] == '\0' || memcmp(boot_id, state->boot_id, sizeof(boot_id)) != 0)
        return false;
    path_of(env, DATA_FILE, path);
    return mc_lmdb_check(path);
}

/* ---- LMDB ---- */

static int open_trees(struct mc_lmdb_env *env)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(env->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return rc;
    rc = mdb_dbi_open(txn, NULL, 0, &env->entries);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "use", 0, &env->use);
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    if (rc != MDB_NOTFOUND)
        return rc;
    rc = mc_lmdb_write_begin(env, &txn);
    if (rc != 0)
        return rc;
    rc = mdb_dbi_open(txn, "use", MDB_CREATE, &env->use);
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

static int open_data(struct mc_lmdb_env *env)
{
    char path[PATH_MAX];
    path_of(env, DATA_FILE, path);
    int rc = mdb_env_create(&env->env);
    if (rc == 0)
        rc = mdb_env_set_mapsize(env->env, env->map_bytes);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(env->env, READERS_MAX);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(env->env, 1);
    if (rc == 0)
        rc = mdb_env_open(env->env, path, MDB_NOSUBDIR | MDB_NOTLS | MDB_NOSYNC | MDB_NORDAHEAD,
                          0600);
    int dead;
    if (rc == 0)
        rc = mdb_reader_check(env->env, &dead);
    MDB_stat stat;
    if (rc == 0)
        rc = mdb_env_stat(env->env, &stat);
    if (rc == 0) {
        env->page_bytes = stat.ms_psize;
        rc = open_trees(env);
    }
    if (rc != 0 && env->env) {
        mdb_env_close(env->env);
        env->env = NULL;
    }
    return rc;
}

/* As the only user: keeps or removes what is there, and opens it. Returns 0 or LMDB's code. */
static int open_alone(struct mc_lmdb_env *env)
{
    struct state state;
    if (read_state(env, &state) && data_is_sound(env, &state)) {
        env->seed = state.seed;
        atomic_store(&env->marked, !state.closed);
        /* Those who join later take the size of the map from the state. */
        int rc = state.map_bytes == env->map_bytes ? 0 : write_state(env, false);
        rc = rc != 0 ? rc : open_data(env);
        if (rc == 0 || rc == EACCES || rc == EPERM || rc == ENOMEM)
            return rc;
    }
    struct stat old;
    char path[PATH_MAX];
    path_of(env, DATA_FILE, path);
    if (lstat(path, &old) == 0)
        mc_log(MC_LOG_WARNING, "cache",
               "the disk cache in '%s' cannot be trusted (not closed, changed or damaged): "
               "starting it empty",
               env->dir);
    remove_data(env);
    mc_random_bytes(&env->seed, sizeof(env->seed));
    int rc = write_state(env, false);
    atomic_store(&env->marked, true);
    return rc != 0 ? rc : open_data(env);
}

static int open_joining(struct mc_lmdb_env *env)
{
    struct state state;
    if (!read_state(env, &state))
        return MDB_INVALID;
    env->seed = state.seed;
    /* All users of the file must see as much of it. */
    env->map_bytes = (size_t)state.map_bytes;
    return open_data(env);
}

static void free_env(struct mc_lmdb_env *env)
{
    if (!env)
        return;
    while (env->pool) {
        struct mc_lmdb_reader *reader = env->pool;
        env->pool = reader->next;
        mdb_cursor_close(reader->cursor);
        mdb_txn_abort(reader->txn);
        free(reader);
    }
    bool alone = env->env && lock_byte(env->state_fd, F_WRLCK, LOCK_OPENING, true) &&
                 lock_byte(env->state_fd, F_WRLCK, LOCK_USING, false);
    struct state state;
    bool used = alone && read_state(env, &state) && !state.closed;
    bool whole = used && mdb_env_sync(env->env, 1) == 0;
    if (env->env)
        mdb_env_close(env->env);
    /* Left as it is, the state says that the data was not closed: it will be checked. */
    if (whole)
        (void)write_state(env, true);
    if (env->state_fd >= 0)
        close(env->state_fd);
    mc_mutex_fini(&env->lock);
    free(env->dir);
    free(env);
}
static void free_env_ptr(struct mc_lmdb_env **env)
{
    free_env(*env);
}

static enum mc_status open_files(struct mc_lmdb_env *env, struct mc_error *err)
{
    char path[PATH_MAX];
    path_of(env, STATE_FILE, path);
    env->state_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (env->state_fd < 0)
        return fail_path(err, "open the file", path, errno);
    if (!lock_byte(env->state_fd, F_WRLCK, LOCK_OPENING, true))
        return fail_path(err, "lock the file", path, errno);
    bool alone = lock_byte(env->state_fd, F_WRLCK, LOCK_USING, false);
    if (!alone && !lock_byte(env->state_fd, F_RDLCK, LOCK_USING, true))
        return fail_path(err, "lock the file", path, errno);
    int rc = alone ? open_alone(env) : open_joining(env);
    path_of(env, DATA_FILE, path);
    if (rc != 0)
        return fail_path(err, "open the file", path, rc);
    if (alone && !lock_byte(env->state_fd, F_RDLCK, LOCK_USING, true))
        return fail_path(err, "lock the file", path, errno);
    (void)lock_byte(env->state_fd, F_UNLCK, LOCK_OPENING, true);
    return MC_OK;
}

/* The registry's lock is held. */
static enum mc_status open_env(const char *dir, size_t max_bytes, struct mc_lmdb_env **env,
                               struct mc_error *err)
{
    if (make_dir(dir, err) != MC_OK)
        return err->status;
    struct stat folder;
    if (stat(dir, &folder) != 0)
        return fail_path(err, "use the folder", dir, errno);
    for (struct mc_lmdb_env *open = registry; open; open = open->next) {
        if (open->device == folder.st_dev && open->inode == folder.st_ino) {
            open->openings++;
            *env = open;
            return MC_OK;
        }
    }
    mc_auto(free_env_ptr) struct mc_lmdb_env *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->state_fd = -1;
    mc_mutex_init(&made->lock);
    made->device = folder.st_dev;
    made->inode = folder.st_ino;
    made->openings = 1;
    made->dir = strdup(dir);
    if (!made->dir)
        return mc_fail_memory(err);
    /* Trees are kept within max_bytes; the rest is for pages that wait to be free. Only addresses.
     */
    made->map_bytes = max_bytes > SIZE_MAX / 16 ? SIZE_MAX / 4 : max_bytes * 4;
    if (made->map_bytes < MAP_BYTES_MIN)
        made->map_bytes = MAP_BYTES_MIN;
    made->map_bytes = made->map_bytes / MAP_BYTES_MIN * MAP_BYTES_MIN;
    enum mc_status status = open_files(made, err);
    if (status != MC_OK)
        return status;
    made->next = registry;
    registry = made;
    *env = mc_steal(made);
    return MC_OK;
}

enum mc_status mc_lmdb_env_open(const char *dir, size_t max_bytes, struct mc_lmdb_env **env,
                                struct mc_error *err)
{
    struct mc_error own;
    pthread_mutex_lock(&registry_lock);
    enum mc_status status = open_env(dir ? dir : "", max_bytes, env, err ? err : &own);
    pthread_mutex_unlock(&registry_lock);
    return status;
}

void mc_lmdb_env_close(struct mc_lmdb_env *env)
{
    if (!env)
        return;
    pthread_mutex_lock(&registry_lock);
    if (--env->openings == 0) {
        struct mc_lmdb_env **at = &registry;
        while (*at != env)
            at = &(*at)->next;
        *at = env->next;
        free_env(env);
    }
    pthread_mutex_unlock(&registry_lock);
}

/* ---- Transactions ---- */

static int make_reader(struct mc_lmdb_env *env, struct mc_lmdb_reader **reader)
{
    struct mc_lmdb_reader *made = calloc(1, sizeof(*made));
    if (!made)
        return ENOMEM;
    int rc = mdb_txn_begin(env->env, NULL, MDB_RDONLY, &made->txn);
    if (rc == MDB_READERS_FULL) {
        /* Processes that were killed may have left theirs. */
        int dead;
        rc = mdb_reader_check(env->env, &dead);
        rc = rc != 0 ? rc : mdb_txn_begin(env->env, NULL, MDB_RDONLY, &made->txn);
    }
    if (rc == 0) {
        rc = mdb_cursor_open(made->txn, env->entries, &made->cursor);
        if (rc == 0) {
            *reader = made;
            return 0;
        }
        mdb_txn_abort(made->txn);
    }
    free(made);
    return rc;
}

int mc_lmdb_read_begin(struct mc_lmdb_env *env, struct mc_lmdb_reader **reader)
{
    mc_mutex_lock(&env->lock);
    struct mc_lmdb_reader *pooled = env->pool;
    if (pooled)
        env->pool = pooled->next;
    mc_mutex_unlock(&env->lock);
    if (!pooled)
        return make_reader(env, reader);
    int rc = mdb_txn_renew(pooled->txn);
    if (rc == 0) {
        rc = mdb_cursor_renew(pooled->txn, pooled->cursor);
        if (rc == 0) {
            *reader = pooled;
            return 0;
        }
    }
    mdb_cursor_close(pooled->cursor);
    mdb_txn_abort(pooled->txn);
    free(pooled);
    return rc;
}

void mc_lmdb_read_end(struct mc_lmdb_env *env, struct mc_lmdb_reader *reader)
{
    mdb_txn_reset(reader->txn);
    mc_mutex_lock(&env->lock);
    reader->next = env->pool;
    env->pool = reader;
    mc_mutex_unlock(&env->lock);
}

/* Before the first change the state on the disk must say that the data is being changed. */
static int mark(struct mc_lmdb_env *env)
{
    struct state state;
    int rc = 0;
    mc_mutex_lock(&env->lock);
    if (!atomic_load(&env->marked)) {
        if (!lock_byte(env->state_fd, F_WRLCK, LOCK_OPENING, true))
            rc = errno;
        else if (!read_state(env, &state) || state.closed)
            rc = write_state(env, false);
        (void)lock_byte(env->state_fd, F_UNLCK, LOCK_OPENING, true);
        if (rc == 0)
            atomic_store(&env->marked, true);
    }
    mc_mutex_unlock(&env->lock);
    return rc;
}

int mc_lmdb_write_begin(struct mc_lmdb_env *env, MDB_txn **txn)
{
    if (!atomic_load_explicit(&env->marked, memory_order_acquire)) {
        int rc = mark(env);
        if (rc != 0)
            return rc;
    }
    return mdb_txn_begin(env->env, NULL, 0, txn);
}
