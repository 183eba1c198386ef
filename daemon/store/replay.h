/* SPDX-License-Identifier: GPL-3.0-or-later */
/* replay.h - which signed replies were honoured already, and under which reverse alias.
 *
 * A blob (what one signature says) is claimed for a reverse alias before its reply goes into the
 * queue, and settled behind the queue's commit. So a crash in between leaves a claim that names the
 * entry it was made for: whoever comes again asks the queue whether that entry became durable.
 * No more than hashes is kept, and no longer than a signature counts. */
#ifndef SEALRELAY_STORE_REPLAY_H
#define SEALRELAY_STORE_REPLAY_H

#include "daemon/store/store.h"

#define STORE_BLOB_LEN       32u         /* SHA-256 */
#define STORE_CLAIM_KEPT_S   (8 * 86400) /* a signature counts for 7 days */
#define STORE_CLAIM_WORK_S   120         /* far longer than a session may take */
#define STORE_FAILURE_SPAN_S 3600        /* failures are counted by the hour */

struct store_claim {
    uint8_t blob[STORE_BLOB_LEN]; /* what was signed, by whom, when */
    /* The EnvelopedData it came in; of what was not encrypted its Message-ID, To and Cc. Copies for
     * several correspondents share it. */
    uint8_t envelope[STORE_BLOB_LEN];
    bool named; /* is the reverse alias, or a certificate of it, among the envelope's recipients? */
    address_text reverse;
    id_text entry; /* of the queue, that the reply will have */
};

enum store_claim_answer {
    CLAIM_GRANTED,
    CLAIM_REPEAT,  /* honoured before under this reverse alias */
    CLAIM_BUSY,    /* another session is at it */
    CLAIM_ORPHAN,  /* somebody died at it: see lost */
    CLAIM_FOREIGN, /* honoured under another, and this one was not meant */
};

/* store_claim - may this reply be honoured?
 *   lost  "", or the entry of an orphan that the queue knows nothing of: its claim is taken over
 *   entry_out  with CLAIM_ORPHAN: the entry to ask the queue for
 * Effects: with CLAIM_GRANTED it is claimed, durably. */
enum err store_claim(struct store *s, const struct store_claim *c, const char *lost, int64_t now_s,
                     enum store_claim_answer *answer, id_text entry_out);
/* store_claim_settle - the entry is durable. store_claim_release - it will never be. */
enum err store_claim_settle(struct store *s, const struct store_claim *c);
enum err store_claim_release(struct store *s, const struct store_claim *c);

/* store_failure_add - one more message to a reverse alias that proved nothing.
 * store_failure_count - those of this hour. */
enum err store_failure_add(struct store *s, const char *reverse, int64_t now_s);
enum err store_failure_count(struct store *s, const char *reverse, int64_t now_s, unsigned *out);

#endif
