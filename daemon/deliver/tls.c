/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tls.c - the SSL_CTX that libesmtp is given, and the name check it cannot do. */
#include "daemon/deliver/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* Why our own context: libesmtp frees the one it caches with its first session (the second
 * crashes), reads certificates from $HOME, and allows TLS 1.0. No client certificate ever goes in:
 * libesmtp frees that too, though it does not own it.
 * TLS 1.3 is safe only because line_tls.c hides its session tickets from libesmtp's poll(). */
enum err tls_client_new(const char *ca_file, SSL_CTX **out)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    int ok;

    if (!ctx)
        return err_note_openssl(ERR_NOMEM, "SSL_CTX_new");
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    ok = SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) &&
         SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION);
    if (ok && ca_file[0])
        ok = SSL_CTX_load_verify_file(ctx, ca_file);
    else if (ok)
        ok = SSL_CTX_set_default_verify_paths(ctx);
    if (!ok) {
        SSL_CTX_free(ctx);
        return err_note_openssl(ERR_CONFIG, "certificates of the next hop's CA");
    }
    *out = ctx;
    return ERR_OK;
}

/* libesmtp compares with the canonical name that DNS answered, takes the common name where there is
 * no DNS name, and knows no IP addresses. */
bool tls_name_ok(const SSL *ssl, const char *host)
{
    const unsigned flags =
        X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
    X509 *cert = SSL_get1_peer_certificate(ssl);
    struct in6_addr ignored;
    bool ok;

    if (!cert)
        return false;
    if (inet_pton(AF_INET, host, &ignored) == 1 || inet_pton(AF_INET6, host, &ignored) == 1)
        ok = X509_check_ip_asc(cert, host, 0) == 1;
    else
        ok = X509_check_host(cert, host, 0, flags, NULL) == 1;
    X509_free(cert);
    return ok && SSL_get_verify_result(ssl) == X509_V_OK;
}
