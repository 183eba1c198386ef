/* SPDX-License-Identifier: GPL-3.0-or-later */
/* notice_text.c - what the relay's notices about a profile and its keys say. */
#include "daemon/flow/cert_cache.h"
#include "daemon/flow/notice.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <time.h>

enum err notice_activation(struct forward *f, const char *profile, int64_t now_s)
{
    char code[HSM_CODE_LEN + 1];
    CLEANUP(buf_wipe) struct buf text = {0};
    enum err e = hsm_activation_code(f->hsm, profile, code);

    if (e)
        return e;
    buf_printf(&text,
               "Your mailbox is ready to take sealed mail.\r\n\r\n"
               "To have all mail to your aliases sealed with your new certificate,\r\n"
               "give this code to whoever runs your relay, or type it into its settings page:\r\n"
               "\r\n    %s\r\n\r\n"
               "That you can read this message proves that your certificate is installed.\r\n"
               "Nobody else can read it; do not forward it.\r\n",
               code);
    OPENSSL_cleanse(code, sizeof code);
    e = buf_error(&text);
    return e ? e : notice_send(f, profile, "Activate your sealed mail", buf_str(&text), now_s);
}

/* "  SHA-256 fingerprint of a certificate, when it ends" */
static enum err key_line(struct buf *text, struct bytes cert_der)
{
    uint8_t md[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    struct tm end;
    X509 *cert = cert_parse(cert_der);
    bool good = cert && X509_digest(cert, EVP_sha256(), md, &len) == 1 &&
                ASN1_TIME_to_tm(X509_get0_notAfter(cert), &end) == 1;

    X509_free(cert);
    if (!good)
        return err_note_openssl(ERR_TAMPERED, "user certificate");
    buf_append_str(text, "    ");
    for (unsigned i = 0; i < len; i++)
        buf_printf(text, "%02x%s", md[i], i == len / 2 - 1 ? "\r\n    " : "");
    buf_printf(text, "\r\n    until %04d-%02d-%02d\r\n\r\n", end.tm_year + 1900, end.tm_mon + 1,
               end.tm_mday);
    return buf_error(text);
}

enum err notice_keys(struct forward *f, const char *profile, int64_t now_s)
{
    CLEANUP(hsm_profile_clear) struct hsm_profile p = {0};
    CLEANUP(buf_clear) struct buf text = {0};
    enum err e = hsm_profile_get(f->hsm, profile, &p);

    if (!e && p.n_certs == 0)
        return ERR_OK; /* nobody is left who could read it */
    buf_append_str(&text,
                   "The keys that your mail is sealed to have changed, at the request of one "
                   "of your keys.\r\n"
                   "They are now those of the certificates with these SHA-256 "
                   "fingerprints:\r\n\r\n");
    for (size_t i = 0; !e && i < p.n_certs; i++)
        e = key_line(&text, buf_bytes(&p.certs[i].der));
    buf_append_str(&text, "If one of them is not yours, or one is missing, tell whoever runs your "
                          "relay, and withdraw the key.\r\n");
    if (!e)
        e = buf_error(&text);
    return e ? e : notice_send(f, profile, "Your keys have changed", buf_str(&text), now_s);
}
