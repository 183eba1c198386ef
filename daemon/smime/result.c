/* SPDX-License-Identifier: GPL-3.0-or-later */
/* result.c - what was opened: whom it names, and its end. */
#include "daemon/smime/open.h"

#include <openssl/crypto.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

const char *open_kind_name(enum open_kind kind)
{
    switch (kind) {
    case OPEN_PLAIN:
        return "plain";
    case OPEN_SIGNED:
        return "signed";
    case OPEN_ENCRYPTED:
        return "encrypted";
    case OPEN_ENCRYPTED_SIGNED:
        return "encrypted and signed";
    }
    return "?";
}

static bool recipient_is(const struct open_recipient *r, X509 *cert)
{
    const ASN1_OCTET_STRING *key_id = X509_get0_subject_key_id(cert);
    unsigned char *issuer = NULL, *serial = NULL;
    int issuer_len, serial_len;
    bool same;

    if (!r->issuer.len)
        return key_id && r->serial.len &&
               bytes_equal(buf_bytes(&r->serial),
                           (struct bytes){ASN1_STRING_get0_data(key_id),
                                          (size_t)ASN1_STRING_length(key_id)});
    issuer_len = i2d_X509_NAME(X509_get_issuer_name(cert), &issuer);
    serial_len = i2d_ASN1_INTEGER(X509_get0_serialNumber(cert), &serial);
    same = issuer_len > 0 && serial_len > 0 &&
           bytes_equal(buf_bytes(&r->issuer), (struct bytes){issuer, (size_t)issuer_len}) &&
           bytes_equal(buf_bytes(&r->serial), (struct bytes){serial, (size_t)serial_len});
    OPENSSL_free(issuer);
    OPENSSL_free(serial);
    return same;
}

bool open_result_names(const struct open_result *r, X509 *cert)
{
    for (size_t i = 0; i < r->n_recipients; i++)
        if (recipient_is(&r->recipients[i], cert))
            return true;
    return false;
}

void open_result_clear(struct open_result *r)
{
    if (!r)
        return;
    secret_free(&r->plain);
    for (size_t i = 0; i < r->n_recipients; i++) {
        buf_clear(&r->recipients[i].issuer);
        buf_clear(&r->recipients[i].serial);
    }
    free(r->recipients);
    *r = (struct open_result){0};
}
