/* SPDX-License-Identifier: GPL-3.0-or-later */
/* token_plant_test.c - keys that somebody else made in the token under our names: a KEK that is
 * weaker than ours in one point, a second key of a name. None is used. */
#include "tests/hsm/token_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#define LABEL_KEK "sealrelay kek " PROFILE_A " 0000000001"

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

/* A KEK as ours is, but for what a case changes. */
struct planted_kek {
    CK_BBOOL extractable; /* in its unwrap template */
    CK_BBOOL decrypt;
    CK_MECHANISM_TYPE allowed;
    const char *complaint; /* NULL: it is good */
};

static CK_OBJECT_HANDLE kek_plant(const struct planted_kek *p)
{
    static const char label[] = "sealrelay kek " PROFILE_A " 0000000009";
    CK_BBOOL extractable = p->extractable, decrypt = p->decrypt;
    CK_MECHANISM_TYPE allowed = p->allowed;
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ULONG len = 32;
    CK_ATTRIBUTE unwrapped[] = {{CKA_CLASS, &class, sizeof class},  {CKA_PRIVATE, &yes, sizeof yes},
                                {CKA_SENSITIVE, &yes, sizeof yes},  {CKA_TOKEN, &no, sizeof no},
                                {CKA_EXTRACTABLE, &extractable, 1}, {CKA_UNWRAP, &no, sizeof no}};
    CK_ATTRIBUTE attrs[] = {{CKA_VALUE_LEN, &len, sizeof len},
                            {CKA_TOKEN, &yes, sizeof yes},
                            {CKA_LABEL, (void *)(uintptr_t)label, sizeof label - 1},
                            {CKA_PRIVATE, &yes, sizeof yes},
                            {CKA_SENSITIVE, &yes, sizeof yes},
                            {CKA_EXTRACTABLE, &no, sizeof no},
                            {CKA_WRAP, &yes, sizeof yes},
                            {CKA_UNWRAP, &yes, sizeof yes},
                            {CKA_ENCRYPT, &no, sizeof no},
                            {CKA_DECRYPT, &decrypt, 1},
                            {CKA_SIGN, &no, sizeof no},
                            {CKA_VERIFY, &no, sizeof no},
                            {CKA_DERIVE, &no, sizeof no},
                            {CKA_COPYABLE, &no, sizeof no},
                            {CKA_ALLOWED_MECHANISMS, &allowed, sizeof allowed},
                            {CKA_UNWRAP_TEMPLATE, unwrapped, sizeof unwrapped},
                            {CKA_MODIFIABLE, &no, sizeof no}};
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    CK_OBJECT_HANDLE planted;

    assert_int_equal(raw.fn->C_GenerateKey(raw.session, &mechanism, attrs,
                                           sizeof attrs / sizeof *attrs, &planted),
                     CKR_OK);
    return planted;
}

static void a_weakened_kek_is_not_used(void **state)
{
    static const struct planted_kek cases[] = {
        {CK_FALSE, CK_TRUE, CKM_AES_KEY_WRAP_PAD, "CKA_DECRYPT"},
        {CK_TRUE, CK_FALSE, CKM_AES_KEY_WRAP_PAD, "CKA_UNWRAP_TEMPLATE"},
        {CK_FALSE, CK_FALSE, CKM_AES_ECB, "CKA_ALLOWED_MECHANISMS"},
        {CK_FALSE, CK_FALSE, CKM_AES_KEY_WRAP_PAD, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(buf_clear) struct buf blob = {0};
        CK_OBJECT_HANDLE planted = kek_plant(&cases[i]);
        EVP_PKEY *public = NULL;

        err_note_clear();
        assert_int_equal(token_sender_new(fixture.token, PROFILE_A, 9, KEY_P256, REVERSE_A, false,
                                          &blob, &public),
                         cases[i].complaint ? ERR_CONFIG : ERR_OK);
        if (cases[i].complaint) {
            assert_non_null(strstr(err_note_get()->detail, "is not as a KEK must have it"));
            assert_non_null(strstr(err_note_get()->detail, cases[i].complaint));
        }
        EVP_PKEY_free(public);
        assert_int_equal(raw.fn->C_DestroyObject(raw.session, planted), CKR_OK);
        assert_int_equal(token_kek_destroy(fixture.token, PROFILE_A, 9), ERR_OK);
    }
}

/* Whoever can make keys in the token makes a second one of a CA's name. */
static void a_name_that_two_keys_have_names_neither(void **state)
{
    static const char label[] = LABEL_KEK;
    CK_ULONG len = 32;
    CK_ATTRIBUTE attrs[] = {{CKA_VALUE_LEN, &len, sizeof len},
                            {CKA_TOKEN, &yes, sizeof yes},
                            {CKA_LABEL, (void *)(uintptr_t)label, sizeof label - 1}};
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    CLEANUP(buf_clear) struct buf blob = {0};
    CK_OBJECT_HANDLE planted;
    EVP_PKEY *public = NULL;

    (void)state;
    assert_int_equal(raw.fn->C_GenerateKey(raw.session, &mechanism, attrs, 3, &planted), CKR_OK);
    raw_close(&raw);
    token_close(fixture.token);
    token_fixture_open(&fixture);
    raw_open(&fixture.hsm, &raw);
    err_note_clear();
    assert_int_equal(
        token_sender_new(fixture.token, PROFILE_A, 1, KEY_P256, REVERSE_A, false, &blob, &public),
        ERR_CONFIG);
    assert_non_null(strstr(err_note_get()->detail, "two keys named"));
    assert_null(public);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_weakened_kek_is_not_used, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_that_two_keys_have_names_neither, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
