/* SPDX-License-Identifier: GPL-3.0-or-later */
/* worker.c - one job, start to end. Each message's result leaves as soon as it is known: were they
 * kept for the end, a crash would deliver all of them again. */
#include "daemon/deliver/worker.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"

#include <stdlib.h>
#include <unistd.h>

#define JOB_WAIT_MS    30000 /* for the runner to say what is to be done */
#define STALL_PERCENT  80    /* of the transfer timeout, between two chunks */
#define REPORT_WAIT_MS 10000 /* for the runner to read a result */

static enum err job_receive(int fd, struct job *job, struct frame *frame)
{
    static const uint8_t version = JOB_VERSION;
    int64_t deadline = clock_mono_ms() + JOB_WAIT_MS;
    enum err e = frame_send(fd, FRAME_READY, 0, (struct bytes){&version, 1}, deadline);

    if (!e)
        e = frame_recv(fd, frame, deadline);
    if (!e && frame->type != FRAME_HEAD)
        e = err_note(ERR_FORMAT, "job_receive", "no head");
    if (!e)
        e = job_decode_head(buf_bytes(&frame->payload), job);
    for (size_t i = 0; !e && i < job->n_messages; i++) {
        e = frame_recv(fd, frame, deadline);
        if (!e && (frame->type != FRAME_MESSAGE || frame->index != i))
            e = err_note(ERR_FORMAT, "job_receive", "no message");
        if (!e)
            e = job_decode_message(buf_bytes(&frame->payload), &job->messages[i]);
    }
    return e;
}

static void report_result(struct esmtp_session *s, size_t index)
{
    CLEANUP(buf_clear) struct buf payload = {0};

    if (job_encode_result(&s->results[index], &payload) ||
        frame_send(s->bodies->fd, FRAME_RESULT, (uint16_t)index, buf_bytes(&payload),
                   clock_mono_ms() + REPORT_WAIT_MS))
        log_event(LOG_LEVEL_WARNING, "worker.report", s->job->messages[index].id, ERR_NET, -1,
                  "result lost");
}

static enum err report_summary(int fd, const struct job_summary *summary)
{
    CLEANUP(buf_clear) struct buf payload = {0};
    enum err e = job_encode_summary(summary, &payload);

    return e ? e
             : frame_send(fd, FRAME_SUMMARY, 0, buf_bytes(&payload),
                          clock_mono_ms() + REPORT_WAIT_MS);
}

static enum err deliver(const struct worker_options *options, const struct job *job,
                        struct body_session *bodies)
{
    struct job_summary summary = {0};
    struct esmtp_session session = {.options = options,
                                    .job = job,
                                    .bodies = bodies,
                                    .summary = &summary,
                                    .answered = report_result};
    enum err e, reported;

    session.results = calloc(job->n_messages, sizeof *session.results);
    if (!session.results)
        return err_note(ERR_NOMEM, "deliver", "out of memory");
    e = esmtp_run(&session);
    if (e) {
        summary.fault = FAULT_LOCAL;
        job_text_set(summary.text, bytes_of(err_note_get()->action));
    }
    reported = report_summary(bodies->fd, &summary);
    free(session.results);
    return e ? e : reported;
}

enum err worker_run(int fd, const struct worker_options *options)
{
    CLEANUP(job_clear) struct job job = {0};
    struct body_session bodies = {.fd = fd};
    enum err e = job_receive(fd, &job, &bodies.frame);

    if (!e) {
        /* getaddrinfo() has no timeout of its own, and timeouts in libesmtp are a peer's silence,
         * not its slowness: the kernel ends what outlives the deadline. */
        (void)alarm(job.deadline_s);
        bodies.deadline_ms = clock_mono_ms() + (int64_t)job.deadline_s * 1000;
        bodies.stall_ms = options->transfer_timeout_s * 10u * STALL_PERCENT;
        bodies.tls_required = job.tls == HOP_TLS_REQUIRED;
        e = deliver(options, &job, &bodies);
    }
    if (e)
        log_event(LOG_LEVEL_WARNING, "worker.job", job.n_messages ? job.messages[0].id : "-", e, -1,
                  "%s", "");
    buf_wipe(&bodies.frame.payload);
    return e;
}
