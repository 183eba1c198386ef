/* SPDX-License-Identifier: GPL-3.0-or-later */
/* open_layer_test.c - messages whose form is wrong: refused before a key is touched, or after one
 * was, then for one reason only. */
#include "daemon/base/codec.h"
#include "daemon/smime/ber.h"
#include "tests/smime/reply_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define INSIDE "no entity inside that an enrolled key signed"

static struct test_pki pki, other;

static int start(void **state)
{
    (void)state;
    test_pki_new(&pki, false);
    test_pki_new(&other, true);
    return 0;
}

static int end(void **state)
{
    (void)state;
    test_pki_free(&pki);
    test_pki_free(&other);
    return 0;
}

static void entity_refused(struct bytes entity, unsigned key_loads, const char *why)
{
    CLEANUP(reply_opened_clear) struct reply_opened o;
    struct reply_opening opening = {.unsigned_allowed = true};

    reply_open(&pki, &opening, entity, &o);
    reply_is_refused(&o, why);
    assert_int_equal(o.key_loads, key_loads);
}

/* A good reply's CMS, encrypted to the alias. */
static void good_make(struct buf *der)
{
    CLEANUP(buf_clear) struct buf inner = {0};
    struct reply_signing signing = {0};

    reply_sign(&pki, &signing, bytes_of(REPLY_ENTITY), &inner);
    reply_encrypt_to(pki.sender, EVP_aes_128_cbc(), buf_bytes(&inner), der);
}

/* ---- what everybody can see ---- */

static void der_refused(struct bytes der, const char *why)
{
    CLEANUP(buf_clear) struct buf entity = {0};

    reply_cms_append(der, &entity);
    entity_refused(buf_bytes(&entity), 0, why);
}

static void other_peoples_ciphertext_touches_no_key(void **state)
{
    X509 *const to[] = {pki.user, pki.inter, other.sender};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        CLEANUP(buf_clear) struct buf der = {0};

        reply_encrypt_to(to[i], EVP_aes_128_cbc(), bytes_of(REPLY_ENTITY), &der);
        der_refused(buf_bytes(&der), "not encrypted to this alias");
    }
}

static void weak_ciphers_touch_no_key(void **state)
{
    const EVP_CIPHER *const ciphers[] = {EVP_aes_128_cfb128(), EVP_aes_256_ofb(),
                                         EVP_camellia_128_cbc()};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        CLEANUP(buf_clear) struct buf der = {0};

        reply_encrypt_to(pki.sender, ciphers[i], bytes_of(REPLY_ENTITY), &der);
        der_refused(buf_bytes(&der), "cipher is none of");
    }
}

static void cms_write(CMS_ContentInfo *cms, struct buf *out)
{
    unsigned char *p = NULL;
    int len = i2d_CMS_ContentInfo(cms, &p);

    assert_true(len > 0);
    buf_append(out, p, (size_t)len);
    OPENSSL_free(p);
    CMS_ContentInfo_free(cms);
}

static void recipients_are_bounded(void **state)
{
    (void)state;
    for (unsigned n = 99; n <= 100; n++) {
        CMS_ContentInfo *cms = CMS_encrypt(NULL, NULL, EVP_aes_128_cbc(), CMS_PARTIAL | CMS_BINARY);
        BIO *content = BIO_new_mem_buf(REPLY_ENTITY, -1);
        CLEANUP(buf_clear) struct buf der = {0};
        CLEANUP(buf_clear) struct buf entity = {0};
        CLEANUP(reply_opened_clear) struct reply_opened o;
        struct reply_opening opening = {.unsigned_allowed = true};

        assert_non_null(CMS_add1_recipient_cert(cms, pki.sender, 0));
        for (unsigned i = 0; i < n; i++)
            assert_non_null(CMS_add1_recipient_cert(cms, pki.user, 0));
        assert_int_equal(CMS_final(cms, content, NULL, CMS_BINARY), 1);
        BIO_free(content);
        cms_write(cms, &der);
        reply_cms_append(buf_bytes(&der), &entity);
        reply_open(&pki, &opening, buf_bytes(&entity), &o);
        if (n == 99)
            reply_is_opened(&o, OPEN_ENCRYPTED, REPLY_ENTITY);
        else
            reply_is_refused(&o, "too many");
        assert_int_equal(o.result.n_recipients, n == 99 ? 100 : 0);
    }
}

static void password_is_no_recipient(void **state)
{
    CMS_ContentInfo *cms = CMS_encrypt(NULL, NULL, EVP_aes_128_cbc(), CMS_PARTIAL | CMS_BINARY);
    BIO *content = BIO_new_mem_buf(REPLY_ENTITY, -1);
    unsigned char *password = (unsigned char *)OPENSSL_strdup("password");
    CLEANUP(buf_clear) struct buf der = {0};

    (void)state;
    assert_non_null(CMS_add0_recipient_password(cms, -1, NID_undef, NID_undef, password, -1, NULL));
    assert_int_equal(CMS_final(cms, content, NULL, CMS_BINARY), 1);
    BIO_free(content);
    cms_write(cms, &der);
    der_refused(buf_bytes(&der), "not encrypted to this alias");
}

static void other_kinds_of_cms_are_refused(void **state)
{
    static const char *const runs[][8] = {
        {"openssl", "cms", "-data_create", "-in", "entity", "-outform", "DER", NULL},
        {"openssl", "cms", "-digest_create", "-in", "entity", "-outform", "DER", NULL},
    };

    (void)state;
    test_write(&pki, "entity", bytes_of(REPLY_ENTITY));
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        const char *argv[16] = {NULL};
        CLEANUP(buf_clear) struct buf der = {0};
        size_t n = 0;

        for (; runs[i][n]; n++)
            argv[n] = runs[i][n];
        argv[n++] = "-out";
        argv[n] = "made.der";
        assert_int_equal(test_run(&pki, "", argv), 0);
        test_read(&pki, "made.der", &der);
        der_refused(buf_bytes(&der), "not encrypted");
    }
}

/* CompressedData, which this OpenSSL may not know: told by its type alone. */
static void compressed_data_is_refused(void **state)
{
    static const uint8_t der[] = {0x30, 0x30, 0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
                                  0x01, 0x09, 0x10, 0x01, 0x09, 0xa0, 0x21, 0x30, 0x1f, 0x02,
                                  0x01, 0x00, 0x30, 0x0d, 0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86,
                                  0xf7, 0x0d, 0x01, 0x09, 0x10, 0x03, 0x08, 0x30, 0x0b, 0x06,
                                  0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01};
    CLEANUP(buf_clear) struct buf inner = {0};
    CLEANUP(buf_clear) struct buf sealed = {0};

    (void)state;
    assert_int_equal(ber_check((struct bytes){der, sizeof der}), ERR_OK);
    der_refused((struct bytes){der, sizeof der}, "");
    reply_cms_append((struct bytes){der, sizeof der}, &inner);
    reply_encrypt(&pki, buf_bytes(&inner), &sealed);
    entity_refused(buf_bytes(&sealed), 1, INSIDE);
}

/* ---- transfer encoding ---- */

static void base64_that_readers_read_differently_is_refused(void **state)
{
    CLEANUP(buf_clear) struct buf der = {0};
    CLEANUP(buf_clear) struct buf text = {0};
    size_t half;

    (void)state;
    good_make(&der);
    if (der.len % 3 == 0)
        buf_append(&der, "", 1); /* for a '=' at the end; refused all the same */
    base64_append(&text, buf_bytes(&der));
    half = text.len / 8 * 4;
    for (size_t i = 0; i < 7; i++) {
        static const char *const between[] = {"=", "==", "====", "-", "!", "\x80", "\"\""};
        CLEANUP(buf_clear) struct buf entity = {0};

        buf_printf(&entity, "Content-Type: application/pkcs7-mime\r\n"
                            "Content-Transfer-Encoding: base64\r\n\r\n");
        buf_append(&entity, text.data, half);
        buf_append_str(&entity, between[i]);
        buf_append(&entity, text.data + half, text.len - half);
        entity_refused(buf_bytes(&entity), 0, "");
    }
    for (size_t cut = 1; cut <= 2; cut++) {
        CLEANUP(buf_clear) struct buf entity = {0};

        buf_printf(&entity,
                   "Content-Type: application/pkcs7-mime\r\n"
                   "Content-Transfer-Encoding: base64\r\n\r\n%.*s%s\r\n",
                   (int)(cut == 1 ? text.len - 1 : text.len), (const char *)text.data,
                   cut == 1 ? "" : "AAAA");
        entity_refused(buf_bytes(&entity), 0, "");
    }
}

static void other_transfer_encodings_are_refused(void **state)
{
    static const char *const fields[] = {
        "",
        "Content-Transfer-Encoding: 7bit\r\n",
        "Content-Transfer-Encoding: quoted-printable\r\n",
        "Content-Transfer-Encoding: x-uuencode\r\n",
        "Content-Transfer-Encoding:\r\n",
        "Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: base64\r\n",
        "Content-Transfer-Encoding: base64\r\nContent-Type: text/plain\r\n",
        "Content-Transfer-Encoding: base64\r\nContent-Type: application/pkcs7-mime\r\n",
    };
    CLEANUP(buf_clear) struct buf der = {0};

    (void)state;
    good_make(&der);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        CLEANUP(buf_clear) struct buf entity = {0};

        buf_printf(&entity, "Content-Type: application/pkcs7-mime\r\n%s\r\n", fields[i]);
        base64_append(&entity, buf_bytes(&der));
        entity_refused(buf_bytes(&entity), 0, "");
    }
}

/* ---- multipart/signed ---- */

#define SIGNED_TYPE "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\""
#define SIGNED_PART "\r\n--b\r\nContent-Type: text/plain\r\n\r\nx\r\n"
#define SIGNATURE_PART                                                                             \
    "--b\r\nContent-Type: application/pkcs7-signature\r\n"                                         \
    "Content-Transfer-Encoding: base64\r\n\r\nMAA=\r\n"

static void signed_multipart_must_have_two_parts_that_all_readers_see(void **state)
{
    static const char *const cases[] = {
        SIGNED_TYPE "\r\n" SIGNED_PART SIGNATURE_PART "--b--\r\n",
        SIGNED_TYPE "; boundary=\"\"\r\n" SIGNED_PART SIGNATURE_PART "--b--\r\n",
        SIGNED_TYPE "; boundary=b; boundary=c\r\n" SIGNED_PART SIGNATURE_PART "--b--\r\n",
        SIGNED_TYPE "; boundary*0=b\r\n" SIGNED_PART SIGNATURE_PART "--b--\r\n",
        SIGNED_TYPE "; boundary*=us-ascii''b; boundary=b\r\n" SIGNED_PART SIGNATURE_PART
                    "--b--\r\n",
        SIGNED_TYPE "; boundary=b c\r\n" SIGNED_PART SIGNATURE_PART "--b--\r\n",
        SIGNED_TYPE "; boundary=b\r\n" SIGNED_PART "--b--\r\n",
        SIGNED_TYPE "; boundary=b\r\n" SIGNED_PART SIGNATURE_PART,
        SIGNED_TYPE "; boundary=b\r\n" SIGNED_PART SIGNATURE_PART SIGNATURE_PART "--b--\r\n",
        SIGNED_TYPE "; boundary=b\r\n" SIGNED_PART SIGNED_PART "--b--\r\n",
        SIGNED_TYPE "; boundary=b\r\n\r\nno parts\r\n",
        SIGNED_TYPE "; boundary=b\r\n\r\n--b--\r\n",
        SIGNED_TYPE "; boundary=b\r\n",
        "Content-Type: multipart/signed; protocol*0=\"application/\"; protocol*1=pkcs7-signature;"
        " boundary=b\r\n" SIGNED_PART SIGNATURE_PART "--b--\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print_message("case %zu\n", i);
        entity_refused(bytes_of(cases[i]), 0, "");
    }
}

/* Whatever another reader takes for the end of the first part, what is handed on was verified. */
static void boundary_of_a_part_inside_is_not_the_outer_one(void **state)
{
    static const char entity[] = "Content-Type: multipart/mixed;"
                                 " boundary=\"----=_NextPart_000 (x)-1\"\r\n\r\n"
                                 "------=_NextPart_000 (x)-1\r\n\r\ntext\r\n"
                                 "------=_NextPart_000 (x)-1--\r\n";
    CLEANUP(reply_opened_clear) struct reply_opened o;
    CLEANUP(buf_clear) struct buf inner = {0};
    struct reply_signing signing = {0};
    struct reply_opening opening = {0};

    (void)state;
    reply_sign(&pki, &signing, bytes_of(entity), &inner);
    reply_open(&pki, &opening, buf_bytes(&inner), &o);
    reply_is_opened(&o, OPEN_SIGNED, entity);
}

/* ---- nesting ---- */

static void layers_are_one_of_each_in_one_order(void **state)
{
    struct reply_signing detached = {0}, opaque = {.opaque = true};
    CLEANUP(buf_clear) struct buf sealed = {0};
    CLEANUP(buf_clear) struct buf twice = {0};
    CLEANUP(buf_clear) struct buf signed_one = {0};

    (void)state;
    reply_encrypt(&pki, bytes_of(REPLY_ENTITY), &sealed);
    reply_encrypt(&pki, buf_bytes(&sealed), &twice);
    entity_refused(buf_bytes(&twice), 1, INSIDE);
    reply_sign(&pki, &opaque, bytes_of(REPLY_ENTITY), &signed_one);
    for (int i = 0; i < 4; i++) {
        CLEANUP(buf_clear) struct buf outer = {0};
        struct bytes inner = i % 2 ? buf_bytes(&signed_one) : buf_bytes(&sealed);

        reply_sign(&pki, i / 2 ? &detached : &opaque, inner, &outer);
        entity_refused(buf_bytes(&outer), 0, "one S/MIME layer too many");
    }
}

/* ---- one reason for all that is inside ---- */

static void sealed_refused(struct bytes inner)
{
    CLEANUP(buf_clear) struct buf sealed = {0};

    reply_encrypt(&pki, inner, &sealed);
    entity_refused(buf_bytes(&sealed), 1, INSIDE);
}

static void inside_of_an_envelope_has_one_reason(void **state)
{
    static const char *const noise[] = {
        "",
        "noise",
        "\r\n",
        "A: b\r\n\r\nno type\r\n",
        "Content-Type: \x01\r\n\r\n",
        "Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nx\r\n",
        "Bare: \r x\r\n\r\n",
        "Content-Type: application/pkcs7-mime\r\n\r\nMAA=\r\n",
        "Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\nMAA=\r\n",
        SIGNED_TYPE "; boundary=b\r\n" SIGNED_PART SIGNATURE_PART "--b--\r\n",
    };
    struct reply_signing by_sender = {.cert = pki.sender, .key = pki.sender_key};
    struct reply_signing weak = {.md = EVP_sha1()}, broken = {.opaque = true};
    CLEANUP(buf_clear) struct buf foreign = {0};
    CLEANUP(buf_clear) struct buf sha1 = {0};
    CLEANUP(buf_clear) struct buf der = {0};
    CLEANUP(buf_clear) struct buf altered = {0};

    (void)state;
    for (size_t i = 0; i < sizeof noise / sizeof *noise; i++)
        sealed_refused(bytes_of(noise[i]));
    reply_sign(&pki, &by_sender, bytes_of(REPLY_ENTITY), &foreign);
    sealed_refused(buf_bytes(&foreign));
    reply_sign(&pki, &weak, bytes_of(REPLY_ENTITY), &sha1);
    sealed_refused(buf_bytes(&sha1));
    reply_signature(&pki, &broken, bytes_of(REPLY_ENTITY), &der);
    der.data[der.len - 1] ^= 1;
    reply_cms_append(buf_bytes(&der), &altered);
    sealed_refused(buf_bytes(&altered));
}

/* ---- key service ---- */

static enum err away(void)
{
    return ERR_HSM_AWAY;
}

static void key_service_away_is_for_a_while_only(void **state)
{
    struct reply_opening no_key = {.key_load = ERR_BUSY, .unsigned_allowed = true};
    struct reply_opening no_operation = {.key_error = away, .unsigned_allowed = true};
    CLEANUP(buf_clear) struct buf sealed = {0};
    CLEANUP(reply_opened_clear) struct reply_opened a, b;

    (void)state;
    reply_encrypt(&pki, bytes_of(REPLY_ENTITY), &sealed);
    reply_open(&pki, &no_key, buf_bytes(&sealed), &a);
    assert_int_equal(a.e, ERR_BUSY);
    reply_open(&pki, &no_operation, buf_bytes(&sealed), &b);
    assert_int_equal(b.e, ERR_HSM_AWAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_peoples_ciphertext_touches_no_key),
        cmocka_unit_test(weak_ciphers_touch_no_key),
        cmocka_unit_test(recipients_are_bounded),
        cmocka_unit_test(password_is_no_recipient),
        cmocka_unit_test(other_kinds_of_cms_are_refused),
        cmocka_unit_test(compressed_data_is_refused),
        cmocka_unit_test(base64_that_readers_read_differently_is_refused),
        cmocka_unit_test(other_transfer_encodings_are_refused),
        cmocka_unit_test(signed_multipart_must_have_two_parts_that_all_readers_see),
        cmocka_unit_test(boundary_of_a_part_inside_is_not_the_outer_one),
        cmocka_unit_test(layers_are_one_of_each_in_one_order),
        cmocka_unit_test(inside_of_an_envelope_has_one_reason),
        cmocka_unit_test(key_service_away_is_for_a_while_only),
    };

    return cmocka_run_group_tests(tests, start, end);
}
