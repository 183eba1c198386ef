/* SPDX-License-Identifier: GPL-3.0-or-later */
/* notice.h - what the relay itself has to tell a user: always sealed, always to their mailboxes.
 *
 * A notice is signed by a sender key of its own, one a profile, so that the user's client trusts it
 * as it trusts every relayed message. RFC 3834: null return path, Auto-Submitted. */
#ifndef SEALRELAY_FLOW_NOTICE_H
#define SEALRELAY_FLOW_NOTICE_H

#include "daemon/flow/forward.h"

#include <openssl/x509.h>

struct notice_letter {
    const char *subject;          /* ASCII; visible to the mailbox provider: says nothing */
    const char *text;             /* UTF-8 lines with CRLF */
    const STACK_OF(X509) * certs; /* of correspondents, for the user's client; NULL: none */
    const char *id;               /* of the first mailbox's queue entry; NULL: a new one */
    const char *closes;           /* the failure that the first entry closes; NULL: none */
};

/* notice_post - seal a letter for every mailbox of a profile, and commit all or none.
 * Errors: as notice_send; ERR_BUG (the id is in use). */
enum err notice_post(struct forward *f, const char *profile, const struct notice_letter *letter,
                     int64_t now_s);

/* notice_send - seal a text for every mailbox of a profile, and commit it.
 *   subject  ASCII; visible to the mailbox provider: says nothing of the content
 *   text     UTF-8 lines with CRLF
 * Errors: ERR_WRONG_STATE (no certificate to seal to; suspended because its mailbox bounces), those
 * of store, queue and key service. */
enum err notice_send(struct forward *f, const char *profile, const char *subject, const char *text,
                     int64_t now_s);

/* notice_send_closing - the same, about a message that failed: the failure is closed with the
 * first notice, so that it is told of once. Errors: also ERR_WRONG_STATE (it was closed). */
enum err notice_send_closing(struct forward *f, const char *profile, const char *subject,
                             const char *text, const char *failure, int64_t now_s);

/* notice_activation - mail a fresh activation code of a ready profile.
 * Errors: as notice_send and hsm_activation_code. */
enum err notice_activation(struct forward *f, const char *profile, int64_t now_s);

/* notice_keys - tell a user, at every key, which keys the profile's mail is sealed to now: after a
 * key was added or withdrawn. Errors: as notice_send, ERR_TAMPERED. */
enum err notice_keys(struct forward *f, const char *profile, int64_t now_s);

#endif
