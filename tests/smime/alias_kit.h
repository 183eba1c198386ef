/* SPDX-License-Identifier: GPL-3.0-or-later */
/* alias_kit.h - a reverse alias whose key lies in a real key service, and ciphertexts to it that
 * are wrong in one place. */
#ifndef SEALRELAY_TESTS_ALIAS_KIT_H
#define SEALRELAY_TESTS_ALIAS_KIT_H

#include "tests/hsm/service_fixture.h"
#include "tests/smime/reply_kit.h"

struct alias {
    struct hsm *relay; /* borrowed */
    id_text profile;
    struct hsm_sender sender;
    X509 *cert;
};

/* alias_new - a profile with one correspondent. */
enum err alias_new(const struct service_fixture *f, struct hsm *relay, enum key_type type,
                   struct alias *out);
void alias_clear(struct alias *a);

/* alias_open - a message to this alias, opened with its key in the service. */
void alias_open(const struct test_pki *p, struct alias *a, struct bytes ber,
                struct reply_opened *out);

/* ber_replace - the element found by child numbers from the outermost one, with other contents.
 * Everything above it gets a new length. */
void ber_replace(struct bytes ber, const size_t *path, size_t depth, struct bytes contents,
                 struct buf *out);
/* ber_find - the contents of that element. */
struct bytes ber_find(struct bytes ber, const size_t *path, size_t depth);

/* Where the encrypted content key lies in an EnvelopedData to one recipient by RSA. */
extern const size_t alias_content_key[5];

/* alias_key_set - with another encrypted content key: this block, as it is, through RSA. */
void alias_key_set(const struct alias *a, struct bytes ber, struct bytes block, struct buf *out);

/* alias_block - a PKCS#1 v1.5 block of 256 bytes around a key of n bytes; bad: its type is wrong.
 */
void alias_block(size_t n, bool bad, uint8_t out[256]);

#endif
