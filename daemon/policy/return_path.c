/* SPDX-License-Identifier: GPL-3.0-or-later */
/* return_path.c - envelope senders that only we can make. */
#include "daemon/policy/return_path.h"
#include "daemon/base/codec.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#define ID_BYTES   (ID_LEN * 5 / 8)
#define DAY_BYTES  2
#define MAC_BYTES  10 /* 80 bits: a guess is one RCPT */
#define CODE_BYTES (ID_BYTES + DAY_BYTES + MAC_BYTES)
#define DAY_S      86400

/* The domain is part of what is authentic: a code is good in one domain only. */
static enum err return_path_mac(const uint8_t *key, const uint8_t *head, const char *domain,
                                uint8_t out[MAC_BYTES])
{
    uint8_t data[ID_BYTES + DAY_BYTES + HSM_ADDRESS_MAX];
    uint8_t mac[EVP_MAX_MD_SIZE];
    size_t domain_len = strlen(domain);

    if (domain_len > HSM_ADDRESS_MAX)
        return ERR_FORMAT;
    memcpy(data, head, ID_BYTES + DAY_BYTES);
    memcpy(data + ID_BYTES + DAY_BYTES, domain, domain_len);
    if (!HMAC(EVP_sha256(), key, RETURN_PATH_KEY_LEN, data, ID_BYTES + DAY_BYTES + domain_len, mac,
              NULL))
        return err_note_openssl(ERR_NOMEM, "HMAC");
    memcpy(out, mac, MAC_BYTES);
    return ERR_OK;
}

enum err return_path_make(const uint8_t key[RETURN_PATH_KEY_LEN], const char *id,
                          const char *domain, int64_t now_s, address_text out)
{
    CLEANUP(buf_clear) struct buf code = {0};
    CLEANUP(buf_clear) struct buf text = {0};
    uint16_t day = (uint16_t)(now_s / DAY_S + RETURN_PATH_DAYS);
    uint8_t day_bytes[DAY_BYTES] = {(uint8_t)(day >> 8), (uint8_t)day};
    uint8_t mac[MAC_BYTES];
    enum err e;

    if (!id_is_valid(id))
        return ERR_FORMAT;
    e = base32_decode(bytes_of(id), &code);
    buf_append(&code, day_bytes, sizeof day_bytes);
    if (!e)
        e = buf_error(&code);
    if (!e)
        e = return_path_mac(key, code.data, domain, mac);
    if (e)
        return e;
    buf_append(&code, mac, sizeof mac);
    base32_append(&text, buf_bytes(&code));
    e = buf_error(&code) ? ERR_NOMEM : buf_error(&text);
    if (!e &&
        snprintf(out, HSM_ADDRESS_MAX + 1, "b-%s@%s", buf_str(&text), domain) > HSM_ADDRESS_MAX)
        e = ERR_FORMAT;
    return e;
}

enum err return_path_read(const uint8_t key[RETURN_PATH_KEY_LEN], const char *address,
                          int64_t now_s, id_text id_out)
{
    CLEANUP(buf_clear) struct buf code = {0};
    CLEANUP(buf_clear) struct buf id = {0};
    const char *at = strrchr(address, '@');
    uint8_t mac[MAC_BYTES];
    uint16_t day;
    enum err e;

    if (!at || strncmp(address, "b-", 2) != 0)
        return ERR_FORMAT;
    e = base32_decode((struct bytes){(const uint8_t *)address + 2, (size_t)(at - address) - 2},
                      &code);
    if (e || code.len != CODE_BYTES)
        return e ? e : ERR_FORMAT;
    e = return_path_mac(key, code.data, at + 1, mac);
    if (e)
        return e;
    if (CRYPTO_memcmp(mac, code.data + ID_BYTES + DAY_BYTES, MAC_BYTES) != 0)
        return ERR_FORMAT;
    day = (uint16_t)(code.data[ID_BYTES] << 8 | code.data[ID_BYTES + 1]);
    if (now_s / DAY_S > day)
        return ERR_EXPIRED;
    base32_append(&id, (struct bytes){code.data, ID_BYTES});
    e = buf_error(&id);
    if (!e)
        memcpy(id_out, id.data, ID_LEN + 1);
    return e;
}
