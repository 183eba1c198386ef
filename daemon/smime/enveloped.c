/* SPDX-License-Identifier: GPL-3.0-or-later */
/* enveloped.c - decrypts without telling how it went.
 *
 * OpenSSL goes on with a random content key where RSA fails and it was given the certificate, but
 * not where a key agreement does; so the content is run through the cipher here in any case, after
 * whatever the unwrapping did. A content key that was not found is random by itself
 * (CMS_dataInit), as is one of a wrong length. RFC 3218 2.3. */
#include "daemon/smime/enveloped.h"
#include "daemon/smime/ber.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES 65536

void cms_drop(CMS_ContentInfo **cms)
{
    CMS_ContentInfo_free(*cms);
    *cms = NULL;
}

static enum err malformed(const char *what)
{
    ERR_clear_error();
    return err_note(ERR_FORMAT, "CMS", "%s", what);
}

enum err cms_read(struct bytes ber, CMS_ContentInfo **out)
{
    const uint8_t *p = ber.data;
    enum err e = ber_check(ber);
    CMS_ContentInfo *cms = e ? NULL : d2i_CMS_ContentInfo(NULL, &p, (long)ber.len);

    if (e)
        return e;
    if (!cms || p != ber.data + ber.len) {
        CMS_ContentInfo_free(cms);
        return malformed("cannot be read");
    }
    *out = cms;
    return ERR_OK;
}

/* ---- what everybody can see ---- */

static void chain_free(BIO *chain)
{
    while (chain) {
        BIO *next = BIO_pop(chain);

        BIO_free(chain);
        chain = next;
    }
}

/* A dry run with no key at all tells the cipher, or that its parameters make no sense. */
static enum err cipher_judge(struct enveloped *v)
{
    static const int allowed[] = {NID_aes_128_cbc, NID_aes_192_cbc, NID_aes_256_cbc,
                                  NID_aes_128_gcm, NID_aes_192_gcm, NID_aes_256_gcm,
                                  NID_des_ede3_cbc};
    BIO *chain = CMS_dataInit(v->cms, NULL);
    BIO *stage = chain ? BIO_find_type(chain, BIO_TYPE_CIPHER) : NULL;
    EVP_CIPHER_CTX *ctx = NULL;
    int nid = NID_undef;

    if (stage && BIO_get_cipher_ctx(stage, &ctx) == 1 && ctx) {
        nid = EVP_CIPHER_CTX_get_nid(ctx);
        v->content_key_len = (size_t)EVP_CIPHER_CTX_get_key_length(ctx);
    }
    chain_free(chain);
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        if (nid == allowed[i])
            return ERR_OK;
    return malformed("cipher is none of AES-CBC, AES-GCM, 3DES");
}

/* Recipients of a key agreement stand several in one RecipientInfo. */
static bool recipients_are_few(const struct enveloped *v)
{
    STACK_OF(CMS_RecipientInfo) *all = CMS_get0_RecipientInfos(v->cms);
    int n = 0;

    for (int i = 0; i < sk_CMS_RecipientInfo_num(all); i++) {
        CMS_RecipientInfo *ri = sk_CMS_RecipientInfo_value(all, i);

        if (CMS_RecipientInfo_type(ri) == CMS_RECIPINFO_AGREE)
            n += sk_CMS_RecipientEncryptedKey_num(CMS_RecipientInfo_kari_get0_reks(ri));
        else
            n++;
        if (n > (int)ENVELOPED_RECIPIENTS_MAX)
            return false;
    }
    return n > 0;
}

enum err enveloped_take(CMS_ContentInfo *cms, struct enveloped *out)
{
    struct enveloped v = {.cms = cms};
    int type = OBJ_obj2nid(CMS_get0_type(cms));
    ASN1_OCTET_STRING **content = NULL;
    enum err e = ERR_OK;

    if (type != NID_pkcs7_enveloped && type != NID_id_smime_ct_authEnvelopedData)
        e = malformed("not encrypted");
    if (!e && OBJ_obj2nid(CMS_get0_eContentType(cms)) != NID_pkcs7_data)
        e = malformed("encrypted content is not data");
    if (!e)
        content = CMS_get0_content(cms);
    if (!e && (!content || !*content))
        e = malformed("no encrypted content");
    if (!e && !recipients_are_few(&v))
        e = malformed("no recipient, or too many");
    if (!e)
        e = cipher_judge(&v);
    if (e) {
        enveloped_clear(&v);
        return e;
    }
    v.content_len = (size_t)ASN1_STRING_length(*content);
    *out = v;
    return ERR_OK;
}

void enveloped_clear(struct enveloped *v)
{
    cms_drop(&v->cms);
}

/* ---- recipients ---- */

static bool is_rek_for(CMS_RecipientInfo *ri, X509 *cert)
{
    STACK_OF(CMS_RecipientEncryptedKey) *reks = CMS_RecipientInfo_kari_get0_reks(ri);

    for (int i = 0; i < sk_CMS_RecipientEncryptedKey_num(reks); i++)
        if (CMS_RecipientEncryptedKey_cert_cmp(sk_CMS_RecipientEncryptedKey_value(reks, i), cert) ==
            0)
            return true;
    return false;
}

bool enveloped_is_for(const struct enveloped *v, X509 *cert)
{
    STACK_OF(CMS_RecipientInfo) *all = CMS_get0_RecipientInfos(v->cms);
    const EVP_PKEY *public = X509_get0_pubkey(cert);
    bool rsa = public && EVP_PKEY_is_a(public, "RSA");

    for (int i = 0; i < sk_CMS_RecipientInfo_num(all); i++) {
        CMS_RecipientInfo *ri = sk_CMS_RecipientInfo_value(all, i);
        int type = CMS_RecipientInfo_type(ri);

        if (rsa && type == CMS_RECIPINFO_TRANS && CMS_RecipientInfo_ktri_cert_cmp(ri, cert) == 0)
            return true;
        if (!rsa && type == CMS_RECIPINFO_AGREE && is_rek_for(ri, cert))
            return true;
    }
    return false;
}

static bool der_append(struct buf *out, int len, unsigned char *der)
{
    if (len > 0)
        buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    return len > 0 && !out->failed;
}

static bool recipient_fill(struct open_recipient *r, const X509_NAME *issuer,
                           const ASN1_INTEGER *serial, const ASN1_OCTET_STRING *key_id)
{
    unsigned char *der = NULL;
    int len;

    if (!issuer || !serial) {
        if (key_id)
            buf_append(&r->serial, ASN1_STRING_get0_data(key_id),
                       (size_t)ASN1_STRING_length(key_id));
        return !r->serial.failed;
    }
    len = i2d_X509_NAME(issuer, &der);
    if (!der_append(&r->issuer, len, der))
        return false;
    der = NULL;
    len = i2d_ASN1_INTEGER(serial, &der);
    return der_append(&r->serial, len, der);
}

static bool agreed_fill(CMS_RecipientInfo *ri, struct open_recipient *list, size_t *n)
{
    STACK_OF(CMS_RecipientEncryptedKey) *reks = CMS_RecipientInfo_kari_get0_reks(ri);
    bool ok = true;

    for (int i = 0; ok && i < sk_CMS_RecipientEncryptedKey_num(reks); i++) {
        CMS_RecipientEncryptedKey *rek = sk_CMS_RecipientEncryptedKey_value(reks, i);
        ASN1_OCTET_STRING *key_id = NULL;
        X509_NAME *issuer = NULL;
        ASN1_INTEGER *serial = NULL;

        ok = CMS_RecipientEncryptedKey_get0_id(rek, &key_id, NULL, NULL, &issuer, &serial) == 1 &&
             recipient_fill(&list[(*n)++], issuer, serial, key_id);
    }
    return ok;
}

static bool transported_fill(CMS_RecipientInfo *ri, struct open_recipient *list, size_t *n)
{
    ASN1_OCTET_STRING *key_id = NULL;
    X509_NAME *issuer = NULL;
    ASN1_INTEGER *serial = NULL;

    return CMS_RecipientInfo_ktri_get0_signer_id(ri, &key_id, &issuer, &serial) == 1 &&
           recipient_fill(&list[(*n)++], issuer, serial, key_id);
}

enum err enveloped_recipients(const struct enveloped *v, struct open_recipient **out, size_t *n_out)
{
    STACK_OF(CMS_RecipientInfo) *all = CMS_get0_RecipientInfos(v->cms);
    struct open_recipient *list = calloc(ENVELOPED_RECIPIENTS_MAX, sizeof *list);
    bool ok = list != NULL;
    size_t n = 0;

    for (int i = 0; ok && i < sk_CMS_RecipientInfo_num(all); i++) {
        CMS_RecipientInfo *ri = sk_CMS_RecipientInfo_value(all, i);
        int type = CMS_RecipientInfo_type(ri);

        if (type == CMS_RECIPINFO_TRANS)
            ok = transported_fill(ri, list, &n);
        else if (type == CMS_RECIPINFO_AGREE)
            ok = agreed_fill(ri, list, &n);
    }
    *out = list; /* its owner clears what there is, whole or not */
    *n_out = n;
    return ok ? ERR_OK : err_note_openssl(ERR_NOMEM, "recipients");
}

/* ---- behind this line nothing may show how it went ---- */

/* All of the content through the cipher. True: the cipher is content with its end. */
static bool content_read(BIO *chain, struct secret *memory, size_t *len_out)
{
    size_t at = 0;

    while (at < memory->len) {
        size_t want = memory->len - at < READ_BYTES ? memory->len - at : READ_BYTES;
        int n = BIO_read(chain, memory->data + at, (int)want);

        if (n <= 0)
            break;
        at += (size_t)n;
    }
    *len_out = at;
    return BIO_get_cipher_status(chain) > 0;
}

static enum err content_decrypt(struct enveloped *v, struct enveloped_content *out)
{
    BIO *chain = CMS_dataInit(v->cms, NULL);
    size_t len = 0;

    if (!chain)
        return err_note_openssl(ERR_NOMEM, "CMS_dataInit");
    out->good = content_read(chain, &out->memory, &len);
    out->text = (struct bytes){out->memory.data, len};
    chain_free(chain);
    return ERR_OK;
}

enum err enveloped_open(struct enveloped *v, X509 *cert, EVP_PKEY *key, enum err (*key_error)(void),
                        struct enveloped_content *out)
{
    struct enveloped_content content = {0};
    enum err why = ERR_OK;
    /* One block more than can come, so that reading ends at the end. */
    enum err e = secret_new(v->content_len + EVP_MAX_BLOCK_LENGTH, &content.memory);
    bool unwrapped;

    if (e)
        return e;
    unwrapped = CMS_decrypt_set1_pkey(v->cms, key, cert) == 1;
    if (key_error)
        why = key_error();
    if (why && err_class(why) != CLASS_PERM)
        e = err_note_openssl(why, "decrypt");
    if (!e)
        e = content_decrypt(v, &content);
    if (e) {
        secret_free(&content.memory);
        return e;
    }
    content.good = content.good && unwrapped && !why;
    content.unable = why == ERR_REFUSED;
    ERR_clear_error();
    err_note_clear();
    *out = content;
    return ERR_OK;
}
