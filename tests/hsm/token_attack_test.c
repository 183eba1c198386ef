/* SPDX-License-Identifier: GPL-3.0-or-later */
/* token_attack_test.c - what somebody inside the key service's process, with its log-in and raw
 * Cryptoki, still cannot do with the keys in the token.
 *
 * Each refusal stands beside a control that works, so that it is the attribute that refuses. */
#include "tests/hsm/token_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LABEL_CA_EC  "sealrelay ca " PROFILE_A
#define LABEL_CA_RSA "sealrelay ca " PROFILE_B
#define LABEL_KEK    "sealrelay kek " PROFILE_A " 0000000001"

static struct token_fixture fixture;
static struct raw raw;
static CK_BBOOL yes = CK_TRUE;
static CK_BBOOL no = CK_FALSE;

static int setup(void **state)
{
    (void)state;
    token_fixture_new(&fixture);
    raw_open(&fixture.hsm, &raw);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    raw_close(&raw);
    token_fixture_free(&fixture);
    return 0;
}

/* ---- attributes ---- */

static const struct {
    const char *label;
    CK_OBJECT_CLASS class;
} guarded[] = {
    {LABEL_CA_EC, CKO_PRIVATE_KEY},
    {LABEL_CA_RSA, CKO_PRIVATE_KEY},
    {LABEL_KEK, CKO_SECRET_KEY},
    {"sealrelay record", CKO_SECRET_KEY},
    {"sealrelay journal", CKO_PRIVATE_KEY},
};

static void no_key_can_be_changed(void **state)
{
    static const CK_ATTRIBUTE_TYPE usages[] = {
        CKA_ENCRYPT, CKA_DECRYPT,  CKA_SIGN,       CKA_WRAP,      CKA_UNWRAP,      CKA_DERIVE,
        CKA_VERIFY,  CKA_COPYABLE, CKA_MODIFIABLE, CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_TRUSTED};

    (void)state;
    for (size_t i = 0; i < sizeof guarded / sizeof *guarded; i++) {
        CK_OBJECT_HANDLE key = raw_find(&raw, guarded[i].class, guarded[i].label);

        for (size_t j = 0; j < sizeof usages / sizeof *usages; j++) {
            CK_ATTRIBUTE on = {usages[j], &yes, sizeof yes};
            CK_ATTRIBUTE off = {usages[j], &no, sizeof no};

            assert_int_not_equal(raw.fn->C_SetAttributeValue(raw.session, key, &on, 1), CKR_OK);
            assert_int_not_equal(raw.fn->C_SetAttributeValue(raw.session, key, &off, 1), CKR_OK);
        }
    }
}

static void no_key_can_be_copied(void **state)
{
    CK_ATTRIBUTE attrs[] = {{CKA_TOKEN, &no, sizeof no}, {CKA_DECRYPT, &yes, sizeof yes}};
    CK_OBJECT_HANDLE copy;

    (void)state;
    for (size_t i = 0; i < sizeof guarded / sizeof *guarded; i++) {
        CK_OBJECT_HANDLE key = raw_find(&raw, guarded[i].class, guarded[i].label);

        assert_int_equal(raw.fn->C_CopyObject(raw.session, key, attrs, 1, &copy),
                         CKR_ACTION_PROHIBITED);
        assert_int_equal(raw.fn->C_CopyObject(raw.session, key, attrs, 2, &copy),
                         CKR_ACTION_PROHIBITED);
    }
}

static void no_key_can_be_read(void **state)
{
    static const CK_ATTRIBUTE_TYPE parts[] = {CKA_VALUE, CKA_PRIVATE_EXPONENT, CKA_PRIME_1};
    uint8_t value[1024];

    (void)state;
    for (size_t i = 0; i < sizeof guarded / sizeof *guarded; i++) {
        CK_OBJECT_HANDLE key = raw_find(&raw, guarded[i].class, guarded[i].label);

        for (size_t j = 0; j < sizeof parts / sizeof *parts; j++) {
            CK_ATTRIBUTE attr = {parts[j], value, sizeof value};

            assert_int_not_equal(raw.fn->C_GetAttributeValue(raw.session, key, &attr, 1), CKR_OK);
        }
    }
}

/* ---- CA key ---- */

static CK_RV sign_raw(CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE type, CK_BYTE *data, CK_ULONG len)
{
    CK_MECHANISM mechanism = {type, NULL, 0};
    CK_BYTE out[1024];
    CK_ULONG out_len = sizeof out;
    CK_RV rv = raw.fn->C_SignInit(raw.session, &mechanism, key);

    return rv == CKR_OK ? raw.fn->C_Sign(raw.session, data, len, out, &out_len) : rv;
}

static void a_ca_key_signs_in_one_way_and_nothing_else(void **state)
{
    CK_OBJECT_HANDLE rsa = raw_find(&raw, CKO_PRIVATE_KEY, LABEL_CA_RSA);
    CK_OBJECT_HANDLE ec = raw_find(&raw, CKO_PRIVATE_KEY, LABEL_CA_EC);
    static CK_BYTE data[384] = {0, 1};
    CK_BYTE point[97] = {4};
    CK_ECDH1_DERIVE_PARAMS params = {
        .kdf = CKD_NULL, .ulPublicDataLen = sizeof point, .pPublicData = point};
    CK_MECHANISM derive = {CKM_ECDH1_DERIVE, &params, sizeof params};
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_ATTRIBUTE secret[] = {{CKA_CLASS, &class, sizeof class}, {CKA_KEY_TYPE, &type, sizeof type}};
    CK_MECHANISM unwrap = {CKM_RSA_PKCS, NULL, 0};
    CK_OBJECT_HANDLE out;

    (void)state;
    assert_int_equal(sign_raw(rsa, CKM_RSA_PKCS, data, 51), CKR_OK); /* control */
    assert_int_equal(sign_raw(ec, CKM_ECDSA, data, 48), CKR_OK);     /* control */
    assert_int_not_equal(sign_raw(rsa, CKM_RSA_X_509, data, sizeof data), CKR_OK);
    assert_int_not_equal(sign_raw(rsa, CKM_SHA1_RSA_PKCS, data, 51), CKR_OK);
    assert_int_not_equal(raw.fn->C_DecryptInit(raw.session, &unwrap, rsa), CKR_OK);
    assert_int_not_equal(
        raw.fn->C_UnwrapKey(raw.session, &unwrap, rsa, data, sizeof data, secret, 2, &out), CKR_OK);
    assert_int_equal(raw.fn->C_DeriveKey(raw.session, &derive, ec, secret, 2, &out),
                     CKR_KEY_FUNCTION_NOT_PERMITTED);
}

static void the_ca_key_signs_no_data_but_digests_of_its_kind(void **state)
{
    static const uint8_t data[512] = {0x30};
    static const struct {
        const char *profile;
        const char *md;
        size_t len;
        enum err answer;
    } cases[] = {
        {PROFILE_A, "SHA384", 48, ERR_OK},
        {PROFILE_B, "SHA256", 32, ERR_OK},
        {PROFILE_A, "SHA384", 47, ERR_REFUSED},
        {PROFILE_A, "SHA384", 512, ERR_REFUSED},
        {PROFILE_A, "SHA384", 0, ERR_REFUSED},
        {PROFILE_B, "SHA256", 33, ERR_REFUSED},
        {PROFILE_B, "SHA256", 51, ERR_REFUSED},
        {PROFILE_A, "SHA1", 20, ERR_REFUSED},
        {PROFILE_A, "SHA512", 64, ERR_REFUSED},
        {"../../etc/passwd", "SHA384", 48, ERR_USAGE},
        {"cccccccccccccccc", "SHA384", 48, ERR_NOT_FOUND},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(buf_clear) struct buf out = {0};

        err_note_clear();
        assert_int_equal(token_ca_sign(fixture.token, cases[i].profile,
                                       EVP_get_digestbyname(cases[i].md),
                                       (struct bytes){data, cases[i].len}, &out),
                         cases[i].answer);
        assert_int_equal(out.len > 0, cases[i].answer == ERR_OK);
    }
}

/* ---- KEK ---- */

static void the_kek_is_no_cipher(void **state)
{
    CK_OBJECT_HANDLE kek = raw_find(&raw, CKO_SECRET_KEY, LABEL_KEK);
    CK_BYTE iv[16] = {0};
    CK_MECHANISM mechanisms[] = {{CKM_AES_ECB, NULL, 0},
                                 {CKM_AES_CBC, iv, sizeof iv},
                                 {CKM_AES_CBC_PAD, iv, sizeof iv},
                                 {CKM_AES_CMAC, NULL, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++) {
        assert_int_equal(raw.fn->C_EncryptInit(raw.session, &mechanisms[i], kek),
                         CKR_KEY_FUNCTION_NOT_PERMITTED);
        assert_int_equal(raw.fn->C_DecryptInit(raw.session, &mechanisms[i], kek),
                         CKR_KEY_FUNCTION_NOT_PERMITTED);
        assert_int_equal(raw.fn->C_SignInit(raw.session, &mechanisms[i], kek),
                         CKR_KEY_FUNCTION_NOT_PERMITTED);
    }
}

/* An extractable P-256 key of the test's own, a session object. */
static CK_OBJECT_HANDLE own_key(void)
{
    static CK_BYTE p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    CK_ATTRIBUTE public[] = {{CKA_EC_PARAMS, p256, sizeof p256}, {CKA_TOKEN, &no, sizeof no}};
    CK_ATTRIBUTE private[] = {{CKA_TOKEN, &no, sizeof no},
                              {CKA_SENSITIVE, &yes, sizeof yes},
                              {CKA_EXTRACTABLE, &yes, sizeof yes}};
    CK_MECHANISM generate = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_OBJECT_HANDLE public_key, private_key;

    assert_int_equal(raw.fn->C_GenerateKeyPair(raw.session, &generate, public, 2, private, 3,
                                               &public_key, &private_key),
                     CKR_OK);
    assert_int_equal(raw.fn->C_DestroyObject(raw.session, public_key), CKR_OK);
    return private_key;
}

/* That key wrapped under the KEK as a sender key is; its length. */
static CK_ULONG wrap_own_key(CK_OBJECT_HANDLE kek, CK_BYTE *out, CK_ULONG room)
{
    CK_MECHANISM wrap = {CKM_AES_KEY_WRAP_PAD, NULL, 0};
    CK_OBJECT_HANDLE key = own_key();
    CK_ULONG len = room;

    assert_int_equal(raw.fn->C_WrapKey(raw.session, &wrap, kek, key, out, &len), CKR_OK);
    assert_int_equal(raw.fn->C_DestroyObject(raw.session, key), CKR_OK);
    return len;
}

static void the_kek_wraps_by_one_mechanism_only(void **state)
{
    CK_OBJECT_HANDLE kek = raw_find(&raw, CKO_SECRET_KEY, LABEL_KEK);
    CK_OBJECT_HANDLE key = own_key();
    CK_BYTE iv[16] = {0}, out[2048];
    CK_ULONG len = sizeof out;
    CK_MECHANISM good = {CKM_AES_KEY_WRAP_PAD, NULL, 0};
    CK_MECHANISM mechanisms[] = {{CKM_AES_KEY_WRAP, NULL, 0}, {CKM_AES_CBC, iv, sizeof iv}};

    (void)state;
    assert_int_equal(raw.fn->C_WrapKey(raw.session, &good, kek, key, out, &len), CKR_OK);
    for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++) {
        len = sizeof out;
        assert_int_equal(raw.fn->C_WrapKey(raw.session, &mechanisms[i], kek, key, out, &len),
                         CKR_MECHANISM_INVALID);
    }
    assert_int_equal(raw.fn->C_DestroyObject(raw.session, key), CKR_OK);
}

/* Unwrap with the right template but for one attribute, given or (value NULL) left out. */
static CK_RV unwrap_but(CK_OBJECT_HANDLE kek, CK_BYTE *wrapped, CK_ULONG len,
                        const CK_ATTRIBUTE *but, CK_OBJECT_HANDLE *out)
{
    static CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    static CK_KEY_TYPE type = CKK_EC;
    CK_ATTRIBUTE attrs[] = {
        {CKA_CLASS, &class, sizeof class}, {CKA_KEY_TYPE, &type, sizeof type},
        {CKA_TOKEN, &no, sizeof no},       {CKA_PRIVATE, &yes, sizeof yes},
        {CKA_SENSITIVE, &yes, sizeof yes}, {CKA_EXTRACTABLE, &no, sizeof no},
        {CKA_UNWRAP, &no, sizeof no},      {CKA_SIGN, &yes, sizeof yes},
        {CKA_DERIVE, &no, sizeof no},      {CKA_DECRYPT, &no, sizeof no},
    };
    CK_MECHANISM mechanism = {CKM_AES_KEY_WRAP_PAD, NULL, 0};
    CK_ULONG n = 0;

    for (size_t i = 0; i < sizeof attrs / sizeof *attrs; i++) {
        if (but && attrs[i].type == but->type && !but->pValue)
            continue;
        attrs[n++] = but && attrs[i].type == but->type ? *but : attrs[i];
    }
    return raw.fn->C_UnwrapKey(raw.session, &mechanism, kek, wrapped, len, attrs, n, out);
}

static void nothing_unwraps_readable_or_extractable(void **state)
{
    CK_OBJECT_HANDLE kek = raw_find(&raw, CKO_SECRET_KEY, LABEL_KEK);
    CK_BYTE wrapped[512];
    CK_ULONG len = wrap_own_key(kek, wrapped, sizeof wrapped);
    CK_OBJECT_HANDLE out;
    CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
    const CK_ATTRIBUTE buts[] = {
        {CKA_SENSITIVE, &no, sizeof no},     {CKA_SENSITIVE, NULL, 0},
        {CKA_EXTRACTABLE, &yes, sizeof yes}, {CKA_EXTRACTABLE, NULL, 0},
        {CKA_PRIVATE, &no, sizeof no},       {CKA_TOKEN, &yes, sizeof yes},
        {CKA_UNWRAP, &yes, sizeof yes},      {CKA_CLASS, &secret, sizeof secret},
    };

    (void)state;
    assert_int_equal(unwrap_but(kek, wrapped, len, NULL, &out), CKR_OK); /* control */
    assert_int_equal(raw.fn->C_DestroyObject(raw.session, out), CKR_OK);
    for (size_t i = 0; i < sizeof buts / sizeof *buts; i++)
        assert_int_not_equal(unwrap_but(kek, wrapped, len, &buts[i], &out), CKR_OK);
}

static CK_OBJECT_HANDLE foreign_kek(void)
{
    CK_ULONG len = 32;
    CK_ATTRIBUTE attrs[] = {{CKA_VALUE_LEN, &len, sizeof len},
                            {CKA_TOKEN, &no, sizeof no},
                            {CKA_WRAP, &yes, sizeof yes},
                            {CKA_DECRYPT, &yes, sizeof yes}};
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    CK_OBJECT_HANDLE key;

    assert_int_equal(raw.fn->C_GenerateKey(raw.session, &mechanism, attrs, 4, &key), CKR_OK);
    return key;
}

/* All private keys that are session objects: what the key service has unwrapped. */
static CK_ULONG unwrapped_keys(CK_OBJECT_HANDLE *out, CK_ULONG room)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE attrs[] = {{CKA_CLASS, &class, sizeof class}, {CKA_TOKEN, &no, sizeof no}};
    CK_ULONG n = 0;

    assert_int_equal(raw.fn->C_FindObjectsInit(raw.session, attrs, 2), CKR_OK);
    assert_int_equal(raw.fn->C_FindObjects(raw.session, out, room, &n), CKR_OK);
    assert_int_equal(raw.fn->C_FindObjectsFinal(raw.session), CKR_OK);
    return n;
}

static void an_unwrapped_sender_key_leaves_the_token_no_more(void **state)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_WRAP_PAD, NULL, 0};
    CK_OBJECT_HANDLE keks[2] = {foreign_kek(), raw_find(&raw, CKO_SECRET_KEY, LABEL_KEK)};
    CK_ATTRIBUTE loose = {CKA_EXTRACTABLE, &yes, sizeof yes};
    CK_OBJECT_HANDLE keys[8], copy;
    struct test_key key;
    CK_BYTE out[2048];

    (void)state;
    test_key_new(&fixture, PROFILE_A, REVERSE_A, KEY_RSA_2048, &key);
    assert_int_equal(unwrapped_keys(keys, 8), 0); /* the extractable one is gone */
    assert_int_equal(test_key_sign(fixture.token, PROFILE_A, REVERSE_A, &key), ERR_OK);
    assert_int_equal(unwrapped_keys(keys, 8), 1);
    for (size_t i = 0; i < 2; i++) {
        CK_ULONG len = sizeof out;

        assert_int_equal(raw.fn->C_WrapKey(raw.session, &mechanism, keks[i], keys[0], out, &len),
                         CKR_KEY_UNEXTRACTABLE);
    }
    assert_int_not_equal(raw.fn->C_SetAttributeValue(raw.session, keys[0], &loose, 1), CKR_OK);
    assert_int_equal(raw.fn->C_CopyObject(raw.session, keys[0], &loose, 1, &copy),
                     CKR_ACTION_PROHIBITED);
    assert_int_not_equal(sign_raw(keys[0], CKM_RSA_X_509, out, 256), CKR_OK);
    test_key_clear(&key);
}

/* ---- blobs ---- */

static void a_blob_opens_for_its_own_alias_and_profile_only(void **state)
{
    struct test_key key;

    (void)state;
    test_key_new(&fixture, PROFILE_A, REVERSE_A, KEY_P256, &key);
    /* Twice each: before the key is in the cache and after. */
    for (int cached = 0; cached < 2; cached++) {
        assert_int_equal(test_key_sign(fixture.token, PROFILE_A, REVERSE_B, &key), ERR_TAMPERED);
        assert_int_equal(test_key_sign(fixture.token, PROFILE_B, REVERSE_A, &key), ERR_TAMPERED);
        assert_int_equal(test_key_sign(fixture.token, PROFILE_B, REVERSE_B, &key), ERR_TAMPERED);
        assert_int_equal(test_key_sign(fixture.token, "", "", &key), ERR_TAMPERED);
        assert_int_equal(test_key_sign(fixture.token, PROFILE_A, REVERSE_A, &key), ERR_OK);
    }
    test_key_clear(&key);
}

static void an_altered_blob_is_refused_wherever_it_was_altered(void **state)
{
    struct test_key key;
    size_t whole;

    (void)state;
    test_key_new(&fixture, PROFILE_A, REVERSE_A, KEY_P256, &key);
    whole = key.blob.len;
    for (size_t i = 0; i < whole; i++) {
        key.blob.data[i] ^= 0x01;
        assert_int_equal(test_key_sign(fixture.token, PROFILE_A, REVERSE_A, &key), ERR_TAMPERED);
        key.blob.data[i] ^= 0x01;
    }
    for (key.blob.len = 0; key.blob.len < whole; key.blob.len += 7)
        assert_int_equal(test_key_sign(fixture.token, PROFILE_A, REVERSE_A, &key), ERR_TAMPERED);
    key.blob.len = whole;
    assert_int_equal(test_key_sign(fixture.token, PROFILE_A, REVERSE_A, &key), ERR_OK);
    assert_int_equal(token_alive(fixture.token), ERR_OK);
    test_key_clear(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_key_can_be_changed),
        cmocka_unit_test(no_key_can_be_copied),
        cmocka_unit_test(no_key_can_be_read),
        cmocka_unit_test(a_ca_key_signs_in_one_way_and_nothing_else),
        cmocka_unit_test(the_ca_key_signs_no_data_but_digests_of_its_kind),
        cmocka_unit_test(the_kek_is_no_cipher),
        cmocka_unit_test(the_kek_wraps_by_one_mechanism_only),
        cmocka_unit_test(nothing_unwraps_readable_or_extractable),
        cmocka_unit_test(an_unwrapped_sender_key_leaves_the_token_no_more),
        cmocka_unit_test(a_blob_opens_for_its_own_alias_and_profile_only),
        cmocka_unit_test(an_altered_blob_is_refused_wherever_it_was_altered),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
