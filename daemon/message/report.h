/* SPDX-License-Identifier: GPL-3.0-or-later */
/* report.h - what came back about a message that had left: a delivery report, an automatic answer,
 * or neither.
 *
 * Reads bounded parts of a message and changes nothing. What it says of a message decides whether
 * the delivery failed; none of its content goes anywhere. RFC 3464, RFC 3834, RFC 6522, RFC 6533.
 */
#ifndef SEALRELAY_MESSAGE_REPORT_H
#define SEALRELAY_MESSAGE_REPORT_H

#include "daemon/message/message.h"

#define REPORT_STATUS_MAX     11  /* "5.123.123" and room */
#define REPORT_DIAGNOSTIC_MAX 160 /* characters */

enum report_kind {
    REPORT_NONE,     /* no report */
    REPORT_OTHER,    /* one about something else than a delivery: receipt, complaint */
    REPORT_PASSED,   /* delivered, relayed or expanded */
    REPORT_DELAYED,  /* tried again by whoever has it */
    REPORT_FAILED,   /* for one recipient at least */
    REPORT_UNPARSED, /* is a report by its looks, but does not say of what kind by RFC 3464 */
};

struct report {
    enum report_kind kind;
    char status[REPORT_STATUS_MAX + 1]; /* "5.1.1"; "5.0.0" of a failure that gives none; or "" */
    /* of REPORT_FAILED: what its Diagnostic-Code says behind the type, printable ASCII; or "" */
    char diagnostic[REPORT_DIAGNOSTIC_MAX + 1];
};

/* report_read - of several recipients the worst is told, and of several failures the first with a
 * status of class 5. A report in the words of Postfix, Exim or qmail without a part to be read by
 * machines is REPORT_UNPARSED, and so is what a mail system's own address has written. Never fails.
 */
void report_read(const struct message *m, struct report *out);

/* report_is_automatic - does the message say that no person has written it? Auto-Submitted other
 * than "no" (RFC 3834 5), Precedence bulk, junk or list, List-Id, X-Auto-Response-Suppress and what
 * auto-responders of old put in its place. */
bool report_is_automatic(const struct message *m);

/* report_kind_name - "failed", "delayed", ... */
const char *report_kind_name(enum report_kind k);

#endif
