/* HTTPS: the certificate and the key of the server, and how the transport is told of them. */
#ifndef MC_HTTP_TLS_H
#define MC_HTTP_TLS_H

#include <microhttpd.h>

#include <mindcore/status.h>

/* Texts in PEM; NULL: HTTP. */
struct mc_http_tls {
    char *cert;
    char *key;
};
/* MC_CONFIG names the option: one without the other, or a file that cannot be read or holds no PEM. */
MC_MUST_CHECK enum mc_status mc_http_tls_read(const char *cert_path, const char *key_path,
                                              struct mc_http_tls *tls, struct mc_error *err);
void mc_http_tls_fini(struct mc_http_tls *tls);

#define MC_HTTP_TLS_OPTIONS 4
/* They borrow from tls until the daemon has started. */
void mc_http_tls_options(const struct mc_http_tls *tls,
                         struct MHD_OptionItem options[MC_HTTP_TLS_OPTIONS]);
/* Of a daemon that did not start with them. */
enum mc_status mc_http_tls_fail(struct mc_error *err);

#endif
