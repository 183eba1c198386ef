/* SPDX-License-Identifier: GPL-3.0-or-later */
/* request.h - a request signed by an enrolled user key: who signed, and what it says.
 *
 * The content holds exactly one line "sealrelay: VERB PROFILE SPKI-SHA256HEX NONCE"; a mail's other
 * lines around it do not count. */
#ifndef SEALRELAY_HSM_ISSUE_REQUEST_H
#define SEALRELAY_HSM_ISSUE_REQUEST_H

#include "hsm/issue/enrolment.h"
#include "hsm/record/record.h"

#define REQUEST_CMS_MAX   ((size_t)64 * 1024)
#define REQUEST_NONCE_MAX 64
#define USER_GRACE_S      (90 * DAY_S) /* an expired user key still counts */

struct signed_line {
    enum user_verb verb;
    id_text profile;
    bool has_spki;
    uint8_t spki_sha256[32];
    char nonce[REQUEST_NONCE_MAX + 1];
};

/* signed_line_parse - find and read the line in a content. Errors: ERR_FORMAT. */
enum err signed_line_parse(struct bytes content, struct signed_line *out);

/* request_verify - one signer, an enrolled key of the record that is not withdrawn and not expired
 * for more than USER_GRACE_S, a signature over embedded content.
 *   signer_out  index into record->keys
 * Errors: ERR_REFUSED, the note says why; ERR_FORMAT. */
enum err request_verify(const struct record *r, struct bytes cms_der, int64_t now_s,
                        struct signed_line *out, size_t *signer_out);

#endif
