/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cryptoki.h - the PKCS#11 calls that libp11 has no call for, each a line or two to its caller.
 *
 * Internal to hsm/token. Functions return the module's own code; ck_session.action names the call
 * that answered it, so that one place turns both into an error and its note. */
#ifndef SEALRELAY_HSM_TOKEN_CRYPTOKI_H
#define SEALRELAY_HSM_TOKEN_CRYPTOKI_H

#include "daemon/base/buf.h"

#include <p11-kit/pkcs11.h>

/* PKCS#11 3.0 names AES key wrap with padding (RFC 5649) anew; the header here is older. */
#ifndef CKM_AES_KEY_WRAP_KWP
#define CKM_AES_KEY_WRAP_KWP (0x210bUL)
#endif

#define CK_OUTPUT_MAX 4096 /* bytes of any signature, plaintext or wrapped key we ask for */

struct ck {
    CK_FUNCTION_LIST *fn;
    void *library;
};

struct ck_session {
    CK_FUNCTION_LIST *fn;
    CK_SESSION_HANDLE handle;
    const char *action; /* static: the last call made */
};

/* A list of object handles; free() the array. */
struct ck_objects {
    CK_OBJECT_HANDLE *handles;
    size_t n;
};

/* ck_load - the function list of the module that libp11 loads too: dlopen gives the same instance.
 * Errors: ERR_CONFIG. */
enum err ck_load(const char *module, struct ck *out);
void ck_unload(struct ck *c);

/* ckr_name - "CKR_PIN_INCORRECT"; "CKR_?" for codes we do not know. Static. */
const char *ckr_name(CK_RV rv);
/* ckr_err - what a code means to us when nothing more is known. */
enum err ckr_err(CK_RV rv);
/* ckr_is_dead - the token or the module lost its state: finalise and start anew. */
bool ckr_is_dead(CK_RV rv);
/* ckr_is_vague - some modules say this for a bad input and for a dead token alike. */
bool ckr_is_vague(CK_RV rv);

CK_RV ck_find(struct ck_session *s, CK_ATTRIBUTE *attrs, CK_ULONG n, struct ck_objects *out);
/* ck_get - one attribute, appended to out. */
CK_RV ck_get(struct ck_session *s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type, struct buf *out);
CK_RV ck_get_bool(struct ck_session *s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type, bool *out);
CK_RV ck_get_ulong(struct ck_session *s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type, CK_ULONG *out);
/* ck_get_all - several attributes at once, into the caller's places. */
CK_RV ck_get_all(struct ck_session *s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *attrs, CK_ULONG n);
/* ck_get_length - how long an attribute's value is, in bytes. */
CK_RV ck_get_length(struct ck_session *s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type,
                    CK_ULONG *out);
CK_RV ck_generate(struct ck_session *s, CK_MECHANISM *m, CK_ATTRIBUTE *attrs, CK_ULONG n,
                  CK_OBJECT_HANDLE *out);
struct ck_pair {
    CK_OBJECT_HANDLE private;
    CK_OBJECT_HANDLE public;
};
struct ck_attrs {
    CK_ATTRIBUTE *attrs;
    CK_ULONG n;
};
CK_RV ck_generate_pair(struct ck_session *s, CK_MECHANISM *m, struct ck_attrs public,
                       struct ck_attrs private, struct ck_pair *out);
CK_RV ck_destroy(struct ck_session *s, CK_OBJECT_HANDLE o);
/* The operations: input whole, output appended to out. */
CK_RV ck_sign(struct ck_session *s, CK_MECHANISM *m, CK_OBJECT_HANDLE key, struct bytes in,
              struct buf *out);
CK_RV ck_encrypt(struct ck_session *s, CK_MECHANISM *m, CK_OBJECT_HANDLE key, struct bytes in,
                 struct buf *out);
CK_RV ck_decrypt(struct ck_session *s, CK_MECHANISM *m, CK_OBJECT_HANDLE key, struct bytes in,
                 struct buf *out);
CK_RV ck_wrap(struct ck_session *s, CK_MECHANISM *m, CK_OBJECT_HANDLE kek, CK_OBJECT_HANDLE key,
              struct buf *out);
CK_RV ck_unwrap(struct ck_session *s, CK_MECHANISM *m, CK_OBJECT_HANDLE kek, struct bytes wrapped,
                struct ck_attrs attrs, CK_OBJECT_HANDLE *out);
CK_RV ck_derive(struct ck_session *s, CK_MECHANISM *m, CK_OBJECT_HANDLE key, struct ck_attrs attrs,
                CK_OBJECT_HANDLE *out);
/* ck_probe - is this session still one of a logged-in user? */
CK_RV ck_probe(struct ck_session *s);

#endif
