#include "cli/libraries.h"

#include <limits.h>
#include <link.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/str.h"

/* File names without "lib" and ".so"; what the system brings along is not of interest. */
static const char *const chosen[] = {"sqlite3", "lmdb",  "pcre2-8", "microhttpd",
                                     "jansson", "fyaml", "zstd",    "utf8proc",
                                     "curl",    "pq",    "llama",   "ggml"};

typedef void (*library_fn)(void *context, mc_str name, mc_str version);
struct walk {
    library_fn found;
    void *context;
};

/* "/lib/libsqlite3.so.0.8.6" is sqlite3 and 0.8.6, the name behind the links. */
static int visit(struct dl_phdr_info *info, size_t size, void *context)
{
    const struct walk *walk = context;
    char path[PATH_MAX];
    (void)size;
    if (!info->dlpi_name || !info->dlpi_name[0] || !realpath(info->dlpi_name, path))
        return 0;
    const char *slash = strrchr(path, '/');
    const char *file = slash ? slash + 1 : path;
    const char *end = strstr(file, ".so");
    if (!end || strncmp(file, "lib", 3) != 0)
        return 0;
    mc_str name = {file + 3, (size_t)(end - file) - 3};
    mc_str version = mc_str_of(end[3] == '.' ? end + 4 : "");
    for (size_t i = 0; i < mc_countof(chosen); i++) {
        if (mc_str_equal(name, mc_str_of(chosen[i])))
            walk->found(walk->context, name, version);
    }
    return 0;
}

static void write_one(void *context, mc_str name, mc_str version)
{
    struct mc_json_writer *writer = context;
    mc_json_key_str(writer, name);
    mc_json_put_string(writer, version);
}

static void print_one(void *context, mc_str name, mc_str version)
{
    const struct mc_out *out = context;
    fprintf(out->file, "  %-12.*s %.*s\n", MC_STR_ARG(name), MC_STR_ARG(version));
}

void mc_libraries_write(struct mc_json_writer *writer)
{
    struct walk walk = {write_one, writer};
    mc_json_begin(writer, '{');
    dl_iterate_phdr(visit, &walk);
    mc_json_end(writer, '}');
}

void mc_libraries_print(struct mc_out *out)
{
    struct walk walk = {print_one, out};
    dl_iterate_phdr(visit, &walk);
}
