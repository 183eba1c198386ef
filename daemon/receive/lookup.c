/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lookup.c - moves bytes between a socketmap client and socketmap.h.
 *
 * Answers are sent after each read, so what a client may owe us is bounded by one buffer. */
#include "daemon/receive/lookup.h"

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/receive/link.h"
#include "daemon/receive/socketmap.h"

#define READ_BYTES 4096u

static enum err send_answers(struct link *l, struct buf *out, int64_t patience_ms)
{
    enum err e = buf_error(out);

    if (!e && out->len)
        e = link_write(l, buf_bytes(out), clock_mono_ms() + patience_ms);
    buf_reset(out);
    return e;
}

/* Read, answer, again; ERR_OK when we close. */
static enum err converse(const struct conn_shared *shared, struct link *l, struct buf *out)
{
    int64_t patience_ms = (int64_t)shared->session.command_timeout_s * 1000;
    int64_t deadline = clock_mono_ms() + patience_ms;
    struct socketmap map = {0};
    uint8_t in[READ_BYTES];
    bool going = true;

    while (going) {
        unsigned before = map.requests;
        size_t got = 0;
        enum err e = link_read(l, in, sizeof in, deadline, &got);

        if (e)
            return e;
        going = socketmap_feed(&map, (struct bytes){in, got}, shared->session.handler, out);
        e = send_answers(l, out, patience_ms);
        if (e)
            return e;
        if (map.requests != before)
            deadline = clock_mono_ms() + patience_ms;
        err_note_clear();
    }
    return ERR_OK;
}

void lookup_serve(const struct conn_shared *shared, int fd, const struct peer *peer)
{
    struct link l = {fd, shared->stop_fd, NULL};
    CLEANUP(buf_clear) struct buf out = {0};
    enum err e = converse(shared, &l, &out);

    log_event(LOG_LEVEL_TRACE, "lookup.close", "-", e, -1, "peer=%s", peer->text);
    link_close(&l, e == ERR_OK);
    err_note_clear();
}
