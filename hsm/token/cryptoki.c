/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cryptoki.c - every PKCS#11 call we make past libp11, on the module libp11 has loaded.
 *
 * Why signatures by CA keys go this way too and not through libp11's EVP_PKEY: libp11 0.4.12's
 * session pool waits for ever once C_OpenSession has failed; each new key means enumerating all
 * keys again, which takes time linear in them and moves the array that handed-out keys point into.
 * Secret output passes through a buffer on the stack that is wiped. */
#include "hsm/token/cryptoki.h"

#include <dlfcn.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#define FIND_BATCH 256

enum err ck_load(const char *module, struct ck *out)
{
    CK_C_GetFunctionList get;
    CK_FUNCTION_LIST *fn = NULL;
    void *library = dlopen(module, RTLD_NOW | RTLD_LOCAL);
    void *symbol;

    if (!library)
        return err_note(ERR_CONFIG, "dlopen", "PKCS#11 module %s", dlerror());
    symbol = dlsym(library, "C_GetFunctionList");
    _Static_assert(sizeof get == sizeof symbol, "a function's address fits an object's");
    __builtin_memcpy(&get, &symbol, sizeof get);
    if (!symbol || get(&fn) != CKR_OK || !fn) {
        (void)dlclose(library);
        return err_note(ERR_CONFIG, "C_GetFunctionList", "%s is no PKCS#11 module", module);
    }
    out->fn = fn;
    out->library = library;
    return ERR_OK;
}

void ck_unload(struct ck *c)
{
    if (c->library)
        (void)dlclose(c->library);
    *c = (struct ck){0};
}

/* One call: its name is kept for the note, its code is the value. */
#define CK_CALL(s, name, ...) ((s)->action = #name, (s)->fn->name((s)->handle, __VA_ARGS__))

static CK_RV find_all(struct ck_session *s, struct ck_objects *out)
{
    CK_OBJECT_HANDLE batch[FIND_BATCH];
    CK_OBJECT_HANDLE *grown;
    CK_ULONG n;
    CK_RV rv;

    while ((rv = CK_CALL(s, C_FindObjects, batch, FIND_BATCH, &n)) == CKR_OK && n) {
        if (n > FIND_BATCH)
            return CKR_GENERAL_ERROR;
        grown = realloc(out->handles, (out->n + n) * sizeof *grown);
        if (!grown)
            return CKR_HOST_MEMORY;
        out->handles = grown;
        for (CK_ULONG i = 0; i < n; i++)
            out->handles[out->n++] = batch[i];
    }
    return rv;
}

CK_RV ck_find(struct ck_session *s, CK_ATTRIBUTE *attrs, CK_ULONG n, struct ck_objects *out)
{
    CK_RV rv = CK_CALL(s, C_FindObjectsInit, attrs, n);
    CK_RV end;

    *out = (struct ck_objects){0};
    if (rv != CKR_OK)
        return rv;
    rv = find_all(s, out);
    end = s->fn->C_FindObjectsFinal(s->handle);
    if (rv == CKR_OK && end != CKR_OK) {
        s->action = "C_FindObjectsFinal";
        rv = end;
    }
    if (rv != CKR_OK) {
        free(out->handles);
        *out = (struct ck_objects){0};
    }
    return rv;
}

CK_RV ck_get(struct ck_session *s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type, struct buf *out)
{
    uint8_t value[CK_OUTPUT_MAX];
    CK_ATTRIBUTE attr = {type, value, sizeof value};
    CK_RV rv = CK_CALL(s, C_GetAttributeValue, o, &attr, 1);

    if (rv == CKR_OK && attr.ulValueLen > sizeof value)
        rv = CKR_ATTRIBUTE_TYPE_INVALID; /* CK_UNAVAILABLE_INFORMATION from a sloppy module */
    if (rv == CKR_OK)
        buf_append(out, value, attr.ulValueLen);
    OPENSSL_cleanse(value, sizeof value);
    return rv == CKR_OK && out->failed ? CKR_HOST_MEMORY : rv;
}

CK_RV ck_get_bool(struct ck_session *s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type, bool *out)
{
    CK_BBOOL value = CK_FALSE;
    CK_ATTRIBUTE attr = {type, &value, sizeof value};
    CK_RV rv = CK_CALL(s, C_GetAttributeValue, o, &attr, 1);

    if (rv == CKR_OK && attr.ulValueLen != sizeof value)
        rv = CKR_ATTRIBUTE_TYPE_INVALID;
    if (rv == CKR_OK)
        *out = value != CK_FALSE;
    return rv;
}

CK_RV ck_get_ulong(struct ck_session *s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type, CK_ULONG *out)
{
    CK_ULONG value = 0;
    CK_ATTRIBUTE attr = {type, &value, sizeof value};
    CK_RV rv = CK_CALL(s, C_GetAttributeValue, o, &attr, 1);

    if (rv == CKR_OK && attr.ulValueLen != sizeof value)
        rv = CKR_ATTRIBUTE_TYPE_INVALID;
    if (rv == CKR_OK)
        *out = value;
    return rv;
}

CK_RV ck_get_all(struct ck_session *s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *attrs, CK_ULONG n)
{
    return CK_CALL(s, C_GetAttributeValue, o, attrs, n);
}

CK_RV ck_get_length(struct ck_session *s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type, CK_ULONG *out)
{
    CK_ATTRIBUTE attr = {type, NULL, 0};
    CK_RV rv = CK_CALL(s, C_GetAttributeValue, o, &attr, 1);

    if (rv == CKR_OK)
        *out = attr.ulValueLen == CK_UNAVAILABLE_INFORMATION ? 0 : attr.ulValueLen;
    return rv;
}

CK_RV ck_generate(struct ck_session *s, CK_MECHANISM *m, CK_ATTRIBUTE *attrs, CK_ULONG n,
                  CK_OBJECT_HANDLE *out)
{
    return CK_CALL(s, C_GenerateKey, m, attrs, n, out);
}

CK_RV ck_generate_pair(struct ck_session *s, CK_MECHANISM *m, struct ck_attrs public,
                       struct ck_attrs private, struct ck_pair *out)
{
    return CK_CALL(s, C_GenerateKeyPair, m, public.attrs, public.n, private.attrs, private.n,
                   &out->public, &out->private);
}

CK_RV ck_destroy(struct ck_session *s, CK_OBJECT_HANDLE o)
{
    return CK_CALL(s, C_DestroyObject, o);
}

/* Take what a call wrote into its scratch space, and wipe that. */
static CK_RV output_take(CK_RV rv, uint8_t *scratch, CK_ULONG len, struct buf *out)
{
    if (rv == CKR_OK && len > CK_OUTPUT_MAX)
        rv = CKR_GENERAL_ERROR;
    if (rv == CKR_OK)
        buf_append(out, scratch, len);
    OPENSSL_cleanse(scratch, CK_OUTPUT_MAX);
    return rv == CKR_OK && out->failed ? CKR_HOST_MEMORY : rv;
}

/* PKCS#11 takes its input by pointers that are not const, and does not write through them. */
static CK_BYTE *input_of(struct bytes in)
{
    return (CK_BYTE *)(uintptr_t)in.data;
}

CK_RV ck_sign(struct ck_session *s, CK_MECHANISM *m, CK_OBJECT_HANDLE key, struct bytes in,
              struct buf *out)
{
    uint8_t scratch[CK_OUTPUT_MAX];
    CK_ULONG len = sizeof scratch;
    CK_RV rv = CK_CALL(s, C_SignInit, m, key);

    if (rv != CKR_OK)
        return rv;
    rv = CK_CALL(s, C_Sign, input_of(in), in.len, scratch, &len);
    return output_take(rv, scratch, len, out);
}

CK_RV ck_encrypt(struct ck_session *s, CK_MECHANISM *m, CK_OBJECT_HANDLE key, struct bytes in,
                 struct buf *out)
{
    uint8_t scratch[CK_OUTPUT_MAX];
    CK_ULONG len = sizeof scratch;
    CK_RV rv = CK_CALL(s, C_EncryptInit, m, key);

    if (rv != CKR_OK)
        return rv;
    rv = CK_CALL(s, C_Encrypt, input_of(in), in.len, scratch, &len);
    return output_take(rv, scratch, len, out);
}

CK_RV ck_decrypt(struct ck_session *s, CK_MECHANISM *m, CK_OBJECT_HANDLE key, struct bytes in,
                 struct buf *out)
{
    uint8_t scratch[CK_OUTPUT_MAX];
    CK_ULONG len = sizeof scratch;
    CK_RV rv = CK_CALL(s, C_DecryptInit, m, key);

    if (rv != CKR_OK)
        return rv;
    rv = CK_CALL(s, C_Decrypt, input_of(in), in.len, scratch, &len);
    return output_take(rv, scratch, len, out);
}

CK_RV ck_wrap(struct ck_session *s, CK_MECHANISM *m, CK_OBJECT_HANDLE kek, CK_OBJECT_HANDLE key,
              struct buf *out)
{
    uint8_t scratch[CK_OUTPUT_MAX];
    CK_ULONG len = sizeof scratch;
    CK_RV rv = CK_CALL(s, C_WrapKey, m, kek, key, scratch, &len);

    return output_take(rv, scratch, len, out);
}

CK_RV ck_unwrap(struct ck_session *s, CK_MECHANISM *m, CK_OBJECT_HANDLE kek, struct bytes wrapped,
                struct ck_attrs attrs, CK_OBJECT_HANDLE *out)
{
    return CK_CALL(s, C_UnwrapKey, m, kek, input_of(wrapped), wrapped.len, attrs.attrs, attrs.n,
                   out);
}

CK_RV ck_derive(struct ck_session *s, CK_MECHANISM *m, CK_OBJECT_HANDLE key, struct ck_attrs attrs,
                CK_OBJECT_HANDLE *out)
{
    return CK_CALL(s, C_DeriveKey, m, key, attrs.attrs, attrs.n, out);
}

CK_RV ck_probe(struct ck_session *s)
{
    CK_SESSION_INFO info = {0};
    CK_RV rv = CK_CALL(s, C_GetSessionInfo, &info);

    if (rv == CKR_OK && info.state != CKS_RW_USER_FUNCTIONS && info.state != CKS_RO_USER_FUNCTIONS)
        rv = CKR_USER_NOT_LOGGED_IN;
    return rv;
}
