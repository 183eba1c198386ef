/* SPDX-License-Identifier: GPL-3.0-or-later */
/* store.h - records on disk: rows under an HMAC, and the journal says which row counts.
 *
 * A save is in two steps, so that it survives a crash between any two instructions: the new row
 * goes in beside the old one, then the journal names its version and hash, and only then is the old
 * one removed. A row that the journal does not name is a leftover; a journal that names a row which
 * is not there, or not authentic, is tampering with that profile. */
#ifndef SEALRELAY_HSM_RECORD_STORE_H
#define SEALRELAY_HSM_RECORD_STORE_H

#include "hsm/journal/index.h"
#include "hsm/journal/journal.h"
#include "hsm/record/record.h"

struct record_store;

/* record_store_open - open or make dir/records.db.
 * All of token, journal, index: borrowed. Errors: ERR_CONFIG (newer schema), ERR_IO. */
enum err record_store_open(const char *dir, struct token *token, struct journal *journal,
                           struct journal_index *index, struct record_store **out);
void record_store_close(struct record_store *s);

/* record_load - the record that the journal names. known: from journal_index_profile.
 * Leftover rows of that profile are removed. Errors: ERR_TAMPERED, ERR_IO. */
enum err record_load(struct record_store *s, const struct index_profile *known,
                     struct record **out);

/* record_save - make next the record of its profile: version is set to one more than before's.
 *   before  the present record, NULL for a new profile; its row must still be what it was
 * Errors: ERR_TAMPERED (row altered meanwhile), ERR_IO, ERR_NOSPACE; before then still counts,
 * or, after a failed journal write, whatever the next start finds in the journal. */
enum err record_save(struct record_store *s, int64_t now_s, const struct record *before,
                     struct record *next);

#endif
