/* SPDX-License-Identifier: GPL-3.0-or-later */
/* internal.h - what the files of the store share: its connections, its keys, sealed values.
 *
 * Readers have a connection of their own, so a look-up never waits for another session's sync. */
#ifndef SEALRELAY_STORE_INTERNAL_H
#define SEALRELAY_STORE_INTERNAL_H

#include "daemon/store/form.h"
#include "daemon/store/sql.h"
#include "daemon/store/store.h"

#include <pthread.h>
#include <stdatomic.h>

#define LOOK_LEN        32   /* bytes of a look-up HMAC */
#define SEALED_TEXT_MAX 1023 /* bytes of a sealed text: addresses, message ids */

struct store {
    struct hsm *hsm; /* borrowed */
    struct sql *write;
    struct sql *read;
    int lock_fd;
    id_text run; /* of this opening; no two processes have the store open */
    pthread_mutex_t key_mutex;
    atomic_bool has_keys;
    struct secret keys;   /* data key, then what is derived from it; fixed once has_keys */
    enum err last_error;  /* of the key service, remembered for a moment: callers that waited */
    int64_t last_away_ms; /* for the same refusal do not wait for it one after the other */
};

/* store_keys - have the data key, from the key service if need be. Call before sql_hold. */
enum err store_keys(struct store *s);

/* Where a sealed value belongs; a value moved elsewhere does not open. */
struct seal_place {
    const char *column; /* "table.column" */
    int64_t row;
    const char *tie; /* what else the row says that must stay with it; "" for nothing */
};
/* store_seal - Errors: ERR_FORMAT (longer than SEALED_TEXT_MAX), ERR_IO, ERR_NOMEM. */
enum err store_seal(struct store *s, const struct seal_place *place, const char *plain,
                    struct buf *out);
/* store_unseal - out: room for size bytes, the NUL among them. Errors: ERR_TAMPERED (a text that
 * does not fit is none that was sealed for this place). */
enum err store_unseal(struct store *s, const struct seal_place *place, struct bytes sealed,
                      char *out, size_t size);
/* store_look - the HMAC a sealed text is found by; owner keeps equal ones of two owners
 * apart. */
enum err store_look(struct store *s, const char *owner, const char *address, uint8_t out[LOOK_LEN]);

/* store_mailbox_get - a mailbox of the row given, opened. The connection is held. */
enum err store_mailbox_get(struct store *s, struct sql *db, int64_t mailbox, const char *user,
                           address_text out);
/* store_user_id - the id of a user by name or id. Errors: ERR_NOT_FOUND. */
enum err store_user_id(struct sql *db, const char *name_or_id, id_text out);

#endif
