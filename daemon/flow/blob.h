/* SPDX-License-Identifier: GPL-3.0-or-later */
/* blob.h - small values sealed for storage outside of the store, under keys derived from the
 * store's: a blob opens for its own purpose and message only. */
#ifndef SEALRELAY_FLOW_BLOB_H
#define SEALRELAY_FLOW_BLOB_H

#include "daemon/store/store.h"

#define BLOB_PLAIN_MAX 1536u /* bytes */

/* blob_seal - padded, so that its length tells little.
 *   purpose  what it is; no two share one
 *   id       of the message it belongs to
 *   out      appended
 * Errors: ERR_FORMAT (too long), the store's, ERR_IO, ERR_NOMEM. */
enum err blob_seal(struct store *s, const char *purpose, const char *id, struct bytes plain,
                   struct buf *out);
/* blob_open - with its padding, NUL bytes. Errors: ERR_TAMPERED, the store's, ERR_NOMEM. */
enum err blob_open(struct store *s, const char *purpose, const char *id, struct bytes sealed,
                   struct buf *out);

#endif
