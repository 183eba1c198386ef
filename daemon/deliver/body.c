/* SPDX-License-Identifier: GPL-3.0-or-later */
/* body.c - chunks on demand, and the guards on them. */
#include "daemon/deliver/body.h"
#include "daemon/base/clock.h"
#include "daemon/base/failpoint.h"

bool body_content_ok(struct bytes data, bool *after_cr)
{
    bool cr = *after_cr;

    for (size_t i = 0; i < data.len; i++) {
        uint8_t c = data.data[i];

        if (cr != (c == '\n') || c == '\0' || c > 0x7f)
            return false;
        cr = c == '\r';
    }
    *after_cr = cr;
    return true;
}

static bool fail(struct body *b, enum job_fault fault)
{
    if (!b->fault)
        b->fault = fault;
    return false;
}

bool body_rewind(struct body *b)
{
    if (b->begun)
        return fail(b, FAULT_BODY);
    b->begun = true;
    return true;
}

static bool fetch(struct body *b)
{
    struct body_session *s = b->session;
    struct frame *f = &s->frame;

    if (frame_send(s->fd, FRAME_WANT, b->index, (struct bytes){0}, s->deadline_ms) ||
        frame_recv(s->fd, f, s->deadline_ms))
        return fail(b, FAULT_BODY);
    if ((f->type != FRAME_CHUNK && f->type != FRAME_LAST) || f->index != b->index)
        return fail(b, FAULT_BODY);
    b->last = f->type == FRAME_LAST;
    /* libesmtp sends a bare LF or CR as it is and stuffs dots only behind CRLF: "\n.\r\n" would
     * leave unstuffed, an end of data to some, the beginning of a smuggled message to others. It
     * may not send 8-bit bytes either: asked for 8BITMIME, it quits where that is not offered. */
    if (!body_content_ok(buf_bytes(&f->payload), &b->after_cr) || (b->last && b->after_cr))
        return fail(b, FAULT_CONTENT);
    return true;
}

/* libesmtp ignores a failed write in the middle of the message, drops its buffer and asks for more
 * as if nothing had happened. So the time between two calls tells: writing one chunk may not take
 * as long as a write may stall. The call that is answered with the end is watched like the others:
 * behind it only the last buffer and the dot are left to write. */
static bool stalled(const struct body *b)
{
    return b->returned_ms && clock_mono_ms() - b->returned_ms > (int64_t)b->session->stall_ms;
}

bool body_next(struct body *b, struct bytes *data_out)
{
    const struct body_session *s = b->session;

    *data_out = (struct bytes){0};
    if (b->fault)
        return false;
    if (!b->begun)
        return fail(b, FAULT_BODY);
    if (s->tls_required && !s->tls_verified)
        return fail(b, FAULT_CERTIFICATE);
    if (stalled(b))
        return fail(b, FAULT_STALL);
    if (!b->last) {
        if (!fetch(b))
            return false;
        *data_out = buf_bytes(&b->session->frame.payload);
        if (failpoint("worker.body"))
            return fail(b, FAULT_LOCAL);
    }
    b->returned_ms = clock_mono_ms();
    return true;
}
