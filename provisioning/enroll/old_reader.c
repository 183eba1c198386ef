/* SPDX-License-Identifier: GPL-3.0-or-later */
/* old_reader.c - derives what gpgsm derives, as far as its mistake. */
#include "provisioning/enroll/old_reader.h"

#include <openssl/evp.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <string.h>

#define BLOCK 64u /* v of SHA-1 */
#define HASH  20u /* u */

/* Does block + digest, repeated, + 1 begin with a byte that is not zero? */
static bool sum_is_full(const uint8_t block[BLOCK], const uint8_t digest[HASH])
{
    unsigned carry = 1;

    for (unsigned i = BLOCK; i-- > 0;)
        carry = (carry >> 8) + block[i] + digest[i % HASH];
    return (carry & 0xff) != 0;
}

static void repeat(uint8_t block[BLOCK], const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < BLOCK; i++)
        block[i] = data[i % len];
}

/* The passphrase as a BMPString with its NUL. */
static void repeat_passphrase(uint8_t block[BLOCK], const char *pass)
{
    size_t len = strlen(pass) + 1;

    for (size_t i = 0; i < BLOCK; i += 2) {
        block[i] = 0;
        block[i + 1] = (uint8_t)pass[(i / 2) % len];
    }
}

/* The first block of a key is a digest; the second one's input is what goes wrong. */
static bool key_is_taken(const X509_ALGOR *algorithm, const char *pass)
{
    const void *value = NULL;
    int type = V_ASN1_UNDEF;
    PBEPARAM *param;
    uint8_t digest[HASH];
    uint8_t block[BLOCK];
    bool taken = false;

    X509_ALGOR_get0(NULL, &type, &value, algorithm);
    param = type == V_ASN1_SEQUENCE ? ASN1_item_unpack(value, ASN1_ITEM_rptr(PBEPARAM)) : NULL;
    if (param && ASN1_STRING_length(param->salt) > 0 &&
        PKCS12_key_gen_asc(pass, -1, param->salt->data, ASN1_STRING_length(param->salt),
                           PKCS12_KEY_ID, (int)ASN1_INTEGER_get(param->iter), HASH, digest,
                           EVP_sha1()) == 1) {
        repeat(block, ASN1_STRING_get0_data(param->salt), (size_t)ASN1_STRING_length(param->salt));
        taken = sum_is_full(block, digest);
        repeat_passphrase(block, pass);
        taken = taken && sum_is_full(block, digest);
    }
    OPENSSL_cleanse(digest, sizeof digest);
    OPENSSL_cleanse(block, sizeof block);
    PBEPARAM_free(param);
    return taken;
}

static bool bags_are_taken(PKCS7 *safe, const char *pass)
{
    STACK_OF(PKCS12_SAFEBAG) *bags = PKCS12_unpack_p7data(safe);
    bool taken = bags != NULL;

    for (int i = 0; taken && i < sk_PKCS12_SAFEBAG_num(bags); i++) {
        const X509_SIG *key = PKCS12_SAFEBAG_get0_pkcs8(sk_PKCS12_SAFEBAG_value(bags, i));
        const X509_ALGOR *algorithm = NULL;

        if (key)
            X509_SIG_get0(key, &algorithm, NULL);
        taken = !algorithm || key_is_taken(algorithm, pass);
    }
    sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
    return taken;
}

bool old_reader_takes(const PKCS12 *p12, const char *pass)
{
    STACK_OF(PKCS7) *safes = PKCS12_unpack_authsafes(p12);
    bool taken = safes != NULL;

    for (int i = 0; taken && i < sk_PKCS7_num(safes); i++) {
        PKCS7 *safe = sk_PKCS7_value(safes, i);

        taken = PKCS7_type_is_encrypted(safe)
                    ? key_is_taken(safe->d.encrypted->enc_data->algorithm, pass)
                    : bags_are_taken(safe, pass);
    }
    sk_PKCS7_pop_free(safes, PKCS7_free);
    return taken;
}
