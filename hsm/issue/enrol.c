/* SPDX-License-Identifier: GPL-3.0-or-later */
/* enrol.c - from a pending profile to one with a user key, and every later wish of its user.
 *
 * No user certificate without the root's statement (the first) or an enrolled key's signature (all
 * others); no call of any role gets around that. */
#include "hsm/issue/csr.h"
#include "hsm/issue/enrolment.h"
#include "hsm/issue/inside.h"
#include "hsm/issue/request.h"

#include "daemon/base/failpoint.h"

#include <cjson/cJSON.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

static bool is_same_enrolment(const struct record *r, const struct enrolment *got)
{
    CLEANUP(buf_clear) struct buf root = {0};
    CLEANUP(buf_clear) struct buf intermediate = {0};

    return !der_of_cert(got->root, &root) && !der_of_cert(got->intermediate, &intermediate) &&
           bytes_equal(buf_bytes(&root), buf_bytes(&r->root)) &&
           bytes_equal(buf_bytes(&intermediate), buf_bytes(&r->intermediate));
}

static enum err enrolment_install(struct change *c, const struct enrolment *got)
{
    int64_t now = authority_now(c->a);
    journal_hash root, intermediate;
    enum err e;

    if (c->before->intermediate.len && is_same_enrolment(c->before, got))
        return ERR_OK;
    if (c->before->state != PROFILE_PENDING || c->before->deleting || c->before->intermediate.len)
        return err_note(ERR_WRONG_STATE, "profile", "has an intermediate already, or is deleted");
    e = enrolment_accept(c->next, got, now);
    if (e)
        return e;
    hash_hex(buf_bytes(&c->next->root), root);
    hash_hex(buf_bytes(&c->next->intermediate), intermediate);
    e = journal_append(c->a->journal, now, "install", c->next->profile, "root=%s intermediate=%s",
                       root, intermediate);
    return e ? e : change_commit(c);
}

enum err authority_install(struct authority *a, const char *profile, struct bytes enrolment_json)
{
    CLEANUP(enrolment_clear) struct enrolment got = {0};
    CLEANUP(change_end) struct change c = {0};
    enum err e = enrolment_parse(enrolment_json, &got);

    if (!e)
        e = change_begin(&c, a, profile);
    return e ? e : enrolment_install(&c, &got);
}

/* The "sealrelay-certificate 1" file. */
static enum err certificate_json(const struct record *r, const struct record_key *key,
                                 struct buf *out)
{
    CLEANUP(buf_clear) struct buf pem = {0};
    cJSON *o = cJSON_CreateObject();
    char *text = NULL;
    enum err e = o ? pem_of(PEM_STRING_X509, buf_bytes(&key->cert), &pem) : ERR_NOMEM;

    if (!e && cJSON_AddStringToObject(o, "format", "sealrelay-certificate 1") &&
        cJSON_AddStringToObject(o, "profile", r->profile) &&
        cJSON_AddStringToObject(o, "certificate", buf_str(&pem)))
        text = cJSON_Print(o);
    if (text) {
        buf_append_str(out, text);
        buf_append_str(out, "\n");
    }
    cJSON_free(text);
    cJSON_Delete(o);
    if (e)
        return e;
    return text ? buf_error(out) : ERR_NOMEM;
}

/* The key that the enrolment statement vouched for; the record is authentic, so the CSR in it is
 * the one that was checked. Its proof of possession is checked again all the same. */
static enum err first_issue(struct change *c)
{
    struct record *r = c->next;
    CLEANUP(csr_drop) X509_REQ *csr = NULL;
    CLEANUP(buf_clear) struct buf spki = {0};
    CLEANUP(key_drop) EVP_PKEY *key = NULL;
    enum err e = csr_parse(buf_bytes(&r->first_csr), &csr);

    if (!e)
        e = csr_check(csr, r->user_key_type, r->addresses.items, r->addresses.n, &spki, &key);
    if (!e)
        e = user_key_issue(c->a, r, key, buf_bytes(&spki), authority_now(c->a));
    if (e)
        return e;
    r->state = PROFILE_READY;
    return change_commit(c);
}

static enum err issue_first(struct authority *a, const char *profile, struct buf *json_out)
{
    CLEANUP(change_end) struct change c = {0};
    enum err e = change_begin(&c, a, profile);

    if (e)
        return e;
    if (!c.before->intermediate.len || c.before->deleting || c.before->state == PROFILE_DELETED)
        return err_note(ERR_WRONG_STATE, "profile", "no enrolment is installed, or deleted");
    if (!c.before->n_keys)
        e = first_issue(&c);
    return e ? e : certificate_json(c.before, &c.before->keys[0], json_out);
}

/* ---- requests signed by an enrolled key ---- */

static enum err refused(const char *what)
{
    return err_note(ERR_REFUSED, "user request", "%s", what);
}

/* Take the nonce out of the record: with the next save it is spent. */
static enum err nonce_spend(struct record *r, const char *nonce, int64_t now_s)
{
    uint8_t md[32];

    if (EVP_Digest(nonce, strlen(nonce), md, NULL, EVP_sha256(), NULL) != 1)
        return err_note_openssl(ERR_NOMEM, "digest");
    for (size_t i = 0; i < r->n_nonces; i++) {
        if (CRYPTO_memcmp(r->nonces[i].sha256, md, sizeof md) != 0)
            continue;
        if (now_s >= r->nonces[i].expires_s)
            break;
        r->nonces[i] = r->nonces[--r->n_nonces];
        return ERR_OK;
    }
    return refused("its nonce is unknown, used or expired");
}

static enum err key_add(struct change *c, const struct signed_line *line, struct bytes csr_der)
{
    struct record *r = c->next;
    CLEANUP(csr_drop) X509_REQ *csr = NULL;
    CLEANUP(buf_clear) struct buf spki = {0};
    CLEANUP(key_drop) EVP_PKEY *key = NULL;
    uint8_t md[32];
    enum err e = csr_parse(csr_der, &csr);

    if (!e)
        e = csr_check(csr, r->user_key_type, r->addresses.items, r->addresses.n, &spki, &key);
    if (!e && (EVP_Digest(spki.data, spki.len, md, NULL, EVP_sha256(), NULL) != 1 ||
               memcmp(md, line->spki_sha256, sizeof md) != 0))
        e = refused("names another key than the certificate request");
    if (!e)
        e = user_key_issue(c->a, r, key, buf_bytes(&spki), authority_now(c->a));
    return e ? e : change_commit(c);
}

static enum err key_withdraw(struct change *c, const struct signed_line *line)
{
    int64_t now = authority_now(c->a);

    for (size_t i = 0; i < c->next->n_keys; i++) {
        struct record_key *k = &c->next->keys[i];
        journal_hash hash;
        enum err e;

        if (memcmp(k->spki_sha256, line->spki_sha256, sizeof k->spki_sha256) != 0)
            continue;
        if (k->withdrawn_s)
            return refused("that key is withdrawn already");
        k->withdrawn_s = now;
        hash_hex(buf_bytes(&k->cert), hash);
        e = journal_append(c->a->journal, now, "withdraw-key", c->next->profile, "certificate=%s",
                           hash);
        return e ? e : change_commit(c);
    }
    return refused("that key was never enrolled");
}

static enum err deactivate(struct change *c)
{
    if (c->next->state != PROFILE_ACTIVE && c->next->state != PROFILE_READY)
        return err_note(ERR_WRONG_STATE, "profile", "is not active");
    c->next->state = PROFILE_READY;
    return change_commit(c);
}

static enum err user_delete(struct change *c)
{
    enum err e;

    c->next->deleting = 1;
    e = change_commit(c);
    return e ? e : profile_destroy(c);
}

static enum err verb_do(struct change *c, const struct signed_line *line, struct bytes csr_der)
{
    switch (line->verb) {
    case VERB_ADD_KEY:
        return key_add(c, line, csr_der);
    case VERB_WITHDRAW_KEY:
        return key_withdraw(c, line);
    case VERB_DEACTIVATE:
        return deactivate(c);
    case VERB_DELETE:
        return user_delete(c);
    }
    return ERR_BUG;
}

static enum err request_do(struct change *c, struct bytes cms_der, struct bytes csr_der,
                           const enum user_verb *told, struct signed_line *line)
{
    int64_t now = authority_now(c->a);
    size_t signer = 0;
    enum err e;

    if (c->before->state == PROFILE_DELETED || c->before->deleting)
        return err_note(ERR_WRONG_STATE, "profile", "is deleted");
    e = request_verify(c->before, cms_der, now, line, &signer);
    if (!e && told && *told != line->verb)
        e = refused("the file names another verb than the signed line");
    if (!e && csr_der.len && line->verb != VERB_ADD_KEY)
        e = refused("a certificate request belongs to add-key alone");
    if (!e)
        e = nonce_spend(c->next, line->nonce, now);
    return e ? e : verb_do(c, line, csr_der);
}

enum err authority_user_request(struct authority *a, const char *profile, struct bytes cms_der,
                                struct bytes csr_der, struct buf *result_out)
{
    static const char *const results[] = {
        [VERB_ADD_KEY] = "The new key is enrolled; its certificate can be fetched.\n",
        [VERB_WITHDRAW_KEY] = "The key is withdrawn: no mail is sealed to it any more.\n",
        [VERB_DEACTIVATE] = "The profile takes no inbound mail any more.\n",
        [VERB_DELETE] = "The profile is deleted and its keys are destroyed.\n",
    };
    CLEANUP(change_end) struct change c = {0};
    struct signed_line line = {0};
    enum err e = change_begin(&c, a, profile);

    if (!e)
        e = request_do(&c, cms_der, csr_der, NULL, &line);
    if (e)
        return e;
    buf_append_str(result_out, results[line.verb]);
    return buf_error(result_out);
}

enum err authority_issue(struct authority *a, const char *profile, struct bytes request_json,
                         struct buf *json_out)
{
    CLEANUP(user_request_clear) struct user_request request = {0};
    CLEANUP(change_end) struct change c = {0};
    struct signed_line line = {0};
    enum err e;

    if (!request_json.len)
        return issue_first(a, profile, json_out);
    e = user_request_parse(request_json, &request);
    if (!e && strcmp(request.profile, profile) != 0)
        e = refused("is for another profile");
    if (!e)
        e = change_begin(&c, a, profile);
    if (!e)
        e = request_do(&c, buf_bytes(&request.cms), buf_bytes(&request.csr), &request.verb, &line);
    if (!e && line.verb == VERB_ADD_KEY)
        e = certificate_json(c.before, &c.before->keys[c.before->n_keys - 1], json_out);
    return e;
}
