/* SPDX-License-Identifier: GPL-3.0-or-later */
/* connection.c - request, answer, request, answer.
 *
 * A packet that is no request ends the connection it came on and nothing else: there is no telling
 * what such a client would make of an answer. */
#include "hsm/serve/connection.h"

#include "daemon/base/log.h"
#include "hsm/proto/frame.h"
#include "hsm/proto/message.h"
#include "hsm/serve/dispatch.h"

/* False: the connection is to be closed. */
static bool answer(struct engine *en, enum role role, int fd, struct bytes packet)
{
    CLEANUP(request_free) Seal__Request *request = NULL;
    CLEANUP(reply_clear) struct reply reply = {0};
    enum err e = request_parse(packet, &request);

    if (!e && !request_is_whole(request))
        e = err_note(ERR_FORMAT, "request", "no verb, or fields unknown to us");
    if (e) {
        atomic_fetch_add(&engine_counters(en)->malformed, 1);
        log_event(LOG_LEVEL_WARNING, "hsm.packet", "-", e, -1, "role=%s bytes=%zu", role_name(role),
                  packet.len);
        return false;
    }
    e = dispatch(en, role, request, &reply);
    e = reply_send(fd, e, &reply);
    if (e && e != ERR_NET)
        log_event(LOG_LEVEL_WARNING, "hsm.answer", "-", e, -1, "role=%s", role_name(role));
    return !e;
}

void connection_serve(struct engine *en, enum role role, int fd, int64_t idle_ms)
{
    CLEANUP(buf_wipe) struct buf packet = {0};
    bool open = true;

    while (open) {
        enum err e;

        err_note_clear();
        e = frame_receive(fd, idle_ms, &packet);
        if (e == ERR_TOO_BIG) {
            atomic_fetch_add(&engine_counters(en)->malformed, 1);
            log_event(LOG_LEVEL_WARNING, "hsm.packet", "-", e, -1, "role=%s", role_name(role));
        }
        /* A client that gave up meanwhile wants no answer: do not spend the token on it. */
        open = !e && !frame_peer_gone(fd) && answer(en, role, fd, buf_bytes(&packet));
        buf_wipe(&packet);
    }
}
