/* SPDX-License-Identifier: GPL-3.0-or-later */
/* journal.h - the issuance journal: append-only, chained by hashes, signed now and then.
 *
 * Every certificate, record version, state change and deletion is a line here before it takes
 * effect. It holds reverse aliases, never a correspondent's address. Beside it lies journal.head,
 * the last acknowledged sequence and hash under the record key's HMAC: a journal that was shortened
 * no longer reaches it, while a line torn by a crash lies behind it and is cut off. */
#ifndef SEALRELAY_HSM_JOURNAL_H
#define SEALRELAY_HSM_JOURNAL_H

#include "hsm/journal/verify.h"
#include "hsm/token/token.h"

struct journal;

struct journal_options {
    struct token *token;       /* borrowed */
    const char *dir;           /* holds journal and journal.head */
    unsigned checkpoint_every; /* entries between checkpoints made by themselves */
    journal_visit visit;       /* called with every line, while opening and when appended */
    void *context;
};

/* journal_open - verify, repair a torn end, take the file for this process alone.
 * Errors: ERR_TAMPERED (altered, shortened, removed), ERR_BUSY (another process has it), ERR_IO,
 * whatever visit answers. */
enum err journal_open(const struct journal_options *options, struct journal **out);
void journal_close(struct journal *j);

/* journal_append - one entry, on disk before ERR_OK.
 *   profile  NULL for none
 *   fmt      "key=value key=value", printable ASCII; "%s" and such as printf
 * Errors: ERR_NOSPACE or ERR_IO: from then on every append is ERR_IO until the journal is opened
 * anew, since nobody knows what is on disk. ERR_HSM_AWAY (nothing written). */
enum err journal_append(struct journal *j, int64_t now_s, const char *kind, const char *profile,
                        const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* journal_checkpoint - sign the head, unless the last entry is a checkpoint already.
 *   line_out  the latest checkpoint line with its LF; may be NULL */
enum err journal_checkpoint(struct journal *j, int64_t now_s, struct buf *line_out);
/* journal_checkpoint_due - a checkpoint if the last one is a day or more behind the head. */
enum err journal_checkpoint_due(struct journal *j, int64_t now_s);

/* journal_sequence - of the last entry; 0 when empty. */
uint64_t journal_sequence(struct journal *j);
/* journal_recheck - verify the file on disk again, up to what was acknowledged. */
enum err journal_recheck(struct journal *j, struct journal_verdict *out);

#endif
