/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bounce.h - what the relay remembers of mailboxes that bounce, and of senders it told of it. */
#ifndef SEALRELAY_STORE_BOUNCE_H
#define SEALRELAY_STORE_BOUNCE_H

#include "daemon/store/store.h"

#define STORE_BOUNCE_SPAN_S 86400 /* bounces of a profile are counted over this time */
#define STORE_TOLD_SPAN_S   86400 /* and what one address was told */

/* store_bounce_add - one more hard bounce of a profile; the same message counts once.
 *   in_span_out  those of the last STORE_BOUNCE_SPAN_S, this one included, and none from before the
 *                profile was suspended for them */
enum err store_bounce_add(struct store *s, const char *profile, const char *message, int64_t now_s,
                          unsigned *in_span_out);

/* A profile that was suspended because its mailbox bounces. */
struct store_suspension {
    id_text profile;
    int64_t at_s;
    unsigned bounces;
};
/* store_suspension_set - remember why; the time of an earlier suspension is replaced.
 * store_suspension_clear - the profile was resumed. No error when there is none.
 * store_suspension_get - Errors: ERR_NOT_FOUND. */
enum err store_suspension_set(struct store *s, const struct store_suspension *suspension);
enum err store_suspension_clear(struct store *s, const char *profile);
enum err store_suspension_get(struct store *s, const char *profile, struct store_suspension *out);
typedef enum err (*store_suspension_fn)(void *ctx, const struct store_suspension *suspension);
enum err store_suspension_each(struct store *s, store_suspension_fn fn, void *ctx);

/* store_told_add - may this address be told of this message's failure? Remembered when it may;
 * asked again about the same message the answer is the same. limit  messages that one address is
 * told of within STORE_TOLD_SPAN_S Errors: ERR_LIMIT. */
enum err store_told_add(struct store *s, const char *address, const char *message, unsigned limit,
                        int64_t now_s);

#endif
