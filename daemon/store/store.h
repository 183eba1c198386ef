/* SPDX-License-Identifier: GPL-3.0-or-later */
/* store.h - what the relay remembers: users, aliases, correspondents and their wrapped keys.
 *
 * Real addresses (correspondents', mailboxes') lie sealed under the store's data key, which only
 * the token opens, and are looked up by HMAC. Nothing in here is believed for security: recipients
 * and roots come from the key service. Thread-safe; each call is one transaction.
 * Every call may answer ERR_BUSY (database locked), ERR_IO, ERR_NOSPACE, ERR_HSM_AWAY (data key not
 * opened yet), ERR_TAMPERED (a sealed value that does not open). */
#ifndef SEALRELAY_STORE_H
#define SEALRELAY_STORE_H

#include "hsm/hsm.h"

#include <stdint.h>

#define STORE_SCHEMA 7 /* newer is refused, older is migrated */

struct store;

/* store_open - open or make the database at path.
 *   hsm  borrowed; gives the data key, now or (key service away) at the first call that needs it
 * Errors: ERR_CONFIG (newer schema, another relay holds it). */
enum err store_open(const char *path, struct hsm *hsm, struct store **out);
void store_close(struct store *s);

/* store_derived_key - 32 bytes derived from the data key for a purpose ("verp"); as old as the
 * store. */
enum err store_derived_key(struct store *s, const char *purpose, uint8_t out[32]);

/* ---- users and aliases ---- */

struct store_user {
    id_text user;
    char name[65];
    int64_t created_s;
    char **mailboxes; /* lower case */
    size_t n_mailboxes;
};
void store_user_clear(struct store_user *u);

/* store_user_add - Errors: ERR_EXISTS (name), ERR_FORMAT (name or address). */
enum err store_user_add(struct store *s, const char *name, const char *const *mailboxes,
                        size_t n_mailboxes, int64_t now_s, id_text user_out);
/* store_user_find - by name or by id. Errors: ERR_NOT_FOUND. */
enum err store_user_find(struct store *s, const char *name_or_id, struct store_user *out);
typedef enum err (*store_user_fn)(void *ctx, const struct store_user *u);
/* The each-functions hold no lock while fn runs; an error of fn ends them and is handed through. */
enum err store_user_each(struct store *s, store_user_fn fn, void *ctx);

/* An alias: address (lower case), or "*@sub.domain" for every address of a sub-domain. */
struct store_alias {
    int64_t id;
    address_text address;
    id_text user;
    address_text mailbox;
    bool catch_all;
    bool made_by_catch_all;
    int64_t created_s;
};

/* store_alias_add - user: name or id; mailbox NULL: the user's first. Errors: ERR_EXISTS,
 * ERR_FORMAT (form of a reverse alias or return path, not an address), ERR_NOT_FOUND (user, or
 * mailbox not one of the user's). */
enum err store_alias_add(struct store *s, const char *user, const char *address,
                         const char *mailbox, int64_t now_s, struct store_alias *out);
/* store_alias_find - exact match, else the catch-all of its domain (out: that row, catch_all set).
 * Errors: ERR_NO_ALIAS. */
enum err store_alias_find(struct store *s, const char *address, struct store_alias *out);
/* store_alias_get - by its row. Errors: ERR_NO_ALIAS. */
enum err store_alias_get(struct store *s, int64_t id, struct store_alias *out);
/* store_alias_materialise - the alias a catch-all makes at its first message; the existing one when
 * another session was first. day_limit: new ones per user and 24 h. Errors: ERR_LIMIT, ERR_FORMAT
 * (may not be an alias), ERR_NO_ALIAS (the catch-all is gone). */
enum err store_alias_materialise(struct store *s, const struct store_alias *catch_all,
                                 const char *address, unsigned day_limit, int64_t now_s,
                                 struct store_alias *out);
/* store_alias_remove - with its correspondents. Its catch-all does not make it again; a catch-all
 * leaves the aliases it made. Errors: ERR_NOT_FOUND. */
enum err store_alias_remove(struct store *s, const char *address);
typedef enum err (*store_alias_fn)(void *ctx, const struct store_alias *a);
/* user NULL: of all users */
enum err store_alias_each(struct store *s, const char *user, store_alias_fn fn, void *ctx);

/* ---- correspondents: (alias, real address), one permanent reverse address ---- */

struct store_correspondent {
    int64_t id;
    int64_t alias;
    address_text reverse; /* empty until the first key is made */
    address_text address; /* the real one, opened; local part as first seen, domain lower case */
    int64_t created_s;
    int64_t last_seen_s;
    uint64_t messages;
};

/* store_correspondent_find - Errors: ERR_NOT_FOUND. Domain without case, local part exact. */
enum err store_correspondent_find(struct store *s, int64_t alias, const char *address,
                                  struct store_correspondent *out);
enum err store_correspondent_by_reverse(struct store *s, const char *reverse,
                                        struct store_correspondent *out);
/* store_correspondent_add - remember a new correspondent under the reverse address the key service
 * made. When another thread was first, out is the other's row and ERR_EXISTS is answered. address
 * may be any text without control bytes. Errors: ERR_NOT_FOUND (alias), ERR_FORMAT (not a reverse
 * address). */
enum err store_correspondent_add(struct store *s, int64_t alias, const char *address,
                                 const char *reverse, int64_t now_s,
                                 struct store_correspondent *out);
/* store_correspondent_seen - one more message. Not synced by itself: a power cut may lose the
 * count. Errors: ERR_NOT_FOUND. */
enum err store_correspondent_seen(struct store *s, int64_t id, int64_t now_s);
typedef enum err (*store_correspondent_fn)(void *ctx, const struct store_correspondent *c);
enum err store_correspondent_each(struct store *s, int64_t alias, store_correspondent_fn fn,
                                  void *ctx);

/* The keys of a correspondent in a profile; the newest signs, all open replies. */
struct store_sender_key {
    struct buf cert; /* DER */
    struct buf blob;
    int64_t not_after_s;
};
void store_sender_key_clear(struct store_sender_key *k);
/* store_sender_key_get - the newest. Errors: ERR_NOT_FOUND. */
enum err store_sender_key_get(struct store *s, int64_t correspondent, const char *profile,
                              struct store_sender_key *out);
enum err store_sender_key_add(struct store *s, int64_t correspondent, const char *profile,
                              const struct store_sender_key *key);
typedef enum err (*store_sender_key_fn)(void *ctx, const struct store_sender_key *k);
/* store_sender_key_each - all of them, the newest first; for opening a reply to an older key. */
enum err store_sender_key_each(struct store *s, int64_t correspondent, const char *profile,
                               store_sender_key_fn fn, void *ctx);

typedef enum err (*store_profile_fn)(void *ctx, const char *profile);
/* store_sender_key_profiles - each profile that a correspondent has a key in, the one with the
 * newest key first. */
enum err store_sender_key_profiles(struct store *s, int64_t correspondent, store_profile_fn fn,
                                   void *ctx);

/* The one key of a profile under which the relay's own notices are signed.
 * Errors of get: ERR_NOT_FOUND. */
enum err store_notice_key_get(struct store *s, const char *profile, struct hsm_sender *out);
enum err store_notice_key_set(struct store *s, const char *profile, const struct hsm_sender *key);

/* store_profile_forget - drop every key of a deleted profile, and its policies. */
enum err store_profile_forget(struct store *s, const char *profile);

/* store_checkpoint - fold the write-ahead log into the database; for backups and orderly ends. */
enum err store_checkpoint(struct store *s);

#endif
