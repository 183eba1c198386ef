/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ber.h - a look at foreign BER before OpenSSL builds objects of it.
 *
 * OpenSSL's decoder spends some hundred bytes on an element of two, and believes counts. Here a
 * structure is walked once, with bounds, and nothing is allocated. ITU-T X.690 8.1. */
#ifndef SEALRELAY_SMIME_BER_H
#define SEALRELAY_SMIME_BER_H

#include "daemon/base/buf.h"

#define BER_DEPTH_MAX    32u    /* OpenSSL's own bound is 30 */
#define BER_ELEMENTS_MAX 65536u /* fifty certificates of many names, and a CRL */

#define BER_SEQUENCE  0x30u
#define BER_SET       0x31u
#define BER_CONTEXT_0 0xa0u

/* One element: identifier octet and contents, without length and end-of-contents octets. */
struct ber {
    uint8_t tag;
    struct bytes contents;
};

/* ber_check - is data one BER element from its first to its last byte, of at most BER_ELEMENTS_MAX
 * elements, BER_DEPTH_MAX deep? The pieces of a constructed octet string do not count.
 * Errors: ERR_FORMAT. */
enum err ber_check(struct bytes data);

/* ber_next - the first element of rest, which moves behind it. For data that passed ber_check;
 * false at its end. */
bool ber_next(struct bytes *rest, struct ber *out);

/* ber_child - the nth element (0 first) inside parent; false when there is none, or it has another
 * tag. */
bool ber_child(const struct ber *parent, size_t nth, uint8_t tag, struct ber *out);

/* ber_count - how many elements stand side by side in parent. */
size_t ber_count(const struct ber *parent);

#endif
