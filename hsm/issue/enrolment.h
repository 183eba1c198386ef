/* SPDX-License-Identifier: GPL-3.0-or-later */
/* enrolment.h - the user's files (JSON) parsing without judging.
 *
 * Pure functions of hostile bytes: no token, no record, no clock. */
#ifndef SEALRELAY_HSM_ISSUE_ENROLMENT_H
#define SEALRELAY_HSM_ISSUE_ENROLMENT_H

#include "hsm/issue/key.h"

#define ENROLMENT_JSON_MAX ((size_t)256 * 1024)

struct enrolment {
    id_text profile;
    X509 *root;
    X509 *intermediate;
    X509_CRL *crl; /* the root's */
    X509_REQ *csr; /* of the first user key */
    struct buf statement;
};

/* enrolment_parse - a "sealrelay-enrolment 1" object: exactly its members, each once; every PEM
 * text holds one object. Errors: ERR_FORMAT (the note names the member), ERR_NOMEM. */
enum err enrolment_parse(struct bytes json, struct enrolment *out);
void enrolment_clear(struct enrolment *e);

enum user_verb { VERB_ADD_KEY, VERB_WITHDRAW_KEY, VERB_DEACTIVATE, VERB_DELETE };
/* user_verb_parse - from "add-key", "withdraw-key", "deactivate", "delete"; false: none of these.
 */
bool user_verb_parse(struct bytes s, enum user_verb *out);

struct user_request {
    id_text profile;
    enum user_verb verb;
    struct buf cms; /* DER */
    struct buf csr; /* DER; empty unless add-key */
};

/* user_request_parse - a "sealrelay-user-request 1" object. Errors as enrolment_parse. */
enum err user_request_parse(struct bytes json, struct user_request *out);
void user_request_clear(struct user_request *r);

#endif
