/* SPDX-License-Identifier: GPL-3.0-or-later */
/* token_fixture.c - opens the token for a test, and raw Cryptoki beside it. */
#include "tests/hsm/token_fixture.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void ok(enum err e)
{
    if (e)
        print_error("%s: %s: %s\n", err_name(e), err_note_get()->action, err_note_get()->detail);
    assert_int_equal(e, ERR_OK);
}

void token_fixture_open(struct token_fixture *f)
{
    ok(token_open(&f->options, &f->token));
}

void token_fixture_new(struct token_fixture *f)
{
    static const char *const profiles[] = {PROFILE_A, PROFILE_B};

    *f = (struct token_fixture){0};
    err_note_clear();
    ok(softhsm_fixture_new(&f->hsm));
    f->options = (struct token_options){.module = f->hsm.module,
                                        .ca_uri = f->hsm.uri,
                                        .sender_uri = f->hsm.uri,
                                        .pin_file = f->hsm.pin_file,
                                        .state_dir = f->hsm.state_dir,
                                        .pool_size = 4,
                                        .pool_share = 100,
                                        .cache_size = 64};
    token_fixture_open(f);
    ok(token_init(f->token));
    for (size_t i = 0; i < 2; i++) {
        EVP_PKEY *public = NULL;

        ok(token_ca_new(f->token, profiles[i], i ? KEY_RSA_3072 : KEY_P384, &public));
        EVP_PKEY_free(public);
        ok(token_kek_new(f->token, profiles[i], 1));
    }
}

void token_fixture_free(struct token_fixture *f)
{
    token_close(f->token);
    f->token = NULL;
    softhsm_fixture_free(&f->hsm);
}

void test_key_new(struct token_fixture *f, const char *profile, const char *reverse,
                  enum key_type type, struct test_key *out)
{
    *out = (struct test_key){0};
    ok(token_sender_new(f->token, profile, 1, type, reverse, false, &out->blob, &out->public));
}

void test_key_clear(struct test_key *k)
{
    buf_clear(&k->blob);
    EVP_PKEY_free(k->public);
    k->public = NULL;
}

static bool signature_verifies(EVP_PKEY *public, struct bytes signature, struct bytes digest)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(public, NULL);
    bool good =
        EVP_PKEY_verify_init(context) > 0 &&
        EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) > 0 &&
        EVP_PKEY_verify(context, signature.data, signature.len, digest.data, digest.len) == 1;

    EVP_PKEY_CTX_free(context);
    return good;
}

enum err test_key_sign(struct token *t, const char *profile, const char *reverse,
                       const struct test_key *k)
{
    static const uint8_t digest[32] = {7};
    const struct hsm_key_ref ref = {
        .profile = profile, .reverse = reverse, .blob = buf_bytes(&k->blob)};
    CLEANUP(buf_clear) struct buf signature = {0};
    bool rsa = EVP_PKEY_is_a(k->public, "RSA");
    struct bytes input = {digest, sizeof digest};
    enum err e;

    err_note_clear();
    e = token_sender_use(t, &ref, rsa ? HSM_SIGN_PKCS1 : HSM_SIGN_ECDSA, "SHA256", NULL, input,
                         &signature);
    if (e)
        return e;
    return signature_verifies(k->public, buf_bytes(&signature), input) ? ERR_OK : ERR_BUG;
}

static CK_SLOT_ID slot_find(struct raw *r)
{
    CK_SLOT_ID slots[16];
    CK_ULONG n = 16;
    size_t len = strlen(SOFTHSM_FIXTURE_LABEL);

    assert_int_equal(r->fn->C_GetSlotList(CK_TRUE, slots, &n), CKR_OK);
    for (CK_ULONG i = 0; i < n; i++) {
        CK_TOKEN_INFO info;

        assert_int_equal(r->fn->C_GetTokenInfo(slots[i], &info), CKR_OK);
        if (memcmp(info.label, SOFTHSM_FIXTURE_LABEL, len) == 0 && info.label[len] == ' ')
            return slots[i];
    }
    fail_msg("the test's token is gone");
    return 0;
}

void raw_open(const struct softhsm_fixture *hsm, struct raw *r)
{
    CK_C_GetFunctionList get;
    void *symbol;

    r->library = dlopen(hsm->module, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(r->library);
    symbol = dlsym(r->library, "C_GetFunctionList");
    assert_non_null(symbol);
    memcpy(&get, &symbol, sizeof get);
    assert_int_equal(get(&r->fn), CKR_OK);
    assert_int_equal(r->fn->C_OpenSession(slot_find(r), CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL,
                                          NULL, &r->session),
                     CKR_OK);
}

void raw_close(struct raw *r)
{
    (void)r->fn->C_CloseSession(r->session);
    (void)dlclose(r->library);
}

CK_OBJECT_HANDLE raw_find(struct raw *r, CK_OBJECT_CLASS class, const char *label)
{
    CK_ATTRIBUTE attrs[] = {{CKA_CLASS, &class, sizeof class},
                            {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)}};
    CK_OBJECT_HANDLE found[2];
    CK_ULONG n = 0;

    assert_int_equal(r->fn->C_FindObjectsInit(r->session, attrs, 2), CKR_OK);
    assert_int_equal(r->fn->C_FindObjects(r->session, found, 2, &n), CKR_OK);
    assert_int_equal(r->fn->C_FindObjectsFinal(r->session), CKR_OK);
    assert_int_equal(n, 1);
    return found[0];
}
