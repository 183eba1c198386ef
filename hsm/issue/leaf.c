/* SPDX-License-Identifier: GPL-3.0-or-later */
/* leaf.c - certificates of users and senders: values and dates from the record, signature from the
 * token. */
#include "hsm/issue/inside.h"

#include "daemon/base/codec.h"

#include <openssl/pem.h>
#include <string.h>

#define SENDER_DAYS 730 /* counted from notBefore */

struct cert_values values_of_ca(const struct record *r, const char *common_name)
{
    return (struct cert_values){
        .country = r->country,
        .organisation = r->organisation,
        .common_name = common_name,
        .domains = (const char *const *)r->domains.items,
        .n_domains = r->domains.n,
        .addresses = (const char *const *)r->addresses.items,
        .n_addresses = r->addresses.n,
        .policy_oid = r->policy_oid,
        .crl_url = r->root_crl_url,
        .aia_url = r->root_aia_url,
    };
}

/* What the certificate table needs, borrowed from the record. */
static struct cert_values values_of_leaf(const struct record *r, const char *const *addresses,
                                         size_t n)
{
    return (struct cert_values){
        .addresses = addresses,
        .n_addresses = n,
        .policy_oid = r->policy_oid,
        .crl_url = r->leaf_crl_url,
        .aia_url = r->leaf_aia_url,
    };
}

enum err ca_open(struct authority *a, const struct record *r, struct ca *out)
{
    struct ca ca = {
        .key = {.token = a->options.token, .profile = r->profile, .type = r->ca_key_type}};
    enum err e = key_from_spki(buf_bytes(&r->ca_spki), &ca.key.public_key);

    if (!e && r->intermediate.len)
        e = cert_of_der(buf_bytes(&r->intermediate), &ca.intermediate);
    if (e)
        ca_close(&ca);
    else
        *out = ca;
    return e;
}

void ca_close(struct ca *ca)
{
    EVP_PKEY_free(ca->key.public_key);
    X509_free(ca->intermediate);
    *ca = (struct ca){0};
}

void leaf_clear(struct leaf *l)
{
    buf_clear(&l->der);
    buf_clear(&l->serial);
}

/* notBefore lies back, so that older mail can carry its own date as signing time. The last second
 * belongs to the validity. */
static enum err dates_choose(const struct record *r, enum cert_kind kind, X509 *intermediate,
                             int64_t now_s, struct cert_dates *out)
{
    struct cert_dates dates = {.not_before_s = now_s - CERT_BACKDATE_LEAF_DAYS * DAY_S};
    struct cert_dates issuer;
    int64_t longest = dates.not_before_s + CERT_LEAF_DAYS_MAX * DAY_S - 1;
    enum err e = cert_time(intermediate, &issuer);

    if (e)
        return e;
    if (now_s >= issuer.not_after_s)
        return err_note(ERR_EXPIRED, "intermediate", "has expired");
    dates.not_after_s = kind == CERT_USER ? now_s + r->user_days * DAY_S - 1
                                          : dates.not_before_s + SENDER_DAYS * DAY_S - 1;
    if (dates.not_after_s > longest)
        dates.not_after_s = longest;
    if (dates.not_after_s > issuer.not_after_s)
        dates.not_after_s = issuer.not_after_s;
    *out = dates;
    return ERR_OK;
}

static enum err serial_hex(X509 *x, struct buf *out)
{
    const ASN1_STRING *serial = (const ASN1_STRING *)X509_get0_serialNumber(x);

    hex_append(out,
               (struct bytes){ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial)});
    return buf_error(out);
}

enum err leaf_issue(struct authority *a, const struct record *r, enum cert_kind kind,
                    const char *const *addresses, size_t n_addresses, EVP_PKEY *key, int64_t now_s,
                    struct leaf *out)
{
    struct cert_values values = values_of_leaf(r, addresses, n_addresses);
    CLEANUP(ca_close) struct ca ca = {0};
    CLEANUP(x509_drop) X509 *x = NULL;
    struct leaf leaf = {0};
    enum err e = ca_open(a, r, &ca);

    if (!e && !ca.intermediate)
        e = err_note(ERR_WRONG_STATE, "profile", "no intermediate is installed");
    if (!e)
        e = dates_choose(r, kind, ca.intermediate, now_s, &leaf.dates);
    if (!e)
        e = cert_compose(kind, &values, ca.intermediate, key, &leaf.dates, &x);
    if (!e)
        e = serial_hex(x, &leaf.serial);
    if (!e)
        e = seal_certificate(&ca.key, x, &leaf.der);
    if (e)
        leaf_clear(&leaf);
    else
        *out = leaf;
    return e;
}

static enum err key_room(const struct record *r, const uint8_t hash[32])
{
    if (r->n_keys == RECORD_KEYS_MAX)
        return err_note(ERR_LIMIT, "user keys", "no more than %d a profile", RECORD_KEYS_MAX);
    for (size_t i = 0; i < r->n_keys; i++)
        if (memcmp(r->keys[i].spki_sha256, hash, 32) == 0)
            return err_note(ERR_REFUSED, "user key", "was enrolled before");
    return ERR_OK;
}

enum err user_key_apart(const struct record *r, const X509 *root, struct bytes spki)
{
    CLEANUP(buf_clear) struct buf of_root = {0};
    EVP_PKEY *key = X509_get0_pubkey(root);
    enum err e = key ? key_spki(key, &of_root) : err_note_openssl(ERR_FORMAT, "root's key");

    if (!e && (bytes_equal(spki, buf_bytes(&r->ca_spki)) || bytes_equal(spki, buf_bytes(&of_root))))
        e = err_note(ERR_REFUSED, "user key", "is a CA's key");
    return e;
}

static enum err key_is_new(const struct record *r, struct bytes spki, const uint8_t hash[32])
{
    CLEANUP(x509_drop) X509 *root = NULL;
    enum err e = cert_of_der(buf_bytes(&r->root), &root);

    if (!e)
        e = user_key_apart(r, root, spki);
    return e ? e : key_room(r, hash);
}

enum err user_key_issue(struct authority *a, struct record *next, EVP_PKEY *key, struct bytes spki,
                        int64_t now_s)
{
    CLEANUP(leaf_clear) struct leaf leaf = {0};
    struct record_key *k = &next->keys[next->n_keys];
    journal_hash hash;
    uint8_t md[32];
    unsigned len = sizeof md;
    enum err e = ERR_OK;

    if (EVP_Digest(spki.data, spki.len, md, &len, EVP_sha256(), NULL) != 1)
        e = err_note_openssl(ERR_NOMEM, "digest");
    if (!e)
        e = key_is_new(next, spki, md);
    if (!e)
        e = leaf_issue(a, next, CERT_USER, (const char *const *)next->addresses.items,
                       next->addresses.n, key, now_s, &leaf);
    hash_hex(spki, hash);
    if (!e)
        e = journal_append(a->journal, now_s, "user-cert", next->profile,
                           "serial=%s not-after=%lld spki=%s", buf_str(&leaf.serial),
                           (long long)leaf.dates.not_after_s, hash);
    if (e)
        return e;
    *k = (struct record_key){.cert = leaf.der,
                             .not_before_s = leaf.dates.not_before_s,
                             .not_after_s = leaf.dates.not_after_s,
                             .enrolled_s = now_s};
    memcpy(k->spki_sha256, md, sizeof md);
    leaf.der = (struct buf){0}; /* now the record's */
    next->n_keys++;
    return ERR_OK;
}

void hash_hex(struct bytes data, journal_hash out)
{
    journal_hash_of(data, out);
}
