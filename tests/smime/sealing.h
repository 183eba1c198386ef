/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sealing.h - messages sealed for a test PKI, as files that other programs judge. */
#ifndef SEALRELAY_TESTS_SEALING_H
#define SEALRELAY_TESTS_SEALING_H

#include "daemon/smime/seal.h"
#include "tests/smime/test_pki.h"

#define SEALING_MARKER "quartz-vessel-marker"
#define SEALING_ENTITY "Content-Type: text/plain; hp=\"cipher\"\r\n\r\n" SEALING_MARKER "\r\n"

extern struct test_pki sealing_rsa, sealing_ec;
extern int64_t sealing_time_s; /* signing time: two hours ago, not the clock's own */

/* sealing_start, sealing_end - set-up and tear-down of a group. */
int sealing_start(void **state);
int sealing_end(void **state);

/* sealing_to_buf - a sink; ctx: struct buf. */
enum err sealing_to_buf(void *ctx, const uint8_t *data, size_t len);
/* sealing_run - seal_run with the PKI's certificates; more: entity, and what else differs. */
enum err sealing_run(const struct test_pki *p, const struct seal_job *more, seal_sink sink,
                     void *ctx);
/* sealing_to_file - the sealed message, header included, as dir/sealed.eml; its body as
 * dir/sealed.der. */
void sealing_to_file(const struct test_pki *p, const struct bytes *pieces, size_t n);
/* sealing_decrypt - by openssl, from dir/sealed.eml to dir/signed.eml. */
void sealing_decrypt(const struct test_pki *p);
/* sealing_split - the two parts of dir/signed.eml as dir/entity and dir/signature.der. */
void sealing_split(const struct test_pki *p);

#endif
