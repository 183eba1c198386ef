/* SPDX-License-Identifier: GPL-3.0-or-later */
/* root.c - the root key, from its making to its wiping, in one function: root_enrolment_make.
 *
 * Keeps: the root key exists only inside that call, in locked memory. */
#include "provisioning/enroll/root.h"
#include "daemon/base/failpoint.h"
#include "provisioning/enroll/keys.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#define DAY_S              86400
#define CRL_NUMBER_EMPTY   1
#define CRL_NUMBER_REVOKED 2

/* The last second counts: days * 86400 seconds in all. */
static struct cert_dates ca_dates(int64_t now_s, int64_t days)
{
    int64_t from = now_s - (int64_t)CERT_BACKDATE_CA_DAYS * DAY_S;

    return (struct cert_dates){from, from + days * DAY_S - 1};
}

static enum err make_root(const struct request *r, EVP_PKEY *key, int64_t now_s, X509 **out)
{
    struct cert_values values = request_values(r);
    struct cert_dates dates = ca_dates(now_s, r->root_days);
    enum err e;

    values.common_name = r->root_name;
    e = cert_compose(CERT_ROOT, &values, NULL, key, &dates, out);
    return e ? e : cert_sign(*out, key);
}

static enum err make_intermediate(const struct request *r, EVP_PKEY *key, int64_t now_s,
                                  EVP_PKEY *root_key, struct root_enrolment *out)
{
    struct cert_values values = request_values(r);
    struct cert_dates dates = ca_dates(now_s, r->intermediate_days);
    enum err e =
        cert_compose(CERT_INTERMEDIATE, &values, out->root, key, &dates, &out->intermediate);

    return e ? e : cert_sign(out->intermediate, root_key);
}

static enum err make_crls(EVP_PKEY *root_key, int64_t now_s, struct root_enrolment *out)
{
    struct cert_dates root;
    enum err e = cert_time(out->root, &root);
    struct crl_dates dates = {now_s - DAY_S, 0};

    if (e)
        return e;
    dates.next_update_s = root.not_after_s;
    e = crl_compose(out->root, NULL, 0, CRL_NUMBER_EMPTY, &dates, &out->crl);
    if (!e)
        e = crl_sign(out->crl, root_key);
    if (!e)
        e = crl_compose(out->root, &out->intermediate, 1, CRL_NUMBER_REVOKED, &dates,
                        &out->kill_switch);
    return e ? e : crl_sign(out->kill_switch, root_key);
}

static enum err sign_text(EVP_PKEY *key, struct bytes text, struct buf *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const EVP_MD *md = EVP_PKEY_is_a(key, "RSA") ? EVP_sha256() : EVP_sha384();
    uint8_t signature[1024];
    size_t len = sizeof signature;
    bool done = ctx && EVP_DigestSignInit(ctx, NULL, md, NULL, key) == 1 &&
                EVP_DigestSign(ctx, signature, &len, text.data, text.len) == 1;

    EVP_MD_CTX_free(ctx);
    if (!done)
        return err_note_openssl(ERR_NOMEM, "enrolment statement");
    buf_append(out, signature, len);
    return buf_error(out);
}

static enum err make_statement(const struct request *r, EVP_PKEY *intermediate_key,
                               EVP_PKEY *user_key, EVP_PKEY *root_key, struct root_enrolment *out)
{
    struct cert_values values = request_values(r);
    char intermediate_spki[CERT_SPKI_HEX_LEN + 1];
    char user_spki[CERT_SPKI_HEX_LEN + 1];
    enum err e = cert_spki_hash(intermediate_key, intermediate_spki);

    if (!e)
        e = cert_spki_hash(user_key, user_spki);
    if (!e)
        e = enrolment_statement_text(r->profile, &values, intermediate_spki, user_spki,
                                     &out->statement);
    return e ? e : sign_text(root_key, buf_bytes(&out->statement), &out->signature);
}

enum err root_enrolment_make(const struct request *r, EVP_PKEY *intermediate_key,
                             EVP_PKEY *user_key, int64_t now_s, struct root_enrolment *out)
{
    CLEANUP(root_enrolment_clear) struct root_enrolment made = {0};
    EVP_PKEY *root_key = NULL;
    enum err e = key_new(r->ca_key_type, &root_key);

    if (!e)
        e = make_root(r, root_key, now_s, &made.root);
    if (!e)
        e = make_intermediate(r, intermediate_key, now_s, root_key, &made);
    if (!e)
        e = make_crls(root_key, now_s, &made);
    if (!e)
        e = make_statement(r, intermediate_key, user_key, root_key, &made);
    /* Freeing wipes the private numbers; nothing holds a second reference. */
    EVP_PKEY_free(root_key);
    (void)failpoint("enroll.root_wiped");
    if (e)
        return e;
    *out = made;
    made = (struct root_enrolment){0};
    return ERR_OK;
}

void root_enrolment_clear(struct root_enrolment *e)
{
    X509_free(e->root);
    X509_free(e->intermediate);
    X509_CRL_free(e->crl);
    X509_CRL_free(e->kill_switch);
    buf_clear(&e->statement);
    buf_clear(&e->signature);
    *e = (struct root_enrolment){0};
}
