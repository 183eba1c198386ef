/* SPDX-License-Identifier: GPL-3.0-or-later */
/* transcript.h - the record the user keeps: what was made, when, by which version, with which
 * fingerprints. Appended to, never rewritten; it holds nothing secret. */
#ifndef SEALRELAY_ENROLL_TRANSCRIPT_H
#define SEALRELAY_ENROLL_TRANSCRIPT_H

#include "provisioning/enroll/material.h"

/* transcript_head - the first line of an entry: time, version, what was done. */
void transcript_head(struct buf *out, int64_t now_s, const char *what);
/* transcript_names - what the certificates name: profile, organisation, domains, addresses. */
void transcript_names(struct buf *out, const struct request *r);
/* transcript_cert - subject, serial, validity, fingerprints of a certificate and of its key. */
enum err transcript_cert(struct buf *out, const char *title, const X509 *cert);

#endif
