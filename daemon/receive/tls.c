/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tls.c - the server's TLS settings. */
#include "daemon/receive/tls.h"

#include <openssl/err.h>

static enum err load(SSL_CTX *ctx, const char *certificate, const char *key)
{
    if (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1)
        return err_note_openssl(ERR_CONFIG, "TLS certificate");
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        return err_note_openssl(ERR_CONFIG, "TLS key");
    if (SSL_CTX_check_private_key(ctx) != 1)
        return err_note_openssl(ERR_CONFIG, "TLS key and certificate");
    return ERR_OK;
}

enum err tls_server_new(const char *certificate, const char *key, SSL_CTX **out)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    enum err e;

    if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
        SSL_CTX_free(ctx);
        return err_note_openssl(ERR_NOMEM, "SSL_CTX_new");
    }
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_num_tickets(ctx, 0);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    e = load(ctx, certificate, key);
    if (e) {
        SSL_CTX_free(ctx);
        return e;
    }
    *out = ctx;
    return ERR_OK;
}
