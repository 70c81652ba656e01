#include "http/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

#define PEM_MAX ((size_t)1 << 20)
#define PROTOCOLS "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

static enum mc_status read_pem(const char *field, const char *path, char **pem,
                               struct mc_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return mc_fail_field(err, MC_CONFIG, field, "%s: '%s' cannot be read: %s", field, path,
                             strerror(errno));
    char *text = malloc(PEM_MAX + 1);
    ssize_t len = text ? read(fd, text, PEM_MAX) : 0;
    close(fd);
    if (!text)
        return mc_fail_memory(err);
    text[len > 0 ? len : 0] = '\0';
    if (!strstr(text, "-----BEGIN ")) {
        free(text);
        return mc_fail_field(err, MC_CONFIG, field, "%s: '%s' holds no PEM (-----BEGIN ...)", field,
                             path);
    }
    *pem = text;
    return MC_OK;
}

enum mc_status mc_http_tls_read(const char *cert_path, const char *key_path,
                                struct mc_http_tls *tls, struct mc_error *err)
{
    if (!cert_path != !key_path)
        return mc_fail_field(err, MC_CONFIG, cert_path ? "server.tls_key" : "server.tls_cert",
                             "server.tls_cert and server.tls_key must be set together");
    if (!cert_path)
        return MC_OK;
    enum mc_status status = read_pem("server.tls_cert", cert_path, &tls->cert, err);
    return status == MC_OK ? read_pem("server.tls_key", key_path, &tls->key, err) : status;
}

void mc_http_tls_fini(struct mc_http_tls *tls)
{
    if (tls->key)
        explicit_bzero(tls->key, strlen(tls->key));
    free(tls->key);
    free(tls->cert);
}

void mc_http_tls_options(const struct mc_http_tls *tls,
                         struct MHD_OptionItem options[MC_HTTP_TLS_OPTIONS])
{
    size_t count = 0;
    if (tls->cert) {
        options[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, tls->cert};
        options[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, tls->key};
        options[count++] =
            (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)PROTOCOLS};
    }
    options[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
}

enum mc_status mc_http_tls_fail(struct mc_error *err)
{
    return mc_fail_field(err, MC_CONFIG, "server.tls_cert",
                         "the HTTPS server does not start: check that server.tls_key is the key of "
                         "the first certificate in server.tls_cert");
}
