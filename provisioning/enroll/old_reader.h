/* SPDX-License-Identifier: GPL-3.0-or-later */
/* old_reader.h - which files in the old form gpgsm 2.2 reads, and all on top of it: KMail,
 * Kleopatra.
 *
 * Where a key takes more than one block, the next block's input is the sum of numbers of 64 bytes
 * (RFC 7292 B.2, step 6C). gpgsm 2.2.40 drops the leading zero bytes of such a sum and moves the
 * rest to the front: about one file in a hundred then opens with no passphrase. */
#ifndef SEALRELAY_ENROLL_OLD_READER_H
#define SEALRELAY_ENROLL_OLD_READER_H

#include <openssl/pkcs12.h>
#include <stdbool.h>

/* old_reader_takes - do none of the sums for this PBE-SHA1-3DES file begin with a zero byte?
 *   pass  ASCII, at most 31 characters, as those readers want it */
bool old_reader_takes(const PKCS12 *p12, const char *pass);

#endif
