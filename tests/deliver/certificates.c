/* SPDX-License-Identifier: GPL-3.0-or-later */
/* certificates.c - the certificates of next hops, good and bad, as PEM files. */
#include "tests/deliver/hop_fixture.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#define DAY_S (24L * 3600)

static void must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "certificates: %s\n", what);
        abort();
    }
}

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    must(ext && X509_add_ext(cert, ext, -1), value);
    X509_EXTENSION_free(ext);
}

static X509 *cert_new(const char *common_name, long begin_s, long end_s, EVP_PKEY *key)
{
    X509 *cert = X509_new();
    static long serial = 1;

    must(cert && X509_set_version(cert, X509_VERSION_3) &&
             ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++) &&
             X509_gmtime_adj(X509_getm_notBefore(cert), begin_s) &&
             X509_gmtime_adj(X509_getm_notAfter(cert), end_s) && X509_set_pubkey(cert, key) &&
             X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                                        (const unsigned char *)common_name, -1, -1, 0),
         "certificate");
    return cert;
}

static void save(const char *name, X509 *cert, EVP_PKEY *key)
{
    char file[64];
    FILE *f;

    (void)snprintf(file, sizeof file, "%s.pem", name);
    f = fopen(fixture_path(file), "we");
    must(f && PEM_write_X509(f, cert) && fclose(f) == 0, file);
    (void)snprintf(file, sizeof file, "%s.key", name);
    f = fopen(fixture_path(file), "we");
    must(f && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) && fclose(f) == 0, file);
}

static void leaf_make(const char *name, const char *common_name, const char *names, long begin_s,
                      long end_s, X509 *ca, EVP_PKEY *ca_key)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert;

    must(key != NULL, "key");
    cert = cert_new(common_name, begin_s, end_s, key);
    if (names)
        add_extension(cert, NID_subject_alt_name, names);
    must(X509_set_issuer_name(cert, ca ? X509_get_subject_name(ca) : X509_get_subject_name(cert)) &&
             X509_sign(cert, ca ? ca_key : key, EVP_sha256()),
         "signature");
    save(name, cert, key);
    X509_free(cert);
    EVP_PKEY_free(key);
}

void certificates_make(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    const char *names = "DNS:localhost,IP:127.0.0.1";
    X509 *ca;

    must(key != NULL, "key");
    ca = cert_new("Test CA", -DAY_S, 30 * DAY_S, key);
    add_extension(ca, NID_basic_constraints, "critical,CA:TRUE");
    must(X509_set_issuer_name(ca, X509_get_subject_name(ca)) && X509_sign(ca, key, EVP_sha256()),
         "CA");
    save("ca", ca, key);
    leaf_make("good", "hop", names, -DAY_S, 30 * DAY_S, ca, key);
    leaf_make("wrong", "other.example", "DNS:other.example,IP:127.0.0.9", -DAY_S, 30 * DAY_S, ca,
              key);
    leaf_make("cn", "localhost", NULL, -DAY_S, 30 * DAY_S, ca, key);
    leaf_make("expired", "hop", names, -9 * DAY_S, -DAY_S, ca, key);
    leaf_make("self", "hop", names, -DAY_S, 30 * DAY_S, NULL, NULL);
    X509_free(ca);
    EVP_PKEY_free(key);
}
