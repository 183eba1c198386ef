/* SPDX-License-Identifier: GPL-3.0-or-later */
/* seal.c - the pipeline of sealing: entity -> SHA-256 -> AES-256-CBC -> DER -> base64 -> sink.
 *
 * The detached signature is computed while the entity streams through into the encryption, so no
 * stage holds a second copy. Invariants: clear text enters the chain only above the encrypting
 * stage; a signature that fails ends the call with an error, never with an unsigned message.
 * RFC 5652 5 and 6, RFC 8551 2.5, 3.3, 3.5. */
#include "daemon/smime/seal.h"
#include "daemon/base/id.h"
#include "daemon/smime/armor.h"
#include "daemon/smime/signed.h"

#include <openssl/cms.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#define CHUNK_BYTES 65536u

void seal_header_append(struct buf *out)
{
    buf_append_str(out, "MIME-Version: 1.0\r\n"
                        "Content-Type: application/pkcs7-mime; smime-type=enveloped-data;\r\n"
                        " name=smime.p7m\r\n"
                        "Content-Transfer-Encoding: base64\r\n"
                        "Content-Disposition: attachment; filename=smime.p7m\r\n");
}

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

static enum err enveloped_new(const STACK_OF(X509) * recipients, CMS_ContentInfo **out)
{
    CLEANUP(cms_free) CMS_ContentInfo *cms = NULL;
    int n = recipients ? sk_X509_num(recipients) : 0;

    if (n < 1)
        return err_note(ERR_BUG, "seal_run", "no recipient");
    cms = CMS_encrypt(NULL, NULL, EVP_aes_256_cbc(), CMS_BINARY | CMS_STREAM | CMS_PARTIAL);
    if (!cms)
        return err_note_openssl(ERR_BUG, "CMS_encrypt");
    for (int i = 0; i < n; i++)
        if (!recipient_add(cms, sk_X509_value(recipients, i)))
            return err_note_openssl(ERR_BUG, "CMS_add1_recipient_cert");
    *out = cms;
    cms = NULL;
    return ERR_OK;
}

static enum err pipe_write(BIO *bio, struct bytes data)
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

static enum err pipe_write_buf(BIO *bio, const struct buf *b)
{
    enum err e = buf_error(b);

    return e ? e : pipe_write(bio, buf_bytes(b));
}

static enum err opening_write(BIO *pipe, const char *boundary)
{
    CLEANUP(buf_clear) struct buf b = {0};

    buf_printf(&b,
               "MIME-Version: 1.0\r\n"
               "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n"
               " micalg=sha-256; boundary=\"%s\"\r\n\r\n--%s\r\n",
               boundary, boundary);
    return pipe_write_buf(pipe, &b);
}

/* The signature part goes through the same base64 stage, on its way into the encryption. */
static enum err pipe_sink(void *ctx, const uint8_t *data, size_t len)
{
    return pipe_write(ctx, (struct bytes){data, len});
}

static enum err signature_write(BIO *pipe, CMS_ContentInfo *signature)
{
    BIO *armor = armor_new(pipe_sink, pipe);
    enum err e = ERR_OK;

    if (!armor)
        return ERR_NOMEM;
    if (!i2d_CMS_bio(armor, signature))
        e = err_note_openssl(armor_error(armor) ? armor_error(armor) : ERR_BUG, "i2d_CMS_bio");
    if (!e)
        e = armor_finish(armor);
    BIO_free(armor);
    return e;
}

static enum err closing_write(BIO *pipe, const char *boundary, CMS_ContentInfo *signature)
{
    CLEANUP(buf_clear) struct buf b = {0};
    enum err e;

    buf_printf(&b,
               "\r\n--%s\r\n"
               "Content-Type: application/pkcs7-signature; name=smime.p7s\r\n"
               "Content-Transfer-Encoding: base64\r\n"
               "Content-Disposition: attachment; filename=smime.p7s\r\n\r\n",
               boundary);
    e = pipe_write_buf(pipe, &b);
    if (!e)
        e = signature_write(pipe, signature);
    buf_reset(&b);
    buf_printf(&b, "\r\n--%s--\r\n", boundary);
    return e ? e : pipe_write_buf(pipe, &b);
}

/* The entity passes through the digest on its way; the chain above pipe is taken off again. */
static enum err entity_write(BIO *pipe, const struct seal_job *job, CMS_ContentInfo *signature)
{
    BIO *chain = CMS_dataInit(signature, pipe);
    enum err e = ERR_OK;

    if (!chain)
        return err_note_openssl(ERR_BUG, "CMS_dataInit");
    for (size_t i = 0; !e && i < job->n_entity; i++)
        e = pipe_write(chain, job->entity[i]);
    if (!e)
        e = signature_finish(job, signature, chain);
    while (chain && chain != pipe) {
        BIO *next = BIO_pop(chain);

        BIO_free(chain);
        chain = next;
    }
    return e;
}

static enum err sealed_write(BIO *pipe, const struct seal_job *job)
{
    CLEANUP(cms_free) CMS_ContentInfo *signature = NULL;
    boundary_text boundary;
    enum err e = boundary_new(boundary);

    if (!e)
        e = signature_new(job, &signature);
    if (!e)
        e = opening_write(pipe, boundary);
    if (!e)
        e = entity_write(pipe, job, signature);
    if (!e)
        e = closing_write(pipe, boundary, signature);
    if (!e && BIO_flush(pipe) != 1)
        e = err_note_openssl(ERR_BUG, "CMS_dataFinal");
    return e;
}

/* The encrypting stages above armor, run to their end and released. */
static enum err envelope_write(const struct seal_job *job, CMS_ContentInfo *envelope, BIO *armor)
{
    BIO *pipe = BIO_new_CMS(armor, envelope);
    enum err e;

    if (!pipe)
        return err_note_openssl(ERR_BUG, "BIO_new_CMS");
    e = sealed_write(pipe, job);
    while (pipe && pipe != armor) {
        BIO *next = BIO_pop(pipe);

        BIO_free(pipe);
        pipe = next;
    }
    return e;
}

enum err seal_run(const struct seal_job *job, seal_sink sink, void *ctx)
{
    CLEANUP(cms_free) CMS_ContentInfo *envelope = NULL;
    BIO *armor;
    enum err e;

    ERR_clear_error();
    e = enveloped_new(job->recipients, &envelope);
    if (e)
        return e;
    armor = armor_new(sink, ctx);
    if (!armor)
        return ERR_NOMEM;
    e = envelope_write(job, envelope, armor);
    if (!e)
        e = armor_finish(armor);
    if (armor_error(armor))
        e = armor_error(armor); /* the cause; what OpenSSL made of it is its echo */
    BIO_free(armor);
    ERR_clear_error();
    return e;
}
