/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verbs_correspondent.c - one correspondent: shown with their own certificate, given one, added.
 *
 * Names in a certificate were chosen by whoever asked for it: they are shown escaped. */
#include "daemon/base/clock.h"
#include "daemon/base/codec.h"
#include "daemon/control/verbs_internal.h"
#include "daemon/flow/onward.h"
#include "daemon/smime/own_cert.h"
#include "daemon/store/own_cert.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_MAX     100u         /* correspondents of one address, each at another alias */
#define PEM_MAX_BYTES (64u * 1024) /* of a file to import */

static void cert_free(X509 **cert)
{
    X509_free(*cert);
    *cert = NULL;
}

/* ---- a certificate, shown ---- */

static void add_name(cJSON *object, const char *key, const X509_NAME *name)
{
    BIO *out = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len;

    if (out && X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253) >= 0 &&
        BIO_write(out, "", 1) == 1) {
        len = BIO_get_mem_data(out, &text);
        if (len > 0)
            add_text(object, key, text);
    }
    BIO_free(out);
}

static void add_fingerprint(cJSON *object, const X509 *cert)
{
    CLEANUP(buf_clear) struct buf hex = {0};
    uint8_t md[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (X509_digest(cert, EVP_sha256(), md, &len) == 1)
        hex_append(&hex, (struct bytes){md, len});
    add_text(object, "sha256", buf_str(&hex));
}

static void add_key(cJSON *object, X509 *cert)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } usages[] = {{KU_DIGITAL_SIGNATURE, "digitalSignature"},
                  {KU_NON_REPUDIATION, "nonRepudiation"},
                  {KU_KEY_ENCIPHERMENT, "keyEncipherment"},
                  {KU_KEY_AGREEMENT, "keyAgreement"}};
    const EVP_PKEY *key = X509_get0_pubkey(cert);
    uint32_t usage = X509_get_key_usage(cert);
    char text[64];
    cJSON *list;

    (void)snprintf(text, sizeof text, "%s %d", key ? EVP_PKEY_get0_type_name(key) : "unknown",
                   key ? EVP_PKEY_get_bits(key) : 0);
    add_text(object, "key", text);
    list = cJSON_AddArrayToObject(object, "key_usage");
    for (size_t i = 0; usage != UINT32_MAX && i < sizeof usages / sizeof *usages; i++)
        if (usage & usages[i].bit)
            (void)cJSON_AddItemToArray(list, cJSON_CreateString(usages[i].name));
}

static const char *use_of(X509 *cert, const char *address)
{
    enum err e = own_cert_check(cert, address, clock_now_s());

    err_note_clear();
    return !e ? "good" : e == ERR_EXPIRED ? "expired" : "unfit";
}

static enum err add_certificate(cJSON *row, const struct store_correspondent *c,
                                const struct own_cert *own)
{
    const uint8_t *p = own->der.data;
    CLEANUP(cert_free) X509 *cert = d2i_X509(NULL, &p, (long)own->der.len);
    cJSON *shown;

    if (!cert)
        return err_note_openssl(ERR_TAMPERED, "correspondent's certificate");
    shown = cJSON_AddObjectToObject(row, "certificate");
    add_name(shown, "subject", X509_get_subject_name(cert));
    add_name(shown, "issuer", X509_get_issuer_name(cert));
    add_fingerprint(shown, cert);
    add_text(shown, "source", own_cert_source_name(own->source));
    add_text(shown, "use", use_of(cert, c->address));
    add_text(shown, "cipher", own->aes_128 ? "aes-128-cbc" : "aes-256-cbc");
    add_number(shown, "first_seen_at", (double)own->first_seen_s);
    add_number(shown, "not_before", (double)own->not_before_s);
    add_number(shown, "not_after", (double)own->not_after_s);
    add_key(shown, cert);
    return ERR_OK;
}

/* ---- show ---- */

/* How would a reply leave now? Nothing is said where that cannot be told. */
static void add_way(cJSON *row, const struct relay_verbs *v, const char *profile,
                    const struct store_correspondent *c)
{
    CLEANUP(onward_plan_clear) struct onward_plan plan = {.cert = NULL};
    struct reply_policy policy;
    enum err e = store_reply_policy_get(v->store, profile, &policy);

    if (!e)
        e = onward_plan_make(v->store, c, policy.onward, clock_now_s(), &plan);
    if (!e)
        add_text(row, "replies", onward_way_name(plan.way));
    err_note_clear();
}

/* May the user write to it now? */
static void add_state(cJSON *row, const struct relay_verbs *v, const struct store_alias *alias,
                      const struct store_correspondent *c)
{
    CLEANUP(hsm_profile_clear) struct hsm_profile profile = {0};
    CLEANUP(store_sender_key_clear) struct store_sender_key key = {0};
    enum err e = hsm_user_profile(v->hsm, alias->user, &profile);
    const char *state = e == ERR_NOT_ACTIVE ? "no active profile" : "unknown";

    if (!e) {
        e = store_sender_key_get(v->store, c->id, profile.profile, &key);
        state = !e ? "ready" : e == ERR_NOT_FOUND ? "no key in the active profile yet" : "unknown";
        err_note_clear();
        add_way(row, v, profile.profile, c);
    }
    err_note_clear();
    add_text(row, "state", state);
}

static enum err add_correspondent(const struct relay_verbs *v, const struct store_alias *alias,
                                  const struct store_correspondent *c, cJSON *rows)
{
    CLEANUP(own_cert_clear) struct own_cert own = {0};
    cJSON *row = cJSON_CreateObject();
    enum err e;

    add_text(row, "alias", alias->address);
    add_text(row, "address", c->address);
    add_text(row, "reverse", c->reverse);
    add_state(row, v, alias, c);
    add_number(row, "messages", (double)c->messages);
    add_number(row, "created", (double)c->created_s);
    add_number(row, "last_seen", (double)c->last_seen_s);
    (void)cJSON_AddItemToArray(rows, row);
    e = store_own_cert_get(v->store, c, &own);
    if (e == ERR_NOT_FOUND) {
        err_note_clear();
        return ERR_OK;
    }
    return e ? e : add_certificate(row, c, &own);
}

/* The walk over aliases, for a reverse address (alias by its id) or a real one. */
struct search {
    const struct relay_verbs *v;
    const char *address; /* NULL: by row */
    const struct store_correspondent *row;
    cJSON *rows;
};

static enum err search_alias(void *ctx, const struct store_alias *alias)
{
    struct search *s = ctx;
    struct store_correspondent found;
    enum err e;

    if (cJSON_GetArraySize(s->rows) >= (int)SHOWN_MAX)
        return ERR_OK;
    if (!s->address)
        return alias->id == s->row->alias ? add_correspondent(s->v, alias, s->row, s->rows)
                                          : ERR_OK;
    e = store_correspondent_find(s->v->store, alias->id, s->address, &found);
    if (e == ERR_NOT_FOUND) {
        err_note_clear();
        return ERR_OK;
    }
    return e ? e : add_correspondent(s->v, alias, &found, s->rows);
}

enum err verb_correspondent_show(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    struct search s = {.v = v, .rows = cJSON_AddArrayToObject(answer, "correspondents")};
    struct store_correspondent row;
    const char *who;
    enum err e = verb_need(request, "who", &who);

    if (e)
        return e;
    e = store_correspondent_by_reverse(v->store, who, &row);
    if (e && e != ERR_NOT_FOUND)
        return e;
    err_note_clear();
    s.address = e ? who : NULL;
    s.row = &row;
    e = store_alias_each(v->store, NULL, search_alias, &s);
    if (!e && cJSON_GetArraySize(s.rows) == 0)
        e = err_note(ERR_NOT_FOUND, "correspondent", "nobody of that address");
    return e;
}

/* ---- import, forget ---- */

static enum err need_reverse(const struct relay_verbs *v, const cJSON *request,
                             struct store_correspondent *out)
{
    const char *reverse;
    enum err e = verb_need(request, "reverse", &reverse);

    if (!e)
        e = store_correspondent_by_reverse(v->store, reverse, out);
    return e == ERR_NOT_FOUND ? err_note(e, "correspondent", "no such reverse address") : e;
}

/* OpenSSL would ask whoever sits at the terminal. */
static int no_passphrase(char *out, int size, int writing, void *ctx)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1;
}

/* The first certificate of a PEM file. */
static enum err pem_read(const char *text, X509 **out)
{
    size_t len = strlen(text);
    BIO *in = len <= PEM_MAX_BYTES ? BIO_new_mem_buf(text, (int)len) : NULL;
    X509 *cert = in ? PEM_read_bio_X509(in, NULL, no_passphrase, NULL) : NULL;

    BIO_free(in);
    if (!cert)
        return err_note_openssl(ERR_FORMAT, "certificate in PEM");
    *out = cert;
    return ERR_OK;
}

static enum err own_cert_make(X509 *cert, int64_t now_s, struct own_cert *out)
{
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);
    enum err e = own_cert_times(cert, &out->not_before_s, &out->not_after_s);

    if (len > 0)
        buf_append(&out->der, der, (size_t)len);
    OPENSSL_free(der);
    out->source = OWN_CERT_IMPORTED;
    out->first_seen_s = now_s;
    return e ? e : len > 0 ? buf_error(&out->der) : ERR_NOMEM;
}

enum err verb_correspondent_import(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    CLEANUP(own_cert_clear) struct own_cert own = {0};
    CLEANUP(cert_free) X509 *cert = NULL;
    struct store_correspondent c;
    int64_t now_s = clock_now_s();
    const char *pem;
    enum err e = verb_need(request, "certificate", &pem);

    if (!e)
        e = need_reverse(v, request, &c);
    if (!e)
        e = pem_read(pem, &cert);
    if (!e)
        e = own_cert_check(cert, c.address, now_s);
    if (!e)
        e = own_cert_make(cert, now_s, &own);
    if (!e)
        e = store_own_cert_set(v->store, &c, &own);
    return e ? e : add_certificate(answer, &c, &own);
}

enum err verb_correspondent_forget(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    struct store_correspondent c;
    enum err e = need_reverse(v, request, &c);

    (void)answer;
    if (!e)
        e = store_own_cert_forget(v->store, &c);
    return e == ERR_NOT_FOUND ? err_note(e, "correspondent", "no certificate of theirs is known")
                              : e;
}

/* ---- add ---- */

enum err verb_correspondent_add(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    struct store_correspondent c;
    const char *alias, *address;
    enum err e = verb_need(request, "alias", &alias);

    if (!e)
        e = verb_need(request, "address", &address);
    if (!e && !v->introduce)
        e = err_note(ERR_WRONG_STATE, "correspondent.add", "this relay makes no correspondents");
    if (!e)
        e = v->introduce(v->flow, alias, address, &c);
    if (e)
        return e;
    add_text(answer, "alias", alias);
    add_text(answer, "address", c.address);
    add_text(answer, "reverse", c.reverse);
    return ERR_OK;
}
