#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/utf8.h"
#include "config/config.h"
#include "config/options.h"
#include "config/state.h"

#define FILE_MAX ((size_t)1024 * 1024)
#define ARENA_MAX ((size_t)64 * 1024 * 1024)
#define NAME_MAX_SHOWN 160 /* of a file in messages: its end says most */
#define PLACE_SIZE (NAME_MAX_SHOWN + 64)
#define KEY_SIZE 128

/* Stands for a secret in what mc_config_show prints; loading it leaves the secret as it is. */
static const char hidden[] = "********";

struct loader {
    struct mc_config *config;
    struct mc_arena *arena;
    const char *name;
    struct mc_error *err;
};

static const char *place_of(const struct loader *loader, const struct mc_node *node,
                            char place[PLACE_SIZE])
{
    snprintf(place, PLACE_SIZE, "%s:%d:%d: ", loader->name, node->line, node->column);
    return place;
}

static enum mc_status apply_option(struct loader *loader, size_t option, struct mc_node *node)
{
    const char *key = mc_option_at(option)->key;
    char place[PLACE_SIZE];
    const struct mc_node *at = node;
    struct mc_value value = {0};

    if (mc_option_is_secret(mc_option_kind(option)) && mc_str_equal(node->text, mc_str_of(hidden)))
        return MC_OK;
    enum mc_status status = mc_node_expand(loader->arena, node, &at, loader->err);
    if (status == MC_OK)
        status = mc_value_from_node(option, node, &value, &at, loader->err);
    if (status != MC_OK)
        return mc_config_fail_at(loader->err, status,
                                 place_of(loader, at->line > 0 ? at : node, place), key);
    snprintf(place, sizeof(place), "file %s:%d", loader->name, node->line);
    return mc_config_put(loader->config, option, &value, MC_SOURCE_FILE, place, loader->err);
}

static enum mc_status fail_unknown(const struct loader *loader, const struct mc_node *key,
                                   const char *path)
{
    char place[PLACE_SIZE], near[MC_OPTION_NAME_SIZE];
    place_of(loader, key, place);
    if (mc_str_equal(key->text, MC_STR("<<")))
        return mc_fail_field(loader->err, MC_CONFIG, path, "%smerge keys ('<<') are not supported",
                             place);
    if (mc_option_find(key->text) != MC_OPTION_NONE)
        return mc_fail_field(loader->err, MC_CONFIG, path,
                             "%sunknown key '%s'; write '%.*s' as a section with a key inside",
                             place, path, MC_STR_ARG(key->text));
    if (mc_option_nearest(mc_str_of(path), near))
        return mc_fail_field(loader->err, MC_CONFIG, path, "%sunknown key '%s', did you mean '%s'?",
                             place, path, near);
    return mc_fail_field(loader->err, MC_CONFIG, path, "%sunknown key '%s'", place, path);
}

/* Keys of a section are few and known, so looking back is no work. */
static enum mc_status check_repeated(const struct loader *loader, const struct mc_node *section,
                                     const struct mc_node *member, const char *path)
{
    for (const struct mc_node *m = section->child; m != member; m = m->next)
        if (mc_str_equal(m->key->text, member->key->text)) {
            char place[PLACE_SIZE];
            return mc_fail_field(loader->err, MC_CONFIG, path,
                                 "%s%s: is given twice, first in line %d",
                                 place_of(loader, member->key, place), path, m->key->line);
        }
    return MC_OK;
}

/* Applies the members of a section; prefix is its key and a dot, or empty. */
static enum mc_status apply_section(struct loader *loader, const struct mc_node *section,
                                    const char *prefix)
{
    for (struct mc_node *member = section->child; member; member = member->next) {
        const struct mc_node *key = member->key;
        char path[KEY_SIZE], inner[KEY_SIZE + 1], place[PLACE_SIZE];
        if (key->type != MC_NODE_SCALAR || key->text.len == 0 ||
            mc_value_check_text("", key->text, NULL) != MC_OK)
            return mc_fail(loader->err, MC_CONFIG,
                           "%sa key must be text without control characters",
                           place_of(loader, key, place));
        snprintf(path, sizeof(path), "%s%.*s", prefix,
                 MC_STR_ARG(mc_utf8_cut(key->text, KEY_SIZE / 2)));
        bool one_part = !memchr(key->text.data, '.', key->text.len);
        size_t option = mc_option_find(mc_str_of(path));
        if (!one_part || (option == MC_OPTION_NONE && !mc_option_is_section(mc_str_of(path))))
            return fail_unknown(loader, key, path);
        enum mc_status status = check_repeated(loader, section, member, path);
        if (status != MC_OK)
            return status;
        if (option != MC_OPTION_NONE) {
            status = apply_option(loader, option, member);
        } else if (member->type == MC_NODE_MAP) {
            snprintf(inner, sizeof(inner), "%s.", path);
            status = apply_section(loader, member, inner);
        } else if (!mc_node_is_null(member)) {
            status = mc_fail_field(loader->err, MC_CONFIG, path,
                                   "%s%s: is a section and must hold keys, found %s",
                                   place_of(loader, member, place), path,
                                   member->type == MC_NODE_LIST ? "a list" : "a single value");
        }
        if (status != MC_OK)
            return status;
    }
    return MC_OK;
}

static enum mc_status load_yaml(struct mc_config *config, mc_str yaml, const char *name,
                                struct mc_error *err)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, ARENA_MAX);
    size_t name_len = strlen(name);
    char shown[NAME_MAX_SHOWN + 8];
    snprintf(shown, sizeof(shown), "%s%s", name_len > NAME_MAX_SHOWN ? "..." : "",
             name_len > NAME_MAX_SHOWN ? name + name_len - NAME_MAX_SHOWN : name);
    struct mc_node *root = NULL;
    struct loader loader = {.config = config, .arena = &arena, .name = shown, .err = err};

    enum mc_status status = mc_node_parse_yaml(&arena, yaml, shown, &root, err);
    if (status != MC_OK || !root || mc_node_is_null(root))
        return status;
    if (root->type != MC_NODE_MAP)
        return mc_fail(err, MC_CONFIG,
                       "%s:%d:%d: must hold sections such as 'database:' with keys inside", shown,
                       root->line, root->column);
    return apply_section(&loader, root, "");
}

enum mc_status mc_config_load_text(struct mc_config *config, mc_str yaml, const char *name,
                                   struct mc_error *err)
{
    mc_auto(mc_config_free_ptr) struct mc_config *next = NULL;
    if (!config)
        return mc_fail_field(err, MC_INVALID, "config", "config is NULL");
    name = name ? name : "(text)";
    if (yaml.len > FILE_MAX)
        return mc_fail(err, MC_CONFIG, "%s: is larger than 1 MiB, this is not a configuration",
                       name);
    enum mc_status status = mc_config_copy(config, &next, err);
    if (status == MC_OK)
        status = load_yaml(next, yaml, name, err);
    if (status == MC_OK)
        mc_config_swap(config, next);
    return status;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static enum mc_status read_file(const char *path, struct mc_buf *out, struct mc_error *err)
{
    struct stat info;
    mc_auto(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return mc_fail(err, MC_NOT_FOUND, "the configuration file '%s' does not exist", path);
    if (fd < 0 || fstat(fd, &info) != 0)
        return mc_fail(err, MC_CONFIG, "cannot open the configuration file '%s': %s", path,
                       strerror(errno));
    if (S_ISDIR(info.st_mode))
        return mc_fail(err, MC_CONFIG, "'%s' is a folder, not a configuration file", path);
    if (info.st_size > (off_t)FILE_MAX)
        return mc_fail(err, MC_CONFIG,
                       "'%s' is larger than 1 MiB, this is not a configuration file", path);
    (void)fcntl(fd, F_SETFL, 0); /* the open must not wait for the writer of a pipe, reading may */
    for (;;) {
        char block[16384];
        ssize_t got = read(fd, block, sizeof(block));
        if (got == 0)
            return MC_OK;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return mc_fail(err, MC_CONFIG, "cannot read the configuration file '%s': %s", path,
                           strerror(errno));
        mc_buf_append(out, (mc_str){block, (size_t)got});
        if (out->failed && out->len < FILE_MAX / 2)
            return mc_fail_memory(err);
        if (out->failed)
            return mc_fail(err, MC_CONFIG,
                           "'%s' is larger than 1 MiB, this is not a configuration "
                           "file",
                           path);
    }
}

enum mc_status mc_config_load_file(struct mc_config *config, const char *path, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf text;
    mc_buf_init(&text, FILE_MAX);
    if (!config || !path || path[0] == '\0')
        return mc_fail_field(err, MC_INVALID, config ? "path" : "config", "%s is missing",
                             config ? "path" : "config");
    enum mc_status status = read_file(path, &text, err);
    return status == MC_OK ? mc_config_load_text(config, mc_buf_str(&text), path, err) : status;
}

/* An empty variable counts as not set: that is how container tools pass what nobody gave. */
static enum mc_status apply_environment(struct mc_config *config, size_t option,
                                        struct mc_error *err)
{
    char built[MC_OPTION_NAME_SIZE], place[MC_OPTION_NAME_SIZE + 32];
    const char *name;
    for (int nth = 0; (name = mc_option_environment(option, nth, built)) != NULL; nth++) {
        const char *text = getenv(name);
        if (!text || text[0] == '\0')
            continue;
        struct mc_value value = {0};
        enum mc_status status = mc_value_from_text(option, mc_str_of(text), &value, err);
        if (status != MC_OK) {
            snprintf(place, sizeof(place), "environment variable %s: ", name);
            return mc_config_fail_at(err, status, place, mc_option_at(option)->key);
        }
        snprintf(place, sizeof(place), "environment %s", name);
        return mc_config_put(config, option, &value, MC_SOURCE_ENVIRONMENT, place, err);
    }
    return MC_OK;
}

enum mc_status mc_config_load_environment(struct mc_config *config, struct mc_error *err)
{
    mc_auto(mc_config_free_ptr) struct mc_config *next = NULL;
    if (!config)
        return mc_fail_field(err, MC_INVALID, "config", "config is NULL");
    enum mc_status status = mc_config_copy(config, &next, err);
    for (size_t i = 0; status == MC_OK && i < next->count; i++)
        status = apply_environment(next, i, err);
    if (status == MC_OK)
        mc_config_swap(config, next);
    return status;
}

/* Naming a host means PostgreSQL, unless the backend is named as strongly. */
static enum mc_status choose_backend(struct mc_config *config, struct mc_error *err)
{
    size_t backend = mc_option_find(MC_STR("database.backend"));
    enum mc_source host = mc_config_source(config, "database.host");
    if (host != MC_SOURCE_FILE && host != MC_SOURCE_ENVIRONMENT)
        return MC_OK;
    if (mc_config_source(config, "database.backend") >= host)
        return MC_OK;
    struct mc_value value = {0};
    enum mc_status status = mc_value_from_text(backend, MC_STR("postgresql"), &value, err);
    if (status != MC_OK)
        return status;
    return mc_config_put(config, backend, &value, host,
                         host == MC_SOURCE_FILE ? "file, because database.host is given"
                                                : "environment, because database.host is given",
                         err);
}

enum mc_status mc_config_load(struct mc_config *config, const char *path, struct mc_error *err)
{
    mc_auto(mc_config_free_ptr) struct mc_config *next = NULL;
    if (!config)
        return mc_fail_field(err, MC_INVALID, "config", "config is NULL");
    const char *named = getenv("MINDCORE_CONFIG");
    bool from_environment = !path && named && named[0] != '\0';
    enum mc_status status = mc_config_copy(config, &next, err);
    if (status == MC_OK && (path || from_environment))
        status = mc_config_load_file(next, path ? path : named, err);
    if (status != MC_OK)
        return from_environment && status != MC_NO_MEMORY
                   ? mc_fail_prefix(err, status, "MINDCORE_CONFIG")
                   : status;
    status = mc_config_load_environment(next, err);
    if (status == MC_OK)
        status = choose_backend(next, err);
    if (status == MC_OK)
        mc_config_swap(config, next);
    return status;
}
