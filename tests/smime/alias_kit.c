/* SPDX-License-Identifier: GPL-3.0-or-later */
/* alias_kit.c - the relay's side of a reverse alias, and surgery on BER. */
#include "tests/smime/alias_kit.h"
#include "daemon/smime/ber.h"
#include "hsm/provider/provider.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <string.h>

/* info / [0] / EnvelopedData / recipientInfos / first / encryptedKey */
const size_t alias_content_key[5] = {1, 0, 1, 0, 3};

enum err alias_new(const struct service_fixture *f, struct hsm *relay, enum key_type type,
                   struct alias *out)
{
    struct alias a = {.relay = relay};
    const uint8_t *p;
    enum err e = service_fixture_profile(f, type, a.profile);

    if (!e)
        e = hsm_sender_new(relay, a.profile, SERVICE_DOMAIN, NULL, false, &a.sender);
    if (e)
        return e;
    p = a.sender.cert.data;
    a.cert = d2i_X509(NULL, &p, (long)a.sender.cert.len);
    *out = a;
    return a.cert ? ERR_OK : ERR_FORMAT;
}

void alias_clear(struct alias *a)
{
    hsm_sender_clear(&a->sender);
    X509_free(a->cert);
}

static enum err alias_load(void *ctx, size_t which, size_t content_key_len, EVP_PKEY **out)
{
    const struct alias *a = ctx;
    struct hsm_key_ref ref = {
        .profile = a->profile, .reverse = a->sender.reverse, .blob = buf_bytes(&a->sender.blob)};
    enum err e;

    (void)which;
    provider_clear_error();
    e = provider_key(a->relay, &ref, a->cert, out);
    return e ? e : provider_key_expect(*out, content_key_len);
}

void alias_open(const struct test_pki *p, struct alias *a, struct bytes ber,
                struct reply_opened *out)
{
    struct reply_opening how = {
        .alias = a->cert, .load = alias_load, .load_ctx = a, .key_error = provider_last_error};
    CLEANUP(buf_clear) struct buf entity = {0};

    reply_cms_append(ber, &entity);
    reply_open(p, &how, buf_bytes(&entity), out);
}

/* ---- BER ---- */

static void element_append(uint8_t tag, struct bytes contents, struct buf *out)
{
    uint8_t head[] = {tag, 0x83, (uint8_t)(contents.len >> 16), (uint8_t)(contents.len >> 8),
                      (uint8_t)contents.len};

    buf_append(out, head, sizeof head);
    buf_append_bytes(out, contents);
}

void ber_replace(struct bytes ber, const size_t *path, size_t depth, struct bytes contents,
                 struct buf *out)
{
    CLEANUP(buf_clear) struct buf inside = {0};
    struct ber whole, child;
    struct bytes rest;

    assert_true(ber_next(&ber, &whole));
    if (!depth) {
        element_append(whole.tag, contents, out);
        return;
    }
    rest = whole.contents;
    for (size_t i = 0; rest.len; i++) {
        const uint8_t *start = rest.data;
        struct bytes one;

        assert_true(ber_next(&rest, &child));
        one = (struct bytes){start, (size_t)(rest.data - start)};
        if (i == path[0])
            ber_replace(one, path + 1, depth - 1, contents, &inside);
        else
            buf_append_bytes(&inside, one);
    }
    element_append(whole.tag, buf_bytes(&inside), out);
}

struct bytes ber_find(struct bytes ber, const size_t *path, size_t depth)
{
    struct ber at;

    assert_true(ber_next(&ber, &at));
    for (size_t i = 0; i < depth; i++) {
        struct bytes rest = at.contents;

        for (size_t n = 0; n <= path[i]; n++)
            assert_true(ber_next(&rest, &at));
    }
    return at.contents;
}

/* ---- blocks ---- */

void alias_key_set(const struct alias *a, struct bytes ber, struct bytes block, struct buf *out)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(X509_get0_pubkey(a->cert), NULL);
    uint8_t made[512];
    size_t len = sizeof made;

    assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING), 1);
    assert_int_equal(EVP_PKEY_encrypt(ctx, made, &len, block.data, block.len), 1);
    EVP_PKEY_CTX_free(ctx);
    ber_replace(ber, alias_content_key, 5, (struct bytes){made, len}, out);
}

void alias_block(size_t n, bool bad, uint8_t out[256])
{
    assert_int_equal(RAND_bytes(out, 256), 1);
    for (size_t i = 0; i < 256; i++)
        out[i] = out[i] ? out[i] : 1;
    out[0] = 0;
    out[1] = bad ? 3 : 2;
    out[255 - n] = 0;
}
