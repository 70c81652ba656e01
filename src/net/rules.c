#include "net/rules.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"

#define CERTIFICATES_MAX ((size_t)8 * 1024 * 1024)
#define CONNECT_TIMEOUT_US (10 * MC_US_PER_SECOND)
#define CONNECTIONS 32

static void close_file(FILE **file)
{
    if (*file)
        fclose(*file);
}

/* Appends the file; errno of the failure, 0 when it was read. */
static int read_file(const char *path, struct mc_buf *out)
{
    mc_auto(close_file) FILE *file = fopen(path, "re");
    if (!file)
        return errno;
    char part[8192];
    size_t len;
    while ((len = fread(part, 1, sizeof(part), file)) > 0 && !out->failed)
        mc_buf_append(out, (mc_str){part, len});
    return ferror(file) ? EIO : out->failed ? ENOMEM : 0;
}

/*
 * libcurl takes the certificates of a file instead of the system's, not in addition, so both are put
 * into one text.
 */
static enum mc_status read_certificates(struct mc_net_rules *rules, const char *ca_file,
                                        struct mc_error *err)
{
    const char *system_file = curl_version_info(CURLVERSION_NOW)->cainfo;
    if (system_file && read_file(system_file, &rules->certificates) == ENOMEM)
        return mc_fail_memory(err);
    mc_buf_char(&rules->certificates, '\n');
    size_t own = rules->certificates.len;
    int code = read_file(ca_file, &rules->certificates);
    char reason[128];
    if (rules->certificates.failed)
        return mc_fail_memory(err);
    if (code != 0)
        return mc_fail(err, MC_CONFIG, "the certificates in '%s' cannot be read: %s", ca_file,
                       strerror_r(code, reason, sizeof(reason)));
    if (!strstr(rules->certificates.data + own, "-----BEGIN CERTIFICATE-----"))
        return mc_fail(err, MC_CONFIG,
                       "'%s' holds no certificate: give a PEM file, which begins with "
                       "-----BEGIN CERTIFICATE-----",
                       ca_file);
    return MC_OK;
}

/* The first of the variables that is set; a copy, "" for none, NULL when out of memory. */
static char *environment(const char *const *names, size_t count)
{
    const char *value = NULL;
    for (size_t i = 0; i < count && !(value && *value); i++)
        value = getenv(names[i]);
    return strdup(value ? value : "");
}

enum mc_status mc_net_rules_init(struct mc_net_rules *rules, const struct mc_net_options *options,
                                 struct mc_error *err)
{
    static const struct mc_net_options defaults;
    static const char *const proxies[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    static const char *const exceptions[] = {"no_proxy", "NO_PROXY"};
    const struct mc_net_options *given = options ? options : &defaults;
    int64_t timeout_us =
        given->connect_timeout_us > 0 ? given->connect_timeout_us : CONNECT_TIMEOUT_US;
    int64_t timeout_ms = (timeout_us + MC_US_PER_MS - 1) / MC_US_PER_MS;
    struct mc_net_rules made = {
        .connect_timeout_ms = timeout_ms > INT32_MAX ? INT32_MAX : (long)timeout_ms,
        .max_connections = given->max_connections > 0 ? given->max_connections : CONNECTIONS,
        .user_agent = strdup(given->user_agent ? given->user_agent : "mindcore/" MC_VERSION_TEXT),
        .proxy = environment(proxies, mc_countof(proxies)),
        .no_proxy = environment(exceptions, mc_countof(exceptions)),
    };
    mc_buf_init(&made.certificates, CERTIFICATES_MAX);
    enum mc_status status = MC_OK;
    if (!made.user_agent || !made.proxy || !made.no_proxy)
        status = mc_fail_memory(err);
    else if (given->ca_file && *given->ca_file)
        status = read_certificates(&made, given->ca_file, err);
    if (status == MC_OK)
        *rules = made;
    else
        mc_net_rules_fini(&made);
    return status;
}

void mc_net_rules_fini(struct mc_net_rules *rules)
{
    free(rules->user_agent);
    free(rules->proxy);
    free(rules->no_proxy);
    mc_buf_fini(&rules->certificates);
}
