/* SPDX-License-Identifier: GPL-3.0-or-later */
/* wire.h - a second pair of eyes on one SMTP session: told every byte that leaves and comes, it
 * knows which reply belongs to which command of which message.
 *
 * libesmtp keeps the last reply only, reads replies that nothing asked for, and takes the tail of
 * a long line for the next reply. This witness is stricter: what it does not understand is a
 * fault, and after a fault it records nothing more. Pure: no socket, no clock, no libesmtp. */
#ifndef SEALRELAY_DELIVER_WIRE_H
#define SEALRELAY_DELIVER_WIRE_H

#include "daemon/deliver/job.h"

#define WIRE_LINE_MAX  998         /* bytes of a reply line without CRLF; libesmtp cuts at 1,023 */
#define WIRE_REPLY_MAX (32 * 1024) /* bytes of a whole reply */
#define WIRE_STEPS_MAX 8           /* different commands waiting for their replies */

enum wire_step {
    STEP_GREETING,
    STEP_HELLO,
    STEP_STARTTLS,
    STEP_MAIL,
    STEP_RCPT,
    STEP_DATA,
    STEP_CHUNK, /* BDAT */
    STEP_END,   /* the final dot, or BDAT ... LAST */
    STEP_OTHER  /* RSET, QUIT */
};

enum wire_phase { PHASE_COMMAND, PHASE_CONTENT, PHASE_CHUNK };

struct wire {
    bool tls_required;
    bool in_tls;
    bool closing; /* 421 was read: no further command may leave */
    bool quit;    /* QUIT was sent */
    enum job_fault fault;

    /* leaving */
    enum wire_phase phase;
    char command[32]; /* the beginning of the command line being sent */
    size_t command_len;
    bool command_cr;
    uint64_t chunk_left; /* bytes of a BDAT chunk still to leave */
    bool chunk_last;
    unsigned dot; /* bytes of CRLF.CRLF that have left */

    /* commands waiting for replies, oldest first; equal neighbours are one entry */
    struct wire_wait {
        enum wire_step step;
        unsigned count;
    } waits[WIRE_STEPS_MAX];
    size_t n_waits;
    enum wire_step last_step; /* whose reply was read last */

    /* coming */
    char line[WIRE_LINE_MAX + 1];
    size_t line_len;
    size_t reply_len;
    uint16_t reply_code; /* of the reply being read; 0 between replies */

    /* results, borrowed: one entry a message, in the order of the MAIL commands */
    struct job_result *results;
    size_t n_results;
    size_t n_begun; /* MAIL commands sent */
    struct job_summary *summary;
};

/* wire_init - a session about to be connected. results, summary: borrowed, zeroed by the caller. */
void wire_init(struct wire *w, bool tls_required, struct job_result *results, size_t n_results,
               struct job_summary *summary);
/* wire_sending - these bytes are about to be written. False: they must not be (fault says why). */
bool wire_sending(struct wire *w, struct bytes data);
/* wire_received - these bytes were read. Answers how many of them may be handed on: all, or with a
 * fault those up to the end of the last whole reply that was asked for. */
size_t wire_received(struct wire *w, struct bytes data);
/* wire_start_tls - the handshake is about to begin. False: something is wrong with what was read
 * in clear. */
bool wire_start_tls(struct wire *w);
/* wire_owes - does a command wait for its reply, QUIT and RSET not counted? */
bool wire_owes(const struct wire *w);
/* wire_fail - a guard elsewhere found a fault; the first one stays. */
void wire_fail(struct wire *w, enum job_fault fault);

#endif
