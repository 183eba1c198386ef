/* SPDX-License-Identifier: GPL-3.0-or-later */
/* commands.h - the four commands of sealrelay-enroll, each one function over its options. */
#ifndef SEALRELAY_ENROLL_COMMANDS_H
#define SEALRELAY_ENROLL_COMMANDS_H

#include "provisioning/enroll/folder.h"

/* What the command line said; strings borrowed, NULL: not given. */
struct options {
    struct folder folder;
    bool yes;                        /* no question before begin */
    const char *passphrase_file;     /* or "fd:N" */
    const char *new_passphrase_file; /* of the key that add-key makes */
    const char *new_dir;             /* where add-key puts the new key */
    const char *key;                 /* withdraw-key: a certificate file, or the key's hex hash */
    int64_t now_s;
};

/* command_begin - from the relay's request to root, intermediate, user key and enrolment.json.
 * Errors: ERR_FORMAT (the request), ERR_REFUSED (not confirmed, folder open to others),
 * ERR_EXISTS, ERR_CONFIG (passphrase), ERR_IO, ERR_NOSPACE, ERR_NOMEM; nothing is handed back. */
enum err command_begin(const struct options *o, const char *request_path);

/* command_finish - check the relay's certificate, write it and the PKCS #12 files.
 * Errors: as command_begin; ERR_REFUSED (the certificate is not what was asked for). */
enum err command_finish(const struct options *o, const char *certificate_path);

/* command_request - a request signed by the enrolled key.
 *   verb   "add-key", "withdraw-key", "deactivate", "delete"
 *   nonce  from the relay, good once
 *   out    file to hand to the relay
 * Errors: as command_begin; ERR_USAGE (unknown verb, malformed nonce or key). */
enum err command_request(const struct options *o, const char *verb, const char *nonce,
                         const char *out);

/* command_show - what the folder holds and what comes next; reads no private key. */
enum err command_show(const struct options *o);

#endif
