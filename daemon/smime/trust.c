/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trust.c - an OpenSSL certificate store of the configured authorities, and nothing else: the
 * machine's own list is for servers, not for mail. */
#include "daemon/smime/trust.h"
#include "daemon/base/buf.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TRUST_SECURITY_LEVEL 2 /* OpenSSL's: 112 bits; no SHA-1, no RSA below 2048 */

struct trust {
    X509_STORE *store;
};

static enum err file_load(struct trust *t, const char *path)
{
    if (X509_STORE_load_file(t->store, path) == 1)
        return ERR_OK;
    ERR_clear_error();
    return err_note(ERR_CONFIG, "trust", "%s: no certificates in PEM", path);
}

static bool is_certificate_name(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot && dot != name &&
           (strcmp(dot, ".pem") == 0 || strcmp(dot, ".crt") == 0 || strcmp(dot, ".cer") == 0);
}

static void dir_close(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

static enum err folder_load(struct trust *t, const char *path)
{
    CLEANUP(dir_close) DIR *d = opendir(path);
    const struct dirent *entry;
    unsigned n = 0;
    enum err e = ERR_OK;

    if (!d)
        return err_note(ERR_CONFIG, "trust", "%s: %s", path, strerror(errno));
    while (!e && (entry = readdir(d))) {
        CLEANUP(buf_clear) struct buf file = {0};

        if (!is_certificate_name(entry->d_name))
            continue;
        buf_printf(&file, "%s/%s", path, entry->d_name);
        e = buf_error(&file);
        if (!e)
            e = file_load(t, buf_str(&file));
        n++;
    }
    return e || n ? e : err_note(ERR_CONFIG, "trust", "%s: no *.pem, *.crt or *.cer in it", path);
}

static enum err path_load(struct trust *t, const char *path)
{
    struct stat st;

    if (stat(path, &st))
        return err_note(ERR_CONFIG, "trust", "%s: %s", path, strerror(errno));
    return S_ISDIR(st.st_mode) ? folder_load(t, path) : file_load(t, path);
}

enum err trust_open(const char *path, struct trust **out)
{
    struct trust *t = calloc(1, sizeof *t);
    enum err e = ERR_OK;

    if (!t)
        return err_note(ERR_NOMEM, "trust_open", "out of memory");
    t->store = X509_STORE_new();
    if (!t->store)
        e = err_note_openssl(ERR_NOMEM, "X509_STORE_new");
    if (!e && path)
        e = path_load(t, path);
    if (e)
        trust_free(t);
    else
        *out = t;
    return e;
}

void trust_free(struct trust *t)
{
    if (!t)
        return;
    X509_STORE_free(t->store);
    free(t);
}

static bool is_about_the_issuer(int error)
{
    static const int errors[] = {
        X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
        X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT};

    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i] == error)
            return true;
    return false;
}

enum err trust_ask(const struct trust *t, X509 *cert, STACK_OF(X509) * extra, int64_t now_s,
                   enum trust_answer *out)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509_VERIFY_PARAM *param;

    if (!ctx || X509_STORE_CTX_init(ctx, t->store, cert, extra) != 1 ||
        X509_STORE_CTX_set_default(ctx, "smime_sign") != 1) {
        X509_STORE_CTX_free(ctx);
        return err_note_openssl(ERR_NOMEM, "X509_STORE_CTX_init");
    }
    param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time(param, (time_t)now_s);
    X509_VERIFY_PARAM_set_depth(param, TRUST_DEPTH_MAX);
    X509_VERIFY_PARAM_set_auth_level(param, TRUST_SECURITY_LEVEL);
    if (X509_verify_cert(ctx) == 1)
        *out = TRUST_GOOD;
    else
        *out =
            is_about_the_issuer(X509_STORE_CTX_get_error(ctx)) ? TRUST_UNKNOWN_ISSUER : TRUST_BAD;
    X509_STORE_CTX_free(ctx);
    ERR_clear_error();
    return ERR_OK;
}
