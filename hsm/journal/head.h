/* SPDX-License-Identifier: GPL-3.0-or-later */
/* head.h - the last acknowledged line of the journal, kept beside it under an HMAC.
 *
 * Overwritten in place after every append and never behind it on disk: a power cut can leave it
 * behind the journal, never ahead. */
#ifndef SEALRELAY_HSM_JOURNAL_HEAD_H
#define SEALRELAY_HSM_JOURNAL_HEAD_H

#include "hsm/journal/line.h"
#include "hsm/token/token.h"

struct journal_head {
    uint64_t sequence;
    journal_hash hash; /* of that line */
};

/* journal_head_text - the text to write once the line it names is on disk. */
enum err journal_head_text(struct token *t, const struct journal_head *head, struct buf *out);
/* journal_head_read - Errors: ERR_NOT_FOUND (file empty), ERR_TAMPERED, ERR_IO. */
enum err journal_head_read(struct token *t, int fd, struct journal_head *out);
/* journal_head_write - text as journal_head_text made it, in place. */
enum err journal_head_write(int fd, const struct buf *text);

#endif
