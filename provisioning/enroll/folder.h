/* SPDX-License-Identifier: GPL-3.0-or-later */
/* folder.h - the user's folder: mode 0700, its files 0600, nothing overwritten unasked. */
#ifndef SEALRELAY_ENROLL_FOLDER_H
#define SEALRELAY_ENROLL_FOLDER_H

#include "daemon/base/buf.h"

#define FOLDER_FILE_MAX_BYTES (256u * 1024)

/* Names of the files in it. */
#define FILE_REQUEST      "request.json"
#define FILE_ENROLMENT    "enrolment.json"
#define FILE_USER_KEY     "user-key.pem"
#define FILE_ROOT_PEM     "root.pem"
#define FILE_ROOT_DER     "root.cer"
#define FILE_ROOT_CRL     "root.crl"
#define FILE_CA_PEM       "intermediate.pem"
#define FILE_CA_DER       "intermediate.cer"
#define FILE_KILL_SWITCH  "kill-switch.crl"
#define FILE_TRANSCRIPT   "transcript.txt"
#define FILE_USER_PEM     "user.pem"
#define FILE_USER_DER     "user.cer"
#define FILE_P12_MODERN   "identity-modern.p12"
#define FILE_P12_COMPAT   "identity-compatible.p12"
#define FILE_P12_IDENTITY "identity-only.p12"

/* A folder in use; plain values, path borrowed. */
struct folder {
    const char *path;
    bool force; /* existing files may be replaced */
};

/* folder_make - make the folder, or check that an existing one is ours alone.
 * folder_check - the check only. Errors: ERR_REFUSED (the note says what to do), ERR_IO. */
enum err folder_make(const struct folder *f);
enum err folder_check(const struct folder *f);
/* folder_expect_free - may these files be written? Without force none of them may exist.
 * Errors: ERR_EXISTS. */
enum err folder_expect_free(const struct folder *f, const char *const *names, size_t n);
/* folder_write - a file whole, durably, mode 0600. folder_append - at its end, for the transcript.
 * Errors: ERR_EXISTS, ERR_IO, ERR_NOSPACE. */
enum err folder_write(const struct folder *f, const char *name, struct bytes data);
enum err folder_append(const struct folder *f, const char *name, struct bytes data);
/* folder_read - a file whole, appended. Errors: ERR_NOT_FOUND, ERR_TOO_BIG, ERR_IO. */
enum err folder_read(const struct folder *f, const char *name, struct buf *out);
bool folder_has(const struct folder *f, const char *name);

#endif
