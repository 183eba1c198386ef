/* SPDX-License-Identifier: GPL-3.0-or-later */
/* operate.c - the five private-key operations of the key service, on a handle.
 *
 * Raw RSA is none of them, and no key allows it (CKA_ALLOWED_MECHANISMS): where the token lacks the
 * OAEP digest asked for, that is a refusal. SoftHSM 2.6.1 has OAEP with SHA-1 only. */
#include "hsm/token/operate.h"
#include "hsm/token/make.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

/* What PKCS#11 and PKCS#1 call a digest. DigestInfo up to the digest: RFC 8017 9.2 note 1. */
struct digest {
    const char *name;
    size_t len;
    CK_MECHANISM_TYPE hash;
    CK_RSA_PKCS_MGF_TYPE mgf;
    bool signs;
    uint8_t info[19];
};

static const struct digest digests[] = {
    {"SHA1", 20, CKM_SHA_1, CKG_MGF1_SHA1, false, {0}},
    {"SHA256",
     32,
     CKM_SHA256,
     CKG_MGF1_SHA256,
     true,
     {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
      0x05, 0x00, 0x04, 0x20}},
    {"SHA384",
     48,
     CKM_SHA384,
     CKG_MGF1_SHA384,
     true,
     {0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02,
      0x05, 0x00, 0x04, 0x30}},
    {"SHA512",
     64,
     CKM_SHA512,
     CKG_MGF1_SHA512,
     true,
     {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03,
      0x05, 0x00, 0x04, 0x40}},
};

static const struct digest *digest_find(const char *name)
{
    const EVP_MD *md = name ? EVP_get_digestbyname(name) : NULL;

    for (size_t i = 0; i < sizeof digests / sizeof *digests; i++)
        if (md && EVP_MD_is_a(md, digests[i].name))
            return &digests[i];
    return NULL;
}

static bool is_rsa(enum key_type type)
{
    return type == KEY_RSA_2048 || type == KEY_RSA_3072;
}

static size_t size_of(enum key_type type)
{
    switch (type) {
    case KEY_RSA_2048:
        return 256;
    case KEY_RSA_3072:
        return 384;
    case KEY_P256:
        return 32;
    case KEY_P384:
        return 48;
    }
    return 0;
}

static enum err refuse(const char *why)
{
    (void)err_note(ERR_REFUSED, "key use", "%s", why);
    return ERR_REFUSED;
}

/* ---- signatures ---- */

static enum err signed_digest(const struct operation *op, const struct digest **out)
{
    *out = digest_find(op->md);
    if (!*out || !(*out)->signs)
        return refuse("digest is none of SHA-256, SHA-384, SHA-512");
    if (op->input.len != (*out)->len)
        return refuse("input is not as long as its digest");
    return ERR_OK;
}

static enum err sign_pkcs1(struct call *c, CK_OBJECT_HANDLE key, const struct operation *op,
                           struct buf *out)
{
    CK_MECHANISM mechanism = {CKM_RSA_PKCS, NULL, 0};
    uint8_t info[sizeof digests->info + EVP_MAX_MD_SIZE];
    const struct digest *digest;
    enum err e = signed_digest(op, &digest);
    CK_RV rv;

    if (e)
        return e;
    memcpy(info, digest->info, sizeof digest->info);
    memcpy(info + sizeof digest->info, op->input.data, digest->len);
    rv = ck_sign(&c->ck, &mechanism, key, (struct bytes){info, sizeof digest->info + digest->len},
                 out);
    return rv == CKR_OK ? ERR_OK : call_fail(c, rv);
}

/* Cryptoki's r | s becomes SEQUENCE {r, s}, RFC 3279 2.2.3. */
static enum err ecdsa_encode(struct bytes raw, struct buf *out)
{
    int half = (int)(raw.len / 2);
    BIGNUM *r = BN_bin2bn(raw.data, half, NULL);
    BIGNUM *s = BN_bin2bn(raw.data + half, half, NULL);
    ECDSA_SIG *signature = ECDSA_SIG_new();
    unsigned char *der = NULL;
    int len = -1;

    if (r && s && signature && ECDSA_SIG_set0(signature, r, s)) {
        r = NULL;
        s = NULL;
        len = i2d_ECDSA_SIG(signature, &der);
    }
    if (len > 0)
        buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    ECDSA_SIG_free(signature);
    BN_free(r);
    BN_free(s);
    return len > 0 ? buf_error(out) : err_note_openssl(ERR_NOMEM, "i2d_ECDSA_SIG");
}

static enum err sign_ecdsa(struct call *c, CK_OBJECT_HANDLE key, const struct operation *op,
                           struct buf *out)
{
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    CLEANUP(buf_clear) struct buf raw = {0};
    struct bytes input = op->input;
    const struct digest *digest;
    enum err e = signed_digest(op, &digest);
    CK_RV rv;

    if (e)
        return e;
    if (input.len > size_of(op->type)) /* the leftmost bits, FIPS 186-4 6.4 */
        input.len = size_of(op->type);
    rv = ck_sign(&c->ck, &mechanism, key, input, &raw);
    if (rv != CKR_OK)
        return call_fail(c, rv);
    if (raw.len != 2 * size_of(op->type))
        return err_note(ERR_HSM_AWAY, "C_Sign", "an ECDSA signature of %zu bytes", raw.len);
    return ecdsa_encode(buf_bytes(&raw), out);
}

/* ---- decryption ---- */

/* Padding that is no padding comes back as a vague error from some modules, SoftHSM among them: it
 * is the input's fault as long as the session lives. */
static enum err decrypt_result(struct call *c, CK_RV rv)
{
    if (rv == CKR_OK)
        return ERR_OK;
    if (ckr_is_vague(rv) && ck_probe(&c->ck) == CKR_OK)
        return err_note(ERR_FORMAT, "C_Decrypt", "%s (0x%lx)", ckr_name(rv), rv);
    return call_fail(c, rv);
}

static enum err decrypt_pkcs1(struct call *c, CK_OBJECT_HANDLE key, const struct operation *op,
                              struct buf *out)
{
    CK_MECHANISM mechanism = {CKM_RSA_PKCS, NULL, 0};

    if (op->input.len != size_of(op->type))
        return err_note(ERR_FORMAT, "key use", "ciphertext of %zu bytes", op->input.len);
    return decrypt_result(c, ck_decrypt(&c->ck, &mechanism, key, op->input, out));
}

static enum err decrypt_oaep(struct call *c, CK_OBJECT_HANDLE key, const struct operation *op,
                             struct buf *out)
{
    const struct digest *md = digest_find(op->md ? op->md : "SHA1");
    const struct digest *mgf1 = op->mgf1_md ? digest_find(op->mgf1_md) : md;
    CK_RSA_PKCS_OAEP_PARAMS params = {0};
    CK_MECHANISM mechanism = {CKM_RSA_PKCS_OAEP, &params, sizeof params};
    CK_RV rv;

    if (!md || !mgf1)
        return refuse("OAEP digest is none of SHA-1, SHA-256, SHA-384, SHA-512");
    if (op->input.len != size_of(op->type))
        return err_note(ERR_FORMAT, "key use", "ciphertext of %zu bytes", op->input.len);
    params.hashAlg = md->hash;
    params.mgf = mgf1->mgf;
    params.source = CKZ_DATA_SPECIFIED;
    rv = ck_decrypt(&c->ck, &mechanism, key, op->input, out);
    if (rv == CKR_ARGUMENTS_BAD || rv == CKR_MECHANISM_INVALID || rv == CKR_MECHANISM_PARAM_INVALID)
        return err_note(ERR_REFUSED, "key use", "the token has no OAEP with %s and MGF1 %s: %s",
                        md->name, mgf1->name, ckr_name(rv));
    return decrypt_result(c, rv);
}

/* ---- key agreement ---- */

/* A point off the curve would leak the key piece by piece: not every token looks. */
static enum err point_check(const struct operation *op)
{
    char group[] = "P-256", group_384[] = "P-384";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
                                         op->type == KEY_P256 ? group : group_384, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
                                          (void *)(uintptr_t)op->input.data, op->input.len),
        OSSL_PARAM_construct_end()};
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", "provider=default");
    CLEANUP(pkey_free) EVP_PKEY *peer = NULL;
    bool ok = op->input.len == 2 * size_of(op->type) + 1 && op->input.data[0] == 0x04 && context &&
              EVP_PKEY_fromdata_init(context) > 0 &&
              EVP_PKEY_fromdata(context, &peer, EVP_PKEY_PUBLIC_KEY, params) > 0;

    EVP_PKEY_CTX_free(context);
    return ok ? ERR_OK : err_note_openssl(ERR_FORMAT, "peer point");
}

static enum err derive_ecdh(struct call *c, CK_OBJECT_HANDLE key, const struct operation *op,
                            struct buf *out)
{
    CK_ECDH1_DERIVE_PARAMS params = {.kdf = CKD_NULL,
                                     .ulPublicDataLen = op->input.len,
                                     .pPublicData = (CK_BYTE *)(uintptr_t)op->input.data};
    CK_MECHANISM mechanism = {CKM_ECDH1_DERIVE, &params, sizeof params};
    struct template_more more = {.value_len = size_of(op->type)};
    CK_OBJECT_HANDLE shared;
    struct template t;
    enum err e = point_check(op);
    CK_RV rv;

    if (!e)
        e = template_make(&t, &table_derived, &more, true);
    if (e)
        return e;
    rv = ck_derive(&c->ck, &mechanism, key, template_attrs(&t), &shared);
    if (rv != CKR_OK)
        return call_fail(c, rv);
    buf_reserve(out, CK_OUTPUT_MAX);
    rv = ck_get(&c->ck, shared, CKA_VALUE, out);
    e = rv == CKR_OK ? ERR_OK : call_fail(c, rv);
    rv = ck_destroy(&c->ck, shared);
    return !e && rv != CKR_OK ? call_fail(c, rv) : e;
}

enum err operate(struct call *c, CK_OBJECT_HANDLE key, const struct operation *op, struct buf *out)
{
    bool rsa = op->mechanism == HSM_SIGN_PKCS1 || op->mechanism == HSM_DECRYPT_PKCS1 ||
               op->mechanism == HSM_DECRYPT_OAEP;

    if (!op->input.data)
        return refuse("no input");
    if (rsa != is_rsa(op->type))
        return refuse("mechanism does not fit the key");
    switch (op->mechanism) {
    case HSM_SIGN_PKCS1:
        return sign_pkcs1(c, key, op, out);
    case HSM_SIGN_ECDSA:
        return sign_ecdsa(c, key, op, out);
    case HSM_DECRYPT_PKCS1:
        return decrypt_pkcs1(c, key, op, out);
    case HSM_DECRYPT_OAEP:
        return decrypt_oaep(c, key, op, out);
    case HSM_DERIVE_ECDH:
        return derive_ecdh(c, key, op, out);
    }
    return refuse("unknown mechanism");
}
