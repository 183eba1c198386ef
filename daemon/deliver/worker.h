/* SPDX-License-Identifier: GPL-3.0-or-later */
/* worker.h - one group of messages, delivered by one single-threaded process. */
#ifndef SEALRELAY_DELIVER_WORKER_H
#define SEALRELAY_DELIVER_WORKER_H

#include "daemon/deliver/body.h"

struct worker_options {
    const char *hostname; /* in EHLO */
    unsigned connect_timeout_s;
    unsigned command_timeout_s;  /* greeting, EHLO, MAIL, RCPT, DATA */
    unsigned transfer_timeout_s; /* without progress while the content leaves */
    unsigned final_timeout_s;    /* from the final dot to its reply */
};

/* worker_run - take one job from the runner's socket, deliver, report.
 * Errors: what ended the session; the caller exits either way. */
enum err worker_run(int fd, const struct worker_options *options);

/* ---- between worker.c and esmtp.c ---- */

struct esmtp_session {
    const struct worker_options *options;
    const struct job *job;
    struct body_session *bodies;
    struct job_result *results; /* job->n_messages */
    struct job_summary *summary;
    /* called once a message, as soon as its answer is known */
    void (*answered)(struct esmtp_session *s, size_t index);
};

/* esmtp_run - one SMTP session through libesmtp; results and summary are filled in.
 * Errors: ERR_CONFIG (CA file), ERR_NOMEM: nothing was sent then. */
enum err esmtp_run(struct esmtp_session *s);

#endif
