/* SPDX-License-Identifier: GPL-3.0-or-later */
/* request.c - verifies CMS SignedData by enrolled user keys, pinned by certificate. */
#include "hsm/issue/request.h"

#include "daemon/base/codec.h"

#include <openssl/cms.h>
#include <openssl/err.h>
#include <string.h>

static enum err refused(const char *what)
{
    ERR_clear_error();
    return err_note(ERR_REFUSED, "user request", "%s", what);
}

/* The next word of a line; false at its end. */
static bool word_next(struct bytes *rest, struct bytes *word)
{
    const uint8_t *blank = rest->len ? memchr(rest->data, ' ', rest->len) : NULL;
    size_t n = blank ? (size_t)(blank - rest->data) : rest->len;

    *word = (struct bytes){rest->data, n};
    rest->data += n + (blank != NULL);
    rest->len -= n + (blank != NULL);
    return n > 0;
}

static enum err words_parse(struct bytes line, struct signed_line *out)
{
    struct bytes verb, profile, spki, nonce;
    CLEANUP(buf_clear) struct buf hash = {0};
    struct signed_line got = {0};

    if (!word_next(&line, &verb) || !word_next(&line, &profile) || !word_next(&line, &spki) ||
        !word_next(&line, &nonce) || line.len)
        return err_note(ERR_FORMAT, "user request", "not four words");
    if (!user_verb_parse(verb, &got.verb) || profile.len != ID_LEN ||
        nonce.len > REQUEST_NONCE_MAX || memchr(nonce.data, 0, nonce.len))
        return err_note(ERR_FORMAT, "user request", "verb, profile or nonce malformed");
    memcpy(got.profile, profile.data, ID_LEN);
    memcpy(got.nonce, nonce.data, nonce.len);
    got.has_spki = !bytes_equal(spki, bytes_of("-"));
    if (got.has_spki && (hex_decode(spki, &hash) || hash.len != sizeof got.spki_sha256))
        return err_note(ERR_FORMAT, "user request", "key hash malformed");
    if (got.has_spki)
        memcpy(got.spki_sha256, hash.data, hash.len);
    if (!id_is_valid(got.profile) ||
        got.has_spki != (got.verb == VERB_ADD_KEY || got.verb == VERB_WITHDRAW_KEY))
        return err_note(ERR_FORMAT, "user request", "verb and key hash do not fit");
    *out = got;
    return ERR_OK;
}

enum err signed_line_parse(struct bytes content, struct signed_line *out)
{
    static const char prefix[] = "sealrelay: ";
    struct bytes found = {0};
    size_t at = 0;

    while (at < content.len) {
        const uint8_t *start = content.data + at;
        const uint8_t *lf = memchr(start, '\n', content.len - at);
        size_t len = lf ? (size_t)(lf - start) : content.len - at;

        at += len + 1;
        if (len && start[len - 1] == '\r')
            len--;
        if (len < sizeof prefix - 1 || memcmp(start, prefix, sizeof prefix - 1) != 0)
            continue;
        if (found.data || !lf)
            return err_note(ERR_FORMAT, "user request", "more than one line, or no line end");
        found = (struct bytes){start + sizeof prefix - 1, len - (sizeof prefix - 1)};
    }
    if (!found.data)
        return err_note(ERR_FORMAT, "user request", "no line \"sealrelay: ...\"");
    return words_parse(found, out);
}

static enum err cms_parse(struct bytes der, CMS_ContentInfo **out)
{
    const uint8_t *p = der.data;
    CMS_ContentInfo *cms =
        der.len && der.len <= REQUEST_CMS_MAX ? d2i_CMS_ContentInfo(NULL, &p, (long)der.len) : NULL;

    if (!cms || p != der.data + der.len || OBJ_obj2nid(CMS_get0_type(cms)) != NID_pkcs7_signed) {
        CMS_ContentInfo_free(cms);
        ERR_clear_error();
        return err_note(ERR_FORMAT, "user request", "not a CMS SignedData");
    }
    *out = cms;
    return ERR_OK;
}

/* A signature without signed attributes is one over the bare content; then the attributes of any
 * other signature by the same key could be handed in as a content that was never meant (RFC 5652
 * 5.4, 11.1). */
static bool attributes_are_good(CMS_ContentInfo *cms, CMS_SignerInfo *signer)
{
    const ASN1_OBJECT *type = CMS_get0_eContentType(cms);
    const ASN1_OBJECT *told =
        CMS_signed_get0_data_by_OBJ(signer, OBJ_nid2obj(NID_pkcs9_contentType), -3, V_ASN1_OBJECT);

    return OBJ_obj2nid(type) == NID_pkcs7_data && told && OBJ_cmp(told, type) == 0 &&
           CMS_signed_get_attr_by_NID(signer, NID_pkcs9_messageDigest, -1) >= 0;
}

/* The one signer, with a digest that still means something. */
static enum err signer_get(CMS_ContentInfo *cms, CMS_SignerInfo **out)
{
    STACK_OF(CMS_SignerInfo) *all = CMS_get0_SignerInfos(cms);
    X509_ALGOR *digest = NULL;
    int nid;

    if (sk_CMS_SignerInfo_num(all) != 1)
        return refused("exactly one signer expected");
    *out = sk_CMS_SignerInfo_value(all, 0);
    CMS_SignerInfo_get0_algs(*out, NULL, NULL, &digest, NULL);
    nid = digest ? OBJ_obj2nid(digest->algorithm) : NID_undef;
    if (nid != NID_sha256 && nid != NID_sha384 && nid != NID_sha512)
        return refused("digest is not SHA-2");
    if (!attributes_are_good(cms, *out))
        return refused("its signed attributes do not name plain data");
    return ERR_OK;
}

static enum err key_judge(const struct record_key *k, int64_t now_s)
{
    if (k->withdrawn_s)
        return refused("signed by a withdrawn key");
    if (now_s > k->not_after_s + USER_GRACE_S)
        return refused("signed by a key expired for more than 90 days");
    return ERR_OK;
}

/* The enrolled certificate that the SignerInfo names. out: given. */
static enum err signer_find(const struct record *r, CMS_SignerInfo *signer, int64_t now_s,
                            X509 **out, size_t *index_out)
{
    for (size_t i = 0; i < r->n_keys; i++) {
        CLEANUP(x509_drop) X509 *cert = NULL;
        enum err e = cert_of_der(buf_bytes(&r->keys[i].cert), &cert);

        if (e)
            return e;
        if (CMS_SignerInfo_cert_cmp(signer, cert) != 0)
            continue;
        e = key_judge(&r->keys[i], now_s);
        if (e)
            return e;
        *index_out = i;
        *out = cert;
        cert = NULL;
        return ERR_OK;
    }
    return refused("not signed by an enrolled key of this profile");
}

/* Content is used only when the signature is good. */
static enum err content_verify(CMS_ContentInfo *cms, X509 *signer, struct signed_line *out)
{
    STACK_OF(X509) *certs = sk_X509_new_null();
    BIO *content = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len;
    enum err e = ERR_OK;

    if (!certs || !content || sk_X509_push(certs, signer) <= 0)
        e = ERR_NOMEM;
    else if (CMS_verify(cms, certs, NULL, NULL, content,
                        CMS_NO_SIGNER_CERT_VERIFY | CMS_NOINTERN | CMS_BINARY) != 1)
        e = refused("signature is wrong");
    if (!e) {
        len = BIO_get_mem_data(content, &text);
        e = signed_line_parse((struct bytes){(const uint8_t *)text, len > 0 ? (size_t)len : 0},
                              out);
    }
    sk_X509_free(certs);
    BIO_free(content);
    return e;
}

enum err request_verify(const struct record *r, struct bytes cms_der, int64_t now_s,
                        struct signed_line *out, size_t *signer_out)
{
    CLEANUP(x509_drop) X509 *cert = NULL;
    CMS_ContentInfo *cms = NULL;
    CMS_SignerInfo *signer = NULL;
    struct signed_line line;
    enum err e = cms_parse(cms_der, &cms);

    if (e)
        return e;
    if (CMS_is_detached(cms) != 0)
        e = refused("its content is not inside");
    if (!e)
        e = signer_get(cms, &signer);
    if (!e)
        e = signer_find(r, signer, now_s, &cert, signer_out);
    if (!e)
        e = content_verify(cms, cert, &line);
    CMS_ContentInfo_free(cms);
    if (!e && strcmp(line.profile, r->profile) != 0)
        e = refused("names another profile");
    if (!e)
        *out = line;
    return e;
}
