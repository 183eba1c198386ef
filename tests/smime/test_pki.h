/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_pki.h - a small chain with software keys, and other people's S/MIME programs as judges. */
#ifndef SEALRELAY_TESTS_TEST_PKI_H
#define SEALRELAY_TESTS_TEST_PKI_H

#include "daemon/base/buf.h"

#include <openssl/x509.h>

#define TEST_SENDER "r-abcdefghijklmnop@relay.example"
#define TEST_USER   "user@home.example"

struct test_pki {
    char
        dir[64]; /* private folder: root.pem, inter.pem, sender.pem, user.pem, user.key, user.p12 */
    X509 *root, *inter, *sender, *user;
    EVP_PKEY *root_key, *inter_key, *sender_key, *user_key;
};

/* What a certificate says. */
struct test_role {
    const char *name;          /* common name; NULL: none */
    const char *usage, *basic; /* extensions in OpenSSL's words; NULL: left out */
    const char *email;         /* subjectAltName, likewise */
    const char *purpose;       /* extended key usage; NULL: mail where there is an email */
    const char *organisation;  /* NULL: none */
    int from_day, to_day;      /* of its life, from now; both 0: -30 and 600 */
    const EVP_MD *md;          /* its issuer signs with; NULL: SHA-384 */
};

/* test_certificate - a certificate with a serial number of its own; issuer NULL: self-signed. */
X509 *test_certificate(const struct test_role *role, EVP_PKEY *key, X509 *issuer,
                       EVP_PKEY *issuer_key);

/* test_pki_new - P-384 authorities; leaf keys RSA-2048 or, with ec, P-256. Asserts on failure. */
void test_pki_new(struct test_pki *p, bool ec);
void test_pki_free(struct test_pki *p);

/* test_path - dir/name, valid until the fourth call after. */
const char *test_path(const struct test_pki *p, const char *name);
void test_write(const struct test_pki *p, const char *name, struct bytes data);
void test_read(const struct test_pki *p, const char *name, struct buf *out);

/* test_run - run a program to its end with input on its standard input, in dir, output to dir/log.
 * argv ends with NULL. Its exit status; 127 when it is missing. */
int test_run(const struct test_pki *p, const char *input, const char *const argv[]);

#endif
