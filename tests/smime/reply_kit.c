/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reply_kit.c - builds replies with OpenSSL's CMS, apart from the code under test. */
#include "tests/smime/reply_kit.h"
#include "daemon/base/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define BOUNDARY "----=_NextPart_000 (x)"

static void cms_append(CMS_ContentInfo *cms, struct buf *out)
{
    unsigned char *der = NULL;
    int len = i2d_CMS_ContentInfo(cms, &der);

    assert_true(len > 0);
    buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
}

static void base64_lines(struct bytes data, struct buf *out)
{
    CLEANUP(buf_clear) struct buf line = {0};

    base64_append(&line, data);
    for (size_t at = 0; at < line.len; at += 76) {
        buf_append(out, line.data + at, line.len - at < 76 ? line.len - at : 76);
        buf_append_str(out, "\r\n");
    }
}

void reply_cms_append(struct bytes ber, struct buf *out)
{
    buf_append_str(out, "MIME-Version: 1.0\r\n"
                        "Content-Type: application/pkcs7-mime; name=\"smime.p7m\"\r\n"
                        "Content-Transfer-Encoding: base64\r\n\r\n");
    base64_lines(ber, out);
}

static void time_set(CMS_ContentInfo *cms, int64_t time_s)
{
    CMS_SignerInfo *si = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0);
    ASN1_TIME *t = ASN1_TIME_set(NULL, (time_t)time_s);

    assert_int_equal(
        CMS_signed_add1_attr_by_NID(si, NID_pkcs9_signingTime, ASN1_STRING_type(t), t, -1), 1);
    ASN1_TIME_free(t);
}

void reply_signature(const struct test_pki *p, const struct reply_signing *how, struct bytes entity,
                     struct buf *der)
{
    unsigned flags = CMS_PARTIAL | CMS_BINARY | how->flags | (how->opaque ? 0 : CMS_DETACHED);
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, flags);
    BIO *content = BIO_new_mem_buf(entity.data, (int)entity.len);

    assert_non_null(cms);
    assert_non_null(CMS_add1_signer(cms, how->cert ? how->cert : p->user,
                                    how->key ? how->key : p->user_key,
                                    how->md ? how->md : EVP_sha256(), flags));
    if (how->time_s)
        time_set(cms, how->time_s);
    assert_int_equal(CMS_add1_cert(cms, p->inter), 1);
    if (how->prepare)
        how->prepare(cms, p, flags);
    assert_int_equal(CMS_final(cms, content, NULL, flags), 1);
    if (how->tweak)
        how->tweak(cms, p);
    cms_append(cms, der);
    BIO_free(content);
    CMS_ContentInfo_free(cms);
}

void reply_join(struct bytes entity, struct bytes der, struct buf *out)
{
    buf_append_str(out, "MIME-Version: 1.0\r\n"
                        "Content-Type: multipart/signed; micalg=sha-256; (odd; boundary=no)\r\n"
                        "\tprotocol=\"application/pkcs7-signature\"; boundary=\"" BOUNDARY "\"\r\n"
                        "\r\nThis is an S/MIME signed message\r\n--" BOUNDARY "\r\n");
    buf_append_bytes(out, entity);
    buf_append_str(out, "\r\n--" BOUNDARY " \r\n"
                        "Content-Type: application/x-pkcs7-signature; name=smime.p7s\r\n"
                        "Content-Transfer-Encoding: base64\r\n\r\n");
    base64_lines(der, out);
    buf_append_str(out, "\r\n--" BOUNDARY "--\r\n");
}

void reply_sign(const struct test_pki *p, const struct reply_signing *how, struct bytes entity,
                struct buf *out)
{
    CLEANUP(buf_clear) struct buf der = {0};

    reply_signature(p, how, entity, &der);
    if (how->opaque)
        reply_cms_append(buf_bytes(&der), out);
    else
        reply_join(entity, buf_bytes(&der), out);
}

void reply_encrypt_to(X509 *cert, const EVP_CIPHER *cipher, struct bytes entity, struct buf *out)
{
    STACK_OF(X509) *to = sk_X509_new_null();
    BIO *content = BIO_new_mem_buf(entity.data, (int)entity.len);
    CMS_ContentInfo *cms;

    sk_X509_push(to, cert);
    cms = CMS_encrypt(to, content, cipher, CMS_BINARY);
    assert_non_null(cms);
    cms_append(cms, out);
    sk_X509_free(to);
    BIO_free(content);
    CMS_ContentInfo_free(cms);
}

void reply_encrypt(const struct test_pki *p, struct bytes entity, struct buf *out)
{
    CLEANUP(buf_clear) struct buf der = {0};

    reply_encrypt_to(p->sender, EVP_aes_128_cbc(), entity, &der);
    reply_cms_append(buf_bytes(&der), out);
}

/* ---- opening ---- */

struct load {
    const struct reply_opening *how;
    EVP_PKEY *key;
    unsigned n;
};

static enum err key_load(void *ctx, size_t which, size_t content_key_len, EVP_PKEY **out)
{
    struct load *l = ctx;

    l->n++;
    assert_true(content_key_len == 16 || content_key_len == 24 || content_key_len == 32);
    if (l->how->key_load)
        return l->how->key_load;
    if (l->how->load)
        return l->how->load(l->how->load_ctx, which, content_key_len, out);
    assert_int_equal(which, 0);
    assert_int_equal(EVP_PKEY_up_ref(l->key), 1);
    *out = l->key;
    return ERR_OK;
}

void reply_open(const struct test_pki *p, const struct reply_opening *how, struct bytes entity,
                struct reply_opened *out)
{
    X509 *alias = how->alias ? how->alias : p->sender;
    struct load load = {how, how->alias_key ? how->alias_key : p->sender_key, 0};
    unsigned char *der = NULL;
    int der_len = i2d_X509(how->enrolled ? how->enrolled : p->user, &der);
    struct bytes enrolled = {der, (size_t)der_len};
    struct open_job job = {.message = &out->message,
                           .certs = &alias,
                           .n_certs = 1,
                           .key_load = key_load,
                           .key_ctx = &load,
                           .key_error = how->key_error,
                           .user_certs = &enrolled,
                           .n_user_certs = how->nobody_enrolled ? 0 : 1,
                           .now_s = how->now_s ? how->now_s : time(NULL),
                           .unsigned_allowed = how->unsigned_allowed};

    *out = (struct reply_opened){0};
    buf_append_str(&out->raw, how->header ? how->header : REPLY_HEADER);
    buf_append_bytes(&out->raw, entity);
    assert_int_equal(message_parse(buf_bytes(&out->raw), &out->message), ERR_OK);
    err_note_clear();
    out->e = open_run(&job, &out->result);
    out->key_loads = load.n;
    (void)snprintf(out->detail, sizeof out->detail, "%s", err_note_get()->detail);
    assert_int_equal(ERR_peek_error(), 0);
    OPENSSL_free(der);
}

void reply_opened_clear(struct reply_opened *o)
{
    open_result_clear(&o->result);
    message_clear(&o->message);
    buf_clear(&o->raw);
}

void reply_is_opened(const struct reply_opened *o, enum open_kind kind, const char *entity)
{
    if (o->e)
        print_message("%s: %s\n", err_name(o->e), o->detail);
    assert_int_equal(o->e, ERR_OK);
    assert_int_equal(o->result.kind, kind);
    if (!bytes_equal(o->result.entity, bytes_of(entity)))
        print_message("entity: %.*s\n", (int)o->result.entity.len,
                      (const char *)o->result.entity.data);
    assert_true(bytes_equal(o->result.entity, bytes_of(entity)));
}

void reply_is_refused(const struct reply_opened *o, const char *why)
{
    static const struct open_result nothing;

    assert_int_equal(o->e, ERR_UNPROVEN);
    assert_memory_equal(&o->result, &nothing, sizeof nothing);
    if (why && !strstr(o->detail, why))
        print_message("refused for \"%s\" instead of \"%s\"\n", o->detail, why);
    assert_true(!why || strstr(o->detail, why));
}

void reply_crlf(struct bytes text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\n' && (i == 0 || text.data[i - 1] != '\r'))
            buf_append_str(out, "\r");
        buf_append(out, text.data + i, 1);
    }
}
