/* SPDX-License-Identifier: GPL-3.0-or-later */
/* key.c - the key object behind a provided EVP_PKEY, and its way to the key service. */
#include "hsm/provider/key.h"
#include "hsm/provider/provider.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local enum err last_error;

struct provided_key *provided_key_new(const char *type)
{
    struct provided_key *key = calloc(1, sizeof *key);

    if (key) {
        key->users = 1;
        key->type = type;
    }
    return key;
}

struct provided_key *provided_key_use(struct provided_key *key)
{
    (void)__atomic_add_fetch(&key->users, 1, __ATOMIC_RELAXED);
    return key;
}

void provided_key_free(struct provided_key *key)
{
    if (!key || __atomic_sub_fetch(&key->users, 1, __ATOMIC_ACQ_REL))
        return;
    EVP_PKEY_free(key->public);
    free(key->profile);
    free(key->reverse);
    buf_clear(&key->blob);
    buf_clear(&key->spki);
    free(key);
}

enum err provided_key_operate(const struct provided_key *key, enum hsm_mechanism mechanism,
                              const char *md, const char *mgf1_md, struct bytes input,
                              struct buf *out)
{
    struct hsm_key_ref ref = {key->profile, key->reverse, buf_bytes(&key->blob),
                              buf_bytes(&key->spki)};

    if (key->hsm)
        last_error = hsm_key_use(key->hsm, &ref, mechanism, md, mgf1_md, input, out);
    else
        last_error = err_note(ERR_USAGE, "provider", "a public key has no private operation");
    if (last_error)
        ERR_raise_data(ERR_LIB_PROV, ERR_R_OPERATION_FAIL, "key service: %s", err_name(last_error));
    return last_error;
}

enum err provider_last_error(void)
{
    return last_error;
}

void provider_clear_error(void)
{
    last_error = ERR_OK;
}

const char *digest_name(const char *any)
{
    const EVP_MD *md = any ? EVP_get_digestbyname(any) : NULL;

    return md ? OBJ_nid2sn(EVP_MD_get_type(md)) : NULL;
}

int output_take(struct bytes result, unsigned char *out, size_t *len, size_t room)
{
    if (result.len > room) {
        ERR_raise(ERR_LIB_PROV, ERR_R_PASSED_INVALID_ARGUMENT);
        return 0;
    }
    if (result.len)
        memcpy(out, result.data, result.len);
    *len = result.len;
    return 1;
}
