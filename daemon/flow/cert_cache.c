/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cert_cache.c - a table of fixed size; a certificate pushes out whichever had its place.
 *
 * Each message needs the sender's certificate, the intermediate's and the user's, and OpenSSL 3.0
 * looks for a decoder among all of its own for each EC key that it parses. The whole encoding is
 * the key, so nothing here can be out of date, and nothing is trusted for being here. */
#include "daemon/flow/cert_cache.h"

#include <openssl/x509.h>
#include <pthread.h>
#include <string.h>

#define PLACES 256 /* about 2 MB when all are taken */

static struct place {
    struct buf der;
    X509 *cert;
} places[PLACES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* FNV-1a; who finds collisions has made two certificates slow. */
static size_t place_of(struct bytes der)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < der.len; i++)
        hash = (hash ^ der.data[i]) * 16777619u;
    return hash % PLACES;
}

static X509 *find(const struct place *p, struct bytes der)
{
    if (!p->cert || p->der.len != der.len || memcmp(p->der.data, der.data, der.len) != 0 ||
        !X509_up_ref(p->cert))
        return NULL;
    return p->cert;
}

static void keep(struct place *p, struct bytes der, X509 *cert)
{
    X509_free(p->cert);
    p->cert = NULL;
    buf_reset(&p->der);
    buf_append_bytes(&p->der, der);
    if (!buf_error(&p->der) && X509_up_ref(cert))
        p->cert = cert;
}

X509 *cert_parse(struct bytes der)
{
    struct place *p = &places[place_of(der)];
    const uint8_t *at = der.data;
    X509 *cert;

    (void)pthread_mutex_lock(&lock);
    cert = find(p, der);
    (void)pthread_mutex_unlock(&lock);
    if (cert)
        return cert;
    cert = d2i_X509(NULL, &at, (long)der.len);
    if (!cert || at != der.data + der.len) {
        X509_free(cert);
        return NULL;
    }
    (void)pthread_mutex_lock(&lock);
    keep(p, der, cert);
    (void)pthread_mutex_unlock(&lock);
    return cert;
}
