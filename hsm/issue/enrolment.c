/* SPDX-License-Identifier: GPL-3.0-or-later */
/* enrolment.c - reads what the user's tool wrote. */
#include "hsm/issue/enrolment.h"

#include "daemon/base/codec.h"

#include <cjson/cJSON.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

static enum err bad(const char *member, const char *what)
{
    ERR_clear_error();
    return err_note(ERR_FORMAT, member, "%s", what);
}

/* Parse one object whose members are all in names (NULL-ended) and whose format is as said. */
static enum err object_parse(struct bytes json, const char *format, const char *const *names,
                             cJSON **out)
{
    const char *end = NULL;
    cJSON *object;
    const cJSON *member;
    enum err e = ERR_OK;

    if (json.len == 0 || json.len > ENROLMENT_JSON_MAX)
        return bad("file", "empty or too long");
    object = cJSON_ParseWithLengthOpts((const char *)json.data, json.len, &end, 0);
    if (!cJSON_IsObject(object))
        e = bad("file", "not a JSON object");
    for (; !e && (size_t)(end - (const char *)json.data) < json.len && *end; end++)
        if (!strchr(" \t\r\n", *end))
            e = bad("file", "something follows the JSON object");
    member = e ? NULL : object->child;
    for (; !e && member; member = member->next) {
        size_t i = 0;

        while (names[i] && strcmp(names[i], member->string) != 0)
            i++;
        if (!names[i] || !cJSON_IsString(member) ||
            cJSON_GetObjectItemCaseSensitive(object, member->string) != member)
            e = bad("file", "unknown, repeated or not textual member");
    }
    if (!e) {
        const char *got = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "format"));

        if (!got || strcmp(got, format) != 0)
            e = bad("format", "not the kind of file expected");
    }
    if (e)
        cJSON_Delete(object);
    else
        *out = object;
    return e;
}

static const char *text_of(const cJSON *object, const char *member)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, member));
}

static enum err profile_take(const cJSON *object, id_text out)
{
    const char *text = text_of(object, "profile");

    if (!id_is_valid(text))
        return bad("profile", "missing or malformed");
    memcpy(out, text, sizeof(id_text));
    return ERR_OK;
}

/* The DER of the one PEM object in a member. */
static enum err pem_take(const cJSON *object, const char *member, const char *label,
                         struct buf *out)
{
    const char *text = text_of(object, member);
    char *name = NULL, *header = NULL, *more = NULL;
    uint8_t *der = NULL;
    long len = 0;
    BIO *bio;
    enum err e = ERR_OK;

    if (!text)
        return bad(member, "missing");
    bio = BIO_new_mem_buf(text, -1);
    if (!bio)
        return ERR_NOMEM;
    if (PEM_read_bio(bio, &name, &header, &der, &len) != 1 || strcmp(name, label) != 0 ||
        *header != '\0' || len <= 0)
        e = bad(member, "not the PEM expected");
    else
        buf_append(out, der, (size_t)len);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    if (!e && BIO_ctrl_pending(bio) > 0) {
        long rest = BIO_get_mem_data(bio, &more);

        for (long i = 0; !e && i < rest; i++)
            if (!strchr(" \t\r\n", more[i]))
                e = bad(member, "something follows the PEM");
    }
    BIO_free(bio);
    ERR_clear_error();
    return e ? e : buf_error(out);
}

static enum err base64_take(const cJSON *object, const char *member, struct buf *out)
{
    const char *text = text_of(object, member);

    if (!text || base64_decode(bytes_of(text), out) || out->len == 0)
        return bad(member, "missing or not base64");
    return ERR_OK;
}

static enum err objects_take(const cJSON *object, struct enrolment *out)
{
    CLEANUP(buf_clear) struct buf root = {0};
    CLEANUP(buf_clear) struct buf intermediate = {0};
    CLEANUP(buf_clear) struct buf crl = {0};
    CLEANUP(buf_clear) struct buf csr = {0};
    const uint8_t *p;
    enum err e = pem_take(object, "root", PEM_STRING_X509, &root);

    if (!e)
        e = pem_take(object, "intermediate", PEM_STRING_X509, &intermediate);
    if (!e)
        e = pem_take(object, "crl", PEM_STRING_X509_CRL, &crl);
    if (!e)
        e = pem_take(object, "user_csr", PEM_STRING_X509_REQ, &csr);
    if (!e && cert_of_der(buf_bytes(&root), &out->root))
        e = bad("root", "not a certificate");
    if (!e && cert_of_der(buf_bytes(&intermediate), &out->intermediate))
        e = bad("intermediate", "not a certificate");
    p = crl.data;
    if (!e && (!(out->crl = d2i_X509_CRL(NULL, &p, (long)crl.len)) || p != crl.data + crl.len))
        e = bad("crl", "not a CRL");
    p = csr.data;
    if (!e && (!(out->csr = d2i_X509_REQ(NULL, &p, (long)csr.len)) || p != csr.data + csr.len))
        e = bad("user_csr", "not a certificate request");
    return e;
}

enum err enrolment_parse(struct bytes json, struct enrolment *out)
{
    static const char *const names[] = {"format", "profile",   "root",     "intermediate",
                                        "crl",    "statement", "user_csr", NULL};
    struct enrolment got = {0};
    cJSON *object = NULL;
    enum err e = object_parse(json, "sealrelay-enrolment 1", names, &object);

    if (!e)
        e = profile_take(object, got.profile);
    if (!e)
        e = objects_take(object, &got);
    if (!e)
        e = base64_take(object, "statement", &got.statement);
    cJSON_Delete(object);
    if (e)
        enrolment_clear(&got);
    else
        *out = got;
    return e;
}

void enrolment_clear(struct enrolment *e)
{
    X509_free(e->root);
    X509_free(e->intermediate);
    X509_CRL_free(e->crl);
    X509_REQ_free(e->csr);
    buf_clear(&e->statement);
    *e = (struct enrolment){0};
}

static const char *const verb_names[] = {
    [VERB_ADD_KEY] = "add-key",
    [VERB_WITHDRAW_KEY] = "withdraw-key",
    [VERB_DEACTIVATE] = "deactivate",
    [VERB_DELETE] = "delete",
};

bool user_verb_parse(struct bytes s, enum user_verb *out)
{
    for (unsigned v = VERB_ADD_KEY; v <= VERB_DELETE; v++) {
        if (bytes_equal(s, bytes_of(verb_names[v]))) {
            *out = (enum user_verb)v;
            return true;
        }
    }
    return false;
}

enum err user_request_parse(struct bytes json, struct user_request *out)
{
    static const char *const names[] = {"format", "profile", "verb", "cms", "csr", NULL};
    struct user_request got = {0};
    const char *verb = NULL;
    cJSON *object = NULL;
    enum err e = object_parse(json, "sealrelay-user-request 1", names, &object);

    if (!e)
        e = profile_take(object, got.profile);
    if (!e) {
        verb = text_of(object, "verb");
        if (!verb || !user_verb_parse(bytes_of(verb), &got.verb))
            e = bad("verb", "missing or unknown");
    }
    if (!e)
        e = base64_take(object, "cms", &got.cms);
    if (!e && (got.verb == VERB_ADD_KEY) != (text_of(object, "csr") != NULL))
        e = bad("csr", "belongs to add-key alone");
    if (!e && got.verb == VERB_ADD_KEY)
        e = pem_take(object, "csr", PEM_STRING_X509_REQ, &got.csr);
    cJSON_Delete(object);
    if (e)
        user_request_clear(&got);
    else
        *out = got;
    return e;
}

void user_request_clear(struct user_request *r)
{
    buf_clear(&r->cms);
    buf_clear(&r->csr);
    *r = (struct user_request){0};
}
