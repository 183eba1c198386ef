/* SPDX-License-Identifier: GPL-3.0-or-later */
/* transcript.c - lines of the user's record. */
#include "provisioning/enroll/transcript.h"
#include "provisioning/enroll/pem.h"

#include <openssl/bio.h>
#include <openssl/x509.h>
#include <time.h>

static void append_time(struct buf *out, int64_t at_s)
{
    time_t at = (time_t)at_s;
    struct tm tm;
    char text[32] = "?";

    if (gmtime_r(&at, &tm))
        (void)strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm);
    buf_append_str(out, text);
}

void transcript_head(struct buf *out, int64_t now_s, const char *what)
{
    append_time(out, now_s);
    buf_printf(out, "  sealrelay-enroll %s, %s: %s\n", SEALRELAY_VERSION,
               OpenSSL_version(OPENSSL_VERSION_STRING), what);
}

static void append_list(struct buf *out, const char *title, const struct json_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        buf_printf(out, "  %-18s %s\n", i ? "" : title, l->items[i]);
}

void transcript_names(struct buf *out, const struct request *r)
{
    buf_printf(out, "  %-18s %s\n", "profile", r->profile);
    buf_printf(out, "  %-18s %s, %s\n", "organisation", r->organisation, r->country);
    append_list(out, "relay domains", &r->relay_domains);
    append_list(out, "your addresses", &r->addresses);
}

static enum err append_subject(struct buf *out, const X509 *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len = 0;

    if (bio && X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) >= 0)
        len = BIO_get_mem_data(bio, &text);
    if (len > 0)
        buf_append(out, text, (size_t)len);
    BIO_free(bio);
    return len > 0 ? ERR_OK : err_note_openssl(ERR_NOMEM, "subject");
}

static void append_serial(struct buf *out, const X509 *cert)
{
    BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
    char *hex = n ? BN_bn2hex(n) : NULL;

    buf_append_str(out, hex ? hex : "?");
    OPENSSL_free(hex);
    BN_free(n);
}

enum err transcript_cert(struct buf *out, const char *title, const X509 *cert)
{
    char spki[CERT_SPKI_HEX_LEN + 1];
    struct cert_dates dates;
    enum err e = cert_time(cert, &dates);

    if (!e)
        e = cert_spki_hash(X509_get0_pubkey(cert), spki);
    if (e)
        return e;
    buf_printf(out, "  %-18s ", title);
    e = append_subject(out, cert);
    buf_append_str(out, "\n    serial           ");
    append_serial(out, cert);
    buf_append_str(out, "\n    valid            ");
    append_time(out, dates.not_before_s);
    buf_append_str(out, " to ");
    append_time(out, dates.not_after_s);
    buf_append_str(out, "\n    SHA-256          ");
    if (!e)
        e = cert_fingerprint(cert, out);
    buf_printf(out, "\n    key's SHA-256    %s\n", spki);
    return e ? e : buf_error(out);
}
