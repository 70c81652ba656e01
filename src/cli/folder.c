#include "cli/folder.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

#define DESCRIPTORS 16

enum mc_status mc_folder_make(const char *prefix, char *path, size_t size, struct mc_error *err)
{
    const char *base = getenv("TMPDIR");
    int len = snprintf(path, size, "%s/%s-XXXXXX", base && base[0] ? base : "/tmp", prefix);
    if (len < 0 || (size_t)len >= size)
        return mc_fail(err, MC_INVALID, "the name of the folder in TMPDIR is too long");
    if (!mkdtemp(path))
        return mc_fail(err, MC_IO, "cannot make the folder '%s': %s", path, strerror(errno));
    return MC_OK;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

void mc_folder_remove(const char *path)
{
    nftw(path, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
}
