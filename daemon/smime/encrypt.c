/* SPDX-License-Identifier: GPL-3.0-or-later */
/* encrypt.c - the encrypting end of the pipeline: AES-CBC -> DER -> base64 -> sink.
 *
 * Invariants: clear text enters the chain only above the encrypting stage; on any failure the
 * caller has an error and throws away what the sink took. */
#include "daemon/smime/encrypt.h"
#include "daemon/smime/armor.h"

#include <openssl/cms.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#define CHUNK_BYTES 65536u

static void cms_free(CMS_ContentInfo **cms)
{
    CMS_ContentInfo_free(*cms);
    *cms = NULL;
}

/* ECDH with the SHA-256 KDF: OpenSSL's own default is SHA-1 (RFC 5753 7.1.4). */
static bool recipient_add(CMS_ContentInfo *cms, X509 *cert)
{
    CMS_RecipientInfo *ri = CMS_add1_recipient_cert(cms, cert, CMS_KEY_PARAM);
    EVP_PKEY_CTX *ctx;

    if (!ri)
        return false;
    if (CMS_RecipientInfo_type(ri) != CMS_RECIPINFO_AGREE)
        return CMS_RecipientInfo_type(ri) == CMS_RECIPINFO_TRANS;
    ctx = CMS_RecipientInfo_get0_pkey_ctx(ri);
    return ctx && EVP_PKEY_CTX_set_ecdh_kdf_md(ctx, EVP_sha256()) > 0;
}

static enum err envelope_new(const STACK_OF(X509) * recipients, const EVP_CIPHER *cipher,
                             CMS_ContentInfo **out)
{
    CLEANUP(cms_free) CMS_ContentInfo *cms = NULL;
    int n = recipients ? sk_X509_num(recipients) : 0;

    if (n < 1)
        return err_note(ERR_BUG, "encrypt_run", "no recipient");
    cms = CMS_encrypt(NULL, NULL, cipher, CMS_BINARY | CMS_STREAM | CMS_PARTIAL);
    if (!cms)
        return err_note_openssl(ERR_BUG, "CMS_encrypt");
    for (int i = 0; i < n; i++)
        if (!recipient_add(cms, sk_X509_value(recipients, i)))
            return err_note_openssl(ERR_BUG, "CMS_add1_recipient_cert");
    *out = cms;
    cms = NULL;
    return ERR_OK;
}

enum err pipe_write(BIO *bio, struct bytes data)
{
    while (data.len) {
        int n = (int)(data.len < CHUNK_BYTES ? data.len : CHUNK_BYTES);

        if (BIO_write(bio, data.data, n) != n)
            return err_note_openssl(ERR_BUG, "BIO_write");
        data.data += n;
        data.len -= (size_t)n;
    }
    return ERR_OK;
}

/* The encrypting stages above armor, run to their end and released. */
static enum err envelope_write(CMS_ContentInfo *envelope, BIO *armor, encrypt_fill fill, void *ctx)
{
    BIO *pipe = BIO_new_CMS(armor, envelope);
    enum err e;

    if (!pipe)
        return err_note_openssl(ERR_BUG, "BIO_new_CMS");
    e = fill(ctx, pipe);
    if (!e && BIO_flush(pipe) != 1)
        e = err_note_openssl(ERR_BUG, "CMS_dataFinal");
    while (pipe && pipe != armor) {
        BIO *next = BIO_pop(pipe);

        BIO_free(pipe);
        pipe = next;
    }
    return e;
}

enum err encrypt_run(const STACK_OF(X509) * recipients, const EVP_CIPHER *cipher, encrypt_fill fill,
                     void *fill_ctx, seal_sink sink, void *sink_ctx)
{
    CLEANUP(cms_free) CMS_ContentInfo *envelope = NULL;
    BIO *armor;
    enum err e;

    ERR_clear_error();
    e = envelope_new(recipients, cipher, &envelope);
    if (e)
        return e;
    armor = armor_new(sink, sink_ctx);
    if (!armor)
        return ERR_NOMEM;
    e = envelope_write(envelope, armor, fill, fill_ctx);
    if (!e)
        e = armor_finish(armor);
    if (armor_error(armor))
        e = armor_error(armor); /* the cause; what OpenSSL made of it is its echo */
    BIO_free(armor);
    ERR_clear_error();
    return e;
}
