/* SPDX-License-Identifier: GPL-3.0-or-later */
/* issue_kit.h - a key service on a private SoftHSM, and the user's side as test code: roots,
 * enrolments, requests. Every helper asserts; clock is kit_now_s. */
#ifndef SEALRELAY_TESTS_ISSUE_KIT_H
#define SEALRELAY_TESTS_ISSUE_KIT_H

#include "hsm/issue/authority.h"
#include "tests/hsm/softhsm_fixture.h"

#include <openssl/cms.h>
#include <openssl/x509v3.h>

#define KIT_DAY_S ((int64_t)86400)

struct kit {
    struct softhsm_fixture softhsm;
    struct token *token;
    struct authority_options options;
    struct authority *a;
};

extern int64_t kit_now_s;
int64_t kit_clock(void);

/* kit_open - token with service keys, authority with options (token, state_dir, now set here). */
void kit_open(struct kit *k, const struct authority_options *options);
void kit_close(struct kit *k);
/* kit_restart - close and open the authority alone. */
void kit_restart(struct kit *k);

/* What one user has at home. */
struct kit_user {
    id_text id;
    id_text profile;
    EVP_PKEY *root_key;
    X509 *root;
    X509 *intermediate;
    X509_CRL *crl;
    EVP_PKEY *key;
    X509_REQ *csr;
    X509 *cert;
    struct buf statement;
};
void kit_user_clear(struct kit_user *u);

/* kit_profile - a pending profile for u->id (made if empty): user1@home.example.com and
 * second@home.example.com, relay domains relay.example.com and mail.example.org. */
void kit_profile(struct kit *k, struct kit_user *u, enum key_type ca, enum key_type key);

/* Where an enrolment departs from what is right. NULL or false: it does not. */
struct kit_tweak {
    void (*root)(X509 *x);         /* before it is signed */
    void (*intermediate)(X509 *x); /* before it is signed */
    X509 *(*remake)(X509 *x);      /* another intermediate for the signed one; signed again */
    bool foreign_key;              /* in the intermediate */
    bool foreign_signature;        /* another root signs the intermediate */
    int crl_days_short;            /* nextUpdate before the root's end */
    bool crl_revokes;
    const char *statement_profile; /* in the statement */
    bool statement_other_key;      /* it names another user key */
    bool no_statement;
};
/* kit_enrolment - make root, intermediate, CRL, statement, and the file. u->csr is made unless
 * there. given. */
void kit_enrolment(struct kit *k, struct kit_user *u, const struct kit_tweak *tweak,
                   struct buf *json);
/* kit_enrol - profile, enrolment, install, issue: a ready profile with u->cert. */
void kit_enrol(struct kit *k, struct kit_user *u, enum key_type ca, enum key_type key);
/* kit_activate - by a code. */
void kit_activate(struct kit *k, const struct kit_user *u);

EVP_PKEY *kit_key(enum key_type type);
/* kit_csr - CN, and extensions as openssl configuration text: {"basicConstraints=CA:TRUE"}; NULL
 * for none. */
X509_REQ *kit_csr(EVP_PKEY *key, const char *nid_value[][2]);
/* kit_csr_of - the intermediate's request inside a request file. given. */
X509_REQ *kit_csr_of(const struct buf *request_json);
void kit_spki_hex(EVP_PKEY *key, char out[65]);
/* kit_request - a user request file. signer NULL: no signature worth it. csr may be NULL. */
void kit_cms(const char *content, X509 *cert, EVP_PKEY *key, struct buf *der);
void kit_request(const char *profile, const char *verb, const char *spki, const char *nonce,
                 X509 *cert, EVP_PKEY *key, X509_REQ *csr, struct buf *json);
/* kit_request_new - the same with a fresh nonce, signed by the user's key. */
void kit_request_new(struct kit *k, const struct kit_user *u, const char *verb, const char *spki,
                     X509_REQ *csr, struct buf *json);
/* kit_certificate - the certificate inside a certificate file. */
X509 *kit_certificate(const struct buf *json);
X509 *kit_x509(const struct buf *der);

/* kit_verify - as `openssl verify -purpose smimesign` with root as only trust. Returns the X509_V
 * code; email may be NULL. */
int kit_verify(const struct kit_user *u, X509 *leaf, int purpose, const char *email);

#endif
