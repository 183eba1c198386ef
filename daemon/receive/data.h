/* SPDX-License-Identifier: GPL-3.0-or-later */
/* data.h - what follows DATA: dots unstuffed, the one true end found, stray line ends remembered.
 *
 * Only CRLF "." CRLF ends a message, whatever was seen before: a look-alike end is content of a
 * message that will be refused, so nothing behind it can become a command. */
#ifndef SEALRELAY_RECEIVE_DATA_H
#define SEALRELAY_RECEIVE_DATA_H

#include "daemon/receive/memory.h"

/* Where in a line the next byte stands. */
enum data_state {
    DATA_LINE,   /* at the start of a line */
    DATA_TEXT,   /* inside a line */
    DATA_CR,     /* behind a CR that may begin a line end */
    DATA_DOT,    /* behind a dot at the start of a line */
    DATA_DOT_CR, /* behind such a dot and a CR */
    DATA_END     /* the message is over */
};

/* One message on its way in. All members are private to data.c. */
struct data {
    struct body body;
    uint64_t seen;
    enum data_state state;
    bool stray;
};

/* data_init - ready for the first byte behind the line end of the DATA command, which counts as
 * the start of a line. Parameters as body_init(). */
void data_init(struct data *d, struct memory_budget *budget, uint64_t declared, uint64_t max);

/* data_feed - take bytes from the front of in until the end of data or until in is empty.
 *   in  advanced past what was taken; what follows the end of data stays
 * Returns true at the true end. A message that already has failed is read on without being kept.
 * Source: RFC 5321 4.5.2, 2.3.8. */
bool data_feed(struct data *d, struct bytes *in);

/* data_verdict - ERR_OK, or why the message is refused, heaviest first: ERR_TOO_BIG, ERR_BARE_LINE
 * (bare CR, bare LF or NUL), ERR_NOSPACE. */
enum err data_verdict(const struct data *d);

/* data_seen - bytes taken from the wire so far. */
uint64_t data_seen(const struct data *d);

/* data_content - the message: CRLF line ends, dots unstuffed. Borrowed until data_clear(). */
struct bytes data_content(const struct data *d);

/* data_clear - release the message. Accepts an all-zero struct. */
void data_clear(struct data *d);

#endif
