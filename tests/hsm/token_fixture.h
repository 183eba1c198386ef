/* SPDX-License-Identifier: GPL-3.0-or-later */
/* token_fixture.h - an open token of the key service on a private SoftHSM, and raw Cryptoki beside
 * it, as an attacker inside the process would have. */
#ifndef SEALRELAY_TESTS_TOKEN_FIXTURE_H
#define SEALRELAY_TESTS_TOKEN_FIXTURE_H

#include "hsm/token/token.h"
#include "tests/hsm/softhsm_fixture.h"

#include <openssl/evp.h>
#include <p11-kit/pkcs11.h>

#define PROFILE_A "aaaaaaaaaaaaaaaa"
#define PROFILE_B "bbbbbbbbbbbbbbbb"
#define REVERSE_A "r-aaaaaaaaaaaaaaaa@relay.example"
#define REVERSE_B "r-bbbbbbbbbbbbbbbb@relay.example"

struct token_fixture {
    struct softhsm_fixture hsm;
    struct token_options options;
    struct token *token;
};

/* A sender key as its owner keeps it. */
struct test_key {
    struct buf blob;
    EVP_PKEY *public;
};

/* token_fixture_new - a fresh SoftHSM, opened, with service keys, and CA key and KEK generation 1
 * of both profiles. Fails the test by assertion, as all of these do. */
void token_fixture_new(struct token_fixture *f);
void token_fixture_free(struct token_fixture *f);
void token_fixture_open(struct token_fixture *f);

void test_key_new(struct token_fixture *f, const char *profile, const char *reverse,
                  enum key_type type, struct test_key *out);
void test_key_clear(struct test_key *k);
/* test_key_sign - sign SHA-256 of something by the key; the signature is verified on ERR_OK. */
enum err test_key_sign(struct token *t, const char *profile, const char *reverse,
                       const struct test_key *k);

/* Raw Cryptoki on the same token, in the same log-in. */
struct raw {
    void *library;
    CK_FUNCTION_LIST *fn;
    CK_SESSION_HANDLE session;
};
void raw_open(const struct softhsm_fixture *hsm, struct raw *r);
void raw_close(struct raw *r);
/* raw_find - the one object of a class and label. */
CK_OBJECT_HANDLE raw_find(struct raw *r, CK_OBJECT_CLASS class, const char *label);

#endif
