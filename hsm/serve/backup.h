/* SPDX-License-Identifier: GPL-3.0-or-later */
/* backup.h - the records and the journal as they lie on disk, for copies kept elsewhere.
 *
 * What is handed out is authenticated by keys in the token and holds no secret; a copy that was
 * altered is refused when it is put back. */
#ifndef SEALRELAY_HSM_BACKUP_H
#define SEALRELAY_HSM_BACKUP_H

#include "daemon/base/buf.h"

/* backup_journal_page - whole lines of state_dir/journal from a byte offset.
 *   out       appended, about 128 KiB at most; empty at the end
 *   next_out  where the next page begins
 * Errors: ERR_NOT_FOUND (no journal yet), ERR_USAGE (offset is behind the end), ERR_IO. */
enum err backup_journal_page(const char *state_dir, uint64_t offset, struct buf *out,
                             uint64_t *next_out);

/* backup_records - every row of state_dir/records.db of one instant, as a JSON array of {profile,
 * version, text, mac}; text and mac are base64. Errors: ERR_NOT_FOUND, ERR_IO, ERR_NOMEM. */
enum err backup_records(const char *state_dir, struct buf *out);

#endif
