/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reply_kit.h - replies as users' clients make them, good ones and forged ones, and opening them.
 *
 * The pki's "user" is the enrolled user, its "sender" the addressed reverse alias. */
#ifndef SEALRELAY_TESTS_REPLY_KIT_H
#define SEALRELAY_TESTS_REPLY_KIT_H

#include "daemon/smime/open.h"
#include "tests/smime/test_pki.h"

#include <openssl/cms.h>

#define REPLY_MARKER "quartz-vessel-marker"
#define REPLY_ENTITY                                                                               \
    "Content-Type: text/plain; charset=utf-8\r\n"                                                  \
    "Content-Transfer-Encoding: 8bit\r\n\r\n" REPLY_MARKER " \xc3\xa4\r\n-- \r\nuser\r\n"
#define REPLY_HEADER "From: A User <" TEST_USER ">\r\nTo: " TEST_SENDER "\r\nSubject: Re: [...]\r\n"

/* How to sign in this process; all zero: SHA-256, by the user, attributes as they must be. */
struct reply_signing {
    bool opaque;
    const EVP_MD *md;
    X509 *cert;     /* NULL: the user's */
    EVP_PKEY *key;  /* NULL: the user's */
    int64_t time_s; /* signingTime; 0: now */
    unsigned flags; /* more of CMS_* */
    /* Called before the content is signed. */
    void (*prepare)(CMS_ContentInfo *cms, const struct test_pki *p, unsigned flags);
    /* Called on the finished CMS, before it is written. */
    void (*tweak)(CMS_ContentInfo *cms, const struct test_pki *p);
};

/* reply_sign - the entity signed, as an entity: multipart/signed or pkcs7-mime. Appended to out. */
void reply_sign(const struct test_pki *p, const struct reply_signing *how, struct bytes entity,
                struct buf *out);

/* reply_signature - only the CMS, as DER. */
void reply_signature(const struct test_pki *p, const struct reply_signing *how, struct bytes entity,
                     struct buf *der);
/* reply_join - any CMS beside any entity as multipart/signed. */
void reply_join(struct bytes entity, struct bytes der, struct buf *out);

/* reply_encrypt - an entity encrypted to the alias (the pki's sender) as an entity. */
void reply_encrypt(const struct test_pki *p, struct bytes entity, struct buf *out);
/* reply_encrypt_to - to any certificate, with any cipher, as BER. */
void reply_encrypt_to(X509 *cert, const EVP_CIPHER *cipher, struct bytes entity, struct buf *out);
/* reply_cms_append - BER as application/pkcs7-mime with base64 body. */
void reply_cms_append(struct bytes ber, struct buf *out);

/* reply_opened - what came of opening a message. */
struct reply_opened {
    enum err e;
    unsigned key_loads;
    struct buf raw; /* the message; result borrows from it */
    struct message message;
    struct open_result result;
    char detail[256]; /* of the note */
};

/* How to open; all zero: the alias's software key, the user's certificate, now. */
struct reply_opening {
    const char *header; /* before the entity; NULL: REPLY_HEADER */
    int64_t now_s;
    X509 *enrolled; /* NULL: the user's */
    bool nobody_enrolled;
    X509 *alias; /* NULL: the sender's */
    EVP_PKEY *alias_key;
    bool unsigned_allowed;
    enum err key_load; /* instead of a key */
    enum err (*key_error)(void);
    enum err (*load)(void *ctx, size_t which, size_t content_key_len, EVP_PKEY **out);
    void *load_ctx;
};

/* reply_open - header and entity as one message, opened. reply_opened_clear afterwards. */
void reply_open(const struct test_pki *p, const struct reply_opening *how, struct bytes entity,
                struct reply_opened *out);
void reply_opened_clear(struct reply_opened *o);

/* reply_is_opened - it opened as this kind, and the entity is that text. */
void reply_is_opened(const struct reply_opened *o, enum open_kind kind, const char *entity);
/* reply_is_refused - ERR_UNPROVEN, nothing in the result; and, unless why is NULL, for that reason
 * as the note tells it. */
void reply_is_refused(const struct reply_opened *o, const char *why);

/* reply_crlf - text with CRLF for every bare LF, as SMTP brings it. */
void reply_crlf(struct bytes text, struct buf *out);

#endif
