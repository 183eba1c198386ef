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
#include "daemon/smime/encrypt.h"
#include "daemon/smime/signed.h"

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

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

/* The signed entity, on its way into the encryption. */
static enum err sealed_write(void *ctx, BIO *pipe)
{
    const struct seal_job *job = ctx;
    CLEANUP(cms_free) CMS_ContentInfo *signature = NULL;
    boundary_text boundary;
    enum err e = boundary_new(boundary);

    if (!e)
        e = signature_new(job, &signature);
    if (!e)
        e = opening_write(pipe, boundary);
    if (!e)
        e = entity_write(pipe, job, signature);
    return e ? e : closing_write(pipe, boundary, signature);
}

enum err seal_run(const struct seal_job *job, seal_sink sink, void *ctx)
{
    struct seal_job mine = *job;

    return encrypt_run(job->recipients, EVP_aes_256_cbc(), sealed_write, &mine, sink, ctx);
}
