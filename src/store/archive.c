#include "store/archive.h"

#include <inttypes.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/thread.h"

/* Above this, messages take long to pack and hardly become smaller. */
#define LEVEL 9
/* No message is larger (message/input.h); a frame that says so is damaged. */
#define PLAIN_MAX ((unsigned long long)64 << 20)
#define CONTEXTS 8

struct mc_archive {
    mc_mutex lock; /* guards what follows; a dictionary stays until the end */
    ZSTD_DDict *unpacking[MC_ARCHIVE_NEWEST + 1];
    ZSTD_CDict *packing; /* of the newest */
    int64_t newest;
    ZSTD_DCtx *idle[CONTEXTS];
    size_t idle_count;
    mc_mutex packer_lock; /* guards what follows */
    ZSTD_CCtx *packer;
};

enum mc_status mc_archive_new(struct mc_archive **archive, struct mc_error *err)
{
    struct mc_archive *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    mc_mutex_init(&made->lock);
    mc_mutex_init(&made->packer_lock);
    *archive = made;
    return MC_OK;
}

void mc_archive_free(struct mc_archive *archive)
{
    if (!archive)
        return;
    for (size_t i = 0; i < mc_countof(archive->unpacking); i++)
        ZSTD_freeDDict(archive->unpacking[i]);
    for (size_t i = 0; i < archive->idle_count; i++)
        ZSTD_freeDCtx(archive->idle[i]);
    ZSTD_freeCDict(archive->packing);
    ZSTD_freeCCtx(archive->packer);
    mc_mutex_fini(&archive->packer_lock);
    mc_mutex_fini(&archive->lock);
    free(archive);
}

/* ---- Dictionaries ---- */

enum mc_status mc_archive_add(struct mc_archive *archive, int64_t number, mc_str bytes,
                              struct mc_error *err)
{
    if (number < 1 || number > MC_ARCHIVE_NEWEST ||
        ZSTD_getDictID_fromDict(bytes.data, bytes.len) != MC_ARCHIVE_ID(number))
        return mc_fail(err, MC_CORRUPT,
                       "dictionary %" PRId64 " of the archive is damaged; restore a backup",
                       number);
    ZSTD_DDict *unpacking = ZSTD_createDDict(bytes.data, bytes.len);
    bool packs = number > mc_archive_newest(archive);
    ZSTD_CDict *packing = packs ? ZSTD_createCDict(bytes.data, bytes.len, LEVEL) : NULL;
    bool made = unpacking && (packing || !packs);
    /* What is packed just now goes on with what it has. */
    mc_mutex_lock(&archive->packer_lock);
    mc_mutex_lock(&archive->lock);
    if (made && !archive->unpacking[number])
        archive->unpacking[number] = mc_steal(unpacking);
    if (made && packs && number > archive->newest) {
        ZSTD_freeCDict(archive->packing);
        archive->packing = mc_steal(packing);
        archive->newest = number;
    }
    mc_mutex_unlock(&archive->lock);
    mc_mutex_unlock(&archive->packer_lock);
    ZSTD_freeDDict(unpacking);
    ZSTD_freeCDict(packing);
    return made ? MC_OK : mc_fail_memory(err);
}

int64_t mc_archive_newest(struct mc_archive *archive)
{
    mc_mutex_lock(&archive->lock);
    int64_t newest = archive->newest;
    mc_mutex_unlock(&archive->lock);
    return newest;
}

/* ---- Packing ---- */

static enum mc_status pack(struct mc_archive *archive, mc_str plain, char *frame, size_t *size,
                           struct mc_error *err)
{
    if (!archive->packer)
        archive->packer = ZSTD_createCCtx();
    if (!archive->packer)
        return mc_fail_memory(err);
    if (!archive->packing)
        return mc_fail(err, MC_INTERNAL, "the archive has no dictionary to pack with");
    ZSTD_CCtx *packer = archive->packer;
    size_t code = ZSTD_CCtx_refCDict(packer, archive->packing);
    if (!ZSTD_isError(code)) /* what the disk makes of it later is noticed */
        code = ZSTD_CCtx_setParameter(packer, ZSTD_c_checksumFlag, 1);
    if (!ZSTD_isError(code))
        code = ZSTD_compress2(packer, frame, *size, plain.data, plain.len);
    if (ZSTD_isError(code))
        return mc_fail(err, MC_INTERNAL, "a message could not be packed: %s",
                       ZSTD_getErrorName(code));
    *size = code;
    return MC_OK;
}

enum mc_status mc_archive_pack(struct mc_archive *archive, mc_str metadata, mc_str text,
                               struct mc_buf *frame, struct mc_error *err)
{
    size_t plain_size = mc_archive_plain_size(metadata, text);
    size_t size = ZSTD_compressBound(plain_size);
    char *memory = malloc(plain_size + size);
    if (!memory)
        return mc_fail_memory(err);
    mc_archive_plain(metadata, text, memory);
    mc_mutex_lock(&archive->packer_lock);
    enum mc_status status =
        pack(archive, (mc_str){memory, plain_size}, memory + plain_size, &size, err);
    mc_mutex_unlock(&archive->packer_lock);
    if (status == MC_OK)
        mc_buf_append(frame, (mc_str){memory + plain_size, size});
    free(memory);
    return status == MC_OK && frame->failed ? mc_fail_memory(err) : status;
}

/* ---- Unpacking ---- */

void mc_unpacked_fini(struct mc_unpacked *unpacked)
{
    free(unpacked->memory);
}

static ZSTD_DCtx *take_context(struct mc_archive *archive)
{
    ZSTD_DCtx *context = NULL;
    mc_mutex_lock(&archive->lock);
    if (archive->idle_count > 0)
        context = archive->idle[--archive->idle_count];
    mc_mutex_unlock(&archive->lock);
    return context ? context : ZSTD_createDCtx();
}

static void give_back(struct mc_archive *archive, ZSTD_DCtx *context)
{
    mc_mutex_lock(&archive->lock);
    if (archive->idle_count < CONTEXTS)
        archive->idle[archive->idle_count++] = mc_steal(context);
    mc_mutex_unlock(&archive->lock);
    ZSTD_freeDCtx(context);
}

static enum mc_status damaged(struct mc_error *err)
{
    return mc_fail(err, MC_CORRUPT, "an archived message is damaged; restore a backup");
}

enum mc_status mc_archive_unpack(struct mc_archive *archive, mc_str frame,
                                 struct mc_unpacked *unpacked, int64_t *missing,
                                 struct mc_error *err)
{
    *missing = 0;
    unsigned long long size = ZSTD_getFrameContentSize(frame.data, frame.len);
    int64_t number =
        (int64_t)ZSTD_getDictID_fromFrame(frame.data, frame.len) - (int64_t)MC_ARCHIVE_ID(0);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > PLAIN_MAX ||
        number < 1 || number > MC_ARCHIVE_NEWEST)
        return damaged(err);
    mc_mutex_lock(&archive->lock);
    ZSTD_DDict *dictionary = archive->unpacking[number];
    mc_mutex_unlock(&archive->lock);
    if (!dictionary) {
        *missing = number;
        return mc_fail(err, MC_CORRUPT,
                       "dictionary %" PRId64 " of the archive is missing; restore a backup",
                       number);
    }
    ZSTD_DCtx *context = take_context(archive);
    char *memory = malloc((size_t)size + 1);
    if (!context || !memory) {
        ZSTD_freeDCtx(context);
        free(memory);
        return mc_fail_memory(err);
    }
    size_t len = ZSTD_decompress_usingDDict(context, memory, (size_t)size, frame.data, frame.len,
                                            dictionary);
    give_back(archive, context);
    const char *end = ZSTD_isError(len) ? NULL : memchr(memory, '\0', len);
    if (!end) {
        free(memory);
        return damaged(err);
    }
    size_t metadata_len = (size_t)(end - memory);
    *unpacked = (struct mc_unpacked){
        {memory, metadata_len}, {memory + metadata_len + 1, len - metadata_len - 1}, memory};
    return MC_OK;
}
