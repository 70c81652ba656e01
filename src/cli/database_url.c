#include "cli/database_url.h"

#include "base/buf.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"

#define PART_BYTES 4096

static enum mc_status set_part(struct mc_config *config, const char *option, const char *key,
                               mc_str part, bool encoded, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf value;
    mc_buf_init(&value, PART_BYTES);
    for (size_t i = 0; i < part.len; i++) {
        char c = part.data[i];
        if (encoded && c == '%') {
            int high = i + 1 < part.len ? mc_hex_digit(part.data[i + 1]) : -1;
            int low = i + 2 < part.len ? mc_hex_digit(part.data[i + 2]) : -1;
            if (high < 0 || low < 0 || high + low == 0)
                return mc_fail_field(err, MC_INVALID, option,
                                     "option --%s: '%%' must be followed by two hexadecimal digits",
                                     option);
            c = (char)(high * 16 + low);
            i += 2;
        }
        mc_buf_char(&value, c);
    }
    if (value.failed)
        return mc_fail_field(err, MC_INVALID, option, "option --%s: the %s is too long", option,
                             key);
    enum mc_status status = mc_config_set(config, key, value.data ? value.data : "", err);
    return status == MC_OK ? MC_OK : mc_fail_prefix(err, status, "option --%s", option);
}

static enum mc_status apply_sqlite(struct mc_config *config, const char *option, mc_str path,
                                   struct mc_error *err)
{
    if (!path.len)
        return mc_fail_field(err, MC_INVALID, option, "option --%s sqlite: needs a path behind it",
                             option);
    enum mc_status status =
        set_part(config, option, "database.backend", MC_STR("sqlite"), false, err);
    return status == MC_OK ? set_part(config, option, "database.path", path, false, err) : status;
}

/* "user:password" before the last "@"; what is behind it replaces *rest. */
static enum mc_status apply_user(struct mc_config *config, const char *option, mc_str *rest,
                                 struct mc_error *err)
{
    size_t at = rest->len;
    while (at > 0 && rest->data[at - 1] != '@')
        at--;
    if (!at)
        return MC_OK;
    mc_str password = {rest->data, at - 1};
    mc_str user;
    *rest = (mc_str){rest->data + at, rest->len - at};
    bool has_password = memchr(password.data, ':', password.len) != NULL;
    mc_str_split(&password, ':', &user);
    enum mc_status status = set_part(config, option, "database.user", user, true, err);
    if (status == MC_OK && has_password)
        status = set_part(config, option, "database.password", password, true, err);
    return status;
}

static enum mc_status apply_address(struct mc_config *config, const char *option, mc_str address,
                                    struct mc_error *err)
{
    mc_str host = address;
    mc_str port = MC_STR_NONE;
    const char *bracket = address.len ? memchr(address.data, ']', address.len) : NULL;
    if (bracket && address.data[0] == '[') { /* an IPv6 address */
        host = (mc_str){address.data + 1, (size_t)(bracket - address.data) - 1};
        port = (mc_str){bracket + 1, address.len - host.len - 2};
        if (port.len && port.data[0] == ':')
            port = (mc_str){port.data + 1, port.len - 1};
    } else if (address.len && memchr(address.data, ':', address.len)) {
        port = address;
        mc_str_split(&port, ':', &host);
    }
    enum mc_status status = MC_OK;
    if (host.len)
        status = set_part(config, option, "database.host", host, true, err);
    if (status == MC_OK && port.len)
        status = set_part(config, option, "database.port", port, false, err);
    return status;
}

static enum mc_status apply_parameters(struct mc_config *config, const char *option,
                                       mc_str parameters, struct mc_error *err)
{
    mc_str parameter;
    while (parameters.len && mc_str_split(&parameters, '&', &parameter)) {
        mc_str name;
        mc_str_split(&parameter, '=', &name);
        if (!mc_str_equal(name, MC_STR("sslmode")))
            return mc_fail_field(err, MC_INVALID, option,
                                 "option --%s: unknown parameter '%.*s', only sslmode is known",
                                 option, MC_STR_ARG(name));
        enum mc_status status = set_part(config, option, "database.sslmode", parameter, true, err);
        if (status != MC_OK)
            return status;
    }
    return MC_OK;
}

static enum mc_status apply_postgresql(struct mc_config *config, const char *option, mc_str rest,
                                       struct mc_error *err)
{
    mc_str path;
    mc_str address;
    mc_str parameters = rest;
    mc_str_split(&parameters, '?', &path);
    if (path.len == rest.len)
        parameters = MC_STR_NONE;
    mc_str name = path;
    mc_str_split(&name, '/', &address);
    if (address.len == path.len)
        name = MC_STR_NONE;
    enum mc_status status =
        set_part(config, option, "database.backend", MC_STR("postgresql"), false, err);
    if (status == MC_OK)
        status = apply_user(config, option, &address, err);
    if (status == MC_OK)
        status = apply_address(config, option, address, err);
    if (status == MC_OK && name.len)
        status = set_part(config, option, "database.name", name, true, err);
    return status == MC_OK ? apply_parameters(config, option, parameters, err) : status;
}

enum mc_status mc_database_url_apply(struct mc_config *config, const char *option, mc_str url,
                                     struct mc_error *err)
{
    static const char *const postgresql[] = {"postgresql://", "postgres://"};
    if (mc_str_starts(url, MC_STR("sqlite:")))
        return apply_sqlite(config, option, (mc_str){url.data + 7, url.len - 7}, err);
    for (size_t i = 0; i < mc_countof(postgresql); i++) {
        size_t len = strlen(postgresql[i]);
        if (mc_str_starts(url, mc_str_of(postgresql[i])))
            return apply_postgresql(config, option, (mc_str){url.data + len, url.len - len}, err);
    }
    return mc_fail_field(err, MC_INVALID, option,
                         "option --%s takes sqlite:PATH or "
                         "postgresql://USER:PASSWORD@HOST:PORT/NAME, not '%.*s'",
                         option, MC_STR_ARG(url));
}
