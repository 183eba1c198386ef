/* SPDX-License-Identifier: GPL-3.0-or-later */
/* request.h - the door of the key service: no field of a request is used before it was checked.
 *
 * One table of rules by field name serves every message, so a field without a rule cannot be
 * forgotten: it is refused. */
#ifndef SEALRELAY_HSM_REQUEST_H
#define SEALRELAY_HSM_REQUEST_H

#include "hsm/proto/message.h"

/* Bounds of fields, in bytes. */
#define REQUEST_BLOB_MAX     8192u   /* wrapped sender and data keys */
#define REQUEST_SPKI_MAX     1024    /* RSA-4096: 550 */
#define REQUEST_CMS_MAX      65536u  /* a user's SignedData with its certificates */
#define REQUEST_DOCUMENT_MAX 131072u /* enrolment and request files */
#define REQUEST_DIGEST_MAX   64u     /* SHA-512 */
#define REQUEST_CIPHER_MAX   512u    /* one RSA-4096 block, or an uncompressed P-521 point */
#define REQUEST_NAMES_MAX    16u     /* addresses or domains of a profile */

/* request_is_whole - does a decoded request name a verb, and hold nothing we do not know? */
bool request_is_whole(const Seal__Request *r);

/* request_check - every field within its bounds and of its form.
 * Errors: ERR_NOT_FOUND (profile), ERR_TAMPERED (blob, wrapped, reverse: what the store kept),
 * ERR_NOT_ACTIVE (user), ERR_REFUSED (domain), ERR_FORMAT (input, cms, csr, document), ERR_USAGE
 * (anything else). The note names the field, never its content. */
enum err request_check(const Seal__Request *r);

/* request_fields_have_rules - is there a rule for every field of every verb? For the tests. */
bool request_fields_have_rules(void);

/* request_verb_name - "key_use"; "none" when the verb is unknown. Static. */
const char *request_verb_name(Seal__Request__VerbCase verb);

#endif
