/* SPDX-License-Identifier: GPL-3.0-or-later */
/* body.h - the content of one message, from the runner's socket into libesmtp, chunk by chunk.
 *
 * Guards that need no more than the content and the clock: no stall between two calls, only CRLF
 * lines of 7-bit bytes, the TLS that is required. A guard that trips is final for the message. */
#ifndef SEALRELAY_DELIVER_BODY_H
#define SEALRELAY_DELIVER_BODY_H

#include "daemon/deliver/job.h"

/* What the bodies of one session share. */
struct body_session {
    int fd;              /* the runner's socket */
    int64_t deadline_ms; /* of the session; clock_mono_ms */
    unsigned stall_ms;   /* longest time between two calls */
    bool tls_required;
    bool tls_verified; /* set when certificate and name were found good */
    struct frame frame;
};

struct body {
    struct body_session *session;
    uint16_t index;
    bool begun;
    bool last;            /* the end was handed over, or is the next thing to be said */
    bool after_cr;        /* the last byte was a CR */
    int64_t returned_ms;  /* when the last call returned; 0: not called yet */
    enum job_fault fault; /* sticky */
};

/* body_next - the next chunk.
 *   data_out  points into the session's frame, valid until the next call; length 0 is the end
 * False: the session must end at once (fault says why); every further call answers the same. */
bool body_next(struct body *b, struct bytes *data_out);
/* body_rewind - libesmtp begins to read. A second time for one message is a fault: chunks that
 * are gone cannot come again. */
bool body_rewind(struct body *b);
/* body_content_ok - only CRLF line ends, no NUL, no byte above 127. after_cr: carried from chunk to
 * chunk. */
bool body_content_ok(struct bytes data, bool *after_cr);

#endif
