/* SPDX-License-Identifier: GPL-3.0-or-later */
/* drive.h - a session under test: input in chosen pieces, replies and messages collected.
 *
 * The handler behind it goes by the recipient's local part: "bad..." is refused with 550 at RCPT,
 * "busy..." with 451, "late..." is accepted and fails with 450 after the message. */
#ifndef SEALRELAY_TESTS_RECEIVE_DRIVE_H
#define SEALRELAY_TESTS_RECEIVE_DRIVE_H

#include "daemon/receive/session.h"

#define DRIVE_MESSAGE_MAX 1000u

struct drive {
    struct session_options options;
    struct memory_budget memory;
    struct receive_handler handler;
    struct session *session;
    struct buf replies;   /* everything sent, without the banner */
    struct buf messages;  /* content of all messages the handler saw, joined */
    struct buf envelopes; /* "from>rcpt,rcpt;" of each of them */
    struct buf clients;   /* "address|name|helo|ident|own;" or "...|forwarded;" of each of them */
    id_text last_id;      /* of the last transaction that got a message */
    unsigned n_messages;
    unsigned n_ends;
    unsigned n_starttls;
    int64_t deadline; /* as the handler got it */
    bool closed;
};

void drive_open(struct drive *d, enum receive_protocol protocol);
/* drive_open_trusted - with a peer that may name its clients. */
void drive_open_trusted(struct drive *d, enum receive_protocol protocol);
void drive_close(struct drive *d);

/* drive_feed - one read's worth of input, with every event acted upon. */
void drive_feed(struct drive *d, struct bytes in);
/* drive_feed_pieces - the same cut into pieces of n bytes. */
void drive_feed_pieces(struct drive *d, struct bytes in, size_t n);
void drive_say(struct drive *d, const char *text);

/* drive_codes - the codes of all replies so far, "250 354 550", and forget them. Text holds until
 * the next call. */
const char *drive_codes(struct drive *d);

#endif
