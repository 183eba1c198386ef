/* SPDX-License-Identifier: GPL-3.0-or-later */
/* alias.c - certificates of a user's aliases, over the user's own key.
 *
 * A client that replies to all wants to encrypt to the alias as well. Which key stands in such a
 * certificate is decided here and by the record alone: the relay names an alias, never a key, so
 * none of its own can come in. What was issued over a key ends with it (delete.c).
 *
 * An alias is not bound to its user here: under a profile's root nobody but its user is named. */
#include "hsm/issue/inside.h"

#include "hsm/issue/name.h"

#include <string.h>

static enum err refused(const char *what)
{
    return err_note(ERR_REFUSED, "alias certificate", "%s", what);
}

/* Return paths, catch-alls, and what belongs to the operator in every domain. */
static bool is_nobodys(const char *alias)
{
    static const char *const begins[] = {"b-", "*@", "postmaster@", "abuse@"};

    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (strncmp(alias, begins[i], strlen(begins[i])) == 0)
            return true;
    return name_is_reverse(alias);
}

static enum err alias_check(const struct record *r, const char *alias)
{
    if (!name_is_address(alias))
        return refused("not an address");
    if (record_list_has(&r->addresses, alias))
        return refused("the user's mailbox");
    if (!record_list_has(&r->domains, strchr(alias, '@') + 1))
        return refused("in a domain that is not the profile's");
    return is_nobodys(alias) ? refused("no alias of a user's") : ERR_OK;
}

/* The key that was enrolled last and still counts; NULL: none does. */
static const struct record_key *key_present(const struct record *r, int64_t now_s)
{
    for (size_t i = r->n_keys; i > 0; i--)
        if (!r->keys[i - 1].withdrawn_s && now_s <= r->keys[i - 1].not_after_s)
            return &r->keys[i - 1];
    return NULL;
}

static enum err key_choose(const struct record *r, int64_t now_s, EVP_PKEY **out)
{
    CLEANUP(x509_drop) X509 *cert = NULL;
    const struct record_key *k = key_present(r, now_s);
    enum err e = k ? cert_of_der(buf_bytes(&k->cert), &cert)
                   : err_note(ERR_EXPIRED, "alias certificate", "no user key that has not expired");

    if (e)
        return e;
    *out = X509_get_pubkey(cert);
    return *out ? ERR_OK : err_note_openssl(ERR_FORMAT, "user's key");
}

/* Did the key stay the one to choose while the token signed? */
static enum err key_again(const struct record *r, int64_t now_s, const EVP_PKEY *key)
{
    CLEANUP(key_drop) EVP_PKEY *present = NULL;
    enum err e = key_choose(r, now_s, &present);

    return e || EVP_PKEY_eq(present, key) == 1 ? e : refused("the user's keys have changed");
}

/* The last look and the journal's line belong together: deletion waits for whoever is between. */
static enum err leaf_journal(struct authority *a, const char *profile, const char *alias,
                             const struct leaf *leaf, EVP_PKEY *key)
{
    CLEANUP(record_drop) struct record *r = NULL;
    CLEANUP(buf_clear) struct buf spki = {0};
    journal_hash hash;
    enum err e = key_spki(key, &spki);

    if (e)
        return e;
    hash_hex(buf_bytes(&spki), hash);
    (void)pthread_rwlock_rdlock(&a->life);
    e = authority_find(a, profile, &r);
    if (!e)
        e = profile_may_mail(r);
    if (!e)
        e = key_again(r, authority_now(a), key);
    if (!e)
        e = journal_append(a->journal, authority_now(a), "alias-cert", profile,
                           "alias=%s serial=%s not-after=%lld spki=%s", alias,
                           buf_str(&leaf->serial), (long long)leaf->dates.not_after_s, hash);
    (void)pthread_rwlock_unlock(&a->life);
    return e;
}

static enum err certify(struct authority *a, const struct record *r, const char *alias,
                        struct buf *der_out)
{
    const char *const address[] = {alias};
    CLEANUP(key_drop) EVP_PKEY *key = NULL;
    CLEANUP(leaf_clear) struct leaf leaf = {0};
    int64_t now_s = authority_now(a);
    enum err e = key_choose(r, now_s, &key);

    if (!e)
        e = leaf_issue(a, r, CERT_ALIAS, address, 1, key, now_s, &leaf);
    if (!e)
        e = leaf_journal(a, r->profile, alias, &leaf, key);
    if (e)
        return e;
    buf_append_bytes(der_out, buf_bytes(&leaf.der));
    return buf_error(der_out);
}

enum err authority_alias_cert(struct authority *a, const char *profile, const char *alias,
                              struct buf *der_out)
{
    CLEANUP(record_drop) struct record *r = NULL;
    enum err e = authority_find(a, profile, &r);

    if (!e)
        e = profile_may_mail(r);
    if (!e)
        e = alias_check(r, alias);
    if (!e)
        e = authority_count(a, profile, COUNT_RENEWALS);
    return e ? e : certify(a, r, alias, der_out);
}
